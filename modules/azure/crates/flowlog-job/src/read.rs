//! Notifications to blobs, each read once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use tributary_azure_blobs::{BlobName, Limits, Notice, ReadError, Reader, Refusal, Report};
use tributary_ledger::Cursors;
use tributary_pipeline::Stop;
use tributary_queue::{MAX_RECEIVE, Message, Queue, QueueError};
use tributary_telemetry::{Metric, Metrics};

use crate::ToLake;
use crate::message::{NotNotifications, Notifications};
use crate::storage::{Storage, StorageError, Stores};

/// A message that fails stays hidden twice as long each time, so often.
const DOUBLINGS: u32 = 4;

/// Why a message's blobs are not read. It stays in the queue.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// It holds no notifications.
    #[error(transparent)]
    NotNotifications(#[from] NotNotifications),
    /// It names a blob that is none of those that may be read.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No blob can be read now.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A blob was not read to its end.
    #[error(transparent)]
    Read(Arc<ReadError>),
    /// Time was up. What was read is in the lake, and the next attempt goes on from there.
    #[error("blob {0}: the time was up before its end; what was read stays, and the next attempt goes on from there")]
    Late(BlobName),
}

/// What a deployment chooses for reading.
#[derive(Debug, Clone)]
pub struct ReadConfig {
    /// How long a received message stays with this worker; extended while it works.
    pub visibility: Duration,
    /// Messages that are taken together, if the queue has them: the notifications of a blob among them are one reading.
    pub gather: usize,
    /// Blobs at a time. Each holds a chunk, an object and its columns: some 60 MB.
    pub parallel: usize,
    /// Longest that the reading of one receive may take.
    pub patience: Duration,
    /// Bounds of the reader.
    pub limits: Limits,
}

impl Default for ReadConfig {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(120),
            gather: 100,
            parallel: 2,
            patience: Duration::from_secs(600),
            limits: Limits::default(),
        }
    }
}

/// The job with everything it needs.
#[derive(Clone)]
pub struct ReadFlowLogs {
    /// Where notifications come from.
    pub queue: Arc<dyn Queue>,
    /// Where blobs are.
    pub storage: Arc<dyn Storage>,
    /// Where they stand.
    pub cursors: Arc<dyn Cursors>,
    /// Where their records go.
    pub lake: ToLake,
    /// What is counted.
    pub metrics: Metrics,
    /// When to end early.
    pub stop: Stop,
    /// Choices.
    pub config: ReadConfig,
}

/// What became of a message that can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Notifications in it.
    pub notifications: usize,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowReport {
    /// Messages received.
    pub received: u64,
    /// Messages that are done with.
    pub messages: u64,
    /// Notifications in them.
    pub notifications: u64,
    /// What the reader did for them.
    pub read: Report,
    /// Messages that failed and stay.
    pub failed: u64,
    /// The last failure.
    pub failure: Option<String>,
}

impl FlowReport {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.messages += other.messages;
        self.notifications += other.notifications;
        add(&mut self.read, &other.read);
        self.failed += other.failed;
        self.failure = other.failure.clone().or_else(|| self.failure.take());
    }
}

/// Adds what another reading came to. A sum is covered when every reading was.
pub(crate) fn add(sum: &mut Report, other: &Report) {
    let nothing = Report::default();
    sum.covered =
        (sum.covered || *sum == nothing) && (other.covered || *other == nothing) && (sum.covered || other.covered);
    sum.bytes += other.bytes;
    sum.parts += other.parts;
    sum.records += other.records;
    sum.restarts += other.restarts;
    sum.cut_off += other.cut_off;
    sum.lost += other.lost;
}

type Read = Result<Report, TakeError>;

impl ReadFlowLogs {
    /// Receives, waiting up to `wait` for the first message, and reads the blobs of what came.
    ///
    /// # Errors
    /// When the queue fails. A message that fails is counted in the report.
    pub async fn run(&self, wait: Duration) -> Result<FlowReport, QueueError> {
        let messages = self.gather(wait).await?;
        let mut report = FlowReport { received: messages.len() as u64, ..FlowReport::default() };
        if messages.is_empty() {
            return Ok(report);
        }
        let bodies: Vec<&str> = messages.iter().map(|message| message.body.as_str()).collect();
        let work = self.take(&bodies, Instant::now() + self.config.patience);
        tokio::pin!(work);
        let (results, read) = loop {
            tokio::select! {
                results = &mut work => break results,
                () = tokio::time::sleep(self.config.visibility / 2) => self.hide(&messages, self.config.visibility).await,
            }
        };
        report.read = read;
        for (message, result) in messages.iter().zip(results) {
            report.add(&self.settle(message, result).await);
        }
        Ok(report)
    }

    /// Runs until nothing is there to be received, or `budget` is used up. Messages that failed are not waited for.
    ///
    /// # Errors
    /// When the queue fails.
    pub async fn drain(&self, budget: Duration) -> Result<FlowReport, QueueError> {
        let deadline = Instant::now() + budget;
        let mut report = FlowReport::default();
        loop {
            let pass = self.run(Duration::from_millis(200)).await?;
            report.add(&pass);
            let empty = pass.received == 0 && self.queue.counts().await?.visible == 0;
            if empty || self.stop.is_set() || Instant::now() >= deadline {
                return Ok(report);
            }
        }
    }

    /// Reads the blobs that these messages tell of, until `until`: everything but deleting the messages. An answer for each, in their
    /// order: those that are no errors can be deleted, all others must stay in the queue. And what the reader did.
    pub async fn take(&self, bodies: &[&str], until: Instant) -> (Vec<Result<Taken, TakeError>>, Report) {
        let stores = match self.stores().await {
            Ok(stores) => stores,
            Err(error) => return (bodies.iter().map(|_| Err(error.clone().into())).collect(), Report::default()),
        };
        type Wanted = Vec<Result<(BlobName, Notice), Refusal>>;
        let wanted = |body: &&str| -> Result<Wanted, TakeError> {
            let Notifications(notices) = Notifications::read(body)?;
            let blob = |notice: Notice| Ok((stores.allowed.blob(&notice.url)?, notice));
            Ok(notices.into_iter().map(blob).collect())
        };
        let messages: Vec<Result<Wanted, TakeError>> = bodies.iter().map(wanted).collect();
        let mut blobs: BTreeMap<BlobName, Vec<Notice>> = BTreeMap::new();
        // One that is refused keeps its message back, and none of the others.
        for (blob, notice) in messages.iter().flatten().flatten().flatten() {
            blobs.entry(blob.clone()).or_default().push(notice.clone());
        }
        let blobs = blobs.into_iter().map(|(blob, notices)| (blob, latest(notices))).collect();
        let read = self.read(&stores, blobs, until).await;
        let mut sum = Report::default();
        read.values().flatten().for_each(|report| add(&mut sum, report));
        let answer = |message: Result<Wanted, TakeError>| {
            let notices = message?;
            for notice in &notices {
                let (blob, _) = notice.as_ref().map_err(Clone::clone)?;
                if let Some(Err(error)) = read.get(blob) {
                    return Err(error.clone());
                }
            }
            Ok(Taken { notifications: notices.len() })
        };
        (messages.into_iter().map(answer).collect(), sum)
    }

    /// Where blobs are now.
    pub(crate) async fn stores(&self) -> Result<Stores, StorageError> {
        let stores = self.storage.now().await;
        if stores.as_ref().is_err_and(StorageError::is_denied) {
            self.metrics.count(Metric::AccessDenied, 1);
        }
        stores
    }

    /// Reads each of these blobs to its end.
    pub(crate) async fn read(
        &self,
        stores: &Stores,
        blobs: Vec<(BlobName, Option<Notice>)>,
        until: Instant,
    ) -> BTreeMap<BlobName, Read> {
        let lake = Arc::new(self.lake.clone());
        let reader = &Reader::new(stores.blobs.clone(), self.cursors.clone(), lake, self.config.limits);
        let one = |(blob, notice): (BlobName, Option<Notice>)| async move {
            // What is not begun costs the next attempt nothing.
            if self.stop.is_set() || Instant::now() >= until {
                return (blob.clone(), Err(TakeError::Late(blob)));
            }
            let read = tokio::time::timeout_at(until, reader.catch_up(&blob, notice.as_ref())).await;
            let read = match read {
                Ok(Ok(report)) => Ok(report),
                Ok(Err(error)) => Err(TakeError::Read(Arc::new(error))),
                Err(_) => Err(TakeError::Late(blob.clone())),
            };
            self.count(&blob, &read);
            (blob, read)
        };
        stream::iter(blobs.into_iter().map(one)).buffer_unordered(self.config.parallel.max(1)).collect().await
    }

    fn count(&self, blob: &BlobName, read: &Read) {
        match read {
            Ok(report) if report.covered => debug!(%blob, "the ledger covers what was notified"),
            Ok(Report { bytes, parts, records, restarts, lost, .. }) => {
                self.metrics.count(Metric::EventsLost, *lost);
                info!(%blob, bytes, parts, records, restarts, lost, "blob read to its end");
            }
            Err(TakeError::Read(error)) if error.is_denied() => self.metrics.count(Metric::AccessDenied, 1),
            Err(_) => {}
        }
    }

    /// Messages whose blobs are read together.
    async fn gather(&self, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let mut messages = self.queue.receive(MAX_RECEIVE, self.config.visibility, wait).await?;
        while !messages.is_empty() && messages.len() < self.config.gather {
            let more = self.queue.receive(MAX_RECEIVE, self.config.visibility, Duration::ZERO).await?;
            if more.is_empty() {
                break;
            }
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
    async fn settle(&self, message: &Message, result: Result<Taken, TakeError>) -> FlowReport {
        let failed = |detail: String| {
            self.metrics.count(Metric::DeliveryErrors, 1);
            warn!(message = %message.id, attempt = message.receive_count, "{detail}; the queue delivers it again");
            FlowReport { failed: 1, failure: Some(detail), ..FlowReport::default() }
        };
        match result {
            Err(error) => {
                let longer = 1 << message.receive_count.saturating_sub(1).min(DOUBLINGS);
                self.hide(std::slice::from_ref(message), self.config.visibility * longer).await;
                failed(error.to_string())
            }
            Ok(Taken { notifications }) => match self.queue.delete(&message.receipt).await {
                // It comes again, and the ledger covers it.
                Err(error) => failed(error.to_string()),
                Ok(()) => FlowReport { messages: 1, notifications: notifications as u64, ..FlowReport::default() },
            },
        }
    }
}

/// The notification that stands for all of a blob's: what covers it covers each of them. There is none where one has no sequencer, for
/// then nobody knows which is the latest.
fn latest(notices: Vec<Notice>) -> Option<Notice> {
    let only = notices.len() == 1;
    let order = |notice: &Notice| notice.order();
    let all = only || notices.iter().all(|notice| order(notice).is_some());
    all.then(|| notices.into_iter().max_by_key(order)).flatten()
}
