//! Waits between attempts of a call that a service throttles.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// So many waits, each up to twice as long as the one before, up to a longest one; random between half of that and all of
/// it, so that workers who were refused together do not come back together. The SDK's own attempts, which are few and
/// quick, come first.
#[derive(Debug, Clone)]
pub struct Backoff {
    left: u32,
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// `waits` waits from `first` to `longest`.
    pub const fn new(waits: u32, first: Duration, longest: Duration) -> Self {
        Self { left: waits, next: first, longest }
    }
}

impl Default for Backoff {
    /// Five waits, 2 s to 5 s in all: a burst that a table or a queue throttles is over by then, and a function still has
    /// time to end in order.
    fn default() -> Self {
        Self::new(5, Duration::from_millis(200), Duration::from_secs(2))
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    /// How long to wait before the next attempt; `None`: give up.
    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let longest = self.next.min(self.longest);
        self.next = longest.saturating_mul(2);
        Some(longest.mul_f64(0.5 + unit_random() / 2.0))
    }
}

/// From 0 to 1. Not for secrets: each `RandomState` has keys of its own, which is all that jitter needs.
fn unit_random() -> f64 {
    let bits = RandomState::new().hash_one(()) >> 32;
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_end() {
        let waits: Vec<Duration> = Backoff::default().collect();
        assert_eq!(waits.len(), 5);
        for (wait, longest) in waits.iter().zip([200, 400, 800, 1_600, 2_000]) {
            let longest = Duration::from_millis(longest);
            assert!(*wait >= longest / 2 && *wait <= longest, "{wait:?} of {longest:?}");
        }
        let others: Vec<Duration> = Backoff::default().collect();
        assert_ne!(waits, others, "two workers wait for different times");
    }
}
