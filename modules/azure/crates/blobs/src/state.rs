//! What a cursor remembers of a blob, and how it changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tributary_azure_flowlogs::Rest;

use crate::blocks::{Place, hex};
use crate::counts::{Counts, add, count_of, pack, pack_within, raise, unpack, unpack_within};
use crate::held::Piece;
use crate::name::{BlobName, Notice};

/// Records that are planned: MAC and time, the first ordinal and the one after the last.
pub(crate) type Ranges = BTreeMap<(String, i64), (u32, u32)>;

/// A cursor's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// What is consumed.
    pub(crate) at: Place,
    /// What follows there.
    pub(crate) rest: Rest,
    /// Records that were taken, of this blob as it is and as it was.
    pub(crate) known: Counts,
    /// Records before `at`, where they are not those of `known`: the blob was rewritten and is read again.
    pub(crate) seen: Option<Counts>,
    /// What is being put, if something is.
    pub(crate) plan: Option<Plan>,
    /// The ETag up to which everything is consumed.
    pub(crate) e_tag: Option<String>,
    /// The greatest sequencer of a notification after whose arrival everything was consumed.
    pub(crate) sequencer: Option<String>,
}

/// The records between the cursor and a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) to: Place,
    /// What follows there.
    pub(crate) rest: Rest,
    pub(crate) records: Counts,
    /// How what takes them cuts them into objects.
    pub(crate) cut: u32,
}

/// The version of [`Stored`] that is written. It is raised with every change that an earlier reader would not understand, and
/// [`State::read`] reads all that there were.
const VERSION: u32 = 1;

/// A state as the ledger has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    version: u32,
    at: Place,
    #[serde(default, skip_serializing_if = "is_records", with = "StoredRest")]
    rest: Rest,
    known: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<StoredPlan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequencer: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPlan {
    to: Place,
    #[serde(default, skip_serializing_if = "is_records", with = "StoredRest")]
    rest: Rest,
    records: String,
    cut: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rest", rename_all = "camelCase", deny_unknown_fields)]
enum StoredRest {
    Records,
    Long { depth: u32, string: bool, escaped: bool },
    End,
}

fn is_records(rest: &Rest) -> bool {
    *rest == Rest::Records
}

impl State {
    /// As the ledger keeps it.
    pub(crate) fn write(&self) -> Result<String, serde_json::Error> {
        let plan = self.plan.as_ref().map(|plan| StoredPlan {
            to: plan.to.clone(),
            rest: plan.rest,
            records: pack(&plan.records),
            cut: plan.cut,
        });
        serde_json::to_string(&Stored {
            version: VERSION,
            at: self.at.clone(),
            rest: self.rest,
            known: pack(&self.known),
            seen: self.seen.as_ref().map(|seen| pack_within(seen, &self.known)),
            plan,
            e_tag: self.e_tag.clone(),
            sequencer: self.sequencer.clone(),
        })
    }

    /// What was written; `None` for what this version does not know.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let stored: Stored = serde_json::from_str(text).ok().filter(|stored: &Stored| stored.version == VERSION)?;
        let known = unpack(&stored.known)?;
        let seen = match stored.seen {
            Some(seen) => Some(unpack_within(&seen, &known)?),
            None => None,
        };
        let plan = match stored.plan {
            Some(StoredPlan { to, rest, records, cut }) => Some(Plan { to, rest, records: unpack(&records)?, cut }),
            None => None,
        };
        let Stored { at, rest, e_tag, sequencer, .. } = stored;
        Some(Self { at, rest, known, seen, plan, e_tag, sequencer })
    }
}

impl State {
    /// The blob begins anew: what was taken stays known.
    pub(crate) fn restart(&mut self) {
        self.at = Place::default();
        self.rest = Rest::Records;
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
        add(&mut seen, &plan.records);
        raise(&mut self.known, &seen);
        self.seen = (seen != self.known).then_some(seen);
        self.at = plan.to;
        self.rest = plan.rest;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn counts(of: &[(&str, i64, u32)]) -> Counts {
        let mut counts = Counts::new();
        for (mac, time, count) in of {
            counts.entry((*mac).to_owned()).or_default().insert(*time, *count);
        }
        counts
    }

    #[test]
    fn a_state_comes_back_and_another_versions_is_none() {
        let place = |bytes| Place { blocks: 3, bytes, digest: "ab".into() };
        let mut state = State {
            at: place(9),
            rest: Rest::Long { depth: 3, string: true, escaped: false },
            known: counts(&[("000D3A2B4C5D", 1_772_452_860_000, 1), ("000D3A2B4C5D", 1_772_452_920_000, 4)]),
            seen: Some(counts(&[("000D3A2B4C5D", 1_772_452_920_000, 3)])),
            plan: Some(Plan { to: place(12), rest: Rest::End, records: counts(&[("", 0, 2)]), cut: 7 }),
            e_tag: Some("0x8D".into()),
            sequencer: Some("0a".into()),
        };
        let text = state.write().unwrap();
        assert_eq!(State::read(&text).as_ref(), Some(&state));
        assert!(text.starts_with("{\"version\":1,"), "{text}");
        for other in [text.replacen("\"version\":1", "\"version\":2", 1), text.replacen("\"version\":1,", "", 1)] {
            assert_eq!(State::read(&other), None);
        }
        assert_eq!(State::read("{}"), None);
        state = State::default();
        assert_eq!(State::read(&state.write().unwrap()), Some(state));
    }
}
