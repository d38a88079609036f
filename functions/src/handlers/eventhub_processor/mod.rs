//! `eventhub-processor`: every partition of the hub to the queue, on a schedule.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tributary_azure_eventhub::Transport;
use tributary_azure_identity::{Entra, HubCredentials, HubSettings};
use tributary_lake::Staging;
use tributary_ledger::DynamoLedger;
use tributary_pipeline::{Clock, EventSource as _, Poll, PollConfig, PollReport, StartPosition, Stop};
use tributary_queue::SqsQueue;
use tributary_telemetry::Metric;

use crate::{Environment, Failed, Invocation, Job, Start};

/// Kept free to close connections and answer.
const KEPT: Duration = Duration::from_secs(3);
/// Memory of a process without a batch, in MB.
const IDLE_MB: u64 = 64;
/// Memory of a partition that is at work, in MB: a batch, its message, its compressor. Some 20 are seen (`make bench`); three times that
/// keeps a function of 512 MB, with a hub of 32 full partitions, below 200.
const PARTITION_MB: u64 = 60;

struct EventHubProcessor {
    credentials: HubCredentials,
    transport: Transport,
    budget_bytes: usize,
    ledger: Arc<DynamoLedger>,
    queue: Arc<SqsQueue>,
    staging: Staging,
    config: PollConfig,
}

/// Makes the handler.
///
/// # Errors
/// What is missing or malformed.
pub(crate) async fn start(start: &Start) -> Result<Arc<dyn Job>, Failed> {
    let (env, aws) = (&start.environment, start.aws().await?);
    let settings = HubSettings::from_variables(|name| env.text(name).map(str::to_owned))
        .map_err(|error| Failed(error.to_string()))?;
    let entra = Entra::from_environment().map_err(|error| Failed(error.to_string()))?;
    let credentials = HubCredentials::new(settings, &aws, entra).map_err(|error| Failed(error.to_string()))?;
    let ledger = start.ledger(&aws)?;
    let mut config = PollConfig::new(start.module()?, "function");
    if let Some(hours) =
        env.number("CHECKPOINT_TTL_HOURS", "1 to 17520 hours, at least the hub's retention", 1..=17_520)?
    {
        config.time_to_live = Duration::from_secs(hours * 3_600);
    }
    config.initial_position = match env.text("INITIAL_POSITION") {
        None | Some("earliest") => StartPosition::Earliest,
        Some("latest") => StartPosition::Latest,
        Some(other) => {
            return Err(Environment::malformed("INITIAL_POSITION", "earliest or latest", other).into());
        }
    };
    let transport = match env.text("EVENTHUB_TRANSPORT") {
        None | Some("amqp") => Transport::Tcp,
        Some("websocket") => Transport::WebSocket,
        Some(other) => {
            return Err(Environment::malformed("EVENTHUB_TRANSPORT", "amqp or websocket", other).into());
        }
    };
    let memory = env.number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "megabytes", 128..=1_048_576)?.unwrap_or(512);
    let budget_mb = (memory / 16).clamp(16, 64);
    config.parallel = usize::try_from(memory.saturating_sub(IDLE_MB + budget_mb) / PARTITION_MB).unwrap_or(1).max(1);
    Ok(Arc::new(EventHubProcessor {
        credentials,
        transport,
        budget_bytes: usize::try_from(budget_mb << 20).unwrap_or(usize::MAX),
        ledger: Arc::new(ledger),
        queue: start.queue(&aws, "SQS_QUEUE_URL").await?,
        staging: Staging::new(start.bucket(&aws, "STAGING_BUCKET")?),
        config,
    }))
}

#[async_trait]
impl Job for EventHubProcessor {
    async fn invoke(&self, _event: Value, invocation: &Invocation) -> Result<Value, Failed> {
        let hub = self.credentials.hub().await.map_err(|error| {
            if error.is_denied() {
                invocation.metrics.count(Metric::AccessDenied, 1);
            }
            Failed(error.to_string())
        })?;
        // Known since it was read: an alarm tells when it is time for another.
        if let Ok(Some(age)) = self.credentials.secret_age().await {
            invocation.metrics.record(Metric::SecretAgeSeconds, "", age.as_secs());
        }
        // A connection does not outlive the pause between two invocations.
        let builder = hub.builder().transport(self.transport).budget_bytes(self.budget_bytes);
        let source = builder.receiver_name(&invocation.request_id).build_source();
        let source = Arc::new(source.map_err(|error| Failed(error.to_string()))?);
        let poll = Poll {
            source: source.clone(),
            ledger: self.ledger.clone(),
            queue: self.queue.clone(),
            staging: self.staging.clone(),
            metrics: invocation.metrics.clone(),
            clock: Clock::system(),
            stop: Stop::new(),
            config: PollConfig { worker: invocation.request_id.clone(), ..self.config.clone() },
        };
        let report = poll.run(invocation.left(KEPT)).await;
        if let Err(error) = source.close().await {
            tracing::debug!("closing the connection: {error}");
        }
        answer(&report.map_err(|error| Failed(error.to_string()))?)
    }
}

/// A partition that failed fails the invocation. One that a later invocation took over is in good hands.
fn answer(report: &PollReport) -> Result<Value, Failed> {
    let failures: Vec<String> =
        report.failures().map(|(partition, detail, _)| format!("partition {partition}: {detail}")).collect();
    if let Some(first) = failures.first() {
        let more = if failures.len() > 1 { format!(" (and {} more)", failures.len() - 1) } else { String::new() };
        return Err(Failed(format!("{first}{more}; the next run goes on from the last commit")));
    }
    Ok(json!({"partitions": report.partitions.len(), "events": report.events(), "batches": report.batches(),
        "lost": report.lost(), "lag": report.lag()}))
}
