//! What the flow log processor is made of, by its environment.

use std::sync::Arc;

use tributary_azure_blobs::Limits;
use tributary_azure_flowlog_job::accounts::variable;
use tributary_azure_flowlog_job::{AccountList, AzureStorage, ReadConfig, ReadFlowLogs, ToLake};
use tributary_azure_flowlogs::FlowLogs;
use tributary_azure_identity::{Entra, FlowLogCredentials, FlowLogSettings};
use tributary_ocsf::Version;
use tributary_pipeline::Stop;
use tributary_queue::{MemoryQueue, RedrivePolicy};
use tributary_telemetry::Metrics;

use crate::handlers::lake;
use crate::{Failed, Start};

/// Hours for which the ledger keeps cursors, unless configured.
const KEPT_HOURS: u64 = 168;
/// Memory of a process without a blob, in MB.
const IDLE_MB: u64 = 64;
/// Memory of a blob that is read, in MB: a chunk, its columns, an object, and twice a long record.
const BLOB_MB: u64 = 180;

/// The job, who it is, and the hours for which it keeps cursors.
pub(super) async fn job(start: &Start) -> Result<(ReadFlowLogs, FlowLogCredentials, i64), Failed> {
    let (env, aws, module) = (&start.environment, start.aws().await?, start.module()?);
    let failed = |error: &dyn std::fmt::Display| Failed(error.to_string());
    let settings = FlowLogSettings::from_variables(|name| env.text(name).map(str::to_owned));
    let entra = Entra::from_environment().map_err(|error| failed(&error))?;
    let credentials = FlowLogCredentials::new(settings.map_err(|error| failed(&error))?, &aws, entra)
        .map_err(|error| failed(&error))?;
    let accounts: AccountList = match env.text(variable::ACCOUNTS) {
        None => AccountList::default(),
        Some(text) => text.parse().map_err(|error| Failed(format!("{}: {error}", variable::ACCOUNTS)))?,
    };
    let containers = env.text(variable::CONTAINERS).unwrap_or_default();
    let containers = containers.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let version = env.parsed::<Version>("OCSF_VERSION", "1.3.0 or 1.1.0")?.unwrap_or(Version::V1_3_0);
    let logs = FlowLogs::new(version, lake::layout(env, &aws, version)?, module)
        .map_err(|error| Failed(format!("SECURITY_LAKE_SOURCES: {error}")))?;
    let hours = env.number("CHECKPOINT_TTL_HOURS", "1 to 17520 hours, at least the hub's retention", 1..=17_520)?;
    let hours = i64::try_from(hours.unwrap_or(KEPT_HOURS)).unwrap_or(i64::MAX);
    let memory = env.number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "megabytes", 128..=1_048_576)?.unwrap_or(1_024);
    let parallel = usize::try_from(memory.saturating_sub(IDLE_MB) / BLOB_MB).unwrap_or(1).clamp(1, 16);
    let limits = Limits { time_to_live: hours.saturating_mul(3_600_000), ..Limits::default() };
    let metrics = Metrics::new();
    let job = ReadFlowLogs {
        // Lambda's poller receives.
        queue: Arc::new(MemoryQueue::new(RedrivePolicy::default())),
        storage: Arc::new(AzureStorage::new(credentials.clone(), accounts, containers)),
        cursors: Arc::new(start.ledger(&aws)?),
        lake: ToLake::new(Arc::new(logs), lake::publisher(start, &aws).await?, metrics.clone()),
        metrics,
        stop: Stop::new(),
        config: ReadConfig { parallel, limits, ..ReadConfig::default() },
    };
    Ok((job, credentials, hours))
}
