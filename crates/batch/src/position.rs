//! Places in a partition.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type TimestampMs = i64;

/// A place in a partition, ascending by one per event. Comparable only within one partition and incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SequenceNumber(pub i64);

impl SequenceNumber {
    /// The number after this one; saturates at the largest.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The broker's place mark. Opaque: brokers with geo-replication do not promise a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(String);

impl Offset {
    /// Wraps the broker's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The broker's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The last event that was delivered: what a ledger stores and a receiver resumes after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Sequence number of the event.
    pub sequence_number: SequenceNumber,
    /// Offset of the event.
    pub offset: Offset,
    /// When the hub accepted the event, in milliseconds.
    pub enqueued_time: TimestampMs,
}
