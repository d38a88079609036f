//! Rows to groups: one object holds one class, one account and one day.

use std::collections::BTreeMap;

use tributary_batch::TimestampMs;
use tributary_ocsf::{Object, ShapeId};

use crate::layout::{Account, EventDay};

/// Most groups of one batch: what a hostile batch may make of objects.
pub const MAX_GROUPS: usize = 256;

/// An event with what its place depends on.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// The event.
    pub event: &'r Object<'r>,
    /// Its class.
    pub class: ShapeId,
    /// Its `time`, in milliseconds.
    pub time: TimestampMs,
    /// Its account, as the source wrote it.
    pub account: Option<&'r str>,
    /// When the hub accepted it, in milliseconds.
    pub enqueued: TimestampMs,
}

/// What tells groups apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// The class.
    pub class: ShapeId,
    /// The account.
    pub account: Account,
    /// The day.
    pub day: EventDay,
}

/// The rows of one object, sorted by time.
#[derive(Debug)]
pub struct Group<'r> {
    /// Its key.
    pub key: GroupKey,
    /// Its events.
    pub events: Vec<&'r Object<'r>>,
}

/// Groups rows, in the order of their keys; within a group rows are sorted by time, equal times in the order given.
///
/// Beyond [`MAX_GROUPS`] keys, rows go to the class's group of account `external` and the enqueued day.
pub fn group<'r>(rows: &[Row<'r>]) -> Vec<Group<'r>> {
    let mut groups: BTreeMap<GroupKey, Vec<(TimestampMs, &'r Object<'r>)>> = BTreeMap::new();
    for row in rows {
        let (day, _) = EventDay::new(row.time, row.enqueued);
        let key = GroupKey { class: row.class, account: Account::new(row.account), day };
        let key = if groups.len() < MAX_GROUPS || groups.contains_key(&key) {
            key
        } else {
            let (day, _) = EventDay::new(row.enqueued, row.enqueued);
            GroupKey { class: row.class, account: Account::external(), day }
        };
        groups.entry(key).or_default().push((row.time, row.event));
    }
    groups
        .into_iter()
        .map(|(key, mut rows)| {
            rows.sort_by_key(|(time, _)| *time);
            Group { key, events: rows.into_iter().map(|(_, event)| event).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_batch_makes_few_objects() {
        let event = Object { shape: ShapeId(0), fields: &[] };
        let accounts: Vec<String> = (0..2_000).map(|index| format!("00000000-0000-4000-8000-{index:012x}")).collect();
        let rows: Vec<Row<'_>> = accounts
            .iter()
            .map(|account| Row { event: &event, class: ShapeId(0), time: 1, account: Some(account), enqueued: 1 })
            .collect();
        let groups = group(&rows);
        assert_eq!(groups.len(), MAX_GROUPS + 1);
        assert_eq!(groups.iter().map(|group| group.events.len()).sum::<usize>(), 2_000);
    }
}
