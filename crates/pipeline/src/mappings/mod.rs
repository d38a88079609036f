//! Mapping files changed without a release: read from a folder or a bucket, and in force only if they are the ones that
//! were approved (their digest is configured) and pass the check within the committed schemas.
//!
//! Whatever is wrong with them, events go on being mapped: by the built-in set, which is older, not wrong.

mod uri;

use std::time::Duration;

use tracing::{error, info};
use tributary_aws::{ConfigError, SdkConfig};
use tributary_lake::{BucketError, StoreError, TextLimits, read_texts};
use tributary_mapping::function::Function;
use tributary_mapping::{Diagnostic, MappingSet, Sources, digest, outside_schema};
use tributary_ocsf::Version;
use tributary_telemetry::{Metric, Metrics};

pub use uri::{InvalidMappingsUri, MappingsUri};

/// Some ten times what ships.
const LIMITS: TextLimits = TextLimits { ending: ".yaml", files: 1_000, bytes: 1 << 20, total: 8 << 20 };
/// How long the files may take to come. Events wait meanwhile, and a function's start is cut off after ten seconds.
const PATIENCE: Duration = Duration::from_secs(8);
/// Faults that are told; the rest is counted.
const TOLD: usize = 5;

/// Why changed files are not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MappingsRefused {
    /// The folder cannot be opened.
    #[error("cannot open the folder: {0}; name one that is there, or leave MAPPINGS_URI unset")]
    Folder(String),
    /// AWS's configuration, which a bucket needs, cannot be used.
    #[error(transparent)]
    Aws(ConfigError),
    /// The bucket cannot be opened.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The files cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files did not come in time.
    #[error("the files did not come within {} s; look at the way to the store, then start again", .0.as_secs())]
    Late(Duration),
    /// There is nothing.
    #[error("no *.yaml file lies there; correct MAPPINGS_URI, or put the files there")]
    Empty,
    /// Nobody said which files are meant.
    #[error("no digest is configured; if these files are the approved ones, set MAPPINGS_DIGEST to theirs, {0}")]
    NoDigest(String),
    /// The files are not the ones that are meant.
    #[error(
        "the digest of the files is {found}, MAPPINGS_DIGEST is {configured:?}; put the approved files there, or approve \
         these by setting it"
    )]
    OtherDigest {
        /// What the files have.
        found: String,
        /// What is configured.
        configured: String,
    },
    /// The files do not pass.
    #[error("the files do not pass the check for ocsf {version}: {faults}; run `tributary mappings check` on them")]
    Faulty {
        /// The version.
        version: Version,
        /// The first faults, and how many more there are.
        faults: String,
    },
    /// The maps set what no lake object has a column for.
    #[error("the maps go beyond the committed schemas of ocsf {version}: {paths}")]
    OutsideSchema {
        /// The version.
        version: Version,
        /// The first paths, and how many more there are.
        paths: String,
    },
}

/// Mapping files that shall take the place of the built-in ones.
#[derive(Debug, Clone)]
pub struct ChangedMappings {
    /// Where they lie.
    pub uri: MappingsUri,
    /// Which ones are meant: [`digest`] of them.
    pub digest: Option<String>,
    aws: Result<SdkConfig, ConfigError>,
}

impl ChangedMappings {
    /// The files at `uri`, if [`digest`] of them is `digest`.
    pub fn new(uri: MappingsUri, digest: Option<String>) -> Self {
        Self { uri, digest, aws: Err(ConfigError::NoRegion) }
    }

    /// The same with what AWS's configuration came to, which files in a bucket need. A fault in it is a fault of the files: the
    /// built-in set stays in force.
    pub fn aws(self, loaded: Result<SdkConfig, ConfigError>) -> Self {
        Self { aws: loaded, ..self }
    }

    /// The set that the files make, if they pass; otherwise the log and the metric `MappingsRefused` say why not, and the
    /// built-in set is to be used.
    pub async fn accepted(&self, functions: &[Function], version: Version, metrics: &Metrics) -> Option<MappingSet> {
        match self.load(functions, version).await {
            Ok(set) => {
                info!(mappings = %self.uri, digest = set.digest(), kinds = set.kinds().len(), "changed mapping files are in force");
                Some(set)
            }
            Err(refused) => {
                metrics.count(Metric::MappingsRefused, 1);
                error!(mappings = %self.uri, "changed mapping files are refused, the built-in set stays in force: {refused}");
                None
            }
        }
    }

    /// The set that the files make.
    ///
    /// # Errors
    /// When they cannot be read, are not the ones that are meant, or do not pass. They are read to their end before anything
    /// of them is used, and what is not meant is not even compiled.
    pub async fn load(&self, functions: &[Function], version: Version) -> Result<MappingSet, MappingsRefused> {
        let sources =
            tokio::time::timeout(PATIENCE, self.read()).await.map_err(|_| MappingsRefused::Late(PATIENCE))??;
        let found = digest(&sources);
        let Some(configured) = self.digest.as_deref().map(str::trim) else {
            return Err(MappingsRefused::NoDigest(found));
        };
        if !configured.eq_ignore_ascii_case(&found) {
            return Err(MappingsRefused::OtherDigest { found, configured: configured.chars().take(80).collect() });
        }
        let set = MappingSet::compile(&sources, functions, version)
            .map_err(|faults| MappingsRefused::Faulty { version, faults: first(&faults) })?;
        match outside_schema(&set).as_slice() {
            [] => Ok(set),
            faults => Err(MappingsRefused::OutsideSchema { version, paths: first(faults) }),
        }
    }

    async fn read(&self) -> Result<Sources, MappingsRefused> {
        let store = self.uri.open(&self.aws)?;
        let sources = read_texts(store.as_ref(), LIMITS).await?;
        if sources.is_empty() { Err(MappingsRefused::Empty) } else { Ok(sources) }
    }
}

/// The first faults on one line, and how many more there are.
fn first(faults: &[Diagnostic]) -> String {
    let one_line = |fault: &Diagnostic| fault.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let told = faults.iter().take(TOLD).map(one_line).collect::<Vec<_>>().join("; ");
    if faults.len() > TOLD { format!("{told}; and {} more", faults.len() - TOLD) } else { told }
}
