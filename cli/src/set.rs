//! Flags that choose the mapping set of `run`, `map` and `lake`: the shipped one, a folder's, or changed files in its place.

use std::path::PathBuf;

use tributary_azure_mappings::functions;
use tributary_mapping::MappingSet;
use tributary_ocsf::Version;
use tributary_pipeline::{ChangedMappings, MappingsUri};
use tributary_telemetry::{Metrics, logging};

use crate::failure::Failure;
use crate::mappings;

/// The flags.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// Use the mapping files of this folder instead of the shipped ones, unasked: for trying a change
    #[arg(long, value_name = "DIR", help_heading = "Mapping files")]
    mappings: Option<PathBuf>,
    /// Use the mapping files of this folder or s3://BUCKET/PREFIX if they have the digest and pass the check, else the
    /// shipped ones
    #[arg(long, env = "MAPPINGS_URI", value_name = "URI", help_heading = "Mapping files")]
    mappings_uri: Option<MappingsUri>,
    /// Digest of the files at --mappings-uri: tributary mappings check --digest
    #[arg(long, env = "MAPPINGS_DIGEST", value_name = "HEX", help_heading = "Mapping files")]
    mappings_digest: Option<String>,
}

/// The set to use.
pub(crate) struct InForce {
    pub(crate) set: MappingSet,
    /// Whether it stands in for changed files that were refused: what was asked for is not what was done.
    pub(crate) refused: bool,
}

impl SetArgs {
    /// Changed files that shall take another set's place, if there are any, and that set.
    pub(crate) async fn chosen(&self, version: Version) -> Result<(Option<ChangedMappings>, MappingSet), Failure> {
        let Some(uri) = self.mappings_uri.as_ref().filter(|_| self.mappings.is_none()) else {
            return Ok((None, self.in_force(version, &Metrics::new()).await?.set));
        };
        Ok((Some(self.changed(uri).await), mappings::shipped(version)?))
    }

    async fn changed(&self, uri: &MappingsUri) -> ChangedMappings {
        let changed = ChangedMappings::new(uri.clone(), self.mappings_digest.clone());
        match uri {
            MappingsUri::Bucket(_) => changed.aws(tributary_aws::load(None).await),
            _ => changed,
        }
    }

    /// The set in force; a refusal is logged and counted.
    pub(crate) async fn in_force(&self, version: Version, metrics: &Metrics) -> Result<InForce, Failure> {
        let shipped = || mappings::shipped(version);
        let accepted = |set| Ok(InForce { set, refused: false });
        match (&self.mappings, &self.mappings_uri) {
            (Some(_), Some(uri)) => Err(Failure::Usage(format!(
                "--mappings and --mappings-uri (MAPPINGS_URI is {uri}) cannot both choose the mapping files: use one"
            ))),
            (None, None) if self.mappings_digest.is_some() => Err(Failure::Usage(
                "--mappings-digest (MAPPINGS_DIGEST) says which files, but not where they lie: set --mappings-uri \
                 (MAPPINGS_URI) too"
                    .to_owned(),
            )),
            (None, None) => accepted(shipped()?),
            (Some(folder), None) => accepted(mappings::compile(&mappings::read(Some(folder))?, version)?),
            (None, Some(uri)) => match self.changed(uri).await.accepted(functions(), version, metrics).await {
                Some(set) => accepted(set),
                None => Ok(InForce { set: shipped()?, refused: true }),
            },
        }
    }

    /// The same for a command without a runtime, whose log lines are for people.
    pub(crate) fn in_force_now(&self, version: Version) -> Result<InForce, Failure> {
        logging::start("INFO", logging::Format::Text).map_err(|error| Failure::Usage(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Backend(format!("cannot start the runtime: {error}")))?;
        runtime.block_on(self.in_force(version, &Metrics::new()))
    }
}
