//! `flowlog-processor`: until blobs are read, notifications stay in their queue.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tracing::error;

use crate::sqs_event::{records, response};
use crate::{Failed, Invocation, Job, Start};

struct FlowLogProcessor;

/// Makes the handler.
///
/// # Errors
/// What is missing or malformed.
pub(crate) async fn start(start: &Start) -> Result<Arc<dyn Job>, Failed> {
    start.aws().await?;
    Ok(Arc::new(FlowLogProcessor))
}

#[async_trait]
impl Job for FlowLogProcessor {
    /// Gives every notification back: none is lost, and none is taken for done.
    async fn invoke(&self, mut event: Value, _invocation: &Invocation) -> Result<Value, Failed> {
        let Some(records) = records(&mut event)? else {
            return Err(Failed("the event is not SQS's: the handler takes messages of the flow log queue".to_owned()));
        };
        error!(
            messages = records.len(),
            "this version reads no flow log blobs: leave FLOW_LOG_SQS_QUEUE of the transformer unset"
        );
        Ok(response(&records.into_iter().map(|record| record.message_id).collect::<Vec<_>>()))
    }
}
