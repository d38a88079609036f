//! Cutting a partition's events into batches.

use crate::Event;

/// Most events in a batch.
pub const MAX_BATCH_EVENTS: usize = 2_000;
/// Most uncompressed bytes in a batch, unless a single event is larger.
pub const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Collects consecutive events and says when the batch is full.
#[derive(Debug, Default)]
pub struct Packer {
    events: Vec<Event>,
    bytes: usize,
}

impl Packer {
    /// Adds the next event; returns the finished batch's events when this one no longer fits.
    pub fn push(&mut self, event: Event) -> Option<Vec<Event>> {
        let size = event.size();
        let full = !self.events.is_empty()
            && (self.events.len() >= MAX_BATCH_EVENTS || self.bytes.saturating_add(size) > MAX_BATCH_BYTES);
        let finished = full.then(|| self.take());
        self.bytes = self.bytes.saturating_add(size);
        self.events.push(event);
        finished.flatten()
    }

    /// Takes what was collected; `None` when there is nothing.
    pub fn take(&mut self) -> Option<Vec<Event>> {
        self.bytes = 0;
        let events = std::mem::take(&mut self.events);
        (!events.is_empty()).then_some(events)
    }

    /// Events collected so far.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing is collected.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
