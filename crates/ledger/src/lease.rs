//! The protocol's ledger rules, once for all backends.

use std::sync::Arc;

use async_trait::async_trait;
use tributary_batch::{BatchId, Position, SequenceNumber, TimestampMs};

use crate::{Item, LeaseRequest, Ledger, LedgerError, PartitionKey, Plan};

/// Why a step of the protocol did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Another worker has the partition now: end without another word to hub or ledger.
    #[error("partition {key}: displaced by epoch {epoch}")]
    Displaced {
        /// The partition.
        key: String,
        /// The epoch that is stored now.
        epoch: i64,
    },
    /// The step does not fit where the partition stands: a fault of the caller, refused before any write.
    #[error("partition {key}: {detail}")]
    OutOfOrder {
        /// The partition.
        key: String,
        /// What does not fit.
        detail: String,
    },
    /// The backend failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A queue refused or failed to take a message.
#[derive(Debug, thiserror::Error)]
#[error("cannot send {name}: {detail}")]
pub struct OutboxError {
    /// The batch.
    pub name: String,
    /// What went wrong.
    pub detail: String,
    /// Whether a permission is missing (metric `AccessDenied`).
    pub denied: bool,
}

/// Where batches are sent: a queue.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Returns once the message is durable. `name` is for logs and may repeat.
    async fn put(&self, name: &BatchId, message: &str) -> Result<(), OutboxError>;
}

/// A range that the ledger holds as plan.
#[derive(Debug)]
#[must_use = "a plan that is not sent is replayed by the next lease"]
pub struct Planned {
    key: PartitionKey,
    plan: Plan,
    epoch: i64,
    missing: u64,
}

impl Planned {
    /// The range: the authority for what the batch holds.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Rule 6: so many events of the range are gone from the hub. They are counted with the commit, so that an attempt
    /// that ends before it counts nothing.
    pub fn missing(self, missing: u64) -> Self {
        Self { missing, ..self }
    }

    /// Sends the batch's message. A displaced owner may finish this: its commit fails.
    ///
    /// # Errors
    /// When the queue did not take it; the plan stays and can be sent again.
    pub async fn send(
        self,
        outbox: &dyn Outbox,
        name: &BatchId,
        message: &str,
        last_enqueued_time: TimestampMs,
    ) -> Result<Sent, (Self, OutboxError)> {
        match outbox.put(name, message).await {
            Ok(()) => {
                let position = Position {
                    sequence_number: self.plan.last,
                    offset: self.plan.last_offset.clone(),
                    enqueued_time: last_enqueued_time,
                };
                Ok(Sent { key: self.key, plan: self.plan, position, epoch: self.epoch, missing: self.missing })
            }
            Err(error) => Err((self, error)),
        }
    }
}

/// Proof that a planned batch is durably in the queue. Only [`Planned::send`] makes one.
#[derive(Debug)]
#[must_use = "a batch that was sent but not committed is sent again"]
pub struct Sent {
    key: PartitionKey,
    plan: Plan,
    position: Position,
    epoch: i64,
    missing: u64,
}

/// A partition that this worker holds.
pub struct Lease {
    ledger: Arc<dyn Ledger>,
    key: PartitionKey,
    item: Item,
    duration: i64,
    time_to_live: i64,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("key", &self.key).field("item", &self.item).finish_non_exhaustive()
    }
}

impl Lease {
    /// Takes the lease; `None` when the policy leaves it to its owner.
    ///
    /// # Errors
    /// When the backend fails.
    pub async fn take(
        ledger: Arc<dyn Ledger>,
        key: PartitionKey,
        request: &LeaseRequest,
    ) -> Result<Option<Self>, LedgerError> {
        let item = ledger.lease(&key, request).await?;
        Ok(item.map(|item| Self { ledger, key, item, duration: request.duration, time_to_live: request.time_to_live }))
    }

    /// Where the partition stands.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// The plan of an owner that ended before its commit: replay it, whatever it holds.
    pub fn open_plan(&self) -> Option<Planned> {
        self.item.plan.clone().map(|plan| self.planned(plan))
    }

    fn planned(&self, plan: Plan) -> Planned {
        Planned { key: self.key.clone(), plan, epoch: self.item.epoch, missing: 0 }
    }

    /// Whether a step is about the plan that is open, under this very lease.
    fn is_open(&self, key: &PartitionKey, epoch: i64, plan: &Plan) -> bool {
        (key, epoch, Some(plan)) == (&self.key, self.item.epoch, self.item.plan.as_ref())
    }

    /// Rule 4: the hub is another one than before. One write resets the position, drops the plan, stores the new
    /// incarnation and adds what was lost. The first incarnation ever seen is only stored.
    ///
    /// # Errors
    /// [`ProtocolError::Displaced`] when another worker has the partition.
    pub async fn set_incarnation(
        &mut self,
        incarnation: TimestampMs,
        lost: u64,
        now: TimestampMs,
    ) -> Result<(), ProtocolError> {
        let mut next = self.item.clone();
        if next.incarnation.is_some_and(|known| known != incarnation) {
            next.position = None;
            next.plan = None;
            next.lost = next.lost.saturating_add(lost);
        }
        next.incarnation = Some(incarnation);
        self.write(next, now).await
    }

    /// Rule 3: the plan comes before the send. `lost` counts the gap before it (rule 5), in the same write.
    ///
    /// # Errors
    /// [`ProtocolError::OutOfOrder`] when a plan is open or the range does not lie after the position.
    pub async fn plan(&mut self, plan: Plan, lost: u64, now: TimestampMs) -> Result<Planned, ProtocolError> {
        if self.item.plan.is_some() {
            return Err(self.out_of_order("a plan is open: send or skip it first"));
        }
        self.check_range(&plan, self.item.position.as_ref().map(|position| position.sequence_number))?;
        let mut next = self.item.clone();
        next.plan = Some(plan.clone());
        next.lost = next.lost.saturating_add(lost);
        self.write(next, now).await?;
        Ok(self.planned(plan))
    }

    /// Commits what was sent, and plans the next range in the same write.
    ///
    /// # Errors
    /// [`ProtocolError::OutOfOrder`] when the proof is not that of the open plan.
    pub async fn commit(
        &mut self,
        sent: Sent,
        next: Option<(Plan, u64)>,
        now: TimestampMs,
    ) -> Result<Option<Planned>, ProtocolError> {
        if !self.is_open(&sent.key, sent.epoch, &sent.plan) {
            return Err(self.out_of_order("what was sent is not the open plan"));
        }
        if let Some((plan, _)) = &next {
            self.check_range(plan, Some(sent.position.sequence_number))?;
        }
        let mut item = self.item.clone();
        item.position = Some(sent.position);
        item.plan = next.as_ref().map(|(plan, _)| plan.clone());
        let gap = next.as_ref().map_or(0, |(_, lost)| *lost);
        item.lost = item.lost.saturating_add(sent.missing).saturating_add(gap);
        self.write(item, now).await?;
        Ok(next.map(|(plan, _)| self.planned(plan)))
    }

    /// Rule 6: every event of the plan is gone from the hub. Counts them and moves past them.
    ///
    /// # Errors
    /// [`ProtocolError::OutOfOrder`] when the plan is not the open one.
    pub async fn skip(
        &mut self,
        planned: Planned,
        enqueued_time: TimestampMs,
        now: TimestampMs,
    ) -> Result<(), ProtocolError> {
        if !self.is_open(&planned.key, planned.epoch, &planned.plan) {
            return Err(self.out_of_order("the plan to skip is not the open one"));
        }
        let mut next = self.item.clone();
        let count = planned.plan.last.0.saturating_sub(planned.plan.first.0).saturating_add(1);
        next.lost = next.lost.saturating_add(u64::try_from(count).unwrap_or(0));
        next.position =
            Some(Position { sequence_number: planned.plan.last, offset: planned.plan.last_offset, enqueued_time });
        next.plan = None;
        self.write(next, now).await
    }

    /// Extends the lease and the time to live: also an idle run keeps its place.
    ///
    /// # Errors
    /// [`ProtocolError::Displaced`] when another worker has the partition.
    pub async fn refresh(&mut self, now: TimestampMs) -> Result<(), ProtocolError> {
        self.write(self.item.clone(), now).await
    }

    /// Gives the lease up, so that another worker need not wait for its end.
    ///
    /// # Errors
    /// [`ProtocolError::Displaced`] when another worker has it already, which is as good.
    pub async fn release(mut self, now: TimestampMs) -> Result<(), ProtocolError> {
        self.duration = 0;
        self.write(self.item.clone(), now).await
    }

    /// Rule 2: compares owner, epoch, position and plan. When they are not as read, the write may still be ours: a
    /// first attempt whose answer was lost. Owner and epoch are this lease's alone; times do not matter, as the first
    /// attempt may have had others.
    async fn write(&mut self, mut next: Item, now: TimestampMs) -> Result<(), ProtocolError> {
        next.updated_at = now;
        next.lease_expires_at = now.saturating_add(self.duration);
        next.ttl = now.saturating_add(self.time_to_live) / 1_000;
        if !self.ledger.write(&self.key, &self.item.expected(), &next).await? {
            let stored = self.ledger.read(&self.key).await?;
            match stored {
                Some(stored) if stored.same_but_for_times(&next) => next = stored,
                stored => {
                    let epoch = stored.map_or(0, |item| item.epoch);
                    return Err(ProtocolError::Displaced { key: self.key.as_str().to_owned(), epoch });
                }
            }
        }
        self.item = next;
        Ok(())
    }

    fn check_range(&self, plan: &Plan, position: Option<SequenceNumber>) -> Result<(), ProtocolError> {
        if plan.first > plan.last || position.is_some_and(|position| plan.first <= position) {
            let after = position.map_or_else(|| "the start".to_owned(), |position| position.to_string());
            return Err(self.out_of_order(&format!("range {}..={} does not lie after {after}", plan.first, plan.last)));
        }
        Ok(())
    }

    fn out_of_order(&self, detail: &str) -> ProtocolError {
        ProtocolError::OutOfOrder { key: self.key.as_str().to_owned(), detail: detail.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expected, MemoryLedger, Policy};
    use tributary_batch::Offset;

    const NOW: TimestampMs = 1_767_225_600_000;

    /// Takes every write, at a time of its own, and says that it did not: its answer was lost, and the second attempt
    /// found the first one's work.
    struct Deaf(MemoryLedger);

    #[async_trait]
    impl Ledger for Deaf {
        async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
            self.0.read(key).await
        }
        async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError> {
            self.0.lease(key, request).await
        }
        async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError> {
            self.0.write(key, expected, &Item { updated_at: item.updated_at - 1, ..item.clone() }).await.map(|_| false)
        }
        async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError> {
            self.0.list(prefix).await
        }
    }

    /// Takes everything.
    struct Sink;

    #[async_trait]
    impl Outbox for Sink {
        async fn put(&self, _name: &BatchId, _message: &str) -> Result<(), OutboxError> {
            Ok(())
        }
    }

    fn range(first: i64, last: i64) -> Plan {
        Plan { first: SequenceNumber(first), last: SequenceNumber(last), last_offset: Offset::new("o") }
    }

    async fn take(ledger: &Arc<dyn Ledger>, partition: &str) -> Lease {
        let request = LeaseRequest {
            owner: "a".into(),
            now: NOW,
            duration: 60_000,
            time_to_live: 60_000,
            policy: Policy::Displace,
        };
        let key = PartitionKey::new("ns.example", "hub", "tributary", partition);
        Lease::take(Arc::clone(ledger), key, &request).await.unwrap().unwrap()
    }

    async fn send(planned: Planned) -> Sent {
        planned.send(&Sink, &BatchId::for_content(b"a"), "{}", NOW).await.map_err(|(_, error)| error).unwrap()
    }

    #[tokio::test]
    async fn a_write_of_ones_own_is_recognised_whatever_its_time() {
        let ledger: Arc<dyn Ledger> = Arc::new(Deaf(MemoryLedger::new()));
        let mut lease = take(&ledger, "0").await;
        let sent = send(lease.plan(range(0, 9), 0, NOW + 1).await.unwrap()).await;
        let next = lease.commit(sent, Some((range(10, 19), 0)), NOW + 2).await.unwrap().unwrap();
        lease.commit(send(next).await, None, NOW + 3).await.unwrap();
        assert_eq!(ledger.read(&lease.key).await.unwrap().as_ref(), Some(lease.item()));
    }

    /// Partitions that are leased in one millisecond have one epoch, and may have one range.
    #[tokio::test]
    async fn the_proof_of_one_partition_commits_no_other() {
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let (mut zero, mut one) = (take(&ledger, "0").await, take(&ledger, "1").await);
        let sent = send(zero.plan(range(0, 9), 0, NOW).await.unwrap()).await;
        let other = one.plan(range(0, 9), 0, NOW).await.unwrap();
        assert!(matches!(one.commit(sent, None, NOW).await, Err(ProtocolError::OutOfOrder { .. })));
        assert!(matches!(zero.skip(other, NOW, NOW).await, Err(ProtocolError::OutOfOrder { .. })));
        assert_eq!(one.item().position, None);
    }
}
