//! Reading a hub beside its processor: without a claim on any partition, so that nobody is displaced.

use std::time::Duration;

use tokio::time::Instant;
use tributary_batch::Event;

use crate::source::{EventSource, PartitionReader, PartitionStatus, SourceError, StartPosition};

/// Longest wait for one delivery before the hub is asked whether there will be one.
const TURN: Duration = Duration::from_secs(2);
/// How long an event that the hub says it has may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first event from `start` on; `None` when the hub has none at all.
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

/// Reads ranges of one partition, one after the other; ranges that follow each other are one pass.
pub(crate) struct RangeReader<'s> {
    source: &'s dyn EventSource,
    partition: &'s str,
    /// What the hub said when the ranges were chosen.
    status: PartitionStatus,
    reader: Option<Box<dyn PartitionReader>>,
    /// What came beyond the last range.
    waiting: Vec<Event>,
    /// The number after the last range, once that was read to its end.
    after: Option<i64>,
    /// What is wanted next, and the last of the range.
    next: i64,
    last: i64,
}

impl<'s> RangeReader<'s> {
    pub(crate) fn new(source: &'s dyn EventSource, partition: &'s str, status: PartitionStatus) -> Self {
        Self { source, partition, status, reader: None, waiting: Vec::new(), after: None, next: 0, last: -1 }
    }

    /// Begins a range.
    pub(crate) async fn begin(&mut self, first: i64, last: i64) {
        if self.after != Some(first) {
            self.close().await;
        }
        self.after = None;
        (self.next, self.last) = (first.max(self.status.begin), last.min(self.status.last));
    }

    /// The next events of the range, at least one; `None` at its end, or where the hub has no more of it.
    ///
    /// # Errors
    /// When the hub fails, or was rebuilt since the ranges were chosen.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Event>>, SourceError> {
        let deadline = Instant::now() + PATIENCE;
        while self.next <= self.last {
            let received = match std::mem::take(&mut self.waiting) {
                events if events.is_empty() => self.receive().await?,
                events => events,
            };
            if received.is_empty() {
                if self.is_gone().await? {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(late(self.partition));
                }
                continue;
            }
            let mut events = Vec::with_capacity(received.len());
            for event in received {
                match event.sequence_number.0 {
                    number if number > self.last => self.waiting.push(event),
                    number if number >= self.next => {
                        self.next = number.saturating_add(1);
                        events.push(event);
                    }
                    _ => {}
                }
            }
            if !events.is_empty() {
                return Ok(Some(events));
            }
            if !self.waiting.is_empty() {
                break;
            }
        }
        self.next = self.last.saturating_add(1);
        self.after = Some(self.next);
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Vec<Event>, SourceError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let start = StartPosition::Sequence { number: self.next, inclusive: true };
                none.insert(self.source.open_shared(self.partition, start).await?)
            }
        };
        reader.next(TURN).await
    }

    /// Whether the hub has nothing of the range any more.
    async fn is_gone(&mut self) -> Result<bool, SourceError> {
        let now = self.source.status(self.partition).await?;
        if now.incarnation != self.status.incarnation {
            let context = format!("partition {}", self.partition);
            let detail = "the hub was rebuilt meanwhile: what it held before is gone".to_owned();
            return Err(SourceError::Fatal { context, detail });
        }
        Ok(now.is_empty() || now.begin > self.last)
    }

    /// Detaches.
    pub(crate) async fn close(&mut self) {
        self.waiting.clear();
        if let Some(reader) = self.reader.take() {
            let _ = reader.close().await;
        }
    }
}
