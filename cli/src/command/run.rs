//! `tributary run`: poll, transform and flow logs in one process, every back end chosen by URL.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use serde_json::json;
use tributary_azure_eventhub::EventHubSource;
use tributary_azure_flowlog_job::{ReadConfig, ReadFlowLogs, ToLake};
use tributary_ledger::Policy;
use tributary_mapping::MappingSet;
use tributary_pipeline::{EventSource as _, PollConfig, StartPosition, Stop, worker_mark};
use tributary_queue::Queue;
use tributary_telemetry::{Metrics, logging};

use crate::aws::Aws;
use crate::backend::Backend;
use crate::command::flowlogs::{self, MAX_SWEEP_HOURS};
use crate::deployment::DeploymentArgs;
use crate::failure::{CHECK_FAILED, Failure, SOME_QUARANTINED};
use crate::health::Health;
use crate::hub::{HubArgs, Way};
use crate::jobs::{Jobs, Passed};
use crate::runtime;
use crate::set::InForce;
use crate::storage::StorageArgs;

const EXAMPLES: &str = "\
Examples:
  tributary run --once
  tributary run --ledger sqlite:/var/lib/tributary/state.db --queue sqlite:/var/lib/tributary/state.db --lake file:/data
  tributary run --ledger dynamodb:tributary --queue sqs:tributary-events --staging s3://my-staging --lake s3://my-lake

Each pass reads every partition up to its last event, then waits for --interval. SIGTERM and Ctrl-C end it in order: what is \
planned is sent and committed. Several processes may share a SQLite file and the partitions.

Flags win over the environment, the environment over tributary.toml (or the file that TRIBUTARY_CONFIG names).";

/// How long a partition stays with a process that does not come to its next pass.
const LEASE: Duration = Duration::from_secs(30);
/// Longest that a process takes at its end to give its partitions up: whoever stopped it does not wait for ever.
const LEAVING: Duration = Duration::from_secs(5);
/// How often flow logs are looked for that no notification told of.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// Flags of `run`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Read what is there now, transform it, and end: 0 all mapped, 1 by the shipped set in place of --mappings-uri, 3 some
    /// quarantined, 4 something failed
    #[arg(long)]
    once: bool,
    /// Seconds between two passes
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    interval: u64,
    /// Most seconds of one pass
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(15..=86_400))]
    budget: u64,
    #[command(flatten)]
    hub: HubArgs,
    /// Consumer group: the secret's unless given, else $Default
    #[arg(long, env = "EVENTHUB_CONSUMER_GROUP", value_name = "NAME", help_heading = "Hub")]
    consumer_group: Option<String>,
    /// How to reach the hub
    #[arg(long, value_enum, default_value_t = Way::Amqp, help_heading = "Hub")]
    transport: Way,
    /// Where a partition starts that has no position yet
    #[arg(long, value_enum, default_value_t = Start::Earliest, help_heading = "Hub")]
    initial_position: Start,
    /// Positions and leases
    #[arg(long, env = "TRIBUTARY_LEDGER", default_value = "sqlite:tributary.db", value_name = "URL")]
    ledger: Backend,
    /// Batches on their way
    #[arg(long, env = "TRIBUTARY_QUEUE", default_value = "sqlite:tributary.db", value_name = "URL")]
    queue: Backend,
    /// Records that did not become events
    #[arg(long, env = "TRIBUTARY_QUARANTINE", default_value = "file:lake", value_name = "URL")]
    quarantine: Backend,
    #[command(flatten)]
    deployment: DeploymentArgs,
    #[command(flatten)]
    storage: StorageArgs,
    /// Hours of flow logs that are looked at at the start and every hour, for blobs whose notification was lost; 0 for none
    #[arg(long, default_value_t = 3, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(0..=MAX_SWEEP_HOURS), help_heading = "Flow logs")]
    sweep_hours: u32,
    /// Answer GET /healthz here while passes are made: 200 while they succeed, 503 when none did for three passes' time
    #[arg(long, env = "TRIBUTARY_HEALTH", value_name = "ADDR:PORT", conflicts_with = "once")]
    health: Option<SocketAddr>,
    /// ERROR, WARN, INFO or DEBUG
    #[arg(long, default_value = "INFO", env = "LOGGING_LEVEL", value_name = "LEVEL")]
    log_level: String,
    /// Log lines as JSON, and the summary of --once too
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Start {
    /// The oldest event that the hub still has
    Earliest,
    /// Only what arrives from now on
    Latest,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let format = if args.json { logging::Format::Json } else { logging::Format::Text };
    logging::start(&args.log_level, format).map_err(|error| Failure::Usage(error.to_string()))?;
    runtime::block_on(work(args))
}

async fn work(args: &Args) -> Result<ExitCode, Failure> {
    let stop = runtime::stop_on_signal()?;
    let source = Arc::new(source(args).await?);
    let metrics = Metrics::new();
    let InForce { set, refused } = args.deployment.in_force(&metrics).await?;
    let jobs = jobs(args, Arc::clone(&source), set, metrics, stop.clone()).await?;
    let budget = Duration::from_secs(args.budget);
    let result =
        if args.once { once(args, &jobs, budget, refused).await } else { forever(args, &jobs, budget, &stop).await };
    if let Err(error) = source.close().await {
        tracing::debug!("closing the connection: {error}");
    }
    result
}

async fn once(args: &Args, jobs: &Jobs, budget: Duration, refused: bool) -> Result<ExitCode, Failure> {
    let passed = jobs.pass(budget).await?;
    report(args, jobs, &passed);
    if let Some((partition, detail, _)) = passed.poll.failures().next() {
        return Err(Failure::Backend(format!("partition {partition}: {detail}")));
    }
    if passed.transform.failed > 0 {
        let why = passed.transform.failure.unwrap_or_default();
        return Err(Failure::Backend(format!(
            "{} deliveries failed and stay in the queue, the last: {why}",
            passed.transform.failed
        )));
    }
    if passed.flows.failed > 0 {
        let why = passed.flows.failure.unwrap_or_default();
        return Err(Failure::Backend(format!(
            "{} messages of flow logs failed and stay in their queue, the last: {why}",
            passed.flows.failed
        )));
    }
    if passed.import.failed > 0 {
        let why = passed.import.failure.unwrap_or_default();
        return Err(Failure::Backend(format!(
            "{} messages of findings failed and stay in their queue, the last: {why}",
            passed.import.failed
        )));
    }
    Ok(match passed.transform.quarantined {
        _ if refused => ExitCode::from(CHECK_FAILED),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_QUARANTINED),
    })
}

async fn forever(args: &Args, jobs: &Jobs, budget: Duration, stop: &Stop) -> Result<ExitCode, Failure> {
    let health = Health::new(3 * (budget + Duration::from_secs(args.interval)));
    if let Some(address) = args.health {
        let address = health.serve(address).await?;
        tracing::info!(%address, "answering health checks");
    }
    let mut swept: Option<Instant> = None;
    while !stop.is_set() {
        if args.sweep_hours > 0 && swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
            swept = Some(Instant::now());
            sweep(jobs, args.sweep_hours, budget).await;
        }
        match jobs.pass(budget).await {
            Ok(passed) => {
                match passed.poll.failures().next() {
                    None => health.passed(passed.poll.lag()),
                    Some((partition, detail, _)) => health.failed(&format!("partition {partition}: {detail}")),
                }
                // What only a person can mend will not mend itself: say it and go on, the hub keeps the events.
                for (partition, detail, fatal) in passed.poll.failures() {
                    tracing::debug!(partition, fatal, "{detail}");
                }
            }
            Err(failure) => {
                health.failed(failure.text());
                tracing::warn!("{}; trying again in {} s", failure.text(), args.interval);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.interval)) => {}
            () = stop.wait() => {}
        }
    }
    let left = tokio::time::timeout(LEAVING, jobs.poll.leave()).await;
    let why = left.map_or_else(
        |_| Some("the hub or the ledger does not answer".to_owned()),
        |left| left.err().map(|error| error.to_string()),
    );
    if let Some(why) = why {
        tracing::warn!("cannot give up the partitions: {why}; others take them when the leases end");
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks for flow logs whose notification was lost. What fails is tried again an hour later.
async fn sweep(jobs: &Jobs, hours: u32, budget: Duration) {
    let Some(flows) = &jobs.flows else { return };
    match flows.sweep(&flowlogs::sweep_of(hours), tokio::time::Instant::now() + budget).await {
        Err(error) => tracing::warn!("sweep of flow logs: {error}"),
        Ok(report) if report.behind > 0 || report.failed > 0 => {
            tracing::info!(blobs = report.blobs, behind = report.behind, failed = report.failed, "flow logs swept");
        }
        Ok(_) => {}
    }
}

async fn source(args: &Args) -> Result<EventHubSource, Failure> {
    let transport = args.transport.transport();
    let hub = args.hub.hub(args.consumer_group.as_deref()).await?;
    hub.builder().transport(transport).build_source().map_err(|error| Failure::Usage(error.to_string()))
}

async fn jobs(
    args: &Args,
    source: Arc<EventHubSource>,
    set: MappingSet,
    metrics: Metrics,
    stop: Stop,
) -> Result<Jobs, Failure> {
    // Not the process id alone: in containers it is 1 for all.
    let worker = format!("run-{}-{}", std::process::id(), worker_mark());
    let mut poll = PollConfig::new(&args.deployment.place.module_id, worker);
    // Processes that share a ledger share its partitions; one that died gives its up when the lease ends, and one that waits
    // for its next pass keeps them.
    poll.policy = Policy::WhenFree;
    poll.share = !args.once;
    poll.lease = LEASE.saturating_add(Duration::from_secs(args.interval));
    poll.initial_position = match args.initial_position {
        Start::Earliest => StartPosition::Earliest,
        Start::Latest => StartPosition::Latest,
    };
    let aws = Aws::default();
    let delivery = args.deployment.delivery(&aws).await?;
    let (queue, quarantine) = (args.queue.queue("events", &aws).await?, args.quarantine.store(&aws).await?);
    let common = (metrics.clone(), stop.clone());
    let transform = args.deployment.transform(&aws, set, queue, quarantine.clone(), &delivery, common).await?;
    let flows = flow_logs(args, &aws, transform.flow_logs.clone(), quarantine, (metrics, stop)).await?;
    Ok(Jobs { flows, ..Jobs::new(transform, delivery, source, args.ledger.ledger(&aws).await?, poll) })
}

/// The job that reads flow logs, where storage is named.
async fn flow_logs(
    args: &Args,
    aws: &Aws,
    queue: Option<Arc<dyn Queue>>,
    quarantine: Arc<dyn ObjectStore>,
    (metrics, stop): (Metrics, Stop),
) -> Result<Option<ReadFlowLogs>, Failure> {
    if !args.storage.any() {
        return Ok(None);
    }
    let Some(queue) = queue else {
        return Err(Failure::Usage(
            "flow logs are named, and no queue for their notifications: add --flow-log-queue sqlite:tributary.db"
                .to_owned(),
        ));
    };
    let place = &args.deployment.place;
    Ok(Some(ReadFlowLogs {
        queue,
        storage: args.storage.open(&args.hub.who, aws).await?,
        cursors: args.ledger.cursors(aws).await?,
        lake: ToLake::new(Arc::new(place.flow_logs()?), place.publisher(quarantine, aws).await?, metrics.clone()),
        metrics,
        stop,
        config: ReadConfig::default(),
    }))
}

fn report(args: &Args, jobs: &Jobs, passed: &Passed) {
    let Passed { poll, transform, import, flows } = passed;
    let snapshot = jobs.metrics.snapshot();
    let total = |metric| snapshot.total(metric);
    use tributary_telemetry::Metric;
    if args.json {
        println!(
            "{}",
            json!({"events": poll.events(), "batches": poll.batches(), "lost": poll.lost(), "lag": poll.lag(),
                "mapped": transform.mapped, "quarantined": transform.quarantined,
                "routed": transform.routed, "skipped": transform.skipped, "failed": transform.failed,
                "findings": transform.findings, "imported": import.findings, "trail": transform.trail,
                "flowNotifications": flows.notifications, "flowRecords": flows.read.records,
                "flowTuples": total(Metric::FlowTuples),
                "objects": total(Metric::ObjectsWritten), "bytes": total(Metric::BytesWritten)})
        );
        return;
    }
    println!(
        "events {}, mapped {}, quarantined {}, routed {}, skipped {}, objects {} ({} bytes), lag {}, lost {}",
        poll.events(),
        transform.mapped,
        transform.quarantined,
        transform.routed,
        transform.skipped,
        total(Metric::ObjectsWritten),
        total(Metric::BytesWritten),
        poll.lag(),
        poll.lost()
    );
    if jobs.flows.is_some() {
        println!(
            "flow logs: notifications {}, records {}, tuples {}, {} bytes fetched",
            flows.notifications,
            flows.read.records,
            total(Metric::FlowTuples),
            flows.read.bytes
        );
    }
    if jobs.transform.findings.is_some() || jobs.transform.trail.is_some() {
        println!("findings {}, imported {}, trail events {}", transform.findings, import.findings, transform.trail);
    }
}
