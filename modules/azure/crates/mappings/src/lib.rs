//! Azure's mapping files, embedded, and the mapping functions that know Azure.
