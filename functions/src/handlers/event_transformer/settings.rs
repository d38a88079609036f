//! What the transformer is made of, by its environment.

use std::sync::Arc;

use tributary_aws::SdkConfig;
use tributary_azure_mappings::{functions, shipped};
use tributary_delivery::{ChannelArn, CloudTrailLake, Patience};
use tributary_lake::Staging;
use tributary_mapping::{Destination, MappingSet, Options};
use tributary_ocsf::Version;
use tributary_pipeline::{
    ChangedMappings, Clock, Findings, MappingsUri, Stop, Trail, Transform, TransformConfig, Transformer,
};
use tributary_queue::{MemoryQueue, Queue, RedrivePolicy};
use tributary_telemetry::Metrics;

use crate::handlers::lake;
use crate::{Environment, Failed, Start};

pub(super) async fn transform(start: &Start, aws: &SdkConfig, metrics: &Metrics) -> Result<Transform, Failed> {
    let (env, module) = (&start.environment, start.module()?);
    let version = env.parsed::<Version>("OCSF_VERSION", "1.3.0 or 1.1.0")?.unwrap_or(Version::V1_3_0);
    let set = mapping_set(env, aws, version, metrics).await?;
    let transformer = Transformer::new(Arc::new(set), Options::default(), lake::layout(env, aws, version)?);
    let transformer = transformer.map_err(|error| Failed(format!("SECURITY_LAKE_SOURCES: {error}")))?;
    let flow_logs = match env.text("FLOW_LOG_SQS_QUEUE") {
        Some(_) => Some(start.queue(aws, "FLOW_LOG_SQS_QUEUE").await? as Arc<dyn Queue>),
        None => None,
    };
    Ok(Transform {
        // Lambda's poller receives; a direct invocation brings a queue of its own.
        queue: Arc::new(MemoryQueue::new(RedrivePolicy::default())),
        staging: Staging::new(start.bucket(aws, "STAGING_BUCKET")?),
        publisher: lake::publisher(start, aws).await?,
        transformer: Arc::new(transformer),
        flow_logs,
        findings: findings(start, aws).await?,
        trail: trail(env, aws)?,
        metrics: metrics.clone(),
        clock: Clock::system(),
        stop: Stop::new(),
        config: TransformConfig::new(module),
    })
}

/// The built-in set, or changed files that pass.
async fn mapping_set(
    env: &Environment,
    aws: &SdkConfig,
    version: Version,
    metrics: &Metrics,
) -> Result<MappingSet, Failed> {
    let uri = env.parsed::<MappingsUri>("MAPPINGS_URI", "a folder or s3://BUCKET/PREFIX")?;
    if let Some(uri) = uri {
        let changed = ChangedMappings::new(uri, env.text("MAPPINGS_DIGEST").map(str::to_owned)).aws(Ok(aws.clone()));
        if let Some(set) = changed.accepted(functions(), version, metrics).await {
            return Ok(set);
        }
    }
    shipped(version).map_err(|faults| Failed(format!("the built-in mapping files have {} faults", faults.len())))
}

async fn findings(start: &Start, aws: &SdkConfig) -> Result<Option<Findings>, Failed> {
    let env = &start.environment;
    if !env.flag("ASFF_ENABLED", env.text("ASFF_SQS_QUEUE").is_some())? {
        return Ok(None);
    }
    let account = env.required("SECURITY_HUB_ACCOUNT_ID", "the 12 digits of the account that imports findings")?;
    let here = aws.region().map(ToString::to_string).unwrap_or_default();
    let region = env.text("SECURITY_HUB_REGION").unwrap_or(&here);
    let destination =
        Destination::new(account, region).map_err(|error| Failed(format!("SECURITY_HUB_ACCOUNT_ID: {error}")))?;
    Ok(Some(Findings { queue: start.queue(aws, "ASFF_SQS_QUEUE").await?, destination }))
}

fn trail(env: &Environment, aws: &SdkConfig) -> Result<Option<Trail>, Failed> {
    if !env.flag("CLOUDTRAIL_ENABLED", false)? {
        return Ok(None);
    }
    let channel: ChannelArn = env.required_as("CLOUDTRAIL_CHANNEL_ARN", "the ARN of a channel of CloudTrail Lake")?;
    let destination = Destination::new(channel.account(), channel.region());
    let destination = destination.map_err(|error| Failed(format!("CLOUDTRAIL_CHANNEL_ARN: {error}")))?;
    Ok(Some(Trail { sink: Arc::new(CloudTrailLake::new(aws, channel)), destination, patience: Patience::default() }))
}
