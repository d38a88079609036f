//! The ledger of one process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::{Cursor, CursorKey, Cursors, Expected, Item, LeaseRequest, Ledger, LedgerError, PartitionKey};

/// Items in memory: gone with the process.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    items: Mutex<BTreeMap<String, Item>>,
    cursors: Mutex<BTreeMap<CursorKey, Cursor>>,
}

impl MemoryLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<R>(&self, act: impl FnOnce(&mut BTreeMap<String, Item>) -> R) -> R {
        // Every change is one insertion: a panic elsewhere leaves no half-written item.
        act(&mut self.items.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
        Ok(self.with(|items| items.get(key.as_str()).cloned()))
    }

    async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError> {
        Ok(self.with(|items| {
            let leased = request.apply(items.get(key.as_str()).cloned())?;
            items.insert(key.as_str().to_owned(), leased.clone());
            Some(leased)
        }))
    }

    async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError> {
        Ok(self.with(|items| {
            let holds = items.get(key.as_str()).is_some_and(|stored| stored.expected() == *expected);
            if holds {
                items.insert(key.as_str().to_owned(), item.clone());
            }
            holds
        }))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError> {
        Ok(self.with(|items| {
            let from = items.range(prefix.to_owned()..);
            from.take_while(|(key, _)| key.starts_with(prefix)).map(|(key, item)| (key.clone(), item.clone())).collect()
        }))
    }
}

#[async_trait]
impl Cursors for MemoryLedger {
    async fn read(&self, key: &CursorKey) -> Result<Option<Cursor>, LedgerError> {
        Ok(self.cursors.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn swap(&self, key: &CursorKey, cursor: &Cursor) -> Result<bool, LedgerError> {
        cursor.check(key)?;
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = cursors.get(key);
        if stored == Some(cursor) {
            return Ok(true);
        }
        let follows = cursor.version.checked_sub(1) == Some(stored.map_or(0, |stored| stored.version));
        if follows {
            cursors.insert(key.clone(), cursor.clone());
        }
        Ok(follows)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    #[tokio::test]
    async fn conforms() {
        crate::conformance::all(|| Arc::new(super::MemoryLedger::new())).await;
        crate::conformance::cursors(|| Arc::new(super::MemoryLedger::new())).await;
    }
}
