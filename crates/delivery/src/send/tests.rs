//! Failures, played by a sink that does as it is told; what services really say is tried in their own tests.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::sink::Limits;

const LIMITS: Limits = Limits { entries: 4, bytes: 1_000, document: 400 };

/// What happens to a call.
#[derive(Clone, Copy)]
enum Fault {
    Call(Failure),
    /// One answer is missing.
    Short,
}

/// Answers by entry, faults by call, and the ids of every call that was made.
#[derive(Default)]
struct Told {
    answers: Mutex<BTreeMap<&'static str, VecDeque<Answer>>>,
    faults: Mutex<VecDeque<Fault>>,
    /// Entries for which a whole call is refused.
    poison: Vec<&'static str>,
    calls: Mutex<Vec<Vec<String>>>,
}

impl Told {
    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|call| call.join(",")).collect()
    }
}

fn error(failure: Failure) -> SinkError {
    SinkError { failure, code: format!("{failure:?}"), detail: "told".to_owned() }
}

#[async_trait]
impl Sink for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Answer>, SinkError> {
        crate::sink::check(self, entries)?;
        self.calls.lock().unwrap().push(entries.iter().map(|entry| entry.id().to_owned()).collect());
        let fault = self.faults.lock().unwrap().pop_front();
        if let Some(Fault::Call(failure)) = fault {
            return Err(error(failure));
        }
        if entries.iter().any(|entry| self.poison.contains(&entry.id())) {
            return Err(error(Failure::Entries));
        }
        let mut told = self.answers.lock().unwrap();
        let answer =
            |entry: &&Entry| told.get_mut(entry.id()).and_then(VecDeque::pop_front).unwrap_or(Answer::Accepted);
        let mut answers: Vec<Answer> = entries.iter().map(answer).collect();
        if fault.is_some() {
            answers.pop();
        }
        Ok(answers)
    }
}

fn entries(ids: &[&str]) -> Vec<Entry> {
    ids.iter().map(|id| Entry::new(*id, "{}")).collect()
}

fn again() -> Answer {
    Answer::Again("Throttling".to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_sent_again_alone() {
    let told = Told::default();
    told.answers.lock().unwrap().insert("b", [again(), again()].into());
    told.answers.lock().unwrap().insert("c", [Answer::Refused("InvalidInput".to_owned())].into());
    let sent = send(&told, &entries(&["a", "b", "c"]), Patience::default()).await;
    let refused = Answer::Refused("InvalidInput".to_owned());
    assert_eq!(sent, Sent { answers: vec![Answer::Accepted, Answer::Accepted, refused], failure: None });
    assert_eq!(told.calls(), ["a,b,c", "b", "b"]);
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let told = Told::default();
    told.answers.lock().unwrap().insert("b", vec![again(); 100].into());
    let patience = Patience { attempts: 3, ..Patience::default() };
    let started = tokio::time::Instant::now();
    let sent = send(&told, &entries(&["a", "b"]), patience).await;
    assert_eq!(sent, Sent { answers: vec![Answer::Accepted, again()], failure: None });
    assert_eq!(told.calls(), ["a,b", "b", "b"]);
    let took = started.elapsed();
    assert!((Duration::from_millis(750)..=Duration::from_millis(1_500)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_failed_is_made_again_and_others_are_not() {
    let told = Told::default();
    told.faults.lock().unwrap().push_back(Fault::Call(Failure::Unavailable));
    let sent = send(&told, &entries(&["a", "b", "c", "d", "e"]), Patience::default()).await;
    assert_eq!(sent, Sent { answers: vec![Answer::Accepted; 5], failure: None });
    assert_eq!(told.calls(), ["a,b,c,d", "e", "a,b,c,d"]);
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_mend_is_not_tried_again() {
    for failure in [Failure::Denied, Failure::Misconfigured] {
        let told = Told::default();
        told.faults.lock().unwrap().push_back(Fault::Call(failure));
        let sent = send(&told, &entries(&["a", "b"]), Patience::default()).await;
        assert_eq!(sent.failure, Some(error(failure)));
        assert_eq!(sent.answers, vec![Answer::Again(format!("{failure:?}")); 2]);
        assert_eq!(told.calls(), ["a,b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_entry_that_a_call_is_refused_for_is_found() {
    let told = Told { poison: vec!["c"], ..Told::default() };
    let sent = send(&told, &entries(&["a", "b", "c", "d"]), Patience::default()).await;
    let refused = Answer::Refused("Entries".to_owned());
    assert_eq!(sent.failure, None);
    assert_eq!(sent.answers, [Answer::Accepted, Answer::Accepted, refused, Answer::Accepted]);
    assert_eq!(told.calls(), ["a,b,c,d", "a,b", "c,d", "c", "d"]);
}

/// The halves that were not sent yet are not forgotten.
#[tokio::test(start_paused = true)]
async fn a_failure_while_an_entry_is_looked_for_loses_none() {
    let told = Told { poison: vec!["c"], ..Told::default() };
    let faults = [Failure::Entries, Failure::Unavailable].map(Fault::Call);
    told.faults.lock().unwrap().extend(faults);
    let sent = send(&told, &entries(&["a", "b", "c", "d"]), Patience::default()).await;
    assert_eq!(sent.answers.iter().filter(|answer| answer.is_accepted()).count(), 3);
    assert_eq!(sent.answers[2], Answer::Refused("Entries".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_missing_is_asked_for_again() {
    let told = Told::default();
    told.faults.lock().unwrap().push_back(Fault::Short);
    let sent = send(&told, &entries(&["a", "b"]), Patience::default()).await;
    assert_eq!(sent.answers, vec![Answer::Accepted; 2]);
    assert_eq!(told.calls(), ["a,b", "b"]);
}

#[tokio::test(start_paused = true)]
async fn calls_are_full_and_no_id_is_twice_in_one() {
    let told = Told::default();
    let large = |id: &str| Entry::new(id, "x".repeat(400));
    let mut all = entries(&["a", "b", "a", "a"]);
    all.extend([large("c"), large("d"), large("e"), Entry::new("f", "x".repeat(401))]);
    let sent = send(&told, &all, Patience::default()).await;
    let mut expected = vec![Answer::Accepted; 7];
    expected.push(Answer::Refused(TOO_LARGE.to_owned()));
    assert_eq!(sent.answers, expected);
    assert_eq!(told.calls(), ["a,b,c,d", "e", "a", "a"]);
}
