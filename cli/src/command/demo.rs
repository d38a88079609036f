//! `tributary demo`: the whole way of an event on one machine, over real AMQP, without any account.

mod flow_logs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use comfy_table::Table;
use object_store::ObjectStore;
use serde_json::json;
use tributary_azure_eventhub::{Destination, EventHubPublisher, EventHubSource, OutgoingEvent};
use tributary_azure_eventhub_emulator::{Emulator, HubConfig};
use tributary_azure_flowlogs::FlowLogs;
use tributary_azure_samples::{Fates, Sample, Samples};
use tributary_delivery::FolderSink;
use tributary_lake::{Durability, Layout, LocalStore, Publisher, Staging};
use tributary_mapping::Options;
use tributary_ocsf::Version;
use tributary_pipeline::{
    Clock, EventSource as _, Findings, PollConfig, Stop, Transform, TransformConfig, Transformer,
};
use tributary_telemetry::{Metric, Metrics, Snapshot, logging};

use crate::aws::Aws;
use crate::backend::Backend;
use crate::failure::Failure;
use crate::jobs::{Delivery, Jobs, Passed};
use crate::progress::bar;
use crate::{mappings, runtime};

/// Network Activity, which flow log tuples are.
const FLOWS: i32 = 4001;
/// Name of the integration.
const MODULE: &str = "azure";
const HUB: &str = "defender";
const PARTITIONS: u32 = 4;
const GROUP: &str = "tributary";
/// Events of one publishing call.
const CHUNK: usize = 500;
/// What a demo puts into its folder; nothing else is ever removed there.
const OWN: [&str; 7] = ["lake", "quarantine", "staging", "findings.ndjson", "state.db", "state.db-wal", "state.db-shm"];
/// Account of findings that go nowhere.
const NO_ACCOUNT: &str = "000000000000";
/// Columns of a usual terminal.
const TERMINAL: usize = 100;
/// A file that says that the folder is a demo's.
const MARK: &str = ".tributary-demo";

const ABOUT: &str = "\
Starts a hub on 127.0.0.1, publishes generated events of every kind to it over AMQP (a few in a hundred malformed on purpose), reads \
them with leases and positions in SQLite, maps them to OCSF and writes Parquet in the Security Lake layout. A folder that is not \
empty is used only if an earlier demo made it.";

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = ABOUT)]
pub(crate) struct Args {
    /// Folder for everything that the demo makes
    #[arg(long, value_name = "DIR", default_value = "tributary-demo")]
    out: PathBuf,
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    events: u64,
    /// Seed of the generated events
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// OCSF version of the events
    #[arg(long, default_value_t = Version::V1_3_0, env = "OCSF_VERSION")]
    ocsf_version: Version,
    /// Region in the objects' paths
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: String,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    logging::start("WARN", logging::Format::Text).map_err(|error| Failure::Usage(error.to_string()))?;
    prepare(&args.out)?;
    runtime::block_on(work(args))
}

/// An empty folder, or one that an earlier demo made, without what that one left.
fn prepare(out: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(out).map_err(|error| Failure::file("create", out, &error))?;
    let mut entries = std::fs::read_dir(out).map_err(|error| Failure::file("list", out, &error))?;
    if entries.next().is_some() && !out.join(MARK).exists() {
        return Err(Failure::Usage(format!("{} is not empty: choose another folder with --out", out.display())));
    }
    for name in OWN {
        let path = out.join(name);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::file("remove", &path, &error));
            }
            _ => {}
        }
    }
    let mark = out.join(MARK);
    std::fs::write(&mark, "made by `tributary demo`; another demo may replace what is here\n")
        .map_err(|error| Failure::file("write", &mark, &error))
}

async fn work(args: &Args) -> Result<ExitCode, Failure> {
    let say = |text: String| {
        if !args.json {
            println!("{text}")
        }
    };
    let hub = HubConfig::new(HUB, PARTITIONS).consumer_group(GROUP);
    let emulator = Emulator::builder().hub(hub).listen("127.0.0.1:0").start().await;
    let emulator = emulator.map_err(|error| Failure::Backend(format!("cannot start the hub: {error}")))?;
    let connection = emulator.connection_string(HUB);
    say(format!("hub        {HUB}, {PARTITIONS} partitions, on amqp://{}", emulator.address()));
    let issued = publish(args, &connection).await?;
    say(format!("published  {} events with {} records, seed {}", args.events, issued.total(), args.seed));

    let source = EventHubSource::builder().connection_string(&connection);
    let source =
        source.map(|builder| builder.hub(HUB).consumer_group(GROUP)).and_then(|builder| builder.build_source());
    let source = Arc::new(source.map_err(|error| Failure::Usage(error.to_string()))?);
    let (state, aws) = (Backend::Sqlite(args.out.join("state.db")), Aws::default());
    let layout = Layout::from_prefix(&args.region, "azure-", args.ocsf_version);
    let layout = layout.map_err(|error| Failure::Usage(error.to_string()))?;
    let set = Arc::new(mappings::shipped(args.ocsf_version)?);
    let logs =
        FlowLogs::new(args.ocsf_version, layout.clone(), MODULE).map_err(|error| Failure::Usage(error.to_string()))?;
    let transformer = Transformer::new(set, Options::default(), layout);
    let delivery = delivery(args, &state, &aws).await?;
    // The keys of quarantine begin with `quarantine/`. Another demo makes it all again: no need to wait for the disk.
    let publisher = Publisher::new(folder(&args.out.join("lake"))?, folder(&args.out)?);
    let notifications = state.queue("flow-logs", &aws).await?;
    let metrics = Metrics::new();
    let transform = Transform {
        queue: state.queue("events", &aws).await?,
        staging: Staging::new(folder(&args.out.join("staging"))?),
        publisher: publisher.clone(),
        transformer: Arc::new(transformer.map_err(|error| Failure::Usage(error.to_string()))?),
        flow_logs: Some(notifications.clone()),
        findings: delivery.findings.clone(),
        trail: None,
        metrics: metrics.clone(),
        clock: Clock::system(),
        stop: Stop::new(),
        config: TransformConfig::new(MODULE),
    };
    let (ledger, poll) = (state.ledger(&aws).await?, PollConfig::new(MODULE, "demo"));
    let flows = flow_logs::job(logs, publisher, notifications, state.cursors(&aws).await?, metrics)?;
    let jobs = Jobs::new(transform, delivery, Arc::clone(&source) as _, ledger, poll);
    let jobs = Jobs { flows: Some(flows), ..jobs };
    let started = Instant::now();
    let spinner = bar(0, "{spinner} receiving, mapping, writing  {elapsed}");
    spinner.enable_steady_tick(Duration::from_millis(120));
    let passed = jobs.pass(Duration::from_secs(3_600)).await;
    spinner.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let passed = passed?;
    if let Err(error) = source.close().await {
        tracing::debug!("closing the connection: {error}");
    }
    emulator.shutdown().await;
    report(args, &passed, &jobs.metrics.snapshot(), issued, seconds);
    check(&passed, issued, jobs.metrics.snapshot().total(Metric::FlowTuples))
}

/// Findings in the form of Security Hub, into a file.
async fn delivery(args: &Args, state: &Backend, aws: &Aws) -> Result<Delivery, Failure> {
    let destination = tributary_mapping::Destination::new(NO_ACCOUNT, &args.region);
    let destination = destination.map_err(|error| Failure::Usage(error.to_string()))?;
    let file = FolderSink::open(&args.out, "findings").map_err(|error| Failure::file("open", &args.out, &error))?;
    let findings = Some(Findings { queue: state.queue("findings", aws).await?, destination });
    Ok(Delivery { findings, importer: Some(Arc::new(file)), trail: None })
}

fn folder(path: &Path) -> Result<Arc<dyn ObjectStore>, Failure> {
    let store = LocalStore::open(path, Durability::Cached);
    Ok(Arc::new(store.map_err(|error| Failure::file("open", path, &error))?))
}

/// Publishes the samples over AMQP; returns what must become of their records.
async fn publish(args: &Args, connection: &str) -> Result<Fates, Failure> {
    let publisher = EventHubPublisher::builder().connection_string(connection);
    let publisher = publisher.and_then(|builder| builder.hub(HUB).build_publisher());
    let publisher = publisher.map_err(|error| Failure::Usage(error.to_string()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let samples = Samples::new(args.seed).around(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
    let progress = bar(args.events, "publishing {bar:30} {pos}/{len} events  {elapsed}");
    let (mut issued, mut chunk) = (Fates::default(), Vec::new());
    for (index, sample) in (1..).zip(samples.events(args.events)) {
        issued.add(&sample.records);
        chunk.push(outgoing(sample));
        if chunk.len() == CHUNK || index == args.events {
            let sent = publisher.send(&Destination::Any, &std::mem::take(&mut chunk)).await;
            sent.map_err(|error| Failure::Backend(error.to_string()))?;
            progress.set_position(index);
        }
    }
    progress.finish_and_clear();
    publisher.close().await.map_err(|error| Failure::Backend(error.to_string()))?;
    Ok(issued)
}

fn outgoing(sample: Sample) -> OutgoingEvent {
    OutgoingEvent { properties: sample.properties, ..OutgoingEvent::new(sample.body) }
}

fn report(args: &Args, passed: &Passed, snapshot: &Snapshot, issued: Fates, seconds: f64) {
    let Passed { poll, transform, import, flows } = passed;
    let tuples = snapshot.total(Metric::FlowTuples);
    let (objects, bytes) = (snapshot.total(Metric::ObjectsWritten), snapshot.total(Metric::BytesWritten));
    let counts = |metric| snapshot.of(metric).map(|sample| (sample.label.clone(), sample.value)).collect::<Vec<_>>();
    let (kinds, reasons) = (counts(Metric::RecordsMapped), counts(Metric::RecordsQuarantined));
    let general = counts(Metric::RecordsGeneral);
    let mut classes = transform.classes.clone();
    *classes.entry(FLOWS).or_default() += tuples;
    let classes: Vec<(String, u64)> =
        classes.into_iter().map(|(class, rows)| (class_label(args.ocsf_version, class), rows)).collect();
    if args.json {
        let map = |counts: &[(String, u64)]| counts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>();
        println!(
            "{}",
            json!({"events": poll.events(), "records": issued.total(), "mapped": transform.mapped, "kinds": map(&kinds),
                "classes": map(&classes), "quarantined": transform.quarantined, "reasons": map(&reasons),
                "general": map(&general), "routed": transform.routed, "skipped": transform.skipped, "findings": import.findings,
                "flowNotifications": flows.notifications, "flowTuples": tuples,
                "objects": objects, "bytes": bytes, "seconds": seconds, "lag": poll.lag(), "lost": poll.lost(),
                "out": args.out})
        );
        return;
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    let mut line = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    line("events received", poll.events().to_string());
    line("records issued", issued.total().to_string());
    line("  mapped to the lake", transform.mapped.to_string());
    line("  quarantined, whole and with the reason", transform.quarantined.to_string());
    line("  handed on to the flow log queue", transform.routed.to_string());
    line("  skipped: handshakes of Event Grid", transform.skipped.to_string());
    line("flow log tuples, of the blobs that were notified", tuples.to_string());
    line("findings in the form of Security Hub", import.findings.to_string());
    line("objects written", format!("{objects} ({bytes} bytes)"));
    line("seconds", format!("{seconds:.2}"));
    line("partition lag", poll.lag().to_string());
    println!("{table}");
    let listings = [
        (format!("mapped, by kind ({})", kinds.len()), kinds),
        ("mapped by the general map, by category".to_owned(), general),
        ("rows, by class".to_owned(), classes),
        ("quarantined, by reason".to_owned(), reasons),
    ];
    for (title, counts) in listings.into_iter().filter(|(_, counts)| !counts.is_empty()) {
        print!("\n{title}\n{}", columns(counts));
    }
    let out = args.out.display();
    println!(
        "\nThe lake lies in {out}/lake, what was not mapped in {out}/quarantine, findings for Security Hub in {out}/findings.ndjson, \
         positions and queues in {out}/state.db. Look at it:\n\
         \x20 tributary inspect {out}/lake\n\
         \x20 tributary inspect {out}/quarantine\n\
         \x20 duckdb -c \"SELECT class_name, severity, count(*) FROM read_parquet('{out}/lake/ext/azure-detection/*/*/*/*/*.parquet') GROUP BY ALL\""
    );
}

/// Counts, the highest first, going down as many columns as a usual terminal has room for.
fn columns(mut counts: Vec<(String, u64)>) -> String {
    counts.sort_by(|(name, count), (other, others)| others.cmp(count).then_with(|| name.cmp(other)));
    let digits = counts.first().map_or(0, |(_, count)| count.to_string().len());
    let width = counts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let columns = (TERMINAL / (digits + width + 4)).max(1);
    let lines = counts.len().div_ceil(columns).max(1);
    let mut text = String::new();
    for line in 0..lines {
        let cells = counts.iter().skip(line).step_by(lines);
        let cells: String = cells.map(|(name, count)| format!("  {count:>digits$}  {name:width$}")).collect();
        text += cells.trim_end();
        text.push('\n');
    }
    text
}

fn class_label(version: Version, class: i32) -> String {
    let caption = tributary_ocsf::Schema::get(version).class_by_uid(class).map_or("", |(_, shape)| shape.caption);
    format!("{class} {caption}")
}

/// The demo's own word on whether it did its job: every record became what it had to, none is missing, none came twice.
fn check(passed: &Passed, issued: Fates, tuples: u64) -> Result<ExitCode, Failure> {
    let Passed { poll, transform, import, flows } = passed;
    if let Some((partition, detail, _)) = poll.failures().next() {
        return Err(Failure::Backend(format!("partition {partition}: {detail}")));
    }
    let delivered = Fates {
        mapped: transform.mapped,
        quarantined: transform.quarantined,
        routed: transform.routed,
        skipped: transform.skipped,
    };
    if transform.findings != import.findings || import.failed > 0 {
        return Err(Failure::Check(format!(
            "{} findings, of which {} arrived: {}",
            transform.findings,
            import.findings,
            import.failure.as_deref().unwrap_or("look at the log lines above")
        )));
    }
    let expected = flow_logs::TUPLES * flows.notifications;
    if flows.failed > 0 || flows.notifications != transform.routed || tuples != expected {
        return Err(Failure::Check(format!(
            "{} notifications of flow logs, of which {} are done with, and {tuples} tuples of {expected}: {}",
            transform.routed,
            flows.notifications,
            flows.failure.as_deref().unwrap_or("look at the log lines above")
        )));
    }
    if delivered != issued || transform.failed > 0 || poll.lag() > 0 {
        return Err(Failure::Check(format!(
            "issued {issued:?}, delivered {delivered:?}, {} deliveries failed, lag {}: {}",
            transform.failed,
            poll.lag(),
            transform.failure.as_deref().unwrap_or("look at the log lines above")
        )));
    }
    Ok(ExitCode::SUCCESS)
}
