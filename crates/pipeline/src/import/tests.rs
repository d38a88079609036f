//! What becomes of messages by what is said of their findings.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap as Map;
use std::sync::Mutex;

use async_trait::async_trait;
use tributary_delivery::{Limits, MemorySink};
use tributary_queue::{Counts, MemoryQueue, RedrivePolicy};

use super::*;

/// A memory with a will of its own.
#[derive(Default)]
struct Picky {
    memory: MemorySink,
    /// What is said of an id, whatever comes.
    says: Map<&'static str, Answer>,
    /// How many calls pass before every other fails.
    fails_after: Option<(usize, Failure)>,
    calls: Mutex<Vec<usize>>,
}

#[async_trait]
impl Sink for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn limits(&self) -> Limits {
        Limits { entries: 4, ..self.memory.limits() }
    }

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Answer>, SinkError> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(entries.len());
            calls.len()
        };
        if let Some((_, failure)) = self.fails_after.filter(|(passed, _)| number > *passed) {
            return Err(SinkError { failure, code: "Told".to_owned(), detail: "told to".to_owned() });
        }
        let mut answers = Vec::new();
        for entry in entries {
            match self.says.get(entry.id()) {
                Some(answer) => answers.push(answer.clone()),
                None => answers.extend(self.memory.put(&[entry]).await?),
            }
        }
        Ok(answers)
    }
}

fn job(sink: Picky) -> (ImportFindings, Arc<Picky>) {
    let sink = Arc::new(sink);
    let job = ImportFindings {
        queue: Arc::new(MemoryQueue::new(RedrivePolicy { max_receives: 3 })),
        sink: Arc::clone(&sink) as _,
        metrics: Metrics::new(),
        stop: Stop::new(),
        config: ImportConfig {
            visibility: Duration::from_secs(60),
            patience: Patience { attempts: 2, ..Patience::default() },
            ..ImportConfig::default()
        },
    };
    (job, sink)
}

fn message(name: &str, ids: &[&str]) -> String {
    let findings: Vec<String> = ids.iter().map(|id| format!(r#"{{"Id":"{id}"}}"#)).collect();
    let batch = BatchId::for_content(name.as_bytes());
    let mut messages = messages(&batch, findings.iter().map(String::as_str));
    assert!(messages.len() <= 1);
    // None is made of nothing; one that holds nothing is no error all the same.
    messages.pop().unwrap_or_else(|| format!(r#"{{"schema":"tributary.findings/1","batch":"{batch}","findings":[]}}"#))
}

fn again(code: &str) -> Answer {
    Answer::Again(code.to_owned())
}

fn refused(code: &str) -> Answer {
    Answer::Refused(code.to_owned())
}

async fn counts(job: &ImportFindings) -> (u64, u64, u64) {
    let Counts { visible, in_flight, dead } = job.queue.counts().await.unwrap();
    (visible, in_flight, dead)
}

#[tokio::test(start_paused = true)]
async fn findings_of_several_messages_make_one_call() {
    let (job, sink) = job(Picky::default());
    for (name, ids) in [("1", vec!["a"]), ("2", vec!["b", "c"]), ("3", vec![]), ("4", vec!["d"])] {
        job.queue.send(&message(name, &ids)).await.unwrap();
    }
    let report = job.run(Duration::ZERO).await.unwrap();
    assert_eq!(report, ImportReport { received: 4, messages: 4, findings: 4, ..ImportReport::default() });
    assert_eq!(*sink.calls.lock().unwrap(), [4]);
    assert_eq!(sink.memory.entries().into_keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(counts(&job).await, (0, 0, 0));
    assert_eq!(job.metrics.snapshot().total(Metric::FindingsImported), 4);
    assert_eq!(job.metrics.snapshot().total(Metric::DeliveryErrors), 0);
}

#[tokio::test(start_paused = true)]
async fn failed_findings_alone_go_back_and_end_as_a_dead_letter() {
    let says = [("b", refused("InvalidInput")), ("c", again("InternalError"))].into();
    let (job, sink) = job(Picky { says, ..Picky::default() });
    job.queue.send(&message("1", &["a", "b", "c"])).await.unwrap();
    job.queue.send(&message("2", &["d"])).await.unwrap();
    let report = job.run(Duration::ZERO).await.unwrap();
    assert_eq!((report.messages, report.findings, report.put_back, report.failed), (1, 2, 2, 0));
    assert_eq!(counts(&job).await, (1, 0, 0));
    // The smaller message is received as often as the queue allows, each time after a longer pause.
    for attempt in 1..=3 {
        let report = job.run(Duration::from_secs(3_600)).await.unwrap();
        assert_eq!((report.findings, report.put_back, report.failed), (0, 0, 1), "{attempt}: {report:?}");
        assert!(report.failure.unwrap().contains("none of 2 findings was accepted (InternalError 1, InvalidInput 1)"));
    }
    assert_eq!(job.run(Duration::from_secs(3_600)).await.unwrap(), ImportReport::default());
    assert_eq!(counts(&job).await, (0, 0, 1));
    assert_eq!(sink.memory.entries().len(), 2);
    let metrics = job.metrics.snapshot();
    assert_eq!((metrics.total(Metric::FindingsImported), metrics.total(Metric::DeliveryErrors)), (2, 4));
}

/// As a function gets them: nothing is deleted, every message is answered for in its place.
#[tokio::test(start_paused = true)]
async fn each_message_is_answered_for() {
    let says = [("b", refused("InvalidInput")), ("d", refused("InvalidInput"))].into();
    let (job, _) = job(Picky { says, ..Picky::default() });
    let bodies = [message("1", &["a", "b"]), "hunter2".to_owned(), message("2", &["c"]), message("3", &["d"])];
    let results = job.import(&bodies.each_ref().map(String::as_str)).await;
    assert_eq!(results.len(), 4);
    let of = |name: &str| BatchId::for_content(name.as_bytes());
    assert_eq!(results[0], Ok(Imported { batch: of("1"), accepted: 1, put_back: 1 }));
    assert!(matches!(&results[1], Err(ImportError::NotFindings(_))), "{:?}", results[1]);
    assert_eq!(results[2], Ok(Imported { batch: of("2"), accepted: 1, put_back: 0 }));
    assert!(matches!(&results[3], Err(ImportError::NoneAccepted { batch, count: 1, .. }) if *batch == of("3")));
    let put_back = job.queue.receive(10, Duration::from_secs(60), Duration::ZERO).await.unwrap();
    assert_eq!(put_back.iter().map(|m| m.body.as_str()).collect::<Vec<_>>(), [message("1", &["b"])]);
}

/// Of a large message, the findings of the calls that passed do not come again.
#[tokio::test(start_paused = true)]
async fn what_was_accepted_before_a_failure_is_done() {
    for failure in [Failure::Unavailable, Failure::Denied] {
        let (job, sink) = job(Picky { fails_after: Some((1, failure)), ..Picky::default() });
        job.queue.send(&message("1", &["a", "b", "c", "d", "e", "f"])).await.unwrap();
        let report = job.run(Duration::ZERO).await.unwrap();
        assert_eq!((report.findings, report.put_back, report.failed), (4, 2, 0));
        assert_eq!(sink.memory.entries().len(), 4);
        let report = job.drain(Duration::from_secs(600)).await.unwrap();
        assert_eq!((report.findings, report.failed), (0, 1));
        assert!(report.failure.unwrap().contains("told to"));
        let denied = job.metrics.snapshot().total(Metric::AccessDenied);
        assert_eq!(denied, if failure == Failure::Denied { 2 } else { 0 });
    }
}

/// Five receives are not used up within the minutes of an outage.
#[tokio::test(start_paused = true)]
async fn a_message_that_fails_is_hidden_longer_each_time() {
    let (job, _) = job(Picky { fails_after: Some((0, Failure::Unavailable)), ..Picky::default() });
    job.queue.send(&message("1", &["a"])).await.unwrap();
    for minutes in [1, 2] {
        assert_eq!(job.run(Duration::ZERO).await.unwrap().failed, 1);
        tokio::time::advance(Duration::from_secs(minutes * 60 - 1)).await;
        assert_eq!(job.run(Duration::ZERO).await.unwrap(), ImportReport::default());
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(job.run(Duration::ZERO).await.unwrap().failed, 1);
}
