//! Custom sources of a Security Lake: one a class, registered before the first object of it is written.
//!
//! Source: Amazon Security Lake API reference, CreateCustomLogSource, DeleteCustomLogSource, ListLogSources. A source holds one
//! OCSF class of one OCSF version; an account has at most 50 of them; there is no operation that changes one.

mod memory;
mod security_lake;

use async_trait::async_trait;
use tributary_aws::AwsError;

pub use memory::MemoryRegistry;
pub use security_lake::{RegistryRoles, SecurityLakeRegistry};

/// Longest name of a source: Security Lake makes a role's name of it.
pub const MAX_SOURCE_NAME: usize = 20;

/// Which source: its name and the OCSF version of its events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// Such as `example-detection`; at most [`MAX_SOURCE_NAME`] characters.
    pub name: String,
    /// Such as `1.3.0`.
    pub version: String,
}

impl std::fmt::Display for SourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// A registered source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Where its objects go: `s3://{bucket}/ext/{source}/{version}/` as a rule.
    pub location: String,
    /// The role that may write there, if the service made one.
    pub role_arn: Option<String>,
}

/// Why a registry did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Another source is in the way, or another change of the lake is under way: look, then try again.
    #[error("source {source_id}: {detail}; another change of the lake may be under way")]
    Conflict {
        /// The source.
        source_id: SourceId,
        /// What the service said.
        detail: String,
    },
    /// The service failed or refused.
    #[error("source {source_id}: {error}")]
    Service {
        /// The source.
        source_id: SourceId,
        /// Why.
        error: AwsError,
    },
    /// The sources cannot be listed.
    #[error("the lake's sources: {0}")]
    List(AwsError),
}

impl RegistryError {
    /// Whether another attempt may succeed by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Conflict { .. } => true,
            Self::Service { error, .. } | Self::List(error) => error.is_transient(),
        }
    }
}

/// Where custom sources are registered.
#[async_trait]
pub trait SourceRegistry: Send + Sync {
    /// Registers a source for one class, by its name in capitals such as `DETECTION_FINDING`. `None`: it was accepted and is
    /// not ready yet.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] when it is there already, or another change is under way.
    async fn create(&self, source: &SourceId, event_class: &str) -> Result<Option<Registered>, RegistryError>;

    /// Removes a source; one that is not there is removed. Objects written to it stay.
    ///
    /// # Errors
    /// When the service fails or refuses.
    async fn delete(&self, source: &SourceId) -> Result<(), RegistryError>;

    /// Every custom source of the region, with where it lies once it is ready.
    ///
    /// # Errors
    /// When the service fails or refuses.
    async fn list(&self) -> Result<Vec<(SourceId, Option<Registered>)>, RegistryError>;
}
