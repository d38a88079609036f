//! From notifications to rows: the job over a store, a ledger, a queue and a lake in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::json;
use tokio::time::Instant;
use tributary_azure_blobs::{Account, Allowed, BlobName, FLOW_LOG_CONTAINERS, MemoryBlobs};
use tributary_azure_flowlog_job::{FixedStorage, ReadConfig, ReadFlowLogs, Stores, Sweep, ToLake};
use tributary_azure_flowlogs::{FlowLogs, generate, hour};
use tributary_lake::{Layout, Publisher};
use tributary_ledger::MemoryLedger;
use tributary_ocsf::Version;
use tributary_pipeline::Stop;
use tributary_queue::{MemoryQueue, Queue as _, RedrivePolicy};
use tributary_telemetry::{Metric, Metrics};

const WAIT: Duration = Duration::from_millis(20);

struct World {
    blobs: Arc<MemoryBlobs>,
    queue: Arc<MemoryQueue>,
    lake: Arc<InMemory>,
    job: ReadFlowLogs,
}

impl World {
    fn new() -> Self {
        let (blobs, lake) = (Arc::new(MemoryBlobs::new()), Arc::new(InMemory::new()));
        let queue = Arc::new(MemoryQueue::new(RedrivePolicy::default()));
        let layout = Layout::from_prefix("eu-west-1", "azure-", Version::V1_3_0).unwrap();
        let logs = Arc::new(FlowLogs::new(Version::V1_3_0, layout, "azure").unwrap());
        let publisher = Publisher::new(lake.clone(), lake.clone());
        let metrics = Metrics::new();
        let allowed = Allowed::flow_logs([Account::public("contoso").unwrap()]);
        let job = ReadFlowLogs {
            queue: queue.clone(),
            storage: Arc::new(FixedStorage(Stores { allowed, blobs: blobs.clone() })),
            cursors: Arc::new(MemoryLedger::new()),
            lake: ToLake::new(logs, publisher, metrics.clone()),
            metrics,
            stop: Stop::new(),
            config: ReadConfig::default(),
        };
        Self { blobs, queue, lake, job }
    }

    async fn rows(&self) -> i64 {
        let objects: Vec<_> = self.lake.list(None).try_collect().await.unwrap();
        let mut rows = 0;
        for object in objects.iter().filter(|object| object.location.as_ref().ends_with(".parquet")) {
            let bytes: Bytes = self.lake.get(&object.location).await.unwrap().bytes().await.unwrap();
            rows += SerializedFileReader::new(bytes).unwrap().metadata().file_metadata().num_rows();
        }
        rows
    }

    async fn send(&self, notices: &[serde_json::Value]) {
        let message = json!({"schema": "tributary.blobs/1", "notifications": notices});
        self.queue.send(&message.to_string()).await.unwrap();
    }

    fn total(&self, metric: Metric) -> u64 {
        self.job.metrics.snapshot().total(metric)
    }
}

/// A blob of the generated hour, by another interface for each number.
fn blob(number: usize) -> BlobName {
    let path = generate::name().replace("000D3A2B4C5D", &format!("000D3A2B4C{number:02X}"));
    BlobName { account: "contoso".into(), container: FLOW_LOG_CONTAINERS[0].into(), path }
}

fn notice(blob: &BlobName, etag: &str, sequencer: u64) -> serde_json::Value {
    let url = format!("https://contoso.blob.core.windows.net/{}/{}", blob.container, blob.path);
    json!({"id": "1", "url": url, "eTag": etag, "sequencer": format!("{sequencer:048x}")})
}

/// The records of a generated blob, a minute each.
fn minutes(seed: u64, tuples: u64) -> Vec<String> {
    let blocks: Vec<String> = generate::blocks(seed, tuples).collect();
    blocks[1..blocks.len() - 1].iter().map(|block| block.trim_start_matches(',').to_owned()).collect()
}

#[tokio::test]
async fn notifications_of_one_blob_are_one_reading_and_what_is_covered_costs_none() {
    let world = World::new();
    let name = blob(1);
    let minutes = minutes(1, 6_000);
    let mut late = Vec::new();
    for (number, minute) in minutes.iter().enumerate() {
        let etag = world.blobs.append(&name, &[minute]);
        late.push(notice(&name, &etag, number as u64));
    }
    world.send(&late[10..20]).await;
    world.send(&late[59..]).await;
    world.send(&late[..10]).await;
    let report = world.job.run(WAIT).await.unwrap();
    assert_eq!((report.messages, report.notifications, report.failed), (3, 21, 0));
    assert_eq!((report.read.records, world.blobs.lists_read()), (60, 1));
    assert_eq!(world.rows().await, 6_000);
    assert_eq!((world.total(Metric::FlowTuples), world.total(Metric::ObjectsWritten)), (6_000, 1));
    // Those that come later tell nothing new.
    world.send(&late[20..59]).await;
    let report = world.job.drain(Duration::from_secs(5)).await.unwrap();
    assert_eq!((report.messages, report.read.covered, world.blobs.lists_read()), (1, true, 1));
    assert_eq!((world.rows().await, world.queue.counts().await.unwrap().in_flight), (6_000, 0));
}

#[tokio::test]
async fn a_message_that_names_what_is_not_ours_stays_and_the_rest_is_read() {
    let world = World::new();
    let good = blob(1);
    let etag = world.blobs.append(&good, &[&minutes(2, 600)[0]]);
    let foreign = json!({"url": "https://evil.example/insights-logs-flowlogflowevent/x", "eTag": "a"});
    let bodies = [
        json!({"schema": "tributary.blobs/1", "notifications": [foreign, notice(&good, &etag, 1)]}).to_string(),
        "{}".to_owned(),
        json!({"schema": "tributary.blobs/1", "notifications": [notice(&good, &etag, 1)]}).to_string(),
        // A blob that is gone has nothing new.
        json!({"schema": "tributary.blobs/1", "notifications": [notice(&blob(2), "x", 1)]}).to_string(),
    ];
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let (answers, read) = world.job.take(&bodies, Instant::now() + Duration::from_secs(5)).await;
    let errors: Vec<Option<String>> =
        answers.iter().map(|answer| answer.as_ref().err().map(ToString::to_string)).collect();
    assert!(errors[0].as_ref().unwrap().contains("in no storage account that is configured"), "{errors:?}");
    assert!(errors[1].as_ref().unwrap().contains("is no tributary.blobs/1"), "{errors:?}");
    assert_eq!((&errors[2], &errors[3], read.records), (&None, &None, 1));
    assert_eq!(world.rows().await, 10);
}

#[tokio::test]
async fn a_message_whose_time_is_up_stays_and_nothing_is_lost() {
    let world = World::new();
    let name = blob(1);
    let mut etag = String::new();
    for minute in minutes(3, 6_000) {
        etag = world.blobs.append(&name, &[minute]);
    }
    let body = json!({"schema": "tributary.blobs/1", "notifications": [notice(&name, &etag, 1)]}).to_string();
    let (answers, _) = world.job.take(&[&body], Instant::now()).await;
    assert!(answers[0].as_ref().unwrap_err().to_string().contains("the time was up"));
    let (answers, _) = world.job.take(&[&body], Instant::now() + Duration::from_secs(60)).await;
    assert!(answers[0].is_ok());
    assert_eq!(world.rows().await, 6_000);
}

#[tokio::test]
async fn a_sweep_reads_what_no_notification_told_of_and_leaves_earlier_hours() {
    let world = World::new();
    for number in 1..=3 {
        for minute in minutes(number as u64, 600) {
            world.blobs.append(&blob(number), &[minute]);
        }
    }
    let mut earlier = blob(4);
    earlier.path = earlier.path.replace("/h=12/", "/h=11/");
    world.blobs.append(&earlier, &[&minutes(4, 600)[0]]);
    let body = json!({"schema": "tributary.blobs/1", "notifications": [notice(&blob(1), "0x0", 1)]}).to_string();
    let until = || Instant::now() + Duration::from_secs(60);
    assert!(world.job.take(&[&body], until()).await.0[0].is_ok());
    let since = hour(&blob(1).path).unwrap();
    let dry = Sweep { since, prefix: String::new(), dry_run: true };
    let report = world.job.sweep(&dry, until()).await.unwrap();
    assert_eq!((report.blobs, report.behind, report.outside), (3, 2, 1));
    assert_eq!(world.rows().await, 600, "a dry run reads nothing");
    let sweep = Sweep { dry_run: false, ..dry };
    let report = world.job.sweep(&sweep, until()).await.unwrap();
    assert_eq!((report.blobs, report.behind, report.outside, report.read.records), (3, 2, 1, 120));
    let lists = world.blobs.lists_read();
    let again = world.job.sweep(&sweep, until()).await.unwrap();
    assert_eq!((again.behind, world.blobs.lists_read()), (0, lists), "what is covered asks for no blob");
    assert_eq!(world.rows().await, 1_800);
}

#[tokio::test]
async fn a_part_that_is_put_again_makes_nothing_new() {
    let world = World::new();
    let name = blob(1);
    let body =
        |etag: &str| json!({"schema": "tributary.blobs/1", "notifications": [notice(&name, etag, 1)]}).to_string();
    let etag = world.blobs.append(&name, &minutes(5, 6_000)[..30]);
    let until = Instant::now() + Duration::from_secs(60);
    assert!(world.job.take(&[&body(&etag)], until).await.0[0].is_ok());
    // A ledger that knows nothing: the same part comes again, under its name.
    let forgotten = ReadFlowLogs { cursors: Arc::new(MemoryLedger::new()), ..world.job.clone() };
    let (answers, read) = forgotten.take(&[&body(&etag)], until).await;
    assert!(answers[0].is_ok());
    assert_eq!((read.records, world.rows().await), (30, 3_000));
}
