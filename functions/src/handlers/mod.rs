//! The handlers. Each reads its settings, builds a job of `pipeline` and runs it.

mod event_transformer;
mod eventhub_processor;
mod flowlog_processor;
mod lake;
mod security_lake_source;
mod securityhub_processor;

use std::sync::Arc;

use crate::{Failed, Job, Start};

/// The Lambda functions that this binary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handler {
    /// Hub to queue, on a schedule.
    EventHubProcessor,
    /// Queue to lake.
    EventTransformer,
    /// Findings to Security Hub.
    SecurityHubProcessor,
    /// Flow log blobs to the lake.
    FlowLogProcessor,
    /// Custom sources of the lake, at deployment.
    SecurityLakeSource,
}

impl Handler {
    /// Every handler.
    pub const ALL: [Self; 5] = [
        Self::EventHubProcessor,
        Self::EventTransformer,
        Self::SecurityHubProcessor,
        Self::FlowLogProcessor,
        Self::SecurityLakeSource,
    ];

    /// The function's handler setting.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventHubProcessor => "eventhub-processor",
            Self::EventTransformer => "event-transformer",
            Self::SecurityHubProcessor => "securityhub-processor",
            Self::FlowLogProcessor => "flowlog-processor",
            Self::SecurityLakeSource => "security-lake-source",
        }
    }

    /// The handler of a name.
    ///
    /// # Errors
    /// When there is none: the names that there are.
    pub fn named(name: &str) -> Result<Self, Failed> {
        Self::ALL.into_iter().find(|handler| handler.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            let name: String = name.chars().take(60).collect();
            Failed(format!("{name:?} is no handler: set the function's handler to one of {}", names.join(", ")))
        })
    }

    /// Reads the settings and builds the job.
    ///
    /// # Errors
    /// What is missing or malformed.
    pub async fn start(self, start: &Start) -> Result<Arc<dyn Job>, Failed> {
        match self {
            Self::SecurityLakeSource => security_lake_source::start(start).await,
            Self::EventHubProcessor => eventhub_processor::start(start).await,
            Self::EventTransformer => event_transformer::start(start).await,
            Self::SecurityHubProcessor => securityhub_processor::start(start).await,
            Self::FlowLogProcessor => flowlog_processor::start(start).await,
        }
    }
}
