//! The lake by its environment, the same for every handler that writes to it.

use tributary_aws::SdkConfig;
use tributary_lake::{BucketOptions, KmsKey, Layout, LayoutError, Publisher, locations};
use tributary_ocsf::Version;

use crate::{Environment, EnvironmentError, Failed, Start};

const SOURCES: &str = "JSON, class to location, such as {\"2004\":\"ext/azure-detection/1.3.0/\"}: output Sources of security-lake-source";

/// Sources' names begin so where nothing is put into a lake, and nobody says how: what is staged names its groups all the same.
const PREFIX: &str = "azure-";

/// Where the lake's objects lie. Without a lake every class has its place by Security Lake's convention, unless told otherwise.
pub(super) fn layout(env: &Environment, aws: &SdkConfig, version: Version) -> Result<Layout, Failed> {
    let region = aws.region().map(ToString::to_string).unwrap_or_default();
    let failed = |error: LayoutError| Failed(format!("SECURITY_LAKE_SOURCES: {error}"));
    if env.text("SECURITY_LAKE_SOURCES").is_none() && !enabled(env)? {
        return Layout::from_prefix(&region, PREFIX, version).map_err(failed);
    }
    let text = env.required("SECURITY_LAKE_SOURCES", SOURCES)?;
    let malformed = || Environment::malformed("SECURITY_LAKE_SOURCES", SOURCES, text);
    let locations = locations(text).ok_or_else(malformed)?;
    Layout::new(&region, locations).map_err(failed)
}

fn enabled(env: &Environment) -> Result<bool, EnvironmentError> {
    env.flag("SECURITY_LAKE_ENABLED", true)
}

/// Lake and quarantine.
pub(super) async fn publisher(start: &Start, aws: &SdkConfig) -> Result<Publisher, Failed> {
    let env = &start.environment;
    let quarantine = start.bucket(aws, "QUARANTINE_BUCKET")?;
    if !enabled(env)? {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tributary_aws::SdkConfig;

    use super::*;

    fn layout_of(variables: &[(&str, &str)]) -> Result<Layout, Failed> {
        let env = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let aws = SdkConfig::builder().region(aws_sdk_sqs::config::Region::new("eu-central-1")).build();
        layout(&env, &aws, Version::V1_1_0)
    }

    #[test]
    fn sources_are_asked_for_only_where_there_is_a_lake() {
        let refused = layout_of(&[]).unwrap_err().to_string();
        assert!(refused.starts_with("SECURITY_LAKE_SOURCES is not set"), "{refused}");
        let without = layout_of(&[("SECURITY_LAKE_ENABLED", "false")]).unwrap();
        assert_eq!(without.location(2004), Some("ext/azure-detection/1.1.0/"));
        // What is told counts, with a lake or without.
        let told = ("SECURITY_LAKE_SOURCES", "{\"2004\":\"ext/own/1.0/\"}");
        for variables in [&[told][..], &[told, ("SECURITY_LAKE_ENABLED", "false")]] {
            let layout = layout_of(variables).unwrap();
            assert_eq!((layout.location(2004), layout.location(6003)), (Some("ext/own/1.0/"), None));
        }
        assert!(layout_of(&[("SECURITY_LAKE_ENABLED", "no lake")]).is_err());
    }
}
