//! Findings to Security Hub CSPM: `BatchImportFindings`, whose body is our findings as they are (`docs/adr/0006`).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use tributary_aws::{AwsError, ConfigError, Kind, RestCaller, RestOperation, SdkConfig};

use crate::memory::NOT_JSON;
use crate::pace::Pace;
use crate::sink::{Answer, Entry, Failure, Limits, Sink, SinkError, check, is_object};

const OPERATION: &str = "securityhub:BatchImportFindings";
const IMPORT: RestOperation = RestOperation {
    service: "SecurityHub",
    signing_name: "securityhub",
    name: OPERATION,
    method: "POST",
    path: "/findings/import",
};
/// Calls a second and at once, of an account in a region (partner guide, "Guidelines for using the BatchImportFindings API").
const RATE: u32 = 10;
const BURST: u32 = 30;
/// "Up to 100 findings per batch, up to 240 KB per finding, and up to 6 MB per batch", a KB being 1,000 bytes in the smaller reading.
const LIMITS: Limits = Limits { entries: 100, bytes: 6_000_000 - WRAP, document: 240_000 };
const WRAP: usize = OPEN.len() + CLOSE.len();
const OPEN: &str = r#"{"Findings":["#;
const CLOSE: &str = "]}";

/// Security Hub of one account in one region. An entry is a finding in AWS Security Finding Format under its `Id`; a later
/// `UpdatedAt` replaces an earlier one. Clones keep its rate together: one is enough for a process.
#[derive(Debug, Clone)]
pub struct SecurityHub {
    config: SdkConfig,
    caller: RestCaller,
    pace: Arc<Pace>,
    region: String,
}

impl SecurityHub {
    /// Security Hub of the configuration's account and region.
    ///
    /// # Errors
    /// When there is no region, or the endpoint is plain HTTP and not on this machine.
    pub fn new(config: &SdkConfig) -> Result<Self, ConfigError> {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        Ok(Self {
            config: config.clone(),
            caller: RestCaller::new(config, IMPORT)?,
            pace: Arc::new(Pace::new(RATE, BURST)),
            region,
        })
    }

    /// Security Hub of the account that `role` is of, such as a central one, in `region`: those of the configuration without.
    /// A finding's `AwsAccountId` must be the account that imports it.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when `role` is no role's ARN.
    pub async fn open(config: &SdkConfig, role: Option<&str>, region: Option<&str>) -> Result<Self, ConfigError> {
        let in_region =
            |region: &str| config.to_builder().region(tributary_aws::Region::new(region.to_owned())).build();
        match (role, region) {
            (Some(role), region) => Self::new(&tributary_aws::assume(config, role, None, region).await?),
            (None, Some(region)) => Self::new(&in_region(region)),
            (None, None) => Self::new(config),
        }
    }

    /// The configuration that it is called in.
    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Its region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    fn failed(&self, error: &AwsError) -> SinkError {
        let advice = match error.code.as_str() {
            "InvalidAccessException" => Some(format!(
                "enable Security Hub in {} for the account, and let the role import findings into its default product",
                self.region
            )),
            _ => None,
        };
        let failure = match (error.kind, error.code.as_str()) {
            (Kind::Transient | Kind::Throttled, _) => Failure::Unavailable,
            (Kind::Denied, _) => Failure::Denied,
            // What the service says of a request that it cannot read, for which one finding is enough.
            (_, "InvalidInputException" | "ValidationException" | "SerializationException") => Failure::Entries,
            (_, "RequestEntityTooLargeException" | "RequestTooLargeException") => Failure::Entries,
            _ => Failure::Misconfigured,
        };
        SinkError::aws(failure, error, advice.as_deref())
    }
}

/// What the service answers; what it says of a finding in words is left out, for it may quote it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Imported {
    success_count: usize,
    #[serde(default)]
    failed_findings: Vec<Failed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    id: String,
    error_code: String,
}

/// Codes of a finding that may be accepted later: the service's own fault, or too much at once.
fn is_transient(code: &str) -> bool {
    ["Internal", "Throttl", "TooManyRequests", "LimitExceeded", "ServiceUnavailable", "RequestTimeout"]
        .iter()
        .any(|start| code.starts_with(start))
}

#[async_trait]
impl Sink for SecurityHub {
    fn name(&self) -> &'static str {
        "Security Hub"
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn weight(&self, entry: &Entry) -> usize {
        entry.document().len() + 1
    }

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Answer>, SinkError> {
        check(self, entries)?;
        // What is no object would make another request of this one.
        let fit: Vec<bool> = entries.iter().map(|entry| is_object(entry.document())).collect();
        let documents = entries.iter().zip(&fit).filter(|(_, fit)| **fit).map(|(entry, _)| entry.document());
        let documents: Vec<&str> = documents.collect();
        let refused = |fit: &bool| if *fit { Answer::Accepted } else { Answer::Refused(NOT_JSON.to_owned()) };
        if documents.is_empty() {
            return Ok(fit.iter().map(refused).collect());
        }
        let body = [OPEN, &documents.join(","), CLOSE].concat();
        self.pace.take().await;
        let answer = self.caller.call(body).await.map_err(|error| self.failed(&error))?;
        let imported: Imported = serde_json::from_slice(&answer).map_err(|_| unreadable("an answer that is none"))?;
        let failed: BTreeMap<&str, &str> =
            imported.failed_findings.iter().map(|failed| (failed.id.as_str(), failed.error_code.as_str())).collect();
        if imported.success_count + failed.len() != documents.len() {
            return Err(unreadable("an answer for other findings than were sent"));
        }
        let answers = entries.iter().zip(&fit).map(|(entry, fit)| match failed.get(entry.id()) {
            Some(code) if *fit && is_transient(code) => Answer::Again((*code).to_owned()),
            Some(code) if *fit => Answer::Refused((*code).to_owned()),
            _ => refused(fit),
        });
        Ok(answers.collect())
    }
}

/// All of it again: findings that are there are there once.
fn unreadable(what: &str) -> SinkError {
    let detail = format!("{OPERATION}: {what}; nothing is lost, try again");
    SinkError { failure: Failure::Unavailable, code: String::new(), detail }
}

#[cfg(test)]
mod tests;
