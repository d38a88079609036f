//! Records of one blob on their way into the lake.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tributary_batch::BatchId;
use tributary_lake::{
    LakeError, LakeObject, LakeObjects, Layout, Leaves, Misfiled, Outcome, OutcomeBuilder, QuarantineEntry,
    QuarantineError, QuarantineObject, quarantine_object, received_at,
};
use tributary_mapping::{Reason, parse_timestamp, redact_text};
use tributary_ocsf::columns::Columns;
use tributary_ocsf::{Schema, Version};

use crate::columns::groups::groups;
use crate::columns::object::{CLASS, CLASS_UID, MAPPING, object};
use crate::columns::rows::{BadRecord, BadTuple, Rows};
use crate::parse::cut::MAX_RECORD;
use crate::parse::record::{self, Head, Refusal, Sink as _};
use crate::place::{PathHints, within_container};

/// Rows of an object, unless configured otherwise. A row takes 62 bytes before it is written.
const ROWS: usize = 128 * 1_024;
/// Bytes of quarantined text after which an object of it is made.
const QUARANTINED: usize = 8 << 20;
/// Rows of an object of a planned part, for plans that are made now. What is planned has at most some 4 MiB, or is one record: its
/// rows are fewer, unless that record is very long.
pub const PLANNED_ROWS: u32 = 512 * 1_024;
/// Bytes of texts outside of tuples after which an object is made: dictionaries stay small enough for a page.
const TEXTS: usize = 512 * 1_024;

/// Why a part cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlowLogError {
    /// No object could be made.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// No quarantine object could be made.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// The layout has no place for flows.
    #[error("no source is configured for class network_activity (4001): register one and add its location")]
    NoSource,
    /// The part's name cannot be that of several objects.
    #[error("{0:?} is too long for the name of several objects: at most 116 characters")]
    Name(String),
}

/// Turns flow logs into lake objects. One serves a whole process.
#[derive(Debug)]
pub struct FlowLogs {
    version: Version,
    layout: Layout,
    leaves: Leaves,
    module: String,
    rows: usize,
}

/// The blob that records are from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// The blob's name, with or without account, container or folder before it. Ids are made from what it is in its container
    /// (from `flowLogResourceID=` or `resourceId=` on, else all of it), which may also name subscription, region and hour.
    pub name: &'s str,
    /// Stands in for the time of records without one, in milliseconds since 1970-01-01T00:00:00Z.
    pub received: i64,
}

/// What names a record in its blob, whatever fragment of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKey<'k> {
    /// Its `time`, in milliseconds since 1970-01-01T00:00:00Z; 0 where it has none.
    pub time: i64,
    /// Its `macAddress`, upper case; empty where it has none.
    pub mac: &'k str,
    /// Which one of the blob's records of this time and MAC it is, from 0.
    pub ordinal: u32,
}

/// What is ready to be put.
#[derive(Debug)]
pub struct Made {
    /// The part's name; of its second outcome and further ones with `-1`, `-2` and so on behind it.
    pub name: BatchId,
    /// Objects for the lake.
    pub objects: LakeObjects,
    /// What could not be taken.
    pub quarantine: Option<QuarantineObject>,
}

impl Made {
    /// As an outcome, to be staged or published.
    pub fn outcome(&self) -> Outcome {
        OutcomeBuilder::new(self.name.clone(), MAPPING, 0)
            .lake(&self.objects)
            .quarantine(self.quarantine.as_ref())
            .build()
    }
}

/// What a part came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were taken, in part or whole, or refused.
    pub records: u64,
    /// Tuples in objects.
    pub tuples: u64,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records and tuples in quarantine, by reason.
    pub quarantined: BTreeMap<&'static str, u64>,
    /// Tuples filed under another day than their own.
    pub outside_window: u64,
    /// Tuples filed under another account than their own.
    pub over_group_limit: u64,
}

impl Counts {
    /// Adds another part's.
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.tuples += other.tuples;
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.outside_window += other.outside_window;
        self.over_group_limit += other.over_group_limit;
        for (reason, count) in &other.quarantined {
            *self.quarantined.entry(reason).or_default() += count;
        }
    }
}

impl FlowLogs {
    /// Flow logs as events of an OCSF version, to where a layout puts them. `module` names the module in quarantine's paths.
    ///
    /// # Errors
    /// When the layout has no source for the class, or the committed columns lack one.
    pub fn new(version: Version, layout: Layout, module: impl Into<String>) -> Result<Self, FlowLogError> {
        let schema = Schema::get(version);
        let missing = LakeError::NoSchema { version, class: CLASS };
        let columns = Columns::embedded(schema, CLASS).ok_or(missing)?.map_err(LakeError::from)?;
        layout.location(CLASS_UID).ok_or(FlowLogError::NoSource)?;
        Ok(Self { version, layout, leaves: Leaves::new(&columns)?, module: module.into(), rows: ROWS })
    }

    /// With at most this many rows an object.
    #[must_use]
    pub fn rows_per_object(mut self, rows: usize) -> Self {
        self.rows = rows.clamp(1, 1 << 20);
        self
    }

    /// A part of records that were planned to be under this name: one object for each account and day, whatever is in them,
    /// where they have no more than `rows` rows. So that the plan's records stay in the plan's objects when another version puts them
    /// again, `rows` is part of the plan, and what later versions accept or refuse decides nothing.
    pub fn planned(&self, name: BatchId, source: Source<'_>, rows: u32) -> Part<'_> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, 1 << 20);
        Part { rows_per_object: rows, planned: true, ..self.part(name, source) }
    }

    /// A part under this name, of records as they come: the same records under the same name make the same objects.
    pub fn part(&self, name: BatchId, source: Source<'_>) -> Part<'_> {
        let digest = Sha256::digest(within_container(source.name));
        let mut blob = [0; 12];
        hex(&digest, &mut blob);
        Part {
            logs: self,
            name,
            source: source.name.to_owned(),
            received: source.received,
            hints: PathHints::of(source.name),
            blob,
            rows: Rows::default(),
            rows_per_object: self.rows,
            planned: false,
            ordinals: HashMap::new(),
            entries: Vec::new(),
            held: 0,
            texts: 0,
            ready: Vec::new(),
            made: 0,
            counts: Counts::default(),
        }
    }
}

/// A record or tuple for quarantine.
#[derive(Debug)]
struct Entry {
    reason: Reason,
    detail: &'static str,
    position: serde_json::Value,
    received: i64,
    raw: String,
}

/// Some records of one blob: takes them one by one, and makes objects when there is enough for one.
#[derive(Debug)]
pub struct Part<'f> {
    logs: &'f FlowLogs,
    name: BatchId,
    source: String,
    received: i64,
    hints: PathHints,
    /// Digits that name the blob.
    blob: [u8; 12],
    rows: Rows,
    rows_per_object: usize,
    /// Whether only the number of rows ends an object.
    planned: bool,
    ordinals: HashMap<(i64, String), u32>,
    entries: Vec<Entry>,
    /// Bytes of the entries.
    held: usize,
    texts: usize,
    ready: Vec<Made>,
    made: u32,
    counts: Counts,
}

impl Part<'_> {
    /// Takes a record whose key is known.
    ///
    /// # Errors
    /// When an object cannot be made, which no record brings about.
    pub fn record(&mut self, key: RecordKey<'_>, bytes: &[u8]) -> Result<(), FlowLogError> {
        self.take(key, bytes, record::head(bytes))
    }

    /// Takes the beginning of a record that is longer than records are read: it goes to quarantine, as much of it as an entry holds.
    ///
    /// # Errors
    /// When an object cannot be made, which no record brings about.
    pub fn cut_off(&mut self, key: RecordKey<'_>, beginning: &[u8]) -> Result<(), FlowLogError> {
        const LONG: Refusal = Refusal {
            reason: Reason::TooLarge,
            detail: "the record is longer than records are read: this is its beginning",
        };
        self.take(key, beginning.get(..QUARANTINED).unwrap_or(beginning), Err(LONG))
    }

    /// Takes the blob's next record, if it is wanted: its ordinal is counted over all records that were given to this part.
    /// Returns whether it was.
    ///
    /// # Errors
    /// When an object cannot be made, which no record brings about.
    pub fn read(&mut self, bytes: &[u8], wanted: impl FnOnce(RecordKey<'_>) -> bool) -> Result<bool, FlowLogError> {
        let head = record::head(bytes);
        let (time, mac) = head.as_ref().map_or((0, String::new()), key);
        let next = self.ordinals.entry((time, mac.clone())).or_default();
        let key = RecordKey { time, mac: &mac, ordinal: *next };
        *next = next.saturating_add(1);
        if !wanted(key) {
            return Ok(false);
        }
        // That is where a cutter cuts it.
        if bytes.len() >= MAX_RECORD {
            self.cut_off(key, bytes)?;
            return Ok(true);
        }
        self.take(key, bytes, head)?;
        Ok(true)
    }

    fn take(&mut self, key: RecordKey<'_>, bytes: &[u8], head: Result<Head<'_>, Refusal>) -> Result<(), FlowLogError> {
        self.counts.records += 1;
        let before = self.rows.len();
        let mark = self.rows.begin(self.uid(key), &self.hints, self.received);
        let read = head.and_then(|head| record::record(bytes, &head, &mut self.rows));
        let position = |rest: serde_json::Value| {
            let record = json!({"time": key.time, "mac": key.mac, "ordinal": key.ordinal});
            let mut all = json!({"blob": self.source, "record": record});
            if let (Some(all), serde_json::Value::Object(rest)) = (all.as_object_mut(), rest) {
                all.extend(rest);
            }
            all
        };
        let received = if key.time > 0 { key.time } else { self.received };
        let mut entries: Vec<Entry> = Vec::new();
        match read {
            Ok(()) => {
                for BadTuple { fault, flow, group, number, raw } in self.rows.bad.drain(..) {
                    let reason =
                        if fault.ends_with("decision or state") { Reason::MissingRequired } else { Reason::Invalid };
                    let position = position(json!({"flow": flow, "group": group, "tuple": number}));
                    entries.push(Entry { reason, detail: fault, position, received, raw: redacted(&raw) });
                }
                for BadRecord { refusal: Refusal { reason, detail }, place, raw } in self.rows.refused.drain(..) {
                    let position = position(json!({"nested": place}));
                    entries.push(Entry { reason, detail, position, received, raw: redacted(&raw) });
                }
            }
            Err(Refusal { reason, detail }) => {
                self.rows.back(mark);
                entries.push(Entry { reason, detail, position: position(json!({})), received, raw: redacted(bytes) });
            }
        }
        for entry in &entries {
            *self.counts.quarantined.entry(entry.reason.as_str()).or_default() += 1;
            self.held += entry.raw.len() + 256;
        }
        self.entries.append(&mut entries);
        self.texts = self.rows.texts.bytes();
        // As many rows as this record has would be too many: records of a blob are alike, so few objects have to be halved.
        let next = self.rows.len() - before;
        let enough = self.held >= QUARANTINED || self.texts >= TEXTS || self.rows.is_crowded();
        if self.rows.len() + next > self.rows_per_object || (enough && !self.planned) {
            self.flush()?;
        }
        Ok(())
    }

    /// What is ready so far, and from now on no longer here.
    pub fn ready(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.ready)
    }

    /// No record follows: what is left, and what the part came to.
    ///
    /// # Errors
    /// When an object cannot be made.
    pub fn finish(mut self) -> Result<(Vec<Made>, Counts), FlowLogError> {
        self.flush()?;
        Ok((self.ready, self.counts))
    }

    /// `{12 digits of the blob}-{12 digits of the record}-`
    fn uid(&self, key: RecordKey<'_>) -> [u8; 26] {
        let mut record = [0; 12];
        hex(&Sha256::digest(format!("{}#{}#{}", key.time, key.mac, key.ordinal)), &mut record);
        let mut uid = [b'-'; 26];
        let bytes = self.blob.iter().chain(b"-").chain(&record);
        uid.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        uid
    }

    fn next_name(&mut self) -> Result<BatchId, FlowLogError> {
        let number = self.made;
        self.made += 1;
        if number == 0 {
            return Ok(self.name.clone());
        }
        BatchId::parse(&format!("{}-{number}", self.name)).map_err(|_| FlowLogError::Name(self.name.to_string()))
    }

    /// Makes objects of all rows and entries.
    fn flush(&mut self) -> Result<(), FlowLogError> {
        if self.rows.len() == 0 && self.entries.is_empty() {
            return Ok(());
        }
        let groups = groups(&self.rows);
        let pieces =
            groups.iter().map(|group| group.order.len().div_ceil(self.rows_per_object)).max().unwrap_or(0).max(1);
        for piece in 0..pieces {
            let name = self.next_name()?;
            let mut objects = LakeObjects::default();
            for group in &groups {
                let size = group.order.len().div_ceil(group.order.len().div_ceil(self.rows_per_object).max(1)).max(1);
                let Some(order) = group.order.chunks(size).nth(piece) else { continue };
                let misfiled = group.misfiled.chunks(size).nth(piece).unwrap_or_default();
                let key = self.logs.layout.key(CLASS_UID, &group.account, group.day, &name);
                let key = key.ok_or(FlowLogError::NoSource)?;
                let bytes = object(&self.rows, &self.logs.leaves, self.logs.version.as_str(), order, misfiled)?;
                let count = |why| misfiled.iter().filter(|found| **found == Some(why)).count() as u64;
                objects.outside_window += count(Misfiled::OutsideWindow);
                objects.over_group_limit += count(Misfiled::TooManyGroups);
                objects.objects.push(LakeObject {
                    key,
                    bytes: bytes.into(),
                    rows: order.len() as u64,
                    class_uid: CLASS_UID,
                });
            }
            let quarantine = if piece == 0 { self.quarantine(&name)? } else { None };
            self.counts.tuples += objects.rows();
            self.counts.objects += objects.objects.len() as u64;
            self.counts.bytes += objects.bytes();
            self.counts.outside_window += objects.outside_window;
            self.counts.over_group_limit += objects.over_group_limit;
            self.ready.push(Made { name, objects, quarantine });
        }
        self.rows.clear();
        self.entries.clear();
        self.held = 0;
        Ok(())
    }

    fn quarantine(&self, name: &BatchId) -> Result<Option<QuarantineObject>, QuarantineError> {
        let first =
            self.hints.hour.or_else(|| self.entries.first().map(|entry| entry.received)).unwrap_or(self.received);
        let entry = |entry: &Entry| QuarantineEntry {
            reason: entry.reason.as_str().into(),
            detail: entry.detail.into(),
            kind: Some("flow_log".into()),
            position: entry.position.clone(),
            mappings: MAPPING.into(),
            received_at: received_at(entry.received).into(),
            raw: entry.raw.clone().into(),
        };
        let entries: Vec<QuarantineEntry<'_>> = self.entries.iter().map(entry).collect();
        quarantine_object(&self.logs.module, first, name, &entries)
    }
}

/// What a record says of its own key: `time` in milliseconds since 1970-01-01T00:00:00Z, 0 where it has none, and `macAddress`, upper
/// case, empty where it has none. What cannot be read has neither: its ordinal tells it apart.
pub fn record_name(bytes: &[u8]) -> (i64, String) {
    record::head(bytes).as_ref().map_or((0, String::new()), key)
}

fn key(head: &Head<'_>) -> (i64, String) {
    let time = head.time.as_deref().and_then(parse_timestamp).unwrap_or(0);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':');
    let mac = head.mac.as_deref().filter(|mac| mac.len() <= 32 && mac.bytes().all(plain));
    (time, mac.unwrap_or_default().to_ascii_uppercase())
}

fn redacted(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    redact_text(&text).unwrap_or_else(|| text.into_owned())
}

fn hex(bytes: &[u8], digits: &mut [u8]) {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    digits.iter_mut().zip(nibbles).for_each(|(slot, nibble)| *slot = digit(nibble));
}
