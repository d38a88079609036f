//! What every ledger backend must do, written against the trait alone.
//!
//! A backend's test calls [`all`] with a function that makes an empty ledger. A broken promise panics with its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

pub use crate::cursor_conformance::cursors;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tributary_batch::{BatchId, Offset, Position, SequenceNumber, SourceRef};

use crate::{
    Lease, LeaseRequest, Ledger, Outbox, OutboxError, PartitionKey, Plan, Policy, ProtocolError, Sent, set_position,
};

const NOW: i64 = 1_767_225_600_000;
const MINUTE: i64 = 60_000;
const WEEK: i64 = 7 * 24 * 60 * MINUTE;

/// Every promise, each on a ledger of its own.
pub async fn all<L: Ledger + 'static>(make: impl Fn() -> Arc<L>) {
    let make = || -> Arc<dyn Ledger> { make() };
    a_lease_makes_the_item_and_raises_the_epoch(make()).await;
    a_running_lease_is_respected_and_an_expired_one_taken_over(make()).await;
    a_stale_epoch_is_refused_at_every_step(make()).await;
    a_plan_is_replayed_under_the_same_batch_id(make()).await;
    a_commit_plans_the_next_range_in_one_write(make()).await;
    a_late_or_doubled_write_is_refused_or_recognised(make()).await;
    an_idle_refresh_extends_the_time_to_live(make()).await;
    a_lost_item_starts_anew(make()).await;
    a_rebuilt_hub_resets_the_position_in_one_write(make()).await;
    a_gap_is_counted_with_the_plan(make()).await;
    a_trimmed_plan_is_counted_and_passed(make()).await;
    wrong_orders_are_refused_before_any_write(make()).await;
    a_late_refresh_undoes_no_count_and_no_new_hub(make()).await;
    a_write_makes_no_item(make()).await;
    an_operator_sets_the_position_in_one_write(make()).await;
    an_operator_sets_the_position_of_a_new_partition(make()).await;
    one_of_many_simultaneous_leases_wins(make()).await;
    items_are_listed_by_prefix(make()).await;
}

fn key(partition: &str) -> PartitionKey {
    PartitionKey::new("ns.example", "hub", "tributary", partition)
}

fn request(owner: &str, now: i64, policy: Policy) -> LeaseRequest {
    LeaseRequest { owner: owner.to_owned(), now, duration: MINUTE, time_to_live: WEEK, policy }
}

async fn take(ledger: &Arc<dyn Ledger>, owner: &str, now: i64) -> Lease {
    let lease = Lease::take(Arc::clone(ledger), key("0"), &request(owner, now, Policy::Displace)).await;
    lease.expect("the lease can be taken").expect("displacing always takes it")
}

fn range(first: i64, last: i64) -> Plan {
    Plan { first: SequenceNumber(first), last: SequenceNumber(last), last_offset: Offset::new(format!("o{last}")) }
}

/// A queue that remembers names.
#[derive(Default)]
struct Names(Mutex<Vec<String>>);

#[async_trait]
impl Outbox for Names {
    async fn put(&self, name: &BatchId, _message: &str) -> Result<(), OutboxError> {
        self.0.lock().unwrap().push(name.to_string());
        Ok(())
    }
}

fn batch_id(plan: &Plan) -> BatchId {
    let source = SourceRef {
        namespace: "ns.example".into(),
        hub: "hub".into(),
        consumer_group: "tributary".into(),
        partition: "0".into(),
        incarnation: 1,
    };
    BatchId::new(&source, plan.first, plan.last)
}

async fn send(planned: crate::Planned, outbox: &Names) -> Sent {
    let name = batch_id(planned.plan());
    planned.send(outbox, &name, "{}", NOW).await.map_err(|(_, error)| error).expect("the queue takes it")
}

fn assert_displaced<T>(result: Result<T, ProtocolError>, step: &str) {
    match result {
        Err(ProtocolError::Displaced { .. }) => {}
        Err(other) => panic!("{step}: {other}"),
        Ok(_) => panic!("{step} by a displaced owner took place"),
    }
}

async fn a_lease_makes_the_item_and_raises_the_epoch(ledger: Arc<dyn Ledger>) {
    assert_eq!(ledger.read(&key("0")).await.unwrap(), None);
    let first = take(&ledger, "a", NOW).await;
    assert_eq!(first.item().epoch, NOW, "a new epoch is at least the time now");
    let second = take(&ledger, "b", NOW - 5).await;
    assert_eq!(second.item().epoch, NOW + 1, "a clock that is behind does not lower the epoch");
    let stored = ledger.read(&key("0")).await.unwrap().unwrap();
    assert_eq!(&stored, second.item());
    assert_eq!(stored.ttl, (NOW - 5 + WEEK) / 1_000);
}

async fn a_running_lease_is_respected_and_an_expired_one_taken_over(ledger: Arc<dyn Ledger>) {
    let first = take(&ledger, "a", NOW).await;
    let polite = |now| request("b", now, Policy::WhenFree);
    assert!(ledger.lease(&key("0"), &polite(NOW + MINUTE - 1)).await.unwrap().is_none());
    let taken = ledger.lease(&key("0"), &polite(NOW + MINUTE)).await.unwrap().expect("it has expired");
    assert!(taken.epoch > first.item().epoch);
    let second = take(&ledger, "c", NOW + MINUTE).await;
    second.release(NOW + MINUTE).await.unwrap();
    assert!(ledger.lease(&key("0"), &polite(NOW + MINUTE + 1)).await.unwrap().is_some(), "a released lease is free");
    let again = request("b/another-attempt", NOW + MINUTE + 2, Policy::WhenFree);
    let own = ledger.lease(&key("0"), &again).await.unwrap().expect("a worker's own lease is free for it");
    assert_eq!(own.owner, "b/another-attempt");
    assert!(ledger.lease(&key("0"), &request("b2/x", NOW + MINUTE + 3, Policy::WhenFree)).await.unwrap().is_none());
}

async fn a_stale_epoch_is_refused_at_every_step(ledger: Arc<dyn Ledger>) {
    let outbox = Names::default();
    let mut old = take(&ledger, "a", NOW).await;
    let sent = send(old.plan(range(0, 9), 0, NOW).await.unwrap(), &outbox).await;
    let fresh = take(&ledger, "b", NOW + 1).await;
    assert_displaced(old.commit(sent, None, NOW + 2).await, "commit");
    assert_displaced(old.refresh(NOW + 2).await, "refresh");
    assert_displaced(old.set_incarnation(7, 0, NOW + 2).await, "incarnation");
    let open = old.open_plan().unwrap();
    assert_displaced(old.skip(open, NOW, NOW + 2).await, "skip");
    assert_displaced(old.release(NOW + 2).await, "release");
    assert_eq!(ledger.read(&key("0")).await.unwrap().as_ref(), Some(fresh.item()), "nothing was written");
    let mut older = take(&ledger, "c", NOW + 3).await;
    let open = older.open_plan().unwrap();
    older.commit(send(open, &outbox).await, None, NOW + 3).await.unwrap();
    take(&ledger, "d", NOW + 4).await;
    assert_displaced(older.plan(range(10, 19), 0, NOW + 5).await, "plan");
}

async fn a_plan_is_replayed_under_the_same_batch_id(ledger: Arc<dyn Ledger>) {
    let outbox = Names::default();
    let mut first = take(&ledger, "a", NOW).await;
    let sent = send(first.plan(range(5, 14), 0, NOW).await.unwrap(), &outbox).await;
    drop((first, sent)); // the process dies before the commit
    let mut second = take(&ledger, "b", NOW + 1).await;
    let open = second.open_plan().expect("the plan survived");
    assert_eq!(open.plan(), &range(5, 14));
    second.commit(send(open, &outbox).await, None, NOW + 1).await.unwrap();
    let names = outbox.0.lock().unwrap().clone();
    assert_eq!(names.first(), names.last());
    assert_eq!(names.len(), 2);
    assert_eq!(second.item().position.as_ref().unwrap().sequence_number, SequenceNumber(14));
}

async fn a_commit_plans_the_next_range_in_one_write(ledger: Arc<dyn Ledger>) {
    let outbox = Names::default();
    let mut lease = take(&ledger, "a", NOW).await;
    let sent = send(lease.plan(range(0, 9), 0, NOW).await.unwrap(), &outbox).await;
    let next = lease.commit(sent, Some((range(12, 19), 2)), NOW + 1).await.unwrap();
    let stored = ledger.read(&key("0")).await.unwrap().unwrap();
    assert_eq!(stored.position.as_ref().unwrap().sequence_number, SequenceNumber(9));
    assert_eq!(stored.position.as_ref().unwrap().offset, Offset::new("o9"));
    assert_eq!(stored.plan, Some(range(12, 19)));
    assert_eq!(stored.lost, 2);
    lease.commit(send(next.unwrap(), &outbox).await, None, NOW + 2).await.unwrap();
    assert_eq!(ledger.read(&key("0")).await.unwrap().unwrap().plan, None);
}

async fn a_late_or_doubled_write_is_refused_or_recognised(ledger: Arc<dyn Ledger>) {
    let outbox = Names::default();
    let mut lease = take(&ledger, "a", NOW).await;
    let before = lease.item().clone();
    let sent = send(lease.plan(range(0, 9), 0, NOW).await.unwrap(), &outbox).await;
    let planned = lease.item().clone();
    // The same plan arrives once more, late: what it expects is no longer there.
    assert!(!ledger.write(&key("0"), &before.expected(), &planned).await.unwrap());
    lease.commit(sent, None, NOW + 1).await.unwrap();
    let committed = lease.item().clone();
    assert!(!ledger.write(&key("0"), &planned.expected(), &committed).await.unwrap(), "a doubled commit");
    assert_eq!(ledger.read(&key("0")).await.unwrap(), Some(committed));
}

async fn an_idle_refresh_extends_the_time_to_live(ledger: Arc<dyn Ledger>) {
    let mut lease = take(&ledger, "a", NOW).await;
    lease.refresh(NOW + 30_000).await.unwrap();
    let stored = ledger.read(&key("0")).await.unwrap().unwrap();
    assert_eq!(stored.ttl, (NOW + 30_000 + WEEK) / 1_000);
    assert_eq!(stored.lease_expires_at, NOW + 30_000 + MINUTE);
    assert_eq!(stored.updated_at, NOW + 30_000);
    assert_eq!(stored.epoch, NOW, "a refresh is no new lease");
}

async fn a_lost_item_starts_anew(ledger: Arc<dyn Ledger>) {
    let lease = take(&ledger, "a", NOW).await;
    assert_eq!(lease.item().position, None, "without an item the caller's initial position counts");
    assert_eq!(lease.item().incarnation, None);
    assert!(lease.open_plan().is_none());
}

async fn a_rebuilt_hub_resets_the_position_in_one_write(ledger: Arc<dyn Ledger>) {
    let outbox = Names::default();
    let mut lease = take(&ledger, "a", NOW).await;
    lease.set_incarnation(100, 0, NOW).await.unwrap();
    let sent = send(lease.plan(range(0, 9), 0, NOW).await.unwrap(), &outbox).await;
    let _ = lease.commit(sent, Some((range(10, 19), 0)), NOW).await.unwrap();
    lease.set_incarnation(200, 10, NOW + 1).await.unwrap();
    let stored = ledger.read(&key("0")).await.unwrap().unwrap();
    assert_eq!((stored.position, stored.plan, stored.incarnation, stored.lost), (None, None, Some(200), 10));
    lease.plan(range(0, 4), 0, NOW + 2).await.map(drop).expect("the new hub counts from zero");
}

async fn a_gap_is_counted_with_the_plan(ledger: Arc<dyn Ledger>) {
    let outbox = Names::default();
    let mut lease = take(&ledger, "a", NOW).await;
    let sent = send(lease.plan(range(0, 9), 0, NOW).await.unwrap(), &outbox).await;
    lease.commit(sent, None, NOW).await.unwrap();
    let planned = lease.plan(range(50, 59), 40, NOW).await.unwrap();
    assert_eq!(ledger.read(&key("0")).await.unwrap().unwrap().lost, 40);
    lease.commit(send(planned, &outbox).await, None, NOW).await.unwrap();
    assert_eq!(ledger.read(&key("0")).await.unwrap().unwrap().lost, 40);
}

async fn a_trimmed_plan_is_counted_and_passed(ledger: Arc<dyn Ledger>) {
    let mut lease = take(&ledger, "a", NOW).await;
    drop(lease.plan(range(0, 9), 0, NOW).await.unwrap());
    let mut next = take(&ledger, "b", NOW + 1).await;
    // Partly gone: counted with the commit, and not by an attempt that does not get there.
    let outbox = Names::default();
    drop(send(next.open_plan().unwrap().missing(3), &outbox).await);
    let partly = send(next.open_plan().unwrap().missing(3), &outbox).await;
    next.commit(partly, None, NOW + 1).await.unwrap();
    assert_eq!(ledger.read(&key("0")).await.unwrap().unwrap().lost, 3);
    drop(next.plan(range(10, 19), 0, NOW + 1).await.unwrap());
    let open = next.open_plan().unwrap();
    next.skip(open, NOW, NOW + 1).await.unwrap();
    let stored = ledger.read(&key("0")).await.unwrap().unwrap();
    assert_eq!(stored.lost, 13);
    assert_eq!(stored.position.unwrap().sequence_number, SequenceNumber(19));
    assert_eq!(stored.plan, None);
}

async fn wrong_orders_are_refused_before_any_write(ledger: Arc<dyn Ledger>) {
    let outbox = Names::default();
    let mut lease = take(&ledger, "a", NOW).await;
    let planned = lease.plan(range(10, 19), 0, NOW).await.unwrap();
    let stored = ledger.read(&key("0")).await.unwrap();
    let second = lease.plan(range(20, 29), 0, NOW).await;
    assert!(matches!(second, Err(ProtocolError::OutOfOrder { .. })), "a plan over a plan");
    let sent = send(planned, &outbox).await;
    let overlapping = lease.commit(sent, Some((range(15, 29), 0)), NOW).await;
    assert!(matches!(overlapping, Err(ProtocolError::OutOfOrder { .. })), "a next range that overlaps");
    assert_eq!(ledger.read(&key("0")).await.unwrap(), stored);
    let open = lease.open_plan().unwrap();
    lease.commit(send(open, &outbox).await, None, NOW).await.unwrap();
    for wrong in [range(19, 25), range(30, 29)] {
        let refused = lease.plan(wrong, 0, NOW).await;
        assert!(matches!(refused, Err(ProtocolError::OutOfOrder { .. })));
    }
}

async fn a_late_refresh_undoes_no_count_and_no_new_hub(ledger: Arc<dyn Ledger>) {
    let mut lease = take(&ledger, "a", NOW).await;
    let before = lease.item().clone();
    lease.set_incarnation(100, 0, NOW + 1).await.unwrap();
    assert!(!ledger.write(&key("0"), &before.expected(), &before).await.unwrap(), "the hub's sight was undone");
    let before = lease.item().clone();
    drop(lease.plan(range(3, 5), 3, NOW + 2).await.unwrap());
    assert!(!ledger.write(&key("0"), &before.expected(), &before).await.unwrap(), "the count was undone");
    assert_eq!(ledger.read(&key("0")).await.unwrap().as_ref(), Some(lease.item()));
}

async fn a_write_makes_no_item(ledger: Arc<dyn Ledger>) {
    // The table dropped the item after its time to live; its holder must not bring it back half known.
    let item = take(&ledger, "a", NOW).await.item().clone();
    assert!(!ledger.write(&key("1"), &item.expected(), &item).await.unwrap());
    assert_eq!(ledger.read(&key("1")).await.unwrap(), None);
}

fn position(number: i64) -> Position {
    Position { sequence_number: SequenceNumber(number), offset: Offset::new(format!("o{number}")), enqueued_time: NOW }
}

async fn an_operator_sets_the_position_in_one_write(ledger: Arc<dyn Ledger>) {
    let outbox = Names::default();
    let mut worker = take(&ledger, "a", NOW).await;
    worker.set_incarnation(100, 0, NOW).await.unwrap();
    let sent = send(worker.plan(range(0, 9), 2, NOW).await.unwrap(), &outbox).await;
    let next = worker.commit(sent, Some((range(10, 19), 0)), NOW).await.unwrap();
    let set = set_position(&*ledger, &key("0"), Some(position(4)), None, "operator", NOW + 1, WEEK).await.unwrap();
    assert_eq!(ledger.read(&key("0")).await.unwrap().as_ref(), Some(&set));
    assert_eq!((set.position.clone(), set.plan.clone()), (Some(position(4)), None));
    assert!(set.epoch > worker.item().epoch);
    assert_eq!((set.lost, set.incarnation), (2, Some(100)), "the rest stays");
    assert_eq!((set.updated_at, set.ttl), (NOW + 1, (NOW + 1 + WEEK) / 1_000));
    // The displaced worker finishes its send, and no more.
    let sent = send(next.unwrap(), &outbox).await;
    assert_displaced(worker.commit(sent, None, NOW + 2).await, "commit after a position was set");
    let polite = request("b", NOW + 2, Policy::WhenFree);
    let mut next = Lease::take(Arc::clone(&ledger), key("0"), &polite).await.unwrap().expect("the lease is free");
    assert!(next.open_plan().is_none());
    let planned = next.plan(range(5, 9), 0, NOW + 2).await.unwrap();
    // The item's own position pins the partition: the plan is dropped.
    let pinned =
        set_position(&*ledger, &key("0"), next.item().position.clone(), Some(77), "pin", NOW + 3, WEEK).await.unwrap();
    assert_eq!((pinned.position, pinned.plan, pinned.incarnation), (Some(position(4)), None, Some(77)));
    assert_displaced(next.commit(send(planned, &outbox).await, None, NOW + 4).await, "commit after a pin");
    let reset = set_position(&*ledger, &key("0"), None, None, "reset", NOW + 5, WEEK).await.unwrap();
    assert_eq!((reset.position, reset.incarnation), (None, Some(77)), "the initial position counts again");
}

async fn an_operator_sets_the_position_of_a_new_partition(ledger: Arc<dyn Ledger>) {
    let set = set_position(&*ledger, &key("0"), Some(position(7)), Some(5), "operator", NOW, WEEK).await.unwrap();
    assert_eq!(ledger.read(&key("0")).await.unwrap().as_ref(), Some(&set));
    assert_eq!(take(&ledger, "a", NOW + 1).await.item().position, Some(position(7)));
}

async fn one_of_many_simultaneous_leases_wins(ledger: Arc<dyn Ledger>) {
    let workers: Vec<_> = (0..8)
        .map(|number| {
            let ledger = Arc::clone(&ledger);
            let request = request(&format!("worker-{number}"), NOW, Policy::WhenFree);
            tokio::spawn(async move { ledger.lease(&key("0"), &request).await.unwrap() })
        })
        .collect();
    let mut taken = Vec::new();
    for worker in workers {
        taken.extend(worker.await.unwrap());
    }
    assert_eq!(taken.len(), 1, "leases of one partition at one time");
    assert_eq!(ledger.read(&key("0")).await.unwrap().as_ref(), taken.first());
}

async fn items_are_listed_by_prefix(ledger: Arc<dyn Ledger>) {
    for partition in ["1", "0", "10"] {
        ledger.lease(&key(partition), &request("a", NOW, Policy::Displace)).await.unwrap();
    }
    let other = PartitionKey::new("other.example", "hub", "tributary", "0");
    ledger.lease(&other, &request("a", NOW, Policy::Displace)).await.unwrap();
    let names: Vec<String> = ledger.list("ns.example#hub#").await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(names, ["0", "1", "10"].map(|partition| key(partition).as_str().to_owned()));
}
