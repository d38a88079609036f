//! Rows to groups: one object holds one class, one account and one day.

use std::collections::{BTreeMap, BTreeSet};

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

/// Why a row lies under a day that is not its own time's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Misfiled {
    /// Its time is more than 90 days before, or more than one day after, the time at which the hub accepted it: it is
    /// filed under the day of the latter.
    OutsideWindow,
    /// Its batch has more than [`MAX_GROUPS`] groups: it is filed under account `external` and the batch's first day.
    TooManyGroups,
}

/// The rows of one object, sorted by time.
#[derive(Debug)]
pub struct Group<'r> {
    /// Its key.
    pub key: GroupKey,
    /// Its events.
    pub events: Vec<&'r Object<'r>>,
    /// Those of the events, by index and ascending, that lie elsewhere than their own time or account says.
    pub misfiled: Vec<(usize, Misfiled)>,
}

struct Filed<'r> {
    time: TimestampMs,
    event: &'r Object<'r>,
    misfiled: Option<Misfiled>,
}

/// Groups rows, in the order of their keys; within a group rows are sorted by time, equal times in the order given.
///
/// There are at most [`MAX_GROUPS`]. Where a batch would make more, the ones with the most rows stay (so that many
/// made-up accounts cannot displace real ones), and each class gets one for the rest: account `external` and the day on
/// which the hub accepted the batch's earliest event.
pub fn group<'r>(rows: &[Row<'r>]) -> Vec<Group<'r>> {
    let mut groups: BTreeMap<GroupKey, Vec<Filed<'r>>> = BTreeMap::new();
    for row in rows {
        let (day, own) = EventDay::new(row.time, row.enqueued);
        let key = GroupKey { class: row.class, account: Account::new(row.account), day };
        let misfiled = (!own).then_some(Misfiled::OutsideWindow);
        groups.entry(key).or_default().push(Filed { time: row.time, event: row.event, misfiled });
    }
    if groups.len() > MAX_GROUPS {
        let first = rows.iter().map(|row| row.enqueued).min().unwrap_or_default();
        groups = merge_small(groups, EventDay::of(first));
    }
    groups
        .into_iter()
        .map(|(key, mut rows)| {
            rows.sort_by_key(|row| row.time);
            let misfiled = rows.iter().enumerate().filter_map(|(index, row)| Some((index, row.misfiled?))).collect();
            Group { key, events: rows.into_iter().map(|row| row.event).collect(), misfiled }
        })
        .collect()
}

/// Keeps the largest groups and puts the rows of the others together, class by class.
fn merge_small<'r>(groups: BTreeMap<GroupKey, Vec<Filed<'r>>>, day: EventDay) -> BTreeMap<GroupKey, Vec<Filed<'r>>> {
    let classes: BTreeSet<ShapeId> = groups.keys().map(|key| key.class).collect();
    let mut groups: Vec<_> = groups.into_iter().collect();
    // The sort is stable: among equally large groups the order of keys decides, so that a retry makes the same choice.
    groups.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
    let rest = groups.split_off(MAX_GROUPS.saturating_sub(classes.len()).min(groups.len()));
    let mut kept: BTreeMap<GroupKey, Vec<Filed<'r>>> = groups.into_iter().collect();
    for (key, rows) in rest {
        let together = GroupKey { class: key.class, account: Account::external(), day };
        let moved = key != together;
        let mark = |row| if moved { Filed { misfiled: Some(Misfiled::TooManyGroups), ..row } } else { row };
        kept.entry(together).or_default().extend(rows.into_iter().map(mark));
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_767_268_800_000; // 2026-01-01T12:00:00Z
    const DAY: i64 = 86_400_000;

    fn account(index: usize) -> String {
        format!("00000000-0000-4000-8000-{index:012x}")
    }

    #[test]
    fn a_hostile_batch_makes_few_objects_and_displaces_nobody() {
        let event = Object { shape: ShapeId(0), fields: &[] };
        let accounts: Vec<String> = (0..2_000).map(account).collect();
        let row = |account| Row { event: &event, class: ShapeId(0), time: NOON, account, enqueued: NOON };
        let mut rows: Vec<Row<'_>> = accounts.iter().map(|account| row(Some(account.as_str()))).collect();
        rows.push(row(Some(&accounts[1_999])));
        let groups = group(&rows);
        assert_eq!(groups.len(), MAX_GROUPS);
        assert_eq!(groups.iter().map(|group| group.events.len()).sum::<usize>(), 2_001);
        let real = groups.iter().find(|group| group.key.account == Account::new(Some(&accounts[1_999])));
        assert_eq!(real.unwrap().events.len(), 2, "the account with two rows keeps its group");
        let rest = groups.iter().find(|group| group.key.account == Account::external()).unwrap();
        assert_eq!(rest.misfiled.len(), rest.events.len());
        assert!(rest.misfiled.iter().all(|(_, why)| *why == Misfiled::TooManyGroups));
    }

    #[test]
    fn a_time_outside_the_window_is_filed_under_the_enqueued_day_and_marked() {
        let event = Object { shape: ShapeId(0), fields: &[] };
        let row = |time| Row { event: &event, class: ShapeId(0), time, account: None, enqueued: NOON };
        let groups = group(&[row(NOON), row(i64::MIN), row(NOON + 2 * DAY)]);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].key.day.text(), "20260101");
        assert_eq!(groups[0].misfiled, [(0, Misfiled::OutsideWindow), (2, Misfiled::OutsideWindow)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_row_is_lost_or_doubled_and_every_group_is_sorted(
            rows in prop::collection::vec(
                (0_u16..4, prop_oneof![any::<i64>(), NOON - 200 * DAY..NOON + 3 * DAY], 0_usize..400, any::<i64>(), any::<bool>()),
                0..1_500,
            ),
        ) {
            let accounts: Vec<String> = rows.iter().map(|(_, _, index, _, _)| match index % 7 {
                0 => "../../etc".to_owned(),
                1 => String::new(),
                _ => account(*index),
            }).collect();
            // One object an event, so that addresses tell events apart.
            let events: Vec<Object<'_>> =
                rows.iter().map(|(class, ..)| Object { shape: ShapeId(*class), fields: &[] }).collect();
            let rows: Vec<Row<'_>> = rows.iter().zip(&accounts).zip(&events).map(|(((class, time, _, enqueued, sane), account), event)| Row {
                event, class: ShapeId(*class), time: *time, account: Some(account), enqueued: if *sane { NOON } else { *enqueued },
            }).collect();
            let by_address: std::collections::HashMap<*const Object<'_>, &Row<'_>> =
                rows.iter().map(|row| (std::ptr::from_ref(row.event), row)).collect();
            let groups = group(&rows);
            prop_assert!(groups.len() <= MAX_GROUPS);
            let mut seen = BTreeSet::new();
            for group in &groups {
                let segment = group.key.account.as_str();
                prop_assert!(segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{segment:?}");
                let times: Vec<i64> = group.events.iter().map(|event| by_address[&std::ptr::from_ref(*event)].time).collect();
                prop_assert!(times.is_sorted());
                for (index, event) in group.events.iter().enumerate() {
                    let row = by_address[&std::ptr::from_ref(*event)];
                    prop_assert!(seen.insert(std::ptr::from_ref(*event)), "doubled");
                    prop_assert_eq!(row.class, group.key.class);
                    let marked = group.misfiled.iter().any(|(marked, _)| *marked == index);
                    let own = GroupKey { class: row.class, account: Account::new(row.account), day: EventDay::of(row.time) };
                    prop_assert_eq!(marked, own != group.key || !EventDay::new(row.time, row.enqueued).1, "marked exactly when filed elsewhere");
                }
            }
            prop_assert_eq!(seen.len(), rows.len());
        }
    }
}
