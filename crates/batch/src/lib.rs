//! What travels between the hub and the transformer: positions, batch ids, batches and their envelope.
//!
//! An *event* is one hub message. A *batch* is a contiguous range of events of one partition, cut once
//! ([`Packer`]), named by its range ([`BatchId`]) and never merged or cut again. The envelope that carries a
//! batch through a queue is `tributary.batch/1` ([`envelope`]).
//!
//! **Invariant:** this crate does no I/O and reads no clock. Times are arguments.

pub mod envelope;
mod id;
mod pack;
mod position;

pub use id::{BatchId, BatchRange, HubDigest, InvalidBatchId, SourceRef};
pub use pack::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Packer};
pub use position::{Offset, Position, SequenceNumber, TimestampMs};

/// The body of an event, as the hub delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// UTF-8 text; usually a JSON document, not checked here.
    Text(String),
    /// Bytes that are not UTF-8.
    Binary(Vec<u8>),
}

impl Body {
    /// Text when the bytes are UTF-8, else binary.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Binary(error.into_bytes()),
        }
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One hub message with its place in its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Place in the partition; ascending, with gaps only where the hub trimmed.
    pub sequence_number: SequenceNumber,
    /// The broker's own place mark; opaque, never parsed or compared.
    pub offset: Offset,
    /// When the hub accepted the event.
    pub enqueued_time: TimestampMs,
    /// The publisher's partition key, if it gave one.
    pub partition_key: Option<String>,
    /// Application properties, values as text.
    pub properties: Vec<(String, String)>,
    /// The payload.
    pub body: Body,
}

impl Event {
    /// Bytes that count against a batch's and a receiver's byte budget.
    pub fn size(&self) -> usize {
        self.body.len()
            + self.offset.as_str().len()
            + self.partition_key.as_ref().map_or(0, String::len)
            + self.properties.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + 64
    }

    /// The event's position.
    pub fn position(&self) -> Position {
        Position {
            sequence_number: self.sequence_number,
            offset: self.offset.clone(),
            enqueued_time: self.enqueued_time,
        }
    }
}

/// A contiguous range of events of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The integration instance that read it (`MODULE_ID`).
    pub module: String,
    /// The partition it was read from.
    pub source: SourceRef,
    /// First sequence number of the planned range.
    pub first: SequenceNumber,
    /// Last sequence number of the planned range.
    pub last: SequenceNumber,
    /// The events, ascending; fewer than the range holds when the hub trimmed some.
    pub events: Vec<Event>,
}

impl Batch {
    /// The batch's name, from its source and range alone.
    pub fn id(&self) -> BatchId {
        BatchId::new(&self.source, self.first, self.last)
    }
}
