//! Lease, plan, commit: where each partition stands, so that a crash at any instant loses and doubles nothing.
//!
//! One item a partition holds its lease (owner and epoch), its position, and the *plan*: the exact range that is being
//! sent. [`Ledger`] is what a backend must do, two reads and two conditional writes; the protocol's rules live above it in
//! [`Lease`], once for all backends. [`conformance`] is the suite that every backend passes.
//!
//! [`Cursors`] are for what has no partitions: how far each of many growing objects was read, in the same table.
//!
//! The order plan, send, commit is a matter of types: [`Lease::commit`] takes a [`Sent`], and only [`Planned::send`] makes
//! one, after the queue has taken the message.
//!
//! ```compile_fail
//! # async fn wrong(mut lease: tributary_ledger::Lease, planned: tributary_ledger::Planned) {
//! lease.commit(planned, None, 0).await; // a plan is no proof that its batch was sent
//! # }
//! ```

pub mod conformance;
mod cursor;
mod cursor_conformance;
mod dynamodb;
mod item;
mod lease;
mod memory;
#[cfg(test)]
mod model;
mod set_position;
mod sqlite;

pub use cursor::{Cursor, CursorKey, CursorKeyError, Cursors, MAX_KEY, MAX_STATE};
pub use dynamodb::{DynamoLedger, InvalidTtlAttribute};
pub use item::{Expected, Item, LeaseRequest, PartitionKey, Plan, Policy, worker_of};
pub use lease::{Lease, Outbox, OutboxError, Planned, ProtocolError, Sent};
pub use memory::MemoryLedger;
pub use set_position::set_position;
pub use sqlite::SqliteLedger;

use async_trait::async_trait;

/// A backend failed. Nothing is known of whether the operation took place.
#[derive(Debug, thiserror::Error)]
#[error("ledger {operation} of {key}: {detail}")]
pub struct LedgerError {
    /// What was attempted.
    pub operation: &'static str,
    /// Which item.
    pub key: String,
    /// What went wrong.
    pub detail: String,
    /// Whether a permission is missing (metric `AccessDenied`).
    pub denied: bool,
}

/// Where partitions stand. Times are milliseconds since 1970-01-01T00:00:00Z and come from the caller.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The item, if there is one. An expired but visible item is valid.
    async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError>;

    /// Takes the lease in one conditional write: epoch = max(stored + 1, now), the owner, the expiry, a fresh time to
    /// live. Everything else stays as it is; without an item one is made. Returns the item as it is now, or `None` when
    /// the policy leaves a running lease to its owner.
    async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError>;

    /// Replaces the item if it is there and everything in `expected` still stands in it: owner, epoch, position, plan,
    /// incarnation and count of lost events. Returns whether it did.
    async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError>;

    /// Every item whose key starts with `prefix`, by key.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError>;
}
