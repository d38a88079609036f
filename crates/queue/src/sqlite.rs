//! The queue of one machine: one file, shared by processes, which may be the ledger's.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::time::Instant;

use crate::{Counts, MAX_RECEIVE, Message, Queue, QueueError, Receipt, RedrivePolicy, check_body};

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(10);

/// How often a waiting receive looks: other processes send too, and nothing tells of it.
const POLL: Duration = Duration::from_millis(25);

/// `visible_at` is in milliseconds since 1970-01-01T00:00:00Z by this machine's clock. The body stands last, so that hiding
/// or releasing a message rewrites the row's first page and not its up to 1 MiB of text. AUTOINCREMENT: an id never
/// comes again, so neither does a receipt.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS queue_message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        dead INTEGER NOT NULL DEFAULT 0,
        visible_at INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        sent_at INTEGER,
        body TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS queue_message_by_visibility ON queue_message (queue, dead, visible_at);";

/// Files that were made before messages had a time of their own lack its column.
const ADD_SENT_AT: &str = "ALTER TABLE queue_message ADD COLUMN sent_at INTEGER;";

/// Messages in a SQLite file in WAL mode, several named queues in one. What was sent survives the death of the process
/// and, with `synchronous = FULL`, a loss of power.
///
/// Visibility counts by the machine's clock: if that is set back, messages stay hidden for longer. None is lost.
#[derive(Debug, Clone)]
pub struct SqliteQueue {
    connection: Arc<Mutex<Connection>>,
    at: Place,
    /// `None` for dead letters, which nothing gives up.
    policy: Option<RedrivePolicy>,
}

/// The rows that are a queue's.
#[derive(Debug, Clone)]
struct Place {
    name: Arc<str>,
    /// Whether they are its dead letters.
    dead: bool,
}

impl Place {
    /// For errors.
    fn shown(&self) -> String {
        if self.dead { format!("{} (dead letters)", self.name) } else { self.name.to_string() }
    }
}

impl SqliteQueue {
    /// Opens or makes the file and the queue of this name in it.
    ///
    /// # Errors
    /// When the file cannot be opened or is no database.
    pub fn open(path: &Path, name: &str, policy: RedrivePolicy) -> Result<Self, QueueError> {
        let fail = |error: rusqlite::Error| QueueError::Backend {
            operation: "open",
            queue: name.to_owned(),
            detail: format!("{}: {error}", path.display()),
        };
        let mut connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY).map_err(fail)?;
        // FULL: the log is synced with every commit. NORMAL would lose the last messages with the power, after their
        // positions were taken as sent. The fullfsync pair is what a sync takes on macOS and does nothing elsewhere.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;",
            )
            .map_err(fail)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        transaction.execute_batch(SCHEMA).map_err(fail)?;
        let has_sent_at = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('queue_message') WHERE name = 'sent_at')";
        if !transaction.query_row(has_sent_at, [], |row| row.get::<_, bool>(0)).map_err(fail)? {
            transaction.execute_batch(ADD_SENT_AT).map_err(fail)?;
        }
        transaction.commit().map_err(fail)?;
        let at = Place { name: name.into(), dead: false };
        Ok(Self { connection: Arc::new(Mutex::new(connection)), at, policy: Some(policy) })
    }

    /// Runs `act` with the connection, on a thread that may block.
    async fn run<R: Send + 'static>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut Connection, &Place) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, QueueError> {
        let (connection, at) = (Arc::clone(&self.connection), self.at.clone());
        let run = move || act(&mut connection.lock().unwrap_or_else(PoisonError::into_inner), &at);
        let detail = match tokio::task::spawn_blocking(run).await {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(QueueError::Backend { operation, queue: self.at.shown(), detail })
    }

    /// The message and the number of its receive.
    fn parse(&self, receipt: &Receipt) -> Result<(i64, u32), QueueError> {
        let parts = receipt.as_str().split_once('-');
        let numbers = parts.and_then(|(id, count)| Some((id.parse().ok()?, count.parse().ok()?)));
        numbers.ok_or_else(|| QueueError::ForeignReceipt { queue: self.at.shown() })
    }

    /// Sets when the message of a receipt is visible; returns whether the receipt still held it. Its time may be over:
    /// as long as nobody else has it, it is still its receiver's.
    async fn show_at(&self, operation: &'static str, receipt: &Receipt, time: i64) -> Result<bool, QueueError> {
        let (id, receive_count) = self.parse(receipt)?;
        self.run(operation, move |connection, at| {
            let mut statement = connection.prepare_cached(
                "UPDATE queue_message SET visible_at = ?5
                 WHERE id = ?1 AND queue = ?2 AND dead = ?3 AND receive_count = ?4",
            )?;
            Ok(statement.execute(params![id, at.name, at.dead, receive_count, time])? > 0)
        })
        .await
    }
}

/// Takes visible messages in one transaction that holds the write lock from its start, so that no two receivers take
/// the same one.
fn take(
    connection: &mut Connection,
    at: &Place,
    policy: Option<RedrivePolicy>,
    max: usize,
    visibility: Duration,
) -> rusqlite::Result<Vec<Message>> {
    let now = now();
    // A look without the write lock: an idle receiver disturbs nobody.
    if !any_visible(connection, at, now)? {
        return Ok(Vec::new());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut taken = Vec::new();
    loop {
        let mut given_up = false;
        for (id, receive_count) in visible(&transaction, at, now, max.saturating_sub(taken.len()))? {
            if policy.is_some_and(|policy| receive_count >= policy.max_receives) {
                transaction.prepare_cached("UPDATE queue_message SET dead = 1 WHERE id = ?1")?.execute([id])?;
                given_up = true;
                continue;
            }
            taken.push(hide(&transaction, id, receive_count.saturating_add(1), after(now, visibility))?);
        }
        // Messages that were given up made room for others behind them.
        if !given_up || taken.len() >= max {
            break;
        }
    }
    transaction.commit()?;
    Ok(taken)
}

fn any_visible(connection: &Connection, at: &Place, now: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM queue_message WHERE queue = ?1 AND dead = ?2 AND visible_at <= ?3)",
        )?
        .query_row(params![at.name, at.dead, now], |row| row.get(0))
}

/// Ids and receive counts of visible messages, those first that became visible first.
fn visible(transaction: &Transaction<'_>, at: &Place, now: i64, max: usize) -> rusqlite::Result<Vec<(i64, u32)>> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare_cached(
        "SELECT id, receive_count FROM queue_message WHERE queue = ?1 AND dead = ?2 AND visible_at <= ?3
         ORDER BY visible_at, id LIMIT ?4",
    )?;
    let rows = statement.query_map(params![at.name, at.dead, now, max], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn hide(transaction: &Transaction<'_>, id: i64, receive_count: u32, until: i64) -> rusqlite::Result<Message> {
    let mut statement = transaction.prepare_cached(
        "UPDATE queue_message SET visible_at = ?2, receive_count = ?3 WHERE id = ?1 RETURNING body, sent_at",
    )?;
    let receipt = Receipt::new(format!("{id}-{receive_count}"));
    statement.query_row(params![id, until, receive_count], |row| {
        Ok(Message { id: id.to_string(), receipt, body: row.get(0)?, receive_count, sent_at: row.get(1)? })
    })
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn after(now: i64, duration: Duration) -> i64 {
    now.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn send(&self, body: &str) -> Result<(), QueueError> {
        check_body(body)?;
        let body = body.to_owned();
        self.run("send", move |connection, at| {
            let mut statement = connection.prepare_cached(
                "INSERT INTO queue_message (queue, dead, visible_at, sent_at, body) VALUES (?1, ?2, ?3, ?3, ?4)",
            )?;
            statement.execute(params![at.name, at.dead, now(), body])?;
            Ok(())
        })
        .await
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let max = max.min(MAX_RECEIVE);
        if max == 0 {
            return Ok(Vec::new());
        }
        let (started, policy) = (Instant::now(), self.policy);
        loop {
            let taken =
                self.run("receive", move |connection, at| take(connection, at, policy, max, visibility)).await?;
            let left = wait.saturating_sub(started.elapsed());
            if !taken.is_empty() || left.is_zero() {
                return Ok(taken);
            }
            tokio::time::sleep(POLL.min(left)).await;
        }
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let held = self.show_at("extend", receipt, after(now(), visibility)).await?;
        if held { Ok(()) } else { Err(QueueError::Stale { queue: self.at.shown() }) }
    }

    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.show_at("release", receipt, now()).await.map(drop)
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let (id, receive_count) = self.parse(receipt)?;
        self.run("delete", move |connection, at| {
            let mut statement = connection.prepare_cached(
                "DELETE FROM queue_message WHERE id = ?1 AND queue = ?2 AND dead = ?3 AND receive_count = ?4",
            )?;
            statement.execute(params![id, at.name, at.dead, receive_count]).map(drop)
        })
        .await
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        self.run("count", |connection, at| {
            let mut statement = connection.prepare_cached(
                "SELECT count(*) FILTER (WHERE dead = ?2 AND visible_at <= ?3),
                        count(*) FILTER (WHERE dead = ?2 AND visible_at > ?3),
                        count(*) FILTER (WHERE dead > ?2)
                 FROM queue_message WHERE queue = ?1",
            )?;
            statement.query_row(params![at.name, at.dead, now()], |row| {
                let count = |column| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
                Ok(Counts { visible: count(0)?, in_flight: count(1)?, dead: count(2)? })
            })
        })
        .await
    }

    fn dead_letter_queue(&self) -> Option<Arc<dyn Queue>> {
        self.policy?;
        let at = Place { dead: true, ..self.at.clone() };
        Some(Arc::new(Self { connection: Arc::clone(&self.connection), at, policy: None }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// All queues of the suite in one file: none may see another's messages.
    #[tokio::test]
    async fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let count = AtomicU32::new(0);
        crate::conformance::all(async |policy| {
            let name = format!("queue-{}", count.fetch_add(1, Ordering::Relaxed));
            Arc::new(SqliteQueue::open(&folder.path().join("all.db"), &name, policy).unwrap())
        })
        .await;
    }

    #[tokio::test]
    async fn a_stale_receipt_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let queue = SqliteQueue::open(&folder.path().join("q.db"), "q", RedrivePolicy::default()).unwrap();
        crate::conformance::stale_receipts_hold_nothing(&queue).await;
    }

    #[tokio::test]
    async fn another_opening_of_the_file_sees_everything() {
        let folder = tempfile::tempdir().unwrap();
        let open =
            |max_receives| SqliteQueue::open(&folder.path().join("q.db"), "q", RedrivePolicy { max_receives }).unwrap();
        let (one, two) = (open(1), open(1));
        let waiting = tokio::spawn(async move { two.receive(10, HOUR, HOUR).await.unwrap() });
        tokio::time::sleep(POLL).await;
        one.send("hello").await.unwrap();
        let received = waiting.await.unwrap();
        assert_eq!(received.first().unwrap().body, "hello");
        drop(one);
        let three = open(1);
        assert_eq!(three.counts().await.unwrap(), Counts { in_flight: 1, ..Counts::default() });
        three.release(&received.first().unwrap().receipt).await.unwrap();
        assert_eq!(three.receive(10, HOUR, Duration::ZERO).await.unwrap(), []);
        let letters = open(1).dead_letter_queue().unwrap().receive(10, HOUR, Duration::ZERO).await.unwrap();
        let named = |messages: &[Message]| messages.iter().map(|m| (m.id.clone(), m.sent_at)).collect::<Vec<_>>();
        assert_eq!(named(&letters), named(&received));
    }

    #[tokio::test]
    async fn a_file_without_times_is_mended_and_its_messages_arrive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&SCHEMA.replace("sent_at INTEGER,", "")).unwrap();
        old.execute("INSERT INTO queue_message (queue, visible_at, body) VALUES ('q', 0, 'old')", []).unwrap();
        drop(old);
        let queue = SqliteQueue::open(&path, "q", RedrivePolicy::default()).unwrap();
        queue.send("new").await.unwrap();
        let messages = queue.receive(10, HOUR, Duration::ZERO).await.unwrap();
        let times: Vec<_> = messages.iter().map(|m| (m.body.as_str(), m.sent_at.is_some())).collect();
        assert_eq!(times, [("old", false), ("new", true)]);
    }

    #[test]
    fn many_can_open_a_new_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.db");
        std::thread::scope(|scope| {
            let open = || SqliteQueue::open(&path, "q", RedrivePolicy::default()).map(drop);
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(open)).collect();
            for thread in threads {
                thread.join().unwrap().unwrap();
            }
        });
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = SqliteQueue::open(Path::new("/nonexistent/q.db"), "q", RedrivePolicy::default()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/q.db"), "{error}");
    }
}
