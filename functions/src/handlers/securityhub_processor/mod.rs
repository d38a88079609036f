//! `securityhub-processor`: findings from their queue to Security Hub.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tracing::warn;
use tributary_delivery::SecurityHub;
use tributary_pipeline::{ImportConfig, ImportFindings, Stop};

use crate::sqs_event::{records, response};
use crate::{Failed, Invocation, Job, Start};

struct SecurityHubProcessor {
    import: ImportFindings,
}

/// Makes the handler.
///
/// # Errors
/// What is missing or malformed.
pub(crate) async fn start(start: &Start) -> Result<Arc<dyn Job>, Failed> {
    let (env, aws) = (&start.environment, start.aws().await?);
    let hub = SecurityHub::open(&aws, env.text("SECURITY_HUB_ROLE_ARN"), env.text("SECURITY_HUB_REGION")).await;
    let import = ImportFindings {
        queue: start.queue(&aws, "ASFF_SQS_QUEUE").await?,
        sink: Arc::new(hub.map_err(|error| Failed(error.to_string()))?),
        metrics: tributary_telemetry::Metrics::new(),
        stop: Stop::new(),
        config: ImportConfig::default(),
    };
    Ok(Arc::new(SecurityHubProcessor { import }))
}

#[async_trait]
impl Job for SecurityHubProcessor {
    async fn invoke(&self, mut event: Value, invocation: &Invocation) -> Result<Value, Failed> {
        let Some(records) = records(&mut event)? else {
            return Err(Failed("the event is not SQS's: the handler takes messages of the findings queue".to_owned()));
        };
        let import = ImportFindings { metrics: invocation.metrics.clone(), ..self.import.clone() };
        let bodies: Vec<&str> = records.iter().map(|record| record.body.as_str()).collect();
        let mut failed = Vec::new();
        for (record, result) in records.iter().zip(import.import(&bodies).await) {
            if let Err(error) = result {
                warn!(message_id = %record.message_id, attempt = record.receive_count, "{error}; the queue delivers it again");
                failed.push(record.message_id.clone());
            }
        }
        Ok(response(&failed))
    }
}
