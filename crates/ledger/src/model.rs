//! The protocol under crashes, displaced owners and a treacherous network, at random but repeatable.
//!
//! Two workers run the steps of the protocol on one partition in random order: each step is one await of the real code.
//! Between any two steps a worker may die, or the other may take its lease while it goes on unaware. Writes to the ledger
//! may take place and be reported as failed, arrive late or twice. Whatever happens, the ranges that reach the queue must
//! cover every event once, and a range must always carry the same name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tributary_batch::{BatchId, Offset, SequenceNumber, SourceRef};

use crate::{
    Expected, Item, Lease, LeaseRequest, Ledger, LedgerError, MemoryLedger, Outbox, OutboxError, PartitionKey, Plan,
    Planned, Policy, ProtocolError, Sent,
};

const SEEDS: u64 = 1_500;
const STEPS: usize = 120;
const START: i64 = 1_767_225_600_000;
const LEASE: i64 = 20;

/// xorshift64*: good enough to order steps, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// A ledger behind a network.
struct Network {
    ledger: MemoryLedger,
    random: Mutex<Random>,
    /// Writes that are still on their way: they arrive some time, though their sender was told that they failed.
    late: Mutex<Vec<(Expected, Item)>>,
    calm: std::sync::atomic::AtomicBool,
}

impl Network {
    fn failed(key: &PartitionKey) -> LedgerError {
        LedgerError { operation: "write", key: key.as_str().to_owned(), detail: "no answer".into(), denied: false }
    }

    /// Something late arrives.
    async fn deliver(&self, key: &PartitionKey) {
        let arrived = {
            let (mut late, mut random) = (self.late.lock().unwrap(), self.random.lock().unwrap());
            let count = late.len() as u64;
            (count > 0).then(|| late.swap_remove(usize::try_from(random.below(count)).unwrap()))
        };
        if let Some((expected, item)) = arrived {
            self.ledger.write(key, &expected, &item).await.unwrap();
        }
    }
}

#[async_trait]
impl Ledger for Network {
    async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
        self.ledger.read(key).await
    }

    async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError> {
        self.ledger.lease(key, request).await
    }

    async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError> {
        let fault = if self.calm.load(std::sync::atomic::Ordering::Relaxed) {
            u64::MAX
        } else {
            self.random.lock().unwrap().below(12)
        };
        match fault {
            // It took place, and its answer was lost.
            0 => {
                self.ledger.write(key, expected, item).await?;
                Err(Self::failed(key))
            }
            // It is late.
            1 => {
                self.late.lock().unwrap().push((expected.clone(), item.clone()));
                Err(Self::failed(key))
            }
            // It took place, its answer was lost and the client tried again by itself, now or with a copy left behind.
            2 => {
                self.ledger.write(key, expected, item).await?;
                self.ledger.write(key, expected, item).await
            }
            3 => {
                self.late.lock().unwrap().push((expected.clone(), item.clone()));
                self.ledger.write(key, expected, item).await
            }
            _ => self.ledger.write(key, expected, item).await,
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError> {
        self.ledger.list(prefix).await
    }
}

/// Every batch that reached the queue, by name, with its range.
#[derive(Default)]
struct Delivered {
    ranges: Mutex<BTreeMap<String, (i64, i64)>>,
    sends: Mutex<u64>,
}

#[async_trait]
impl Outbox for Delivered {
    async fn put(&self, name: &BatchId, message: &str) -> Result<(), OutboxError> {
        let (first, last) = message.split_once('-').unwrap();
        let range = (first.parse().unwrap(), last.parse().unwrap());
        let known = self.ranges.lock().unwrap().insert(name.to_string(), range);
        assert!(known.is_none_or(|known| known == range), "{name} names two ranges");
        *self.sends.lock().unwrap() += 1;
        Ok(())
    }
}

/// Where a worker stands between two steps.
enum Worker {
    Idle,
    Leased(Lease),
    Planned(Lease, Planned),
    Sent(Lease, Sent),
}

struct World {
    network: Arc<Network>,
    delivered: Delivered,
    random: Random,
    /// Events in the hub: 0..available.
    available: i64,
    now: i64,
    attempts: u64,
    displaced: u64,
    replayed: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let network = Network {
            ledger: MemoryLedger::new(),
            random: Mutex::new(Random::new(seed + 1)),
            late: Mutex::default(),
            calm: false.into(),
        };
        Self {
            network: Arc::new(network),
            delivered: Delivered::default(),
            random: Random::new(seed),
            available: 0,
            now: START,
            attempts: 0,
            displaced: 0,
            replayed: 0,
        }
    }

    fn key() -> PartitionKey {
        PartitionKey::new("ns.example", "hub", "tributary", "0")
    }

    /// The next range after `after`, cut wherever chance will: a cut that is made twice is made differently.
    fn cut(&mut self, after: Option<i64>) -> Option<Plan> {
        let first = after.map_or(0, |after| after + 1);
        let size = 1 + i64::try_from(self.random.below(5)).unwrap();
        let last = (first + size - 1).min(self.available - 1);
        (first <= last).then(|| Plan {
            first: SequenceNumber(first),
            last: SequenceNumber(last),
            last_offset: Offset::new(format!("o{last}")),
        })
    }

    async fn lease(&mut self, policy: Policy) -> Worker {
        self.attempts += 1;
        let request = LeaseRequest {
            owner: format!("attempt-{}", self.attempts),
            now: self.now,
            duration: LEASE,
            time_to_live: 1_000_000,
            policy,
        };
        let ledger: Arc<dyn Ledger> = self.network.clone();
        match Lease::take(ledger, Self::key(), &request).await.unwrap() {
            Some(lease) => Worker::Leased(lease),
            None => Worker::Idle,
        }
    }

    async fn send(&self, planned: Planned) -> Sent {
        let source = SourceRef {
            namespace: "ns.example".into(),
            hub: "hub".into(),
            consumer_group: "tributary".into(),
            partition: "0".into(),
            incarnation: 1,
        };
        let (first, last) = (planned.plan().first, planned.plan().last);
        let name = BatchId::new(&source, first, last);
        let message = format!("{first}-{last}");
        planned.send(&self.delivered, &name, &message, START).await.map_err(|(_, error)| error).unwrap()
    }

    /// One step of the protocol, as the poll job takes them.
    async fn step(&mut self, worker: Worker) -> Worker {
        match worker {
            Worker::Idle => {
                let policy = if self.random.one_in(2) { Policy::Displace } else { Policy::WhenFree };
                self.lease(policy).await
            }
            Worker::Leased(mut lease) => {
                if let Some(open) = lease.open_plan() {
                    self.replayed += 1;
                    return Worker::Planned(lease, open);
                }
                let position = lease.item().position.as_ref().map(|position| position.sequence_number.0);
                let done = match self.cut(position) {
                    Some(plan) => lease.plan(plan, 0, self.now).await.map(Some),
                    None if self.random.one_in(2) => lease.refresh(self.now).await.map(|()| None),
                    None => return self.settled(lease.release(self.now).await, |()| Worker::Idle),
                };
                self.settled(done, |planned| match planned {
                    Some(planned) => Worker::Planned(lease, planned),
                    None => Worker::Leased(lease),
                })
            }
            Worker::Planned(lease, planned) => {
                let sent = self.send(planned).await;
                Worker::Sent(lease, sent)
            }
            Worker::Sent(mut lease, sent) => {
                let last = lease.item().plan.as_ref().map(|plan| plan.last.0);
                let next = if self.random.one_in(2) { self.cut(last) } else { None };
                let done = lease.commit(sent, next.map(|plan| (plan, 0)), self.now).await;
                self.settled(done, |planned| match planned {
                    Some(planned) => Worker::Planned(lease, planned),
                    None => Worker::Leased(lease),
                })
            }
        }
    }

    /// A worker ends whenever a write did not go through.
    fn settled<R>(&mut self, done: Result<R, ProtocolError>, go_on: impl FnOnce(R) -> Worker) -> Worker {
        match done {
            Ok(result) => go_on(result),
            Err(ProtocolError::Displaced { .. }) => {
                self.displaced += 1;
                Worker::Idle
            }
            Err(ProtocolError::Ledger(_)) => Worker::Idle,
            Err(error @ ProtocolError::OutOfOrder { .. }) => panic!("the model itself is wrong: {error}"),
        }
    }

    async fn stored(&self) -> Option<Item> {
        self.network.read(&Self::key()).await.unwrap()
    }
}

/// Runs one order of events to its end; returns how often an owner was displaced, a plan replayed and a batch sent again.
async fn run(seed: u64) -> (u64, u64, u64) {
    let mut world = World::new(seed);
    let mut workers = [Worker::Idle, Worker::Idle];
    let (mut position, mut epoch) = (None, 0);
    for _ in 0..STEPS {
        world.now += i64::try_from(world.random.below(6)).unwrap();
        match world.random.below(20) {
            0 => world.available += i64::try_from(world.random.below(10)).unwrap(),
            1 | 2 => world.network.deliver(&World::key()).await,
            choice => {
                let worker = &mut workers[usize::from(choice % 2 == 0)];
                let before = std::mem::replace(worker, Worker::Idle);
                // A worker dies between two steps: what it held is gone with it.
                if !world.random.one_in(12) {
                    *worker = world.step(before).await;
                }
            }
        }
        if let Some(item) = world.stored().await {
            let now = item.position.map(|position| position.sequence_number);
            assert!(now >= position, "the position moved back from {position:?} to {now:?}");
            assert!(item.epoch >= epoch, "the epoch fell from {epoch} to {}", item.epoch);
            (position, epoch) = (now, item.epoch);
        }
    }
    // The network calms down, and one last worker reads to the end. What is late arrives before, meanwhile or after.
    world.network.calm.store(true, std::sync::atomic::Ordering::Relaxed);
    world.available += 1;
    let mut last = world.lease(Policy::Displace).await;
    for _ in 0..10_000 {
        world.network.deliver(&World::key()).await;
        let at_end = world.stored().await.is_some_and(|item| {
            item.plan.is_none()
                && item.position.is_some_and(|position| position.sequence_number.0 + 1 == world.available)
        });
        if at_end {
            break;
        }
        last = world.step(last).await;
    }
    // The displaced finish what they planned.
    for worker in workers {
        let worker = world.step(worker).await;
        world.step(worker).await;
    }
    let ranges: Vec<(i64, i64)> = world.delivered.ranges.lock().unwrap().values().copied().collect();
    let mut next = 0;
    for (first, last) in ranges {
        assert_eq!(first, next, "a hole or an overlap before {first}..={last}");
        next = last + 1;
    }
    assert_eq!(next, world.available, "events that never arrived");
    let names = world.delivered.ranges.lock().unwrap().len() as u64;
    let repeated = *world.delivered.sends.lock().unwrap() - names;
    (world.displaced, world.replayed, repeated)
}

#[tokio::test]
async fn every_event_arrives_under_one_name_whatever_happens() {
    let mut happened = (0, 0, 0);
    for seed in 0..SEEDS {
        let (displaced, replayed, repeated) =
            tokio::spawn(run(seed)).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        happened = (happened.0 + displaced, happened.1 + replayed, happened.2 + repeated);
    }
    // The chances are such that everything worth trying was tried, and often.
    let (displaced, replayed, repeated) = happened;
    assert!(displaced > SEEDS && replayed > SEEDS && repeated > SEEDS, "{happened:?} in {SEEDS} runs");
}
