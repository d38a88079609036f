//! The Queue trait and its backends.
