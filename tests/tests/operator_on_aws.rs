//! What an operator does to a deployment whose ledger is in DynamoDB, whose queue is SQS and whose objects are in S3.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tempfile::TempDir;
use tributary_azure_eventhub::EventHubSource;
use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig};
use tributary_azure_samples::{Kind, Samples};
use tributary_lake::{Bucket, BucketOptions, Layout, Publisher, Quarantine, Staging};
use tributary_ledger::DynamoLedger;
use tributary_mapping::Options;
use tributary_ocsf::Version;
use tributary_pipeline::{
    Clock, EventSource as _, Gaps, LetterFilter, Poll, PollConfig, Positions, Progress, RecordFilter, RedriveLetters,
    RedriveRecords, RemapBatches, Replay, ReplayRange, Stop, Target, Transform, TransformConfig, Transformer,
};
use tributary_queue::{Queue, SqsQueue};
use tributary_telemetry::Metrics;
use tributary_test_servers::Server;
use tributary_tests::collect::{Arrived, collect};
use tributary_tests::stage::set;

const HUB: &str = "defender";
const GROUP: &str = "$Default";
const MINUTE: Duration = Duration::from_secs(60);

/// Every record of the bucket, by marker.
async fn arrived(store: &Arc<dyn ObjectStore>) -> BTreeMap<String, Vec<Arrived>> {
    let folder = TempDir::new().unwrap();
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    for object in objects {
        let path = folder.path().join(object.location.as_ref());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, store.get(&object.location).await.unwrap().bytes().await.unwrap()).unwrap();
    }
    collect(&folder.path().join("ext"), &folder.path().join("quarantine"))
}

fn in_lake(records: &BTreeMap<String, Vec<Arrived>>) -> usize {
    assert!(records.values().all(|places| places.len() == 1), "a record is in two places");
    records.values().filter(|places| places[0].file.ends_with(".parquet")).count()
}

async fn an_operators_day(server: &Server) {
    let config = server.config();
    server.table("positions").await;
    server.bucket("deployment");
    let queue = server.queue("events", 1).await;
    let queue = SqsQueue::open(&config, &queue.parse().unwrap()).await.unwrap().with_dead_letters().await.unwrap();
    let queue: Arc<dyn Queue> = Arc::new(queue);
    let ledger = Arc::new(DynamoLedger::new(&config, "positions"));
    let bucket: Bucket = "s3://deployment".parse().unwrap();
    let store = bucket.open(&config, &BucketOptions::default()).unwrap();

    let emulator = Emulator::builder().hub(HubConfig::new(HUB, 1)).listen("127.0.0.1:0").start().await.unwrap();
    for sample in Samples::new(5).only(&[Kind::DefenderAlert]).malformed_per_mille(200).events(8) {
        emulator.hub(HUB).unwrap().publish(0, Event::new(sample.body)).unwrap();
    }
    let connection = emulator.connection_string(HUB);
    let source = Arc::new(EventHubSource::builder().connection_string(&connection).unwrap().build_source().unwrap());
    let transform = |set| Transform {
        queue: Arc::clone(&queue),
        staging: Staging::new(Arc::clone(&store)),
        publisher: Publisher::new(Arc::clone(&store), Arc::clone(&store)),
        transformer: Arc::new(
            Transformer::new(
                set,
                Options::default(),
                Layout::from_prefix("us-east-1", "azure-", Version::V1_3_0).unwrap(),
            )
            .unwrap(),
        ),
        flow_logs: None,
        findings: None,
        trail: None,
        metrics: Metrics::new(),
        clock: Clock::system(),
        stop: Stop::new(),
        config: TransformConfig::new("azure"),
    };
    let (old, full) = (set(&["defender_alert"]), set(&[]));
    let mut poll = PollConfig::new("azure", "test");
    poll.batch_events = 4;
    let poll = Poll {
        source: source.clone(),
        ledger: ledger.clone(),
        queue: Arc::clone(&queue),
        staging: Staging::new(Arc::clone(&store)),
        metrics: Metrics::new(),
        clock: Clock::system(),
        stop: Stop::new(),
        config: poll,
    };
    assert_eq!(poll.run(MINUTE).await.unwrap().events(), 8);

    // Both batches are dead letters: they go back, and through older maps.
    let mut taken = 0;
    while taken < 2 {
        for message in queue.receive(10, MINUTE, MINUTE / 6).await.unwrap() {
            queue.release(&message.receipt).await.unwrap();
            taken += 1;
        }
    }
    assert_eq!(queue.receive(10, MINUTE, Duration::ZERO).await.unwrap(), [], "received as often as the policy allows");
    let letters = RedriveLetters {
        queue: Arc::clone(&queue),
        filter: LetterFilter { since: Some(0), ..LetterFilter::default() },
        limit: None,
        dry_run: false,
        clock: Clock::system(),
        stop: Stop::new(),
        progress: Progress::silent(),
    };
    let report = letters.run().await.unwrap();
    assert_eq!((report.redriven, report.failure), (2, None));
    assert_eq!(transform(old.clone()).drain(MINUTE).await.unwrap().delivered, 2);
    let records = arrived(&store).await;
    assert_eq!(in_lake(&records), 0, "the older maps know no alert");

    // The quarantine goes to the lake by maps that know alerts.
    let redrive = RedriveRecords {
        quarantine: Quarantine::new(Arc::clone(&store)).unwrap(),
        transform: transform(full.clone()),
        filter: RecordFilter { reasons: ["unknown-kind".to_owned()].into(), ..RecordFilter::default() },
        limit: None,
        dry_run: false,
        progress: Progress::silent(),
    };
    let report = redrive.run().await.unwrap();
    assert_eq!((report.failures.len(), report.mapped > 0), (0, true), "{report:?}");
    let redriven = arrived(&store).await;
    assert_eq!((redriven.len(), in_lake(&redriven) as u64), (records.len(), report.mapped));

    // Sent again, nothing changes; mapped anew, the redrives' rows are the batches' own.
    let replay = Replay {
        source: source.clone(),
        consumer_group: GROUP.to_owned(),
        ledger: ledger.clone(),
        queue: Arc::clone(&queue),
        staging: Staging::new(Arc::clone(&store)),
        publisher: Publisher::new(Arc::clone(&store), Arc::clone(&store)),
        module: "azure".to_owned(),
        batch_events: Replay::BATCH_EVENTS,
        gaps: Gaps::WhenCertain,
        staged_for: Replay::STAGED_FOR,
        clock: Clock::system(),
        stop: Stop::new(),
        progress: Progress::silent(),
    };
    let plan = replay.plan("0", ReplayRange::default()).await.unwrap();
    let report = replay.run(&plan).await.unwrap();
    assert_eq!((report.batches, report.events, report.cut + report.left), (2, 8, 0), "{report:?}");
    assert_eq!(transform(full.clone()).drain(MINUTE).await.unwrap().delivered, 2);
    let names = |records: &BTreeMap<String, Vec<Arrived>>| {
        let name = |place: &Arrived| place.file.rsplit_once('/').unwrap().1.to_owned();
        records.iter().map(|(marker, places)| (marker.clone(), name(&places[0]))).collect::<Vec<_>>()
    };
    let again = arrived(&store).await;
    assert_eq!((in_lake(&again), names(&again)), (in_lake(&redriven), names(&redriven)));
    let remap = RemapBatches { replay, transform: transform(full), take_over: false };
    let report = remap.run(&plan).await.unwrap();
    assert_eq!((report.batches, report.failures.len()), (2, 0), "{report:?}");
    let remapped = arrived(&store).await;
    assert_eq!((remapped.len(), in_lake(&remapped)), (records.len(), in_lake(&redriven)));
    assert!(names(&remapped).iter().all(|(_, name)| !name.contains("-q1")), "a redrive's object is left");

    // The partition is shown and moved.
    let positions = Positions { ledger, clock: Clock::system(), time_to_live: 24 * 60 * MINUTE };
    let listed = positions.list().await.unwrap();
    assert_eq!(listed[0].item.position.as_ref().unwrap().sequence_number.0, 7);
    let proposed = positions.propose(source.as_ref(), GROUP, "0", &Target::Sequence(5), false).await.unwrap();
    let moved = positions.apply(&proposed).await.unwrap();
    assert_eq!(positions.list().await.unwrap()[0].item, moved);
    assert_eq!(poll.run(MINUTE).await.unwrap().events(), 2);
    source.close().await.unwrap();
    emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_ministack() {
    let Some(server) = Server::ministack() else { return };
    an_operators_day(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_moto() {
    let Some(server) = Server::moto() else { return };
    an_operators_day(&server).await;
}
