//! Hubs: partitions, consumer groups, and the handles by which a test fills and watches them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::timeout;

use crate::{
    Error, Event, PartitionStats, ReaderInfo, StoredEvent,
    event::{Incoming, from_millis, to_millis},
    key_hash, lock,
    partition::Partition,
};

/// The consumer group that every hub has.
pub const DEFAULT_CONSUMER_GROUP: &str = "$Default";

/// How a hub is made.
#[derive(Clone, Debug)]
pub struct HubConfig {
    name: String,
    partitions: u32,
    consumer_groups: Vec<String>,
    created_at: Option<SystemTime>,
    retention_bytes: Option<usize>,
}

impl HubConfig {
    /// A hub with this many partitions, named `0`, `1` and so on, and the consumer group `$Default`.
    pub fn new(name: impl Into<String>, partitions: u32) -> Self {
        Self {
            name: name.into(),
            partitions,
            consumer_groups: vec![DEFAULT_CONSUMER_GROUP.to_owned()],
            created_at: None,
            retention_bytes: None,
        }
    }

    /// Adds a consumer group.
    #[must_use]
    pub fn consumer_group(mut self, name: impl Into<String>) -> Self {
        self.consumer_groups.push(name.into());
        self
    }

    /// Sets the time of creation, which otherwise is now.
    #[must_use]
    pub fn created_at(mut self, time: SystemTime) -> Self {
        self.created_at = Some(time);
        self
    }

    /// Keeps at most this many encoded bytes in each partition (the newest event always stays). Without it nothing
    /// is dropped, and memory grows.
    #[must_use]
    pub fn retention_bytes(mut self, bytes: usize) -> Self {
        self.retention_bytes = Some(bytes);
        self
    }
}

/// A hub.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) name: String,
    pub(crate) partitions: Vec<Arc<Partition>>,
    consumer_groups: Vec<String>,
    created_at_ms: Mutex<i64>,
    next_partition: AtomicUsize,
}

impl Hub {
    fn new(config: HubConfig) -> Result<Self, Error> {
        if config.partitions == 0 {
            return Err(Error::InvalidHub { hub: config.name, reason: "a hub needs at least one partition" });
        }
        Ok(Self {
            partitions: (0..config.partitions).map(|_| Arc::new(Partition::new(config.retention_bytes))).collect(),
            consumer_groups: config.consumer_groups,
            created_at_ms: Mutex::new(to_millis(config.created_at.unwrap_or_else(SystemTime::now))),
            next_partition: AtomicUsize::new(0),
            name: config.name,
        })
    }

    /// The configured spelling of a consumer group; names are compared without case.
    pub(crate) fn consumer_group(&self, name: &str) -> Option<&str> {
        self.consumer_groups.iter().map(String::as_str).find(|group| group.eq_ignore_ascii_case(name))
    }

    pub(crate) fn created_at_ms(&self) -> i64 {
        *lock(&self.created_at_ms)
    }

    /// The partition for an event that names none: by key, else in turn.
    pub(crate) fn place(&self, key: Option<&str>) -> u32 {
        let count = self.partitions.len();
        match key {
            Some(key) => key_hash::partition_of(key, count as u32),
            None => (self.next_partition.fetch_add(1, Ordering::Relaxed) % count) as u32,
        }
    }

    pub(crate) fn partition(&self, number: u32) -> Option<&Arc<Partition>> {
        self.partitions.get(number as usize)
    }

    pub(crate) fn rebuild(&self) {
        {
            let mut created_at = lock(&self.created_at_ms);
            // Two incarnations never share a time of creation, whatever the clock says.
            *created_at = to_millis(SystemTime::now()).max(*created_at + 1);
        }
        self.partitions.iter().for_each(|partition| partition.rebuild());
    }
}

/// Every hub of the emulator, by its name in lower case.
#[derive(Debug)]
pub(crate) struct Hubs(HashMap<String, Arc<Hub>>);

impl Hubs {
    pub(crate) fn new(configs: Vec<HubConfig>) -> Result<Self, Error> {
        let mut hubs = HashMap::new();
        for config in configs {
            let hub = Arc::new(Hub::new(config)?);
            if let Some(twin) = hubs.insert(hub.name.to_lowercase(), hub) {
                return Err(Error::InvalidHub { hub: twin.name.clone(), reason: "two hubs have this name" });
            }
        }
        Ok(Self(hubs))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Hub>> {
        self.0.get(&name.to_lowercase())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|hub| hub.name.as_str())
    }
}

/// A hub, seen from the process that runs the emulator.
#[derive(Clone, Debug)]
pub struct HubHandle {
    pub(crate) hub: Arc<Hub>,
}

impl HubHandle {
    /// The hub's name.
    pub fn name(&self) -> &str {
        &self.hub.name
    }

    /// When the hub was created, or last rebuilt. Resolution: ms.
    pub fn created_at(&self) -> SystemTime {
        from_millis(self.hub.created_at_ms())
    }

    /// How many partitions it has.
    pub fn partition_count(&self) -> u32 {
        self.hub.partitions.len() as u32
    }

    /// Publishes one event to a partition and returns its sequence number.
    ///
    /// # Errors
    /// No such partition.
    pub fn publish(&self, partition: u32, event: impl Into<Event>) -> Result<i64, Error> {
        self.publish_all(partition, [event.into()])
    }

    /// Publishes events to a partition in one step and returns the last sequence number.
    ///
    /// # Errors
    /// No such partition.
    pub fn publish_all(&self, partition: u32, events: impl IntoIterator<Item = Event>) -> Result<i64, Error> {
        let partition = self.partition(partition)?;
        // Encoded before the partition is locked.
        let events: Vec<Incoming> = events.into_iter().map(Event::encode).collect();
        Ok(partition.partition.append(events))
    }

    /// Publishes one event as a client that names no partition does: by its key, else in turn.
    /// Returns the partition and the sequence number.
    pub fn send(&self, event: impl Into<Event>) -> (u32, i64) {
        let event = event.into();
        let number = self.hub.place(event.key());
        let sequence_number = self.hub.partition(number).map_or(-1, |partition| partition.append([event.encode()]));
        (number, sequence_number)
    }

    /// A partition.
    ///
    /// # Errors
    /// No such partition.
    pub fn partition(&self, number: u32) -> Result<PartitionHandle, Error> {
        let partition = self.hub.partition(number).cloned().ok_or_else(|| Error::NoSuchPartition {
            hub: self.hub.name.clone(),
            partition: number,
            count: self.partition_count(),
        })?;
        Ok(PartitionHandle { partition })
    }
}

/// A partition, seen from the process that runs the emulator.
#[derive(Clone, Debug)]
pub struct PartitionHandle {
    partition: Arc<Partition>,
}

impl PartitionHandle {
    /// What the partition holds.
    pub fn stats(&self) -> PartitionStats {
        self.partition.stats()
    }

    /// Every event that is still there, oldest first. The bodies are shared, not copied.
    pub fn events(&self) -> Vec<StoredEvent> {
        self.partition.events()
    }

    /// Who is attached.
    pub fn readers(&self) -> Vec<ReaderInfo> {
        self.partition.readers()
    }

    /// Waits until an event with at least this sequence number was enqueued. Returns false if `limit` passes first.
    pub async fn wait_for(&self, sequence_number: i64, limit: Duration) -> bool {
        let mut last = self.partition.watch_last();
        matches!(timeout(limit, last.wait_for(|last| *last >= sequence_number)).await, Ok(Ok(_)))
    }
}
