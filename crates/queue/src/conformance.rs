//! What every queue backend must do, written against the trait alone.
//!
//! A backend's test calls [`all`] with a function that makes an empty queue. A broken promise panics with its name. The
//! promises are tried at the same time, each on queues of its own, and times are whole seconds: the suite is quick, and a
//! remote backend passes it too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Counts, MAX_MESSAGE_BYTES, Message, Queue, QueueError, RedrivePolicy};

const NOW: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Long enough for what must come: a remote backend may be slow, and nobody waits for what comes at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every promise.
pub async fn all<Q: Queue + 'static>(make: impl AsyncFn(RedrivePolicy) -> Arc<Q>) {
    let giving_up_after = async |max_receives| {
        let queue: Arc<dyn Queue> = make(RedrivePolicy { max_receives }).await;
        queue
    };
    let default = async || giving_up_after(RedrivePolicy::default().max_receives).await;
    tokio::join!(
        an_empty_queue_gives_nothing(default().await),
        what_is_sent_arrives_unchanged(default().await),
        a_receive_gives_ten_at_most(default().await),
        many_are_sent_and_deleted_at_once(default().await),
        a_message_over_the_limit_is_refused(default().await),
        characters_that_queues_do_not_carry_are_refused(default().await),
        a_received_message_is_hidden_and_comes_back(default().await),
        a_released_message_is_visible_at_once(default().await),
        an_extended_message_stays_hidden(default().await),
        a_message_is_deleted_late_and_twice(default().await),
        a_stale_receipt_does_no_harm(default().await),
        a_message_received_too_often_is_a_dead_letter(giving_up_after(2).await),
        the_last_receive_can_still_delete(giving_up_after(1).await),
        dead_letters_are_a_queue_of_their_own(giving_up_after(1).await),
        a_message_knows_when_it_was_sent(giving_up_after(1).await),
        a_waiting_receive_returns_when_something_is_sent(default().await),
        a_waiting_receive_returns_when_something_is_released(default().await),
        concurrent_receivers_never_share_a_message(default().await),
        queues_are_apart(default().await, default().await),
    );
}

async fn receive_one(queue: &dyn Queue, visibility: Duration) -> Message {
    let mut messages = queue.receive(1, visibility, PATIENCE).await.unwrap();
    messages.pop().expect("a visible message is received")
}

async fn assert_empty(queue: &dyn Queue, why: &str) {
    assert_eq!(queue.receive(10, MINUTE, NOW).await.unwrap(), [], "{why}");
}

/// Waits for counts: a remote backend may be behind.
async fn assert_counts(queue: &dyn Queue, visible: u64, in_flight: u64, dead: u64) {
    let (expected, started) = (Counts { visible, in_flight, dead }, Instant::now());
    loop {
        let counts = queue.counts().await.unwrap();
        if counts == expected {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "counts are {counts:?} and should be {expected:?}");
        tokio::time::sleep(SECOND / 10).await;
    }
}

async fn an_empty_queue_gives_nothing(queue: Arc<dyn Queue>) {
    let started = Instant::now();
    assert_empty(&*queue, "nothing was sent").await;
    assert!(started.elapsed() < PATIENCE, "a receive without a wait does not wait");
    let started = Instant::now();
    assert_eq!(queue.receive(10, MINUTE, SECOND).await.unwrap(), []);
    assert!(started.elapsed() >= SECOND / 2, "a receive waits for messages to come");
    assert_eq!(queue.receive(0, MINUTE, NOW).await.unwrap(), []);
    assert_counts(&*queue, 0, 0, 0).await;
}

async fn what_is_sent_arrives_unchanged(queue: Arc<dyn Queue>) {
    let largest = "é".repeat(MAX_MESSAGE_BYTES / 2);
    let bodies =
        ["{\"a\":\"\\u0000\"}", "\tline\r\nline ", "\u{7f}\u{d7ff}\u{e000}\u{fffd}\u{1f980}\u{10ffff}", &largest];
    for body in bodies {
        queue.send(body).await.unwrap();
    }
    assert_counts(&*queue, 4, 0, 0).await;
    let mut received = Vec::new();
    while received.len() < bodies.len() {
        received.push(receive_one(&*queue, MINUTE).await);
    }
    let sent: BTreeSet<&str> = bodies.into_iter().collect();
    let arrived: BTreeSet<&str> = received.iter().map(|message| message.body.as_str()).collect();
    assert!(sent == arrived, "a body was changed");
    let ids: BTreeSet<&str> = received.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids.len(), bodies.len(), "ids are unique");
    assert!(received.iter().all(|message| message.receive_count == 1));
    assert_counts(&*queue, 0, 4, 0).await;
    assert!(!format!("{received:?}").contains("line"), "a body is in Debug output");
    for message in &received {
        queue.delete(&message.receipt).await.unwrap();
    }
    assert_counts(&*queue, 0, 0, 0).await;
}

async fn a_receive_gives_ten_at_most(queue: Arc<dyn Queue>) {
    for number in 0..12 {
        queue.send(&number.to_string()).await.unwrap();
    }
    let mut bodies = BTreeSet::new();
    while bodies.len() < 12 {
        let messages = queue.receive(100, MINUTE, PATIENCE).await.unwrap();
        assert!((1..=10).contains(&messages.len()), "a receive gave {} messages", messages.len());
        bodies.extend(messages.into_iter().map(|message| message.body));
    }
    assert_empty(&*queue, "everything is in flight").await;
}

async fn many_are_sent_and_deleted_at_once(queue: Arc<dyn Queue>) {
    queue.send_all(&[]).await.unwrap();
    queue.delete_all(&[]).await.unwrap();
    // More than one call takes, by count and by size.
    let large = (0..3).map(|number| format!("{number}{}", "é".repeat(MAX_MESSAGE_BYTES / 2 - 1)));
    let bodies: Vec<String> = (3..25).map(|number| number.to_string()).chain(large).collect();
    queue.send_all(&bodies).await.unwrap();
    let mut received = Vec::new();
    while received.len() < bodies.len() {
        let messages = queue.receive(10, MINUTE, PATIENCE).await.unwrap();
        assert!(!messages.is_empty(), "{} of {} messages arrived", received.len(), bodies.len());
        received.extend(messages);
    }
    let sent: BTreeSet<&str> = bodies.iter().map(String::as_str).collect();
    assert!(sent == received.iter().map(|message| message.body.as_str()).collect(), "a body was changed");
    let receipts: Vec<_> = received.into_iter().map(|message| message.receipt).collect();
    queue.delete_all(&receipts).await.unwrap();
    queue.delete_all(&receipts).await.unwrap();
    assert_counts(&*queue, 0, 0, 0).await;
    let refused = queue.send_all(&["a".to_owned(), String::new()]).await;
    assert!(matches!(refused, Err(QueueError::Empty)), "{refused:?}");
    assert_counts(&*queue, 0, 0, 0).await;
}

async fn a_message_over_the_limit_is_refused(queue: Arc<dyn Queue>) {
    let bytes = MAX_MESSAGE_BYTES + 1;
    // Bytes count, not characters.
    for body in ["a".repeat(bytes), format!("{}a", "é".repeat(MAX_MESSAGE_BYTES / 2))] {
        match queue.send(&body).await {
            Err(error @ QueueError::TooLarge { .. }) => assert!(error.to_string().contains("1048577"), "{error}"),
            other => panic!("a message over the limit: {other:?}"),
        }
    }
    assert_empty(&*queue, "what was refused is not there").await;
}

async fn characters_that_queues_do_not_carry_are_refused(queue: Arc<dyn Queue>) {
    for character in ['\u{0}', '\u{8}', '\u{b}', '\u{c}', '\u{e}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
        let refused = queue.send(&format!("é{character}")).await;
        let Err(QueueError::ForbiddenCharacter { code_point, at: 2 }) = refused else {
            panic!("{character:?}: {refused:?}")
        };
        assert_eq!(code_point, u32::from(character));
    }
    assert!(matches!(queue.send("").await, Err(QueueError::Empty)));
    assert_empty(&*queue, "what was refused is not there").await;
}

async fn a_received_message_is_hidden_and_comes_back(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let started = Instant::now();
    let first = receive_one(&*queue, SECOND).await;
    assert_empty(&*queue, "the message is hidden").await;
    let second = receive_one(&*queue, MINUTE).await;
    assert!(started.elapsed() >= SECOND * 9 / 10, "it came back before its visibility was over");
    assert_eq!((&second.id, &second.body), (&first.id, &first.body));
    assert_eq!((first.receive_count, second.receive_count), (1, 2));
    assert_ne!(first.receipt, second.receipt, "each receive has its own receipt");
}

async fn a_released_message_is_visible_at_once(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let first = receive_one(&*queue, MINUTE).await;
    assert_empty(&*queue, "the message is hidden").await;
    queue.release(&first.receipt).await.unwrap();
    let second = receive_one(&*queue, MINUTE).await;
    assert_eq!((second.id, second.receive_count), (first.id, 2), "a release does not undo the receive");
}

async fn an_extended_message_stays_hidden(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let message = receive_one(&*queue, SECOND).await;
    queue.extend(&message.receipt, MINUTE).await.unwrap();
    tokio::time::sleep(SECOND * 13 / 10).await;
    assert_empty(&*queue, "its visibility was extended").await;
    queue.delete(&message.receipt).await.unwrap();
    assert_counts(&*queue, 0, 0, 0).await;
}

async fn a_message_is_deleted_late_and_twice(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let message = receive_one(&*queue, SECOND).await;
    tokio::time::sleep(SECOND * 12 / 10).await;
    // It is visible again, but nobody else has it yet.
    queue.delete(&message.receipt).await.unwrap();
    assert_empty(&*queue, "a late delete of a message that nobody else has").await;
    queue.delete(&message.receipt).await.unwrap();
    assert_counts(&*queue, 0, 0, 0).await;
}

async fn a_stale_receipt_does_no_harm(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let old = receive_one(&*queue, MINUTE).await;
    queue.release(&old.receipt).await.unwrap();
    let new = receive_one(&*queue, MINUTE).await;
    queue.send("b").await.unwrap();
    // Whether the message itself is deleted is not promised: its processing was finished, and it may come back.
    queue.delete(&old.receipt).await.unwrap();
    queue.delete(&new.receipt).await.unwrap();
    queue.delete(&old.receipt).await.unwrap();
    assert_eq!(receive_one(&*queue, MINUTE).await.body, "b", "the other message is untouched");
    assert_counts(&*queue, 0, 1, 0).await;
}

async fn a_message_received_too_often_is_a_dead_letter(queue: Arc<dyn Queue>) {
    queue.send("poison").await.unwrap();
    queue.send("good").await.unwrap();
    // In whatever order they come.
    let (mut poison, mut last, mut good) = (0, None, false);
    while last.is_none() || !good {
        let message = receive_one(&*queue, MINUTE).await;
        if message.body == "good" {
            queue.delete(&message.receipt).await.unwrap();
            good = true;
            continue;
        }
        poison += 1;
        assert_eq!(message.receive_count, poison);
        match poison {
            1 => queue.release(&message.receipt).await.unwrap(),
            _ => last = Some(message.receipt),
        }
    }
    assert_counts(&*queue, 0, 1, 0).await; // in flight for the last time is not dead yet
    queue.release(&last.unwrap()).await.unwrap();
    assert_empty(&*queue, "it was received as often as the policy allows").await;
    assert_counts(&*queue, 0, 0, 1).await;
    let dead = queue.dead_letter_queue().expect("a queue that gives messages up has a queue of dead letters");
    let letter = receive_one(&*dead, MINUTE).await;
    assert_eq!(letter.body, "poison");
    dead.release(&letter.receipt).await.unwrap();
    queue.send("next").await.unwrap();
    assert_eq!(receive_one(&*queue, MINUTE).await.body, "next", "the queue goes on");
    assert_counts(&*queue, 0, 1, 1).await;
}

async fn the_last_receive_can_still_delete(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let message = receive_one(&*queue, MINUTE).await;
    queue.delete(&message.receipt).await.unwrap();
    assert_empty(&*queue, "it was deleted").await;
    assert_counts(&*queue, 0, 0, 0).await;
}

/// Has the queue give up one message.
async fn give_up(queue: &dyn Queue, body: &str) {
    queue.send(body).await.unwrap();
    let message = receive_one(queue, MINUTE).await;
    queue.release(&message.receipt).await.unwrap();
    assert_empty(queue, "it was received as often as the policy allows").await;
}

async fn dead_letters_are_a_queue_of_their_own(queue: Arc<dyn Queue>) {
    let dead = queue.dead_letter_queue().expect("a queue of dead letters");
    assert!(dead.dead_letter_queue().is_none(), "dead letters have none");
    assert_empty(&*dead, "nothing was given up").await;
    give_up(&*queue, "a").await;
    let mut letter = receive_one(&*dead, MINUTE).await;
    assert_eq!(letter.body, "a");
    assert_empty(&*dead, "the letter is hidden").await;
    assert_counts(&*dead, 0, 1, 0).await;
    assert_counts(&*queue, 0, 0, 1).await;
    for _ in 0..3 {
        dead.release(&letter.receipt).await.unwrap();
        assert_counts(&*dead, 1, 0, 0).await;
        assert_counts(&*queue, 0, 0, 1).await;
        letter = receive_one(&*dead, SECOND).await;
        assert_eq!(letter.body, "a", "nothing gives a dead letter up");
    }
    dead.extend(&letter.receipt, MINUTE).await.unwrap();
    tokio::time::sleep(SECOND * 13 / 10).await;
    assert_empty(&*dead, "its visibility was extended").await;
    // Another handle is the same queue, and what is in flight there is not there twice.
    let other = queue.dead_letter_queue().expect("a queue of dead letters");
    assert_empty(&*other, "it is in flight").await;
    queue.send("b").await.unwrap();
    dead.delete(&letter.receipt).await.unwrap();
    assert_counts(&*dead, 0, 0, 0).await;
    assert_eq!(receive_one(&*queue, MINUTE).await.body, "b", "the queue is untouched");
    assert_counts(&*queue, 0, 1, 0).await;
}

async fn a_message_knows_when_it_was_sent(queue: Arc<dyn Queue>) {
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(since.as_millis()).unwrap()
    };
    // A remote backend has a clock of its own, and may say whole seconds.
    let (tolerance, before) = (5_000, now());
    queue.send("a").await.unwrap();
    let after = now();
    let message = receive_one(&*queue, MINUTE).await;
    let sent_at = message.sent_at.expect("a queue knows when a message was sent");
    assert!(
        (before - tolerance..=after + tolerance).contains(&sent_at),
        "sent at {sent_at}, between {before} and {after}"
    );
    queue.release(&message.receipt).await.unwrap();
    assert_empty(&*queue, "it was received as often as the policy allows").await;
    let letter = receive_one(&*queue.dead_letter_queue().unwrap(), MINUTE).await;
    assert_eq!(letter.sent_at, Some(sent_at), "a dead letter keeps its time");
}

async fn a_waiting_receive_returns_when_something_is_sent(queue: Arc<dyn Queue>) {
    let started = Instant::now();
    let (message, ()) = tokio::join!(receive_one(&*queue, MINUTE), async {
        tokio::time::sleep(SECOND / 5).await;
        queue.send("a").await.unwrap();
    });
    assert_eq!(message.body, "a");
    assert!(started.elapsed() < PATIENCE / 2, "it waited on");
}

async fn a_waiting_receive_returns_when_something_is_released(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let first = receive_one(&*queue, MINUTE).await;
    let (second, ()) = tokio::join!(receive_one(&*queue, MINUTE), async {
        tokio::time::sleep(SECOND / 5).await;
        queue.release(&first.receipt).await.unwrap();
    });
    assert_eq!(second.receive_count, 2);
}

async fn concurrent_receivers_never_share_a_message(queue: Arc<dyn Queue>) {
    const MESSAGES: usize = 40;
    // All before the first receive: a slow sender must not look like an empty queue.
    for number in 0..MESSAGES {
        queue.send(&number.to_string()).await.unwrap();
    }
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                let mut bodies = Vec::new();
                loop {
                    let messages = queue.receive(3, MINUTE, SECOND).await.unwrap();
                    if messages.is_empty() {
                        return bodies;
                    }
                    bodies.extend(messages.into_iter().map(|message| message.body));
                }
            })
        })
        .collect();
    let mut bodies = Vec::new();
    for receiver in receivers {
        bodies.extend(receiver.await.unwrap());
    }
    assert_eq!(bodies.len(), MESSAGES, "messages received");
    assert_eq!(bodies.into_iter().collect::<BTreeSet<_>>().len(), MESSAGES, "a message was received by two");
}

async fn queues_are_apart(one: Arc<dyn Queue>, other: Arc<dyn Queue>) {
    one.send("a").await.unwrap();
    assert_empty(&*other, "it is another queue's").await;
    let message = receive_one(&*one, MINUTE).await;
    // What a backend says to another queue's receipt is its own affair.
    let _ = other.delete(&message.receipt).await;
    let _ = other.release(&message.receipt).await;
    assert_empty(&*one, "it is not released by another queue").await;
    assert_counts(&*one, 0, 1, 0).await;
}

/// What the backends of this crate do beyond the promise: a receipt that is no longer the last holds nothing.
#[cfg(test)]
pub(crate) async fn stale_receipts_hold_nothing(queue: &dyn Queue) {
    queue.send("a").await.unwrap();
    let old = receive_one(queue, MINUTE).await;
    queue.release(&old.receipt).await.unwrap();
    let new = receive_one(queue, MINUTE).await;
    assert!(matches!(queue.extend(&old.receipt, NOW).await, Err(QueueError::Stale { .. })));
    queue.release(&old.receipt).await.unwrap();
    assert_empty(queue, "released by somebody who no longer has it").await;
    queue.delete(&old.receipt).await.unwrap();
    assert_counts(queue, 0, 1, 0).await;
    queue.extend(&new.receipt, NOW).await.unwrap();
    assert_counts(queue, 1, 0, 0).await;
    // Its time is over, but nobody else has it.
    queue.extend(&new.receipt, MINUTE).await.unwrap();
    assert_empty(queue, "extended in time").await;
    queue.delete(&new.receipt).await.unwrap();
    assert!(matches!(queue.extend(&new.receipt, MINUTE).await, Err(QueueError::Stale { .. })));
    assert!(matches!(queue.delete(&crate::Receipt::new("x")).await, Err(QueueError::ForeignReceipt { .. })));
}
