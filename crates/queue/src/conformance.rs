//! What every queue backend must do, written against the trait alone.
//!
//! A backend's test calls [`all`] with a function that makes an empty queue. A broken promise panics with its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Counts, MAX_MESSAGE_BYTES, Message, Queue, QueueError, Receipt, RedrivePolicy};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);
const NO: Duration = Duration::ZERO;

/// Every promise, each on a queue of its own.
pub async fn all<Q: Queue + 'static>(make: impl Fn(RedrivePolicy) -> Arc<Q>) {
    let make = |max_receives| -> Arc<dyn Queue> { make(RedrivePolicy { max_receives }) };
    an_empty_queue_gives_nothing(make(5)).await;
    a_message_comes_out_as_it_went_in_and_is_gone_once_deleted(make(5)).await;
    a_message_is_invisible_for_a_while_and_comes_back(make(5)).await;
    a_message_can_be_kept_longer_and_given_back(make(5)).await;
    a_receipt_that_no_longer_counts_changes_nothing(make(5)).await;
    what_keeps_failing_becomes_a_dead_letter(make(2)).await;
    receivers_never_share_a_message(make(5)).await;
    a_waiting_receive_returns_when_something_is_sent(make(5)).await;
    what_no_queue_takes_is_refused(make(5)).await;
}

async fn receive(queue: &Arc<dyn Queue>, visibility: Duration) -> Vec<Message> {
    queue.receive(10, visibility, NO).await.unwrap()
}

async fn one(queue: &Arc<dyn Queue>, visibility: Duration) -> Message {
    let mut messages = queue.receive(10, visibility, Duration::from_secs(5)).await.unwrap();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

async fn an_empty_queue_gives_nothing(queue: Arc<dyn Queue>) {
    assert!(receive(&queue, LONG).await.is_empty());
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
}

async fn a_message_comes_out_as_it_went_in_and_is_gone_once_deleted(queue: Arc<dyn Queue>) {
    let body = "{\"text\":\"\u{e9} \u{1f512} \\\" \t\r\n\"}";
    queue.send(body).await.unwrap();
    assert_eq!(queue.counts().await.unwrap().visible, 1);
    let message = one(&queue, LONG).await;
    assert_eq!((message.body.as_str(), message.receive_count), (body, 1));
    assert_eq!(queue.counts().await.unwrap(), Counts { visible: 0, in_flight: 1, dead: 0 });
    queue.delete(&message.receipt).await.unwrap();
    queue.delete(&message.receipt).await.expect("deleting twice is no error");
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
}

async fn a_message_is_invisible_for_a_while_and_comes_back(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let first = one(&queue, SHORT).await;
    assert!(receive(&queue, SHORT).await.is_empty(), "it is invisible");
    let second = one(&queue, LONG).await;
    assert_eq!((&second.id, second.receive_count), (&first.id, 2));
    assert_ne!(second.receipt, first.receipt);
}

async fn a_message_can_be_kept_longer_and_given_back(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let message = one(&queue, SHORT).await;
    queue.extend(&message.receipt, LONG).await.unwrap();
    tokio::time::sleep(SHORT * 2).await;
    assert!(receive(&queue, LONG).await.is_empty(), "it was kept longer");
    queue.release(&message.receipt).await.unwrap();
    assert_eq!(one(&queue, LONG).await.id, message.id);
}

async fn a_receipt_that_no_longer_counts_changes_nothing(queue: Arc<dyn Queue>) {
    queue.send("a").await.unwrap();
    let first = one(&queue, NO).await;
    let second = one(&queue, LONG).await;
    queue.delete(&first.receipt).await.unwrap();
    queue.release(&first.receipt).await.unwrap();
    assert!(receive(&queue, LONG).await.is_empty(), "the second receiver's hold was broken");
    queue.delete(&Receipt::new("no receipt of this queue")).await.unwrap_or_default();
    assert_eq!(queue.counts().await.unwrap(), Counts { visible: 0, in_flight: 1, dead: 0 });
    queue.delete(&second.receipt).await.unwrap();
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
}

async fn what_keeps_failing_becomes_a_dead_letter(queue: Arc<dyn Queue>) {
    queue.send("poison").await.unwrap();
    queue.send("good").await.unwrap();
    for _ in 0..2 {
        for message in receive(&queue, NO).await {
            if message.body == "good" {
                queue.delete(&message.receipt).await.unwrap();
            }
        }
    }
    assert!(receive(&queue, NO).await.is_empty(), "it was received as often as the policy allows");
    assert_eq!(queue.counts().await.unwrap(), Counts { visible: 0, in_flight: 0, dead: 1 });
    let dead = queue.dead_letters(10).await.unwrap();
    assert_eq!(dead.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["poison"]);
}

async fn receivers_never_share_a_message(queue: Arc<dyn Queue>) {
    for number in 0..35 {
        queue.send(&number.to_string()).await.unwrap();
    }
    let receivers = (0..4).map(|_| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let mut bodies = Vec::new();
            loop {
                let messages = queue.receive(10, LONG, NO).await.unwrap();
                assert!(messages.len() <= 10);
                if messages.is_empty() {
                    return bodies;
                }
                bodies.extend(messages.into_iter().map(|message| message.body));
            }
        })
    });
    let receivers: Vec<_> = receivers.collect();
    let mut all = Vec::new();
    for receiver in receivers {
        all.extend(receiver.await.unwrap());
    }
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (35, 35));
}

async fn a_waiting_receive_returns_when_something_is_sent(queue: Arc<dyn Queue>) {
    let started = Instant::now();
    assert!(queue.receive(1, LONG, SHORT).await.unwrap().is_empty());
    assert!(started.elapsed() >= SHORT, "it did not wait");
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.receive(10, LONG, LONG).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    queue.send("a").await.unwrap();
    let messages =
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it missed the message").unwrap();
    assert_eq!(messages.len(), 1);
}

async fn what_no_queue_takes_is_refused(queue: Arc<dyn Queue>) {
    queue.send(&"x".repeat(MAX_MESSAGE_BYTES)).await.expect("the largest message");
    let too_large = queue.send(&"x".repeat(MAX_MESSAGE_BYTES + 1)).await;
    assert!(matches!(too_large, Err(QueueError::TooLarge { .. })));
    for body in ["", "\u{0}", "a\u{b}", "\u{fffe}", "\u{ffff}"] {
        assert!(matches!(queue.send(body).await, Err(QueueError::Refused)), "{body:?}");
    }
    assert_eq!(receive(&queue, LONG).await.len(), 1);
}
