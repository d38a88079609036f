//! The queue of one process.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::{Counts, MAX_RECEIVE, Message, Queue, QueueError, Receipt, RedrivePolicy, check};

#[derive(Debug)]
struct Entry {
    id: u64,
    body: String,
    receives: u32,
    /// When it may be received (again).
    visible_from: Instant,
    /// Whether a receive's receipt still counts for it.
    taken: bool,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    entries: VecDeque<Entry>,
    dead: VecDeque<Entry>,
}

/// Messages in memory: gone with the process.
#[derive(Debug)]
pub struct MemoryQueue {
    policy: RedrivePolicy,
    state: Mutex<State>,
    sent: Notify,
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new(policy: RedrivePolicy) -> Self {
        Self { policy, state: Mutex::default(), sent: Notify::new() }
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what is visible, and says when the next message will be.
    fn take(&self, max: usize, visibility: Duration) -> (Vec<Message>, Option<Instant>) {
        let now = Instant::now();
        self.with(|state| {
            let (mut taken, mut rest) = (Vec::new(), VecDeque::new());
            for mut entry in std::mem::take(&mut state.entries) {
                if entry.visible_from > now || taken.len() >= max {
                    rest.push_back(entry);
                } else if entry.receives >= self.policy.max_receives {
                    state.dead.push_back(entry);
                } else {
                    entry.receives += 1;
                    entry.visible_from = now + visibility;
                    entry.taken = true;
                    taken.push(message(&entry));
                    rest.push_back(entry);
                }
            }
            let next = rest.iter().map(|entry| entry.visible_from).min();
            state.entries = rest;
            (taken, next)
        })
    }

    /// Does something to the message whose receipt still counts.
    fn taken(&self, receipt: &Receipt, act: impl FnOnce(&mut State, usize)) {
        self.with(|state| {
            let at = state.entries.iter().position(|entry| entry.taken && message(entry).receipt == *receipt);
            if let Some(at) = at {
                act(state, at);
            }
        });
    }
}

fn message(entry: &Entry) -> Message {
    Message {
        id: format!("m-{}", entry.id),
        receipt: Receipt::new(format!("m-{}-{}", entry.id, entry.receives)),
        body: entry.body.clone(),
        receive_count: entry.receives,
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, body: &str) -> Result<(), QueueError> {
        check(body)?;
        self.with(|state| {
            let entry = Entry {
                id: state.next,
                body: body.to_owned(),
                receives: 0,
                visible_from: Instant::now(),
                taken: false,
            };
            state.next += 1;
            state.entries.push_back(entry);
        });
        self.sent.notify_waiters();
        Ok(())
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let deadline = Instant::now() + wait;
        loop {
            let sent = self.sent.notified();
            tokio::pin!(sent);
            // Listens before it looks, so that nothing is sent unheard in between.
            sent.as_mut().enable();
            let (messages, next) = self.take(max.clamp(1, MAX_RECEIVE), visibility);
            if !messages.is_empty() || Instant::now() >= deadline {
                return Ok(messages);
            }
            let until = next.map_or(deadline, |next| next.min(deadline));
            let _ = tokio::time::timeout_at(until, sent).await;
        }
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        self.taken(receipt, |state, at| {
            if let Some(entry) = state.entries.get_mut(at) {
                entry.visible_from = Instant::now() + visibility;
            }
        });
        self.sent.notify_waiters();
        Ok(())
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.taken(receipt, |state, at| drop(state.entries.remove(at)));
        Ok(())
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let now = Instant::now();
        Ok(self.with(|state| {
            let visible = state.entries.iter().filter(|entry| entry.visible_from <= now).count() as u64;
            Counts { visible, in_flight: state.entries.len() as u64 - visible, dead: state.dead.len() as u64 }
        }))
    }

    async fn dead_letters(&self, max: usize) -> Result<Vec<Message>, QueueError> {
        Ok(self.with(|state| state.dead.iter().take(max).map(message).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    #[tokio::test]
    async fn conforms() {
        crate::conformance::all(|policy| Arc::new(super::MemoryQueue::new(policy))).await;
    }
}
