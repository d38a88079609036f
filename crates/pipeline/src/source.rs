//! Where events come from: the trait that an integration implements.

use std::time::Duration;

use async_trait::async_trait;
use tributary_batch::{Event, Position, TimestampMs};

/// A hub as one consumer group reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRef {
    /// Host name of the namespace, lower case.
    pub namespace: String,
    /// Name of the hub.
    pub hub: String,
    /// Consumer group.
    pub consumer_group: String,
}

/// Where a receiver starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartPosition {
    /// The oldest event that the hub still has.
    Earliest,
    /// Only events that arrive from now on.
    Latest,
    /// After this event (or at it, when `inclusive`).
    Sequence {
        /// Sequence number to start from.
        number: i64,
        /// Whether the event with that number is delivered too.
        inclusive: bool,
    },
    /// After the event with this offset (or at it).
    Offset {
        /// Offset to start from.
        offset: String,
        /// Whether the event with that offset is delivered too.
        inclusive: bool,
    },
    /// The first event that the hub accepted after this time, in milliseconds.
    EnqueuedTime(TimestampMs),
}

impl StartPosition {
    /// Right after `position`.
    pub fn after(position: &Position) -> Self {
        Self::Sequence { number: position.sequence_number.0, inclusive: false }
    }
}

/// What the hub says of a partition; the processor reads it after it attached its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The hub's creation time in milliseconds: it changes when the hub is rebuilt.
    pub incarnation: TimestampMs,
    /// Sequence number of the oldest event that the hub still has.
    pub begin: i64,
    /// Sequence number of the newest event; below `begin` when the partition is empty.
    pub last: i64,
    /// When the newest event was accepted, if there is one.
    pub last_enqueued_time: Option<TimestampMs>,
}

impl PartitionStatus {
    /// Whether the partition holds no event.
    pub fn is_empty(&self) -> bool {
        self.last < self.begin || self.last < 0
    }
}

/// Why a source failed, by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A higher epoch took the partition: end quietly, another reader has it.
    #[error("{context}: displaced by a reader with a higher epoch")]
    Displaced {
        /// Which partition.
        context: String,
    },
    /// Worth another attempt later; the source has already retried within its limits.
    #[error("{context}: {detail}")]
    Transient {
        /// What was attempted.
        context: String,
        /// What went wrong, and what to do next.
        detail: String,
    },
    /// The credential is refused, or a permission is missing (metric `AccessDenied`): a person must act.
    #[error("{context}: {detail}")]
    Denied {
        /// What was attempted.
        context: String,
        /// What is refused, and what to do next.
        detail: String,
    },
    /// A person must act: names, settings, positions.
    #[error("{context}: {detail}")]
    Fatal {
        /// What was attempted.
        context: String,
        /// What is wrong, and what to do next.
        detail: String,
    },
}

impl SourceError {
    /// Whether access is denied (metric `AccessDenied`).
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}

/// A hub that can be read partition by partition.
#[async_trait]
pub trait EventSource: Send + Sync {
    /// Which hub this is.
    fn hub(&self) -> HubRef;

    /// Ids of all partitions, in the hub's order.
    async fn partitions(&self) -> Result<Vec<String>, SourceError>;

    /// Attaches a receiver to `partition` with zero credit. A receiver with a lower epoch is displaced by it.
    ///
    /// No event is delivered before [`PartitionReader::next`] grants credit.
    async fn open(
        &self,
        partition: &str,
        start: StartPosition,
        epoch: i64,
    ) -> Result<Box<dyn PartitionReader>, SourceError>;

    /// Attaches a receiver that claims nothing: it displaces nobody, shares the partition with others like it, and is
    /// refused or displaced ([`SourceError::Displaced`]) where a reader with an epoch is in the same consumer group.
    ///
    /// For whoever looks at a hub beside the processor. No event is delivered before [`PartitionReader::next`].
    async fn open_shared(&self, partition: &str, start: StartPosition)
    -> Result<Box<dyn PartitionReader>, SourceError>;

    /// The hub's incarnation and the partition's bounds, read now and without a receiver.
    async fn status(&self, partition: &str) -> Result<PartitionStatus, SourceError>;

    /// Ends the connection in order. Readers must be closed before.
    async fn close(&self) -> Result<(), SourceError>;
}

/// One partition's receiver.
#[async_trait]
pub trait PartitionReader: Send {
    /// The hub's incarnation and the partition's bounds, read now.
    async fn status(&mut self) -> Result<PartitionStatus, SourceError>;

    /// The next events in order: at least one, or an empty list when none came within `wait`.
    ///
    /// After a lost connection the reader resumes by itself right after the last event that it returned.
    async fn next(&mut self, wait: Duration) -> Result<Vec<Event>, SourceError>;

    /// Detaches the receiver and ends its session.
    async fn close(self: Box<Self>) -> Result<(), SourceError>;
}
