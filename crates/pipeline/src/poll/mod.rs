//! The poll job: from a hub's partitions to batches in the queue.
//!
//! For each partition: take the lease, attach a receiver without credit, read where the hub stands, replay the plan that an
//! earlier owner left open, then receive, pack, plan, send and commit until the last event that was there at the start, or
//! the deadline. The rules are those of `docs/GUARANTEES.md` (processor, 1 to 6); [`tributary_ledger::Lease`] keeps their
//! order by type.

mod partition;
mod report;
mod share;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::debug;
use tributary_batch::MAX_BATCH_EVENTS;
use tributary_lake::Staging;

use tributary_ledger::{Ledger, PartitionKey, Policy};
use tributary_queue::Queue;
use tributary_telemetry::{Metric, Metrics};

use crate::source::{EventSource, SourceError, StartPosition};
use crate::{Clock, Stop};

pub use report::{PartitionReport, PartitionState, PollReport};

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
        let hub = self.source.hub();
        let prefix = PartitionKey::new(&hub.namespace, &hub.hub, &hub.consumer_group, "");
        match self.ledger.list(prefix.as_str()).await {
            Ok(items) => {
                let id = |key: String| key.strip_prefix(prefix.as_str()).unwrap_or_default().to_owned();
                let standing = items.into_iter().map(|(key, item)| (id(key), item)).collect();
                share::turns(partitions, &standing, &self.config.worker, self.clock.now())
            }
            Err(error) => {
                debug!("cannot see the other workers' leases, taking what is free: {error}");
                by_policy(partitions)
            }
        }
    }
}
