//! Showing where partitions stand, and moving one, over a hub in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod hub;

use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use tributary_batch::{Offset, Position, SequenceNumber};
use tributary_lake::Staging;
use tributary_ledger::{LeaseRequest, Ledger, MemoryLedger, PartitionKey, Plan, Policy};
use tributary_pipeline::{
    Clock, EventSource as _, Move, Poll, PollConfig, Positions, PositionsError, SourceError, StartPosition, Stop,
    Target,
};
use tributary_queue::{MemoryQueue, RedrivePolicy};
use tributary_telemetry::Metrics;

use crate::hub::{GROUP, MemoryHub, NOW};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

struct Bench {
    hub: MemoryHub,
    ledger: Arc<MemoryLedger>,
}

impl Bench {
    /// A hub whose only partition holds 20..=99, read up to 99.
    async fn new() -> Self {
        let bench = Self { hub: MemoryHub::new(1), ledger: Arc::new(MemoryLedger::new()) };
        bench.hub.publish("0", 100, 1);
        bench.hub.trim("0", 20);
        bench.poll().await;
        bench
    }

    /// Reads what is there; returns how many events that were.
    async fn poll(&self) -> u64 {
        let mut config = PollConfig::new("azure", "test");
        config.reserve = Duration::ZERO;
        let poll = Poll {
            source: Arc::new(self.hub.clone()),
            ledger: self.ledger.clone(),
            queue: Arc::new(MemoryQueue::new(RedrivePolicy::default())),
            staging: Staging::new(Arc::new(InMemory::new())),
            metrics: Metrics::new(),
            clock: Clock::new(|| NOW),
            stop: Stop::new(),
            config,
        };
        let report = poll.run(WEEK).await.unwrap();
        assert_eq!(report.failures().count(), 0, "{report:?}");
        assert_eq!(report.lost(), 0, "{report:?}");
        report.events()
    }

    fn positions(&self) -> Positions {
        Positions { ledger: self.ledger.clone(), clock: Clock::new(|| NOW), time_to_live: WEEK }
    }

    async fn propose(&self, target: Target, forced: bool) -> Result<Move, PositionsError> {
        self.positions().propose(&self.hub, GROUP, "0", &target, forced).await
    }
}

fn position(number: i64) -> Position {
    let offset = Offset::new(format!("o{number}"));
    Position { sequence_number: SequenceNumber(number), offset, enqueued_time: NOW + number }
}

fn bare(number: i64) -> Option<Position> {
    Some(Position { sequence_number: SequenceNumber(number), offset: Offset::new(""), enqueued_time: 0 })
}

#[tokio::test]
async fn every_target_is_the_event_before_the_one_that_is_read_next() {
    for (target, to, read) in [
        (Target::Sequence(49), Some(position(49)), 50),
        (Target::Sequence(19), bare(19), 80),
        (Target::Earliest, bare(19), 80),
        (Target::Latest, Some(position(99)), 0),
        // At this time or later: 60 itself.
        (Target::Time(NOW + 60), Some(position(59)), 40),
        (Target::Time(NOW), bare(19), 80),
        (Target::Time(NOW + 99), Some(position(98)), 1),
        (Target::Time(NOW + 100), Some(position(99)), 0),
        (Target::Initial, None, 80),
    ] {
        let bench = Bench::new().await;
        let before = bench.ledger.list("").await.unwrap();
        let proposed = bench.propose(target.clone(), false).await.unwrap();
        assert_eq!((&proposed.to, proposed.read_again()), (&to, read), "{target:?}");
        assert_eq!(bench.ledger.list("").await.unwrap(), before, "a proposal writes nothing");
        let item = bench.positions().apply(&proposed).await.unwrap();
        assert_eq!((item.position, item.plan), (to, None));
        assert!(item.epoch > before[0].1.epoch);
        assert_eq!(bench.poll().await, read, "{target:?}");
    }
}

#[tokio::test]
async fn a_position_that_is_not_the_hubs_is_refused_unless_it_is_forced() {
    let bench = Bench::new().await;
    let beyond = bench.propose(Target::Sequence(100), false).await;
    assert!(matches!(beyond, Err(PositionsError::Beyond { sequence: 100, last: 99, .. })), "{beyond:?}");
    let trimmed = bench.propose(Target::Sequence(18), false).await;
    assert!(matches!(trimmed, Err(PositionsError::Trimmed { sequence: 18, begin: 20, .. })), "{trimmed:?}");
    let unknown = bench.positions().propose(&bench.hub, GROUP, "7", &Target::Latest, true).await;
    assert!(matches!(unknown, Err(PositionsError::NoPartition { .. })), "{unknown:?}");
    let forced = bench.propose(Target::Sequence(100), true).await.unwrap();
    assert_eq!((forced.to.clone(), forced.passed_over()), (bare(100), 0));
    bench.positions().apply(&forced).await.unwrap();
    bench.hub.publish("0", 2, 1);
    assert_eq!(bench.poll().await, 1, "100 was passed over");
}

#[tokio::test]
async fn what_is_passed_over_is_counted_before_it_happens() {
    let bench = Bench::new().await;
    bench.hub.publish("0", 10, 1);
    assert_eq!(bench.propose(Target::Latest, false).await.unwrap().passed_over(), 10);
    assert_eq!(bench.propose(Target::Sequence(104), false).await.unwrap().passed_over(), 5);
    let other = bench.positions().propose(&bench.hub, "new", "0", &Target::Latest, false).await.unwrap();
    assert_eq!((other.passed_over(), other.from), (90, None), "nobody read any of it");
}

#[tokio::test]
async fn a_move_displaces_whoever_holds_the_partition_and_drops_its_plan() {
    let bench = Bench::new().await;
    let key = PartitionKey::new("ns.example", "hub", GROUP, "0");
    let request = LeaseRequest {
        owner: "worker".into(),
        now: NOW,
        duration: 60_000,
        time_to_live: 60_000,
        policy: Policy::Displace,
    };
    let ledger: Arc<dyn Ledger> = bench.ledger.clone();
    let mut lease = tributary_ledger::Lease::take(Arc::clone(&ledger), key.clone(), &request).await.unwrap().unwrap();
    let plan = Plan { first: SequenceNumber(100), last: SequenceNumber(109), last_offset: Offset::new("o109") };
    drop(lease.plan(plan, 0, NOW).await.unwrap());
    let proposed = bench.propose(Target::Sequence(50), false).await.unwrap();
    assert!(proposed.from.as_ref().unwrap().plan.is_some());
    let item = bench.positions().apply(&proposed).await.unwrap();
    assert_eq!((item.plan, item.position), (None, Some(position(50))));
    assert!(lease.refresh(NOW).await.is_err(), "the worker's next write is refused");
}

/// The processor of a rebuilt hub would drop a position that stands beside the old hub's creation time.
#[tokio::test]
async fn a_position_in_a_rebuilt_hub_is_that_hubs() {
    let bench = Bench::new().await;
    bench.hub.change("0", |partition| {
        partition.incarnation = 2;
        partition.begin = 0;
        partition.events.clear();
    });
    bench.hub.publish("0", 10, 1);
    let proposed = bench.propose(Target::Sequence(6), false).await.unwrap();
    bench.positions().apply(&proposed).await.unwrap();
    assert_eq!(bench.poll().await, 3);
}

#[tokio::test]
async fn a_processor_that_reads_is_left_alone() {
    let bench = Bench::new().await;
    let mut processor = bench.hub.open("0", StartPosition::Earliest, i64::MAX).await.unwrap();
    let refused = bench.propose(Target::Sequence(50), false).await;
    assert!(matches!(refused, Err(PositionsError::Source(SourceError::Displaced { .. }))), "{refused:?}");
    // What needs no reader is known all the same, and another consumer group's reader is let in.
    assert_eq!(bench.propose(Target::Earliest, false).await.unwrap().to, bare(19));
    let beside = bench.hub.in_group("$Default");
    let proposed = bench.positions().propose(&beside, GROUP, "0", &Target::Sequence(50), false).await.unwrap();
    assert_eq!(proposed.key, PartitionKey::new("ns.example", "hub", GROUP, "0"));
    assert!(!processor.next(Duration::ZERO).await.unwrap().is_empty(), "it was displaced");
}

#[tokio::test]
async fn standings_are_in_the_hubs_order_and_nothing_else_is_among_them() {
    let ledger = Arc::new(MemoryLedger::new());
    let request = LeaseRequest { owner: "w".into(), now: NOW, duration: 0, time_to_live: 1, policy: Policy::Displace };
    for (hub, partition) in [("b", "10"), ("b", "9"), ("a", "0")] {
        ledger.lease(&PartitionKey::new("ns", hub, "g", partition), &request).await.unwrap();
    }
    ledger.lease(&PartitionKey::new("account", "container", "y=2026", "m=01#blob"), &request).await.unwrap();
    let positions = Positions { ledger, clock: Clock::system(), time_to_live: WEEK };
    let listed: Vec<(String, String)> =
        positions.list().await.unwrap().into_iter().map(|one| (one.hub.hub, one.partition)).collect();
    assert_eq!(listed, [("a", "0"), ("b", "9"), ("b", "10")].map(|(hub, id)| (hub.to_owned(), id.to_owned())));
}
