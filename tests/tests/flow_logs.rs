//! Flow logs from blobs that grow to rows in the lake, every tuple once: through the hub on Azurite, and with an end at every operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tributary_azure_blobs::{
    Access, Account, Allowed, BlobClient, BlobListing, BlobName, FLOW_LOG_CONTAINERS, Limits, MemoryBlobs,
};
use tributary_azure_eventhub::{Destination, EventHubPublisher, EventHubSource, OutgoingEvent, Roots};
use tributary_azure_eventhub_emulator::{Emulator, HubConfig};
use tributary_azure_flowlog_job::{FixedStorage, FlowReport, ReadConfig, ReadFlowLogs, Stores, Sweep, ToLake};
use tributary_azure_flowlogs::{FlowLogs, generate};
use tributary_azure_samples::BlobWritten;
use tributary_lake::{Durability, Layout, LocalStore, Publisher, Staging};
use tributary_ledger::{Cursors, SqliteLedger};
use tributary_mapping::Options;
use tributary_ocsf::Version;
use tributary_pipeline::{Clock, Poll, PollConfig, Stop, Transform, TransformConfig, Transformer};
use tributary_queue::{Counts, Queue, RedrivePolicy, SqliteQueue};
use tributary_telemetry::Metrics;
use tributary_test_servers::Azurite;
use tributary_tests::collect::{files, metadata_uids};
use tributary_tests::fuse::{At, Fuse, FusedBlobs, FusedCursors, FusedQueue, FusedStore, at_every_operation};
use tributary_tests::stage;
use tributary_tests::watcher::Watcher;

const HUB: &str = "flows";
const BLOBS: u8 = 20;
const MINUTES: u64 = 60;
/// Of a blob's hour.
const TUPLES: u64 = 1_200;
/// 2026-03-02T12:00:00Z
const HOUR: i64 = 1_772_452_800_000;
const PATIENCE: Duration = Duration::from_secs(300);

fn layout() -> Layout {
    Layout::from_prefix("eu-west-1", "azure-", Version::V1_3_0).unwrap()
}

/// Rows of the lake in a folder, every id once.
fn rows(lake: &Path) -> u64 {
    let uids = metadata_uids(lake);
    assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), uids.len(), "ids stand twice");
    uids.len() as u64
}

/// A linear congruential generator: the same order of things every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).unwrap()
    }
}

/// Everything from the hub to the lake, in one process.
struct Way {
    poll: Poll,
    transform: Transform,
    readers: [ReadFlowLogs; 2],
    publisher: EventHubPublisher,
    _hub: Emulator,
}

impl Way {
    async fn start(folder: &Path, stores: Stores) -> Self {
        let hub = Emulator::builder().hub(HubConfig::new(HUB, 4)).listen("127.0.0.1:0").start().await.unwrap();
        let connection = hub.connection_string(HUB);
        let source = EventHubSource::builder().connection_string(&connection).unwrap().hub(HUB).build_source().unwrap();
        let builder = EventHubPublisher::builder().connection_string(&connection).unwrap();
        let publisher = builder.hub(HUB).build_publisher().unwrap();
        let state = folder.join("state.db");
        let queue = |name: &str| -> Arc<dyn Queue> {
            Arc::new(SqliteQueue::open(&state, name, RedrivePolicy::default()).unwrap())
        };
        let store = |name: &str| Arc::new(LocalStore::open(&folder.join(name), Durability::Cached).unwrap());
        let staging = Staging::new(store("staging"));
        let set = Arc::new(tributary_azure_mappings::shipped(Version::V1_3_0).unwrap());
        let (metrics, clock, stop) = (Metrics::new(), Clock::system(), Stop::new());
        let lake = Publisher::new(store("lake"), store("quarantine"));
        let poll = Poll {
            source: Arc::new(source),
            ledger: Arc::new(SqliteLedger::open(&state).unwrap()),
            queue: queue("events"),
            staging: staging.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            stop: stop.clone(),
            config: PollConfig::new("azure", "test"),
        };
        let transform = Transform {
            queue: queue("events"),
            staging,
            publisher: lake.clone(),
            transformer: Arc::new(Transformer::new(set, Options::default(), layout()).unwrap()),
            flow_logs: Some(queue("flow-logs")),
            findings: None,
            trail: None,
            metrics: metrics.clone(),
            clock,
            stop: stop.clone(),
            config: TransformConfig::new("azure"),
        };
        let logs = Arc::new(FlowLogs::new(Version::V1_3_0, layout(), "azure").unwrap());
        let reader = || ReadFlowLogs {
            queue: queue("flow-logs"),
            storage: Arc::new(FixedStorage(stores.clone())),
            cursors: Arc::new(SqliteLedger::open(&state).unwrap()),
            lake: ToLake::new(logs.clone(), lake.clone(), metrics.clone()),
            metrics: metrics.clone(),
            stop: stop.clone(),
            // Few messages at a time: two workers have notifications of one blob.
            config: ReadConfig { gather: 1, ..ReadConfig::default() },
        };
        Self { poll, transform, readers: [reader(), reader()], publisher, _hub: hub }
    }

    /// Announces, reads the hub to its end, and reads the blobs that were announced, by both workers at once.
    async fn pass(&self, announced: &[BlobWritten]) -> FlowReport {
        for few in announced.chunks(7) {
            let event = |written: &BlobWritten| OutgoingEvent::new(written.event("2026-03-02T12:30:00Z").into_bytes());
            let events: Vec<OutgoingEvent> = few.iter().map(event).collect();
            self.publisher.send(&Destination::Any, &events).await.unwrap();
        }
        let polled = self.poll.run(PATIENCE).await.unwrap();
        assert_eq!((polled.events(), polled.failures().count()), (announced.len() as u64, 0));
        let transformed = self.transform.drain(PATIENCE).await.unwrap();
        assert_eq!((transformed.routed, transformed.failed), (announced.len() as u64, 0), "{transformed:?}");
        let [first, second] = self.readers.each_ref().map(|reader| reader.drain(PATIENCE));
        let (first, second) = tokio::join!(first, second);
        let (mut report, second) = (first.unwrap(), second.unwrap());
        report.add(&second);
        assert_eq!(report.failure, None);
        report
    }
}

/// A storage account with an empty container of flow logs.
async fn storage() -> Option<(Azurite, Account, BlobClient)> {
    let azurite = Azurite::by_key()?;
    let account = Account::at(Azurite::ACCOUNT, &azurite.endpoint()).unwrap();
    let allowed = Allowed::flow_logs([account.clone()]);
    let client = BlobClient::new(allowed, Access::Key(Azurite::KEY.into()), &Roots::Native).unwrap();
    client.create_container(&account.name, FLOW_LOG_CONTAINERS[0]).await.unwrap();
    Some((azurite, account, client))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_sixty_commits_on_twenty_blobs_with_notifications_late_doubled_reordered_and_lost() {
    let Some((_azurite, account, client)) = storage().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores { allowed: client.allowed().clone(), blobs: Arc::new(client.clone()) };
    let way = Way::start(folder.path(), stores).await;
    let mut watchers: Vec<Watcher> =
        (1..=BLOBS).map(|number| Watcher::new(client.clone(), &account, HOUR, number, TUPLES)).collect();
    let (mut random, mut waiting, mut sequencer) = (Random(11), Vec::<BlobWritten>::new(), 0);
    let (mut announced, mut fetched) = (0, 0);
    for minute in 1..=MINUTES - 3 {
        for watcher in &mut watchers {
            sequencer += 1;
            let written = watcher.minute(sequencer).await.unwrap();
            // One in five is lost, one in five doubled.
            let times = [1, 1, 1, 2, 0][random.below(5)];
            waiting.extend(std::iter::repeat_n(written, times));
        }
        if minute % 6 == 0 {
            // A third of what waits waits on, and the rest comes in any order.
            let mut now = Vec::new();
            for _ in 0..waiting.len() * 2 / 3 {
                now.push(waiting.swap_remove(random.below(waiting.len())));
            }
            announced += now.len();
            fetched += way.pass(&now).await.read.bytes;
        }
    }
    announced += waiting.len();
    fetched += way.pass(&waiting).await.read.bytes;
    assert!(announced > 900, "{announced}");
    // The last minutes are announced to nobody.
    for _ in 0..3 {
        for watcher in &mut watchers {
            sequencer += 1;
            watcher.minute(sequencer).await.unwrap();
        }
    }
    let lake = folder.path().join("lake");
    let expected = u64::from(BLOBS) * TUPLES;
    let before = rows(&lake);
    assert!(before <= expected / MINUTES * (MINUTES - 3), "{before}");
    let sweep = Sweep { since: HOUR, prefix: String::new(), dry_run: false };
    let report = way.readers[0].sweep(&sweep, tokio::time::Instant::now() + PATIENCE).await.unwrap();
    assert_eq!((report.blobs, report.behind, report.failed), (u64::from(BLOBS), u64::from(BLOBS), 0));
    fetched += report.read.bytes;
    assert_eq!(rows(&lake), expected, "every tuple once");
    let mut size = 0;
    for watcher in &watchers {
        size += tributary_azure_blobs::BlobStore::blocks(&client, &watcher.blob).await.unwrap().length;
    }
    assert!(fetched * 100 <= size * 102, "{fetched} bytes of {size} were fetched");
    assert_eq!(files(&folder.path().join("quarantine"), "zst").len(), 0);
    let left = way.readers[0].queue.counts().await.unwrap();
    assert_eq!(left, Counts::default(), "notifications that are covered are gone");
}

/// The records of a generated blob, a minute each.
fn minutes(tuples: u64) -> Vec<String> {
    let blocks: Vec<String> = generate::blocks(5, tuples).collect();
    blocks[1..blocks.len() - 1].iter().map(|block| block.trim_start_matches(',').to_owned()).collect()
}

/// What an attempt has: everything behind one fuse.
fn reader(folder: &Path, blobs: &Arc<MemoryBlobs>, fuse: &Arc<Fuse>, visibility: Duration) -> ReadFlowLogs {
    let state = folder.join("state.db");
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&state, "flow-logs", RedrivePolicy::default()).unwrap());
    let cursors: Arc<dyn Cursors> = Arc::new(SqliteLedger::open(&state).unwrap());
    let store = |name: &str| Arc::new(FusedStore(stage_store(folder, name), Arc::clone(fuse)));
    // Few rows an object: a part makes several.
    let logs = FlowLogs::new(Version::V1_3_0, layout(), "azure").unwrap().rows_per_object(150);
    let metrics = Metrics::new();
    let blobs: Arc<dyn BlobListing> = Arc::new(FusedBlobs(Arc::clone(blobs) as _, Arc::clone(fuse)));
    let allowed = Allowed::flow_logs([Account::public("contoso").unwrap()]);
    ReadFlowLogs {
        queue: Arc::new(FusedQueue(queue, Arc::clone(fuse))),
        storage: Arc::new(FixedStorage(Stores { allowed, blobs })),
        cursors: Arc::new(FusedCursors(cursors, Arc::clone(fuse))),
        lake: ToLake::new(Arc::new(logs), Publisher::new(store("lake"), store("quarantine")), metrics.clone()),
        metrics,
        stop: Stop::new(),
        config: ReadConfig {
            visibility,
            // Several parts of some records each.
            limits: Limits { chunk: 30_000, ..Limits::default() },
            ..ReadConfig::default()
        },
    }
}

fn stage_store(folder: &Path, name: &str) -> Arc<LocalStore> {
    Arc::new(LocalStore::open(&folder.join(name), Durability::Cached).unwrap())
}

#[tokio::test]
async fn a_worker_that_ends_at_any_operation_loses_and_doubles_no_tuple() {
    const TUPLES: u64 = 1_200;
    let blobs = Arc::new(MemoryBlobs::new());
    let name = BlobName {
        account: "contoso".to_owned(),
        container: FLOW_LOG_CONTAINERS[0].to_owned(),
        path: generate::name(),
    };
    let minutes = minutes(TUPLES);
    let mut etag = blobs.append(&name, &minutes[..20]);
    let url = format!("https://contoso.blob.core.windows.net/{}/{}", name.container, name.path);
    let body =
        |etag: &str| json!({"schema": "tributary.blobs/1", "notifications": [{"url": url, "eTag": etag}]}).to_string();
    // A blob that is read in part, and announced again.
    let begun = tempfile::tempdir().unwrap();
    let whole = reader(begun.path(), &blobs, &Fuse::new(None), PATIENCE);
    whole.queue.send(&body(&etag)).await.unwrap();
    assert_eq!(whole.drain(PATIENCE).await.unwrap().failure, None);
    etag = blobs.append(&name, &minutes[20..]);
    whole.queue.send(&body(&etag)).await.unwrap();
    drop(whole);
    let ends = at_every_operation(async |at: At| {
        let folder = tempfile::tempdir().unwrap();
        stage::copy(begun.path(), folder.path());
        let fuse = Fuse::new(at);
        let _ = reader(folder.path(), &blobs, &fuse, Duration::from_millis(20)).run(Duration::ZERO).await;
        // The message that a dead worker had comes again.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let after = reader(folder.path(), &blobs, &Fuse::new(None), PATIENCE);
        let report = after.drain(PATIENCE).await.unwrap();
        assert_eq!(report.failure, None, "{at:?}");
        assert_eq!(rows(&folder.path().join("lake")), TUPLES, "{at:?}");
        assert_eq!(after.queue.counts().await.unwrap(), Counts::default(), "{at:?}");
        fuse
    })
    .await;
    assert!(ends > 40, "{ends} ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_is_rewritten_gives_only_what_is_new() {
    let Some((_azurite, account, client)) = storage().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores { allowed: client.allowed().clone(), blobs: Arc::new(client.clone()) };
    let way = Way::start(folder.path(), stores).await;
    let mut watcher = Watcher::new(client, &account, HOUR, 1, TUPLES);
    for minute in 1..=6 {
        let written = watcher.minute(minute).await.unwrap();
        if minute == 4 {
            watcher.rewrite().await;
        }
        let report = way.pass(&[written]).await;
        assert_eq!(report.read.lost, 0);
        assert_eq!(rows(&folder.path().join("lake")), minute * TUPLES / MINUTES);
    }
}
