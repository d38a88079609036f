//! A queue as the ledger's outbox.

use async_trait::async_trait;
use tributary_batch::BatchId;
use tributary_ledger::{Outbox, OutboxError};

use crate::Queue;

/// Sends planned batches to a queue.
pub struct QueueOutbox<'q>(&'q dyn Queue);

impl<'q> QueueOutbox<'q> {
    /// An outbox on `queue`.
    pub fn new(queue: &'q dyn Queue) -> Self {
        Self(queue)
    }
}

#[async_trait]
impl Outbox for QueueOutbox<'_> {
    async fn put(&self, name: &BatchId, message: &str) -> Result<(), OutboxError> {
        let sent = self.0.send(message).await;
        sent.map_err(|error| OutboxError { name: name.to_string(), detail: error.to_string() })
    }
}
