//! One invocation, whatever the job: its deadline, its log lines, its metrics, and how it fails.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Instrument as _, error, info_span};
use tributary_pipeline::Clock;
use tributary_telemetry::Metrics;

/// Why an invocation failed. It fails as an invocation, so that Lambda's error metric and the alarms on it see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self { error_type: "Failed".to_owned(), error_message: failed.0 }
    }
}

/// What a job knows of the invocation that it works for.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// AWS's request id.
    pub request_id: String,
    /// When Lambda ends the process.
    pub deadline: Instant,
    /// What is counted. Written out when the job has returned.
    pub metrics: Metrics,
}

impl Invocation {
    /// Time that is left, less what is kept free.
    pub fn left(&self, kept: Duration) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).saturating_sub(kept)
    }
}

/// A job behind a handler's name. Made once a process, invoked many times, never twice at once.
#[async_trait]
pub trait Job: Send + Sync {
    /// Does the work of one event.
    ///
    /// # Errors
    /// When the invocation must count as failed.
    async fn invoke(&self, event: Value, invocation: &Invocation) -> Result<Value, Failed>;
}

/// Serves invocations until the process is ended. `module` is the integration's instance id.
///
/// # Errors
/// When Lambda's runtime API cannot be reached or spoken to.
pub async fn serve(job: Arc<dyn Job>, module: String) -> Result<(), lambda_runtime::Error> {
    let clock = Clock::system();
    let handler = service_fn(|event: LambdaEvent<Value>| {
        let (job, module, clock) = (Arc::clone(&job), module.clone(), clock.clone());
        async move {
            let (payload, context) = event.into_parts();
            let now = u64::try_from(clock.now()).unwrap_or(0);
            let left = Duration::from_millis(context.deadline.saturating_sub(now));
            let metrics = Metrics::new();
            let invocation = Invocation {
                request_id: context.request_id.clone(),
                deadline: Instant::now() + left,
                metrics: metrics.clone(),
            };
            let span = info_span!("invocation", request_id = %context.request_id, module = %module);
            let result = async {
                let result = job.invoke(payload, &invocation).await;
                if let Err(failed) = &result {
                    error!("{failed}");
                }
                result
            };
            let result = result.instrument(span).await;
            for line in metrics.snapshot().emf(&module, clock.now()) {
                println!("{line}");
            }
            result
        }
    });
    Runtime::new(handler).run().await
}
