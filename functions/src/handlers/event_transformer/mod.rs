//! `event-transformer`: batches from the queue to the lake.

mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::warn;
use tributary_aws::SdkConfig;
use tributary_pipeline::Transform;
use tributary_queue::{SqsAddress, SqsQueue};
use tributary_telemetry::{Metric, Metrics};

use crate::sqs_event::{SqsRecord, records, response};
use crate::{Failed, Invocation, Job, Start};

/// A batch is begun only with this much time left: what Lambda cuts off is done again from the start.
const ENOUGH: Duration = Duration::from_secs(20);

struct EventTransformer {
    aws: SdkConfig,
    transform: Transform,
    /// What was counted while the process started.
    started: Metrics,
}

/// Makes the handler.
///
/// # Errors
/// What is missing or malformed.
pub(crate) async fn start(start: &Start) -> Result<Arc<dyn Job>, Failed> {
    let (aws, started) = (start.aws().await?, Metrics::new());
    let transform = settings::transform(start, &aws, &started).await?;
    Ok(Arc::new(EventTransformer { aws, transform, started }))
}

#[async_trait]
impl Job for EventTransformer {
    async fn invoke(&self, mut event: Value, invocation: &Invocation) -> Result<Value, Failed> {
        // Refused mapping files are told of at every invocation: an alarm must not go quiet while they are in the way.
        let refused = self.started.snapshot().total(Metric::MappingsRefused);
        if refused > 0 {
            invocation.metrics.count(Metric::MappingsRefused, refused);
        }
        let transform = Transform { metrics: invocation.metrics.clone(), ..self.transform.clone() };
        if let Some(records) = records(&mut event)? {
            return Ok(batch(&transform, records, invocation).await);
        }
        match event.get("queueUrl").and_then(Value::as_str) {
            Some(url) => self.drain(transform, url, invocation).await,
            None => Err(Failed("the event is neither SQS's nor {\"queueUrl\"}: see the handler's README".to_owned())),
        }
    }
}

impl EventTransformer {
    /// Takes messages of a queue until it is empty or the time is over.
    async fn drain(&self, transform: Transform, url: &str, invocation: &Invocation) -> Result<Value, Failed> {
        let address: SqsAddress = url.parse().map_err(|error| Failed(format!("queueUrl: {error}")))?;
        let queue = SqsQueue::open(&self.aws, &address).await.map_err(|error| Failed(format!("queueUrl: {error}")))?;
        let transform = Transform { queue: Arc::new(queue), ..transform };
        let report = transform.drain(invocation.left(ENOUGH)).await.map_err(|error| Failed(error.to_string()))?;
        let summary = json!({"delivered": report.delivered, "failed": report.failed, "mapped": report.mapped,
            "quarantined": report.quarantined, "routed": report.routed, "skipped": report.skipped});
        match report.failure {
            Some(failure) if report.delivered == 0 => Err(Failed(failure)),
            _ => Ok(summary),
        }
    }
}

/// One message after another: each takes a core, and some ten times its batch's size of memory.
async fn batch(transform: &Transform, records: Vec<SqsRecord>, invocation: &Invocation) -> Value {
    let mut failed = Vec::new();
    for record in records {
        if Instant::now() + ENOUGH >= invocation.deadline {
            failed.push(record.message_id);
            continue;
        }
        if let Err(error) = transform.deliver(&record.body, &record.message_id).await {
            invocation.metrics.count(Metric::DeliveryErrors, 1);
            if error.is_denied() {
                invocation.metrics.count(Metric::AccessDenied, 1);
            }
            warn!(message_id = %record.message_id, attempt = record.receive_count, "{error}; the queue delivers it again");
            failed.push(record.message_id);
        }
    }
    response(&failed)
}
