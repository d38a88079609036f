//! What an operator asks of the ledger and tells it: where partitions stand, and to stand elsewhere.
//!
//! A move is proposed first and made afterwards, so that whoever asks can look at it: [`Positions::propose`] reads the hub
//! and the ledger and writes nothing, [`Positions::apply`] is the one write of protocol rule 7.

use std::sync::Arc;
use std::time::Duration;

use tributary_batch::{Offset, Position, SequenceNumber, TimestampMs};
use tributary_ledger::{Item, Ledger, LedgerError, PartitionKey, ProtocolError, set_position};

use crate::Clock;
use crate::beside::first_event;
use crate::mark::attempt;
use crate::source::{EventSource, HubRef, PartitionStatus, SourceError, StartPosition};

/// The job with everything it needs.
#[derive(Clone)]
pub struct Positions {
    /// Where partitions stand.
    pub ledger: Arc<dyn Ledger>,
    /// The time.
    pub clock: Clock,
    /// How long an item lives that is moved and that no run refreshes.
    pub time_to_live: Duration,
}

/// Where one partition stands for one consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The hub, and the consumer group that reads it.
    pub hub: HubRef,
    /// The partition.
    pub partition: String,
    /// What the ledger says.
    pub item: Item,
}

/// Where a partition is to stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Before the oldest event that the hub has now.
    Earliest,
    /// At the newest event that the hub has now.
    Latest,
    /// At the event with this number: reading goes on with the one after it.
    Sequence(i64),
    /// Before the first event that the hub accepted at this time or later, in milliseconds.
    Time(TimestampMs),
    /// Nowhere: the next run starts at its initial position.
    Initial,
}

/// A move that was not made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The ledger's item.
    pub key: PartitionKey,
    /// The partition.
    pub partition: String,
    /// The item as it stands; `None` for a partition that nobody read.
    pub from: Option<Item>,
    /// The position that it will have. An event that the hub does not have gives no offset and no time: they are empty
    /// and 0.
    pub to: Option<Position>,
    /// What the hub says of the partition; `None` where it was not asked.
    pub status: Option<PartitionStatus>,
}

impl Move {
    /// Events that the hub has and that will be read a second time, as other batches than before.
    pub fn read_again(&self) -> u64 {
        let from = self.from.as_ref().and_then(|item| item.position.as_ref()).map(|at| at.sequence_number.0);
        let begin = self.status.as_ref().map_or(0, |status| status.begin);
        let to = self.to.as_ref().map_or(begin.saturating_sub(1), |at| at.sequence_number.0);
        from.map_or(0, |from| u64::try_from(from.saturating_sub(to.max(begin.saturating_sub(1)))).unwrap_or(0))
    }

    /// Events that the hub has and that will not be read.
    pub fn passed_over(&self) -> u64 {
        let (Some(status), Some(to)) = (&self.status, &self.to) else { return 0 };
        let from = self.from.as_ref().and_then(|item| item.position.as_ref()).map(|at| at.sequence_number.0);
        let from = from.unwrap_or(i64::MIN).max(status.begin.saturating_sub(1));
        u64::try_from(to.sequence_number.0.min(status.last).saturating_sub(from)).unwrap_or(0)
    }
}

/// Why a partition is not moved. Nothing was written, unless the backend failed in the write itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PositionsError {
    /// The hub has no such partition.
    #[error("the hub has no partition {partition:?}; it has {known}")]
    NoPartition {
        /// The one that was named.
        partition: String,
        /// Those that there are.
        known: String,
    },
    /// The position lies after the hub's last event.
    #[error(
        "partition {partition}: {sequence} is beyond the hub's last event {last}: everything up to it would be passed over; use \
         `latest`, or force it"
    )]
    Beyond {
        /// The partition.
        partition: String,
        /// The position that was wanted.
        sequence: i64,
        /// The hub's last.
        last: i64,
    },
    /// The events after the position are gone from the hub.
    #[error(
        "partition {partition}: the hub has nothing before {begin} any more: events after {sequence} would be counted as lost; use \
         `earliest`, or force it"
    )]
    Trimmed {
        /// The partition.
        partition: String,
        /// The position that was wanted.
        sequence: i64,
        /// The hub's first.
        begin: i64,
    },
    /// The hub failed, or refused a reader.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The write did not take place.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl Positions {
    /// Where every partition stands that the ledger knows, by hub, consumer group and partition.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn list(&self) -> Result<Vec<Standing>, LedgerError> {
        let items = self.ledger.list("").await?;
        let mut standings: Vec<Standing> = items.into_iter().filter_map(|(key, item)| standing(&key, item)).collect();
        let order = |a: &Standing| (a.hub.namespace.clone(), a.hub.hub.clone(), a.hub.consumer_group.clone());
        standings.sort_by(|a, b| {
            let partitions = (a.partition.len(), &a.partition).cmp(&(b.partition.len(), &b.partition));
            order(a).cmp(&order(b)).then(partitions)
        });
        Ok(standings)
    }

    /// What moving a partition of `consumer_group` would come to. Reads the hub through `source`, which may be another
    /// consumer group's, without a claim; writes nothing.
    ///
    /// # Errors
    /// When the hub has no such partition, cannot be read, or the position is none of its own and not `forced`;
    /// [`SourceError::Displaced`] when a processor is reading in the consumer group of `source`.
    pub async fn propose(
        &self,
        source: &dyn EventSource,
        consumer_group: &str,
        partition: &str,
        target: &Target,
        forced: bool,
    ) -> Result<Move, PositionsError> {
        let hub = source.hub();
        let known = source.partitions().await?;
        if !known.iter().any(|known| known == partition) {
            let known = known.join(", ");
            return Err(PositionsError::NoPartition { partition: partition.to_owned(), known });
        }
        let key = PartitionKey::new(&hub.namespace, &hub.hub, consumer_group, partition);
        let status = source.status(partition).await?;
        let to = match self.sequence(source, partition, target, &status).await? {
            None => None,
            Some(sequence) => {
                if !forced {
                    check(partition, sequence, &status)?;
                }
                Some(position(source, partition, sequence, &status).await?)
            }
        };
        let from = self.ledger.read(&key).await?;
        Ok(Move { key, partition: partition.to_owned(), from, to, status: Some(status) })
    }

    /// The number of the event at which the partition will stand.
    async fn sequence(
        &self,
        source: &dyn EventSource,
        partition: &str,
        target: &Target,
        status: &PartitionStatus,
    ) -> Result<Option<i64>, SourceError> {
        Ok(match target {
            Target::Initial => None,
            Target::Sequence(number) => Some(*number),
            Target::Earliest => Some(status.begin.saturating_sub(1)),
            Target::Latest => Some(status.last),
            Target::Time(time) if status.is_empty() || status.last_enqueued_time.is_none_or(|last| last < *time) => {
                Some(status.last)
            }
            Target::Time(time) => {
                let start = StartPosition::EnqueuedTime(time.saturating_sub(1));
                let first = first_event(source, partition, start).await?;
                Some(first.map_or(status.last, |event| event.sequence_number.0.saturating_sub(1)))
            }
        })
    }

    /// Makes a move: position, no plan, a higher epoch, in one write. A worker that holds the partition is displaced.
    ///
    /// # Errors
    /// When the ledger fails, or workers took the partition again and again meanwhile.
    pub async fn apply(&self, proposed: &Move) -> Result<Item, PositionsError> {
        let owner = format!("positions/{}", attempt());
        let time_to_live = i64::try_from(self.time_to_live.as_millis()).unwrap_or(i64::MAX);
        let incarnation = proposed.status.as_ref().map(|status| status.incarnation);
        let (ledger, now) = (self.ledger.as_ref(), self.clock.now());
        let to = proposed.to.clone();
        Ok(set_position(ledger, &proposed.key, to, incarnation, &owner, now, time_to_live).await?)
    }
}

/// An item of a partition; other items are other jobs'.
fn standing(key: &str, item: Item) -> Option<Standing> {
    let mut parts = key.split('#');
    let mut next = || parts.next().map(str::to_owned);
    let (namespace, hub, consumer_group, partition) = (next()?, next()?, next()?, next()?);
    let hub = HubRef { namespace, hub, consumer_group };
    parts.next().is_none().then_some(Standing { hub, partition, item })
}

fn check(partition: &str, sequence: i64, status: &PartitionStatus) -> Result<(), PositionsError> {
    let partition = || partition.to_owned();
    if sequence > status.last {
        return Err(PositionsError::Beyond { partition: partition(), sequence, last: status.last });
    }
    if sequence < status.begin.saturating_sub(1) {
        return Err(PositionsError::Trimmed { partition: partition(), sequence, begin: status.begin });
    }
    Ok(())
}

/// The position of the event with this number, as far as the hub has it.
async fn position(
    source: &dyn EventSource,
    partition: &str,
    sequence: i64,
    status: &PartitionStatus,
) -> Result<Position, SourceError> {
    let known = !status.is_empty() && (status.begin..=status.last).contains(&sequence);
    if known {
        let start = StartPosition::Sequence { number: sequence, inclusive: true };
        let event = first_event(source, partition, start).await?;
        if let Some(event) = event.filter(|event| event.sequence_number.0 == sequence) {
            return Ok(event.position());
        }
    }
    Ok(Position { sequence_number: SequenceNumber(sequence), offset: Offset::new(""), enqueued_time: 0 })
}
