//! Cursors: how far a growing object has been read, by compare-and-swap.
//!
//! A cursor is one item of the ledger's table, under the object's name and the sort key [`SORT_KEY`]: an opaque text that
//! only its reader understands, and a version that grows by one with every change. There is no lease: whoever read a
//! version may try to replace it, and one of them does.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::LedgerError;

/// The sort key of a cursor's item.
pub(crate) const SORT_KEY: &str = "blocks";

/// Longest state, in bytes. A table's item holds 400 KB, its key and names included.
pub const MAX_STATE: usize = 320 * 1024;

/// Longest name of an object, in bytes: what a table takes as a key.
pub const MAX_KEY: usize = 2_048;

/// The name of a cursor: `{account}#{container}#{object}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CursorKey(String);

impl CursorKey {
    /// The cursor of an object in a container of an account.
    ///
    /// # Errors
    /// When a part is empty, one before the last has the separator in it, or the whole is longer than [`MAX_KEY`].
    pub fn new(account: &str, container: &str, object: &str) -> Result<Self, CursorKeyError> {
        let separated = account.contains('#') || container.contains('#');
        let key = format!("{account}#{container}#{object}");
        if separated || account.is_empty() || container.is_empty() || object.is_empty() || key.len() > MAX_KEY {
            return Err(CursorKeyError { length: key.len() });
        }
        Ok(Self(key))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an object can have no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an object's name of {length} bytes is no key: its parts must not be empty, nor longer than {MAX_KEY} bytes together"
)]
pub struct CursorKeyError {
    /// How long it would be, in bytes.
    pub length: usize,
}

/// How far an object has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// One more with every change; the first is 1.
    pub version: u64,
    /// What its reader remembers, at most [`MAX_STATE`] bytes.
    pub state: String,
    /// When it was changed, in milliseconds since 1970-01-01T00:00:00Z.
    pub updated_at: i64,
    /// When it may be dropped, in seconds since 1970-01-01T00:00:00Z.
    pub ttl: i64,
}

impl Cursor {
    /// Refuses what no table would take, before any backend is asked: all refuse the same.
    pub(crate) fn check(&self, key: &CursorKey) -> Result<(), LedgerError> {
        if self.state.len() <= MAX_STATE {
            return Ok(());
        }
        Err(LedgerError {
            operation: "swap",
            key: key.as_str().to_owned(),
            detail: format!("a state of {} bytes is more than the {MAX_STATE} that fit into an item", self.state.len()),
            denied: false,
        })
    }
}

/// Where objects stand.
#[async_trait]
pub trait Cursors: Send + Sync {
    /// The cursor, if there is one. An expired but visible one is valid.
    async fn read(&self, key: &CursorKey) -> Result<Option<Cursor>, LedgerError>;

    /// Puts `cursor` if the stored one still has the version before its own (none, for version 1). Returns whether it
    /// stands now: a write that took place though its sender heard nothing of it stands, when it is tried again.
    async fn swap(&self, key: &CursorKey, cursor: &Cursor) -> Result<bool, LedgerError>;
}
