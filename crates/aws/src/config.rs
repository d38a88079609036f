//! The environment's configuration, and that of an assumed role.

use std::net::IpAddr;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::service_config::ServiceConfigKey;

/// Attempts of one call before its error is the caller's, who has a loop of its own for what may take longer.
const ATTEMPTS: u32 = 4;
const CONNECT: Duration = Duration::from_secs(3);
/// Longest that one attempt may take, long polls (20 s) included.
const ATTEMPT: Duration = Duration::from_secs(30);

/// Why the environment's settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint would carry keys and data in the clear.
    #[error("{variable}: the endpoint {endpoint} is neither https nor on this machine: set it to an https URL")]
    Clear {
        /// The variable that names it.
        variable: String,
        /// The endpoint.
        endpoint: String,
    },
    /// No region.
    #[error("no AWS region: set AWS_REGION (or region in the profile)")]
    NoRegion,
    /// A role's name is none.
    #[error("{0:?} is no role's ARN: write arn:aws:iam::ACCOUNT:role/NAME")]
    Role(String),
}

/// Region, credentials, endpoints, retries and timeouts for every client of this process. `region` wins over the
/// environment's. Credentials are looked up when the first call is made, not here.
///
/// # Errors
/// When there is no region, or an endpoint is plain HTTP and not on this machine.
pub async fn load(region: Option<&str>) -> Result<SdkConfig, ConfigError> {
    for (variable, endpoint) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_ENDPOINT_URL")) {
        checked_endpoint(&variable, &endpoint)?;
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build());
    if let Some(region) = region {
        loader = loader.region(aws_config::Region::new(region.to_owned()));
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(ConfigError::NoRegion);
    }
    Ok(config)
}

/// The same configuration in a role, of another account as a rule, and in another region where one is given. The role is
/// assumed when the first call is made and again before its credentials end.
///
/// # Errors
/// When `role` is no role's ARN.
pub async fn assume(
    config: &SdkConfig,
    role: &str,
    external_id: Option<&str>,
    region: Option<&str>,
) -> Result<SdkConfig, ConfigError> {
    let name = role.strip_prefix("arn:").and_then(|rest| rest.split_once(":role/")).map(|(_, name)| name);
    if name.is_none_or(str::is_empty) || role.len() > 2_048 {
        return Err(ConfigError::Role(role.chars().take(200).collect()));
    }
    let mut provider = AssumeRoleProvider::builder(role).session_name("tributary").configure(config);
    if let Some(external_id) = external_id {
        provider = provider.external_id(external_id);
    }
    let provider = SharedCredentialsProvider::new(provider.build().await);
    let mut builder = config.to_builder().credentials_provider(provider);
    if let Some(region) = region {
        builder = builder.region(aws_config::Region::new(region.to_owned()));
    }
    Ok(builder.build())
}

/// Where a service is reached, when not where AWS has it: the service's own endpoint (`AWS_ENDPOINT_URL_S3` for `S3`, or the
/// profile's), else the one for all. The SDK's clients look for themselves.
///
/// # Errors
/// When it would carry keys and data in the clear.
pub fn endpoint(config: &SdkConfig, service: &str) -> Result<Option<String>, ConfigError> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = key.ok().and_then(|key| config.service_config()?.load_config(key));
    let found = own.or_else(|| config.endpoint_url().map(str::to_owned)).filter(|endpoint| !endpoint.is_empty());
    if let Some(endpoint) = &found {
        checked_endpoint("AWS_ENDPOINT_URL", endpoint)?;
    }
    Ok(found)
}

/// An endpoint as it is, when it is https or on this machine, which is how local servers are reached.
///
/// # Errors
/// When it would carry keys and data in the clear.
pub fn checked_endpoint<'e>(variable: &str, endpoint: &'e str) -> Result<&'e str, ConfigError> {
    let clear = || ConfigError::Clear { variable: variable.to_owned(), endpoint: endpoint.chars().take(200).collect() };
    if endpoint.is_empty() {
        return Ok(endpoint);
    }
    let (scheme, rest) = endpoint.split_once("://").ok_or_else(clear)?;
    if scheme.eq_ignore_ascii_case("https") {
        return Ok(endpoint);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    // `user@host` would make another host of what looks like this machine.
    let plain = scheme.eq_ignore_ascii_case("http") && !authority.contains('@');
    if local && plain { Ok(endpoint) } else { Err(clear()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for endpoint in [
            "",
            "https://sqs.eu-west-1.amazonaws.com",
            "http://127.0.0.1:4566",
            "http://localhost/",
            "HTTP://[::1]:9/x",
        ] {
            assert_eq!(checked_endpoint("AWS_ENDPOINT_URL", endpoint), Ok(endpoint));
        }
        for endpoint in [
            "http://minio:9000",
            "http://10.0.0.1",
            "http://localhost@example.org",
            "127.0.0.1:4566",
            "ftp://127.0.0.1",
        ] {
            let error = checked_endpoint("AWS_ENDPOINT_URL_SQS", endpoint).unwrap_err();
            assert!(error.to_string().contains("AWS_ENDPOINT_URL_SQS"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_role_is_named_by_its_arn() {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        for role in ["", "arn:aws:iam::1:user/x", "writer", "arn:aws:iam::1:role/"] {
            assert!(matches!(assume(&config, role, None, None).await, Err(ConfigError::Role(_))), "{role}");
        }
    }
}
