//! Quarantined records back through the transformer, by record (`docs/GUARANTEES.md`, transformer, rule 8d).
//!
//! One quarantine object at a time: its records are mapped once more, the outcome is staged create-only under the batch's
//! next redrive (`{batch-id}-q1`, then `-q2`), published from what is staged, and the object is retired last. So an end
//! at any instant is mended by the next run: it finds the outcome staged, publishes it again and retires the object. What
//! the filter leaves out, and what is refused once more, is in the quarantine object of the redrive.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use tracing::{info, warn};
use tributary_batch::{BatchId, TimestampMs};
use tributary_lake::{
    Destination, Outcome, Quarantine, QuarantineEntry, QuarantineKey, QuarantineLimits, QuarantineReadError,
    QuarantineReader, Staged, StoreError,
};
use tributary_mapping::parse_timestamp;
use tributary_telemetry::Metric;

use crate::transform::Again;
use crate::{DeliverError, Made, Progress, Transform};

/// Which records are meant. An empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Of this module.
    pub module: Option<String>,
    /// Of batches whose name begins so.
    pub batch: Option<String>,
    /// Quarantined for one of these reasons.
    pub reasons: BTreeSet<String>,
    /// Of one of these kinds.
    pub kinds: BTreeSet<String>,
    /// Accepted by the hub at this time or later, in milliseconds.
    pub since: Option<TimestampMs>,
    /// Accepted by the hub before this time, in milliseconds.
    pub until: Option<TimestampMs>,
}

impl RecordFilter {
    fn takes(&self, entry: &QuarantineEntry<'_>) -> bool {
        let received = parse_timestamp(&entry.received_at);
        let kind = entry.kind.as_deref();
        (self.reasons.is_empty() || self.reasons.contains(entry.reason.as_ref()))
            && (self.kinds.is_empty() || kind.is_some_and(|kind| self.kinds.contains(kind)))
            && self.since.is_none_or(|since| received.is_some_and(|received| received >= since))
            && self.until.is_none_or(|until| received.is_some_and(|received| received < until))
    }

    fn takes_object(&self, key: &QuarantineKey) -> bool {
        self.batch.as_ref().is_none_or(|prefix| key.batch.as_str().starts_with(prefix))
    }
}

/// The job with everything it needs.
#[derive(Clone)]
pub struct RedriveRecords {
    /// Where the records are.
    pub quarantine: Quarantine,
    /// What they go through: its maps, its staging, its publisher and its queue of notifications. Its queue of batches is
    /// not touched.
    pub transform: Transform,
    /// Which records.
    pub filter: RecordFilter,
    /// Most records that are tried.
    pub limit: Option<u64>,
    /// Only look: maps in memory and writes nothing.
    pub dry_run: bool,
    /// Who is told how far it is, in objects.
    pub progress: Progress,
}

/// What a run did, or in a dry run what it would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordsReport {
    /// Objects with entries that were looked at.
    pub objects: u64,
    /// Objects that were retired.
    pub retired: u64,
    /// Objects whose redrive an earlier run had begun and this one ended.
    pub ended: u64,
    /// Records in the objects that were looked at.
    pub looked: u64,
    /// Records that were tried, by what quarantine said of them: reason, and kind where that is known.
    pub tried: BTreeMap<(String, Option<String>), u64>,
    /// Of those that were tried, rows in the lake now.
    pub mapped: u64,
    /// The same by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Handed on as notifications.
    pub routed: u64,
    /// Left out by a rule.
    pub skipped: u64,
    /// In quarantine again.
    pub quarantined: u64,
    /// Objects that failed, with the reason. Their records are where they were.
    pub failures: Vec<(String, String)>,
}

impl RecordsReport {
    /// Records that were tried.
    pub fn matched(&self) -> u64 {
        self.tried.values().sum()
    }
}

/// Why an object's records stay where they are.
#[derive(Debug, thiserror::Error)]
enum Stays {
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "batch {0} is being remapped, or a remapping of it was interrupted: end it first, by the same `tributary replay --remap`"
    )]
    Remapping(BatchId),
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] QuarantineReadError),
    #[error(
        "{0} is there already, and nothing is staged for this redrive any more: an earlier run ended in the middle, longer ago than \
         staging keeps outcomes; delete the objects of that batch name from lake and quarantine, whose records are all in this \
         object, and redrive again"
    )]
    Unstaged(String),
}

impl Stays {
    fn is_denied(&self) -> bool {
        match self {
            Self::Store(error) => error.is_denied(),
            Self::Deliver(error) => error.is_denied(),
            _ => false,
        }
    }
}

impl RedriveRecords {
    /// Goes through the quarantine's objects and redrives the records that are meant.
    ///
    /// # Errors
    /// When the quarantine cannot be listed. An object that fails stands in the report and does not hold up the others.
    pub async fn run(&self) -> Result<RecordsReport, StoreError> {
        let mut keys: VecDeque<QuarantineKey> =
            self.quarantine.list(self.filter.module.as_deref()).await?.into_iter().collect();
        keys.retain(|key| self.filter.takes_object(key));
        let (mut seen, mut report) = (BTreeSet::new(), RecordsReport::default());
        let mut stuck = BTreeSet::new();
        while let Some(key) = keys.pop_front() {
            if self.transform.stop.is_set() || self.left(&report) == 0 {
                break;
            }
            // What comes of an object that failed may hold the same records.
            let (origin, _) = key.batch.origin();
            if !seen.insert(key.clone()) || stuck.contains(&origin) {
                continue;
            }
            match self.object(&key, &mut report).await {
                // What an earlier run put back into quarantine may be meant by this one.
                Ok(Some(next)) => keys.push_front(next),
                Ok(None) => {}
                Err(error) => {
                    if error.is_denied() {
                        self.transform.metrics.count(Metric::AccessDenied, 1);
                    }
                    warn!(object = %key, "{error}; its records stay in quarantine");
                    report.failures.push((key.to_string(), error.to_string()));
                    stuck.insert(origin);
                }
            }
            let done = seen.len() as u64;
            self.progress.at(done, done.saturating_add(keys.len() as u64));
        }
        Ok(report)
    }

    /// How many records may still be tried.
    fn left(&self, report: &RecordsReport) -> u64 {
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(report.matched()))
    }

    /// One object. Returns the key of the object that an earlier run's redrive of it has put into quarantine.
    async fn object(&self, key: &QuarantineKey, report: &mut RecordsReport) -> Result<Option<QuarantineKey>, Stays> {
        let staging = &self.transform.staging;
        // What is staged for this redrive may be one of the outcome that is being replaced.
        let (origin, _) = key.batch.origin();
        if staging.is_remapping(&origin).await? {
            return Err(Stays::Remapping(origin));
        }
        if let Some(earlier) = staging.read(&key.batch.next_redrive()).await? {
            report.objects += 1;
            report.ended += 1;
            if self.dry_run {
                return Ok(None);
            }
            self.end(key, &earlier, report).await?;
            let groups = &earlier.manifest().groups;
            let again = groups.iter().find(|group| group.destination == Destination::Quarantine);
            return Ok(again.and_then(|group| QuarantineKey::parse(&group.key)));
        }
        let Some(bytes) = self.quarantine.read(key).await? else { return Ok(None) };
        let entries = read(&key.batch, bytes).await?;
        report.objects += 1;
        report.looked += entries.len() as u64;
        let mut left = self.left(report);
        let chosen: Vec<bool> = entries
            .iter()
            .map(|entry| {
                let takes = left > 0 && self.filter.takes(entry);
                left -= u64::from(takes);
                takes
            })
            .collect();
        if !chosen.contains(&true) {
            return Ok(None);
        }
        let mut tried = BTreeMap::<_, u64>::new();
        for (entry, _) in entries.iter().zip(&chosen).filter(|(_, chosen)| **chosen) {
            let kind = entry.kind.as_ref().map(|kind| kind.to_string());
            *tried.entry((entry.reason.to_string(), kind)).or_default() += 1;
        }
        let (mut made, kept) = self.make(key, entries, chosen).await?;
        if !self.dry_run {
            self.deliver(key, &mut made, report).await?;
        }
        let counts = made.outcome.manifest().counts;
        for (what, records) in tried {
            *report.tried.entry(what).or_default() += records;
        }
        for (kind, records) in &made.mapped {
            *report.kinds.entry(kind.clone()).or_default() += records;
        }
        report.mapped += counts.mapped;
        report.routed += counts.routed;
        report.skipped += counts.skipped;
        report.quarantined += counts.quarantined.saturating_sub(kept);
        Ok(None)
    }

    /// The outcome of a redrive, and how many entries it leaves as they are.
    async fn make(
        &self,
        key: &QuarantineKey,
        entries: Vec<QuarantineEntry<'static>>,
        chosen: Vec<bool>,
    ) -> Result<(Made, u64), DeliverError> {
        let kept = chosen.iter().filter(|chosen| !**chosen).count() as u64;
        let key = key.clone();
        let made = self.transform.on_a_thread(key.batch.next_redrive(), move |transformer, wanted| {
            transformer.again(&Again { key: &key, entries: &entries, chosen: &chosen, derived: wanted.derived() })
        });
        Ok((made.await?, kept))
    }

    /// Stages, publishes and retires, as a message is delivered.
    async fn deliver(&self, key: &QuarantineKey, made: &mut Made, report: &mut RecordsReport) -> Result<(), Stays> {
        let transform = &self.transform;
        // Nothing was staged for this redrive: what is published of it would be taken for this attempt's, and is not.
        if let Some(found) = transform.publisher.published(&made.outcome).await? {
            return Err(Stays::Unstaged(found));
        }
        transform.hand_on(made).await?;
        // Before the outcome is staged, as a run that finds it staged maps nothing.
        transform.send_trail(&key.batch.next_redrive(), std::mem::take(&mut made.trail)).await?;
        match transform.staging.stage(&made.outcome).await? {
            Staged::New => {
                transform.count(made);
                self.end(key, &made.outcome, report).await
            }
            // Another run is at work on the same object.
            Staged::Earlier(earlier) => self.end(key, &earlier, report).await,
        }
    }

    /// From what is staged to the end.
    async fn end(&self, key: &QuarantineKey, outcome: &Outcome, report: &mut RecordsReport) -> Result<(), Stays> {
        let published = self.transform.publisher.publish(outcome).await?;
        self.transform.metrics.count(Metric::ObjectsWritten, published.objects);
        self.transform.metrics.count(Metric::BytesWritten, published.bytes);
        self.quarantine.retire(key).await?;
        report.retired += 1;
        let manifest = outcome.manifest();
        info!(batch = %manifest.batch, mapped = manifest.counts.mapped, quarantined = manifest.counts.quarantined,
            objects = published.objects, "quarantine redriven");
        Ok(())
    }
}

/// The entries of an object, read on a thread that may be busy for a while.
async fn read(batch: &BatchId, bytes: Bytes) -> Result<Vec<QuarantineEntry<'static>>, Stays> {
    let read = move || QuarantineReader::new(&bytes, QuarantineLimits::default())?.collect::<Result<Vec<_>, _>>();
    match tokio::task::spawn_blocking(read).await {
        Ok(entries) => Ok(entries?),
        Err(error) => Err(DeliverError::Ended { batch: batch.clone(), detail: error.to_string() }.into()),
    }
}
