//! The poll job: from a hub's partitions to batches in the queue.
//!
//! For each partition: take the lease, attach a receiver without credit, read where the hub stands, replay the plan that an
//! earlier owner left open, then receive, pack, plan, send and commit until the last event that was there at the start, or
//! the deadline. The rules are those of `docs/GUARANTEES.md` (processor, 1 to 6); [`tributary_ledger::Lease`] keeps their
//! order by type.

mod partition;
mod report;
mod share;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::debug;
use tributary_batch::MAX_BATCH_EVENTS;
use tributary_lake::Staging;

use tributary_ledger::{
    Item, Lease, LeaseRequest, Ledger, LedgerError, PartitionKey, Policy, ProtocolError, worker_of,
};
use tributary_queue::Queue;
use tributary_telemetry::{Metric, Metrics};

use crate::mark::attempt;
use crate::source::{EventSource, SourceError, StartPosition};
use crate::{Clock, Stop};

pub use report::{PartitionReport, PartitionState, PollReport};

/// Why leases could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// The hub's partitions cannot be listed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A lease cannot be taken or given up.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What a deployment chooses for polling.
#[derive(Debug, Clone)]
pub struct PollConfig {
    /// The integration's instance id (`MODULE_ID`).
    pub module: String,
    /// Names this worker in the ledger; an attempt appends its own mark.
    pub worker: String,
    /// Where a partition without a position starts.
    pub initial_position: StartPosition,
    /// Whether a running lease is respected (workers that share) or displaced (the newest invocation wins).
    pub policy: Policy,
    /// Whether this worker keeps to its share of the partitions and takes it from whoever has more. Otherwise it tries all of them,
    /// each by [`policy`](Self::policy).
    pub share: bool,
    /// How long a lease holds without a write.
    pub lease: Duration,
    /// How long a ledger item lives without a run: at least the hub's retention.
    pub time_to_live: Duration,
    /// Partitions that are read at once. Each may hold one batch (8 MiB) beside the receiver's own budget.
    pub parallel: usize,
    /// Kept free at the end of a run for the last send and commit.
    pub reserve: Duration,
    /// Events of a batch, at most the contract's 2,000.
    pub batch_events: usize,
}

impl PollConfig {
    /// The defaults for an instance: earliest, displace, leases of 2 minutes, items of 7 days, 8 partitions at once.
    pub fn new(module: impl Into<String>, worker: impl Into<String>) -> Self {
        Self {
            module: module.into(),
            worker: worker.into(),
            initial_position: StartPosition::Earliest,
            policy: Policy::Displace,
            share: false,
            lease: Duration::from_secs(120),
            time_to_live: Duration::from_secs(168 * 3_600),
            parallel: 8,
            reserve: Duration::from_secs(10),
            batch_events: MAX_BATCH_EVENTS,
        }
    }
}

/// The job with everything it needs.
#[derive(Clone)]
pub struct Poll {
    /// The hub.
    pub source: Arc<dyn EventSource>,
    /// Where partitions stand.
    pub ledger: Arc<dyn Ledger>,
    /// Where batches go.
    pub queue: Arc<dyn Queue>,
    /// Where batches go that are larger than a message.
    pub staging: Staging,
    /// What is counted.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// When to end early.
    pub stop: Stop,
    /// Choices.
    pub config: PollConfig,
}

impl Poll {
    /// Reads every partition up to the last event that was there when its turn came, or until `budget` is used up.
    ///
    /// A partition that fails does not hold up the others: its failure stands in the report.
    ///
    /// # Errors
    /// When the hub's partitions cannot be listed.
    pub async fn run(&self, budget: Duration) -> Result<PollReport, SourceError> {
        let deadline = Instant::now() + budget.saturating_sub(self.config.reserve);
        let mut partitions = self.source.partitions().await.inspect_err(|error| {
            if error.is_denied() {
                self.metrics.count(Metric::AccessDenied, 1);
            }
        })?;
        // When time runs out before the last partition's turn, it is another one's each time.
        if !partitions.is_empty() {
            let turn = usize::try_from(self.clock.now().rem_euclid(1 << 31) / 1_000).unwrap_or(0);
            let count = partitions.len();
            partitions.rotate_left(turn % count);
        }
        let turns = self.turns(partitions).await;
        let runs = turns.into_iter().map(|(partition, policy)| partition::run(self, partition, policy, deadline));
        let mut reports: Vec<PartitionReport> =
            futures_util::stream::iter(runs).buffer_unordered(self.config.parallel.max(1)).collect().await;
        reports.sort_by(|a, b| (a.partition.len(), &a.partition).cmp(&(b.partition.len(), &b.partition)));
        Ok(PollReport { partitions: reports })
    }

    /// The partitions to try, in order, each with whether a running lease is respected.
    async fn turns(&self, partitions: Vec<String>) -> Vec<(String, Policy)> {
        let by_policy = |partitions: Vec<String>| {
            partitions.into_iter().map(|partition| (partition, self.config.policy)).collect::<Vec<_>>()
        };
        if !self.config.share {
            return by_policy(partitions);
        }
        match self.standing(&partitions).await {
            Ok(standing) => share::turns(partitions, &standing, &self.config.worker, self.clock.now()),
            Err(error) => {
                debug!("cannot see the other workers' leases, taking what is free: {error}");
                by_policy(partitions)
            }
        }
    }

    /// What the ledger says of these partitions, each read by its key: the table may hold many other items.
    async fn standing(&self, partitions: &[String]) -> Result<BTreeMap<String, Item>, LedgerError> {
        let mut standing = BTreeMap::new();
        for some in partitions.chunks(self.config.parallel.max(1)) {
            let keys: Vec<PartitionKey> = some.iter().map(|partition| self.key(partition)).collect();
            let items = futures_util::future::try_join_all(keys.iter().map(|key| self.ledger.read(key))).await?;
            standing.extend(some.iter().zip(items).filter_map(|(partition, item)| Some((partition.clone(), item?))));
        }
        Ok(standing)
    }

    fn key(&self, partition: &str) -> PartitionKey {
        let hub = self.source.hub();
        PartitionKey::new(&hub.namespace, &hub.hub, &hub.consumer_group, partition)
    }

    /// Gives up the leases that a sharing worker keeps between its runs, so that others need not wait until they end.
    ///
    /// # Errors
    /// When the hub or the ledger does not answer: the leases run out by themselves.
    pub async fn leave(&self) -> Result<(), LeaveError> {
        let partitions = self.source.partitions().await?;
        for (partition, item) in self.standing(&partitions).await? {
            let now = self.clock.now();
            if worker_of(&item.owner) != self.config.worker || item.lease_expires_at <= now {
                continue;
            }
            let request = self.lease_request(Policy::WhenFree);
            let lease = Lease::take(Arc::clone(&self.ledger), self.key(&partition), &request).await;
            if let Some(lease) = lease.map_err(ProtocolError::from)? {
                lease.release(self.clock.now()).await?;
            }
        }
        Ok(())
    }

    fn lease_request(&self, policy: Policy) -> LeaseRequest {
        LeaseRequest {
            owner: format!("{}/{}", self.config.worker, attempt()),
            now: self.clock.now(),
            duration: millis(self.config.lease),
            time_to_live: millis(self.config.time_to_live),
            policy,
        }
    }
}
