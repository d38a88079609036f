//! Blobs in memory, which grow as Network Watcher's do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;

use crate::{BlobError, BlobListing, BlobName, BlobStore, Block, BlockList, Listed, Page};

const HEAD: &[u8] = b"{\"records\":[";
const TAIL: &[u8] = b"]}";
/// Blobs of a page, as the service has them.
const PAGE: usize = 1_000;

#[derive(Debug, Clone, Default)]
struct Stored {
    etag: String,
    blocks: Vec<(String, Bytes)>,
}

/// A store in memory: gone with the process. It counts what is read.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    blobs: Mutex<BTreeMap<BlobName, Stored>>,
    commits: AtomicU64,
    read: AtomicU64,
    lists: AtomicU64,
}

impl MemoryBlobs {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of content that were read.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Block lists that were read.
    pub fn lists_read(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }

    fn commit(&self, name: &BlobName, change: impl FnOnce(&mut Stored)) -> String {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = blobs.entry(name.clone()).or_default();
        change(stored);
        stored.etag = format!("0x8D{:013X}", self.commits.fetch_add(1, Ordering::Relaxed));
        stored.etag.clone()
    }

    /// Commits a minute's records (JSON texts): head, data blocks, tail. Returns the new ETag.
    pub fn append(&self, name: &BlobName, records: &[impl AsRef<str>]) -> String {
        self.commit(name, |stored| {
            if stored.blocks.is_empty() {
                stored.blocks.push((id(format!("A{:0>32}", 0)), Bytes::from_static(HEAD)));
            } else {
                stored.blocks.pop();
            }
            let first = stored.blocks.len() == 1;
            let records: Vec<&str> = records.iter().map(AsRef::as_ref).collect();
            let comma = if first { "" } else { "," };
            stored
                .blocks
                .push((id(format!("D{:0>32}", stored.blocks.len())), format!("{comma}{}", records.join(",")).into()));
            stored.blocks.push((id(format!("Z{:0>32}", 0)), Bytes::from_static(TAIL)));
        })
    }

    /// Writes a blob anew with these records, in blocks of other ids. Returns the new ETag.
    pub fn rewrite(&self, name: &BlobName, records: &[impl AsRef<str>]) -> String {
        let commit = self.commits.load(Ordering::Relaxed);
        self.commit(name, |stored| {
            let records: Vec<&str> = records.iter().map(AsRef::as_ref).collect();
            stored.blocks = vec![
                (id(format!("A{:0>32}", 0)), Bytes::from_static(HEAD)),
                (id(format!("R{commit:0>32}")), records.join(",").into()),
                (id(format!("Z{:0>32}", 0)), Bytes::from_static(TAIL)),
            ];
        })
    }

    /// Puts a blob whole, without blocks of its own. Returns the new ETag.
    pub fn put(&self, name: &BlobName, bytes: impl Into<Bytes>) -> String {
        self.commit(name, |stored| stored.blocks = vec![(String::new(), bytes.into())])
    }

    /// Deletes a blob.
    pub fn delete(&self, name: &BlobName) {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// A blob's length in bytes.
    pub fn length(&self, name: &BlobName) -> u64 {
        self.get(name).map_or(0, |stored| stored.blocks.iter().map(|(_, bytes)| bytes.len() as u64).sum())
    }

    fn get(&self, name: &BlobName) -> Result<Stored, BlobError> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().ok_or(BlobError::Gone)
    }
}

fn id(text: String) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn blocks(&self, blob: &BlobName) -> Result<BlockList, BlobError> {
        let stored = self.get(blob)?;
        self.lists.fetch_add(1, Ordering::Relaxed);
        let length = stored.blocks.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let named = stored.blocks.iter().filter(|(id, _)| !id.is_empty());
        let blocks = named.map(|(id, bytes)| Block { id: id.clone(), size: bytes.len() as u64 }).collect();
        Ok(BlockList { etag: stored.etag, length, blocks })
    }

    async fn read(&self, blob: &BlobName, offset: u64, length: u64, etag: &str) -> Result<Bytes, BlobError> {
        let stored = self.get(blob)?;
        if stored.etag != etag {
            return Err(BlobError::Changed);
        }
        let mut found = Vec::new();
        let (mut skip, mut left) = (offset, length);
        for (_, bytes) in &stored.blocks {
            let size = bytes.len() as u64;
            if skip >= size {
                skip -= size;
                continue;
            }
            let end = size.min(skip.saturating_add(left));
            let range = usize::try_from(skip).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
            found.extend_from_slice(bytes.get(range).unwrap_or_default());
            left -= end - skip;
            skip = 0;
            if left == 0 {
                break;
            }
        }
        if left > 0 {
            return Err(BlobError::Changed);
        }
        self.read.fetch_add(length, Ordering::Relaxed);
        Ok(found.into())
    }
}

#[async_trait]
impl BlobListing for MemoryBlobs {
    async fn list(
        &self,
        account: &str,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page, BlobError> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let in_container = |name: &BlobName| name.account == account && name.container == container;
        if !blobs.keys().any(in_container) {
            return Err(BlobError::Gone);
        }
        let mut found: Vec<Listed> = blobs
            .iter()
            .filter(|(name, _)| in_container(name) && name.path.starts_with(prefix))
            .filter(|(name, _)| marker.is_none_or(|marker| name.path.as_str() >= marker))
            .map(|(name, stored)| Listed {
                name: name.clone(),
                etag: stored.etag.clone(),
                length: stored.blocks.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
            })
            .take(PAGE + 1)
            .collect();
        let next = (found.len() > PAGE).then(|| found.pop()).flatten().map(|listed| listed.name.path);
        Ok(Page { blobs: found, next })
    }
}
