//! What a replay would do: a partition's range in pieces, each a staged batch or a gap between them.

use tributary_batch::{BatchId, SequenceNumber, SourceRef, TimestampMs};
use tributary_lake::StoreError;
use tributary_ledger::{LedgerError, PartitionKey};
use tributary_queue::QueueError;

use super::Replay;
use crate::beside::first_event;
use crate::source::{PartitionStatus, SourceError, StartPosition};

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// An event's number: the first or the last that is meant.
    Sequence(i64),
    /// A time in milliseconds: events that the hub accepted then or later; as the end of a range, earlier.
    Time(TimestampMs),
}

/// The events that are meant: from the oldest that the hub has, to the last that the processor has committed, where an end
/// is not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayRange {
    /// Where it begins.
    pub from: Option<Bound>,
    /// Where it ends.
    pub to: Option<Bound>,
}

/// A part of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// First sequence number.
    pub first: i64,
    /// Last sequence number.
    pub last: i64,
    /// The batch that is staged for exactly this range; `None` for a gap between staged batches.
    pub staged: Option<BatchId>,
}

impl Piece {
    /// Numbers in it.
    pub fn size(&self) -> u64 {
        u64::try_from(self.last.saturating_sub(self.first).saturating_add(1)).unwrap_or(0)
    }
}

/// A replay that was not made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayPlan {
    /// The partition, as its batches name it.
    pub source: SourceRef,
    /// What the hub says of it.
    pub status: PartitionStatus,
    /// The last event that the processor has committed: what comes after it is the processor's.
    pub position: i64,
    /// The first and the last event that are meant, as far as they are committed. Staged batches may reach beyond.
    pub range: (i64, i64),
    /// The pieces, by their first number.
    pub pieces: Vec<Piece>,
    /// Messages in the queue and its dead letters: a gap may be a batch that is still on its way.
    pub on_their_way: u64,
}

impl ReplayPlan {
    /// Staged batches.
    pub fn staged(&self) -> u64 {
        self.pieces.iter().filter(|piece| piece.staged.is_some()).count() as u64
    }

    /// Sequence numbers in gaps.
    pub fn in_gaps(&self) -> u64 {
        self.pieces.iter().filter(|piece| piece.staged.is_none()).map(Piece::size).sum()
    }

    /// Sequence numbers in all pieces.
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(Piece::size).sum()
    }
}

/// Why a replay was not planned, or ended early. Doing the same again is safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The hub has no such partition.
    #[error("the hub has no partition {partition:?}; it has {known}")]
    NoPartition {
        /// The one that was named.
        partition: String,
        /// Those that there are.
        known: String,
    },
    /// Nothing was read of the partition by this consumer group.
    #[error(
        "partition {partition}: nothing is committed for consumer group {consumer_group}, so there is nothing to replay: is it the \
         processor's group, and this its ledger?"
    )]
    NotRead {
        /// The partition.
        partition: String,
        /// The group.
        consumer_group: String,
    },
    /// The ledger speaks of another hub of that name.
    #[error("partition {partition}: the hub was rebuilt since the processor last read it: let the processor run first")]
    Rebuilt {
        /// The partition.
        partition: String,
    },
    /// The hub failed, or refused a reader.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A batch cannot be sent.
    #[error("{0}")]
    Message(String),
}

impl Replay {
    /// What replaying a partition's range comes to. Reads hub, ledger, queue and staging; writes nothing.
    ///
    /// # Errors
    /// When the hub has no such partition, nothing of it was committed, or a back end fails;
    /// [`SourceError::Displaced`] when a time must be looked up and a processor is reading in the consumer group of the
    /// source.
    pub async fn plan(&self, partition: &str, range: ReplayRange) -> Result<ReplayPlan, ReplayError> {
        let known = self.source.partitions().await?;
        if !known.iter().any(|known| known == partition) {
            let known = known.join(", ");
            return Err(ReplayError::NoPartition { partition: partition.to_owned(), known });
        }
        let status = self.source.status(partition).await?;
        // The order matters: what is committed is in the queue, what is not in the queue any more is staged. A batch that
        // moves on meanwhile is seen in one place or the other.
        let position = self.position(partition, &status).await?;
        let counts = self.queue.counts().await?;
        let source = self.source_ref(partition, &status);
        let first = match range.from {
            None => status.begin,
            Some(Bound::Sequence(number)) => number.max(0),
            Some(Bound::Time(time)) => self.first_at(partition, time, &status).await?,
        };
        let last = match range.to {
            None => position,
            Some(Bound::Sequence(number)) => number,
            Some(Bound::Time(time)) => self.first_at(partition, time, &status).await?.saturating_sub(1),
        };
        let range = (first, last.min(position));
        let names = self.staging.list(&BatchId::prefix(&source)).await?;
        let pieces = pieces(range, &names);
        let on_their_way = counts.visible.saturating_add(counts.in_flight).saturating_add(counts.dead);
        Ok(ReplayPlan { source, status, position, range, pieces, on_their_way })
    }

    /// The last committed event's number.
    async fn position(&self, partition: &str, status: &PartitionStatus) -> Result<i64, ReplayError> {
        let hub = self.source.hub();
        let key = PartitionKey::new(&hub.namespace, &hub.hub, &self.consumer_group, partition);
        let item = self.ledger.read(&key).await?;
        let not_read =
            || ReplayError::NotRead { partition: partition.to_owned(), consumer_group: self.consumer_group.clone() };
        let item = item.ok_or_else(not_read)?;
        if item.incarnation.is_some_and(|incarnation| incarnation != status.incarnation) {
            return Err(ReplayError::Rebuilt { partition: partition.to_owned() });
        }
        Ok(item.position.ok_or_else(not_read)?.sequence_number.0)
    }

    fn source_ref(&self, partition: &str, status: &PartitionStatus) -> SourceRef {
        let hub = self.source.hub();
        SourceRef {
            namespace: hub.namespace,
            hub: hub.hub,
            consumer_group: self.consumer_group.clone(),
            partition: partition.to_owned(),
            incarnation: status.incarnation,
        }
    }

    /// The number of the first event that the hub accepted at this time or later; the one after the last when there is none.
    async fn first_at(&self, partition: &str, time: TimestampMs, status: &PartitionStatus) -> Result<i64, SourceError> {
        let none = status.last.saturating_add(1);
        if status.is_empty() || status.last_enqueued_time.is_none_or(|last| last < time) {
            return Ok(none);
        }
        let start = StartPosition::EnqueuedTime(time.saturating_sub(1));
        let event = first_event(self.source.as_ref(), partition, start).await?;
        Ok(event.map_or(none, |event| event.sequence_number.0))
    }
}

/// Staged batches that a range touches, whole, and the gaps between them.
fn pieces((first, last): (i64, i64), names: &[BatchId]) -> Vec<Piece> {
    let mut staged: Vec<Piece> = names
        .iter()
        .filter_map(|name| {
            let range = name.range()?;
            let (SequenceNumber(from), SequenceNumber(to)) = (range.first, range.last);
            (from <= last && to >= first).then(|| Piece { first: from, last: to, staged: Some(name.clone()) })
        })
        .collect();
    staged.sort_unstable_by_key(|piece| (piece.first, piece.last));
    let mut pieces = Vec::with_capacity(staged.len());
    let mut next = first;
    for piece in staged {
        if piece.first > next {
            pieces.push(Piece { first: next, last: piece.first.saturating_sub(1), staged: None });
        }
        next = next.max(piece.last.saturating_add(1));
        pieces.push(piece);
    }
    if next <= last {
        pieces.push(Piece { first: next, last, staged: None });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(first: i64, last: i64) -> BatchId {
        BatchId::parse(&format!("1f0c93ab24de-p0003-{first:020}-{last:020}")).unwrap()
    }

    fn shown(range: (i64, i64), names: &[BatchId]) -> Vec<(i64, i64, bool)> {
        pieces(range, names).into_iter().map(|piece| (piece.first, piece.last, piece.staged.is_some())).collect()
    }

    #[test]
    fn staged_boundaries_are_kept_and_gaps_are_what_lies_between() {
        let names = [name(10, 19), name(20, 24), name(40, 49), name(40, 49).redriven(1), BatchId::for_content(b"x")];
        assert_eq!(
            shown((0, 60), &names),
            [(0, 9, false), (10, 19, true), (20, 24, true), (25, 39, false), (40, 49, true), (50, 60, false)]
        );
        // A batch that the range touches is meant whole.
        assert_eq!(shown((15, 41), &names), [(10, 19, true), (20, 24, true), (25, 39, false), (40, 49, true)]);
        assert_eq!(shown((30, 31), &names), [(30, 31, false)]);
        assert_eq!(shown((31, 30), &names), []);
        // What was read a second time after a position was set back is staged twice, under two names.
        assert_eq!(shown((0, 9), &[name(0, 9), name(5, 7)]), [(0, 9, true), (5, 7, true)]);
    }
}
