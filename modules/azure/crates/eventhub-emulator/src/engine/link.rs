//! The state of a link.

use std::sync::Arc;

use bytes::BytesMut;

use crate::{
    hub::Hub,
    partition::{Partition, Reader},
};

/// A node that answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Cbs,
    Management,
}

/// One end of a link. Our handle has the same number as the peer's.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) kind: LinkKind,
    /// The path by which access was granted.
    pub(crate) path: Vec<String>,
    /// Our detach is sent, the peer's is awaited: whatever comes before it is ignored.
    pub(crate) detaching: bool,
    /// Deliveries so far, of whoever sends.
    pub(crate) delivery_count: u32,
    /// Deliveries that may still be sent, by whoever sends.
    pub(crate) credit: u32,
    /// The peer wants the credit used up or given back.
    pub(crate) drain: bool,
    /// Deliveries of ours are settled when sent.
    pub(crate) settled: bool,
}

/// What a link is for.
#[derive(Debug)]
pub(crate) enum LinkKind {
    /// The peer sends requests.
    Requests(Service, Partial),
    /// The peer receives answers, at an address that it chose.
    Replies(Service, Option<String>),
    /// The peer sends events.
    Producer(Producer, Partial),
    /// The peer receives events.
    Consumer(Consumer),
    /// Refused: only waits for the peer's detach.
    Refused,
}

/// Sends to a hub, or to one of its partitions.
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    pub(crate) hub: Arc<Hub>,
    pub(crate) partition: Option<u32>,
}

/// Receives from a partition.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) hub: Arc<Hub>,
    pub(crate) number: u32,
    pub(crate) partition: Arc<Partition>,
    pub(crate) reader: Arc<Reader>,
    /// The sequence number of the next delivery.
    pub(crate) next: i64,
    /// Each delivery says what the partition's last event is.
    pub(crate) runtime_metric: bool,
}

/// A delivery of which not all frames have arrived.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    pub(crate) payload: BytesMut,
    /// Set by the first frame.
    pub(crate) delivery_id: Option<u32>,
    pub(crate) format: u32,
    pub(crate) settled: bool,
}

impl Link {
    pub(crate) fn new(name: String, kind: LinkKind, path: Vec<String>) -> Self {
        Self { name, kind, path, detaching: false, delivery_count: 0, credit: 0, drain: false, settled: false }
    }

    /// Whether we send on this link.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.kind, LinkKind::Replies(..) | LinkKind::Consumer(_))
    }

    /// Gives up the place in the partition.
    pub(crate) fn release(&self) {
        if let LinkKind::Consumer(consumer) = &self.kind {
            consumer.partition.detach(&consumer.reader);
        }
    }
}
