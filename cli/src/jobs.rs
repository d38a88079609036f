//! The poll, transform, import and flow log jobs over chosen back ends, and running them side by side.

use std::sync::Arc;
use std::time::Duration;

use tributary_azure_flowlog_job::{FlowReport, ReadFlowLogs};
use tributary_delivery::Sink;
use tributary_ledger::Ledger;
use tributary_pipeline::{
    EventSource, Findings, ImportConfig, ImportFindings, ImportReport, Poll, PollConfig, PollReport, Stop, Trail,
    Transform, TransformReport,
};
use tributary_queue::QueueError;
use tributary_telemetry::Metrics;

use crate::failure::Failure;

/// Where events go beside the lake: nowhere by default.
#[derive(Default)]
pub(crate) struct Delivery {
    /// Where findings wait.
    pub(crate) findings: Option<Findings>,
    /// Who takes the findings that wait.
    pub(crate) importer: Option<Arc<dyn Sink>>,
    pub(crate) trail: Option<Trail>,
}

/// The jobs, counting into one set of metrics.
pub(crate) struct Jobs {
    pub(crate) poll: Poll,
    pub(crate) transform: Transform,
    pub(crate) import: Option<ImportFindings>,
    /// Flow logs, where their notifications are read here.
    pub(crate) flows: Option<ReadFlowLogs>,
    pub(crate) metrics: Metrics,
}

/// What a pass of the jobs did.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) poll: PollReport,
    pub(crate) transform: TransformReport,
    pub(crate) import: ImportReport,
    pub(crate) flows: FlowReport,
}

impl Jobs {
    /// The jobs over what the transform job has.
    pub(crate) fn new(
        transform: Transform,
        delivery: Delivery,
        source: Arc<dyn EventSource>,
        ledger: Arc<dyn Ledger>,
        config: PollConfig,
    ) -> Self {
        let Transform { queue, staging, metrics, clock, stop, .. } = transform.clone();
        let waiting = delivery.findings.map(|findings| findings.queue);
        let import = waiting.zip(delivery.importer).map(|(queue, sink)| ImportFindings {
            queue,
            sink,
            metrics: metrics.clone(),
            stop: stop.clone(),
            config: ImportConfig::default(),
        });
        let poll = Poll { source, ledger, queue, staging, metrics: metrics.clone(), clock, stop, config };
        Self { poll, transform, import, flows: None, metrics }
    }

    /// Reads what is in the hub now, transforms until the queue is empty, imports until that of findings is and reads flow logs until that
    /// of their notifications is, all at once.
    pub(crate) async fn pass(&self, budget: Duration) -> Result<Passed, Failure> {
        let (polled, transformed) = (Stop::new(), Stop::new());
        let transforming = async {
            let mut report = TransformReport::default();
            while !polled.is_set() && !self.transform.stop.is_set() {
                report.add(&self.transform.run(Duration::from_millis(100)).await?);
            }
            report.add(&self.transform.drain(budget).await?);
            Ok(report)
        };
        let transforming = async {
            let report = transforming.await;
            transformed.set();
            report
        };
        let importing = async {
            let mut report = ImportReport::default();
            let Some(import) = &self.import else { return Ok(report) };
            while !transformed.is_set() && !import.stop.is_set() {
                report.add(&import.run(Duration::from_millis(200)).await?);
            }
            report.add(&import.drain(budget).await?);
            Ok(report)
        };
        let flowing = async {
            let mut report = FlowReport::default();
            let Some(flows) = &self.flows else { return Ok(report) };
            while !transformed.is_set() && !flows.stop.is_set() {
                report.add(&flows.run(Duration::from_millis(200)).await?);
            }
            report.add(&flows.drain(budget).await?);
            Ok(report)
        };
        let polling = async {
            let report = self.poll.run(budget).await;
            polled.set();
            report
        };
        let (poll, transform, import, flows) = tokio::join!(polling, transforming, importing, flowing);
        let poll = poll.map_err(|error| Failure::Backend(error.to_string()))?;
        let queue = |error: QueueError| Failure::Backend(error.to_string());
        Ok(Passed {
            poll,
            transform: transform.map_err(queue)?,
            import: import.map_err(queue)?,
            flows: flows.map_err(queue)?,
        })
    }
}
