//! The import job: from findings in their queue to Security Hub.
//!
//! Findings of several messages make one call. What becomes of a message is decided by its findings:
//!
//! - All accepted: it is deleted.
//! - Some accepted: the others go back into the queue as a message of their own, then it is deleted. Failed findings alone are
//!   sent again.
//! - None accepted: it stays. The queue delivers it again, and after several times puts it among its dead letters.
//!
//! Each return is smaller than the message before, so it ends; and what the service refuses for good ends, whole, as a dead letter
//! that holds nothing else (`docs/GUARANTEES.md`, import).

mod message;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};
use tributary_batch::BatchId;
use tributary_delivery::{Answer, Entry, Failure, Patience, Sent, Sink, SinkError, send};
use tributary_queue::{MAX_RECEIVE, Message, Queue, QueueError};
use tributary_telemetry::{Metric, Metrics};

use crate::Stop;

use message::FindingsMessage;

pub use message::NotFindings;
pub(crate) use message::messages;

/// Findings that are named in one log line.
const NAMED: usize = 10;
/// A message that fails stays hidden twice as long each time, so often: an outage does not use up its receives in minutes.
const DOUBLINGS: u32 = 4;

/// Why a message's findings are not in Security Hub. It stays in the queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It holds none.
    #[error(transparent)]
    NotFindings(#[from] NotFindings),
    /// The call failed.
    #[error("batch {batch}: {error}")]
    Sink {
        /// The batch.
        batch: BatchId,
        /// How.
        error: SinkError,
    },
    /// None of its findings was accepted.
    #[error("batch {batch}: none of {count} findings was accepted ({codes})")]
    NoneAccepted {
        /// The batch.
        batch: BatchId,
        /// How many.
        count: usize,
        /// How many for each code.
        codes: String,
    },
    /// Some were accepted, and the others could not be put back.
    #[error("batch {batch}: {count} findings were not accepted, and cannot be put back: {detail}")]
    PutBack {
        /// The batch.
        batch: BatchId,
        /// How many.
        count: usize,
        /// What the queue said.
        detail: String,
    },
}

/// What a deployment chooses for importing.
#[derive(Debug, Clone)]
pub struct ImportConfig {
    /// How long a received message stays with this worker; extended while it works.
    pub visibility: Duration,
    /// Findings that are gathered before they are sent, if the queue has them.
    pub gather: usize,
    /// How long findings are tried again before they go back into the queue.
    pub patience: Patience,
}

impl Default for ImportConfig {
    /// Two minutes, one full call.
    fn default() -> Self {
        Self { visibility: Duration::from_secs(120), gather: 100, patience: Patience::default() }
    }
}

/// The job with everything it needs.
#[derive(Clone)]
pub struct ImportFindings {
    /// Where findings come from, and failed ones go back to.
    pub queue: Arc<dyn Queue>,
    /// Where they go. One for all workers of the process: it keeps their rate together.
    pub sink: Arc<dyn Sink>,
    /// What is counted.
    pub metrics: Metrics,
    /// When to end early.
    pub stop: Stop,
    /// Choices.
    pub config: ImportConfig,
}

/// What became of a message that can be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The batch that its findings are of.
    pub batch: BatchId,
    /// Findings accepted.
    pub accepted: usize,
    /// Findings put back as a message of their own.
    pub put_back: usize,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Messages received.
    pub received: u64,
    /// Messages whose findings were all accepted.
    pub messages: u64,
    /// Findings accepted.
    pub findings: u64,
    /// Findings put back.
    pub put_back: u64,
    /// Messages that failed and stay.
    pub failed: u64,
    /// The last failure.
    pub failure: Option<String>,
}

impl ImportReport {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.messages += other.messages;
        self.findings += other.findings;
        self.put_back += other.put_back;
        self.failed += other.failed;
        self.failure = other.failure.clone().or_else(|| self.failure.take());
    }
}

impl ImportFindings {
    /// Receives until a call is full, waiting up to `wait` for the first message, and imports what came.
    ///
    /// # Errors
    /// When the queue fails. A message that fails is counted in the report.
    pub async fn run(&self, wait: Duration) -> Result<ImportReport, QueueError> {
        let messages = self.gather(wait).await?;
        let bodies: Vec<&str> = messages.iter().map(|message| message.body.as_str()).collect();
        let work = self.import(&bodies);
        tokio::pin!(work);
        let results = loop {
            tokio::select! {
                results = &mut work => break results,
                () = tokio::time::sleep(self.config.visibility / 2) => self.hide(&messages, self.config.visibility).await,
            }
        };
        let mut report = ImportReport { received: messages.len() as u64, ..ImportReport::default() };
        for (message, result) in messages.iter().zip(results) {
            report.add(&self.settle(message, result).await);
        }
        Ok(report)
    }

    /// Runs until nothing is there to be received, or `budget` is used up. Messages that failed are not waited for.
    ///
    /// # Errors
    /// When the queue fails.
    pub async fn drain(&self, budget: Duration) -> Result<ImportReport, QueueError> {
        let deadline = Instant::now() + budget;
        let mut report = ImportReport::default();
        loop {
            let pass = self.run(Duration::from_millis(200)).await?;
            report.add(&pass);
            // A remote queue's counts may be behind: what it gives counts too.
            let empty = pass.received == 0 && self.queue.counts().await?.visible == 0;
            if empty || self.stop.is_set() || Instant::now() >= deadline {
                return Ok(report);
            }
        }
    }

    /// Imports the findings of these messages: everything but deleting them. An answer for each message, in their order: those
    /// that are no errors can be deleted, all others must stay in the queue.
    pub async fn import(&self, bodies: &[&str]) -> Vec<Result<Imported, ImportError>> {
        let mut read: Vec<Result<FindingsMessage, NotFindings>> =
            bodies.iter().map(|body| FindingsMessage::read(body)).collect();
        let mut entries = Vec::new();
        let counts: Vec<usize> = read
            .iter_mut()
            .flatten()
            .map(|message| {
                let before = entries.len();
                entries.append(&mut message.findings);
                entries.len() - before
            })
            .collect();
        let Sent { answers, failure } = send(self.sink.as_ref(), &entries, self.config.patience).await;
        if failure.as_ref().is_some_and(|failure| failure.failure == Failure::Denied) {
            self.metrics.count(Metric::AccessDenied, 1);
        }
        let accepted = answers.iter().filter(|answer| answer.is_accepted()).count();
        self.metrics.count(Metric::FindingsImported, accepted as u64);
        let mut answered = entries.iter().zip(answers);
        let mut counts = counts.into_iter();
        let mut results = Vec::with_capacity(bodies.len());
        for message in read {
            results.push(match message {
                Err(error) => Err(error.into()),
                Ok(message) => {
                    let own: Vec<(&Entry, Answer)> =
                        answered.by_ref().take(counts.next().unwrap_or_default()).collect();
                    self.conclude(message.batch, &own, failure.as_ref()).await
                }
            });
        }
        results
    }

    /// What becomes of a message, by the answers for its findings.
    async fn conclude(
        &self,
        batch: BatchId,
        answers: &[(&Entry, Answer)],
        failure: Option<&SinkError>,
    ) -> Result<Imported, ImportError> {
        let left: Vec<&(&Entry, Answer)> = answers.iter().filter(|(_, answer)| !answer.is_accepted()).collect();
        let accepted = answers.len() - left.len();
        if left.is_empty() {
            info!(%batch, findings = accepted, "findings imported");
            return Ok(Imported { batch, accepted, put_back: 0 });
        }
        let codes = codes(left.iter().map(|(_, answer)| answer));
        for (entry, answer) in left.iter().take(NAMED) {
            if let Answer::Refused(code) = answer {
                warn!(%batch, finding = entry.id(), code, "a finding was refused");
            }
        }
        if accepted == 0 {
            return Err(match failure {
                Some(error) => ImportError::Sink { batch, error: error.clone() },
                None => ImportError::NoneAccepted { batch, count: left.len(), codes },
            });
        }
        for message in messages(&batch, left.iter().map(|(entry, _)| entry.document())) {
            if let Err(error) = self.queue.send(&message).await {
                return Err(ImportError::PutBack { batch, count: left.len(), detail: error.to_string() });
            }
        }
        self.metrics.count(Metric::DeliveryErrors, 1);
        warn!(%batch, accepted, left = left.len(), codes, "findings that were not accepted are tried again alone");
        Ok(Imported { batch, accepted, put_back: left.len() })
    }

    /// Messages with findings for one call.
    async fn gather(&self, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let mut messages = self.queue.receive(MAX_RECEIVE, self.config.visibility, wait).await?;
        let mut found: usize = messages.iter().map(|message| findings_in(&message.body)).sum();
        // An empty receive ends it; a queue of empty messages does too.
        while !messages.is_empty() && found < self.config.gather && messages.len() < self.config.gather {
            let more = self.queue.receive(MAX_RECEIVE, self.config.visibility, Duration::ZERO).await?;
            if more.is_empty() {
                break;
            }
            found += more.iter().map(|message| findings_in(&message.body)).sum::<usize>();
            messages.extend(more);
        }
        Ok(messages)
    }

    async fn hide(&self, messages: &[Message], visibility: Duration) {
        for message in messages {
            if let Err(error) = self.queue.extend(&message.receipt, visibility).await {
                debug!(message = %message.id, "cannot extend its visibility: {error}");
            }
        }
    }

    /// Deletes a message, or lets it stay.
    async fn settle(&self, message: &Message, result: Result<Imported, ImportError>) -> ImportReport {
        let failed = |detail: String| {
            self.metrics.count(Metric::DeliveryErrors, 1);
            warn!(message = %message.id, attempt = message.receive_count, "{detail}; the queue delivers it again");
            ImportReport { failed: 1, failure: Some(detail), ..ImportReport::default() }
        };
        match result {
            Err(error) => {
                let longer = 1 << message.receive_count.saturating_sub(1).min(DOUBLINGS);
                self.hide(std::slice::from_ref(message), self.config.visibility * longer).await;
                failed(error.to_string())
            }
            Ok(imported) => match self.queue.delete(&message.receipt).await {
                // It comes again, and its findings are there.
                Err(error) => failed(error.to_string()),
                Ok(()) => ImportReport {
                    messages: u64::from(imported.put_back == 0),
                    findings: imported.accepted as u64,
                    put_back: imported.put_back as u64,
                    ..ImportReport::default()
                },
            },
        }
    }
}

/// How many findings a message holds, none when it cannot be read.
fn findings_in(body: &str) -> usize {
    FindingsMessage::read(body).map_or(0, |message| message.findings.len())
}

/// `InvalidInput 2, Throttling 1`.
fn codes<'a>(answers: impl Iterator<Item = &'a Answer>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers {
        if let Answer::Again(code) | Answer::Refused(code) = answer {
            *counts.entry(if code.is_empty() { "no answer" } else { code }).or_default() += 1;
        }
    }
    counts.iter().fold(String::new(), |mut text, (code, count)| {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{code} {count}"); // a String takes every write
        text
    })
}

#[cfg(test)]
mod tests;
