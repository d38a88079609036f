//! Dead letters back into their queue.
//!
//! A letter is sent before it is deleted: an end at any instant loses none. One that was sent and not deleted comes a second
//! time, which the transformer takes for what it is: a batch has one name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};
use tributary_batch::envelope::{self, Decoded};
use tributary_batch::{BatchId, TimestampMs};
use tributary_queue::{MAX_RECEIVE, Message, Queue, QueueError, Receipt};

use crate::{Clock, Progress, Stop};

/// How long letters stay hidden that are looked at: the rest of the queue is looked at meanwhile.
const VISIBILITY: Duration = Duration::from_secs(600);
/// Wait for letters: long enough that a remote queue asks all of its servers.
const WAIT: Duration = Duration::from_secs(1);

/// Which dead letters are meant. An empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Batches whose name begins so.
    pub batch: Option<String>,
    /// Sent at this time or later, in milliseconds.
    pub since: Option<TimestampMs>,
    /// Sent before this time, in milliseconds.
    pub until: Option<TimestampMs>,
}

impl LetterFilter {
    fn takes(&self, letter: &Message) -> bool {
        if *self == Self::default() {
            return true;
        }
        let (batch, enqueued) = known(letter);
        // Where the queue does not know when it was sent, its events say when they came.
        let sent = letter.sent_at.or(enqueued);
        let named = |prefix: &String| batch.as_ref().is_some_and(|batch| batch.as_str().starts_with(prefix));
        self.batch.as_ref().is_none_or(named)
            && self.since.is_none_or(|since| sent.is_some_and(|sent| sent >= since))
            && self.until.is_none_or(|until| sent.is_some_and(|sent| sent < until))
    }
}

/// The letter's batch, and when its last event came, where that is in it.
fn known(letter: &Message) -> (Option<BatchId>, Option<TimestampMs>) {
    match envelope::decode(&letter.body, &letter.id) {
        Ok(Decoded::Batch(batch)) => (Some(batch.id()), batch.events.last().map(|event| event.enqueued_time)),
        Ok(Decoded::Claim(claim)) => (Some(claim.header().id()), None),
        Ok(Decoded::Foreign(foreign)) => (Some(foreign.id), None),
        Err(_) => (None, None),
    }
}

/// The job with everything it needs.
#[derive(Clone)]
pub struct RedriveLetters {
    /// The queue whose dead letters are meant.
    pub queue: Arc<dyn Queue>,
    /// Which of them.
    pub filter: LetterFilter,
    /// Most letters that are redriven.
    pub limit: Option<u64>,
    /// Only look.
    pub dry_run: bool,
    /// The time: letters that were sent after the start came back from this very run.
    pub clock: Clock,
    /// When to end early.
    pub stop: Stop,
    /// Who is told how far it is.
    pub progress: Progress,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LettersReport {
    /// Letters looked at.
    pub looked: u64,
    /// Letters that the filter takes.
    pub matched: u64,
    /// Letters that are in the queue again; 0 in a dry run.
    pub redriven: u64,
    /// Bytes of the letters that the filter takes.
    pub bytes: u64,
    /// Why it ended early, if it did. What was not redriven is still a dead letter.
    pub failure: Option<String>,
}

impl RedriveLetters {
    /// Looks at every dead letter once and redrives those that are meant.
    ///
    /// # Errors
    /// [`QueueError::Backend`] when nothing could be looked at. A later failure stands in the report.
    pub async fn run(&self) -> Result<LettersReport, QueueError> {
        let Some(dead) = self.queue.dead_letter_queue() else { return Ok(LettersReport::default()) };
        let counts = dead.counts().await?;
        let mut round = Round {
            started: self.clock.now(),
            total: counts.visible.saturating_add(counts.in_flight),
            seen: BTreeSet::new(),
            held: Vec::new(),
            report: LettersReport::default(),
        };
        if let Err(error) = self.look(dead.as_ref(), &mut round).await {
            round.report.failure = Some(error.to_string());
        }
        for receipt in &round.held {
            if let Err(error) = dead.release(receipt).await {
                debug!("a letter that was only looked at stays hidden for a while: {error}");
            }
        }
        let LettersReport { looked, matched, redriven, .. } = round.report;
        info!(looked, matched, redriven, dry_run = self.dry_run, "dead letters looked at");
        Ok(round.report)
    }

    async fn look(&self, dead: &dyn Queue, round: &mut Round) -> Result<(), QueueError> {
        while !self.stop.is_set() && !self.is_enough(&round.report) {
            let letters = dead.receive(MAX_RECEIVE, VISIBILITY, WAIT).await?;
            if letters.is_empty() {
                break;
            }
            // Whatever happens to one of them, the others are shown again.
            round.held.extend(letters.iter().map(|letter| letter.receipt.clone()));
            let mut meant = Vec::new();
            for letter in letters {
                if self.stop.is_set() || self.is_enough(&round.report) {
                    break;
                }
                if self.is_meant(&letter, round) {
                    meant.push(letter);
                }
            }
            if !self.dry_run {
                self.redrive(dead, meant, round).await?;
            }
        }
        Ok(())
    }

    /// Looks at a letter.
    fn is_meant(&self, letter: &Message, round: &mut Round) -> bool {
        let first = round.seen.insert(letter.id.clone());
        let came_back = letter.sent_at.is_some_and(|sent| sent > round.started);
        if !first || came_back {
            return false;
        }
        round.report.looked += 1;
        self.progress.at(round.report.looked, round.total);
        if !self.filter.takes(letter) {
            return false;
        }
        round.report.matched += 1;
        round.report.bytes += letter.body.len() as u64;
        true
    }

    /// Letters of one receive, in as few calls as the queue has for them: all are sent before one is deleted.
    async fn redrive(&self, dead: &dyn Queue, letters: Vec<Message>, round: &mut Round) -> Result<(), QueueError> {
        let (bodies, receipts): (Vec<String>, Vec<Receipt>) =
            letters.into_iter().map(|letter| (letter.body, letter.receipt)).unzip();
        self.queue.send_all(&bodies).await?;
        dead.delete_all(&receipts).await?;
        round.held.retain(|held| !receipts.contains(held));
        round.report.redriven += receipts.len() as u64;
        Ok(())
    }

    fn is_enough(&self, report: &LettersReport) -> bool {
        self.limit.is_some_and(|limit| report.matched >= limit)
    }
}

/// What moves through one run.
struct Round {
    started: TimestampMs,
    /// Letters that there are, as far as the queue knows.
    total: u64,
    /// Ids of letters that were looked at: what was hidden too long comes again.
    seen: BTreeSet<String>,
    /// Receipts of letters that stay.
    held: Vec<Receipt>,
    report: LettersReport,
}
