//! `tributary doctor`: what stands in a deployment's way, and what to do about it.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::{Value, json};
use tributary_azure_flowlog_job::examine_storage;
use tributary_azure_identity::HubCredentials;
use tributary_lake::BucketUse;
use tributary_mapping::parse_timestamp;
use tributary_pipeline::{Clock, Doctor, EventSource as _, Subject, Wanted, examine_source};
use tributary_telemetry::{Check, CheckState, logging};

use crate::aws::{Aws, LakeArgs};
use crate::backend::Backend;
use crate::deployment::DeploymentArgs;
use crate::failure::{CHECK_FAILED, Failure};
use crate::hub::{BesideArgs, Identity, Way};
use crate::runtime;
use crate::storage::StorageArgs;

const EXAMPLES: &str = "\
Examples:
  tributary doctor
  tributary doctor --ledger dynamodb:tributary --queue sqs:tributary-events --staging s3://my-staging --lake s3://my-lake
  tributary doctor --retention-hours 168 --json

Takes the flags of `tributary run`, and the variables of the functions beside their environment: CHECKPOINT_TABLE_NAME, SQS_QUEUE_URL, \
STAGING_BUCKET, QUARANTINE_BUCKET, SECURITY_LAKE_S3_BUCKET, FLOW_LOG_SQS_QUEUE. Nothing is changed: docs/OPERATIONS.md says how each \
permission is shown without.";

/// What the checks of AWS need.
const AWS: &str = "aws identity";
/// What the checks of flow logs need.
const FLOW_LOG_IDENTITY: &str = "flow log identity";
/// What the checks of the hub need.
const IDENTITY: &str = "hub identity";

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    hub: BesideArgs,
    /// How to reach the hub
    #[arg(long, value_enum, default_value_t = Way::Amqp, help_heading = "Hub")]
    transport: Way,
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
    /// Hours that a position lives without a run: at least the hub's retention
    #[arg(long, env = "CHECKPOINT_TTL_HOURS", default_value_t = 168, value_name = "HOURS")]
    ttl_hours: u64,
    /// Hours that the hub keeps events, which it does not tell
    #[arg(long, value_name = "HOURS")]
    retention_hours: Option<u64>,
    /// Seconds of the transformer's function, which the queue's visibility timeout must suit; without it a worker is meant
    #[arg(long, value_name = "SECONDS")]
    function_timeout: Option<u64>,
    /// Days that staging must keep outcomes
    #[arg(long, default_value_t = 21, value_name = "DAYS")]
    staged_days: u32,
    /// Longest that one thing may take, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command: 0 when nothing failed, 1 when a check did.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    logging::start("ERROR", logging::Format::Text).map_err(|error| Failure::Usage(error.to_string()))?;
    runtime::block_on(async {
        let subjects = subjects(args).await?;
        let checks = Doctor { subjects, limit: Duration::from_secs(args.timeout) }.run().await;
        report(&checks, args.json)
    })
}

async fn subjects(args: &Args) -> Result<Vec<Subject>, Failure> {
    let (aws, clock) = (Aws::default(), Clock::system());
    let mut subjects = Vec::new();
    let identity = args.hub.identity().await;
    let deployment = &args.deployment;
    let places = [&args.ledger, &args.queue, &args.quarantine, &deployment.staging, &deployment.place.lake];
    let stored = !matches!(&identity, Ok(Identity::Text(_)));
    if stored || places.into_iter().any(Backend::is_on_aws) || deployment.delivers() {
        subjects.push(amazon(&aws).await);
    }
    // Wrong usage of the hub's flags is no finding, and nothing else is looked at then.
    subjects.extend(hub(args, identity?));
    let now = clock.now();
    let timeout = args.function_timeout.map(Duration::from_secs);
    subjects.push(args.ledger.examine_ledger(&aws).await?.needing(AWS));
    subjects.push(args.queue.examine_queue("events", &aws, timeout, now).await?.needing(AWS));
    let used =
        |name: &str, below: &str, kept_days| BucketUse { name: name.to_owned(), below: below.to_owned(), kept_days };
    let own = LakeArgs::default();
    let staging = used("staging", "claims", Some(args.staged_days));
    subjects.push(deployment.staging.examine_objects("staging", &own, &aws, staging).await?.needing(AWS));
    let quarantine = used("quarantine", "quarantine", None);
    subjects.push(args.quarantine.examine_objects("quarantine", &own, &aws, quarantine).await?.needing(AWS));
    let lake = used("lake", &deployment.place.first_location()?, None);
    subjects.push(
        deployment.place.lake.examine_objects("lake", &deployment.place.lake_on_aws, &aws, lake).await?.needing(AWS),
    );
    for subject in deployment.examine(&aws, now).await? {
        subjects.push(subject.needing(AWS));
    }
    subjects.extend(flow_logs(args, &aws).await?);
    subjects.push(deployment.examine_maps().await?);
    Ok(subjects)
}

/// Who reads flow logs, and whether it may, where storage is named.
async fn flow_logs(args: &Args, aws: &Aws) -> Result<Vec<Subject>, Failure> {
    if !args.storage.any() {
        return Ok(Vec::new());
    }
    let who = args.hub.who();
    let mut subjects = Vec::new();
    let storage = args.storage.open(who, aws).await?;
    let look = Subject::new("flow logs", async move { examine_storage(storage.as_ref()).await });
    if let Some(credentials) = args.storage.credentials(who, aws).await? {
        let examined = async move { credentials.examine(SystemTime::now()).await };
        subjects.push(Subject::new(FLOW_LOG_IDENTITY, examined).needing(AWS));
        subjects.push(look.needing(FLOW_LOG_IDENTITY));
    } else {
        subjects.push(look);
    }
    Ok(subjects)
}

async fn amazon(aws: &Aws) -> Subject {
    match aws.config().await {
        Ok(config) => {
            let config = config.clone();
            Subject::new(AWS, async move {
                let seconds = |date: &str| parse_timestamp(date).map(|ms| ms / 1_000);
                tributary_aws::examine(&config, seconds, || Clock::system().now() / 1_000).await
            })
        }
        Err(failure) => {
            let text = failure.text().to_owned();
            Subject::new(AWS, async move { vec![Check::failed(AWS, text, "export AWS_REGION=REGION")] })
        }
    }
}

fn hub(args: &Args, identity: Identity) -> Vec<Subject> {
    let retention = args.retention_hours.map(|hours| Duration::from_secs(hours.saturating_mul(3_600)));
    let wanted = Wanted { time_to_live: Duration::from_secs(args.ttl_hours.saturating_mul(3_600)), retention };
    let mut subjects = Vec::new();
    let credentials: Option<HubCredentials> = match &identity {
        Identity::Text(_) => None,
        Identity::Stored(credentials) => Some(credentials.clone()),
    };
    if let Some(credentials) = credentials {
        let look = async move { credentials.examine(SystemTime::now()).await };
        subjects.push(Subject::new(IDENTITY, look).needing(AWS));
    }
    let (hub, transport) = (args.hub.clone(), args.transport.transport());
    let look = async move {
        let failed =
            |text: String| vec![Check::failed("hub", text, "correct the hub's flags: tributary doctor --help")];
        let builder = match hub.builder(identity).await {
            Ok(builder) => builder.transport(transport).receiver_name("tributary doctor"),
            Err(failure) => return failed(failure.text().to_owned()),
        };
        match builder.build_source() {
            Ok(source) => {
                let source = Arc::new(source);
                let checks = examine_source(source.as_ref(), wanted, Clock::system().now()).await;
                let _ = source.close().await;
                checks
            }
            Err(error) => failed(error.to_string()),
        }
    };
    subjects.push(Subject::new("hub", look).needing(IDENTITY));
    subjects
}

fn report(checks: &[Check], json: bool) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    let count = |state: CheckState| checks.iter().filter(|check| check.state == state).count();
    let failed = count(CheckState::Failed);
    if json {
        let line = |check: &Check| json!({"check": check.name, "state": check.state.as_str(), "found": check.found, "remedy": check.remedy});
        let lines: Vec<Value> = checks.iter().map(line).collect();
        writeln!(out, "{}", json!({"checks": lines, "failed": failed, "warnings": count(CheckState::Warning)}))?;
    } else {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["check", "state", "found"]);
        for check in checks {
            table.add_row([check.name.as_str(), check.state.as_str(), check.found.as_str()]);
        }
        writeln!(out, "{table}")?;
        // Below the table, where a command can be copied.
        for check in checks {
            if let Some(remedy) = &check.remedy {
                writeln!(out, "{} ({}): {remedy}", check.name, check.state)?;
            }
        }
        let [ok, warnings, skipped] = [CheckState::Ok, CheckState::Warning, CheckState::Skipped].map(count);
        writeln!(out, "{ok} ok, {warnings} warnings, {failed} failed, {skipped} skipped")?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(CHECK_FAILED) })
}
