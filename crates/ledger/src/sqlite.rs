//! The ledger of one machine: one file, shared by processes.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::cursor::SORT_KEY;
use crate::{Cursor, CursorKey, Cursors, Expected, Item, LeaseRequest, Ledger, LedgerError, PartitionKey};

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(10);

/// Items in a SQLite file in WAL mode. A committed write survives the death of the process at any instant
/// and, with `synchronous = FULL`, a loss of power.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    connection: Arc<Mutex<Connection>>,
}

impl SqliteLedger {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When the file cannot be opened or is no database.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let fail = |error: rusqlite::Error| failed("open", &path.display().to_string(), &error);
        let connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY).map_err(fail)?;
        // FULL: the log is synced with every commit. NORMAL would lose the last writes with the power, and a batch that is
        // sent again after its plan was lost is cut anew, under another name: duplicates. The fullfsync pair is what a sync
        // takes on macOS and does nothing elsewhere.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
                 CREATE TABLE IF NOT EXISTS ledger (
                     pk TEXT NOT NULL, sk TEXT NOT NULL, item TEXT NOT NULL, PRIMARY KEY (pk, sk)
                 ) WITHOUT ROWID;",
            )
            .map_err(fail)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs `act` in one transaction that holds the write lock from its start, on a thread that may block.
    async fn transaction<R: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        act: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, LedgerError> {
        let connection = Arc::clone(&self.connection);
        let run = move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = act(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(result) => result.map_err(|error: rusqlite::Error| failed(operation, key, &error)),
            Err(error) => Err(LedgerError { operation, key: key.to_owned(), detail: error.to_string(), denied: false }),
        }
    }
}

fn failed(operation: &'static str, key: &str, error: &rusqlite::Error) -> LedgerError {
    LedgerError { operation, key: key.to_owned(), detail: error.to_string(), denied: false }
}

fn get(transaction: &rusqlite::Transaction<'_>, key: &str) -> rusqlite::Result<Option<Item>> {
    let mut statement = transaction.prepare_cached("SELECT item FROM ledger WHERE pk = ?1 AND sk = 'position'")?;
    let text: Option<String> = statement.query_row([key], |row| row.get(0)).optional()?;
    text.map(|text| parse(&text)).transpose()
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
}

fn put(transaction: &rusqlite::Transaction<'_>, key: &str, item: &Item) -> rusqlite::Result<()> {
    let text = serde_json::to_string(item).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO ledger (pk, sk, item) VALUES (?1, 'position', ?2)
         ON CONFLICT (pk, sk) DO UPDATE SET item = excluded.item",
    )?;
    statement.execute(params![key, text])?;
    Ok(())
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
        let name = key.as_str().to_owned();
        self.transaction("read", key.as_str(), move |transaction| get(transaction, &name)).await
    }

    async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError> {
        let (name, request) = (key.as_str().to_owned(), request.clone());
        self.transaction("lease", key.as_str(), move |transaction| {
            let Some(leased) = request.apply(get(transaction, &name)?) else { return Ok(None) };
            put(transaction, &name, &leased)?;
            Ok(Some(leased))
        })
        .await
    }

    async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError> {
        let (name, expected, item) = (key.as_str().to_owned(), expected.clone(), item.clone());
        self.transaction("write", key.as_str(), move |transaction| {
            let holds = get(transaction, &name)?.is_some_and(|stored| stored.expected() == expected);
            if holds {
                put(transaction, &name, &item)?;
            }
            Ok(holds)
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError> {
        let wanted = prefix.to_owned();
        self.transaction("list", prefix, move |transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT pk, item FROM ledger WHERE sk = 'position' AND pk >= ?1 ORDER BY pk")?;
            let mut rows = statement.query([&wanted])?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                if !key.starts_with(&wanted) {
                    break;
                }
                let text: String = row.get(1)?;
                items.push((key, parse(&text)?));
            }
            Ok(items)
        })
        .await
    }
}

fn get_cursor(transaction: &rusqlite::Transaction<'_>, key: &str) -> rusqlite::Result<Option<Cursor>> {
    let mut statement = transaction.prepare_cached("SELECT item FROM ledger WHERE pk = ?1 AND sk = ?2")?;
    let text: Option<String> = statement.query_row([key, SORT_KEY], |row| row.get(0)).optional()?;
    text.map(|text| parse(&text)).transpose()
}

#[async_trait]
impl Cursors for SqliteLedger {
    async fn read(&self, key: &CursorKey) -> Result<Option<Cursor>, LedgerError> {
        let name = key.as_str().to_owned();
        self.transaction("read", key.as_str(), move |transaction| get_cursor(transaction, &name)).await
    }

    async fn swap(&self, key: &CursorKey, cursor: &Cursor) -> Result<bool, LedgerError> {
        cursor.check(key)?;
        let (name, cursor) = (key.as_str().to_owned(), cursor.clone());
        self.transaction("swap", key.as_str(), move |transaction| {
            let stored = get_cursor(transaction, &name)?;
            if stored.as_ref() == Some(&cursor) {
                return Ok(true);
            }
            let follows = cursor.version.checked_sub(1) == Some(stored.map_or(0, |stored| stored.version));
            if follows {
                let text = serde_json::to_string(&cursor)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                let mut statement = transaction.prepare_cached(
                    "INSERT INTO ledger (pk, sk, item) VALUES (?1, ?2, ?3)
                     ON CONFLICT (pk, sk) DO UPDATE SET item = excluded.item",
                )?;
                statement.execute(params![name, SORT_KEY, text])?;
            }
            Ok(follows)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let count = std::sync::atomic::AtomicU32::new(0);
        crate::conformance::all(|| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Arc::new(SqliteLedger::open(&folder.path().join(format!("{number}.db"))).unwrap())
        })
        .await;
        let shared = Arc::new(SqliteLedger::open(&folder.path().join("cursors.db")).unwrap());
        crate::conformance::cursors(|| Arc::clone(&shared)).await;
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = SqliteLedger::open(Path::new("/nonexistent/ledger.db")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/ledger.db"), "{error}");
    }
}
