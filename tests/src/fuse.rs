//! Decorators of the rooms' traits that fail from one operation on, as if the process had died there.
//!
//! [`steps`](crate::steps) kills a process at a named step. This counts every operation that changes anything, whatever it
//! is called, and is quick enough to try each: the n-th one fails before it does anything, or after it was done and its
//! answer was lost, and so does everything after it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tributary_azure_blobs::{BlobError, BlobListing, BlobName, BlobStore, BlockList, Page};
use tributary_ledger::{Cursor, CursorKey, Cursors, LedgerError};
use tributary_queue::{Counts, Message, Queue, QueueError, Receipt};

/// Where the end comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The operation, counted from 0, does nothing.
    Before(u64),
    /// It is done, and its answer is lost.
    After(u64),
}

/// Counts operations, and fails from one on.
#[derive(Debug, Default)]
pub struct Fuse {
    at: Option<At>,
    passed: AtomicU64,
    blown: AtomicBool,
}

impl Fuse {
    /// A fuse that blows there; never, for `None`.
    pub fn new(at: impl Into<Option<At>>) -> Arc<Self> {
        Arc::new(Self { at: at.into(), ..Self::default() })
    }

    /// Whether it has blown.
    pub fn is_blown(&self) -> bool {
        self.blown.load(Ordering::SeqCst)
    }

    async fn change<R, E>(
        &self,
        operation: impl Future<Output = std::result::Result<R, E>>,
        fault: impl Fn() -> E,
    ) -> std::result::Result<R, E> {
        if self.is_blown() {
            return Err(fault());
        }
        let number = self.passed.fetch_add(1, Ordering::SeqCst);
        let blows = self.at.is_some_and(|(At::Before(at) | At::After(at))| at == number);
        self.blown.fetch_or(blows, Ordering::SeqCst);
        if blows && self.at == Some(At::Before(number)) {
            return Err(fault());
        }
        let done = operation.await;
        if blows { Err(fault()) } else { done }
    }
}

/// Runs `attempt` with a fuse at every operation that it makes, before and after it; `attempt` returns the fuse that it
/// used. Returns how many ends there were.
pub async fn at_every_operation(mut attempt: impl AsyncFnMut(At) -> Arc<Fuse>) -> usize {
    let mut ends = 0;
    for number in 0.. {
        for at in [At::Before(number), At::After(number)] {
            if !attempt(at).await.is_blown() {
                return ends;
            }
            ends += 1;
        }
    }
    ends
}

/// A store behind a fuse.
#[derive(Debug)]
pub struct FusedStore(pub Arc<dyn ObjectStore>, pub Arc<Fuse>);

fn broken() -> Error {
    Error::Generic { store: "fused", source: "planned fault".into() }
}

impl fmt::Display for FusedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for FusedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.1.change(self.0.put_opts(location, payload, options), broken).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.1.change(self.0.put_multipart_opts(at, options), broken).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.1.is_blown() { Err(broken()) } else { self.0.get_opts(location, options).await }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (store, fuse) = (Arc::clone(&self.0), Arc::clone(&self.1));
        let one = move |location: Result<Path>| {
            let (store, fuse) = (Arc::clone(&store), Arc::clone(&fuse));
            async move {
                let location = location?;
                fuse.change(store.delete(&location), broken).await.map(|()| location)
            }
        };
        locations.then(one).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.1.is_blown() {
            return futures_util::stream::once(async { Err(broken()) }).boxed();
        }
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.1.change(self.0.copy_opts(from, to, options), broken).await
    }
}

/// A queue behind a fuse; so are its dead letters.
pub struct FusedQueue(pub Arc<dyn Queue>, pub Arc<Fuse>);

fn lost() -> QueueError {
    QueueError::Backend { operation: "fused", queue: "fused".to_owned(), detail: "planned fault".to_owned() }
}

#[async_trait]
impl Queue for FusedQueue {
    async fn send(&self, body: &str) -> std::result::Result<(), QueueError> {
        self.1.change(self.0.send(body), lost).await
    }

    async fn receive(
        &self,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> std::result::Result<Vec<Message>, QueueError> {
        self.1.change(self.0.receive(max, visibility, wait), lost).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> std::result::Result<(), QueueError> {
        self.1.change(self.0.extend(receipt, visibility), lost).await
    }

    async fn release(&self, receipt: &Receipt) -> std::result::Result<(), QueueError> {
        self.1.change(self.0.release(receipt), lost).await
    }

    async fn delete(&self, receipt: &Receipt) -> std::result::Result<(), QueueError> {
        self.1.change(self.0.delete(receipt), lost).await
    }

    async fn counts(&self) -> std::result::Result<Counts, QueueError> {
        if self.1.is_blown() { Err(lost()) } else { self.0.counts().await }
    }

    fn dead_letter_queue(&self) -> Option<Arc<dyn Queue>> {
        let dead = self.0.dead_letter_queue()?;
        Some(Arc::new(Self(dead, Arc::clone(&self.1))))
    }
}

/// Blobs behind a fuse: what is read counts too, since it is what a reader dies at.
pub struct FusedBlobs(pub Arc<dyn BlobListing>, pub Arc<Fuse>);

fn unread() -> BlobError {
    BlobError::Transient("planned fault".to_owned())
}

#[async_trait]
impl BlobStore for FusedBlobs {
    async fn blocks(&self, blob: &BlobName) -> std::result::Result<BlockList, BlobError> {
        self.1.change(self.0.blocks(blob), unread).await
    }

    async fn read(
        &self,
        blob: &BlobName,
        offset: u64,
        length: u64,
        etag: &str,
    ) -> std::result::Result<Bytes, BlobError> {
        self.1.change(self.0.read(blob, offset, length, etag), unread).await
    }
}

#[async_trait]
impl BlobListing for FusedBlobs {
    async fn list(
        &self,
        account: &str,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> std::result::Result<Page, BlobError> {
        self.1.change(self.0.list(account, container, prefix, marker), unread).await
    }
}

/// Cursors behind a fuse.
pub struct FusedCursors(pub Arc<dyn Cursors>, pub Arc<Fuse>);

fn unwritten() -> LedgerError {
    LedgerError { operation: "fused", key: String::new(), detail: "planned fault".to_owned(), denied: false }
}

#[async_trait]
impl Cursors for FusedCursors {
    async fn read(&self, key: &CursorKey) -> std::result::Result<Option<Cursor>, LedgerError> {
        if self.1.is_blown() { Err(unwritten()) } else { self.0.read(key).await }
    }

    async fn swap(&self, key: &CursorKey, cursor: &Cursor) -> std::result::Result<bool, LedgerError> {
        self.1.change(self.0.swap(key, cursor), unwritten).await
    }
}
