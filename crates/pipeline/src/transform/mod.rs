//! The transform job: from messages in the queue to objects in the lake and in quarantine.
//!
//! For each message: read the batch, map its records, hand on its notifications and findings, stage the whole outcome create-only, publish
//! from what is staged (this attempt's outcome or an earlier one's), send its trail events, delete the message last (`docs/GUARANTEES.md`,
//! transformer, rules 8 and 10). A message that fails stays: the queue delivers it again, and after several times puts it among its dead
//! letters.

mod again;
mod notifications;
mod outcome;
mod trail;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use tributary_batch::envelope::{self, Decoded, EnvelopeError, Foreign};
use tributary_batch::{Batch, BatchId};
use tributary_delivery::{Failure, SinkError};
use tributary_lake::{Counts, Publisher, Staged, Staging, StoreError};
use tributary_mapping::asff::Finding;
use tributary_mapping::cloudtrail::AuditEvent;
use tributary_mapping::{Destination, parse_timestamp};
use tributary_queue::{Message, Queue, QueueError};
use tributary_telemetry::{Metric, Metrics};

use crate::{Clock, Stop, import};

pub use trail::Trail;

pub use again::Again;
pub use outcome::{Derived, Input, InputBody, InputEvent, Made, TransformError, Transformer};

/// Messages that one receive may bring.
const RECEIVE: usize = 10;

/// Why a message was not delivered. It stays in the queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The message is no batch that this version can read.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The batch's claim is gone.
    #[error("batch {batch}: its claim {key} is not in the staging store; read its range again with `tributary replay`")]
    ClaimGone {
        /// The batch.
        batch: BatchId,
        /// The claim.
        key: String,
    },
    /// The outcome cannot be made.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue of notifications failed.
    #[error("the queue of flow log notifications: {0}")]
    Notify(#[from] QueueError),
    /// The queue of findings failed.
    #[error("the queue of findings: {0}")]
    Findings(QueueError),
    /// Trail events were not accepted.
    #[error("batch {batch}: {error}")]
    Trail {
        /// The batch; it is in the lake.
        batch: BatchId,
        /// Why.
        error: SinkError,
    },
    /// The mapping's thread ended.
    #[error("batch {batch}: mapping ended early ({detail}); nothing of it was written")]
    Ended {
        /// The batch.
        batch: BatchId,
        /// How.
        detail: String,
    },
}

impl DeliverError {
    /// Whether a permission is missing (metric `AccessDenied`).
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Store(StoreError::Denied { .. }) => true,
            Self::Notify(error) | Self::Findings(error) => error.is_denied(),
            Self::Trail { error, .. } => error.failure == Failure::Denied,
            _ => false,
        }
    }
}

/// What a deployment chooses for transforming.
#[derive(Debug, Clone)]
pub struct TransformConfig {
    /// The integration's instance id, for input that names none.
    pub module: String,
    /// How long a received message stays with this worker; extended while it works.
    pub visibility: Duration,
    /// Messages worked on at once. Each takes a core and some tens of MB, about ten times its batch's size.
    pub parallel: usize,
}

impl TransformConfig {
    /// The defaults: two minutes, one message: it keeps a run from hub to lake well under 300 MB at 16,000 records/s and
    /// more (`docs/PERFORMANCE.md`).
    pub fn new(module: impl Into<String>) -> Self {
        Self { module: module.into(), visibility: Duration::from_secs(120), parallel: 1 }
    }
}

/// Findings on their way to Security Hub.
#[derive(Clone)]
pub struct Findings {
    /// Where they wait for [`ImportFindings`](crate::ImportFindings).
    pub queue: Arc<dyn Queue>,
    /// The account and region whose Security Hub imports them.
    pub destination: Destination,
}

/// The job with everything it needs.
#[derive(Clone)]
pub struct Transform {
    /// Where batches come from.
    pub queue: Arc<dyn Queue>,
    /// Where outcomes are staged, and claims lie.
    pub staging: Staging,
    /// Where they are published.
    pub publisher: Publisher,
    /// How they are made.
    pub transformer: Arc<Transformer>,
    /// Where notifications of flow log blobs go; to quarantine without it.
    pub flow_logs: Option<Arc<dyn Queue>>,
    /// Where findings go beside the lake.
    pub findings: Option<Findings>,
    /// Where every event goes beside the lake.
    pub trail: Option<Trail>,
    /// What is counted.
    pub metrics: Metrics,
    /// The time, for input that brings none.
    pub clock: Clock,
    /// When to end early.
    pub stop: Stop,
    /// Choices.
    pub config: TransformConfig,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The batch.
    pub batch: BatchId,
    /// Whether an earlier attempt's outcome was published.
    pub earlier: bool,
    /// Events, and records by fate.
    pub counts: Counts,
    /// Objects written now; those of an earlier attempt are not among them.
    pub objects: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Rows in the lake by `class_uid`.
    pub classes: BTreeMap<i32, u64>,
    /// Findings put into their queue by this attempt.
    pub findings: u64,
    /// Trail events accepted in this attempt.
    pub trail: u64,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransformReport {
    /// Messages delivered and deleted.
    pub delivered: u64,
    /// Messages that failed and stay.
    pub failed: u64,
    /// Records mapped by this run.
    pub mapped: u64,
    /// Records quarantined by this run.
    pub quarantined: u64,
    /// Records handed on as notifications by this run.
    pub routed: u64,
    /// Records left out by this run.
    pub skipped: u64,
    /// Findings put into their queue by this run.
    pub findings: u64,
    /// Trail events accepted in this run.
    pub trail: u64,
    /// Records mapped by this run, by `class_uid`.
    pub classes: BTreeMap<i32, u64>,
    /// The last failure.
    pub failure: Option<String>,
}

impl TransformReport {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.mapped += other.mapped;
        self.quarantined += other.quarantined;
        self.routed += other.routed;
        self.skipped += other.skipped;
        self.findings += other.findings;
        self.trail += other.trail;
        for (class, rows) in &other.classes {
            *self.classes.entry(*class).or_default() += rows;
        }
        self.failure = other.failure.clone().or_else(|| self.failure.take());
    }
}

impl Transform {
    /// Receives once, waiting up to `wait`, and delivers what came.
    ///
    /// # Errors
    /// When the queue fails. A message that fails is counted in the report.
    pub async fn run(&self, wait: Duration) -> Result<TransformReport, QueueError> {
        // As many messages as are worked on at once, so that none waits here while another worker is idle.
        let most = self.config.parallel.clamp(1, RECEIVE);
        let messages = self.queue.receive(most, self.config.visibility, wait).await?;
        let deliveries = futures_util::stream::iter(messages).map(|message| self.settle(message));
        let reports: Vec<TransformReport> = deliveries.buffer_unordered(most).collect().await;
        let mut report = TransformReport::default();
        reports.iter().for_each(|one| report.add(one));
        Ok(report)
    }

    /// Runs until the queue is empty, or `budget` is used up. Messages that failed are waited for until they come back or
    /// become dead letters.
    ///
    /// # Errors
    /// When the queue fails.
    pub async fn drain(&self, budget: Duration) -> Result<TransformReport, QueueError> {
        let deadline = Instant::now() + budget;
        let mut report = TransformReport::default();
        loop {
            let came = self.run(Duration::from_millis(200)).await?;
            report.add(&came);
            if self.stop.is_set() || Instant::now() >= deadline {
                return Ok(report);
            }
            // A remote queue's counts are some seconds old, and each is a request: only a receive that finds nothing says
            // that nothing is there, and the counts whether something will come back.
            if came.delivered + came.failed > 0 {
                continue;
            }
            let counts = self.queue.counts().await?;
            if counts.visible == 0 && counts.in_flight == 0 {
                return Ok(report);
            }
        }
    }

    /// Delivers one message and deletes it, extending its visibility meanwhile.
    async fn settle(&self, message: Message) -> TransformReport {
        let delivered = tokio::select! {
            delivered = self.deliver(&message.body, &message.id) => delivered,
            never = self.hold(&message) => match never {},
        };
        let failed = |detail: String| {
            self.metrics.count(Metric::DeliveryErrors, 1);
            warn!(message = %message.id, attempt = message.receive_count, "{detail}; the queue delivers it again");
            TransformReport { failed: 1, failure: Some(detail), ..TransformReport::default() }
        };
        match delivered {
            Err(error) => {
                if error.is_denied() {
                    self.metrics.count(Metric::AccessDenied, 1);
                }
                failed(error.to_string())
            }
            Ok(delivered) => match self.queue.delete(&message.receipt).await {
                // It comes again, and finds its outcome staged.
                Err(error) => failed(error.to_string()),
                Ok(()) => {
                    let new = u64::from(!delivered.earlier);
                    TransformReport {
                        delivered: 1,
                        mapped: new * delivered.counts.mapped,
                        quarantined: new * delivered.counts.quarantined,
                        routed: new * delivered.counts.routed,
                        skipped: new * delivered.counts.skipped,
                        findings: delivered.findings,
                        trail: delivered.trail,
                        classes: if delivered.earlier { BTreeMap::new() } else { delivered.classes },
                        ..TransformReport::default()
                    }
                }
            },
        }
    }

    /// Keeps a message hidden for as long as this is polled: early enough that one failure does no harm, and beside the
    /// work, which a slow queue must not hold up.
    async fn hold(&self, message: &Message) -> Infallible {
        loop {
            tokio::time::sleep(self.config.visibility / 3).await;
            if let Err(error) = self.queue.extend(&message.receipt, self.config.visibility).await {
                debug!(message = %message.id, "cannot extend its visibility: {error}");
            }
        }
    }

    /// Delivers one message's batch: everything but deleting the message.
    ///
    /// # Errors
    /// When something failed; what was written by then is found again by the next attempt.
    pub async fn deliver(&self, body: &str, message_id: &str) -> Result<Delivered, DeliverError> {
        let made = match envelope::decode(body, message_id)? {
            Decoded::Batch(batch) => self.map_batch(batch).await?,
            Decoded::Claim(claim) => {
                let (batch, key) = (claim.header().id(), claim.key().to_owned());
                let bytes = self.staging.get_claim(&key).await?;
                let bytes = bytes.ok_or(DeliverError::ClaimGone { batch, key })?;
                self.map_batch(claim.open(&bytes)?).await?
            }
            Decoded::Foreign(foreign) => self.map_foreign(foreign).await?,
        };
        let findings = self.hand_on(&made).await?;
        let (outcome, earlier) = match self.staging.stage(&made.outcome).await? {
            Staged::New => {
                self.count(&made);
                (made.outcome, false)
            }
            Staged::Earlier(earlier) => (*earlier, true),
        };
        let published = self.publisher.publish(&outcome).await?;
        self.metrics.count(Metric::ObjectsWritten, published.objects);
        self.metrics.count(Metric::BytesWritten, published.bytes);
        let manifest = outcome.manifest();
        let counts = manifest.counts;
        info!(batch = %manifest.batch, records = counts.records, mapped = counts.mapped, quarantined = counts.quarantined,
            routed = counts.routed, skipped = counts.skipped, objects = published.objects, findings, earlier, "batch published");
        // Last: the lake has the batch whatever this service does.
        let batch = manifest.batch.clone();
        let trail = self.send_trail(&batch, made.trail).await?;
        let mut classes = BTreeMap::new();
        for group in &manifest.groups {
            if let Some(class) = group.class {
                *classes.entry(class).or_default() += group.rows;
            }
        }
        let (objects, bytes) = (published.objects, published.bytes);
        Ok(Delivered { batch, earlier, counts, objects, bytes, classes, findings, trail })
    }

    /// What goes to other queues: notifications and findings, and how many of these there are. At every attempt, and before
    /// the outcome says that it is done: an attempt that finds it staged may route and find differently, by other maps or
    /// for want of a queue.
    pub(crate) async fn hand_on(&self, made: &Made) -> Result<u64, DeliverError> {
        if let Some(queue) = &self.flow_logs {
            notifications::send(queue.as_ref(), made.routed.iter().map(|(_, message)| message.as_str())).await?;
        }
        let Some(Findings { queue, .. }) = &self.findings else { return Ok(0) };
        let messages = import::messages(&made.outcome.manifest().batch, made.findings.iter().map(Finding::json));
        queue.send_all(&messages).await.map_err(DeliverError::Findings)?;
        Ok(made.findings.len() as u64)
    }

    /// Sends an attempt's trail events; returns how many there are.
    pub(crate) async fn send_trail(&self, batch: &BatchId, events: Vec<AuditEvent>) -> Result<u64, DeliverError> {
        match &self.trail {
            Some(trail) => trail.send(batch, events, &self.metrics).await,
            None => Ok(0),
        }
    }

    pub(crate) async fn map_batch(&self, batch: Batch) -> Result<Made, DeliverError> {
        self.on_a_thread(batch.id(), move |transformer, wanted| {
            transformer.outcome(&Input::batch(&batch).deriving(wanted.derived()))
        })
        .await
    }

    /// Foreign input has no hub's word on when it came: a record without a time of its own is refused.
    async fn map_foreign(&self, foreign: Foreign) -> Result<Made, DeliverError> {
        let (module, now) = (self.config.module.clone(), self.clock.now());
        self.on_a_thread(foreign.id.clone(), move |transformer, wanted| {
            let enqueued_time = foreign.event.enqueued_time.as_deref().and_then(parse_timestamp);
            let event = InputEvent {
                uid: foreign.id.to_string(),
                enqueued_time,
                filed_time: enqueued_time.unwrap_or(now),
                position: serde_json::json!({"messageId": foreign.message_id, "enqueuedTime": enqueued_time}),
                body: InputBody::Text(&foreign.event.body),
            };
            transformer.outcome(&Input::new(foreign.id.clone(), &module, vec![event]).deriving(wanted.derived()))
        })
        .await
    }

    /// Mapping takes tens of milliseconds of a core: not on the threads that serve connections.
    pub(crate) async fn on_a_thread(
        &self,
        batch: BatchId,
        work: impl FnOnce(&Transformer, &Wanted) -> Result<Made, TransformError> + Send + 'static,
    ) -> Result<Made, DeliverError> {
        let transformer = Arc::clone(&self.transformer);
        let wanted = Wanted {
            routes: self.flow_logs.is_some(),
            findings: self.findings.as_ref().map(|findings| findings.destination.clone()),
            trail: self.trail.as_ref().map(|trail| trail.destination.clone()),
        };
        let done = tokio::task::spawn_blocking(move || work(&transformer, &wanted)).await;
        Ok(done.map_err(|error| DeliverError::Ended { batch, detail: error.to_string() })??)
    }

    pub(crate) fn count(&self, made: &Made) {
        let record = |metric, counts: &BTreeMap<String, u64>| {
            counts.iter().for_each(|(label, count)| self.metrics.record(metric, label, *count));
        };
        record(Metric::RecordsMapped, &made.mapped);
        record(Metric::RecordsGeneral, &made.general);
        record(Metric::RecordsSkipped, &made.skipped);
        for (rule, _) in &made.routed {
            self.metrics.record(Metric::RecordsRouted, rule, 1);
        }
        for (reason, count) in &made.quarantined {
            self.metrics.record(Metric::RecordsQuarantined, reason.as_str(), *count);
        }
        if made.redactions > 0 {
            self.metrics.count(Metric::Redactions, made.redactions);
        }
    }
}

/// What is made of a batch beside its outcome.
pub(crate) struct Wanted {
    routes: bool,
    findings: Option<Destination>,
    trail: Option<Destination>,
}

impl Wanted {
    pub(crate) fn derived(&self) -> Derived<'_> {
        Derived { routes: self.routes, findings: self.findings.as_ref(), trail: self.trail.as_ref() }
    }
}

#[cfg(test)]
mod tests;
