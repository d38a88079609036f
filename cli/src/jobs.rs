//! The poll, transform and import jobs over chosen back ends, and running them side by side.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tributary_delivery::Sink;
use tributary_lake::{Layout, Publisher, Staging};
use tributary_ledger::Ledger;
use tributary_mapping::{MappingSet, Options};
use tributary_pipeline::{
    Clock, EventSource, Findings, ImportConfig, ImportFindings, ImportReport, Poll, PollConfig, PollReport, Stop,
    Trail, Transform, TransformConfig, TransformReport, Transformer,
};
use tributary_queue::{Queue, QueueError};
use tributary_telemetry::Metrics;

use crate::failure::Failure;

/// What the jobs are made of.
pub(crate) struct Parts {
    pub(crate) source: Arc<dyn EventSource>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) flow_logs: Option<Arc<dyn Queue>>,
    pub(crate) delivery: Delivery,
    pub(crate) staging: Arc<dyn ObjectStore>,
    pub(crate) lake: Arc<dyn ObjectStore>,
    pub(crate) quarantine: Arc<dyn ObjectStore>,
    pub(crate) set: MappingSet,
    pub(crate) layout: Layout,
    pub(crate) poll: PollConfig,
    /// What the jobs count into.
    pub(crate) metrics: Metrics,
    pub(crate) stop: Stop,
}

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
    pub(crate) metrics: Metrics,
}

/// What a pass of the jobs did.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) poll: PollReport,
    pub(crate) transform: TransformReport,
    pub(crate) import: ImportReport,
}

impl Parts {
    pub(crate) fn jobs(self) -> Result<Jobs, Failure> {
        let transformer = Transformer::new(Arc::new(self.set), Options::default(), self.layout);
        let transformer = transformer.map_err(|error| Failure::Usage(error.to_string()))?;
        let (metrics, staging) = (self.metrics, Staging::new(self.staging));
        let module = self.poll.module.clone();
        let Delivery { findings, importer, trail } = self.delivery;
        let waiting = findings.as_ref().map(|findings| Arc::clone(&findings.queue));
        let import = waiting.zip(importer).map(|(queue, sink)| ImportFindings {
            queue,
            sink,
            metrics: metrics.clone(),
            stop: self.stop.clone(),
            config: ImportConfig::default(),
        });
        let transform = Transform {
            queue: Arc::clone(&self.queue),
            staging: staging.clone(),
            publisher: Publisher::new(self.lake, self.quarantine),
            transformer: Arc::new(transformer),
            flow_logs: self.flow_logs,
            findings,
            trail,
            metrics: metrics.clone(),
            clock: Clock::system(),
            stop: self.stop.clone(),
            config: TransformConfig::new(module),
        };
        let poll = Poll {
            source: self.source,
            ledger: self.ledger,
            queue: self.queue,
            staging,
            metrics: metrics.clone(),
            clock: Clock::system(),
            stop: self.stop,
            config: self.poll,
        };
        Ok(Jobs { poll, transform, import, metrics })
    }
}

impl Jobs {
    /// Reads what is in the hub now, transforms until the queue is empty and imports until that of findings is, all at once.
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
        let polling = async {
            let report = self.poll.run(budget).await;
            polled.set();
            report
        };
        let (poll, transform, import) = tokio::join!(polling, transforming, importing);
        let poll = poll.map_err(|error| Failure::Backend(error.to_string()))?;
        let queue = |error: QueueError| Failure::Backend(error.to_string());
        Ok(Passed { poll, transform: transform.map_err(queue)?, import: import.map_err(queue)? })
    }
}
