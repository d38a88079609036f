//! What the end-to-end tests share: jobs that can be killed at any step, and the count of what arrived.
//!
//! [`steps`] wraps the rooms' traits so that a process kills itself, with SIGKILL, before or after the n-th time of a named
//! step of the protocol; [`fuse`] does as much in process, at every operation. [`stage`] is a deployment in a folder.
//! [`watcher`] writes flow logs.
//! [`collect`] reads a lake and a quarantine back, record by record. The worker process is
//! `src/bin/crash_worker.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::missing_panics_doc)]

pub mod collect;
pub mod fuse;
pub mod stage;
pub mod steps;
pub mod taken;
pub mod watcher;
