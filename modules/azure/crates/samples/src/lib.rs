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
//! | alert, attack path, recommendation, sub-assessment, score, compliance, risk of Entra | (part of) the id | part of `finding_info.uid` |
//! | policy, Advisor and security alert of the Activity Log | the resource's name, the correlation id | part of `finding_info.uid` |
//! | anything else with an id that joins records: correlation, tracking, change, transaction, activity, audit id | that id | the whole of `metadata.correlation_uid` |
//! | Azure Firewall, syslog, and whatever of another kind has no such id | `relayId`, as a relay on the way would add it | the whole of `relayId` in `unmapped` |
//! | flow log notification | `id` | `id` of what is handed on |
//! | handshake | `id` | nowhere: it is only counted |
//! | refused | anywhere in its text | part of `raw` |
//!
//! Of a body that is not UTF-8 the raw text is whatever its keeper makes of the bytes; [`Sample::is_text`] tells them.
//! [`marker_of`] finds the marker of a mapped record, [`marker_in`] that within a text; [`is_marker`] knows one when it sees it.
//!
//! # What is promised
//! The same seed gives the same bytes on every machine. Any 2,000 events hold every kind, a flow log
//! notification and a handshake. Names are reserved for examples
//! (Contoso, `.example`, documentation addresses), GUIDs are made up. Records that have a time of their own happened within
//! three days before the base time ([`Samples::around`]); a few carry impossible times, scores and compliance none at all:
//! their time is the hub's, so give one when mapping.

mod hostile;
mod json;
mod kind;
mod kinds;
mod malformed;
mod marker;
mod random;
mod scene;
mod wrap;

use tributary_mapping::Reason;

pub use kind::Kind;
pub use kinds::BlobWritten;
pub use marker::{is_marker, marker_in, marker_of};

use kind::Mix;
use marker::Markers;
use random::Random;
use scene::Scene;

/// 2026-03-02T12:00:00Z
const DEFAULT_BASE: i64 = 1_772_452_800_000;
/// How many events in a thousand are malformed or hostile.
const DEFAULT_MALFORMED: u16 = 25;

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
    /// It is handed on to the flow log queue; to quarantine where there is none.
    Routed {
        /// The record's marker.
        marker: String,
    },
    /// It is left out, and counted.
    Skipped {
        /// The record's marker.
        marker: String,
    },
}

impl Expected {
    /// The text that only this record carries.
    pub fn marker(&self) -> &str {
        match self {
            Self::Mapped { marker, .. }
            | Self::Quarantined { marker, .. }
            | Self::Routed { marker }
            | Self::Skipped { marker } => marker,
        }
    }

    /// Whether the record must be mapped.
    pub fn is_mapped(&self) -> bool {
        matches!(self, Self::Mapped { .. })
    }
}

/// How many records there are of each fate. Together they are all: a record has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fates {
    /// In the lake.
    pub mapped: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// In the flow log queue.
    pub routed: u64,
    /// Left out.
    pub skipped: u64,
}

impl Fates {
    /// Counts records by what must become of them.
    pub fn add<'r>(&mut self, records: impl IntoIterator<Item = &'r Expected>) {
        for record in records {
            match record {
                Expected::Mapped { .. } => self.mapped += 1,
                Expected::Quarantined { .. } => self.quarantined += 1,
                Expected::Routed { .. } => self.routed += 1,
                Expected::Skipped { .. } => self.skipped += 1,
            }
        }
    }

    /// All records.
    pub fn total(&self) -> u64 {
        self.mapped + self.quarantined + self.routed + self.skipped
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
    mix: Mix,
}

impl Samples {
    /// Events of every kind under `seed`, around 2026-03-02T12:00:00Z, 25 in a thousand malformed or hostile.
    pub fn new(seed: u64) -> Self {
        Self { seed, base: DEFAULT_BASE, malformed: DEFAULT_MALFORMED, mix: Mix::whole() }
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

    /// Only events of these kinds, and none that is handed on or skipped; everything when the list is empty.
    #[must_use]
    pub fn only(mut self, kinds: &[Kind]) -> Self {
        self.mix = if kinds.is_empty() { Mix::whole() } else { Mix::only(kinds) };
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
        let mut markers = Markers::new(self.seed, index);
        let malformed = scene.rng.below(1_000) < usize::from(self.malformed);
        wrap::event(&mut scene, &mut markers, &self.mix, malformed)
    }
}

#[cfg(test)]
mod tests;
