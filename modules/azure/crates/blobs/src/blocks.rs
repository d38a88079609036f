//! Committed block lists, and places in them.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

/// A committed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its id, base64 as the service gives it.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The committed blocks of a blob at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockList {
    /// The blob's ETag at that time, without quotes.
    pub etag: String,
    /// Its length in bytes.
    pub length: u64,
    /// The blocks. Empty for a blob that was put whole.
    pub blocks: Vec<Block>,
}

/// A tail block has the two bytes `]}`; more than this is data.
const MAX_TAIL: u64 = 16;

/// A place between two bytes of a blob, with what must stand before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    /// How many blocks are begun before it.
    pub(crate) blocks: usize,
    /// How many bytes are before it.
    pub(crate) bytes: u64,
    /// The digest of those blocks' ids and sizes; empty at the start.
    pub(crate) digest: String,
}

impl BlockList {
    /// The blocks that data is read from: all but the tail, which moves with every commit. A blob that was put whole is one
    /// block, named by its ETag.
    pub(crate) fn data(&self) -> Vec<Block> {
        if self.blocks.is_empty() {
            return vec![Block { id: format!("whole:{}", self.etag), size: self.length }];
        }
        match self.blocks.split_last() {
            Some((last, before)) if is_tail(last) => before.to_vec(),
            _ => self.blocks.clone(),
        }
    }
}

/// The id of Network Watcher's tail begins with `Z`.
fn is_tail(block: &Block) -> bool {
    let id = base64::engine::general_purpose::STANDARD.decode(&block.id);
    block.size <= MAX_TAIL && id.is_ok_and(|id| id.first() == Some(&b'Z'))
}

/// How many bytes these blocks are.
pub(crate) fn length(blocks: &[Block]) -> u64 {
    blocks.iter().fold(0, |sum, block| sum.saturating_add(block.size))
}

/// How many bytes two lists have in common at their start.
pub(crate) fn common(one: &[Block], other: &[Block]) -> u64 {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other);
    same.fold(0, |sum, (block, _)| sum.saturating_add(block.size))
}

/// The place after `bytes` bytes.
pub(crate) fn place(blocks: &[Block], bytes: u64) -> Place {
    let mut begun = 0;
    let mut sum: u64 = 0;
    for block in blocks {
        if sum >= bytes {
            break;
        }
        sum = sum.saturating_add(block.size);
        begun += 1;
    }
    Place { blocks: begun, bytes, digest: digest(blocks.get(..begun).unwrap_or(blocks)) }
}

/// Whether a place is still in the blob: the blocks before it stand as they stood.
pub(crate) fn stands(blocks: &[Block], place: &Place) -> bool {
    blocks.get(..place.blocks).is_some_and(|before| length(before) >= place.bytes && digest(before) == place.digest)
}

fn digest(blocks: &[Block]) -> String {
    if blocks.is_empty() {
        return String::new();
    }
    let mut digest = Sha256::new();
    for block in blocks {
        // Ids are base64: neither separator can be in one.
        digest.update(format!("{}:{}\n", block.id, block.size));
    }
    hex(&digest.finalize())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
