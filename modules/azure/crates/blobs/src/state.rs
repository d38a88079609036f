//! What a cursor remembers of a blob, and how it changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::blocks::{Place, hex};
use crate::cut::Piece;
use crate::name::{BlobName, Notice};

/// How many records of each time there are, by MAC. A record's key is MAC, time and ordinal, so counts are all keys.
pub(crate) type Counts = BTreeMap<String, BTreeMap<i64, u32>>;

/// Records that are planned: MAC and time, the first ordinal and the one after the last.
pub(crate) type Ranges = BTreeMap<(String, i64), (u32, u32)>;

/// A cursor's state. Its shape is part of what later versions must read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct State {
    /// What is consumed.
    pub(crate) at: Place,
    /// Records that were taken, of this blob as it is and as it was.
    pub(crate) known: Counts,
    /// Records before `at`, where they are not those of `known`: the blob was rewritten and is read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<Counts>,
    /// What is being put, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Plan>,
    /// The ETag up to which everything is consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) e_tag: Option<String>,
    /// The greatest sequencer of a notification after whose arrival everything was consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sequencer: Option<String>,
}

/// The records between the cursor and a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) to: Place,
    pub(crate) records: Counts,
}

impl State {
    /// The blob begins anew: what was taken stays known.
    pub(crate) fn restart(&mut self) {
        self.at = Place::default();
        self.seen = Some(Counts::new());
        self.e_tag = None;
        self.sequencer = None;
    }

    /// Records before the cursor in the blob as it is.
    pub(crate) fn before(&self) -> &Counts {
        self.seen.as_ref().unwrap_or(&self.known)
    }

    /// Which of these records, which follow the cursor, are new.
    pub(crate) fn new_of(&self, records: &Counts) -> Ranges {
        let mut ranges = Ranges::new();
        for (mac, times) in records {
            for (&time, &count) in times {
                let first = count_of(self.before(), mac, time);
                let end = first.saturating_add(count);
                let from = first.max(count_of(&self.known, mac, time));
                if from < end {
                    ranges.insert((mac.clone(), time), (from, end));
                }
            }
        }
        ranges
    }

    /// The plan's records are taken, and the cursor stands behind them.
    pub(crate) fn advance(&mut self, plan: Plan) {
        let mut seen = self.before().clone();
        for (mac, times) in &plan.records {
            for (&time, &count) in times {
                let entry = seen.entry(mac.clone()).or_default().entry(time).or_default();
                *entry = entry.saturating_add(count);
            }
        }
        raise(&mut self.known, &seen);
        self.seen = (seen != self.known).then_some(seen);
        self.at = plan.to;
        self.plan = None;
    }

    /// The plan's records are taken, from a blob that was rewritten since.
    pub(crate) fn advance_apart(&mut self, ranges: &Ranges) {
        for ((mac, time), (_, end)) in ranges {
            let entry = self.known.entry(mac.clone()).or_default().entry(*time).or_default();
            *entry = (*entry).max(*end);
        }
        self.plan = None;
        self.restart();
    }

    /// Whether a notification says nothing new: what it tells of was consumed, and nothing is being put.
    pub(crate) fn covers(&self, notice: &Notice) -> bool {
        if self.plan.is_some() {
            return false;
        }
        let same = notice.e_tag.as_deref().is_some_and(|tag| self.e_tag.as_deref() == Some(bare(tag)));
        let sequencer = notice.sequencer.as_deref().and_then(padded);
        let older = sequencer
            .is_some_and(|theirs| self.sequencer.as_deref().and_then(padded).is_some_and(|ours| ours >= theirs));
        same || older
    }

    /// Everything of the blob under this ETag is consumed, after this notification came.
    pub(crate) fn complete(&mut self, etag: &str, notice: Option<&Notice>) {
        self.e_tag = Some(etag.to_owned());
        let theirs = notice.and_then(|notice| notice.sequencer.clone()).filter(|text| padded(text).is_some());
        if let Some(theirs) = theirs
            && self.sequencer.as_deref().and_then(padded) < padded(&theirs)
        {
            self.sequencer = Some(theirs);
        }
    }
}

/// An ETag without its quotes.
pub(crate) fn bare(etag: &str) -> &str {
    etag.trim().trim_matches('"')
}

/// A sequencer as text that sorts. Longer ones than any that the service gives are none.
pub(crate) fn padded(sequencer: &str) -> Option<String> {
    let fits = (1..=64).contains(&sequencer.len()) && sequencer.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| format!("{:0>64}", sequencer.to_ascii_lowercase()))
}

fn count_of(counts: &Counts, mac: &str, time: i64) -> u32 {
    counts.get(mac).and_then(|times| times.get(&time)).copied().unwrap_or(0)
}

fn raise(known: &mut Counts, seen: &Counts) {
    for (mac, times) in seen {
        for (&time, &count) in times {
            let entry = known.entry(mac.clone()).or_default().entry(time).or_default();
            *entry = (*entry).max(count);
        }
    }
}

/// How many of each there are.
pub(crate) fn counts(pieces: &[Piece]) -> Counts {
    let mut counts = Counts::new();
    for piece in pieces {
        *counts.entry(piece.mac.clone()).or_default().entry(piece.time).or_default() += 1;
    }
    counts
}

/// Gives each piece its ordinal, counting on from `counts`.
pub(crate) fn ordinals<'p>(pieces: &'p [Piece], counts: &'p mut Counts) -> impl Iterator<Item = (&'p Piece, u32)> {
    pieces.iter().map(|piece| {
        let next = counts.entry(piece.mac.clone()).or_default().entry(piece.time).or_default();
        let ordinal = *next;
        *next = next.saturating_add(1);
        (piece, ordinal)
    })
}

/// The name of what is put for these records: the same for whoever puts them.
pub(crate) fn name(blob: &BlobName, ranges: &Ranges) -> String {
    let source = Sha256::digest(format!("{}#{}#{}", blob.account, blob.container, blob.path));
    let mut digest = Sha256::new();
    for ((mac, time), (first, end)) in ranges {
        digest.update(format!("{mac}#{time}#{first}#{end}\n"));
    }
    let (source, records) = (hex(&source), hex(&digest.finalize()));
    format!("{}-{}", source.get(..12).unwrap_or(&source), records.get(..32).unwrap_or(&records))
}
