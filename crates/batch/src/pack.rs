//! Cutting a partition's events into batches.

#[cfg(test)]
mod limit_tests;

use crate::Event;

/// Most events in a batch.
pub const MAX_BATCH_EVENTS: usize = 2_000;
/// Most uncompressed bytes in a batch, unless a single event is larger.
pub const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Collects consecutive events and says when the batch is full.
#[derive(Debug)]
pub struct Packer {
    events: Vec<Event>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl Default for Packer {
    fn default() -> Self {
        Self::with_limits(MAX_BATCH_EVENTS, MAX_BATCH_BYTES)
    }
}

impl Packer {
    /// A packer that cuts at fewer events or bytes than the contract's.
    pub fn with_limits(max_events: usize, max_bytes: usize) -> Self {
        let (max_events, max_bytes) = (max_events.clamp(1, MAX_BATCH_EVENTS), max_bytes.clamp(1, MAX_BATCH_BYTES));
        Self { events: Vec::new(), bytes: 0, max_events, max_bytes }
    }

    /// Adds the next event; returns the finished batch's events when this one no longer fits.
    pub fn push(&mut self, event: Event) -> Option<Vec<Event>> {
        let size = event.size();
        let full = !self.events.is_empty()
            && (self.events.len() >= self.max_events || self.bytes.saturating_add(size) > self.max_bytes);
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
