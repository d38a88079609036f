//! Events to CloudTrail Lake: `PutAuditEvents`.

use std::collections::HashMap;
use std::str::FromStr;

use async_trait::async_trait;
use aws_sdk_cloudtraildata::Client;
use aws_sdk_cloudtraildata::config::{Builder, Region};
use aws_sdk_cloudtraildata::types::AuditEvent;
use aws_smithy_types::retry::RetryConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tributary_aws::{AwsError, Kind, SdkConfig};

use crate::sink::{Answer, Entry, Failure, Limits, Sink, SinkError, check};

const OPERATION: &str = "cloudtrail-data:PutAuditEvents";
/// "Up to 100 of these events (or up to 1 MB) per request", an event 256 KB; the smaller reading of each.
const LIMITS: Limits = Limits { entries: 100, bytes: 1_000_000 - 16, document: 256_000 };
/// `{"id":"","eventData":"","eventDataChecksum":""},` and the 44 characters of a checksum.
const ENTRY: usize = 49 + 44;

/// What to do where the service takes nothing.
const CLOSED: &str = "CloudTrail Lake takes no new customers since 2026-05-31, only accounts that used it before: set \
    CLOUDTRAIL_ENABLED=false; the same events are in Security Lake, and CloudWatch is what AWS offers instead";

/// A channel of CloudTrail Lake, `arn:{partition}:cloudtrail:{region}:{account}:channel/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelArn {
    arn: String,
    region: String,
    account: String,
}

/// The text names no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no channel's ARN: write arn:aws:cloudtrail:REGION:ACCOUNT:channel/ID")]
pub struct InvalidChannel(String);

impl FromStr for ChannelArn {
    type Err = InvalidChannel;

    fn from_str(text: &str) -> Result<Self, InvalidChannel> {
        let refused = || InvalidChannel(text.chars().take(200).collect());
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "cloudtrail", region, account, resource] = parts.as_slice() else {
            return Err(refused());
        };
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let named = resource.strip_prefix("channel/").is_some_and(plain);
        if !(plain(partition) && plain(region) && digits && named) || text.len() > 256 {
            return Err(refused());
        }
        Ok(Self { arn: text.to_owned(), region: (*region).to_owned(), account: (*account).to_owned() })
    }
}

impl ChannelArn {
    /// The whole.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The region that it is in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account that owns it, and must be the one that sends.
    pub fn account(&self) -> &str {
        &self.account
    }
}

/// A channel of CloudTrail Lake. An entry is an event's `eventData` under its `id`.
#[derive(Debug, Clone)]
pub struct CloudTrailLake {
    client: Client,
    channel: ChannelArn,
}

impl CloudTrailLake {
    /// The channel, in its region, by the configuration's credentials.
    pub fn new(config: &SdkConfig, channel: ChannelArn) -> Self {
        // Again is for whoever has the answers for each entry.
        let own = Builder::from(config)
            .region(Region::new(channel.region.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        Self { client: Client::from_conf(own), channel }
    }

    /// The channel.
    pub fn channel(&self) -> &ChannelArn {
        &self.channel
    }

    fn failed(&self, error: &AwsError) -> SinkError {
        let ChannelArn { arn, region, account } = &self.channel;
        let said = error.detail.to_ascii_lowercase();
        let closed = ["new customers", "no longer", "not subscribed"].iter().any(|word| said.contains(word));
        let (failure, advice) = match error.code.as_str() {
            "UnsupportedOperationException" => (Failure::Misconfigured, CLOSED.to_owned()),
            "AccessDeniedException" if closed => (Failure::Misconfigured, CLOSED.to_owned()),
            "ChannelNotFound" => {
                (Failure::Misconfigured, format!("see CLOUDTRAIL_CHANNEL_ARN: {arn} is not in {region}. {CLOSED}"))
            }
            "InvalidChannelARN" => {
                (Failure::Misconfigured, format!("see CLOUDTRAIL_CHANNEL_ARN: the service does not take {arn}"))
            }
            "ChannelInsufficientPermission" => {
                (Failure::Denied, format!("send from account {account}, which owns the channel"))
            }
            // Words on an event, for which one of them is enough.
            "DuplicatedAuditEventId"
            | "ChannelUnsupportedSchema"
            | "ValidationException"
            | "SerializationException" => (Failure::Entries, String::new()),
            _ => {
                let failure = match error.kind {
                    Kind::Transient | Kind::Throttled => Failure::Unavailable,
                    Kind::Denied => Failure::Denied,
                    _ => Failure::Misconfigured,
                };
                return SinkError::aws(failure, error, None);
            }
        };
        SinkError::aws(failure, error, Some(&advice))
    }

    /// Codes of an event that are about the deployment, of which every event would be refused.
    fn refuses_all(&self, code: &str) -> Option<SinkError> {
        let account = self.channel.account();
        let advice = match code {
            "AccountNotSubscribed" => CLOSED.to_owned(),
            "InvalidRecipient" => format!("events must name account {account}, which owns the channel"),
            _ => return None,
        };
        let detail = format!("{OPERATION}: {code}; {advice}");
        Some(SinkError { failure: Failure::Misconfigured, code: code.to_owned(), detail })
    }
}

#[async_trait]
impl Sink for CloudTrailLake {
    fn name(&self) -> &'static str {
        "CloudTrail Lake"
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    /// `eventData` is a text of the request, in which quotes and backslashes take two bytes.
    fn weight(&self, entry: &Entry) -> usize {
        let document = entry.document();
        let escaped = document.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t')).count();
        ENTRY + entry.id().len() + document.len() + escaped
    }

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Answer>, SinkError> {
        check(self, entries)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut request = self.client.put_audit_events().channel_arn(self.channel.as_str());
        for entry in entries {
            let checksum = STANDARD.encode(Sha256::digest(entry.document().as_bytes()));
            let event = AuditEvent::builder().id(entry.id()).event_data(entry.document()).event_data_checksum(checksum);
            let event = event.build().map_err(|error| {
                let detail = format!("{OPERATION}: {error}");
                SinkError { failure: Failure::Misconfigured, code: String::new(), detail }
            })?;
            request = request.audit_events(event);
        }
        let answer = request.send().await.map_err(|error| self.failed(&AwsError::of(OPERATION, &error)))?;
        let mut answers: HashMap<&str, Answer> =
            answer.successful().iter().map(|event| (event.id(), Answer::Accepted)).collect();
        for failed in answer.failed() {
            let code = failed.error_code();
            if let Some(error) = self.refuses_all(code) {
                return Err(error);
            }
            let code = code.to_owned();
            let later = matches!(code.as_str(), "Throttling" | "InternalFailure");
            answers.insert(failed.id(), if later { Answer::Again(code) } else { Answer::Refused(code) });
        }
        // An event that the answer leaves out is not known to be there.
        let of = |entry: &&Entry| answers.remove(entry.id()).unwrap_or_else(|| Answer::Again("NoAnswer".to_owned()));
        Ok(entries.iter().map(of).collect())
    }
}

#[cfg(test)]
mod tests;
