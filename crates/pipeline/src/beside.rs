//! Reading a hub beside its processor: without a claim on any partition, so that nobody is displaced.

use std::time::Duration;

use tokio::time::Instant;
use tributary_batch::Event;

use crate::source::{EventSource, PartitionReader, SourceError, StartPosition};

/// Longest wait for one delivery before the hub is asked whether there will be one.
const TURN: Duration = Duration::from_secs(2);
/// How long an event that the hub says it has may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first event from `start` on; `None` when nothing comes that the hub has by `status`.
pub(crate) async fn first_event(
    source: &dyn EventSource,
    partition: &str,
    start: StartPosition,
) -> Result<Option<Event>, SourceError> {
    let mut reader = source.open_shared(partition, start).await?;
    let found = first(reader.as_mut(), partition).await;
    let _ = reader.close().await;
    found
}

async fn first(reader: &mut dyn PartitionReader, partition: &str) -> Result<Option<Event>, SourceError> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(event) = reader.next(TURN).await?.into_iter().next() {
            return Ok(Some(event));
        }
        if reader.status().await?.is_empty() {
            return Ok(None);
        }
    }
    Err(late(partition))
}

fn late(partition: &str) -> SourceError {
    let detail = format!("the hub delivered nothing of what it says it has for {} s; try again", PATIENCE.as_secs());
    SourceError::Transient { context: format!("partition {partition}"), detail }
}
