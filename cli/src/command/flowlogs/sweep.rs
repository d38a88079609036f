//! `tributary flowlogs sweep`: blobs whose notification was lost.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::time::Instant;
use tributary_azure_flowlog_job::{ReadConfig, ReadFlowLogs, Sweep, SweepReport, ToLake};
use tributary_queue::{MemoryQueue, RedrivePolicy};
use tributary_telemetry::{Metric, Metrics, Snapshot, logging};

use super::millis;
use crate::aws::Aws;
use crate::backend::Backend;
use crate::deployment::LakePlace;
use crate::failure::{Failure, SOME_QUARANTINED};
use crate::runtime;
use crate::storage::{IdentityArgs, StorageArgs};

/// Hours that cursors are kept: of an earlier blob nobody knows what was read.
pub(crate) const MAX_SWEEP_HOURS: i64 = 167;

/// Flags of `flowlogs sweep`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    who: IdentityArgs,
    /// Where blobs stand: the ledger of the deployment
    #[arg(long, env = "TRIBUTARY_LEDGER", default_value = "sqlite:tributary.db", value_name = "URL")]
    ledger: Backend,
    /// Records and tuples that did not become events
    #[arg(long, env = "TRIBUTARY_QUARANTINE", default_value = "file:lake", value_name = "URL")]
    quarantine: Backend,
    #[command(flatten)]
    place: LakePlace,
    /// Blobs of the last so many hours, by their names; fewer than the ledger keeps cursors for
    #[arg(long, default_value_t = 3, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=MAX_SWEEP_HOURS))]
    since_hours: u32,
    /// Only blobs whose names in their container begin so
    #[arg(long, default_value = "", value_name = "TEXT")]
    prefix: String,
    /// Say how many blobs are behind, and read none
    #[arg(long)]
    dry_run: bool,
    /// Most seconds that it may take
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    budget: u64,
    /// ERROR, WARN, INFO or DEBUG
    #[arg(long, default_value = "WARN", env = "LOGGING_LEVEL", value_name = "LEVEL")]
    log_level: String,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Every blob of the last hours.
pub(crate) fn sweep_of(hours: u32) -> Sweep {
    let since = millis(SystemTime::now()) - i64::from(hours) * 3_600_000;
    Sweep { since, prefix: String::new(), dry_run: false }
}

/// Runs the command: 0 when every blob is read to its end, 3 when something is in quarantine.
pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    logging::start(&args.log_level, logging::Format::Text).map_err(|error| Failure::Usage(error.to_string()))?;
    runtime::block_on(work(args))
}

async fn work(args: &Args) -> Result<ExitCode, Failure> {
    let (aws, metrics) = (Aws::default(), Metrics::new());
    let publisher = args.place.publisher(args.quarantine.store(&aws).await?, &aws).await?;
    let job = ReadFlowLogs {
        // Nothing is received here.
        queue: Arc::new(MemoryQueue::new(RedrivePolicy::default())),
        storage: args.storage.open(&args.who, &aws).await?,
        cursors: args.ledger.cursors(&aws).await?,
        lake: ToLake::new(Arc::new(args.place.flow_logs()?), publisher, metrics.clone()),
        metrics: metrics.clone(),
        stop: runtime::stop_on_signal()?,
        config: ReadConfig::default(),
    };
    let sweep = Sweep { prefix: args.prefix.clone(), dry_run: args.dry_run, ..sweep_of(args.since_hours) };
    let report = job.sweep(&sweep, Instant::now() + Duration::from_secs(args.budget)).await;
    let report = report.map_err(|error| Failure::Backend(error.to_string()))?;
    let snapshot = metrics.snapshot();
    show(args, &report, &snapshot);
    if let Some(failure) = report.failure {
        return Err(Failure::Backend(format!(
            "{} blobs were not read to their end, the last: {failure}",
            report.failed
        )));
    }
    let quarantined = snapshot.total(Metric::RecordsQuarantined) > 0;
    Ok(if quarantined { ExitCode::from(SOME_QUARANTINED) } else { ExitCode::SUCCESS })
}

fn show(args: &Args, report: &SweepReport, snapshot: &Snapshot) {
    let total = |metric| snapshot.total(metric);
    let SweepReport { blobs, behind, outside, read, failed, .. } = report;
    let (tuples, objects) = (total(Metric::FlowTuples), total(Metric::ObjectsWritten));
    if args.json {
        let summary = json!({"blobs": blobs, "behind": behind, "earlier": outside, "failed": failed, "records": read.records,
            "tuples": tuples, "objects": objects, "bytesFetched": read.bytes, "dryRun": args.dry_run,
            "quarantined": total(Metric::RecordsQuarantined)});
        println!("{summary}");
        return;
    }
    let verb = if args.dry_run { "would be read" } else { "had something new" };
    println!(
        "blobs {blobs}, of which {behind} {verb}; records {}, tuples {tuples}, objects {objects}, {} bytes fetched; {outside} of earlier hours left alone",
        read.records, read.bytes
    );
}
