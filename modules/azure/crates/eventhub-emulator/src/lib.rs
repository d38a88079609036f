//! An Event Hubs namespace in process, for local work and tests.
