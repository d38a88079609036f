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

/// A range of a hub's partition, as its batch is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRange {
    /// The hub.
    pub hub: HubDigest,
    /// The partition: four digits or more, or a digest of its id.
    pub partition: String,
    /// First sequence number.
    pub first: SequenceNumber,
    /// Last sequence number.
    pub last: SequenceNumber,
}

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
        Self(format!("{}{:020}-{:020}", Self::prefix(source), first.0, last.0))
    }

    /// The name of input that no hub numbered, from a digest of its content (protocol rule 10).
    pub fn for_content(content: &[u8]) -> Self {
        Self::for_pieces(|digest| digest(content))
    }

    /// The same for content that comes in pieces: `pieces` hands each to what it is given.
    pub fn for_pieces(pieces: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Self {
        let mut digest = Sha256::new();
        pieces(&mut |piece| digest.update(piece));
        Self(format!("content-{}", hex(&digest.finalize(), 32)))
    }

    /// The name of the `round`-th redrive of this batch's quarantine: `{batch-id}-q{round}`.
    pub fn redriven(&self, round: u32) -> Self {
        Self(format!("{}-q{round}", self.0))
    }

    /// The batch that was cut from a hub or came as foreign input, and how often its quarantine was redriven since: this
    /// one and 0 where it is that batch itself.
    pub fn origin(&self) -> (Self, u32) {
        let parts = self.0.rsplit_once("-q");
        let round =
            parts.and_then(|(batch, round)| Some((batch, round.parse::<u32>().ok().filter(|round| *round > 0)?)));
        match round {
            Some((batch, round)) => (Self(batch.to_owned()), round),
            None => (self.clone(), 0),
        }
    }

    /// The name of what comes of redriving this batch's quarantine object.
    pub fn next_redrive(&self) -> Self {
        let (batch, round) = self.origin();
        batch.redriven(round.saturating_add(1))
    }

    /// What a hub's range is named by; `None` for other input, and for what was redriven.
    pub fn range(&self) -> Option<BatchRange> {
        let mut parts = self.0.split('-');
        let (digest, partition) = (parts.next()?, parts.next()?.strip_prefix('p')?);
        let mut number = || {
            let digits = parts.next()?;
            let whole = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| whole).map(SequenceNumber)
        };
        let (first, last) = (number()?, number()?);
        let range = BatchRange { hub: HubDigest(digest.to_owned()), partition: partition.to_owned(), first, last };
        (digest.len() == 12 && first <= last && parts.next().is_none()).then_some(range)
    }

    /// What the names of a partition's batches begin with.
    pub fn prefix(source: &SourceRef) -> String {
        format!("{}-p{}-", source.hub_digest().0, partition_part(&source.partition))
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

fn partition_part(partition: &str) -> String {
    match partition.parse::<u32>() {
        Ok(number) => format!("{number:04}"),
        Err(_) => hex(&Sha256::digest(partition.as_bytes()), 8),
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
    fn a_name_says_its_range_and_round() {
        let id = BatchId::new(&source(), SequenceNumber(7), SequenceNumber(2006));
        let range = id.range().unwrap();
        assert_eq!(
            (range.first, range.last, range.partition.as_str()),
            (SequenceNumber(7), SequenceNumber(2006), "0003")
        );
        assert_eq!(range.hub, source().hub_digest());
        assert!(id.as_str().starts_with(&BatchId::prefix(&source())));
        assert_eq!(id.origin(), (id.clone(), 0));
        let first = id.next_redrive();
        assert_eq!(first, id.redriven(1));
        assert_eq!(first.next_redrive(), id.redriven(2));
        assert_eq!((first.origin(), first.range()), ((id.clone(), 1), None));
        assert_eq!(BatchId::for_content(b"x").range(), None);
        for text in ["a-q0", "a-q", "a-qq", "a-q-1", "q1", "-q99999999999"] {
            let id = BatchId::parse(text).unwrap();
            assert_eq!(id.origin(), (id.clone(), 0), "{text}");
        }
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
