//! The queue of one machine: one file, shared by processes, several queues in it by name.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::time::Instant;

use crate::{Counts, MAX_RECEIVE, Message, Queue, QueueError, Receipt, RedrivePolicy, check};

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(10);
/// How often a waiting receive looks: other processes send too.
const POLL: Duration = Duration::from_millis(40);

/// Messages in a SQLite file in WAL mode; the ledger may live in the same file.
#[derive(Debug, Clone)]
pub struct SqliteQueue {
    name: Arc<str>,
    policy: RedrivePolicy,
    connection: Arc<Mutex<Connection>>,
}

impl SqliteQueue {
    /// Opens the queue `name` in the file, making both where they are missing.
    ///
    /// # Errors
    /// When the file cannot be opened or is no database.
    pub fn open(path: &Path, name: &str, policy: RedrivePolicy) -> Result<Self, QueueError> {
        let fail = |error: rusqlite::Error| QueueError::Backend {
            queue: format!("{name} in {}", path.display()),
            operation: "open",
            detail: error.to_string(),
        };
        let connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY).map_err(fail)?;
        // FULL: what `send` took survives a power cut too, because a position is committed on its word.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE IF NOT EXISTS message (
                     id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, body TEXT NOT NULL,
                     receives INTEGER NOT NULL DEFAULT 0, visible_from INTEGER NOT NULL, dead INTEGER NOT NULL DEFAULT 0
                 );
                 CREATE INDEX IF NOT EXISTS message_by_queue ON message (queue, dead, visible_from);",
            )
            .map_err(fail)?;
        Ok(Self { name: name.into(), policy, connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs `act` in one transaction that holds the write lock from its start, on a thread that may block.
    async fn transaction<R: Send + 'static>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&Transaction<'_>, &str) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, QueueError> {
        let (connection, name) = (Arc::clone(&self.connection), Arc::clone(&self.name));
        let run = move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = act(&transaction, &name)?;
            transaction.commit()?;
            Ok(result)
        };
        let failed = |detail: String| QueueError::Backend { queue: self.name.to_string(), operation, detail };
        match tokio::task::spawn_blocking(run).await {
            Ok(result) => result.map_err(|error: rusqlite::Error| failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    async fn take(&self, max: usize, visibility: Duration) -> Result<Vec<Message>, QueueError> {
        let most = i64::from(self.policy.max_receives);
        let (limit, visibility) = (i64::try_from(max).unwrap_or(1), millis(visibility));
        self.transaction("receive", move |transaction, queue| {
            let now = now();
            transaction
                .prepare_cached("UPDATE message SET dead = 1 WHERE queue = ?1 AND dead = 0 AND visible_from <= ?2 AND receives >= ?3")?
                .execute(params![queue, now, most])?;
            let mut statement = transaction.prepare_cached(
                "UPDATE message SET receives = receives + 1, visible_from = ?3 WHERE id IN
                     (SELECT id FROM message WHERE queue = ?1 AND dead = 0 AND visible_from <= ?2 ORDER BY id LIMIT ?4)
                 RETURNING id, body, receives",
            )?;
            let rows = statement.query_map(params![queue, now, now.saturating_add(visibility), limit], message)?;
            rows.collect()
        })
        .await
    }
}

fn message(row: &rusqlite::Row<'_>) -> rusqlite::Result<Message> {
    let (id, receives): (i64, u32) = (row.get(0)?, row.get(2)?);
    let receipt = Receipt::new(format!("{id}-{receives}"));
    Ok(Message { id: id.to_string(), receipt, body: row.get(1)?, receive_count: receives })
}

/// Milliseconds since 1970: processes share the file, so the clock is the machine's.
fn now() -> i64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Which message and which receive of it a receipt names.
fn parse(receipt: &Receipt) -> Option<(i64, u32)> {
    let (id, receives) = receipt.as_str().split_once('-')?;
    Some((id.parse().ok()?, receives.parse().ok()?))
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn send(&self, body: &str) -> Result<(), QueueError> {
        check(body)?;
        let body = body.to_owned();
        self.transaction("send", move |transaction, queue| {
            let mut statement =
                transaction.prepare_cached("INSERT INTO message (queue, body, visible_from) VALUES (?1, ?2, ?3)")?;
            statement.execute(params![queue, body, now()]).map(drop)
        })
        .await
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let deadline = Instant::now() + wait;
        loop {
            let messages = self.take(max.clamp(1, MAX_RECEIVE), visibility).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !messages.is_empty() || left.is_zero() {
                return Ok(messages);
            }
            tokio::time::sleep(left.min(POLL)).await;
        }
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let Some((id, receives)) = parse(receipt) else { return Ok(()) };
        self.transaction("extend", move |transaction, queue| {
            let mut statement = transaction.prepare_cached(
                "UPDATE message SET visible_from = ?4 WHERE queue = ?1 AND id = ?2 AND receives = ?3 AND dead = 0",
            )?;
            statement.execute(params![queue, id, receives, now().saturating_add(millis(visibility))]).map(drop)
        })
        .await
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let Some((id, receives)) = parse(receipt) else { return Ok(()) };
        self.transaction("delete", move |transaction, queue| {
            let mut statement = transaction
                .prepare_cached("DELETE FROM message WHERE queue = ?1 AND id = ?2 AND receives = ?3 AND dead = 0")?;
            statement.execute(params![queue, id, receives]).map(drop)
        })
        .await
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        self.transaction("count", |transaction, queue| {
            let mut statement = transaction.prepare_cached(
                "SELECT COALESCE(SUM(dead = 0 AND visible_from <= ?2), 0), COALESCE(SUM(dead = 0 AND visible_from > ?2), 0),
                        COALESCE(SUM(dead), 0) FROM message WHERE queue = ?1",
            )?;
            statement.query_row(params![queue, now()], |row| {
                let count = |index| row.get::<_, i64>(index).map(|count| u64::try_from(count).unwrap_or(0));
                Ok(Counts { visible: count(0)?, in_flight: count(1)?, dead: count(2)? })
            })
        })
        .await
    }

    async fn dead_letters(&self, max: usize) -> Result<Vec<Message>, QueueError> {
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        self.transaction("list dead letters of", move |transaction, queue| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, body, receives FROM message WHERE queue = ?1 AND dead = 1 ORDER BY id LIMIT ?2",
            )?;
            statement.query_map(params![queue, limit], message)?.collect()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let count = AtomicU32::new(0);
        // Several queues in one file do not see each other.
        crate::conformance::all(|policy| {
            let name = format!("queue-{}", count.fetch_add(1, Ordering::Relaxed));
            Arc::new(SqliteQueue::open(&folder.path().join("queues.db"), &name, policy).unwrap())
        })
        .await;
    }

    #[tokio::test]
    async fn messages_survive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let open = || SqliteQueue::open(&folder.path().join("q.db"), "events", RedrivePolicy::default()).unwrap();
        open().send("kept").await.unwrap();
        let messages = open().receive(10, Duration::from_secs(1), Duration::ZERO).await.unwrap();
        assert_eq!(messages.first().map(|message| message.body.as_str()), Some("kept"));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = SqliteQueue::open(Path::new("/nonexistent/q.db"), "events", RedrivePolicy::default()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/q.db"), "{error}");
    }
}
