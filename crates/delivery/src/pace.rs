//! A rate that all workers of the process keep together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A bucket of tokens: `burst` of them at first, `rate` more a second, never more than `burst`.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: f64,
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

impl Pace {
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self { rate: f64::from(rate), burst, state: Mutex::new((burst, Instant::now())) }
    }

    /// Waits for a token. Whoever asks first gets the first one that comes.
    pub(crate) async fn take(&self) {
        let wait = self.reserve();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn reserve(&self) -> Duration {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, then) = *state;
        let tokens = (tokens + now.saturating_duration_since(then).as_secs_f64() * self.rate).min(self.burst) - 1.0;
        *state = (tokens, now);
        // A debt is what others who wait have reserved.
        Duration::from_secs_f64((-tokens).max(0.0) / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate_for_all_workers_together() {
        let pace = Pace::new(10, 30);
        let started = Instant::now();
        let worker = async || {
            for _ in 0..25 {
                pace.take().await;
            }
        };
        tokio::join!(worker(), worker());
        // 30 at once, 20 at ten a second.
        let took = started.elapsed();
        assert!((Duration::from_millis(1_990)..Duration::from_millis(2_050)).contains(&took), "{took:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let started = Instant::now();
        for _ in 0..31 {
            pace.take().await;
        }
        let took = started.elapsed();
        assert!((Duration::from_millis(90)..Duration::from_millis(150)).contains(&took), "{took:?}");
    }
}
