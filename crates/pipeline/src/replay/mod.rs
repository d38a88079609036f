//! A range of a partition once more (`docs/GUARANTEES.md`, transformer, rule 9).
//!
//! Boundaries are those of the staged names; only gaps between them are cut anew, always in the same way. Each batch is read from
//! the hub again, beside the processor, and sent to the queue under its name: the transformer finds its outcome staged and
//! publishes that one. What is staged and gone from the hub is published from staging. Nothing is written to the ledger.
//!
//! A gap is a range that was committed and is not staged. If its message is still on its way, cutting it anew would deliver
//! its events under two names: so gaps are sent only while queue and dead letters are empty, if their events
//! are some minutes old and younger than staging keeps outcomes, unless whoever asks knows better.

mod plan;
mod remap;

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use tributary_batch::{Batch, BatchId, Event, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Packer, SequenceNumber};
use tributary_lake::{Publisher, Staging};
use tributary_ledger::Ledger;
use tributary_queue::Queue;

use crate::beside::RangeReader;
use crate::message::message_of;
use crate::source::EventSource;
use crate::{Clock, Progress, Stop};

pub use plan::{Bound, Piece, ReplayError, ReplayPlan, ReplayRange};
pub use remap::{RemapBatches, RemapReport};

/// How old events must be for an empty queue to mean that they are not in it: a remote queue's counts are some time behind.
const SETTLED: Duration = Duration::from_secs(300);

/// Whether events of a gap are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gaps {
    /// When they cannot be on their way, nor have been delivered longer ago than staging remembers.
    #[default]
    WhenCertain,
    /// In any case.
    Always,
}

/// The job with everything it needs.
#[derive(Clone)]
pub struct Replay {
    /// The hub, as a consumer group sees it in which no processor is in the way.
    pub source: Arc<dyn EventSource>,
    /// The processor's consumer group.
    pub consumer_group: String,
    /// Where the processor stands; only read.
    pub ledger: Arc<dyn Ledger>,
    /// Where batches go.
    pub queue: Arc<dyn Queue>,
    /// Where outcomes are staged.
    pub staging: Staging,
    /// For outcomes whose events the hub no longer has.
    pub publisher: Publisher,
    /// The integration's instance id.
    pub module: String,
    /// Events of a batch that is cut anew, at most the contract's 2,000.
    pub batch_events: usize,
    /// Whether gaps are sent.
    pub gaps: Gaps,
    /// How long staging keeps outcomes.
    pub staged_for: Duration,
    /// The time.
    pub clock: Clock,
    /// When to end early.
    pub stop: Stop,
    /// Who is told how far it is, in events.
    pub progress: Progress,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("consumer_group", &self.consumer_group).finish_non_exhaustive()
    }
}

/// What a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Staged batches that were sent again.
    pub batches: u64,
    /// Staged batches that were published from staging, as the hub has nothing of them any more.
    pub republished: u64,
    /// Batches of gaps that were sent.
    pub cut: u64,
    /// Events that were sent.
    pub events: u64,
    /// Events of gaps that were left because they may be delivered already, or still will be.
    pub left: u64,
    /// Sequence numbers of gaps that the hub has no event for any more.
    pub gone: u64,
    /// Whether everything was gone through.
    pub ended: bool,
}

impl Replay {
    /// Most events of a batch, by the contract.
    pub const BATCH_EVENTS: usize = MAX_BATCH_EVENTS;
    /// How long staging keeps outcomes by default.
    pub const STAGED_FOR: Duration = Duration::from_secs(21 * 24 * 3_600);

    /// Makes a replay. It may be interrupted anywhere and made again.
    ///
    /// # Errors
    /// When a back end fails; what was sent by then is delivered.
    pub async fn run(&self, plan: &ReplayPlan) -> Result<ReplayReport, ReplayError> {
        let mut run = Run {
            job: self,
            plan,
            reader: RangeReader::new(self.source.as_ref(), &plan.source.partition, plan.status.clone()),
            report: ReplayReport::default(),
            done: 0,
            total: plan.size(),
        };
        let result = run.pieces().await;
        run.reader.close().await;
        let report = run.report;
        info!(partition = %plan.source.partition, batches = report.batches, republished = report.republished,
            cut = report.cut, events = report.events, left = report.left, gone = report.gone, "replayed");
        result.map(|()| report)
    }
}

struct Run<'r> {
    job: &'r Replay,
    plan: &'r ReplayPlan,
    reader: RangeReader<'r>,
    report: ReplayReport,
    /// Sequence numbers that are behind, and all.
    done: u64,
    total: u64,
}

impl Run<'_> {
    async fn pieces(&mut self) -> Result<(), ReplayError> {
        for piece in &self.plan.pieces {
            if self.job.stop.is_set() {
                return Ok(());
            }
            match &piece.staged {
                Some(batch) => self.staged(piece, batch).await?,
                None => self.gap(piece).await?,
            }
            self.done = self.done.saturating_add(piece.size());
            self.job.progress.at(self.done, self.total);
        }
        self.report.ended = !self.job.stop.is_set();
        Ok(())
    }

    async fn staged(&mut self, piece: &Piece, batch: &BatchId) -> Result<(), ReplayError> {
        let events = collect(&mut self.reader, piece).await?;
        if !events.is_empty() {
            self.report.batches += 1;
            return self.send(piece.first, piece.last, events).await;
        }
        match self.job.staging.read(batch).await? {
            Some(outcome) => {
                self.job.publisher.publish(&outcome).await?;
                self.report.republished += 1;
            }
            None => warn!(%batch, "neither the hub nor staging has it any more"),
        }
        Ok(())
    }

    async fn gap(&mut self, piece: &Piece) -> Result<(), ReplayError> {
        let now = self.job.clock.now();
        let ago = |span: Duration| now.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        let certain = match self.job.gaps {
            Gaps::Always => Some(i64::MIN..=i64::MAX),
            Gaps::WhenCertain if self.plan.on_their_way == 0 => Some(ago(self.job.staged_for)..=ago(SETTLED)),
            Gaps::WhenCertain => None,
        };
        self.reader.begin(piece.first, piece.last).await;
        let mut packer = Packer::with_limits(self.job.batch_events, MAX_BATCH_BYTES);
        let mut found = 0;
        while let Some(events) = self.reader.next().await? {
            found += events.len() as u64;
            self.job.progress.at(self.done.saturating_add(found), self.total);
            for event in events {
                if !certain.as_ref().is_some_and(|times| times.contains(&event.enqueued_time)) {
                    self.report.left += 1;
                    continue;
                }
                if let Some(events) = packer.push(event) {
                    self.cut(events).await?;
                }
            }
            // What is in the packer is another run's, which cuts at the same places.
            if self.job.stop.is_set() {
                return Ok(());
            }
        }
        self.report.gone += piece.size().saturating_sub(found);
        match packer.take() {
            Some(events) => self.cut(events).await,
            None => Ok(()),
        }
    }

    async fn cut(&mut self, events: Vec<Event>) -> Result<(), ReplayError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        self.report.cut += 1;
        self.send(first.sequence_number.0, last.sequence_number.0, events).await
    }

    async fn send(&mut self, first: i64, last: i64, events: Vec<Event>) -> Result<(), ReplayError> {
        let count = events.len() as u64;
        let batch = self.job.batch(self.plan, first, last, events);
        let id = batch.id();
        let message = message_of(batch, &self.job.staging).await.map_err(|error| ReplayError::Message(error.detail))?;
        self.job.queue.send(&message).await?;
        info!(batch = %id, events = count, "batch sent again");
        self.report.events += count;
        Ok(())
    }
}

impl Replay {
    /// Events under the name of their range.
    fn batch(&self, plan: &ReplayPlan, first: i64, last: i64, events: Vec<Event>) -> Batch {
        let (first, last) = (SequenceNumber(first), SequenceNumber(last));
        Batch { module: self.module.clone(), source: plan.source.clone(), first, last, events }
    }
}

/// The events of a staged batch that the hub still has: no more than a batch holds.
async fn collect(reader: &mut RangeReader<'_>, piece: &Piece) -> Result<Vec<Event>, ReplayError> {
    reader.begin(piece.first, piece.last).await;
    let mut all = Vec::new();
    while let Some(events) = reader.next().await? {
        all.extend(events);
    }
    Ok(all)
}
