//! Judges: our validator against an independent one, every event that the product makes against both.
//!
//! What needs `TRIBUTARY_PYTHON` (the python of `make peers`) fails without it when `TRIBUTARY_REQUIRE_PEERS` is set. What
//! needs `TRIBUTARY_JUDGE` (a folder with `ocsf_check.py` and compiled schemas) or `TRIBUTARY_CORPUS` (real Azure samples)
//! is skipped, loudly, where they are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod cases;
mod corpus;
mod forms;
mod generate;
mod mutate;
mod node;
mod parity;
mod peers;
mod random;
mod tables;
