//! The functions as Lambda runs them: the real binary against a runtime API, and servers that are not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod calls;
mod faults;
mod flow_logs;
mod generated;
mod leaks;
mod on_lambda;
mod process;
mod security_lake_source;
mod stack;
mod start;
mod whole;
