//! Queues of batches: at-least-once delivery with redrive to dead letters, behind one trait.
//!
//! [`Queue`] is the part of a cloud queue that the jobs need, with its semantics and its limits: a message that is
//! received becomes invisible for a while and comes back unless it is deleted; one that came back too often moves to the
//! dead letters. [`MemoryQueue`] and [`SqliteQueue`] are the local mode, not test doubles; [`SqsQueue`] is a deployment's. They refuse what the strictest
//! backend refuses (see [`check_body`]), so that what runs on one machine runs in the cloud too. [`conformance`] is the
//! suite that every backend passes.
//!
//! No order is promised, and a message may arrive more than once: whoever receives must be idempotent.
//!
//! [`QueueOutbox`] makes a queue the place where the ledger's protocol sends its batches.

mod body;
pub mod conformance;
mod memory;
mod outbox;
mod sqlite;
mod sqs;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tributary_batch::TimestampMs;

pub use body::{MAX_MESSAGE_BYTES, check_body};
pub use memory::MemoryQueue;
pub use outbox::QueueOutbox;
pub use sqlite::SqliteQueue;
pub use sqs::{InvalidSqsAddress, SqsAddress, SqsQueue};

/// Most messages that one receive returns.
pub const MAX_RECEIVE: usize = 10;

/// A queue of text messages. Every method takes `&self`: clones of an `Arc` may be used by many workers at once.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Puts a message into the queue. It is durable when this returns.
    ///
    /// # Errors
    /// A body that [`check_body`] refuses, or [`QueueError::Backend`]: then nothing is known of whether it was sent.
    async fn send(&self, body: &str) -> Result<(), QueueError>;

    /// Puts many messages into the queue, in fewer calls where the backend has such; all are durable when this returns. No
    /// order is promised.
    ///
    /// # Errors
    /// A body that [`check_body`] refuses, before anything is sent, or [`QueueError::Backend`]: then some of the messages
    /// may have been sent, and all of them are to be sent again.
    async fn send_all(&self, bodies: &[String]) -> Result<(), QueueError> {
        bodies.iter().try_for_each(|body| check_body(body))?;
        for body in bodies {
            self.send(body).await?;
        }
        Ok(())
    }

    /// Takes up to `max` visible messages ([`MAX_RECEIVE`] at most) and hides them for `visibility`. When there are none,
    /// waits up to `wait` for some. Fewer messages than there are may come back.
    ///
    /// # Errors
    /// [`QueueError::Backend`]; messages that were taken come back after their visibility.
    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError>;

    /// Hides a received message for `visibility` from now.
    ///
    /// # Errors
    /// [`QueueError::Stale`] when the message is gone or somebody else's by now, where the backend can tell.
    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError>;

    /// Makes a received message visible again at once. With a stale receipt nothing happens.
    ///
    /// # Errors
    /// [`QueueError::Backend`]; the message comes back after its visibility all the same.
    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// Deletes a received message. Deleting twice, or when the message is somebody else's by now, is no error.
    ///
    /// # Errors
    /// [`QueueError::Backend`]; the message may come back.
    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// Deletes many received messages, as [`Queue::delete`] does one, in fewer calls where the backend has such.
    ///
    /// # Errors
    /// [`QueueError::Backend`]; messages that were not deleted come back.
    async fn delete_all(&self, receipts: &[Receipt]) -> Result<(), QueueError> {
        for receipt in receipts {
            self.delete(receipt).await?;
        }
        Ok(())
    }

    /// How many messages there are. A remote backend may be some seconds behind.
    ///
    /// # Errors
    /// [`QueueError::Backend`].
    async fn counts(&self) -> Result<Counts, QueueError>;

    /// The dead letters as a queue of their own, which has none: a receive hides them, a release shows them again, a delete
    /// ends them. Nothing gives them up, however often they are received. `None` where there is no such queue, or nobody
    /// said which it is.
    fn dead_letter_queue(&self) -> Option<Arc<dyn Queue>>;
}

/// A message, as one receive returned it. Debug output leaves its body out.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the message over all its receives.
    pub id: String,
    /// Names this receive.
    pub receipt: Receipt,
    /// What was sent.
    pub body: String,
    /// How often it was received, this time included: 1 at first. Whether a dead letter's goes on from there or begins
    /// anew is the backend's affair.
    pub receive_count: u32,
    /// When it was sent, in milliseconds, where the backend knows. A dead letter keeps its own.
    pub sent_at: Option<TimestampMs>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, receipt, body, receive_count, sent_at } = self;
        f.debug_struct("Message")
            .field("id", id)
            .field("receipt", receipt)
            .field("bytes", &body.len())
            .field("receive_count", receive_count)
            .field("sent_at", sent_at)
            .finish()
    }
}

/// What a receiver shows to extend, release or delete a message. Opaque; each receive makes another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(String);

impl Receipt {
    /// Wraps a backend's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The backend's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Ready to be received.
    pub visible: u64,
    /// Received, and neither deleted nor visible again.
    pub in_flight: u64,
    /// In the dead letters, received from there or not.
    pub dead: u64,
}

/// When a message is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// After this many receives without a delete it moves to the dead letters instead of being received again.
    pub max_receives: u32,
}

impl Default for RedrivePolicy {
    /// Five receives.
    fn default() -> Self {
        Self { max_receives: 5 }
    }
}

/// Why a queue did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The body is larger than [`MAX_MESSAGE_BYTES`].
    #[error("message of {size} bytes is larger than the {MAX_MESSAGE_BYTES} that a queue takes: send a claim instead")]
    TooLarge {
        /// The body's size in bytes.
        size: usize,
    },
    /// The body has no character: a queue takes one at least.
    #[error("an empty message cannot be sent: a queue takes one character at least")]
    Empty,
    /// The body holds a character that queues refuse or replace.
    #[error("message holds U+{code_point:04X} at byte {at}, which queues do not carry: encode or escape it")]
    ForbiddenCharacter {
        /// The character.
        code_point: u32,
        /// The byte at which it stands.
        at: usize,
    },
    /// The receipt holds nothing any more: the message was deleted, released, or received by somebody else.
    #[error("queue {queue}: the receipt is no longer valid: the message was deleted or received again")]
    Stale {
        /// The queue.
        queue: String,
    },
    /// The receipt is not one of this backend.
    #[error("queue {queue}: not a receipt of this queue: pass the one that receive returned")]
    ForeignReceipt {
        /// The queue.
        queue: String,
    },
    /// A permission is missing, or there are no credentials: nothing took place.
    #[error("queue {queue}: {operation}: {detail}")]
    Denied {
        /// What was attempted.
        operation: &'static str,
        /// The queue.
        queue: String,
        /// What is missing, and what to do.
        detail: String,
    },
    /// The backend failed. Nothing is known of whether the operation took place.
    #[error("queue {queue}: {operation}: {detail}")]
    Backend {
        /// What was attempted.
        operation: &'static str,
        /// The queue.
        queue: String,
        /// What went wrong.
        detail: String,
    },
}

impl QueueError {
    /// Whether a permission is missing (metric `AccessDenied`).
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}
