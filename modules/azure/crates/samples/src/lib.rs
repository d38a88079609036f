//! Sample events of every kind of Azure telemetry, seeded, with what must become of each record in them.
//!
//! For demonstrations, tests and benches. An event is what a hub would deliver: one record or several, in every wrapper
//! that occurs; a few in a hundred are malformed or hostile. Each [`Sample`] says for each of its records what must become
//! of it, so that a test can count exactly: nothing lost, nothing doubled, every reason right.
//!
//! ```
//! use tributary_azure_samples::{Expected, Samples};
//!
//! let samples = Samples::new(7);
//! let mapped = samples.events(100).flat_map(|sample| sample.records).filter(Expected::is_mapped).count();
//! assert!(mapped > 100);
//! assert_eq!(samples.event(42).body, samples.events(43).last().unwrap().body);
//! ```
//!
//! # The marker
//! Every record carries a marker of its own ([`Expected::marker`]), a made-up GUID that no other record of any event under
//! any seed below 2^56 carries. It survives into whatever the record becomes:
//!
//! | record | marker in the source | marker in the result |
//! |---|---|---|
//! | alert, recommendation, sub-assessment, score, compliance | (part of) the id | part of `finding_info.uid` |
//! | Activity Log, sign-in, directory audit | correlation id | the whole of `metadata.correlation_uid` |
//! | refused | anywhere in its text | part of `raw` |
//!
//! Of a body that is not UTF-8 the raw text is whatever its keeper makes of the bytes; [`Sample::is_text`] tells them.
//! [`is_marker`] knows a marker when it sees one.
//!
//! # What is promised
//! The same seed gives the same bytes on every machine. Any 2,000 events hold every kind. Names are reserved for examples
//! (Contoso, `.example`, documentation addresses), GUIDs are made up. Records that have a time of their own happened within
//! three days before the base time ([`Samples::around`]); a few carry impossible times, scores and compliance none at all:
//! their time is the hub's, so give one when mapping.

mod hostile;
mod json;
mod kinds;
mod malformed;
mod random;
mod scene;
mod wrap;

use tributary_mapping::Reason;

use random::Random;
use scene::Scene;

/// 2026-03-02T12:00:00Z
const DEFAULT_BASE: i64 = 1_772_452_800_000;
/// How many events in a thousand are malformed or hostile.
const DEFAULT_MALFORMED: u16 = 25;

/// The kinds of record that are mapped, by the names of their mapping files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Defender for Cloud alert, flat or ARM form.
    DefenderAlert,
    /// Defender for Cloud recommendation.
    DefenderAssessment,
    /// One finding below a recommendation, with or without a CVE.
    DefenderSubassessment,
    /// Secure score of a subscription.
    SecureScore,
    /// One control of a secure score.
    SecureScoreControl,
    /// One assessment under a control of a regulatory standard.
    RegulatoryCompliance,
    /// Administrative operation of the Activity Log.
    ActivityAdministrative,
    /// Interactive sign-in.
    EntraSignin,
    /// Change in the directory.
    EntraAudit,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::DefenderAlert,
        Self::DefenderAssessment,
        Self::DefenderSubassessment,
        Self::SecureScore,
        Self::SecureScoreControl,
        Self::RegulatoryCompliance,
        Self::ActivityAdministrative,
        Self::EntraSignin,
        Self::EntraAudit,
    ];

    /// The name of the kind's mapping file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DefenderAlert => "defender_alert",
            Self::DefenderAssessment => "defender_assessment",
            Self::DefenderSubassessment => "defender_subassessment",
            Self::SecureScore => "secure_score",
            Self::SecureScoreControl => "secure_score_control",
            Self::RegulatoryCompliance => "regulatory_compliance_assessment",
            Self::ActivityAdministrative => "activity_administrative",
            Self::EntraSignin => "entra_signin",
            Self::EntraAudit => "entra_audit",
        }
    }

    /// How often an event of this kind occurs among the others.
    fn weight(self) -> usize {
        match self {
            Self::DefenderAlert => 30,
            Self::DefenderAssessment => 14,
            Self::DefenderSubassessment => 10,
            Self::SecureScore => 3,
            Self::SecureScoreControl => 4,
            Self::RegulatoryCompliance => 5,
            Self::ActivityAdministrative => 16,
            Self::EntraSignin => 10,
            Self::EntraAudit => 8,
        }
    }

    /// Whether Azure Monitor delivers it, which packs several records into an event.
    fn is_diagnostic(self) -> bool {
        matches!(self, Self::ActivityAdministrative | Self::EntraSignin | Self::EntraAudit)
    }
}

/// What must become of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It is mapped.
    Mapped {
        /// The mapping file that must take it.
        kind: Kind,
        /// The record's marker.
        marker: String,
    },
    /// It goes to quarantine.
    Quarantined {
        /// The reason that must stand there.
        reason: Reason,
        /// The record's marker.
        marker: String,
    },
}

impl Expected {
    /// The text that only this record carries.
    pub fn marker(&self) -> &str {
        match self {
            Self::Mapped { marker, .. } | Self::Quarantined { marker, .. } => marker,
        }
    }

    /// Whether the record must be mapped.
    pub fn is_mapped(&self) -> bool {
        matches!(self, Self::Mapped { .. })
    }
}

/// One event as a publisher would send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The payload.
    pub body: Vec<u8>,
    /// The partition key, for the few publishers that give one.
    pub partition_key: Option<String>,
    /// Application properties.
    pub properties: Vec<(String, String)>,
    /// What must become of its records, in their order.
    pub records: Vec<Expected>,
}

impl Sample {
    /// Whether the body is UTF-8.
    pub fn is_text(&self) -> bool {
        std::str::from_utf8(&self.body).is_ok()
    }
}

/// A seeded, endless row of events, of which any can be made without those before it.
#[derive(Debug, Clone)]
pub struct Samples {
    seed: u64,
    base: i64,
    malformed: u16,
    kinds: Vec<Kind>,
}

impl Samples {
    /// Events of every kind under `seed`, around 2026-03-02T12:00:00Z, 25 in a thousand malformed or hostile.
    pub fn new(seed: u64) -> Self {
        Self { seed, base: DEFAULT_BASE, malformed: DEFAULT_MALFORMED, kinds: Kind::ALL.to_vec() }
    }

    /// The time up to which things happened, in milliseconds since 1970: from three days before it.
    #[must_use]
    pub fn around(mut self, base: i64) -> Self {
        self.base = base;
        self
    }

    /// How many events in a thousand are malformed or hostile; 0 for none, at most 1,000.
    #[must_use]
    pub fn malformed_per_mille(mut self, share: u16) -> Self {
        self.malformed = share.min(1_000);
        self
    }

    /// Only events of these kinds; all kinds when the list is empty.
    #[must_use]
    pub fn only(mut self, kinds: &[Kind]) -> Self {
        self.kinds = if kinds.is_empty() { Kind::ALL.to_vec() } else { kinds.to_vec() };
        self
    }

    /// The first `count` events.
    pub fn events(&self, count: u64) -> impl Iterator<Item = Sample> + use<> {
        let samples = self.clone();
        (0..count).map(move |index| samples.event(index))
    }

    /// The event at `index`, from 0.
    pub fn event(&self, index: u64) -> Sample {
        let mut scene = Scene { rng: Random::new(self.seed, index), base: self.base };
        let mut markers = Markers { seed: self.seed, index, next: 0 };
        let malformed = scene.rng.below(1_000) < usize::from(self.malformed);
        let total = self.kinds.iter().map(|kind| kind.weight()).sum();
        let mut at = scene.rng.below(total);
        let kind = self.kinds.iter().copied().find(|kind| {
            let found = at < kind.weight();
            at = at.saturating_sub(kind.weight());
            found
        });
        let kind = kind.unwrap_or(Kind::DefenderAlert);
        let others: Vec<Kind> = self.kinds.iter().copied().filter(|kind| kind.is_diagnostic()).collect();
        wrap::event(&mut scene, &mut markers, kind, &others, malformed)
    }
}

/// Names the records of one event.
#[derive(Debug)]
struct Markers {
    seed: u64,
    index: u64,
    next: u64,
}

impl Markers {
    /// The next record's marker: the seed's bits, then the event's index, then the record's.
    fn next(&mut self) -> String {
        let record = self.next;
        self.next += 1;
        format!(
            "{:08x}-5eed-4{:03x}-8{:03x}-{:09x}{:03x}",
            self.seed & 0xffff_ffff,
            self.seed >> 32 & 0xfff,
            self.seed >> 44 & 0xfff,
            self.index & 0xf_ffff_ffff,
            record & 0xfff
        )
    }
}

/// Whether `text` has the shape of a marker; none of the other made-up GUIDs has.
pub fn is_marker(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
        && text.get(9..15) == Some("5eed-4")
        && text.get(19..20) == Some("8")
}

#[cfg(test)]
mod tests;
