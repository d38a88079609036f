//! A queue as the place where the ledger's protocol sends its batches.

use std::fmt;

use async_trait::async_trait;
use tributary_batch::BatchId;
use tributary_ledger::{Outbox, OutboxError};

use crate::Queue;

/// Sends batches into a queue.
pub struct QueueOutbox<'q> {
    queue: &'q dyn Queue,
}

impl<'q> QueueOutbox<'q> {
    /// Sends into `queue`.
    pub fn new(queue: &'q dyn Queue) -> Self {
        Self { queue }
    }
}

impl fmt::Debug for QueueOutbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueOutbox").finish_non_exhaustive()
    }
}

#[async_trait]
impl Outbox for QueueOutbox<'_> {
    async fn put(&self, name: &BatchId, message: &str) -> Result<(), OutboxError> {
        let sent = self.queue.send(message).await;
        sent.map_err(|error| OutboxError {
            name: name.to_string(),
            detail: error.to_string(),
            denied: error.is_denied(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{MemoryQueue, RedrivePolicy};

    #[tokio::test]
    async fn a_batch_arrives_and_a_refusal_names_it() {
        let queue = MemoryQueue::new(RedrivePolicy::default());
        let name = BatchId::for_content(b"one");
        let outbox = QueueOutbox::new(&queue);
        outbox.put(&name, "{}").await.unwrap();
        let received = queue.receive(1, Duration::from_secs(1), Duration::ZERO).await.unwrap();
        assert_eq!(received.first().unwrap().body, "{}");
        let error = outbox.put(&name, "").await.unwrap_err().to_string();
        assert!(error.contains(name.as_str()) && error.contains("empty"), "{error}");
    }
}
