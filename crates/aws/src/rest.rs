//! Operations of services that have no generated client here (`docs/adr/0006`).
//!
//! A generated client is a serializer and a parser around the SDK's orchestrator, which signs, sends, times out and classifies.
//! This is the same orchestrator around JSON that is there already.

use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_smithy_runtime::client::orchestrator::operation::{Operation, OperationBuilder};
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::{Region, SigningRegion};
use aws_types::service_config::ServiceConfigKey;
use aws_types::{SdkConfig, SigningName};
use bytes::Bytes;

use crate::config::{ConfigError, checked_endpoint};
use crate::error::AwsError;

/// An operation of the protocol `rest-json` with its input in the body alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestOperation {
    /// The service as its model names it, such as `SecurityHub`: `AWS_ENDPOINT_URL_SECURITYHUB`, and its part of a profile.
    pub service: &'static str,
    /// What requests are signed for, and what the host begins with: `securityhub`.
    pub signing_name: &'static str,
    /// The operation as the permission names it: `securityhub:BatchImportFindings`.
    pub name: &'static str,
    /// Its method.
    pub method: &'static str,
    /// Its path, from `/`.
    pub path: &'static str,
}

/// Calls one operation, signed, in one configuration. Clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct RestCaller {
    name: &'static str,
    operation: Operation<Bytes, Bytes, ErrorMetadata>,
}

impl RestCaller {
    /// A caller. Every call is one attempt, within the configuration's timeouts: whoever calls has an answer for each entry and
    /// a rate to keep, and so a loop of its own.
    ///
    /// # Errors
    /// When there is no region, or the endpoint is plain HTTP and not on this machine.
    pub fn new(config: &SdkConfig, operation: RestOperation) -> Result<Self, ConfigError> {
        let RestOperation { service, signing_name, name, method, path } = operation;
        let operation = builder(config, service, signing_name, name)?
            .serializer(move |body: Bytes| {
                let length = body.len();
                let mut request = HttpRequest::new(SdkBody::from(body));
                request.set_method(method)?;
                request.set_uri(path)?;
                let headers = request.headers_mut();
                headers.insert("content-type", "application/json");
                headers.insert("content-length", length.to_string());
                headers.insert("user-agent", concat!("tributary/", env!("CARGO_PKG_VERSION")));
                Ok(request)
            })
            .deserializer(answer)
            .build();
        Ok(Self { name, operation })
    }

    /// Sends a JSON document and returns the answer's.
    ///
    /// # Errors
    /// What the service or the transport said.
    pub async fn call(&self, body: impl Into<Bytes> + Send) -> Result<Bytes, AwsError> {
        self.operation.invoke(body.into()).await.map_err(|error| AwsError::of(self.name, &error))
    }
}

/// One attempt at an operation, signed, at the service's endpoint and within the configuration's timeouts; what is sent and what is
/// made of the answer is the caller's.
pub(crate) fn builder(
    config: &SdkConfig,
    service: &'static str,
    signing_name: &'static str,
    name: &'static str,
) -> Result<OperationBuilder, ConfigError> {
    let region = config.region().cloned().ok_or(ConfigError::NoRegion)?;
    let endpoint = endpoint(config, &region, service, signing_name)?;
    let timeouts = config.timeout_config().cloned().unwrap_or_else(|| TimeoutConfig::builder().build());
    let mut builder = Operation::builder()
        .service_name(service)
        .operation_name(name.split_once(':').map_or(name, |(_, operation)| operation))
        .behavior_version(config.behavior_version().unwrap_or_else(BehaviorVersion::latest))
        .endpoint_url(&endpoint)
        .no_retry()
        .timeout_config(timeouts)
        .runtime_plugin(signing(config, region, signing_name));
    if let Some(client) = config.http_client() {
        builder = builder.http_client(client);
    }
    if let Some(sleep) = config.sleep_impl() {
        builder = builder.sleep_impl(sleep);
    }
    if let Some(time) = config.time_source() {
        builder = builder.time_source(time);
    }
    Ok(builder)
}

/// By service before all, by the environment before the profile, as every client of the SDK; the service's own without.
fn endpoint(config: &SdkConfig, region: &Region, service: &str, signing_name: &str) -> Result<String, ConfigError> {
    let variable = || format!("AWS_ENDPOINT_URL_{}", service.to_uppercase().replace(' ', "_"));
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = key.ok().and_then(|key| config.service_config()?.load_config(key));
    if let Some(endpoint) = own.as_deref().or_else(|| config.endpoint_url()).filter(|endpoint| !endpoint.is_empty()) {
        return checked_endpoint(&variable(), endpoint).map(str::to_owned);
    }
    let name = region.as_ref();
    let china = name.starts_with("cn-");
    let suffix = match (china, config.use_dual_stack().unwrap_or_default()) {
        (true, true) => "api.amazonwebservices.com.cn",
        (true, false) => "amazonaws.com.cn",
        (false, true) => "api.aws",
        (false, false) => "amazonaws.com",
    };
    let fips = if config.use_fips().unwrap_or_default() { "-fips" } else { "" };
    Ok(format!("https://{signing_name}{fips}.{name}.{suffix}"))
}

fn signing(config: &SdkConfig, region: Region, signing_name: &'static str) -> StaticRuntimePlugin {
    let mut options = SigningOptions::default();
    if signing_name == "s3" {
        // S3 alone takes paths as they are, and wants the body's digest in a header.
        (options.double_uri_encode, options.normalize_uri_path, options.content_sha256_header) = (false, false, true);
    }
    let mut layer = Layer::new("signing");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(region)),
        name: Some(SigningName::from(signing_name)),
        signing_options: options,
        ..SigV4OperationSigningConfig::default()
    });
    let mut components = RuntimeComponentsBuilder::new("signing")
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
        .with_auth_scheme(SigV4AuthScheme::new());
    if let Some(cache) = config.identity_cache() {
        components.set_identity_cache(Some(cache));
    }
    if let Some(credentials) = config.credentials_provider() {
        components.set_identity_resolver(SCHEME_ID, credentials);
    }
    StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
}

/// The body, or the error's code and message as `rest-json` writes them.
fn answer(response: &HttpResponse) -> Result<Bytes, OrchestratorError<ErrorMetadata>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return Ok(Bytes::copy_from_slice(body));
    }
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: &[&str]| names.iter().find_map(|name| json.get(name)?.as_str()).map(str::to_owned);
    let code = response.headers().get("x-amzn-errortype").map(str::to_owned);
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code.or_else(|| text(&["__type", "code", "Code"])) {
        error = error.code(code);
    }
    if let Some(message) = text(&["message", "Message", "errorMessage"]) {
        error = error.message(message);
    }
    Err(OrchestratorError::operation(error.build()))
}

#[cfg(test)]
mod tests;
