//! Decorators of the rooms' traits that end the process at a named step.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};
use tributary_batch::Event;
use tributary_ledger::{Expected, Item, LeaseRequest, Ledger, LedgerError, PartitionKey};
use tributary_pipeline::{EventSource, HubRef, PartitionReader, PartitionStatus, SourceError, StartPosition};
use tributary_queue::{Counts, Message, Queue, QueueError, Receipt};

/// Every step that the jobs pass, in the order of an event's way. A process can be killed at each.
pub const STEPS: [&str; 24] = [
    "lease.before",
    "lease.after",
    "receive.before",
    "receive.after",
    "plan.before",
    "plan.after",
    "send.before",
    "send.after",
    "commit.before",
    "commit.after",
    "stage.before",
    "stage.after",
    "route.before",
    "route.after",
    "findings.before",
    "findings.after",
    "publish.before",
    "publish.after",
    "quarantine.before",
    "quarantine.after",
    "delete.before",
    "delete.after",
    "commit-and-plan.before",
    "commit-and-plan.after",
];

/// Counts steps and ends the process at one of them.
#[derive(Debug, Default)]
pub struct Steps {
    /// Step and how often it is passed before the end.
    end: Option<(String, u64)>,
    passed: Mutex<BTreeMap<&'static str, u64>>,
}

impl Steps {
    /// Ends at the `nth` time (from 1) of `step`; never, for `None`.
    pub fn new(end: Option<(String, u64)>) -> Arc<Self> {
        Arc::new(Self { end, passed: Mutex::default() })
    }

    /// Notes a step. Does not return when it is the one.
    pub fn at(&self, step: &'static str) {
        assert!(STEPS.contains(&step), "{step} is in no list");
        let mut passed = self.passed.lock().unwrap();
        let count = passed.entry(step).or_default();
        *count += 1;
        if self.end.as_ref().is_some_and(|(end, nth)| end == step && nth == count) {
            // SIGKILL: no destructor, no flush, no handler.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}

/// Passes `receive`.
pub struct SteppedSource(pub Arc<dyn EventSource>, pub Arc<Steps>);

struct SteppedReader(Box<dyn PartitionReader>, Arc<Steps>);

#[async_trait]
impl EventSource for SteppedSource {
    fn hub(&self) -> HubRef {
        self.0.hub()
    }

    async fn partitions(&self) -> Result<Vec<String>, SourceError> {
        self.0.partitions().await
    }

    async fn open(&self, id: &str, start: StartPosition, epoch: i64) -> Result<Box<dyn PartitionReader>, SourceError> {
        Ok(Box::new(SteppedReader(self.0.open(id, start, epoch).await?, Arc::clone(&self.1))))
    }

    async fn open_shared(&self, id: &str, start: StartPosition) -> Result<Box<dyn PartitionReader>, SourceError> {
        Ok(Box::new(SteppedReader(self.0.open_shared(id, start).await?, Arc::clone(&self.1))))
    }

    async fn status(&self, id: &str) -> Result<PartitionStatus, SourceError> {
        self.0.status(id).await
    }

    async fn close(&self) -> Result<(), SourceError> {
        self.0.close().await
    }
}

#[async_trait]
impl PartitionReader for SteppedReader {
    async fn status(&mut self) -> Result<PartitionStatus, SourceError> {
        self.0.status().await
    }

    async fn next(&mut self, wait: Duration) -> Result<Vec<Event>, SourceError> {
        self.1.at("receive.before");
        let events = self.0.next(wait).await?;
        self.1.at("receive.after");
        Ok(events)
    }

    async fn close(self: Box<Self>) -> Result<(), SourceError> {
        self.0.close().await
    }
}

/// Passes `lease`, `plan`, `commit` and `commit-and-plan`.
pub struct SteppedLedger(pub Arc<dyn Ledger>, pub Arc<Steps>);

#[async_trait]
impl Ledger for SteppedLedger {
    async fn read(&self, key: &PartitionKey) -> Result<Option<Item>, LedgerError> {
        self.0.read(key).await
    }

    async fn lease(&self, key: &PartitionKey, request: &LeaseRequest) -> Result<Option<Item>, LedgerError> {
        self.1.at("lease.before");
        let item = self.0.lease(key, request).await;
        self.1.at("lease.after");
        item
    }

    async fn write(&self, key: &PartitionKey, expected: &Expected, item: &Item) -> Result<bool, LedgerError> {
        let position = item.position.as_ref().map(|position| position.sequence_number);
        let plan = item.plan.as_ref().map(|plan| (plan.first, plan.last));
        let names = match (position != expected.sequence_number, plan.is_some() && plan != expected.plan) {
            (true, true) => Some(("commit-and-plan.before", "commit-and-plan.after")),
            (true, false) => Some(("commit.before", "commit.after")),
            (false, true) => Some(("plan.before", "plan.after")),
            (false, false) => None,
        };
        if let Some((before, _)) = names {
            self.1.at(before);
        }
        let written = self.0.write(key, expected, item).await;
        if let Some((_, after)) = names {
            self.1.at(after);
        }
        written
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, LedgerError> {
        self.0.list(prefix).await
    }
}

/// Passes the step of sending, and `delete`.
pub struct SteppedQueue {
    queue: Arc<dyn Queue>,
    steps: Arc<Steps>,
    send: (&'static str, &'static str),
}

impl SteppedQueue {
    /// The queue of batches: `send`.
    pub fn batches(queue: Arc<dyn Queue>, steps: Arc<Steps>) -> Self {
        Self { queue, steps, send: ("send.before", "send.after") }
    }

    /// The queue of flow log notifications: `route`.
    pub fn flow_logs(queue: Arc<dyn Queue>, steps: Arc<Steps>) -> Self {
        Self { queue, steps, send: ("route.before", "route.after") }
    }

    /// The queue of findings: `findings`.
    pub fn findings(queue: Arc<dyn Queue>, steps: Arc<Steps>) -> Self {
        Self { queue, steps, send: ("findings.before", "findings.after") }
    }
}

#[async_trait]
impl Queue for SteppedQueue {
    async fn send(&self, body: &str) -> Result<(), QueueError> {
        self.steps.at(self.send.0);
        let sent = self.queue.send(body).await;
        self.steps.at(self.send.1);
        sent
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError> {
        self.queue.receive(max, visibility, wait).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        self.queue.extend(receipt, visibility).await
    }

    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.queue.release(receipt).await
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.steps.at("delete.before");
        let deleted = self.queue.delete(receipt).await;
        self.steps.at("delete.after");
        deleted
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        self.queue.counts().await
    }

    fn dead_letter_queue(&self) -> Option<Arc<dyn Queue>> {
        self.queue.dead_letter_queue()
    }
}

/// Passes `stage`, `publish` and `quarantine`, by the key that is put.
#[derive(Debug)]
pub struct SteppedStore(pub Arc<dyn ObjectStore>, pub Arc<Steps>);

impl fmt::Display for SteppedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for SteppedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let (before, after) = match location.as_ref().split('/').next() {
            Some("staged") => ("stage.before", "stage.after"),
            Some("quarantine") => ("quarantine.before", "quarantine.after"),
            _ => ("publish.before", "publish.after"),
        };
        self.1.at(before);
        let put = self.0.put_opts(location, payload, options).await;
        self.1.at(after);
        put
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
