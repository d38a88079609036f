//! The lake by its environment, the same for every handler that writes to it.

use tributary_aws::SdkConfig;
use tributary_lake::{BucketOptions, KmsKey, Layout, Publisher, locations};

use crate::{Environment, Failed, Start};

const SOURCES: &str = "JSON, class to location, such as {\"2004\":\"ext/azure-detection/1.3.0/\"}: output Sources of security-lake-source";

/// Where the lake's objects lie.
pub(super) fn layout(env: &Environment, aws: &SdkConfig) -> Result<Layout, Failed> {
    let text = env.required("SECURITY_LAKE_SOURCES", SOURCES)?;
    let malformed = || Environment::malformed("SECURITY_LAKE_SOURCES", SOURCES, text);
    let locations = locations(text).ok_or_else(malformed)?;
    let region = aws.region().map(ToString::to_string).unwrap_or_default();
    Layout::new(&region, locations).map_err(|error| Failed(format!("SECURITY_LAKE_SOURCES: {error}")))
}

/// Lake and quarantine.
pub(super) async fn publisher(start: &Start, aws: &SdkConfig) -> Result<Publisher, Failed> {
    let env = &start.environment;
    let quarantine = start.bucket(aws, "QUARANTINE_BUCKET")?;
    if !env.flag("SECURITY_LAKE_ENABLED", true)? {
        return Ok(Publisher::without_lake(quarantine));
    }
    let kms_key = env.parsed::<KmsKey>("SECURITY_LAKE_KMS_KEY_ARN", "the ARN of a KMS key")?;
    let writer = match env.text("SECURITY_LAKE_WRITER_ROLE_ARN") {
        None => aws.clone(),
        Some(role) => {
            let external_id = env.text("SECURITY_LAKE_WRITER_EXTERNAL_ID");
            let assumed = tributary_aws::assume(aws, role, external_id, None).await;
            assumed.map_err(|error| Failed(format!("SECURITY_LAKE_WRITER_ROLE_ARN: {error}")))?
        }
    };
    let lake = start.bucket_with(&writer, "SECURITY_LAKE_S3_BUCKET", &BucketOptions { kms_key })?;
    Ok(Publisher::new(lake, quarantine))
}
