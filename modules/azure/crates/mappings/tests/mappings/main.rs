//! Azure's mapping files as shipped: golden cases, committed schemas, and hostile input.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod hostile;
mod isolation;
mod mutation;
mod shipped;
