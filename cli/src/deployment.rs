//! Flags that say how a deployment transforms: its stores, its maps, its layout, where findings go. The same for every command
//! that does.

use std::sync::Arc;

use object_store::ObjectStore;
use tributary_lake::{Layout, Publisher, Staging};
use tributary_mapping::{MappingSet, Options};
use tributary_ocsf::Version;
use tributary_pipeline::{Clock, Stop, Transform, TransformConfig, Transformer};
use tributary_queue::Queue;
use tributary_telemetry::Metrics;

use crate::aws::{Aws, LakeArgs};
use crate::backend::Backend;
use crate::delivery::DeliveryArgs;
use crate::failure::Failure;
use crate::jobs::Delivery;
use crate::set::{InForce, SetArgs};

/// The flags, but for the quarantine's.
#[derive(Debug, clap::Args)]
pub(crate) struct DeploymentArgs {
    /// Notifications of flow log blobs; they go to quarantine without it
    #[arg(long, env = "TRIBUTARY_FLOW_LOG_QUEUE", value_name = "URL")]
    flow_log_queue: Option<Backend>,
    /// Staged outcomes
    #[arg(long, env = "TRIBUTARY_STAGING", default_value = "file:staging", value_name = "URL")]
    pub(crate) staging: Backend,
    /// The lake
    #[arg(long, env = "TRIBUTARY_LAKE", default_value = "file:lake", value_name = "URL")]
    lake: Backend,
    #[command(flatten)]
    lake_on_aws: LakeArgs,
    /// OCSF version of the events; never two in one lake
    #[arg(long, default_value_t = Version::V1_3_0, env = "OCSF_VERSION")]
    ocsf_version: Version,
    /// Region in the objects' paths
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: String,
    /// What the names of the lake's sources begin with
    #[arg(long, default_value = "azure-", value_name = "TEXT")]
    source_prefix: String,
    /// Name of this integration, in messages and in quarantine's paths
    #[arg(long, default_value = "azure", env = "MODULE_ID", value_name = "NAME")]
    pub(crate) module_id: String,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    set: SetArgs,
}

impl DeploymentArgs {
    /// The maps in force.
    pub(crate) async fn in_force(&self, metrics: &Metrics) -> Result<InForce, Failure> {
        self.set.in_force(self.ocsf_version, metrics).await
    }

    /// Where events go beside the lake.
    pub(crate) async fn delivery(&self, aws: &Aws) -> Result<Delivery, Failure> {
        self.delivery.open(&self.region, aws).await
    }

    /// Lake and quarantine.
    pub(crate) async fn publisher(&self, quarantine: Arc<dyn ObjectStore>, aws: &Aws) -> Result<Publisher, Failure> {
        Ok(Publisher::new(self.lake.lake(&self.lake_on_aws, aws).await?, quarantine))
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
        let layout = Layout::from_prefix(&self.region, &self.source_prefix, self.ocsf_version);
        let layout = layout.map_err(|error| usage(&error))?;
        let transformer = Transformer::new(Arc::new(set), Options::default(), layout);
        let flow_logs = match &self.flow_log_queue {
            Some(backend) => Some(backend.queue("flow-logs", aws).await?),
            None => None,
        };
        Ok(Transform {
            queue,
            staging: Staging::new(self.staging.store(aws).await?),
            publisher: self.publisher(quarantine, aws).await?,
            transformer: Arc::new(transformer.map_err(|error| usage(&error))?),
            flow_logs,
            findings: delivery.findings.clone(),
            trail: delivery.trail.clone(),
            metrics,
            clock: Clock::system(),
            stop,
            config: TransformConfig::new(&self.module_id),
        })
    }
}
