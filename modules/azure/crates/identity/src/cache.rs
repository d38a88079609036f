//! One value that ends, fetched when it is due and shared by all who ask.
//!
//! Time is the wall clock's: a function's process is suspended between two invocations, and its monotonic clock may stand
//! still meanwhile while secrets and tokens grow old.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

/// After an attempt that failed for good, or beside a value that still serves, nobody tries again for so long: dozens of
/// partitions must not ask one after the other.
const QUIET: Duration = Duration::from_secs(5);

/// Where a value comes from.
#[async_trait]
pub(crate) trait Fetch: Send + Sync {
    /// What it is.
    type Value: Clone + Send + Sync;
    /// Why there is none.
    type Error: Clone + fmt::Display + Send + Sync;

    /// Gets one. Must bound its time.
    async fn fetch(&self) -> Result<Fetched<Self::Value>, Self::Error>;

    /// Whether another attempt may succeed by itself.
    fn is_transient(error: &Self::Error) -> bool;

    /// Whether a value that is due, but neither over nor refused, serves on after this error.
    fn serves_on(error: &Self::Error) -> bool;

    /// What it is, in a log line.
    fn what(&self) -> String;
}

/// A value and how long it is good.
#[derive(Debug, Clone)]
pub(crate) struct Fetched<V> {
    pub(crate) value: V,
    /// When the next is due.
    pub(crate) renew_at: SystemTime,
    /// When it is worth nothing any more; `None`: never by itself.
    pub(crate) over_at: Option<SystemTime>,
}

/// The value of `F`.
pub(crate) struct Cached<F: Fetch> {
    fetch: F,
    slot: Mutex<Slot<F>>,
    /// Held by whoever fetches; the others wait for the outcome.
    flight: tokio::sync::Mutex<()>,
}

struct Slot<F: Fetch> {
    kept: Option<Kept<F::Value>>,
    /// Attempts that ended.
    attempts: u64,
    /// How the last attempt failed, if it did.
    failure: Option<F::Error>,
    /// No attempt before this.
    quiet_until: Option<SystemTime>,
}

struct Kept<V> {
    fetched: Fetched<V>,
    since: SystemTime,
    refused: bool,
}

enum Look<V, E> {
    Ready(Result<V, E>),
    /// To be fetched; so many attempts were made before.
    Due(u64),
}

impl<F: Fetch> Slot<F> {
    fn look(&self, now: SystemTime) -> Look<F::Value, F::Error> {
        let quiet = self.quiet_until.is_some_and(|until| now < until && until <= now + QUIET);
        match (&self.kept, &self.failure) {
            (Some(kept), _) if kept.is_fresh(now) => Look::Ready(Ok(kept.fetched.value.clone())),
            (_, Some(failure)) if quiet => match self.instead(failure, now) {
                // What served meanwhile is over or refused.
                Err(failure) if F::is_transient(&failure) => Look::Due(self.attempts),
                instead => Look::Ready(instead),
            },
            _ => Look::Due(self.attempts),
        }
    }

    /// What the attempt under way has come to for those who waited for it.
    fn after(&self, attempts: u64, now: SystemTime) -> Look<F::Value, F::Error> {
        match &self.failure {
            Some(failure) if self.attempts > attempts => Look::Ready(self.instead(failure, now)),
            _ => self.look(now),
        }
    }

    /// What serves after a failure.
    fn instead(&self, failure: &F::Error, now: SystemTime) -> Result<F::Value, F::Error> {
        match &self.kept {
            Some(kept) if kept.serves(now) && F::serves_on(failure) => Ok(kept.fetched.value.clone()),
            _ => Err(failure.clone()),
        }
    }
}

impl<V> Kept<V> {
    fn serves(&self, now: SystemTime) -> bool {
        !self.refused && self.fetched.over_at.is_none_or(|over| now < over)
    }

    /// A clock that was set back makes everything due.
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.serves(now) && now < self.fetched.renew_at && self.since <= now
    }
}

impl<F: Fetch> Cached<F> {
    pub(crate) fn new(fetch: F) -> Self {
        let slot = Slot { kept: None, attempts: 0, failure: None, quiet_until: None };
        Self { fetch, slot: Mutex::new(slot), flight: tokio::sync::Mutex::default() }
    }

    pub(crate) fn source(&self) -> &F {
        &self.fetch
    }

    fn slot(&self) -> MutexGuard<'_, Slot<F>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, fetched if it is due. Whoever comes while it is being fetched waits for that attempt and shares its
    /// outcome.
    pub(crate) async fn get(&self) -> Result<F::Value, F::Error> {
        let attempts = match self.slot().look(SystemTime::now()) {
            Look::Ready(result) => return result,
            Look::Due(attempts) => attempts,
        };
        let _flight = self.flight.lock().await;
        if let Look::Ready(result) = self.slot().after(attempts, SystemTime::now()) {
            return result;
        }
        let fetched = self.fetch.fetch().await;
        self.settle(fetched, SystemTime::now())
    }

    fn settle(&self, fetched: Result<Fetched<F::Value>, F::Error>, now: SystemTime) -> Result<F::Value, F::Error> {
        let mut slot = self.slot();
        slot.attempts = slot.attempts.wrapping_add(1);
        match fetched {
            Ok(fetched) => {
                let value = fetched.value.clone();
                slot.kept = Some(Kept { fetched, since: now, refused: false });
                (slot.failure, slot.quiet_until) = (None, None);
                Ok(value)
            }
            Err(failure) => {
                let instead = slot.instead(&failure, now);
                if instead.is_ok() {
                    tracing::warn!("{} not renewed, the one at hand serves on: {failure}", self.fetch.what());
                }
                let quiet = instead.is_ok() || !F::is_transient(&failure);
                slot.quiet_until = quiet.then(|| now + QUIET);
                slot.failure = Some(failure);
                instead
            }
        }
    }

    /// The value, if there is one, was refused by whom it was shown to, when it is the one that is meant: it serves no more.
    pub(crate) fn refuse(&self, is_meant: impl FnOnce(&F::Value) -> bool) {
        let mut slot = self.slot();
        if let Some(kept) = slot.kept.as_mut()
            && is_meant(&kept.fetched.value)
        {
            kept.refused = true;
            slot.quiet_until = None;
        }
    }

    /// The value at hand, whether due or not.
    pub(crate) fn at_hand(&self) -> Option<F::Value> {
        self.slot().kept.as_ref().map(|kept| kept.fetched.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Gives 1, 2, 3…, or fails as it is told, each time after a pause.
    #[derive(Default)]
    struct Numbers {
        asked: AtomicUsize,
        fail: Mutex<Option<&'static str>>,
        /// Seconds until the next is due, and until it is over.
        life: Mutex<(u64, u64)>,
    }

    #[async_trait]
    impl Fetch for Arc<Numbers> {
        type Value = usize;
        type Error = &'static str;

        async fn fetch(&self) -> Result<Fetched<usize>, &'static str> {
            let value = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(error) = *self.fail.lock().unwrap() {
                return Err(error);
            }
            let (due, over) = *self.life.lock().unwrap();
            let at = |seconds| SystemTime::now() + Duration::from_secs(seconds);
            Ok(Fetched { value, renew_at: at(due), over_at: Some(at(over)) })
        }

        fn is_transient(error: &&'static str) -> bool {
            *error == "transient"
        }

        fn serves_on(error: &&'static str) -> bool {
            *error == "transient"
        }

        fn what(&self) -> String {
            "number".into()
        }
    }

    fn cached(due: u64, over: u64) -> (Arc<Numbers>, Arc<Cached<Arc<Numbers>>>) {
        let numbers = Arc::new(Numbers { life: Mutex::new((due, over)), ..Numbers::default() });
        (Arc::clone(&numbers), Arc::new(Cached::new(numbers)))
    }

    async fn crowd(cached: &Arc<Cached<Arc<Numbers>>>) -> Vec<Result<usize, &'static str>> {
        let asking: Vec<_> = (0..20)
            .map(|_| {
                let cached = Arc::clone(cached);
                tokio::spawn(async move { cached.get().await })
            })
            .collect();
        let mut answers = Vec::new();
        for asking in asking {
            answers.push(asking.await.unwrap());
        }
        answers
    }

    #[tokio::test]
    async fn a_crowd_shares_one_attempt_whatever_comes_of_it() {
        let (numbers, cached) = cached(100, 100);
        *numbers.fail.lock().unwrap() = Some("transient");
        assert_eq!(crowd(&cached).await, vec![Err("transient"); 20]);
        assert_eq!(numbers.asked.load(Ordering::Relaxed), 1);
        *numbers.fail.lock().unwrap() = None;
        assert_eq!(crowd(&cached).await, vec![Ok(2); 20]);
        assert_eq!(cached.get().await, Ok(2));
        assert_eq!(numbers.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_the_others_their_own_attempt() {
        let (numbers, cached) = cached(100, 100);
        let impatient = tokio::time::timeout(Duration::from_millis(5), cached.get()).await;
        assert!(impatient.is_err());
        assert_eq!(cached.get().await, Ok(2));
        assert_eq!(numbers.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_value_that_is_due_serves_on_while_it_is_good_and_no_attempt_follows_at_once() {
        let (numbers, cached) = cached(0, 100);
        assert_eq!(cached.get().await, Ok(1));
        *numbers.fail.lock().unwrap() = Some("transient");
        assert_eq!(crowd(&cached).await, vec![Ok(1); 20]);
        assert_eq!(cached.get().await, Ok(1));
        assert_eq!(numbers.asked.load(Ordering::Relaxed), 2);
        // Refused: it serves nobody, and the next attempt is made at once.
        cached.refuse(|value| *value == 1);
        assert_eq!(cached.get().await, Err("transient"));
        *numbers.fail.lock().unwrap() = None;
        assert_eq!(cached.get().await, Ok(4));
        // What was refused is another one by now.
        cached.refuse(|value| *value == 1);
        assert_eq!(cached.at_hand(), Some(4));
    }

    #[tokio::test]
    async fn what_fails_for_good_is_not_tried_again_at_once_nor_hidden_by_what_is_at_hand() {
        let (numbers, cached) = cached(0, 100);
        assert_eq!(cached.get().await, Ok(1));
        *numbers.fail.lock().unwrap() = Some("fatal");
        for _ in 0..3 {
            assert_eq!(cached.get().await, Err("fatal"));
        }
        assert_eq!(numbers.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_value_that_is_over_is_asked_for_although_an_attempt_failed_a_moment_ago() {
        let (numbers, cached) = cached(0, 1);
        assert_eq!(cached.get().await, Ok(1));
        *numbers.fail.lock().unwrap() = Some("transient");
        assert_eq!(cached.get().await, Ok(1));
        *numbers.fail.lock().unwrap() = None;
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        assert_eq!(cached.get().await, Ok(3));
    }

    #[tokio::test]
    async fn what_is_over_serves_nobody() {
        let (numbers, cached) = cached(0, 0);
        assert_eq!(cached.get().await, Ok(1));
        *numbers.fail.lock().unwrap() = Some("transient");
        assert_eq!(cached.get().await, Err("transient"));
        assert_eq!(cached.get().await, Err("transient"));
        assert_eq!(numbers.asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_all_due() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let fetched = Fetched { value: 1, renew_at: now + hour, over_at: Some(now + hour) };
        let kept = Kept { fetched, since: now, refused: false };
        assert!(kept.is_fresh(now) && !kept.is_fresh(now - hour) && kept.serves(now - hour));
    }
}
