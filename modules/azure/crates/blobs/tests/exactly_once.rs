//! Every record once, every byte once: the reader over blobs that grow, are rewritten and vanish, among workers that die.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tributary_azure_blobs::{
    BlobError, BlobName, BlobStore, BlockList, Land, LandError, Limits, MemoryBlobs, Notice, Part, ReadError, Reader,
    Report,
};
use tributary_ledger::{Cursor, CursorKey, Cursors, LedgerError, MemoryLedger};

/// What has landed, create-only by name.
#[derive(Default)]
struct Lake(Mutex<BTreeMap<String, Vec<String>>>);

impl Lake {
    /// Every record with how often it landed.
    fn records(&self) -> BTreeMap<String, u32> {
        let mut records = BTreeMap::new();
        for record in self.0.lock().unwrap().values().flatten() {
            *records.entry(record.clone()).or_default() += 1;
        }
        records
    }
}

#[async_trait]
impl Land for Lake {
    async fn land(&self, part: &Part<'_>) -> Result<(), LandError> {
        let texts = part.records.iter().map(|record| String::from_utf8(record.bytes.to_vec()).unwrap()).collect();
        self.0.lock().unwrap().entry(part.name.to_owned()).or_insert(texts);
        Ok(())
    }
}

/// Back ends that die at a chosen call, before it takes place or after.
struct Mortal {
    blobs: Arc<MemoryBlobs>,
    ledger: Arc<MemoryLedger>,
    lake: Arc<Lake>,
    left: AtomicI64,
    after: bool,
}

impl Mortal {
    /// Whether the call is the one to die at; and every one after it.
    fn dead(&self) -> (bool, bool) {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        (left < 0 || (left == 0 && !self.after), left <= 0)
    }

    async fn call<T, E>(&self, error: E, act: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let (before, after) = self.dead();
        if before {
            return Err(error);
        }
        let done = act.await;
        if after { Err(error) } else { done }
    }
}

fn dead() -> LedgerError {
    LedgerError { operation: "call", key: String::new(), detail: "dead".into(), denied: false }
}

#[async_trait]
impl BlobStore for Mortal {
    async fn blocks(&self, blob: &BlobName) -> Result<BlockList, BlobError> {
        self.call(BlobError::Transient("dead".into()), self.blobs.blocks(blob)).await
    }

    async fn read(&self, blob: &BlobName, offset: u64, length: u64, etag: &str) -> Result<Bytes, BlobError> {
        self.call(BlobError::Transient("dead".into()), self.blobs.read(blob, offset, length, etag)).await
    }
}

#[async_trait]
impl Cursors for Mortal {
    async fn read(&self, key: &CursorKey) -> Result<Option<Cursor>, LedgerError> {
        self.call(dead(), Cursors::read(self.ledger.as_ref(), key)).await
    }

    async fn swap(&self, key: &CursorKey, cursor: &Cursor) -> Result<bool, LedgerError> {
        self.call(dead(), self.ledger.swap(key, cursor)).await
    }
}

#[async_trait]
impl Land for Mortal {
    async fn land(&self, part: &Part<'_>) -> Result<(), LandError> {
        self.call(LandError("dead".into()), self.lake.land(part)).await
    }
}

struct World {
    blobs: Arc<MemoryBlobs>,
    ledger: Arc<MemoryLedger>,
    lake: Arc<Lake>,
}

impl World {
    fn new() -> Self {
        Self { blobs: Arc::default(), ledger: Arc::default(), lake: Arc::default() }
    }

    fn reader(&self, chunk: u64) -> Reader {
        let limits = Limits { chunk, record: 4_096, ..Limits::default() };
        Reader::new(self.blobs.clone(), self.ledger.clone(), self.lake.clone(), limits)
    }

    fn mortal(&self, chunk: u64, calls: i64, after: bool) -> Reader {
        let (blobs, ledger, lake) = (self.blobs.clone(), self.ledger.clone(), self.lake.clone());
        let mortal = Arc::new(Mortal { blobs, ledger, lake, left: AtomicI64::new(calls), after });
        Reader::new(mortal.clone(), mortal.clone(), mortal, Limits { chunk, record: 4_096, ..Limits::default() })
    }

    fn once(&self, expected: impl IntoIterator<Item = String>) {
        let expected: BTreeMap<String, u32> = expected.into_iter().map(|record| (record, 1)).collect();
        assert_eq!(self.lake.records(), expected);
    }
}

fn blob(number: usize) -> BlobName {
    BlobName { account: "contoso".into(), container: "flows".into(), path: format!("m={number}/PT1H.json") }
}

/// Records of a minute: two of one time and MAC, and one of another MAC.
fn minute(blob: usize, minute: usize) -> Vec<String> {
    let record = |mac: &str, number: usize| {
        format!(
            r#"{{"time":"2026-01-01T00:{minute:02}:01.5000000Z","macAddress":"{mac}","b":{blob},"n":{number},"x":"{}"}}"#,
            "y".repeat(700)
        )
    };
    vec![record("00AA", 0), record("00AA", 1), record("00BB", 2)]
}

fn minutes(blob: usize, until: usize) -> Vec<String> {
    (0..until).flat_map(|at| minute(blob, at)).collect()
}

/// A linear congruential generator: the same order of things every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).unwrap()
    }
}

#[tokio::test]
async fn an_hour_of_twenty_blobs_with_notifications_late_doubled_reordered_and_lost() {
    const BLOBS: usize = 20;
    let world = World::new();
    let readers = [world.reader(8_192), world.reader(8_192)];
    let mut random = Random(7);
    let mut waiting: Vec<(usize, Notice)> = Vec::new();
    let mut covered = 0;
    let mut sequencer = 0_u64;
    for at in 0..60 {
        for number in 0..BLOBS {
            let etag = world.blobs.append(&blob(number), &minute(number, at));
            sequencer += 1;
            let notice = Notice {
                url: String::new(),
                e_tag: Some(format!("\"{etag}\"")),
                sequencer: Some(format!("{sequencer:048x}")),
            };
            for _ in 0..[1, 1, 1, 2, 0][random.below(5)] {
                waiting.push((number, notice.clone()));
            }
        }
        while waiting.len() > 30 {
            let (number, notice) = waiting.swap_remove(random.below(waiting.len()));
            let lists = world.blobs.lists_read();
            let report = readers[random.below(2)].catch_up(&blob(number), Some(&notice)).await.unwrap();
            if report.covered {
                covered += 1;
                assert_eq!(world.blobs.lists_read(), lists, "a covered notification asks nothing of the store");
            }
        }
    }
    assert!(covered > 50, "{covered}");
    for number in 0..BLOBS {
        readers[0].catch_up(&blob(number), None).await.unwrap();
    }
    world.once((0..BLOBS).flat_map(|number| minutes(number, 60)));
    let size: u64 = (0..BLOBS).map(|number| world.blobs.length(&blob(number))).sum();
    let read = world.blobs.bytes_read();
    assert!(read * 100 <= size * 102, "{read} bytes of {size} were read");
}

/// A worker that dies at every call there is, before or after it takes place; the next finds the blob as it was, grown,
/// rewritten with the same records in front, or gone.
#[tokio::test]
async fn a_worker_that_dies_at_any_call_loses_and_doubles_nothing() {
    for (after, change) in [(false, 0), (true, 0), (false, 1), (true, 1), (false, 2), (true, 2)] {
        let mut died = 0;
        for calls in 0.. {
            let world = World::new();
            let name = blob(0);
            world.blobs.append(&name, &minute(0, 0));
            world.reader(2_000).catch_up(&name, None).await.unwrap();
            world.blobs.append(&name, &minute(0, 1));
            world.blobs.append(&name, &minute(0, 2));
            let outcome = world.mortal(2_000, calls, after).catch_up(&name, None).await;
            let expected = match change {
                0 => minutes(0, 3),
                1 => {
                    world.blobs.append(&name, &minute(0, 3));
                    minutes(0, 4)
                }
                _ => {
                    world.blobs.rewrite(&name, &minutes(0, 5));
                    minutes(0, 5)
                }
            };
            let report = world.reader(2_000).catch_up(&name, None).await.unwrap();
            assert_eq!(report.lost, 0, "{calls}");
            world.once(expected);
            if outcome.is_ok() {
                break;
            }
            died += 1;
        }
        assert!(died >= 10, "{died} calls");
    }
}

#[tokio::test]
async fn two_workers_at_once_put_every_record_once() {
    let world = World::new();
    let name = blob(1);
    for at in 0..40 {
        world.blobs.append(&name, &minute(1, at));
        let (one, other) = (world.reader(2_500), world.reader(2_500));
        let (one, other) = tokio::join!(one.catch_up(&name, None), other.catch_up(&name, None));
        one.unwrap();
        other.unwrap();
    }
    world.once(minutes(1, 40));
}

#[tokio::test]
async fn a_rewritten_blob_gives_only_what_is_new() {
    let world = World::new();
    let name = blob(2);
    for at in 0..3 {
        world.blobs.append(&name, &minute(2, at));
    }
    let reader = world.reader(2_000);
    reader.catch_up(&name, None).await.unwrap();
    // Shorter, then longer.
    world.blobs.rewrite(&name, &minutes(2, 2));
    assert_eq!(reader.catch_up(&name, None).await.unwrap().records, 0);
    world.blobs.rewrite(&name, &minutes(2, 4));
    let report = reader.catch_up(&name, None).await.unwrap();
    assert_eq!((report.records, report.restarts), (3, 1));
    world.blobs.append(&name, &minute(2, 4));
    assert_eq!(reader.catch_up(&name, None).await.unwrap().records, 3);
    world.once(minutes(2, 5));
}

#[tokio::test]
async fn a_late_notification_of_a_shorter_blob_costs_one_read_of_the_ledger() {
    let world = World::new();
    let name = blob(3);
    let notice =
        |sequencer: &str| Notice { url: String::new(), e_tag: Some("old".into()), sequencer: Some(sequencer.into()) };
    world.blobs.append(&name, &minute(3, 0));
    let reader = world.reader(8_192);
    reader.catch_up(&name, Some(&notice("00A"))).await.unwrap();
    let (lists, read) = (world.blobs.lists_read(), world.blobs.bytes_read());
    for late in ["9", "0a", "0000000000000000A"] {
        assert_eq!(
            reader.catch_up(&name, Some(&notice(late))).await.unwrap(),
            Report { covered: true, ..Report::default() }
        );
    }
    assert_eq!((world.blobs.lists_read(), world.blobs.bytes_read()), (lists, read));
    for unknown in ["b", "x", ""] {
        assert!(!reader.catch_up(&name, Some(&notice(unknown))).await.unwrap().covered, "{unknown}");
    }
    assert_eq!(world.blobs.bytes_read(), read, "the list alone says that nothing is new");
}

#[tokio::test]
async fn blobs_that_were_put_whole_are_gone_or_are_no_flow_logs() {
    let world = World::new();
    let (name, other) = (blob(4), blob(5));
    let reader = world.reader(2_000);
    assert_eq!(reader.catch_up(&name, None).await.unwrap(), Report::default(), "gone");
    world.blobs.put(&name, format!("{{ \"records\": [{}]}}\n", minutes(4, 2).join(" , ")));
    reader.catch_up(&name, None).await.unwrap();
    world.blobs.put(&name, format!("{{\"records\":[{}]}}", minutes(4, 3).join(",")));
    reader.catch_up(&name, None).await.unwrap();
    world.once(minutes(4, 3));
    world.blobs.put(&other, "<html>");
    assert!(matches!(reader.catch_up(&other, None).await, Err(ReadError::NoRecords(_))));
}

#[tokio::test]
async fn records_without_a_name_are_told_apart_by_their_order() {
    let world = World::new();
    let name = blob(6);
    let nameless: Vec<String> = (0..9).map(|number| format!("{{\"n\":{number}}}")).collect();
    let reader = world.reader(20);
    for chunk in nameless.chunks(4) {
        world.blobs.append(&name, chunk);
        reader.catch_up(&name, None).await.unwrap();
    }
    world.once(nameless.clone());
    let names: BTreeSet<String> = world.lake.0.lock().unwrap().keys().cloned().collect();
    assert!(names.iter().all(|name| name.len() == 45), "{names:?}");
}
