//! The item of a partition, with the attributes of the contract.

use serde::{Deserialize, Serialize};
use tributary_batch::{Offset, Position, SequenceNumber, TimestampMs};

/// Names a partition as one consumer group reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionKey(String);

impl PartitionKey {
    /// `{namespace}#{eventhub}#{consumergroup}#{partition}`
    pub fn new(namespace: &str, hub: &str, consumer_group: &str, partition: &str) -> Self {
        Self(format!("{namespace}#{hub}#{consumer_group}#{partition}"))
    }

    /// The partition key attribute's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The range that is being sent: it is read, cut and named once, whatever attempt sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// First sequence number.
    pub first: SequenceNumber,
    /// Last sequence number.
    pub last: SequenceNumber,
    /// Offset of the last event.
    pub last_offset: Offset,
}

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Rises with every lease; the broker fences readers with a lower one.
    pub epoch: i64,
    /// Who holds the lease: unique to one attempt of one worker.
    pub owner: String,
    /// When the lease ends by itself.
    pub lease_expires_at: TimestampMs,
    /// The last committed event; `None` before the first commit.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// The hub's creation time, once it was seen.
    pub incarnation: Option<TimestampMs>,
    /// The range that is being sent, if there is one.
    pub plan: Option<Plan>,
    /// Events that the hub lost before they could be read, over the item's life.
    pub lost: u64,
    /// When the item was last written.
    pub updated_at: TimestampMs,
    /// When the table may drop the item, in epoch seconds.
    pub ttl: i64,
}

impl Item {
    /// What a conditional write of the holder of this item expects.
    pub fn expected(&self) -> Expected {
        Expected {
            owner: self.owner.clone(),
            epoch: self.epoch,
            sequence_number: self.position.as_ref().map(|position| position.sequence_number),
            plan: self.plan.as_ref().map(|plan| (plan.first, plan.last)),
        }
    }
}

/// What must still stand in an item for a write to take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Owner.
    pub owner: String,
    /// Epoch.
    pub epoch: i64,
    /// Sequence number of the position.
    pub sequence_number: Option<SequenceNumber>,
    /// First and last of the plan.
    pub plan: Option<(SequenceNumber, SequenceNumber)>,
}

/// Whether a running lease is respected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Take it only when nobody holds it, or when it has expired: workers that share partitions.
    WhenFree,
    /// Take it in any case: the newest invocation displaces the older one.
    Displace,
}

/// What a lease asks for.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// Unique to this attempt.
    pub owner: String,
    /// The time now.
    pub now: TimestampMs,
    /// How long the lease holds, in milliseconds.
    pub duration: i64,
    /// How long the item lives without a refresh, in milliseconds: at least the hub's retention.
    pub time_to_live: i64,
    /// Whether a running lease is respected.
    pub policy: Policy,
}

impl LeaseRequest {
    /// The item after this lease, from the one before it; `None` when a running lease stays with its owner.
    pub fn apply(&self, before: Option<Item>) -> Option<Item> {
        let before = before.unwrap_or_else(|| Item {
            epoch: 0,
            owner: String::new(),
            lease_expires_at: 0,
            position: None,
            incarnation: None,
            plan: None,
            lost: 0,
            updated_at: 0,
            ttl: 0,
        });
        let held = !before.owner.is_empty() && before.owner != self.owner && before.lease_expires_at > self.now;
        if held && self.policy == Policy::WhenFree {
            return None;
        }
        Some(Item {
            epoch: before.epoch.saturating_add(1).max(self.now),
            owner: self.owner.clone(),
            lease_expires_at: self.now.saturating_add(self.duration),
            updated_at: self.now,
            ttl: self.now.saturating_add(self.time_to_live) / 1_000,
            ..before
        })
    }
}
