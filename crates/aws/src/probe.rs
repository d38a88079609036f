//! One signed request to a service, for whoever looks at a deployment and wants to know what is answered, headers and refusals
//! included.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SdkConfig;
use bytes::Bytes;
use tributary_telemetry::line::one_line;

use crate::config::ConfigError;
use crate::error::AwsError;
use crate::rest::builder;

/// Longest text of a document's element that is passed on, in characters.
const MAX_ELEMENT: usize = 400;

/// A request.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The service as its model names it, such as `STS`.
    pub service: &'static str,
    /// What requests are signed for, and what the host begins with: `sts`.
    pub signing_name: &'static str,
    /// The operation as the permission names it: `sts:GetCallerIdentity`.
    pub name: &'static str,
    /// Its method.
    pub method: &'static str,
    /// Path and query, from `/`.
    pub path: String,
    /// Headers beside those of the protocol.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// What was answered, whatever it was.
#[derive(Debug, Clone, Default)]
pub struct Probed {
    /// The status.
    pub status: u16,
    /// The server's time as its header `Date` says.
    pub date: Option<String>,
    /// Where the bucket is, of S3's answers.
    pub bucket_region: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Probed {
    /// Whether it was done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The text of the first element of this name, in a body that is XML.
    pub fn element(&self, name: &str) -> Option<String> {
        let body = std::str::from_utf8(&self.body).ok()?;
        let rest = body.split_once(&format!("<{name}>"))?.1;
        Some(one_line(rest.split_once("</")?.0, MAX_ELEMENT))
    }

    /// What a refusal means.
    pub fn error(&self, operation: &'static str) -> AwsError {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |names: &[&str]| names.iter().find_map(|name| json.get(name)?.as_str()).map(str::to_owned);
        let code = self.element("Code").or_else(|| text(&["__type", "code", "Code"])).unwrap_or_default();
        let message = self.element("Message").or_else(|| text(&["message", "Message"]));
        let said = message.unwrap_or_else(|| format!("status {}", self.status));
        AwsError::answered(operation, self.status, &code, &said)
    }
}

impl Probe {
    /// Sends it, once.
    ///
    /// # Errors
    /// When nothing is answered: no region, no credentials, no way to the service.
    pub async fn send(self, config: &SdkConfig) -> Result<Probed, ProbeError> {
        let Self { service, signing_name, name, method, path, headers, body } = self;
        let operation = builder(config, service, signing_name, name)?
            .serializer(move |body: String| {
                let length = body.len();
                let mut request = HttpRequest::new(SdkBody::from(body));
                request.set_method(method)?;
                request.set_uri(path.as_str())?;
                for (name, value) in &headers {
                    request.headers_mut().insert(*name, value.clone());
                }
                request.headers_mut().insert("content-length", length.to_string());
                request.headers_mut().insert("user-agent", concat!("tributary/", env!("CARGO_PKG_VERSION")));
                Ok(request)
            })
            .deserializer(|response: &HttpResponse| {
                let header = |name: &str| response.headers().get(name).map(str::to_owned);
                Ok::<_, OrchestratorError<ErrorMetadata>>(Probed {
                    status: response.status().as_u16(),
                    date: header("date"),
                    bucket_region: header("x-amz-bucket-region"),
                    body: Bytes::copy_from_slice(response.body().bytes().unwrap_or_default()),
                })
            })
            .build();
        Ok(operation.invoke(body).await.map_err(|error| AwsError::of(name, &error))?)
    }
}

/// Why nothing was answered.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No credentials, or no way.
    #[error(transparent)]
    Aws(#[from] AwsError),
}
