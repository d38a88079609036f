//! From a hub to the lake over real AMQP, both cores: `cargo bench -p tributary-tests --bench hub`.
//!
//! The hub runs in a process of its own; this one polls and transforms, with ledger and queue in SQLite and the lake in a
//! folder, and says how many records a second, how much CPU time of both processes, and its own peak of resident memory.
//! Then the same for a run against a hub of 32 empty partitions. `TRIBUTARY_BENCH_EVENTS` changes the number of events, `TRIBUTARY_BENCH_PARALLEL` and
//! `TRIBUTARY_BENCH_BUDGET_MB` the messages worked on at once and the receiver's budget.
//! With `TRIBUTARY_JUDGE` the input is what that folder's `gen_inputs.py` writes, else the benches' own generator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

#[path = "../chain/inputs.rs"]
mod inputs;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_azure_eventhub::EventHubSource;
use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig};
use tributary_lake::{Durability, Layout, LocalStore, Publisher, Staging};
use tributary_ledger::SqliteLedger;
use tributary_mapping::Options;
use tributary_ocsf::Version;
use tributary_pipeline::{Clock, Poll, PollConfig, Stop, Transform, TransformConfig, Transformer};
use tributary_queue::{RedrivePolicy, SqliteQueue};
use tributary_telemetry::Metrics;
use tributary_tests::taken::{cpu_seconds, peak_mb};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HUB: &str = "defender";
/// As in the command: see `cli/src/runtime.rs`.
const BLOCKING: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--serve") => serve(arguments[2].parse().unwrap(), arguments[3].parse().unwrap()),
        Some("--read") => read(&arguments[2]),
        _ => measure(),
    }
}

/// Each measurement in a fresh process, so that its memory is its own.
fn measure() {
    let events: usize = std::env::var("TRIBUTARY_BENCH_EVENTS").ok().map_or(40_000, |text| text.parse().unwrap());
    for (what, partitions, count) in [("hub to lake", 4, events), ("idle, 32 empty partitions", 32, 0)] {
        let (mut hub, connection) = start(&["--serve", &partitions.to_string(), &count.to_string()]);
        let output = Command::new(std::env::current_exe().unwrap()).args(["--read", &connection]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let served = cpu_seconds(hub.id());
        hub.kill().unwrap();
        hub.wait().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        println!("{what}: {}; the hub's own process took {served:.2} s of CPU since its start", text.trim());
    }
}

fn start(arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().to_owned())
}

fn env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

fn serve(partitions: u32, count: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let emulator = Emulator::builder().hub(HubConfig::new(HUB, partitions)).listen("127.0.0.1:0").start();
    let emulator = runtime.block_on(emulator).unwrap();
    let hub = emulator.hub(HUB).unwrap();
    let alerts = if count == 0 { Vec::new() } else { inputs::given(2_000).1 };
    for index in 0..count {
        hub.publish(index as u32 % partitions, Event::new(alerts[index % alerts.len()].clone())).unwrap();
    }
    println!("{}", emulator.connection_string(HUB));
    // Until the parent goes.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn read(connection: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let (poll, transform) = jobs(connection, folder.path());
    let budget = Duration::from_secs(600);
    let (events, records) = runtime.block_on(async {
        let done = Stop::new();
        let transforming = async {
            let mut mapped = 0;
            while !done.is_set() {
                let report = transform.run(Duration::from_millis(20)).await.unwrap();
                mapped += report.mapped + report.quarantined;
            }
            let report = transform.drain(budget).await.unwrap();
            mapped + report.mapped + report.quarantined
        };
        let polling = async {
            let report = poll.run(budget).await.unwrap();
            assert_eq!(report.failures().count(), 0, "{report:?}");
            done.set();
            report.events()
        };
        tokio::join!(polling, transforming)
    });
    let wall = started.elapsed().as_secs_f64();
    runtime.block_on(poll.source.close()).unwrap();
    println!(
        "{events} events, {records} records in {wall:.2} s ({:.0}/s), {:.2} s of CPU, peak {:.0} MB",
        records as f64 / wall,
        cpu_seconds(std::process::id()),
        peak_mb(std::process::id())
    );
}

fn jobs(connection: &str, folder: &Path) -> (Poll, Transform) {
    let state = folder.join("state.db");
    let source = EventHubSource::builder().connection_string(connection).unwrap();
    let source = source.budget_bytes(env("TRIBUTARY_BENCH_BUDGET_MB", 64) << 20).build_source().unwrap();
    let queue = Arc::new(SqliteQueue::open(&state, "events", RedrivePolicy::default()).unwrap());
    let store = |name: &str| Arc::new(LocalStore::open(&folder.join(name), Durability::Cached).unwrap());
    let staging = Staging::new(store("staging"));
    let set = Arc::new(tributary_azure_mappings::shipped(Version::V1_3_0).unwrap());
    let layout = Layout::from_prefix("us-east-1", "azure-", Version::V1_3_0).unwrap();
    let (metrics, clock, stop) = (Metrics::new(), Clock::system(), Stop::new());
    let poll = Poll {
        source: Arc::new(source),
        ledger: Arc::new(SqliteLedger::open(&state).unwrap()),
        queue: queue.clone(),
        staging: staging.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        stop: stop.clone(),
        config: PollConfig::new("azure", "bench"),
    };
    let transform = Transform {
        queue,
        staging,
        publisher: Publisher::new(store("lake"), store("quarantine")),
        transformer: Arc::new(Transformer::new(set, Options::default(), layout).unwrap()),
        flow_logs: None,
        findings: None,
        trail: None,
        metrics,
        clock,
        stop,
        config: TransformConfig { parallel: env("TRIBUTARY_BENCH_PARALLEL", 1), ..TransformConfig::new("azure") },
    };
    (poll, transform)
}
