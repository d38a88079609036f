//! What every store of cursors must do, written against the trait alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::sync::Arc;

use crate::{Cursor, CursorKey, Cursors, MAX_STATE};

const NOW: i64 = 1_767_225_600_000;

/// Every promise, each on a store of its own. Names differ from promise to promise, so one store will do as well.
pub async fn cursors<C: Cursors + 'static>(make: impl Fn() -> Arc<C>) {
    let make = || -> Arc<dyn Cursors> { make() };
    what_was_put_is_read(make()).await;
    a_version_is_replaced_once(make()).await;
    a_doubled_swap_is_recognised(make()).await;
    nothing_comes_from_nowhere(make()).await;
    one_of_many_simultaneous_swaps_wins(make()).await;
    large_states_fit_and_larger_ones_are_refused(make()).await;
    names_are_whole(make()).await;
}

fn key(object: &str) -> CursorKey {
    CursorKey::new("account", "container", object).unwrap()
}

fn cursor(version: u64, state: &str) -> Cursor {
    Cursor { version, state: state.to_owned(), updated_at: NOW, ttl: NOW / 1_000 + 604_800 }
}

async fn what_was_put_is_read(cursors: Arc<dyn Cursors>) {
    let key = key("put and read/é %41 #");
    assert_eq!(cursors.read(&key).await.unwrap(), None);
    let first = cursor(1, "{\"a\":\"\u{1F30A}\"}");
    assert!(cursors.swap(&key, &first).await.unwrap());
    assert_eq!(cursors.read(&key).await.unwrap(), Some(first));
    let second = Cursor { updated_at: NOW + 7, ttl: NOW, ..cursor(2, "") };
    assert!(cursors.swap(&key, &second).await.unwrap());
    assert_eq!(cursors.read(&key).await.unwrap(), Some(second), "an empty state is a state");
}

async fn a_version_is_replaced_once(cursors: Arc<dyn Cursors>) {
    let key = key("once");
    assert!(cursors.swap(&key, &cursor(1, "a")).await.unwrap());
    assert!(!cursors.swap(&key, &cursor(1, "b")).await.unwrap(), "another first one");
    assert!(cursors.swap(&key, &cursor(2, "c")).await.unwrap());
    assert!(!cursors.swap(&key, &cursor(2, "d")).await.unwrap(), "another second one");
    assert!(!cursors.swap(&key, &cursor(1, "a")).await.unwrap(), "a late first one");
    assert_eq!(cursors.read(&key).await.unwrap(), Some(cursor(2, "c")));
}

async fn a_doubled_swap_is_recognised(cursors: Arc<dyn Cursors>) {
    let key = key("doubled");
    for _ in 0..2 {
        assert!(cursors.swap(&key, &cursor(1, "a")).await.unwrap());
    }
    for _ in 0..2 {
        assert!(cursors.swap(&key, &cursor(2, "b")).await.unwrap());
    }
}

async fn nothing_comes_from_nowhere(cursors: Arc<dyn Cursors>) {
    let key = key("nowhere");
    assert!(!cursors.swap(&key, &cursor(2, "a")).await.unwrap(), "what it replaces was dropped");
    assert!(!cursors.swap(&key, &cursor(0, "a")).await.unwrap(), "no version comes before this");
    assert_eq!(cursors.read(&key).await.unwrap(), None);
    assert!(cursors.swap(&key, &cursor(1, "a")).await.unwrap());
    assert!(!cursors.swap(&key, &cursor(3, "c")).await.unwrap(), "a version was left out");
}

async fn one_of_many_simultaneous_swaps_wins(cursors: Arc<dyn Cursors>) {
    let key = key("many");
    for version in 1..=3 {
        let swaps = (0..8).map(|worker| {
            let (cursors, key) = (Arc::clone(&cursors), key.clone());
            tokio::spawn(async move { cursors.swap(&key, &cursor(version, &format!("by {worker}"))).await.unwrap() })
        });
        let swaps: Vec<_> = swaps.collect();
        let mut won = 0;
        for swap in swaps {
            won += u32::from(swap.await.unwrap());
        }
        assert_eq!(won, 1, "version {version}");
    }
}

async fn large_states_fit_and_larger_ones_are_refused(cursors: Arc<dyn Cursors>) {
    let key = key("large");
    let large = cursor(1, &"x".repeat(MAX_STATE));
    assert!(cursors.swap(&key, &large).await.unwrap());
    assert_eq!(cursors.read(&key).await.unwrap(), Some(large));
    let error = cursors.swap(&key, &cursor(2, &"x".repeat(MAX_STATE + 1))).await.unwrap_err();
    assert!(error.to_string().contains("large") && !error.to_string().contains("xxx"), "{error}");
}

async fn names_are_whole(cursors: Arc<dyn Cursors>) {
    for (number, name) in ["whole/a", "whole/A", "whole/a#blocks", "whole/a "].into_iter().enumerate() {
        let state = number.to_string();
        assert!(cursors.swap(&key(name), &cursor(1, &state)).await.unwrap(), "{name:?}");
        assert_eq!(cursors.read(&key(name)).await.unwrap().unwrap().state, state);
    }
}
