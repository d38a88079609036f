//! Mapping files to compiled maps; unwrapping and classification.
