//! Staged batches of a range mapped anew, in the place of what they were.

use tracing::{info, warn};
use tributary_batch::BatchId;
use tributary_lake::{Remap, RemapError, StoreError};

use super::{Piece, Replay, ReplayError, ReplayPlan, collect};
use crate::beside::RangeReader;
use crate::{DeliverError, Transform};

/// The job with everything it needs.
#[derive(Clone)]
pub struct RemapBatches {
    /// Where events come from, and which are meant. Its queue gets nothing.
    pub replay: Replay,
    /// What they go through: its maps, its staging, its publisher, and where its findings, trail events and notifications go.
    pub transform: Transform,
    /// Go on where a run seems to be at work, which whoever asks knows to have ended.
    pub take_over: bool,
}

/// What remapping did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemapReport {
    /// Batches that are what the maps in force make of them.
    pub batches: u64,
    /// Their records in the lake.
    pub mapped: u64,
    /// Their records in quarantine.
    pub quarantined: u64,
    /// Objects that were written.
    pub objects: u64,
    /// Objects that were removed.
    pub removed: u64,
    /// Batches of which the hub no longer has every event: they are as they were.
    pub incomplete: Vec<BatchId>,
    /// Sequence numbers in gaps, of which nothing is staged: a replay without remapping sends them.
    pub in_gaps: u64,
    /// Batches that failed, with the reason. What was begun is ended by another run.
    pub failures: Vec<(BatchId, String)>,
    /// Whether everything was gone through.
    pub ended: bool,
}

/// Why a batch was not remapped, or not to the end.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Remap(#[from] RemapError),
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RemapBatches {
    /// Maps the plan's staged batches anew, one after the other. It may be interrupted anywhere and made again, with
    /// whatever maps.
    ///
    /// # Errors
    /// When the hub fails. A batch that fails stands in the report and does not hold up the others.
    pub async fn run(&self, plan: &ReplayPlan) -> Result<RemapReport, ReplayError> {
        let replay = &self.replay;
        let partition = &plan.source.partition;
        let mut reader = RangeReader::new(replay.source.as_ref(), partition, plan.status.clone());
        let mut report = RemapReport { in_gaps: plan.in_gaps(), ..RemapReport::default() };
        let staged: Vec<(&Piece, &BatchId)> =
            plan.pieces.iter().filter_map(|piece| Some((piece, piece.staged.as_ref()?))).collect();
        let total = staged.iter().map(|(piece, _)| piece.size()).sum();
        let (mut done, mut result) = (0_u64, Ok(()));
        for (piece, batch) in staged {
            if replay.stop.is_set() {
                break;
            }
            let events = match collect(&mut reader, piece).await {
                Ok(events) => events,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            if let Err(error) = self.batch(plan, piece, batch, events, &mut report).await {
                warn!(%batch, "{error}");
                report.failures.push((batch.clone(), error.to_string()));
            }
            done = done.saturating_add(piece.size());
            replay.progress.at(done, total);
        }
        reader.close().await;
        report.ended = done >= total;
        result.map(|()| report)
    }

    async fn batch(
        &self,
        plan: &ReplayPlan,
        piece: &Piece,
        batch: &BatchId,
        events: Vec<tributary_batch::Event>,
        report: &mut RemapReport,
    ) -> Result<(), Failed> {
        let transform = &self.transform;
        let staged = transform.staging.read(batch).await?;
        let staged = staged.ok_or_else(|| RemapError::NotStaged(batch.clone()))?;
        // Rows of events that the hub has dropped can be made by nobody.
        if staged.manifest().counts.events != events.len() as u64 {
            report.incomplete.push(batch.clone());
            return Ok(());
        }
        let mut made = transform.map_batch(self.replay.batch(plan, piece.first, piece.last, events)).await?;
        transform.hand_on(&made).await?;
        transform.send_trail(batch, std::mem::take(&mut made.trail)).await?;
        let remap = Remap::new(transform.staging.clone(), transform.publisher.clone());
        let replaced = remap.replace(&made.outcome, self.replay.clock.now(), self.take_over).await?;
        let counts = made.outcome.manifest().counts;
        info!(%batch, mapped = counts.mapped, quarantined = counts.quarantined, removed = replaced.removed, "batch remapped");
        report.batches += 1;
        report.mapped += counts.mapped;
        report.quarantined += counts.quarantined;
        report.objects += replaced.published.objects;
        report.removed += replaced.removed;
        Ok(())
    }
}
