//! Growing blobs of Azure Storage, every byte once and every record once.
//!
//! An hour's flow log blob grows by a block a minute and announces itself each time. [`Reader`] reads the committed block
//! list, fetches the blocks after the ledger's cursor by range, hands whole records to a [`Land`] and advances the cursor:
//! plan before the put, advance after it, both by compare-and-swap (docs/GUARANTEES.md, rules 11 to 13).
//!
//! [`BlobStore`] is what it reads: [`BlobClient`] speaks to Azure, [`MemoryBlobs`] is a store in memory that grows as
//! Network Watcher's blobs do. [`Allowed`] decides which blobs a notification may name: an address that it does not know is
//! never asked, so nobody else gets a token.

mod blocks;
mod client;
mod counts;
mod error;
mod held;
mod memory;
mod name;
mod reader;
mod sign;
mod state;
mod xml;

pub use blocks::{Block, BlockList};
pub use client::{Access, BlobClient, Listed, Page};
pub use error::BlobError;
pub use memory::MemoryBlobs;
pub use name::{Account, Allowed, BlobName, FLOW_LOG_CONTAINERS, Notice, Refusal};
pub use reader::{Land, LandError, Limits, Part, ReadError, Reader, Record, Report, is_covered};

use async_trait::async_trait;
use bytes::Bytes;

/// Where blobs are.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// The committed blocks, as they are now.
    async fn blocks(&self, blob: &BlobName) -> Result<BlockList, BlobError>;

    /// `length` bytes from `offset`, if the blob still has this ETag; [`BlobError::Changed`] otherwise.
    async fn read(&self, blob: &BlobName, offset: u64, length: u64, etag: &str) -> Result<Bytes, BlobError>;
}

/// Where blobs can be looked for, too.
#[async_trait]
pub trait BlobListing: BlobStore {
    /// Blobs of a container whose names begin with `prefix`, from `marker` on, at most 1,000; [`BlobError::Gone`] when there is
    /// no such container.
    async fn list(&self, account: &str, container: &str, prefix: &str, marker: Option<&str>)
    -> Result<Page, BlobError>;
}
