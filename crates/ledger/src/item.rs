//! The item of a partition, with the attributes of the contract.

use serde::{Deserialize, Deserializer, Serialize};
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
    #[serde(flatten, deserialize_with = "whole_position")]
    pub position: Option<Position>,
    /// The hub's creation time, once it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<TimestampMs>,
    /// The range that is being sent, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// Events that the hub lost before they could be read, over the item's life.
    pub lost: u64,
    /// When the item was last written.
    pub updated_at: TimestampMs,
    /// When the table may drop the item, in epoch seconds.
    pub ttl: i64,
}

/// All attributes of a position or none. Of a broken one nothing is guessed: taken for none, it would let the partition
/// start anew without a word, and deliver everything twice.
fn whole_position<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Position>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parts {
        sequence_number: Option<SequenceNumber>,
        offset: Option<Offset>,
        enqueued_time: Option<TimestampMs>,
    }
    match Parts::deserialize(deserializer)? {
        Parts { sequence_number: Some(sequence_number), offset: Some(offset), enqueued_time: Some(enqueued_time) } => {
            Ok(Some(Position { sequence_number, offset, enqueued_time }))
        }
        Parts { sequence_number: None, offset: None, enqueued_time: None } => Ok(None),
        _ => Err(serde::de::Error::custom("a position needs sequenceNumber, offset and enqueuedTime, or none of them")),
    }
}

impl Item {
    /// The item of a partition that nobody ever leased.
    pub(crate) fn empty() -> Self {
        Self {
            epoch: 0,
            owner: String::new(),
            lease_expires_at: 0,
            position: None,
            incarnation: None,
            plan: None,
            lost: 0,
            updated_at: 0,
            ttl: 0,
        }
    }

    /// Whether this is `other` but for the times that every write sets anew.
    pub(crate) fn same_but_for_times(&self, other: &Self) -> bool {
        let Self { lease_expires_at, updated_at, ttl, .. } = *other;
        Self { lease_expires_at, updated_at, ttl, ..self.clone() } == *other
    }

    /// What a conditional write of the holder of this item expects.
    pub fn expected(&self) -> Expected {
        Expected {
            owner: self.owner.clone(),
            epoch: self.epoch,
            sequence_number: self.position.as_ref().map(|position| position.sequence_number),
            plan: self.plan.as_ref().map(|plan| (plan.first, plan.last)),
            incarnation: self.incarnation,
            lost: self.lost,
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
    /// The hub's creation time: a late write must not undo the sight of another hub.
    pub incarnation: Option<TimestampMs>,
    /// Count of lost events: a late write must not undo a count.
    pub lost: u64,
}

/// Whether a running lease is respected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Take it only when nobody holds it, or when it has expired: workers that share partitions. A worker's own lease is free for it.
    WhenFree,
    /// Take it in any case: the newest invocation displaces the older one.
    Displace,
}

/// What a lease asks for.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// Unique to this attempt: `{worker}/{attempt}`, where the worker is unique to a process.
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
        let before = before.unwrap_or_else(Item::empty);
        let own = worker_of(&before.owner) == worker_of(&self.owner);
        let held = !before.owner.is_empty() && !own && before.lease_expires_at > self.now;
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

/// The worker of a lease's owner, which is `{worker}/{attempt}`.
pub fn worker_of(owner: &str) -> &str {
    owner.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        Item {
            epoch: 1_767_225_600_001,
            owner: "worker-1".into(),
            lease_expires_at: 1_767_225_660_000,
            position: Some(Position {
                sequence_number: SequenceNumber(41),
                offset: Offset::new("4294967296"),
                enqueued_time: 1_767_225_599_000,
            }),
            incarnation: Some(1_700_000_000_000),
            plan: Some(Plan {
                first: SequenceNumber(42),
                last: SequenceNumber(99),
                last_offset: Offset::new("4294970000"),
            }),
            lost: 3,
            updated_at: 1_767_225_600_000,
            ttl: 1_767_830_400,
        }
    }

    #[test]
    fn attributes_are_those_of_the_contract() {
        let expected = serde_json::json!({
            "epoch": 1_767_225_600_001_i64, "owner": "worker-1", "leaseExpiresAt": 1_767_225_660_000_i64,
            "sequenceNumber": 41, "offset": "4294967296", "enqueuedTime": 1_767_225_599_000_i64,
            "incarnation": 1_700_000_000_000_i64,
            "plan": {"first": 42, "last": 99, "lastOffset": "4294970000"},
            "lost": 3, "updatedAt": 1_767_225_600_000_i64, "ttl": 1_767_830_400,
        });
        assert_eq!(serde_json::to_value(item()).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Item>(expected).unwrap(), item());
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let bare = Item { position: None, incarnation: None, plan: None, ..item() };
        let json = serde_json::to_value(&bare).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["epoch", "leaseExpiresAt", "lost", "owner", "ttl", "updatedAt"]);
        assert_eq!(serde_json::from_value::<Item>(json).unwrap(), bare);
    }

    /// Items written before absent attributes were left out say null.
    #[test]
    fn null_is_absent() {
        let mut json = serde_json::to_value(item()).unwrap();
        json["plan"] = serde_json::Value::Null;
        json["incarnation"] = serde_json::Value::Null;
        let read: Item = serde_json::from_value(json).unwrap();
        assert_eq!(read, Item { plan: None, incarnation: None, ..item() });
    }

    #[test]
    fn a_broken_position_is_an_error_and_no_new_start() {
        for (name, value) in [("offset", None), ("sequenceNumber", None), ("sequenceNumber", Some("41"))] {
            let mut json = serde_json::to_value(item()).unwrap();
            match value {
                Some(value) => json[name] = value.into(),
                None => drop(json.as_object_mut().unwrap().remove(name)),
            }
            assert!(serde_json::from_value::<Item>(json).is_err(), "{name}: {value:?}");
        }
    }
}
