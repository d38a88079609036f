//! How long anything may take, and how often it is tried.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::time::Duration;

use crate::failure::Failure;

/// A deadline for everything that is awaited.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// Resolving the name and opening the TCP connection.
    pub connect: Duration,
    /// TLS, and WebSocket's upgrade.
    pub handshake: Duration,
    /// SASL and AMQP's open.
    pub open: Duration,
    /// Beginning a session.
    pub begin: Duration,
    /// Attaching a link.
    pub attach: Duration,
    /// Presenting a token, the time to get it included.
    pub authorize: Duration,
    /// One question to `$management`.
    pub management: Duration,
    /// Sending one batch, until the hub accepts it.
    pub send: Duration,
    /// Detaching a link.
    pub detach: Duration,
    /// Ending a session.
    pub end: Duration,
    /// Closing the connection.
    pub close: Duration,
    /// A connection on which nothing arrives for so long, not even a heartbeat, is dead.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            open: Duration::from_secs(10),
            begin: Duration::from_secs(5),
            attach: Duration::from_secs(15),
            authorize: Duration::from_secs(15),
            management: Duration::from_secs(10),
            send: Duration::from_secs(30),
            detach: Duration::from_secs(3),
            end: Duration::from_secs(3),
            close: Duration::from_secs(3),
            idle: Duration::from_secs(60),
        }
    }
}

/// Runs `future` for at most `limit`; `what` names it in the failure.
pub(crate) async fn within<F: Future>(limit: Duration, what: &'static str, future: F) -> Result<F::Output, Failure> {
    tokio::time::timeout(limit, future).await.map_err(|_| Failure::timed_out(what, limit))
}

/// How failures that may pass are tried again: exponential backoff with full jitter, bounded by time.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Longest pause before the second attempt; it doubles from attempt to attempt.
    pub first_pause: Duration,
    /// Longest pause between two attempts.
    pub longest_pause: Duration,
    /// No attempt is started later than this after the first one failed.
    pub give_up_after: Duration,
    /// Pause when the service says that it is busy, if it does not end the retries.
    pub busy_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            give_up_after: Duration::from_secs(60),
            busy_pause: Duration::from_secs(4),
        }
    }
}

impl RetryPolicy {
    /// Pause before attempt `attempt + 1` (the first attempt is 0), after `failure`.
    pub(crate) fn pause(&self, attempt: u32, failure: &Failure) -> Duration {
        let ceiling = self
            .first_pause
            .saturating_mul(1_u32.checked_shl(attempt.min(20)).unwrap_or(u32::MAX))
            .min(self.longest_pause);
        let jittered = ceiling.mul_f64(unit_random());
        if failure.is_busy() {
            // At least the pause that the service asks for, spread a little so that clients do not return together.
            self.busy_pause.saturating_add(jittered.min(self.busy_pause / 4))
        } else {
            jittered
        }
    }
}

/// A number in `0.0..1.0`, good enough to spread retries.
fn unit_random() -> f64 {
    let bits = RandomState::new().hash_one(std::time::Instant::now()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_their_limits() {
        let policy = RetryPolicy::default();
        let failure = Failure::transient("x");
        for (attempt, ceiling) in [(0, 0.2), (1, 0.4), (4, 3.2), (9, 10.0), (4_000_000_000, 10.0)] {
            let pauses: Vec<f64> = (0..200).map(|_| policy.pause(attempt, &failure).as_secs_f64()).collect();
            assert!(pauses.iter().all(|pause| *pause <= ceiling), "{attempt}");
            // Full jitter: both halves of the range are used.
            assert!(pauses.iter().any(|pause| *pause < ceiling / 2.0), "{attempt}");
            assert!(pauses.iter().any(|pause| *pause > ceiling / 2.0), "{attempt}");
        }
    }

    #[test]
    fn a_busy_service_is_left_alone_for_as_long_as_it_asks() {
        let pause = RetryPolicy::default().pause(0, &Failure::busy("busy"));
        assert!(pause >= Duration::from_secs(4) && pause <= Duration::from_secs(5), "{pause:?}");
    }
}
