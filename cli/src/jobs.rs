//! The poll and transform jobs over chosen back ends, and running them side by side.

use std::sync::Arc;
use std::time::Duration;

use tributary_ledger::Ledger;
use tributary_pipeline::{EventSource, Poll, PollConfig, PollReport, Stop, Transform, TransformReport};
use tributary_telemetry::Metrics;

use crate::failure::Failure;

/// Both jobs, counting into one set of metrics.
pub(crate) struct Jobs {
    pub(crate) poll: Poll,
    pub(crate) transform: Transform,
    pub(crate) metrics: Metrics,
}

/// What a pass of both jobs did.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) poll: PollReport,
    pub(crate) transform: TransformReport,
}

impl Jobs {
    /// Both over what the transform job has.
    pub(crate) fn new(
        transform: Transform,
        source: Arc<dyn EventSource>,
        ledger: Arc<dyn Ledger>,
        config: PollConfig,
    ) -> Self {
        let Transform { queue, staging, metrics, clock, stop, .. } = transform.clone();
        let poll = Poll { source, ledger, queue, staging, metrics: metrics.clone(), clock, stop, config };
        Self { poll, transform, metrics }
    }

    /// Reads what is in the hub now and transforms until the queue is empty, both at once.
    pub(crate) async fn pass(&self, budget: Duration) -> Result<Passed, Failure> {
        let polled = Stop::new();
        let transforming = async {
            let mut report = TransformReport::default();
            while !polled.is_set() && !self.transform.stop.is_set() {
                report.add(&self.transform.run(Duration::from_millis(100)).await?);
            }
            report.add(&self.transform.drain(budget).await?);
            Ok(report)
        };
        let polling = async {
            let report = self.poll.run(budget).await;
            polled.set();
            report
        };
        let (poll, transform) = tokio::join!(polling, transforming);
        let poll = poll.map_err(|error| Failure::Backend(error.to_string()))?;
        let transform = transform.map_err(|error: tributary_queue::QueueError| Failure::Backend(error.to_string()))?;
        Ok(Passed { poll, transform })
    }
}
