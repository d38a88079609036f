//! The emulator from outside: with a small client of our own, with broken peers, and with Microsoft's clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds nothing where it looks has failed"
)]

mod client;
mod faults;
mod hostile;
mod peers;
mod protocol;
mod transports;
