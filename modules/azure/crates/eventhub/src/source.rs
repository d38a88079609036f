//! The source: one hub as one consumer group reads it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tributary_pipeline::{EventSource, HubRef, PartitionReader, PartitionStatus, SourceError, StartPosition};

use crate::attach::Attachment;
use crate::budget::ByteBudget;
use crate::builder::EventHubBuilder;
use crate::connection::{Connector, Live};
use crate::failure::Failure;
use crate::link::LinkSpec;
use crate::management::{HubProperties, PartitionProperties};
use crate::reader::Reader;

/// A hub that is read partition by partition. All readers share one connection and one byte budget.
#[derive(Debug)]
pub struct EventHubSource {
    connector: Arc<Connector>,
    consumer_group: String,
    receiver_name: String,
    budget: ByteBudget,
    /// Ids of the partitions, as last read.
    known: Mutex<Vec<String>>,
}

impl EventHubSource {
    /// A builder; finish it with [`EventHubBuilder::build_source`].
    pub fn builder() -> EventHubBuilder {
        EventHubBuilder::new()
    }

    pub(crate) fn new(
        connector: Arc<Connector>,
        consumer_group: String,
        receiver_name: String,
        budget: ByteBudget,
    ) -> Self {
        Self { connector, consumer_group, receiver_name, budget, known: Mutex::default() }
    }

    fn context(&self) -> String {
        let settings = self.connector.settings();
        format!("hub {} of {}", settings.hub, settings.endpoint.host)
    }

    fn partition_context(&self, partition: &str) -> String {
        format!("partition {partition} of {}, consumer group {}", self.context(), self.consumer_group)
    }

    /// The partitions' ids, read again only if `partition` is not among those known.
    async fn partitions_with(&self, partition: &str) -> Result<Vec<String>, SourceError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.iter().any(|known| known == partition) { Ok(known) } else { self.partitions().await }
    }

    /// Attaches a receiver, with an epoch or without a claim.
    async fn attach(
        &self,
        partition: &str,
        start: StartPosition,
        epoch: Option<i64>,
    ) -> Result<Box<dyn PartitionReader>, SourceError> {
        let context = self.partition_context(partition);
        let partitions = self.partitions_with(partition).await?;
        if !partitions.iter().any(|known| known == partition) {
            let detail = format!("the hub has no such partition; it has {}", partitions.join(", "));
            return Err(SourceError::Fatal { context, detail });
        }
        // A reader at the end that has not received anything yet must not lose what arrives while it reconnects: the
        // end is pinned to a number now.
        let start = match start {
            StartPosition::Latest => {
                let last = self.partition_properties(partition).await?.last;
                StartPosition::Sequence { number: last, inclusive: false }
            }
            start => start,
        };
        let group = &self.consumer_group;
        let spec = LinkSpec {
            address: format!("{}/ConsumerGroups/{group}/Partitions/{partition}", self.connector.settings().hub),
            receiver_name: format!("{}-{partition}", self.receiver_name),
            epoch,
            share: self.budget.share(partitions.len()),
        };
        let attachment =
            Attachment { connector: Arc::clone(&self.connector), spec, partition: partition.to_owned(), context };
        match attachment.start(start.clone(), None, Duration::ZERO, None).link().await {
            Ok(attached) => {
                let (under_way, held) = (self.budget.reservation(), self.budget.reservation());
                Ok(Box::new(Reader::new(attachment, attached, start, under_way, held)))
            }
            Err(failure) => Err(failure.in_context(&attachment.context)),
        }
    }

    /// Bytes that arrived on all connections so far.
    pub fn bytes_received(&self) -> u64 {
        self.connector.settings().wire_bytes.load(Ordering::Relaxed)
    }

    /// How many connections were opened so far: more than one after a loss.
    pub fn connections_opened(&self) -> u64 {
        self.connector.opened()
    }

    /// Bytes of the budget that are reserved now, for events under way and events held.
    pub fn budget_used(&self) -> usize {
        self.budget.used()
    }

    /// The hub's properties, read now.
    ///
    /// # Errors
    /// As [`EventSource::partitions`].
    pub async fn hub_properties(&self) -> Result<HubProperties, SourceError> {
        let read = self.connector.retrying(None, |live: Arc<Live>| async move { live.hub_properties().await });
        read.await.map_err(|failure| failure.in_context(&self.context()))
    }

    /// A partition's properties, read now.
    ///
    /// # Errors
    /// As [`EventSource::partitions`]; an unknown partition is fatal.
    pub async fn partition_properties(&self, partition: &str) -> Result<PartitionProperties, SourceError> {
        let read =
            self.connector.retrying(None, |live: Arc<Live>| async move { live.partition_properties(partition).await });
        read.await.map_err(|failure| failure.in_context(&self.partition_context(partition)))
    }
}

#[async_trait]
impl EventSource for EventHubSource {
    fn hub(&self) -> HubRef {
        let settings = self.connector.settings();
        HubRef {
            namespace: settings.endpoint.host.clone(),
            hub: settings.hub.clone(),
            consumer_group: self.consumer_group.clone(),
        }
    }

    async fn partitions(&self) -> Result<Vec<String>, SourceError> {
        let partitions = self.hub_properties().await?.partitions;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&partitions);
        Ok(partitions)
    }

    async fn open(
        &self,
        partition: &str,
        start: StartPosition,
        epoch: i64,
    ) -> Result<Box<dyn PartitionReader>, SourceError> {
        self.attach(partition, start, Some(epoch)).await
    }

    async fn open_shared(
        &self,
        partition: &str,
        start: StartPosition,
    ) -> Result<Box<dyn PartitionReader>, SourceError> {
        self.attach(partition, start, None).await
    }

    async fn status(&self, partition: &str) -> Result<PartitionStatus, SourceError> {
        let hub = self.hub_properties().await?;
        let partition = self.partition_properties(partition).await?;
        Ok(PartitionStatus {
            incarnation: hub.created_at,
            begin: partition.begin,
            last: partition.last,
            last_enqueued_time: partition.last_enqueued_time,
        })
    }

    async fn close(&self) -> Result<(), SourceError> {
        self.connector.close().await.map_err(|failure: Failure| failure.in_context(&self.context()))
    }
}
