//! The poll job over a hub in memory that can lose, trim, rebuild and displace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod hub;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use object_store::memory::InMemory;
use tributary_batch::envelope::{self, Decoded};
use tributary_batch::{Batch, Body, SequenceNumber};
use tributary_lake::Staging;
use tributary_ledger::{
    Expected, Item, LeaseRequest, Ledger, LedgerError, MemoryLedger, PartitionKey, Policy, worker_of,
};
use tributary_pipeline::{Clock, PartitionReport, PartitionState, Poll, PollConfig, Stop};
use tributary_queue::{MemoryQueue, Queue, RedrivePolicy};
use tributary_telemetry::{Metric, Metrics};

use crate::hub::{MemoryHub, NOW};

const BUDGET: Duration = Duration::from_secs(60);

/// A ledger whose writes can be made to fail, as if the process had died before them.
#[derive(Default)]
struct Faulty {
    inner: MemoryLedger,
    /// Writes until one fails; negative for never.
    writes: AtomicI64,
    /// Whether the failure is a missing permission.
    denied: AtomicBool,
}

#[async_trait]
impl Ledger for Faulty {
    async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
        self.inner.read(key).await
    }
    async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError> {
        self.inner.lease(key, request).await
    }
    async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError> {
        if self.writes.fetch_sub(1, Ordering::SeqCst) == 0 {
            let detail = "planned fault".to_owned();
            let denied = self.denied.load(Ordering::SeqCst);
            return Err(LedgerError { operation: "write", key: key.as_str().to_owned(), detail, denied });
        }
        self.inner.write(key, expected, item).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError> {
        self.inner.list(prefix).await
    }
}

struct Bench {
    hub: MemoryHub,
    ledger: Arc<Faulty>,
    queue: Arc<MemoryQueue>,
    objects: Arc<InMemory>,
    metrics: Metrics,
    time: Arc<AtomicI64>,
}

impl Bench {
    fn new(partitions: usize) -> Self {
        let ledger = Arc::new(Faulty::default());
        ledger.writes.store(-1, Ordering::SeqCst);
        Self {
            hub: MemoryHub::new(partitions),
            ledger,
            queue: Arc::new(MemoryQueue::new(RedrivePolicy::default())),
            objects: Arc::new(InMemory::new()),
            metrics: Metrics::new(),
            time: Arc::new(AtomicI64::new(NOW)),
        }
    }

    fn poll(&self) -> Poll {
        let time = Arc::clone(&self.time);
        let mut config = PollConfig::new("azure", "test");
        config.reserve = Duration::ZERO;
        Poll {
            source: Arc::new(self.hub.clone()),
            ledger: self.ledger.clone(),
            queue: self.queue.clone(),
            staging: Staging::new(self.objects.clone()),
            metrics: self.metrics.clone(),
            clock: Clock::new(move || time.fetch_add(1, Ordering::SeqCst)),
            stop: Stop::new(),
            config,
        }
    }

    async fn item(&self, partition: &str) -> Item {
        self.ledger.read(&PartitionKey::new("ns.example", "hub", "tributary", partition)).await.unwrap().unwrap()
    }

    /// Takes every batch out of the queue.
    async fn batches(&self) -> Vec<Batch> {
        let mut batches = Vec::new();
        loop {
            let messages = self.queue.receive(10, Duration::from_secs(60), Duration::ZERO).await.unwrap();
            if messages.is_empty() {
                batches.sort_by_key(|batch: &Batch| (batch.source.partition.clone(), batch.first));
                return batches;
            }
            for message in messages {
                let batch = match envelope::decode(&message.body, &message.id).unwrap() {
                    Decoded::Batch(batch) => batch,
                    Decoded::Claim(claim) => {
                        let staging = Staging::new(self.objects.clone());
                        let bytes = staging.get_claim(claim.key()).await.unwrap().unwrap();
                        claim.open(&bytes).unwrap()
                    }
                    Decoded::Foreign(_) => panic!("foreign"),
                };
                batches.push(batch);
                self.queue.delete(&message.receipt).await.unwrap();
            }
        }
    }
}

fn numbers(batches: &[Batch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.events.iter().map(|event| event.sequence_number.0)).collect()
}

#[tokio::test]
async fn every_partition_is_read_to_its_end_and_committed() {
    let bench = Bench::new(3);
    bench.hub.publish("0", 4_500, 10);
    bench.hub.publish("2", 7, 10);
    let report = bench.poll().run(BUDGET).await.unwrap();
    assert_eq!((report.events(), report.batches(), report.lag(), report.lost()), (4_507, 4, 0, 0));
    let batches = bench.batches().await;
    let ranges: Vec<(&str, i64, i64, usize)> = batches
        .iter()
        .map(|batch| (batch.source.partition.as_str(), batch.first.0, batch.last.0, batch.events.len()))
        .collect();
    assert_eq!(ranges, [("0", 0, 1_999, 2_000), ("0", 2_000, 3_999, 2_000), ("0", 4_000, 4_499, 500), ("2", 0, 6, 7)]);
    let item = bench.item("0").await;
    assert_eq!(item.position.unwrap().sequence_number, SequenceNumber(4_499));
    assert_eq!((item.plan, item.incarnation), (None, Some(1)));

    bench.hub.publish("2", 1, 10);
    let again = bench.poll().run(BUDGET).await.unwrap();
    assert_eq!((again.events(), numbers(&bench.batches().await)), (1, vec![7]));
}

#[tokio::test]
async fn an_idle_run_keeps_every_partitions_place() {
    let bench = Bench::new(1);
    bench.hub.publish("0", 1, 1);
    bench.poll().run(BUDGET).await.unwrap();
    let before = bench.item("0").await;
    bench.time.fetch_add(24 * 3_600_000, Ordering::SeqCst);
    let report = bench.poll().run(BUDGET).await.unwrap();
    let after = bench.item("0").await;
    assert_eq!((report.events(), report.lag()), (0, 0));
    assert!(after.ttl >= before.ttl + 24 * 3_600, "the time to live was not refreshed");
    assert_eq!(after.position, before.position);
    assert!(after.lease_expires_at <= bench.time.load(Ordering::SeqCst), "the lease was not given up");
}

#[tokio::test]
async fn a_batch_that_was_sent_but_not_committed_is_sent_again_under_its_name() {
    // Writes: incarnation, plan of the first batch, commit with plan of the second, last commit.
    for failing in 1..=3 {
        let bench = Bench::new(1);
        bench.hub.publish("0", 2_500, 10);
        bench.ledger.writes.store(failing, Ordering::SeqCst);
        let report = bench.poll().run(BUDGET).await.unwrap();
        assert_eq!(report.failures().count(), 1, "write {failing}");
        let before = bench.batches().await;
        bench.hub.publish("0", 100, 10);
        let report = bench.poll().run(BUDGET).await.unwrap();
        assert_eq!(report.failures().count(), 0, "{report:?}");
        let after = bench.batches().await;
        let mut by_name: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for batch in before.iter().chain(&after) {
            let held = numbers(std::slice::from_ref(batch));
            let first = by_name.entry(batch.id().to_string()).or_insert_with(|| held.clone());
            assert_eq!(*first, held, "write {failing}: one name, two contents");
        }
        let delivered: Vec<i64> = by_name.into_values().flatten().collect();
        assert_eq!(delivered, (0..2_600).collect::<Vec<_>>(), "write {failing}");
    }
}

#[tokio::test]
async fn a_gap_is_counted_with_the_plan() {
    let bench = Bench::new(1);
    bench.hub.publish("0", 10, 1);
    bench.poll().run(BUDGET).await.unwrap();
    bench.hub.publish("0", 10, 1);
    bench.hub.trim("0", 15);
    let report = bench.poll().run(BUDGET).await.unwrap();
    assert_eq!((report.lost(), report.events()), (5, 5));
    assert_eq!(bench.item("0").await.lost, 5);
    assert_eq!(bench.metrics.snapshot().total(Metric::EventsLost), 5);
}

/// A ledger with an open plan of 0..=9 of an owner that died before it sent.
async fn with_open_plan() -> Bench {
    let bench = Bench::new(1);
    bench.hub.publish("0", 10, 1);
    // Writes: incarnation, plan, then the commit fails.
    bench.ledger.writes.store(2, Ordering::SeqCst);
    bench.poll().run(BUDGET).await.unwrap();
    assert!(bench.item("0").await.plan.is_some());
    bench.batches().await;
    bench
}

#[tokio::test]
async fn a_plan_whose_events_are_all_gone_is_counted_and_passed() {
    for published_after in [0, 4] {
        let bench = with_open_plan().await;
        bench.hub.publish("0", published_after, 1);
        bench.hub.trim("0", 10);
        let report = bench.poll().run(BUDGET).await.unwrap();
        assert_eq!(report.failures().count(), 0, "{report:?}");
        assert_eq!((report.lost(), report.events()), (10, published_after as u64));
        let item = bench.item("0").await;
        assert_eq!((item.plan, item.lost), (None, 10));
        assert_eq!(item.position.unwrap().sequence_number.0, 9 + published_after as i64);
    }
}

#[tokio::test]
async fn a_plan_that_is_partly_gone_is_sent_under_its_name_and_the_rest_counted() {
    let bench = with_open_plan().await;
    bench.hub.publish("0", 3, 1);
    bench.hub.trim("0", 6);
    let report = bench.poll().run(BUDGET).await.unwrap();
    assert_eq!((report.lost(), report.events()), (6, 7));
    let batches = bench.batches().await;
    assert_eq!((batches[0].first.0, batches[0].last.0), (0, 9), "the plan's own boundaries");
    assert_eq!(numbers(&batches), (6..13).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_rebuilt_hub_is_read_from_its_start() {
    let bench = with_open_plan().await;
    bench.hub.change("0", |partition| {
        partition.incarnation = 2;
        partition.events.clear();
    });
    bench.hub.publish("0", 3, 1);
    let report = bench.poll().run(BUDGET).await.unwrap();
    assert_eq!(report.events(), 3);
    let item = bench.item("0").await;
    assert_eq!((item.incarnation, item.lost, item.plan), (Some(2), 10, None));
    let batches = bench.batches().await;
    assert_eq!((numbers(&batches), batches[0].source.incarnation), (vec![0, 1, 2], 2));
}

#[tokio::test]
async fn a_position_above_the_hubs_last_event_moves_nothing() {
    let bench = Bench::new(1);
    bench.hub.publish("0", 10, 1);
    bench.poll().run(BUDGET).await.unwrap();
    bench.hub.change("0", |partition| partition.events.truncate(5));
    let report = bench.poll().run(BUDGET).await.unwrap();
    assert_eq!((report.events(), report.failures().count()), (0, 0));
    assert_eq!(bench.item("0").await.position.unwrap().sequence_number.0, 9);
}

#[tokio::test]
async fn an_event_larger_than_a_message_travels_as_a_claim() {
    let bench = Bench::new(1);
    // Text that does not compress.
    let mut state = 1u64;
    let noise: String = (0..3_000_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(33 + u8::try_from((state >> 33) % 90).unwrap())
        })
        .collect();
    bench.hub.publish("0", 2, 1);
    bench.hub.change("0", |partition| partition.events[1].body = Body::Text(noise.clone()));
    let report = bench.poll().run(BUDGET).await.unwrap();
    assert_eq!((report.events(), report.failures().count()), (2, 0), "{report:?}");
    let batches = bench.batches().await;
    assert_eq!(batches.iter().flat_map(|batch| &batch.events).last().unwrap().body, Body::Text(noise));
}

#[tokio::test]
async fn a_newer_owner_displaces_an_older_one() {
    let bench = Bench::new(1);
    bench.hub.publish("0", 10, 1);
    // Another worker leases between this one's lease and its first write.
    struct Thief(Arc<Faulty>, AtomicBool);
    #[async_trait]
    impl Ledger for Thief {
        async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
            self.0.read(key).await
        }
        async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError> {
            self.0.lease(key, request).await
        }
        async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError> {
            if !self.1.swap(true, Ordering::SeqCst) {
                let request = LeaseRequest {
                    owner: "thief".into(),
                    now: NOW + 5,
                    duration: 1_000,
                    time_to_live: 1_000,
                    policy: tributary_ledger::Policy::Displace,
                };
                self.0.lease(key, &request).await?;
            }
            self.0.write(key, expected, item).await
        }
        async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError> {
            self.0.list(prefix).await
        }
    }
    let mut poll = bench.poll();
    poll.ledger = Arc::new(Thief(bench.ledger.clone(), AtomicBool::new(false)));
    let report = poll.run(BUDGET).await.unwrap();
    assert_eq!(report.partitions[0].state, PartitionState::Displaced);
    assert_eq!(bench.item("0").await.owner, "thief");
    assert!(bench.batches().await.is_empty(), "nothing was planned, so nothing may be sent");
}

/// One of several workers, as `tributary run` makes them.
fn sharing(bench: &Bench, worker: &str) -> Poll {
    let mut poll = bench.poll();
    poll.config = PollConfig { worker: worker.into(), policy: Policy::WhenFree, share: true, ..poll.config };
    poll
}

#[tokio::test]
async fn a_worker_that_joins_takes_its_share_and_nothing_is_lost_or_cut_twice() {
    let bench = Bench::new(4);
    for partition in ["0", "1", "2", "3"] {
        bench.hub.publish(partition, 9_000, 10);
    }
    let (first, second) = (sharing(&bench, "first"), sharing(&bench, "second"));
    let joining = async {
        let key = PartitionKey::new("ns.example", "hub", "tributary", "3");
        while bench.ledger.read(&key).await.unwrap().is_none_or(|item| item.position.is_none()) {
            tokio::task::yield_now().await;
        }
        second.run(BUDGET).await.unwrap()
    };
    let (report, joined) = tokio::join!(first.run(BUDGET), joining);
    let displaced = |partition: &&PartitionReport| partition.state == PartitionState::Displaced;
    assert_eq!(report.unwrap().partitions.iter().filter(displaced).count(), 2, "the first worker gives up two of four");
    assert_eq!(joined.partitions.len(), 2);
    assert!(joined.events() > 0 && joined.failures().next().is_none());
    // The second leaves, and the first is alone again.
    first.run(BUDGET).await.unwrap();
    let batches = bench.batches().await;
    // A batch that was sent by both has one name and one content.
    let mut by_name = BTreeMap::new();
    for batch in batches {
        let earlier = by_name.insert(batch.id().to_string(), batch.clone());
        assert!(earlier.is_none_or(|earlier| earlier == batch));
    }
    let mut events: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for batch in by_name.values() {
        let numbers = batch.events.iter().map(|event| event.sequence_number.0);
        events.entry(batch.source.partition.clone()).or_default().extend(numbers);
    }
    for (partition, mut numbers) in events {
        numbers.sort_unstable();
        assert_eq!(numbers, (0..9_000).collect::<Vec<_>>(), "partition {partition}");
    }
}

#[tokio::test]
async fn a_sharing_worker_keeps_its_leases_between_runs_until_it_leaves() {
    let bench = Bench::new(4);
    let (first, second) = (sharing(&bench, "first"), sharing(&bench, "second"));
    let owners = async |bench: &Bench| {
        let mut owners = Vec::new();
        for partition in ["0", "1", "2", "3"] {
            let item = bench.item(partition).await;
            let running = item.lease_expires_at > bench.time.load(Ordering::SeqCst);
            owners.push(if running { worker_of(&item.owner).to_owned() } else { String::new() });
        }
        owners.sort();
        owners
    };
    // Nothing to read: whoever runs is seen all the same, and takes no more than its share beside another.
    first.run(BUDGET).await.unwrap();
    assert_eq!(owners(&bench).await, ["first"; 4]);
    second.run(BUDGET).await.unwrap();
    first.run(BUDGET).await.unwrap();
    assert_eq!(owners(&bench).await, ["first", "first", "second", "second"]);
    first.leave().await.unwrap();
    assert_eq!(owners(&bench).await, ["", "", "second", "second"]);
    second.run(BUDGET).await.unwrap();
    assert_eq!(owners(&bench).await, ["second"; 4]);
}

#[tokio::test]
async fn access_that_is_denied_is_counted() {
    for (denied, counted) in [(true, 1), (false, 0)] {
        let bench = Bench::new(1);
        bench.ledger.writes.store(0, Ordering::SeqCst);
        bench.ledger.denied.store(denied, Ordering::SeqCst);
        let report = bench.poll().run(BUDGET).await.unwrap();
        assert_eq!(report.failures().count(), 1, "{report:?}");
        assert_eq!(bench.metrics.snapshot().total(Metric::AccessDenied), counted);
    }
}
