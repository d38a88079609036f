//! One byte budget for all partitions of a source.
//!
//! Two limits work together:
//!
//! 1. **Credit, by expected size.** Every reader reserves `credit × expected event size` before it grants credit, and
//!    the size of every event it holds. It may take at most half of what is free, so that readers that come later find
//!    something. The expectation is the running mean of the sizes seen, one mebibyte (the largest event) before the
//!    first one. A reader that holds nothing may always have one event under way, so that none starves.
//! 2. **The session window, whatever the sizes turn out to be.** AMQP bounds what a peer may send by *frames* (64 KiB
//!    at most each): a reader's session takes [`Share::window`] frames and its link queues as many, and when both are
//!    full the peer must stop, whatever credit it has. The other sessions of the connection go on. The window is cut so
//!    that all partitions together stay within the budget, as long as it has at least [`LEAST_SHARE`] bytes a partition
//!    (below, the least window of 20 frames counts twice, and one event in assembly).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Largest frame that is agreed on.
pub(crate) const FRAME_BYTES: usize = 64 * 1024;
/// What a source holds at most, if nothing else is configured.
pub const DEFAULT_BUDGET_BYTES: usize = 64 * 1024 * 1024;
/// Bytes a partition below which the least window, not the budget, is the bound.
pub const LEAST_SHARE: usize = 5 * 1024 * 1024;
/// The largest event of a hub, and what is expected before the first event is seen.
const LARGEST_EVENT: usize = 1024 * 1024;
/// Holds one event of the largest size.
const LEAST_WINDOW: usize = 20;
/// From this window on, a peer that waits for room for a whole event of the largest size always gets it in time.
const ROOMY_WINDOW: usize = 2 * LARGEST_EVENT / FRAME_BYTES + 2;

/// The budget; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ByteBudget {
    total: usize,
    used: Arc<AtomicUsize>,
}

impl ByteBudget {
    pub(crate) fn new(total: usize) -> Self {
        Self { total, used: Arc::new(AtomicUsize::new(0)) }
    }

    /// Bytes reserved now: expected ones under way and real ones held.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    /// One partition's part of `partitions`.
    pub(crate) fn share(&self, partitions: usize) -> Share {
        let bytes = self.total / partitions.max(1);
        // A quarter is under way, a quarter queued behind the link, a quarter collected, the rest is for assembly.
        let window = (bytes / 4 / FRAME_BYTES).clamp(LEAST_WINDOW, 2048);
        Share { window, collected: (bytes / 4).clamp(LARGEST_EVENT, 4 * LARGEST_EVENT) }
    }
}

/// What one partition may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Frames under way, and as many queued.
    pub(crate) window: usize,
    /// Bytes collected for one `next`.
    pub(crate) collected: usize,
}

impl Share {
    /// Whether the window is so small that a peer may wait for a flow that nothing else causes.
    pub(crate) fn is_tight(self) -> bool {
        self.window < ROOMY_WINDOW
    }
}

/// Bytes taken from the budget; given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

impl Reservation {
    /// Makes it exactly `bytes`, even beyond the budget: what is there is there.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// Adds up to `want` units of `unit` bytes, from at most half of what is free; returns how many.
    pub(crate) fn grow(&mut self, want: usize, unit: usize) -> usize {
        let unit = unit.max(1);
        let mut granted = 0;
        let total = self.budget.total;
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            granted = (total.saturating_sub(used) / 2 / unit).min(want);
            (granted > 0).then(|| used.saturating_add(granted.saturating_mul(unit)))
        });
        if taken.is_err() {
            return 0;
        }
        self.bytes = self.bytes.saturating_add(granted.saturating_mul(unit));
        granted
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The running mean of event sizes.
#[derive(Debug)]
pub(crate) struct SizeEstimate {
    mean: usize,
    seen: bool,
}

impl Default for SizeEstimate {
    fn default() -> Self {
        Self { mean: LARGEST_EVENT, seen: false }
    }
}

impl SizeEstimate {
    /// Weight of one event: one in 16; the first one counts whole.
    pub(crate) fn observe(&mut self, size: usize) {
        self.mean = if self.seen { (self.mean.saturating_mul(15).saturating_add(size)) / 16 } else { size };
        self.seen = true;
    }

    /// Bytes to expect of the next event.
    pub(crate) fn expected(&self) -> usize {
        // A frame's own fields and annotations cost about this much, however small the event is.
        self.mean.saturating_add(256)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn reservations_take_half_of_what_is_free_and_give_it_back() {
        let budget = ByteBudget::new(64 * MIB);
        let (mut a, mut b) = (budget.reservation(), budget.reservation());
        assert_eq!(a.grow(1000, MIB), 32);
        assert_eq!(b.grow(1000, MIB), 16);
        assert_eq!(b.grow(3, MIB), 3);
        assert_eq!(budget.used(), 51 * MIB);
        drop(a);
        assert_eq!(budget.used(), 19 * MIB);
        b.set(0);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_full_budget_grants_nothing() {
        let budget = ByteBudget::new(MIB);
        let mut full = budget.reservation();
        full.set(2 * MIB);
        assert_eq!(budget.reservation().grow(10, 1), 0);
    }

    #[test]
    fn all_partitions_together_stay_within_the_budget() {
        for partitions in [1, 2, 4, 16, 32] {
            let total = partitions * LEAST_SHARE.max(64 * MIB / partitions);
            let share = ByteBudget::new(total).share(partitions);
            let most = 2 * share.window * FRAME_BYTES + share.collected + LARGEST_EVENT;
            assert!(most * partitions <= total, "{partitions}: {share:?}");
        }
        assert_eq!(ByteBudget::new(0).share(0).window, LEAST_WINDOW);
    }

    #[test]
    fn the_expectation_starts_at_the_largest_and_follows_what_comes() {
        let mut estimate = SizeEstimate::default();
        assert!(estimate.expected() >= LARGEST_EVENT);
        estimate.observe(2000);
        assert_eq!(estimate.expected(), 2256);
        for _ in 0..200 {
            estimate.observe(100_000);
        }
        assert!(estimate.expected() > 90_000);
    }

    proptest! {
        /// However readers grow and shrink, granted credit never takes expected bytes beyond the budget.
        #[test]
        fn grants_never_exceed_the_budget(steps in prop::collection::vec((0_usize..4, 0_usize..5000, 1_usize..MIB), 1..200)) {
            let budget = ByteBudget::new(16 * MIB);
            let mut readers: Vec<Reservation> = (0..4).map(|_| budget.reservation()).collect();
            for (reader, want, unit) in steps {
                if want % 3 == 0 {
                    readers[reader].set(0);
                } else {
                    readers[reader].grow(want, unit);
                }
                prop_assert!(budget.used() <= 16 * MIB);
            }
        }
    }
}
