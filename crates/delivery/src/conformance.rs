//! What every sink must do, written against the trait alone.
//!
//! A sink's test calls [`all`] with a function that makes a [`Subject`]: an empty sink, entries that it takes, and a look at what it
//! holds. A broken promise panics with its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::time::Duration;

use async_trait::async_trait;

use crate::send::{Patience, Sent, TOO_LARGE, send};
use crate::sink::{Answer, Entry, Failure, Sink};

/// A sink that is tried.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The sink.
    fn sink(&self) -> &dyn Sink;

    /// An entry of this id that it takes, with about `padding` bytes more than it needs.
    fn entry(&self, id: &str, padding: usize) -> Entry;

    /// The ids of what it holds, each once, sorted.
    async fn stored(&self) -> Vec<String>;
}

/// An entry for sinks that take any JSON object.
pub fn plain(id: &str, padding: usize) -> Entry {
    Entry::new(id, format!(r#"{{"id":"{id}","padding":"{}"}}"#, "x".repeat(padding)))
}

/// Every promise.
pub async fn all<S: Subject>(make: impl AsyncFn() -> S) {
    nothing_is_sent_of_nothing(&make().await).await;
    what_is_accepted_is_there(&make().await).await;
    what_is_sent_twice_is_there_once(&make().await).await;
    an_id_twice_in_one_sending_is_answered_for_twice(&make().await).await;
    a_full_call_is_taken_and_a_fuller_one_is_not(&make().await).await;
    many_entries_are_cut_into_calls(&make().await).await;
    large_entries_are_cut_into_calls(&make().await).await;
    a_document_over_the_limit_is_refused_alone(&make().await).await;
    a_document_that_is_no_object_is_refused_alone(&make().await).await;
    workers_at_once_lose_nothing(&make().await).await;
}

const PATIENCE: Patience =
    Patience { attempts: 5, first: Duration::from_millis(50), longest: Duration::from_millis(500) };

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("conformance-{number:05}")).collect()
}

fn entries(subject: &dyn Subject, count: usize, padding: usize) -> Vec<Entry> {
    ids(count).iter().map(|id| subject.entry(id, padding)).collect()
}

async fn sent(subject: &dyn Subject, entries: &[Entry]) -> Vec<Answer> {
    let Sent { answers, failure } = send(subject.sink(), entries, PATIENCE).await;
    assert_eq!(failure, None);
    assert_eq!(answers.len(), entries.len(), "an answer for each entry");
    answers
}

async fn all_accepted(subject: &dyn Subject, entries: &[Entry]) {
    let answers = sent(subject, entries).await;
    assert!(answers.iter().all(Answer::is_accepted), "{answers:?}");
}

async fn nothing_is_sent_of_nothing(subject: &dyn Subject) {
    assert_eq!(subject.sink().put(&[]).await, Ok(Vec::new()));
    all_accepted(subject, &[]).await;
    assert_eq!(subject.stored().await, Vec::<String>::new());
}

async fn what_is_accepted_is_there(subject: &dyn Subject) {
    all_accepted(subject, &entries(subject, 3, 0)).await;
    assert_eq!(subject.stored().await, ids(3));
}

async fn what_is_sent_twice_is_there_once(subject: &dyn Subject) {
    let entries = entries(subject, 3, 0);
    all_accepted(subject, &entries).await;
    all_accepted(subject, &entries).await;
    assert_eq!(subject.stored().await, ids(3));
}

async fn an_id_twice_in_one_sending_is_answered_for_twice(subject: &dyn Subject) {
    let mut entries = entries(subject, 3, 0);
    entries.extend(entries.clone());
    all_accepted(subject, &entries).await;
    assert_eq!(subject.stored().await, ids(3));
}

async fn a_full_call_is_taken_and_a_fuller_one_is_not(subject: &dyn Subject) {
    let most = subject.sink().limits().entries;
    let entries = entries(subject, most + 1, 0);
    let all: Vec<&Entry> = entries.iter().collect();
    let refused = subject.sink().put(&all).await.unwrap_err();
    assert_eq!(refused.failure, Failure::Misconfigured, "{refused}");
    let answers = subject.sink().put(all.get(..most).unwrap()).await.unwrap();
    assert_eq!(answers, vec![Answer::Accepted; most]);
    assert_eq!(subject.stored().await, ids(most));
}

async fn many_entries_are_cut_into_calls(subject: &dyn Subject) {
    let count = subject.sink().limits().entries * 2 + 1;
    all_accepted(subject, &entries(subject, count, 0)).await;
    assert_eq!(subject.stored().await, ids(count));
}

async fn large_entries_are_cut_into_calls(subject: &dyn Subject) {
    let limits = subject.sink().limits();
    let padding = limits.document / 2;
    let count = limits.bytes / padding + 2;
    let entries = entries(subject, count, padding);
    assert!(
        count <= limits.entries && entries.iter().map(|entry| entry.document().len()).sum::<usize>() > limits.bytes
    );
    all_accepted(subject, &entries).await;
    assert_eq!(subject.stored().await, ids(count));
}

async fn a_document_over_the_limit_is_refused_alone(subject: &dyn Subject) {
    let mut entries = entries(subject, 4, 0);
    entries.insert(2, subject.entry("large", subject.sink().limits().document));
    let answers = sent(subject, &entries).await;
    let large = Answer::Refused(TOO_LARGE.to_owned());
    assert_eq!(answers, [Answer::Accepted, Answer::Accepted, large, Answer::Accepted, Answer::Accepted]);
    assert_eq!(subject.stored().await, ids(4));
}

async fn a_document_that_is_no_object_is_refused_alone(subject: &dyn Subject) {
    for broken in ["[]", "{\"Id\":", "{}}, {", ""] {
        let mut entries = entries(subject, 7, 0);
        entries.insert(3, Entry::new("broken", broken));
        let answers = sent(subject, &entries).await;
        for (at, answer) in answers.iter().enumerate() {
            assert_eq!(matches!(answer, Answer::Refused(_)), at == 3, "{broken:?} at {at}: {answer:?}");
        }
    }
    assert_eq!(subject.stored().await, ids(7));
}

async fn workers_at_once_lose_nothing(subject: &dyn Subject) {
    let entries = entries(subject, 40, 0);
    let (left, right) = entries.split_at(20);
    tokio::join!(all_accepted(subject, left), all_accepted(subject, right), all_accepted(subject, right));
    assert_eq!(subject.stored().await, ids(40));
}
