//! A hub in memory that can lose, trim, rebuild and displace.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tributary_batch::{Body, Event, Offset, SequenceNumber};
use tributary_pipeline::{EventSource, HubRef, PartitionReader, PartitionStatus, SourceError, StartPosition};

pub(crate) const NOW: i64 = 1_767_225_600_000;

#[derive(Debug, Clone)]
pub(crate) struct Partition {
    pub(crate) incarnation: i64,
    pub(crate) begin: i64,
    pub(crate) events: Vec<Event>,
    /// The highest epoch that read it; 0 when nobody claims it.
    pub(crate) epoch: i64,
    /// Readers with an epoch that are attached, in the consumer group `tributary`.
    pub(crate) claims: usize,
}

impl Partition {
    pub(crate) fn last(&self) -> i64 {
        self.begin + self.events.len() as i64 - 1
    }
}

/// A hub in memory, as one consumer group reads it.
#[derive(Clone)]
pub(crate) struct MemoryHub(Arc<Mutex<BTreeMap<String, Partition>>>, &'static str);

/// The group in which readers have epochs.
pub(crate) const GROUP: &str = "tributary";

impl MemoryHub {
    pub(crate) fn new(partitions: usize) -> Self {
        let empty = Partition { incarnation: 1, begin: 0, events: Vec::new(), epoch: 0, claims: 0 };
        Self(Arc::new(Mutex::new((0..partitions).map(|id| (id.to_string(), empty.clone())).collect())), GROUP)
    }

    /// The same hub as another consumer group reads it.
    pub(crate) fn in_group(&self, group: &'static str) -> Self {
        Self(Arc::clone(&self.0), group)
    }

    pub(crate) fn publish(&self, partition: &str, count: usize, bytes: usize) {
        let mut partitions = self.0.lock().unwrap();
        let partition = partitions.get_mut(partition).unwrap();
        for _ in 0..count {
            let number = partition.begin + partition.events.len() as i64;
            partition.events.push(Event {
                sequence_number: SequenceNumber(number),
                offset: Offset::new(format!("o{number}")),
                enqueued_time: NOW + number,
                partition_key: None,
                properties: Vec::new(),
                body: Body::Text(format!("{{\"n\":{number},\"pad\":\"{}\"}}", "x".repeat(bytes))),
            });
        }
    }

    pub(crate) fn change(&self, partition: &str, change: impl FnOnce(&mut Partition)) {
        change(self.0.lock().unwrap().get_mut(partition).unwrap());
    }

    pub(crate) fn trim(&self, partition: &str, begin: i64) {
        self.change(partition, |partition| {
            let gone = (begin - partition.begin) as usize;
            partition.events.drain(..gone.min(partition.events.len()));
            partition.begin = begin;
        });
    }
}

struct Reader {
    hub: MemoryHub,
    partition: String,
    next: i64,
    /// `None` for a reader without a claim.
    epoch: Option<i64>,
}

impl Reader {
    fn state(&self) -> Result<Partition, SourceError> {
        let state = self.hub.0.lock().unwrap()[&self.partition].clone();
        let displaced = match self.epoch {
            Some(epoch) => state.epoch > epoch,
            None => self.hub.1 == GROUP && state.claims > 0,
        };
        if displaced {
            return Err(SourceError::Displaced { context: self.partition.clone() });
        }
        Ok(state)
    }
}

#[async_trait]
impl EventSource for MemoryHub {
    fn hub(&self) -> HubRef {
        HubRef { namespace: "ns.example".into(), hub: "hub".into(), consumer_group: self.1.into() }
    }

    async fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    async fn open(
        &self,
        partition: &str,
        start: StartPosition,
        epoch: i64,
    ) -> Result<Box<dyn PartitionReader>, SourceError> {
        let mut partitions = self.0.lock().unwrap();
        let state = partitions.get_mut(partition).unwrap();
        assert_eq!(self.1, GROUP);
        if epoch < state.epoch {
            return Err(SourceError::Displaced { context: partition.to_owned() });
        }
        state.epoch = epoch;
        state.claims += 1;
        let next = first(state, &start);
        Ok(Box::new(Reader { hub: self.clone(), partition: partition.to_owned(), next, epoch: Some(epoch) }))
    }

    async fn open_shared(
        &self,
        partition: &str,
        start: StartPosition,
    ) -> Result<Box<dyn PartitionReader>, SourceError> {
        let next = first(&self.0.lock().unwrap()[partition], &start);
        let reader = Reader { hub: self.clone(), partition: partition.to_owned(), next, epoch: None };
        reader.state()?;
        Ok(Box::new(reader))
    }

    async fn status(&self, partition: &str) -> Result<PartitionStatus, SourceError> {
        Ok(status(&self.0.lock().unwrap()[partition]))
    }

    async fn close(&self) -> Result<(), SourceError> {
        Ok(())
    }
}

#[async_trait]
impl PartitionReader for Reader {
    async fn status(&mut self) -> Result<PartitionStatus, SourceError> {
        Ok(status(&self.state()?))
    }

    async fn next(&mut self, _wait: Duration) -> Result<Vec<Event>, SourceError> {
        // As a connection does: another worker's turn may come.
        tokio::task::yield_now().await;
        let state = self.state()?;
        let wanted = state.events.iter().filter(|event| event.sequence_number.0 >= self.next);
        let events: Vec<Event> = wanted.take(300).cloned().collect();
        if let Some(event) = events.last() {
            self.next = event.sequence_number.0 + 1;
        }
        Ok(events)
    }

    async fn close(self: Box<Self>) -> Result<(), SourceError> {
        self.hub.change(&self.partition, |partition| partition.claims -= usize::from(self.epoch.is_some()));
        Ok(())
    }
}

/// The number that a reader gives first.
fn first(state: &Partition, start: &StartPosition) -> i64 {
    match start {
        StartPosition::Earliest => state.begin,
        StartPosition::Latest => state.last() + 1,
        StartPosition::Sequence { number, inclusive } => number + i64::from(!inclusive),
        StartPosition::EnqueuedTime(time) => {
            let after = state.events.iter().find(|event| event.enqueued_time > *time);
            after.map_or(state.last() + 1, |event| event.sequence_number.0)
        }
        other @ StartPosition::Offset { .. } => panic!("{other:?}"),
    }
}

fn status(state: &Partition) -> PartitionStatus {
    PartitionStatus {
        incarnation: state.incarnation,
        begin: state.begin,
        last: state.last(),
        last_enqueued_time: state.events.last().map(|event| event.enqueued_time),
    }
}
