//! The names of batches.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{SequenceNumber, TimestampMs};

/// The partition a batch came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceRef {
    /// Host name of the namespace.
    pub namespace: String,
    /// Name of the hub.
    pub hub: String,
    /// Consumer group that read it; not part of the batch id.
    pub consumer_group: String,
    /// Partition id, as the hub spells it.
    pub partition: String,
    /// The hub's creation time in milliseconds: a rebuilt hub is another source.
    pub incarnation: TimestampMs,
}

impl SourceRef {
    /// First 12 hex digits of SHA-256 of `{namespace}#{hub}#{incarnation}` in lower case.
    pub fn hub_digest(&self) -> HubDigest {
        let name = format!("{}#{}#{}", self.namespace, self.hub, self.incarnation).to_lowercase();
        let digest = Sha256::digest(name.as_bytes());
        HubDigest(digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Twelve lower-case hex digits that name a hub and its incarnation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubDigest(String);

impl HubDigest {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a batch: `{hub-digest}-p{partition:04}-{first:020}-{last:020}`.
///
/// Made from the source and the range alone, so that every attempt to deliver a range carries one name.
/// Foreign input and redriven quarantine carry names of the same alphabet but other shapes
/// ([`BatchId::for_content`], [`BatchId::redriven`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BatchId(String);

/// A text that is no batch id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a batch id: expected 1 to 128 of a-z, 0-9 and '-', such as {example}",
    example = "1f0c93ab24de-p0003-00000000000000001000-00000000000000002999"
)]
pub struct InvalidBatchId {
    /// The text, cut at 160 characters.
    pub text: String,
}

impl BatchId {
    /// The name of the range `first..=last` of `source`. A partition that is no number is named by its digest.
    pub fn new(source: &SourceRef, first: SequenceNumber, last: SequenceNumber) -> Self {
        let digest = source.hub_digest();
        let partition = match source.partition.parse::<u32>() {
            Ok(number) => format!("{number:04}"),
            Err(_) => hex(&Sha256::digest(source.partition.as_bytes()), 8),
        };
        Self(format!("{}-p{partition}-{:020}-{:020}", digest.0, first.0, last.0))
    }

    /// The name of input that no hub numbered, from a digest of its content (protocol rule 10).
    pub fn for_content(content: &[u8]) -> Self {
        Self(format!("content-{}", hex(&Sha256::digest(content), 32)))
    }

    /// The name of the `round`-th redrive of this batch's quarantine: `{batch-id}-q{round}`.
    pub fn redriven(&self, round: u32) -> Self {
        Self(format!("{}-q{round}", self.0))
    }

    /// Checks and wraps a text.
    pub fn parse(text: &str) -> Result<Self, InvalidBatchId> {
        let fits = (1..=128).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidBatchId { text: text.chars().take(160).collect() }) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BatchId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn hex(bytes: &[u8], digits: usize) -> String {
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> SourceRef {
        SourceRef {
            namespace: "Contoso.servicebus.windows.net".into(),
            hub: "Defender".into(),
            consumer_group: "tributary".into(),
            partition: "3".into(),
            incarnation: 1_767_225_600_000,
        }
    }

    #[test]
    fn id_has_the_contract_shape() {
        let id = BatchId::new(&source(), SequenceNumber(7), SequenceNumber(2006));
        // SHA-256 of "contoso.servicebus.windows.net#defender#1767225600000"
        assert_eq!(id.as_str().len(), 12 + 2 + 4 + 1 + 20 + 1 + 20);
        assert!(id.as_str().ends_with("-p0003-00000000000000000007-00000000000000002006"));
        assert_eq!(BatchId::parse(id.as_str()), Ok(id));
    }

    #[test]
    fn consumer_group_and_letter_case_do_not_matter() {
        let mut other = source();
        other.consumer_group = "$Default".into();
        other.namespace = other.namespace.to_uppercase();
        assert_eq!(source().hub_digest(), other.hub_digest());
        other.incarnation += 1;
        assert_ne!(source().hub_digest(), other.hub_digest());
    }

    #[test]
    fn hostile_text_is_no_batch_id() {
        for text in ["", "../x", "a/b", "A", "x y", &"a".repeat(129)] {
            assert!(BatchId::parse(text).is_err(), "{text:?}");
        }
    }
}
