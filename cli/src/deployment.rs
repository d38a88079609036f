//! Flags that say how a deployment transforms: its stores, its maps, its layout, where findings go. The same for every command
//! that does.

use std::sync::Arc;

use object_store::ObjectStore;
use tributary_azure_flowlogs::FlowLogs;
use tributary_azure_mappings::functions;
use tributary_batch::TimestampMs;
use tributary_lake::{Layout, Publisher, Staging, locations};
use tributary_mapping::{MappingSet, Options};
use tributary_ocsf::Version;
use tributary_pipeline::{
    Clock, Stop, Subject, Transform, TransformConfig, Transformer, examine_mappings, examine_sources,
};
use tributary_queue::Queue;
use tributary_telemetry::Metrics;

use crate::aws::{Aws, LakeArgs};
use crate::backend::Backend;
use crate::delivery::DeliveryArgs;
use crate::failure::Failure;
use crate::jobs::Delivery;
use crate::set::{InForce, SetArgs};

/// Who says where sources lie.
const SOURCES: &str = "--sources (SECURITY_LAKE_SOURCES)";

/// Flags that say where the lake is, and how its objects lie there. The same for every command that writes to it.
#[derive(Debug, clap::Args)]
pub(crate) struct LakePlace {
    /// The lake
    #[arg(long, env = "TRIBUTARY_LAKE", default_value = "file:lake", value_name = "URL", help_heading = "Lake")]
    pub(crate) lake: Backend,
    #[command(flatten)]
    pub(crate) lake_on_aws: LakeArgs,
    /// OCSF version of the events; never two in one lake
    #[arg(long, default_value_t = Version::V1_3_0, env = "OCSF_VERSION", help_heading = "Lake")]
    ocsf_version: Version,
    /// Region in the objects' paths
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION", help_heading = "Lake")]
    region: String,
    /// Where the lake's sources lie, JSON, class to location, as Security Lake returned it: {"2004":"ext/azure-detection/1.3.0/",…}
    #[arg(long, env = "SECURITY_LAKE_SOURCES", value_name = "JSON", help_heading = "Lake")]
    sources: Option<String>,
    /// What the names of the lake's sources begin with, where --sources does not say where they lie
    #[arg(long, default_value = "azure-", value_name = "TEXT", help_heading = "Lake")]
    source_prefix: String,
    /// Name of this integration, in messages and in quarantine's paths
    #[arg(long, default_value = "azure", env = "MODULE_ID", value_name = "NAME", help_heading = "Lake")]
    pub(crate) module_id: String,
}

/// The flags, but for the quarantine's.
#[derive(Debug, clap::Args)]
pub(crate) struct DeploymentArgs {
    /// Notifications of flow log blobs; they go to quarantine without it
    #[arg(long, env = "TRIBUTARY_FLOW_LOG_QUEUE", value_name = "URL")]
    flow_log_queue: Option<Backend>,
    /// Staged outcomes
    #[arg(long, env = "TRIBUTARY_STAGING", default_value = "file:staging", value_name = "URL")]
    pub(crate) staging: Backend,
    #[command(flatten)]
    pub(crate) place: LakePlace,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    set: SetArgs,
}

impl LakePlace {
    fn sources(&self) -> Option<&str> {
        self.sources.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Where the lake's objects lie.
    fn layout(&self) -> Result<Layout, Failure> {
        let Some(text) = self.sources() else {
            let layout = Layout::from_prefix(&self.region, &self.source_prefix, self.ocsf_version);
            return layout.map_err(|error| Failure::Usage(error.to_string()));
        };
        let locations = locations(text).ok_or_else(|| {
            Failure::Usage(format!(
                "{SOURCES}: expected JSON, class to location, such as {{\"2004\":\"ext/azure-detection/1.3.0/\"}}"
            ))
        })?;
        Layout::new(&self.region, locations).map_err(|error| Failure::Usage(format!("{SOURCES}: {error}")))
    }

    /// A location that the lake's writer may write below.
    pub(crate) fn first_location(&self) -> Result<String, Failure> {
        let layout = self.layout()?;
        Ok(layout.locations().next().map(|(_, location)| location.to_owned()).unwrap_or_default())
    }

    /// Lake and quarantine.
    pub(crate) async fn publisher(&self, quarantine: Arc<dyn ObjectStore>, aws: &Aws) -> Result<Publisher, Failure> {
        Ok(Publisher::new(self.lake.lake(&self.lake_on_aws, aws).await?, quarantine))
    }

    /// Flow logs as objects of this lake.
    pub(crate) fn flow_logs(&self) -> Result<FlowLogs, Failure> {
        let logs = FlowLogs::new(self.ocsf_version, self.layout()?, &self.module_id);
        logs.map_err(|error| Failure::Usage(error.to_string()))
    }
}

impl DeploymentArgs {
    /// Whether events go to a service of AWS beside the lake.
    pub(crate) fn delivers(&self) -> bool {
        self.flow_log_queue.as_ref().is_some_and(Backend::is_on_aws) || self.delivery.any()
    }

    /// What is to be looked at beside ledger, queue and buckets.
    pub(crate) async fn examine(&self, aws: &Aws, now: TimestampMs) -> Result<Vec<Subject>, Failure> {
        let mut subjects = Vec::new();
        if let Some(queue) = &self.flow_log_queue {
            subjects.push(queue.examine_queue("flow logs", aws, None, now).await?);
        }
        subjects.extend(self.delivery.examine(&self.place.region, aws, now).await?);
        Ok(subjects)
    }

    /// Maps and places, which nothing else is needed for.
    pub(crate) async fn examine_maps(&self) -> Result<Subject, Failure> {
        let layout = self.place.layout()?;
        let version = self.place.ocsf_version;
        let (changed, built_in) = self.set.chosen(version).await?;
        Ok(Subject::new("mappings", async move {
            let set = match &changed {
                Some(changed) => changed.load(functions(), version).await.ok(),
                None => None,
            };
            let maps = examine_mappings(changed.as_ref(), &built_in, functions(), version).await;
            vec![maps, examine_sources(Arc::new(set.unwrap_or(built_in)), layout)]
        }))
    }

    /// The maps in force.
    pub(crate) async fn in_force(&self, metrics: &Metrics) -> Result<InForce, Failure> {
        self.set.in_force(self.place.ocsf_version, metrics).await
    }

    /// Where events go beside the lake.
    pub(crate) async fn delivery(&self, aws: &Aws) -> Result<Delivery, Failure> {
        self.delivery.open(&self.place.region, aws).await
    }

    /// Where notifications of flow log blobs go, if there is such a place.
    pub(crate) async fn flow_log_queue(&self, aws: &Aws) -> Result<Option<Arc<dyn Queue>>, Failure> {
        match &self.flow_log_queue {
            Some(backend) => Ok(Some(backend.queue("flow-logs", aws).await?)),
            None => Ok(None),
        }
    }

    /// The transform job of the deployment.
    pub(crate) async fn transform(
        &self,
        aws: &Aws,
        set: MappingSet,
        queue: Arc<dyn Queue>,
        quarantine: Arc<dyn ObjectStore>,
        delivery: &Delivery,
        (metrics, stop): (Metrics, Stop),
    ) -> Result<Transform, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let transformer = Transformer::new(Arc::new(set), Options::default(), self.place.layout()?);
        let transformer = transformer.map_err(|error| match self.place.sources() {
            Some(_) => format!("{SOURCES}: {error}"),
            None => error.to_string(),
        });
        let flow_logs = self.flow_log_queue(aws).await?;
        Ok(Transform {
            queue,
            staging: Staging::new(self.staging.store(aws).await?),
            publisher: self.place.publisher(quarantine, aws).await?,
            transformer: Arc::new(transformer.map_err(|error| usage(&error))?),
            flow_logs,
            findings: delivery.findings.clone(),
            trail: delivery.trail.clone(),
            metrics,
            clock: Clock::system(),
            stop,
            config: TransformConfig::new(&self.place.module_id),
        })
    }
}
