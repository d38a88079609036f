//! One process that polls and transforms until nothing is left, and may be told where to die.
//!
//! `crash_worker CONNECTION_STRING FOLDER SETTING…`, each setting one of `end=STEP:NTH`, `without=KIND` (maps without that
//! kind, as another version would), `batch=EVENTS`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tributary_azure_eventhub::EventHubSource;
use tributary_lake::{Durability, Layout, LocalStore, Publisher, Staging};
use tributary_ledger::SqliteLedger;
use tributary_mapping::{Destination, MappingSet, Options};
use tributary_ocsf::Version;
use tributary_pipeline::{Clock, Findings, Poll, PollConfig, Stop, Transform, TransformConfig, Transformer};
use tributary_queue::{Queue, RedrivePolicy, SqliteQueue};
use tributary_telemetry::Metrics;
use tributary_tests::steps::{SteppedLedger, SteppedQueue, SteppedSource, SteppedStore, Steps};

/// How long a message stays with a worker that died: the next one waits for it.
const VISIBILITY: Duration = Duration::from_millis(400);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (connection, folder) = (&arguments[1], Path::new(&arguments[2]));
    let (mut end, mut without, mut batch) = (None, None, 12);
    for setting in &arguments[3..] {
        match setting.split_once('=') {
            Some(("end", value)) => {
                let (step, nth) = value.split_once(':').unwrap();
                end = Some((step.to_owned(), nth.parse().unwrap()));
            }
            Some(("without", kind)) => without = Some(kind.to_owned()),
            Some(("batch", events)) => batch = events.parse().unwrap(),
            _ => panic!("{setting}"),
        }
    }
    let steps = Steps::new(end);
    let (poll, transform) = jobs(connection, folder, &steps, without.as_deref(), batch);
    loop {
        let (polled, transformed) = tokio::join!(poll.run(Duration::from_secs(60)), transform.run(VISIBILITY / 4));
        let (polled, transformed) = (polled.expect("the hub answers"), transformed.expect("the queue answers"));
        if let Some((partition, detail, _)) = polled.failures().next() {
            panic!("partition {partition}: {detail}");
        }
        assert_eq!(transformed.failure, None);
        let counts = transform.queue.counts().await.unwrap();
        assert_eq!(counts.dead, 0, "a dead letter");
        if polled.events() == 0 && polled.lag() == 0 && counts.visible + counts.in_flight == 0 {
            break;
        }
    }
    poll.source.close().await.unwrap();
    println!("done");
}

fn jobs(connection: &str, folder: &Path, steps: &Arc<Steps>, without: Option<&str>, batch: usize) -> (Poll, Transform) {
    let state = folder.join("state.db");
    let source = EventHubSource::builder().connection_string(connection).unwrap().build_source().unwrap();
    let ledger = Arc::new(SqliteLedger::open(&state).unwrap());
    // More deaths than five must not make dead letters here.
    let queue = SqliteQueue::open(&state, "events", RedrivePolicy { max_receives: 50 }).unwrap();
    let queue: Arc<dyn Queue> = Arc::new(SteppedQueue::batches(Arc::new(queue), Arc::clone(steps)));
    let flow_logs = SqliteQueue::open(&state, "flow-logs", RedrivePolicy::default()).unwrap();
    let flow_logs: Arc<dyn Queue> = Arc::new(SteppedQueue::flow_logs(Arc::new(flow_logs), Arc::clone(steps)));
    let findings = SqliteQueue::open(&state, "findings", RedrivePolicy::default()).unwrap();
    let findings = Findings {
        queue: Arc::new(SteppedQueue::findings(Arc::new(findings), Arc::clone(steps))),
        destination: Destination::new("111122223333", "us-east-1").unwrap(),
    };
    let store = |path: &Path| -> Arc<dyn ObjectStore> {
        let store = LocalStore::open(path, Durability::Cached).unwrap();
        Arc::new(SteppedStore(Arc::new(store), Arc::clone(steps)))
    };
    let staging = Staging::new(store(&folder.join("staging")));
    let publisher = Publisher::new(store(&folder.join("lake")), store(folder));
    let set = MappingSet::compile(&sources(without), tributary_azure_mappings::functions(), Version::V1_3_0).unwrap();
    let layout = Layout::from_prefix("us-east-1", "azure-", Version::V1_3_0).unwrap();
    let transformer = Transformer::new(Arc::new(set), Options::default(), layout).unwrap();
    let (metrics, clock, stop) = (Metrics::new(), Clock::system(), Stop::new());
    let mut config = PollConfig::new("azure", "crash");
    config.reserve = Duration::ZERO;
    config.batch_events = batch;
    let poll = Poll {
        source: Arc::new(SteppedSource(Arc::new(source), Arc::clone(steps))),
        ledger: Arc::new(SteppedLedger(ledger, Arc::clone(steps))),
        queue: Arc::clone(&queue),
        staging: staging.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        stop: stop.clone(),
        config,
    };
    let mut config = TransformConfig::new("azure");
    config.visibility = VISIBILITY;
    let transform = Transform {
        queue,
        staging,
        publisher,
        transformer: Arc::new(transformer),
        flow_logs: Some(flow_logs),
        findings: Some(findings),
        trail: None,
        metrics,
        clock,
        stop,
        config,
    };
    (poll, transform)
}

/// The shipped mapping files, or those of a version that does not know one kind and has no general map to take its records.
fn sources(without: Option<&str>) -> tributary_mapping::Sources {
    let mut sources = tributary_azure_mappings::maps();
    if let Some(kind) = without {
        let before = sources.len();
        sources.retain(|name, _| !name.starts_with(&format!("{kind}.")));
        assert!(sources.len() < before, "there is no kind {kind}");
        sources.retain(|name, _| !name.starts_with("azure_general."));
    }
    sources
}
