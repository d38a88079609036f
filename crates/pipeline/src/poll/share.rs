//! Workers that share a hub's partitions: who takes which, by the leases that the ledger shows.
//!
//! Nobody assigns anything. A worker takes no more than its share of what is free while others are at work, and takes over from
//! whoever has more than its share, by a lease with a higher epoch: the one before ends in order (rule 2), so joining costs no event
//! and doubles none. Leases are kept between two runs, so that a worker with nothing to read is seen. One that leaves gives its
//! leases up; those of one that died run out.

use std::collections::BTreeMap;

use tributary_batch::TimestampMs;
use tributary_ledger::{Item, Policy, worker_of};

/// The partitions that a worker should try, in this order, each with whether it respects a running lease. `standing` is what
/// the ledger says of them.
pub(super) fn turns(
    partitions: Vec<String>,
    standing: &BTreeMap<String, Item>,
    worker: &str,
    now: TimestampMs,
) -> Vec<(String, Policy)> {
    let running = |partition: &String| {
        let item = standing.get(partition).filter(|item| item.lease_expires_at > now)?;
        Some(worker_of(&item.owner)).filter(|owner| !owner.is_empty())
    };
    let (mut own, mut free, mut held) = (Vec::new(), Vec::new(), BTreeMap::<&str, Vec<&String>>::new());
    for partition in &partitions {
        match running(partition) {
            Some(owner) if owner == worker => own.push(partition),
            Some(owner) => held.entry(owner).or_default().push(partition),
            None => free.push(partition),
        }
    }
    if held.is_empty() {
        return partitions.into_iter().map(|partition| (partition, Policy::WhenFree)).collect();
    }
    let workers = held.len() + 1;
    let (least, most) = (partitions.len() / workers, partitions.len().div_ceil(workers));
    // What it has first: another's turn must not make it forget one until its lease runs out.
    let mut turns: Vec<(String, Policy)> =
        own.into_iter().chain(free).take(most).map(|partition| (partition.clone(), Policy::WhenFree)).collect();
    while turns.len() < least {
        // From whoever has most, who keeps a share: two workers never take from each other in turn.
        let Some(richest) = held.values_mut().max_by_key(|held| held.len()).filter(|held| held.len() > least) else {
            break;
        };
        let Some(partition) = richest.pop() else { break };
        turns.push((partition.clone(), Policy::Displace));
    }
    turns
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tributary_ledger::LeaseRequest;

    const NOW: TimestampMs = 1_767_225_600_000;

    fn partitions(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    fn held(leases: &[(&str, &str)]) -> BTreeMap<String, Item> {
        let item = |owner: &str| {
            let owner = format!("{owner}/0f");
            LeaseRequest { owner, now: NOW - 1_000, duration: 30_000, time_to_live: 1, policy: Policy::WhenFree }
                .apply(None)
                .unwrap()
        };
        leases.iter().map(|(partition, owner)| ((*partition).to_owned(), item(owner))).collect()
    }

    #[test]
    fn alone_it_takes_everything() {
        let turns = turns(partitions(4), &held(&[("0", "me")]), "me", NOW);
        assert_eq!(turns.len(), 4);
        assert!(turns.iter().all(|(_, policy)| *policy == Policy::WhenFree));
    }

    #[test]
    fn a_joining_worker_takes_its_share_from_who_has_more() {
        let standing = held(&[("0", "a"), ("1", "a"), ("2", "a"), ("3", "a")]);
        let taken = turns(partitions(4), &standing, "b", NOW);
        assert_eq!(taken, [("3".to_owned(), Policy::Displace), ("2".to_owned(), Policy::Displace)]);
        // Once it has them nobody takes anything from anybody.
        let standing = held(&[("0", "a"), ("1", "a"), ("2", "b"), ("3", "b")]);
        for worker in ["a", "b"] {
            assert!(turns(partitions(4), &standing, worker, NOW).iter().all(|(_, policy)| *policy == Policy::WhenFree));
        }
    }

    #[test]
    fn what_does_not_divide_is_left_where_it_is() {
        // Three of five are one share of two workers; the third worker's is one of five, from who has most.
        let standing = held(&[("0", "a"), ("1", "a"), ("2", "a"), ("3", "b"), ("4", "b")]);
        let joining = turns(partitions(5), &standing, "c", NOW);
        assert_eq!(joining, [("2".to_owned(), Policy::Displace)]);
        let standing = held(&[("0", "a"), ("1", "a"), ("2", "c"), ("3", "b"), ("4", "b")]);
        assert!(turns(partitions(5), &standing, "c", NOW).iter().all(|(_, policy)| *policy == Policy::WhenFree));
    }

    #[test]
    fn beside_others_it_takes_no_more_than_its_share_of_what_is_free() {
        let standing = held(&[("0", "a")]);
        assert_eq!(turns(partitions(8), &standing, "b", NOW).len(), 4);
    }

    #[test]
    fn what_it_has_goes_before_what_is_free() {
        let standing = held(&[("0", "a"), ("3", "b")]);
        let turns = turns(partitions(4), &standing, "b", NOW);
        assert_eq!(turns, [("3".to_owned(), Policy::WhenFree), ("1".to_owned(), Policy::WhenFree)]);
    }

    #[test]
    fn a_lease_that_ran_out_counts_for_nobody() {
        let standing = held(&[("0", "a"), ("1", "a")]);
        assert_eq!(turns(partitions(2), &standing, "b", NOW + 60_000).len(), 2);
    }

    /// Workers that look and take one after another, again and again, come to equal shares and stay there.
    #[test]
    fn shares_become_equal_and_stay() {
        for (count, workers) in [(4, 2), (8, 3), (32, 5), (3, 4), (1, 2)] {
            let mut standing = held(&[]);
            let names: Vec<String> = (0..workers).map(|number| format!("w{number}")).collect();
            let mut stolen_late = 0;
            for round in 0..10 {
                for name in &names {
                    for (partition, policy) in turns(partitions(count), &standing, name, NOW) {
                        let mine = held(&[(partition.as_str(), name)]);
                        stolen_late += usize::from(policy == Policy::Displace && round > 2);
                        standing.extend(mine);
                    }
                }
            }
            let shares: Vec<usize> = names
                .iter()
                .map(|name| standing.values().filter(|item| item.owner.starts_with(&format!("{name}/"))).count())
                .collect();
            assert_eq!(stolen_late, 0, "{count} partitions, {workers} workers: they take from each other for ever");
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{count} partitions: {shares:?}");
        }
    }
}
