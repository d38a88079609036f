//! Quarantine objects by reason.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tributary_lake::{QuarantineLimits, QuarantineReader};

use crate::failure::Failure;

/// Largest object that is looked at, compressed: a batch is 8 MiB of events at most.
const MAX_OBJECT: u64 = 256 * 1024 * 1024;

/// Records of one reason and kind.
#[derive(Debug, Default, Clone)]
pub(crate) struct Refusals {
    pub(crate) records: u64,
    /// Earliest and latest time of receipt, as they are written.
    pub(crate) received: Option<(String, String)>,
    /// What the first of them says.
    pub(crate) detail: String,
}

/// One quarantine object.
#[derive(Debug)]
pub(crate) struct QuarantineFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// By reason and kind.
    pub(crate) refusals: BTreeMap<(String, String), Refusals>,
}

impl QuarantineFile {
    /// Reads an object, record by record.
    ///
    /// # Errors
    /// When it cannot be read, or is no quarantine object; nothing of it is counted then.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let fail = |error| Failure::file("read", path, &error);
        let file = std::fs::File::open(path).map_err(fail)?;
        let mut compressed = Vec::new();
        file.take(MAX_OBJECT).read_to_end(&mut compressed).map_err(fail)?;
        let broken = |error| Failure::Backend(format!("cannot read {}: {error}", path.display()));
        let reader = QuarantineReader::new(&compressed, QuarantineLimits::default()).map_err(broken)?;
        let mut refusals: BTreeMap<(String, String), Refusals> = BTreeMap::new();
        for entry in reader {
            let entry = entry.map_err(broken)?;
            let kind = entry.kind.unwrap_or_default().into_owned();
            let found = refusals.entry((entry.reason.into_owned(), kind)).or_default();
            found.add(1, Some((entry.received_at.to_string(), entry.received_at.into_owned())), &entry.detail);
        }
        Ok(Self { path: path.to_owned(), bytes: compressed.len() as u64, refusals })
    }

    /// Number of records.
    pub(crate) fn records(&self) -> u64 {
        self.refusals.values().map(|refusals| refusals.records).sum()
    }

    /// The object for `--json`.
    pub(crate) fn json(&self) -> Value {
        let refusals: Vec<Value> = self
            .refusals
            .iter()
            .map(|((reason, kind), found)| {
                let kind = (!kind.is_empty()).then_some(kind);
                let received = found.received.as_ref();
                json!({"reason": reason, "kind": kind, "records": found.records, "detail": found.detail,
                    "firstReceived": received.map(|(first, _)| first), "lastReceived": received.map(|(_, last)| last)})
            })
            .collect();
        json!({"path": self.path, "records": self.records(), "bytes": self.bytes, "refusals": refusals})
    }
}

impl Refusals {
    /// Counts more of the same.
    pub(crate) fn add(&mut self, records: u64, received: Option<(String, String)>, detail: &str) {
        if self.records == 0 {
            detail.clone_into(&mut self.detail);
        }
        self.records += records;
        // The texts are of one form, in which earlier sorts before later.
        self.received = match (self.received.take(), received) {
            (Some((first, last)), Some((low, high))) => Some((first.min(low), last.max(high))),
            (one, other) => one.or(other),
        };
    }
}
