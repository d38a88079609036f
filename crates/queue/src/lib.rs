//! Messages between the jobs: the Queue trait and its backends.
//!
//! At least once, in no promised order. A received message is invisible to others for a while and comes back when it is
//! not deleted by then; after [`RedrivePolicy::max_receives`] times it lies among the dead letters and never comes back by
//! itself. [`conformance`] is what every backend must do.

pub mod conformance;
mod memory;
mod outbox;
mod sqlite;

pub use memory::MemoryQueue;
pub use outbox::QueueOutbox;
pub use sqlite::SqliteQueue;

use std::time::Duration;

use async_trait::async_trait;

/// Most bytes of a message: what SQS takes.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;
/// Most messages of one receive.
pub const MAX_RECEIVE: usize = 10;

/// Why a queue did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The message is larger than any queue takes.
    #[error(
        "a message of {size} bytes does not fit a queue: at most {MAX_MESSAGE_BYTES}; put it into the staging store as a claim"
    )]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The message is empty or has a character that SQS refuses.
    #[error(
        "a message must have text, without control characters but tab, line feed and carriage return, and without U+FFFE and U+FFFF"
    )]
    Refused,
    /// The backend failed. Nothing is known of whether the operation took place.
    #[error("queue {queue}: {operation} failed: {detail}")]
    Backend {
        /// The queue.
        queue: String,
        /// What was attempted.
        operation: &'static str,
        /// What went wrong.
        detail: String,
    },
}

/// What happens to messages that keep failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// How often a message is received before it becomes a dead letter.
    pub max_receives: u32,
}

impl Default for RedrivePolicy {
    fn default() -> Self {
        Self { max_receives: 5 }
    }
}

/// Names one receive of one message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(String);

impl Receipt {
    /// A backend's own text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The backend's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A received message. Its body is left out of Debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The queue's name for it; the same each time it is received.
    pub id: String,
    /// What this receive is called.
    pub receipt: Receipt,
    /// The text.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, receipt, body, receive_count } = self;
        f.debug_struct("Message")
            .field("id", id)
            .field("receipt", receipt)
            .field("bytes", &body.len())
            .field("receive_count", receive_count)
            .finish()
    }
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready to be received.
    pub visible: u64,
    /// Received and neither deleted nor back.
    pub in_flight: u64,
    /// Dead letters.
    pub dead: u64,
}

/// A queue of messages.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends a message: durable when this returns.
    ///
    /// # Errors
    /// [`QueueError::TooLarge`] and [`QueueError::Refused`] before anything is sent.
    async fn send(&self, body: &str) -> Result<(), QueueError>;

    /// Up to `max` (at most [`MAX_RECEIVE`]) messages, invisible to others for `visibility`; waits up to `wait` for the
    /// first one.
    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError>;

    /// Keeps a message invisible for `visibility` from now on. A receipt that no longer counts changes nothing.
    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError>;

    /// Gives a message back at once. A receipt that no longer counts changes nothing.
    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.extend(receipt, Duration::ZERO).await
    }

    /// Deletes a message. A receipt that no longer counts changes nothing, and that is no error.
    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// How many messages there are, now or a moment ago.
    async fn counts(&self) -> Result<Counts, QueueError>;

    /// Up to `max` dead letters, the oldest first. They stay.
    async fn dead_letters(&self, max: usize) -> Result<Vec<Message>, QueueError>;
}

/// What every backend refuses before it sends, because SQS does.
pub(crate) fn check(body: &str) -> Result<(), QueueError> {
    if body.len() > MAX_MESSAGE_BYTES {
        return Err(QueueError::TooLarge { size: body.len() });
    }
    let refused = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    if body.is_empty() || body.contains(refused) { Err(QueueError::Refused) } else { Ok(()) }
}
