//! Findings to Security Hub and events to CloudTrail Lake, behind one trait.
//!
//! A [`Sink`] takes many small documents in one call and answers for each one. [`send`] is how it is used: it cuts what there is
//! into calls, tries again what failed for a while, and again that alone, and finds the entry for which a whole call is refused.
//! What is sent twice is there once: every entry has an id that stays the same.
//!
//! ```text
//! entries ── cut by count and bytes ──▶ Sink::put ──▶ an answer for each: accepted, again, refused
//!    ▲                                     │
//!    └── again, after a pause ◀────────────┴── a whole call that failed; halves of one that was refused
//! ```
//!
//! - [`SecurityHub`] is `securityhub:BatchImportFindings`, [`CloudTrailLake`] is `cloudtrail-data:PutAuditEvents`.
//! - [`MemorySink`] and [`FolderSink`] are the local mode, not test doubles. [`conformance`] is the suite that every one passes.
//!
//! **Invariant:** nothing here looks into a document; no document, nor what a service says of one, is in an error or a log line.

mod cloudtrail;
pub mod conformance;
mod examine;
mod folder;
mod memory;
mod pace;
mod security_hub;
mod send;
mod sink;

pub use cloudtrail::{ChannelArn, CloudTrailLake, InvalidChannel};
pub use examine::examine_channel;
pub use folder::FolderSink;
pub use memory::MemorySink;
pub use security_hub::SecurityHub;
pub use send::{Patience, Sent, TOO_LARGE, send};
pub use sink::{Answer, Entry, Failure, Limits, Sink, SinkError};
