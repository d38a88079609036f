//! `flowlog-processor`: notifications of flow log blobs to the lake; and, on a schedule of its own, a sweep for those that were lost.

mod settings;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;
use tributary_azure_flowlog_job::{ReadFlowLogs, Sweep};
use tributary_azure_identity::FlowLogCredentials;
use tributary_telemetry::Metric;

use crate::sqs_event::{records, response};
use crate::{Failed, Invocation, Job, Start};

/// Kept free to answer.
const KEPT: Duration = Duration::from_secs(5);
const HOUR_MS: i64 = 3_600_000;

struct FlowLogProcessor {
    job: ReadFlowLogs,
    credentials: FlowLogCredentials,
    /// Hours for which the ledger keeps cursors.
    kept_hours: i64,
}

/// `{"sweep":{"hours":H}}`: every blob of the last H hours is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepEvent {
    sweep: Hours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hours {
    hours: i64,
}

/// Makes the handler.
///
/// # Errors
/// What is missing or malformed.
pub(crate) async fn start(start: &Start) -> Result<Arc<dyn Job>, Failed> {
    let (job, credentials, kept_hours) = settings::job(start).await?;
    Ok(Arc::new(FlowLogProcessor { job, credentials, kept_hours }))
}

#[async_trait]
impl Job for FlowLogProcessor {
    async fn invoke(&self, mut event: Value, invocation: &Invocation) -> Result<Value, Failed> {
        let metrics = invocation.metrics.clone();
        // A secret that cannot be read fails the blobs; here its age is told, so that an alarm tells when it is time for another.
        if let Ok(Some(age)) = self.credentials.secret_age().await {
            metrics.record(Metric::SecretAgeSeconds, "", age.as_secs());
        }
        let job = ReadFlowLogs { lake: self.job.lake.counting(metrics.clone()), metrics, ..self.job.clone() };
        let until = invocation.deadline.checked_sub(KEPT).unwrap_or(invocation.deadline);
        let Some(records) = records(&mut event)? else { return self.sweep(&job, event, until).await };
        let bodies: Vec<&str> = records.iter().map(|record| record.body.as_str()).collect();
        let (answers, _) = job.take(&bodies, until).await;
        let mut failed = Vec::new();
        for (record, answer) in records.iter().zip(answers) {
            if let Err(error) = answer {
                warn!(message_id = %record.message_id, attempt = record.receive_count, "{error}; the queue delivers it again");
                failed.push(record.message_id.clone());
            }
        }
        Ok(response(&failed))
    }
}

impl FlowLogProcessor {
    async fn sweep(&self, job: &ReadFlowLogs, event: Value, until: tokio::time::Instant) -> Result<Value, Failed> {
        let SweepEvent { sweep: Hours { hours } } = serde_json::from_value(event).map_err(|_| {
            Failed(
                "the event is neither SQS's nor {\"sweep\":{\"hours\":H}}: the handler takes messages of the flow log queue"
                    .to_owned(),
            )
        })?;
        // A blob of which the ledger has forgotten where it stands would be read from its start.
        if !(1..self.kept_hours).contains(&hours) {
            return Err(Failed(format!(
                "a sweep of {hours} hours: at least 1, and fewer than the {} for which the ledger keeps cursors (CHECKPOINT_TTL_HOURS)",
                self.kept_hours
            )));
        }
        let sweep = Sweep { since: now_ms() - hours * HOUR_MS, prefix: String::new(), dry_run: false };
        let report = job.sweep(&sweep, until).await.map_err(|error| Failed(error.to_string()))?;
        match report.failure {
            Some(failure) => {
                Err(Failed(format!("{} blobs were not read to their end, the last: {failure}", report.failed)))
            }
            None => Ok(json!({"blobs": report.blobs, "behind": report.behind, "outside": report.outside,
                "records": report.read.records, "bytes": report.read.bytes})),
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
