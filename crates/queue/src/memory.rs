//! The queue of one process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;
use tributary_batch::TimestampMs;

use crate::{Counts, MAX_RECEIVE, Message, Queue, QueueError, Receipt, RedrivePolicy, check_body};

const NAME: &str = "memory";

/// Longest that a message can be hidden: longer than any process lives, and far from overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Messages in memory: gone with the process.
pub struct MemoryQueue {
    /// When a message is given up, and where it goes then; dead letters are never given up.
    redrive: Option<(RedrivePolicy, Arc<MemoryQueue>)>,
    /// The last message's id, one count for the queue and its dead letters: a message keeps its id when it moves.
    last_id: Arc<AtomicU64>,
    state: Mutex<State>,
    /// Told of whatever can make a message visible earlier than a waiting receive thinks.
    changed: Notify,
}

#[derive(Default)]
struct State {
    visible: VecDeque<Entry>,
    in_flight: BTreeMap<u64, (Instant, Entry)>,
}

struct Entry {
    id: u64,
    body: String,
    receive_count: u32,
    sent_at: TimestampMs,
}

impl std::fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let policy = self.redrive.as_ref().map(|(policy, _)| policy);
        f.debug_struct("MemoryQueue").field("policy", &policy).finish_non_exhaustive()
    }
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new(policy: RedrivePolicy) -> Self {
        let last_id = Arc::default();
        let dead = Arc::new(Self::with_redrive(None, Arc::clone(&last_id)));
        Self::with_redrive(Some((policy, dead)), last_id)
    }

    fn with_redrive(redrive: Option<(RedrivePolicy, Arc<Self>)>, last_id: Arc<AtomicU64>) -> Self {
        Self { redrive, last_id, state: Mutex::default(), changed: Notify::new() }
    }

    /// Makes a message visible to the next receive.
    fn show(&self, entry: Entry) {
        self.with(|state| state.visible.push_back(entry));
        self.changed.notify_waiters();
    }

    /// Visible messages, and those in flight.
    fn lengths(&self) -> (u64, u64) {
        let now = Instant::now();
        self.with(|state| {
            state.surface(now);
            (state.visible.len() as u64, state.in_flight.len() as u64)
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        // Nothing in here panics between taking a message out of one place and putting it into another.
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what is visible now, else says when the next hidden message comes back.
    fn take(&self, max: usize, visibility: Duration) -> Result<Vec<Message>, Option<Instant>> {
        let now = Instant::now();
        self.with(|state| {
            state.surface(now);
            let mut taken = Vec::new();
            while taken.len() < max {
                let Some(mut entry) = state.visible.pop_front() else { break };
                if let Some((_, dead)) =
                    self.redrive.as_ref().filter(|(policy, _)| entry.receive_count >= policy.max_receives)
                {
                    dead.show(entry);
                    continue;
                }
                entry.receive_count = entry.receive_count.saturating_add(1);
                taken.push(entry.message());
                state.in_flight.insert(entry.id, (after(now, visibility), entry));
            }
            let next = state.in_flight.values().map(|(until, _)| *until).min();
            if taken.is_empty() { Err(next) } else { Ok(taken) }
        })
    }
}

impl State {
    /// Makes messages visible whose time is over.
    fn surface(&mut self, now: Instant) {
        for (_, (_, entry)) in self.in_flight.extract_if(.., |_, (until, _)| *until <= now) {
            self.visible.push_back(entry);
        }
    }

    /// Takes out the message of a receipt, unless somebody received it again. Its time may be over: as long as nobody
    /// else has it, it is still its receiver's.
    fn claim(&mut self, id: u64, receive_count: u32) -> Option<Entry> {
        if let Some((_, entry)) = self.in_flight.get(&id) {
            let ours = entry.receive_count == receive_count;
            return if ours { self.in_flight.remove(&id).map(|(_, entry)| entry) } else { None };
        }
        let at = self.visible.iter().position(|entry| entry.id == id && entry.receive_count == receive_count)?;
        self.visible.remove(at)
    }
}

impl Entry {
    fn message(&self) -> Message {
        Message {
            id: self.id.to_string(),
            receipt: Receipt::new(format!("{}-{}", self.id, self.receive_count)),
            body: self.body.clone(),
            receive_count: self.receive_count,
            sent_at: Some(self.sent_at),
        }
    }
}

fn after(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration.min(LONGEST)).unwrap_or(now)
}

/// The message and the number of its receive.
fn parse(receipt: &Receipt) -> Result<(u64, u32), QueueError> {
    let parts = receipt.as_str().split_once('-');
    let numbers = parts.and_then(|(id, count)| Some((id.parse().ok()?, count.parse().ok()?)));
    numbers.ok_or_else(|| QueueError::ForeignReceipt { queue: NAME.to_owned() })
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, body: &str) -> Result<(), QueueError> {
        check_body(body)?;
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let sent_at = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        self.show(Entry { id, body: body.to_owned(), receive_count: 0, sent_at });
        Ok(())
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let max = max.min(MAX_RECEIVE);
        let deadline = after(Instant::now(), wait);
        loop {
            // Listening begins before looking: what is sent in between is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let next = match self.take(max, visibility) {
                Ok(messages) => return Ok(messages),
                Err(next) => next,
            };
            if max == 0 || Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            let _ = tokio::time::timeout_at(next.map_or(deadline, |next| next.min(deadline)), changed).await;
        }
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let (id, receive_count) = parse(receipt)?;
        let until = after(Instant::now(), visibility);
        let extended = self.with(|state| {
            let Some(entry) = state.claim(id, receive_count) else { return false };
            state.in_flight.insert(id, (until, entry));
            true
        });
        self.changed.notify_waiters();
        if extended { Ok(()) } else { Err(QueueError::Stale { queue: NAME.to_owned() }) }
    }

    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let (id, receive_count) = parse(receipt)?;
        self.with(|state| {
            if let Some(entry) = state.claim(id, receive_count) {
                state.visible.push_back(entry);
            }
        });
        self.changed.notify_waiters();
        Ok(())
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let (id, receive_count) = parse(receipt)?;
        self.with(|state| state.claim(id, receive_count));
        Ok(())
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let (visible, in_flight) = self.lengths();
        let dead = self.redrive.as_ref().map_or(0, |(_, dead)| {
            let (visible, in_flight) = dead.lengths();
            visible + in_flight
        });
        Ok(Counts { visible, in_flight, dead })
    }

    fn dead_letter_queue(&self) -> Option<Arc<dyn Queue>> {
        self.redrive.as_ref().map(|(_, dead)| Arc::clone(dead) as _)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        crate::conformance::all(async |policy| Arc::new(MemoryQueue::new(policy))).await;
    }

    #[tokio::test]
    async fn a_stale_receipt_holds_nothing() {
        crate::conformance::stale_receipts_hold_nothing(&MemoryQueue::new(RedrivePolicy::default())).await;
    }
}
