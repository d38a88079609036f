//! Memory is bounded by a chunk and a record, whatever the blob's size.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tributary_azure_blobs::{BlobError, BlobName, BlobStore, Block, BlockList, Land, LandError, Limits, Part, Reader};
use tributary_ledger::MemoryLedger;

const RECORDS: u64 = 64;
/// A record of 256 KiB; its text is made when it is read.
const RECORD: u64 = 256 * 1024;

/// A blob that is nowhere: each block's bytes follow from their place.
struct Made {
    blocks: u64,
    read: AtomicU64,
    largest: AtomicU64,
}

const HEAD: &[u8] = b"{\"records\":[";

fn byte(at: u64) -> u8 {
    let Some(at) = at.checked_sub(HEAD.len() as u64) else {
        return HEAD.get(usize::try_from(at).unwrap()).copied().unwrap();
    };
    match at % RECORD {
        0 => b'{',
        1 | 3 => b'"',
        2 => b'a',
        4 => b':',
        5 => b'"',
        last if last == RECORD - 3 => b'"',
        last if last == RECORD - 2 => b'}',
        last if last == RECORD - 1 => b',',
        _ => b'x',
    }
}

#[async_trait]
impl BlobStore for Made {
    async fn blocks(&self, _: &BlobName) -> Result<BlockList, BlobError> {
        let block = |id: u64, size| Block { id: format!("{id:08}"), size };
        let mut blocks = vec![block(0, HEAD.len() as u64)];
        blocks.extend((1..=self.blocks).map(|id| block(id, RECORDS * RECORD)));
        let length = HEAD.len() as u64 + self.blocks * RECORDS * RECORD;
        Ok(BlockList { etag: "e".into(), length, blocks })
    }

    async fn read(&self, _: &BlobName, offset: u64, length: u64, _: &str) -> Result<Bytes, BlobError> {
        self.read.fetch_add(length, Ordering::Relaxed);
        self.largest.fetch_max(length, Ordering::Relaxed);
        Ok((offset..offset + length).map(byte).collect::<Vec<u8>>().into())
    }
}

#[derive(Default)]
struct Counted {
    records: AtomicU64,
    largest: AtomicU64,
}

#[async_trait]
impl Land for Counted {
    async fn land(&self, part: &Part<'_>) -> Result<(), LandError> {
        self.records.fetch_add(part.records.len() as u64, Ordering::Relaxed);
        let bytes = part.records.iter().map(|record| record.bytes.len() as u64).sum();
        self.largest.fetch_max(bytes, Ordering::Relaxed);
        Ok(())
    }
}

async fn read(blocks: u64) {
    let made = Arc::new(Made { blocks, read: AtomicU64::new(0), largest: AtomicU64::new(0) });
    let counted = Arc::new(Counted::default());
    let limits = Limits { chunk: 4 << 20, ..Limits::default() };
    let reader = Reader::new(made.clone(), Arc::new(MemoryLedger::new()), counted.clone(), limits);
    let name = BlobName { account: "contoso".into(), container: "flows".into(), path: "PT1H.json".into() };
    reader.catch_up(&name, None).await.unwrap();
    assert_eq!(counted.records.load(Ordering::Relaxed), blocks * RECORDS);
    assert_eq!(made.read.load(Ordering::Relaxed), HEAD.len() as u64 + blocks * RECORDS * RECORD, "every byte once");
    assert!(made.largest.load(Ordering::Relaxed) <= limits.chunk);
    assert!(counted.largest.load(Ordering::Relaxed) <= limits.chunk + RECORD);
}

#[tokio::test]
async fn a_part_has_a_chunk_of_a_large_blob() {
    read(2).await;
}

/// A GiB, with the process's peak memory. Run alone: `cargo nextest run --release --run-ignored only large`.
#[tokio::test]
#[ignore = "a quarter of a minute in a debug build"]
async fn a_blob_of_a_gibibyte_in_less_than_200_mb() {
    read(64).await;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
    println!("peak {peak} kB");
    assert!(peak < 200_000, "{peak} kB");
}
