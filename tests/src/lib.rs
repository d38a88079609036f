//! End-to-end tests that cross rooms.
