//! What is broken in a blob is put alone, and what is beside it is put as it is; what was planned is put as it was planned.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;
use tributary_azure_blobs::{
    BlobError, BlobName, BlobStore, Block, BlockList, Land, LandError, Limits, MemoryBlobs, Part, ReadError, Reader,
};
use tributary_ledger::{Cursors as _, MAX_STATE, MemoryLedger};

/// Parts as they were put: name, records with "longer than that", and how they are to be cut.
type Put = (String, Vec<(String, bool)>, u32);

/// Takes parts and remembers them, or fails behind that.
struct Lake {
    parts: Mutex<Vec<Put>>,
    fails: bool,
    cut: u32,
}

impl Lake {
    fn new(fails: bool, cut: u32) -> Arc<Self> {
        Arc::new(Self { parts: Mutex::default(), fails, cut })
    }

    fn parts(&self) -> Vec<Put> {
        self.parts.lock().unwrap().clone()
    }

    fn records(&self) -> Vec<(String, bool)> {
        self.parts().into_iter().flat_map(|(_, records, _)| records).collect()
    }
}

#[async_trait]
impl Land for Lake {
    async fn land(&self, part: &Part<'_>) -> Result<(), LandError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let records = part.records.iter().map(|record| (text(record.bytes), record.cut_off)).collect();
        self.parts.lock().unwrap().push((part.name.to_owned(), records, part.cut));
        if self.fails { Err(LandError("dead".into())) } else { Ok(()) }
    }

    fn cut(&self) -> u32 {
        self.cut
    }
}

/// A blob of these blocks, which counts where it is read.
struct Blocks {
    blocks: Vec<Vec<u8>>,
    reads: Mutex<Vec<(u64, u64)>>,
}

impl Blocks {
    fn new(blocks: &[&[u8]]) -> Arc<Self> {
        Arc::new(Self { blocks: blocks.iter().map(|block| block.to_vec()).collect(), reads: Mutex::default() })
    }
}

#[async_trait]
impl BlobStore for Blocks {
    async fn blocks(&self, _: &BlobName) -> Result<BlockList, BlobError> {
        let block = |(number, block): (usize, &Vec<u8>)| Block { id: format!("{number:04}"), size: block.len() as u64 };
        let blocks: Vec<Block> = self.blocks.iter().enumerate().map(block).collect();
        let length = blocks.iter().map(|block| block.size).sum();
        Ok(BlockList { etag: "1".into(), length, blocks })
    }

    async fn read(&self, _: &BlobName, offset: u64, length: u64, _: &str) -> Result<Bytes, BlobError> {
        self.reads.lock().unwrap().push((offset, length));
        let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
        Ok(self.blocks.concat().get(range).ok_or(BlobError::Changed)?.to_vec().into())
    }
}

fn name() -> BlobName {
    BlobName { account: "contoso".into(), container: "flows".into(), path: "m=0/PT1H.json".into() }
}

fn limits(chunk: u64) -> Limits {
    Limits { chunk, record: 64, ..Limits::default() }
}

fn record(number: usize) -> String {
    format!("{{\"time\":\"2026-01-01T00:00:00Z\",\"macAddress\":\"00AA\",\"n\":{number}}}")
}

fn whole(records: impl IntoIterator<Item = String>) -> Vec<(String, bool)> {
    records.into_iter().map(|record| (record, false)).collect()
}

#[tokio::test]
async fn what_is_broken_goes_alone_and_its_neighbours_as_they_are() {
    let head = "{\"records\":[";
    let good = |number| format!(",{}", record(number));
    let blocks: Vec<String> = vec![
        head.into(),
        // Junk between records.
        format!("{},junk \" , {{,\"{}", record(0), good(1)),
        // Broken in its middle, closed at its end.
        format!("{},{{\"time\":\"2026-01-01T00:00:00Z\",]}}{}", good(2), good(3)),
        // Without an end, in a text or not: the next block begins with a record.
        format!("{},{{\"time\":\"2026", good(4)),
        format!("{},{{\"time\":1,\"flows\":[[{{\"a\":\"b\\", good(5)),
        good(6),
        format!("{},{{\"time\":\"2026", good(7)),
    ];
    let blocks: Vec<&[u8]> = blocks.iter().map(String::as_bytes).collect();
    let expected = [
        record(0),
        "junk \" , {,\"".into(),
        record(1),
        record(2),
        "{\"time\":\"2026-01-01T00:00:00Z\",]}".into(),
        record(3),
        record(4),
        "{\"time\":\"2026".into(),
        record(5),
        "{\"time\":1,\"flows\":[[{\"a\":\"b\\".into(),
        record(6),
        record(7),
        "{\"time\":\"2026".into(),
    ];
    for chunk in [1, 7, 20, 100, 10_000] {
        // All at once, and by the minute.
        for step in [1, 2, blocks.len()] {
            let (ledger, lake) = (Arc::new(MemoryLedger::new()), Lake::new(false, 0));
            let mut until = 0;
            while until < blocks.len() {
                until = (until + step).min(blocks.len());
                let store = Blocks::new(&blocks[..until]);
                let reader = Reader::new(store, ledger.clone(), lake.clone(), limits(chunk));
                reader.catch_up(&name(), None).await.unwrap();
            }
            assert_eq!(lake.records(), whole(expected.clone()), "{chunk} {step}");
        }
    }
}

#[tokio::test]
async fn a_record_that_is_too_long_is_cut_off_and_the_rest_is_read_on() {
    let long = |end: &str| format!("{{\"a\":[\"}},{{\",{{}}],\"b\":\"{}{end}", "x".repeat(500));
    let mut blocks: Vec<String> = vec![
        "{\"records\":[".into(),
        format!("{},{},{}", record(0), long("\"}"), record(1)),
        format!(",{},\"{}\",{}", record(2), "y,{".repeat(100), record(3)),
        // It has no end either.
        format!(",{}", long("")),
        format!(",{}", record(4)),
        format!(",{}", long("\"}")),
    ];
    let cut = |text: String| (text[..64].to_owned(), true);
    let junk = format!("\"{}", "y,{".repeat(100));
    let expected: Vec<(String, bool)> = vec![
        (record(0), false),
        cut(long("")),
        (record(1), false),
        (record(2), false),
        cut(junk),
        (record(3), false),
        cut(long("")),
        (record(4), false),
        cut(long("")),
        (record(5), false),
    ];
    for chunk in [1, 10, 64, 100, 300, 10_000] {
        let (ledger, lake) = (Arc::new(MemoryLedger::new()), Lake::new(false, 0));
        let mut cut_off = 0;
        for more in ["", ",X"] {
            blocks.truncate(6);
            if !more.is_empty() {
                blocks.push(format!(",{}", record(5)));
            }
            let bytes: Vec<&[u8]> = blocks.iter().map(String::as_bytes).collect();
            let store = Blocks::new(&bytes);
            let reader = Reader::new(store.clone(), ledger.clone(), lake.clone(), limits(chunk));
            cut_off += reader.catch_up(&name(), None).await.unwrap().cut_off;
            let reads = store.reads.lock().unwrap();
            assert!(reads.iter().all(|(_, length)| *length <= chunk.max(64)), "{chunk} {reads:?}");
        }
        assert_eq!((lake.records(), cut_off), (expected.clone(), 4), "{chunk}");
    }
}

/// A worker plans, puts and dies; the program is updated, with other bounds and another way to cut; the next worker ends what
/// was planned as it was planned, and reads no more for it than that.
#[tokio::test]
async fn a_plan_is_put_the_same_by_another_version_with_other_bounds() {
    let records: Vec<String> = (0..12).map(record).collect();
    let data: Vec<String> =
        records.iter().enumerate().map(|(at, record)| format!("{}{record}", if at > 0 { "," } else { "" })).collect();
    let blocks: Vec<&[u8]> = [&b"{\"records\":["[..]].into_iter().chain(data.iter().map(String::as_bytes)).collect();
    for (old, new) in [(200, 10_000), (10_000, 70), (200, 130)] {
        let (ledger, first, second) = (Arc::new(MemoryLedger::new()), Lake::new(true, 3), Lake::new(false, 4));
        let store = Blocks::new(&blocks);
        let reader = Reader::new(store.clone(), ledger.clone(), first.clone(), limits(old));
        assert!(matches!(reader.catch_up(&name(), None).await, Err(ReadError::Land { .. })));
        let (planned, read) = (first.parts().remove(0), store.reads.lock().unwrap().clone());
        assert!(planned.1.len() >= 2 && planned.2 == 3);
        store.reads.lock().unwrap().clear();

        let reader = Reader::new(store.clone(), ledger.clone(), second.clone(), limits(new));
        reader.catch_up(&name(), None).await.unwrap();
        let parts = second.parts();
        assert_eq!(parts[0], planned, "the plan's records, name and cut");
        assert!(parts[1..].iter().all(|(_, _, cut)| *cut == 4));
        assert_eq!(second.records(), whole(records.clone()));
        let (offset, length) = store.reads.lock().unwrap()[0];
        assert!(offset + length <= read[0].0 + read[0].1, "no more than the plan's range");
        let end = offset + length;
        assert_eq!(store.blocks.concat()[usize::try_from(end).unwrap() - 1], b'}', "to the end of its last record");
    }
}

#[tokio::test]
async fn a_cursor_that_would_not_fit_plans_nothing_and_says_so() {
    let (blobs, ledger, lake) = (Arc::new(MemoryBlobs::new()), Arc::new(MemoryLedger::new()), Lake::new(false, 0));
    let reader = Reader::new(blobs.clone(), ledger.clone(), lake.clone(), Limits::default());
    let many = |from: usize| -> Vec<String> {
        let texts = from..from + 2_000;
        texts
            .map(|number| {
                format!("{{\"time\":\"2026-01-01T00:00:00.{number:07}Z\",\"macAddress\":\"M{:031}\"}}", number * 7)
            })
            .collect()
    };
    let mut taken = 0;
    let error = loop {
        blobs.append(&name(), &many(taken));
        match reader.catch_up(&name(), None).await {
            Ok(report) => taken += usize::try_from(report.records).unwrap(),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, ReadError::TooMany { bytes, .. } if *bytes > MAX_STATE), "{error}");
    assert!(taken >= 2_000);
    assert_eq!(lake.records().len(), taken, "nothing of what cannot be remembered is put");
    let cursor = ledger.read(&name().cursor().unwrap()).await.unwrap().unwrap();
    assert!(!cursor.state.contains("plan"), "and none of it is planned");
}

/// Pieces of records, and what breaks them.
fn scraps() -> impl Strategy<Value = Vec<Vec<u8>>> {
    const SCRAPS: [&str; 16] = [
        "{\"time\":\"2026-01-01T00:00:00Z\",\"macAddress\":\"00AA\"}",
        ",{\"time\":1,\"a\":[{}]}",
        ",{\"time\":2",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "\\",
        " \n",
        "junk",
        "\"text\"",
        "\"}\\\"{\"",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "\u{e9}",
    ];
    let scrap = prop_oneof![
        8 => prop::sample::select(SCRAPS.as_slice()).prop_map(|scrap| scrap.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    let block = prop::collection::vec(scrap, 0..8).prop_map(|scraps| scraps.concat());
    prop::collection::vec(block, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever is in the blocks: every chunk finds the same records, another worker that ends a plan puts the same part, and the
    /// end is reached.
    #[test]
    fn whatever_is_in_the_blocks_every_chunk_finds_the_same(blocks in scraps(), chunk in 1_u64..200, other in 1_u64..200) {
        let blocks: Vec<&[u8]> = [&b"{\"records\":["[..]].into_iter().chain(blocks.iter().map(Vec::as_slice)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = |chunk: u64, fails_first: bool| {
            let (ledger, lake) = (Arc::new(MemoryLedger::new()), Lake::new(false, 0));
            let mut planned = None;
            if fails_first {
                let failing = Lake::new(true, 0);
                let reader = Reader::new(Blocks::new(&blocks), ledger.clone(), failing.clone(), limits(chunk));
                let _ = runtime.block_on(reader.catch_up(&name(), None));
                planned = failing.parts().into_iter().next();
            }
            let reader = Reader::new(Blocks::new(&blocks), ledger, lake.clone(), limits(if fails_first { other } else { chunk }));
            runtime.block_on(reader.catch_up(&name(), None)).unwrap();
            assert!(planned.is_none() || planned == lake.parts().into_iter().next());
            lake.records()
        };
        let found = read(chunk, false);
        prop_assert!(found.iter().all(|(record, _)| record.len() <= 3 * 64));
        prop_assert_eq!(&read(10_000, false), &found);
        prop_assert_eq!(&read(chunk, true), &found);
    }
}
