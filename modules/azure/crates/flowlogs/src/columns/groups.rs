//! Rows to groups: one object holds one account and one day.

use std::collections::{BTreeMap, HashMap};

use tributary_lake::{Account, EventDay, MAX_GROUPS, Misfiled};

use super::rows::Rows;
use super::texts::ABSENT;

/// Rows of one account and day, in the order of their coming, and why some lie elsewhere than they say.
type Members = Vec<(u32, Option<Misfiled>)>;

/// Rows of one account and day, by time.
pub(crate) struct RowGroup {
    pub(crate) account: Account,
    pub(crate) day: EventDay,
    pub(crate) order: Vec<u32>,
    /// By row of `order`, or empty.
    pub(crate) misfiled: Vec<Option<Misfiled>>,
}

/// There are at most [`MAX_GROUPS`]: the largest stay, the rest lies under account `external`, so that many made-up accounts make few
/// objects and displace nobody.
pub(crate) fn groups(rows: &Rows) -> Vec<RowGroup> {
    if rows.len() == 0 {
        return Vec::new();
    }
    let account = |subscription: u32| Account::new(rows.texts.get(subscription));
    let info = |row: usize| {
        let context = rows.context.get(row).and_then(|context| rows.contexts.get(*context as usize));
        context.and_then(|context| rows.records.get(context.record as usize))
    };
    let (least, greatest) =
        rows.time.iter().fold((i64::MAX, i64::MIN), |(least, greatest), time| (least.min(*time), greatest.max(*time)));
    let first = rows.records.first().map_or((ABSENT, 0), |info| (info.subscription, info.reference));
    let same = rows.records.iter().all(|info| {
        let day = |time| EventDay::new(time, info.reference);
        info.subscription == first.0 && day(least) == day(greatest) && day(least).1
    });
    if same {
        let order = sorted(rows, (0..u32::try_from(rows.len()).unwrap_or(u32::MAX)).collect());
        return vec![RowGroup { account: account(first.0), day: EventDay::of(least), order, misfiled: Vec::new() }];
    }
    let mut found: BTreeMap<(Account, EventDay), Members> = BTreeMap::new();
    for (row, time) in rows.time.iter().enumerate() {
        let (subscription, reference) = info(row).map_or(first, |info| (info.subscription, info.reference));
        let (day, own) = EventDay::new(*time, reference);
        let misfiled = (!own).then_some(Misfiled::OutsideWindow);
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        found.entry((account(subscription), day)).or_default().push((row, misfiled));
    }
    if found.len() > MAX_GROUPS {
        let mut all: Vec<_> = found.into_iter().collect();
        all.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
        let rest = all.split_off(MAX_GROUPS - 1);
        found = all.into_iter().collect();
        let together = found.entry((Account::external(), EventDay::of(first.1))).or_default();
        for (_, rows) in rest {
            together.extend(rows.into_iter().map(|(row, _)| (row, Some(Misfiled::TooManyGroups))));
        }
    }
    let group = |((account, day), members): ((Account, EventDay), Members)| {
        let order = sorted(rows, members.iter().map(|(row, _)| *row).collect());
        let marks: HashMap<u32, Misfiled> = members.iter().filter_map(|(row, why)| Some((*row, (*why)?))).collect();
        let misfiled =
            if marks.is_empty() { Vec::new() } else { order.iter().map(|row| marks.get(row).copied()).collect() };
        RowGroup { account, day, order, misfiled }
    };
    found.into_iter().map(group).collect()
}

/// Rows by time; of equal times in the order of their coming.
fn sorted(rows: &Rows, mut order: Vec<u32>) -> Vec<u32> {
    let time = |row: &u32| rows.time.get(*row as usize).copied().unwrap_or_default();
    if !order.is_sorted_by_key(time) {
        let mut keyed: Vec<(i64, u32)> = order.iter().map(|row| (time(row), *row)).collect();
        keyed.sort_unstable();
        order.clear();
        order.extend(keyed.into_iter().map(|(_, row)| row));
    }
    order
}
