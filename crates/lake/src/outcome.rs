//! What became of a batch, as one object: `staged/{batch-id}`.
//!
//! ```text
//! {"schema":"tributary.outcome/1","batch":…,"mappings":…,"groups":[…],"counts":{…}}\n
//! <bytes of group 0><bytes of group 1>…
//! ```
//!
//! The manifest is one line of JSON, so `head -n 1` shows it. Offsets count from the byte after its line feed; groups
//! follow each other without gaps, up to the end. Everything is checked again on reading: what somebody else put under
//! that name, or what was cut, is never published.

use std::collections::BTreeSet;

use bytes::Bytes;
use object_store::PutPayload;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tributary_batch::BatchId;

use crate::group::MAX_GROUPS;
use crate::objects::LakeObjects;
use crate::quarantine::QuarantineObject;

/// Name and version of the form.
pub const OUTCOME_SCHEMA: &str = "tributary.outcome/1";
/// Most bytes of a staged object. A batch has at most 8 MiB of events (or one larger event).
pub const MAX_OUTCOME_BYTES: u64 = 256 * 1024 * 1024;
/// Most bytes of a manifest: 257 groups with the longest keys take a third of it.
const MAX_MANIFEST: usize = 1024 * 1024;

/// Most groups of an outcome: the lake's, and quarantine.
const MAX_GROUP_ENTRIES: usize = MAX_GROUPS + 1;

/// Where a group is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// The lake's bucket: one Parquet object.
    Lake,
    /// The quarantine's bucket: one NDJSON object.
    Quarantine,
}

/// One group of a staged outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupEntry {
    /// Where it goes.
    pub destination: Destination,
    /// Its key there.
    pub key: String,
    /// Where its bytes begin, counted from the end of the manifest.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
    /// SHA-256 of them, in lower-case hex.
    pub sha256: String,
    /// Rows, or quarantine entries.
    pub rows: u64,
    /// `class_uid` of the rows; `None` for quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<i32>,
}

/// What a batch held. All but `events` count records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Events of the batch.
    pub events: u64,
    /// Records in them: always `mapped + quarantined + routed + skipped`.
    pub records: u64,
    /// Records that are rows in the lake.
    pub mapped: u64,
    /// Records that are in quarantine.
    pub quarantined: u64,
    /// Records that were handed on as notifications.
    pub routed: u64,
    /// Records that are handshakes of the transport and were left out.
    pub skipped: u64,
    /// Values (not records) that went to `unmapped` for want of a column.
    pub overflowed: u64,
    /// Values (not records) that were cut short or left out for want of room in a page.
    pub cut: u64,
    /// Rows under the enqueued day, because their own time is outside the window.
    pub outside_window: u64,
    /// Rows under account `external`, because the batch has too many groups.
    pub over_group_limit: u64,
}

/// What is said of an outcome before its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`OUTCOME_SCHEMA`]
    pub schema: String,
    /// The batch.
    pub batch: BatchId,
    /// Digest of the mapping set that made the outcome.
    pub mappings: String,
    /// The groups, in the order of their bytes.
    pub groups: Vec<GroupEntry>,
    /// What the batch held.
    pub counts: Counts,
}

/// What became of a batch: every object that it will be in lake and quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What there is.
    manifest: Manifest,
    /// The groups' bytes, one after the other.
    bytes: Bytes,
}

/// Why bytes are no staged outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// No line feed ends a manifest.
    #[error("it does not begin with a manifest of one line and at most {MAX_MANIFEST} bytes")]
    NoManifest,
    /// The manifest's JSON is none, or lacks a field.
    #[error("its manifest is not readable ({0})")]
    Manifest(String),
    /// Another form, perhaps of a later version.
    #[error("its schema is not {OUTCOME_SCHEMA}: a later version may have written it")]
    Schema,
    /// Another batch's outcome.
    #[error("it is the outcome of batch {0}")]
    OtherBatch(BatchId),
    /// More groups than a batch may have.
    #[error("it has {0} groups, more than the {MAX_GROUP_ENTRIES} that a batch may have")]
    TooManyGroups(usize),
    /// The bytes end before, or go on after, what the manifest says.
    #[error("its groups need {expected} bytes, it has {found}: it was cut or added to")]
    Length {
        /// What the manifest says.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// A group does not begin where the one before it ends.
    #[error("group {0} does not begin where the one before it ends")]
    Offset(usize),
    /// A group's key is none that this batch may write.
    #[error("the key of group {0} is none of this batch's, or is there twice")]
    Key(usize),
    /// A group's bytes are not those that were staged.
    #[error("the bytes of group {0} do not have its digest")]
    Digest(usize),
    /// The counts contradict the groups.
    #[error("its counts do not add up to its groups' rows")]
    Counts,
}

impl Outcome {
    /// What there is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A group's bytes; empty for an entry of another outcome.
    pub fn group_bytes(&self, group: &GroupEntry) -> Bytes {
        let range =
            usize::try_from(group.offset).ok().zip(usize::try_from(group.offset.saturating_add(group.length)).ok());
        match range {
            Some((from, to)) if from <= to && to <= self.bytes.len() => self.bytes.slice(from..to),
            _ => Bytes::new(),
        }
    }

    /// The staged form.
    pub fn encode(&self) -> PutPayload {
        // A manifest is plain data: nothing in it that JSON cannot say.
        let mut line = serde_json::to_vec(&self.manifest).unwrap_or_default();
        line.push(b'\n');
        PutPayload::from_iter([Bytes::from(line), self.bytes.clone()])
    }

    /// Reads the staged form of `batch` and checks all of it. The groups' bytes are not copied.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(batch: &BatchId, staged: &Bytes) -> Result<Self, OutcomeError> {
        let end = staged.iter().take(MAX_MANIFEST).position(|byte| *byte == b'\n').ok_or(OutcomeError::NoManifest)?;
        let line = staged.slice(..end);
        let form: Form = serde_json::from_slice(&line).map_err(unreadable)?;
        if form.schema != OUTCOME_SCHEMA {
            return Err(OutcomeError::Schema);
        }
        let manifest: Manifest = serde_json::from_slice(&line).map_err(unreadable)?;
        if manifest.batch != *batch {
            return Err(OutcomeError::OtherBatch(manifest.batch));
        }
        let outcome = Self { manifest, bytes: staged.slice(end.saturating_add(1)..) };
        outcome.check()?;
        Ok(outcome)
    }

    fn check(&self) -> Result<(), OutcomeError> {
        let groups = &self.manifest.groups;
        if groups.len() > MAX_GROUP_ENTRIES {
            return Err(OutcomeError::TooManyGroups(groups.len()));
        }
        let mut end = 0_u64;
        let mut keys = BTreeSet::new();
        for (index, group) in groups.iter().enumerate() {
            if group.offset != end {
                return Err(OutcomeError::Offset(index));
            }
            end = end.saturating_add(group.length);
            if !is_key_of(&self.manifest.batch, group.destination, &group.key) || !keys.insert(&group.key) {
                return Err(OutcomeError::Key(index));
            }
        }
        let found = self.bytes.len() as u64;
        if end != found {
            return Err(OutcomeError::Length { expected: end, found });
        }
        let wrong = groups.iter().position(|group| hex_digest(&self.group_bytes(group)) != group.sha256);
        if let Some(index) = wrong {
            return Err(OutcomeError::Digest(index));
        }
        let rows = |destination| {
            let counted = groups.iter().filter(|group| group.destination == destination).map(|group| group.rows);
            counted.fold(0_u64, u64::saturating_add)
        };
        let Counts { records, mapped, quarantined, routed, skipped, .. } = self.manifest.counts;
        let adds_up = mapped == rows(Destination::Lake)
            && quarantined == rows(Destination::Quarantine)
            && records == [mapped, quarantined, routed, skipped].into_iter().fold(0, u64::saturating_add);
        if adds_up { Ok(()) } else { Err(OutcomeError::Counts) }
    }
}

/// Only the form of a manifest, read before the rest of it.
#[derive(Deserialize)]
struct Form {
    schema: String,
}

fn unreadable(error: serde_json::Error) -> OutcomeError {
    // Its text may quote the content, its place does not.
    OutcomeError::Manifest(format!("column {}", error.column()))
}

/// Whether a key is one that this batch may write: named by the batch, in its destination's part of a bucket.
pub(crate) fn is_key_of(batch: &BatchId, destination: Destination, key: &str) -> bool {
    let Ok(path) = crate::store::path("publish", key) else { return false };
    let Some(name) = path.filename() else { return false };
    let is_quarantine = key.starts_with(crate::quarantine::PREFIX);
    match destination {
        Destination::Lake => {
            name.strip_suffix(".parquet") == Some(batch.as_str()) && key.contains("/region=") && !is_quarantine
        }
        Destination::Quarantine => name.strip_suffix(".ndjson.zst") == Some(batch.as_str()) && is_quarantine,
    }
}

fn hex_digest(bytes: &[u8]) -> String {
    crate::hex(&Sha256::digest(bytes))
}

/// Puts an outcome together.
#[derive(Debug)]
pub struct OutcomeBuilder {
    manifest: Manifest,
    bytes: Vec<u8>,
}

impl OutcomeBuilder {
    /// The outcome of a batch of `events` events, made by the mapping set with digest `mappings`.
    pub fn new(batch: BatchId, mappings: impl Into<String>, events: u64) -> Self {
        let manifest = Manifest {
            schema: OUTCOME_SCHEMA.to_owned(),
            batch,
            mappings: mappings.into(),
            groups: Vec::new(),
            counts: Counts { events, ..Counts::default() },
        };
        Self { manifest, bytes: Vec::new() }
    }

    /// Adds the batch's lake objects.
    #[must_use]
    pub fn lake(mut self, made: &LakeObjects) -> Self {
        self.bytes.reserve(usize::try_from(made.bytes()).unwrap_or_default());
        for object in &made.objects {
            self.add(Destination::Lake, &object.key, &object.bytes, object.rows, Some(object.class_uid));
        }
        let counts = &mut self.manifest.counts;
        counts.mapped += made.rows();
        counts.overflowed += made.overflowed;
        counts.cut += made.cut;
        counts.outside_window += made.outside_window;
        counts.over_group_limit += made.over_group_limit;
        self
    }

    /// Adds the batch's quarantine object, if it has one.
    #[must_use]
    pub fn quarantine(mut self, object: Option<&QuarantineObject>) -> Self {
        if let Some(object) = object {
            self.add(Destination::Quarantine, &object.key, &object.bytes, object.entries, None);
            self.manifest.counts.quarantined += object.entries;
        }
        self
    }

    /// Counts records that are neither in the lake nor in quarantine.
    #[must_use]
    pub fn aside(mut self, routed: u64, skipped: u64) -> Self {
        self.manifest.counts.routed += routed;
        self.manifest.counts.skipped += skipped;
        self
    }

    /// The outcome.
    pub fn build(mut self) -> Outcome {
        let counts = &mut self.manifest.counts;
        counts.records = counts.mapped + counts.quarantined + counts.routed + counts.skipped;
        Outcome { manifest: self.manifest, bytes: Bytes::from(self.bytes) }
    }

    fn add(&mut self, destination: Destination, key: &str, bytes: &[u8], rows: u64, class: Option<i32>) {
        self.manifest.groups.push(GroupEntry {
            destination,
            key: key.to_owned(),
            offset: self.bytes.len() as u64,
            length: bytes.len() as u64,
            sha256: hex_digest(bytes),
            rows,
            class,
        });
        self.bytes.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::objects::LakeObject;

    fn id() -> BatchId {
        BatchId::for_content(b"batch")
    }

    fn outcome() -> Outcome {
        let object = |day: u32, rows| LakeObject {
            key: format!(
                "ext/example/1.3.0/region=eu-west-1/accountId=external/eventDay=2026010{day}/{}.parquet",
                id()
            ),
            bytes: Bytes::from(vec![day as u8; 100]),
            rows,
            class_uid: 2004,
        };
        let made =
            LakeObjects { objects: vec![object(1, 3), object(2, 4)], outside_window: 2, ..LakeObjects::default() };
        let key = format!("quarantine/example/2026/01/01/{}.ndjson.zst", id());
        let quarantine = QuarantineObject { key, bytes: Bytes::from_static(b"\n\n"), entries: 2 };
        OutcomeBuilder::new(id(), "digest", 5).lake(&made).quarantine(Some(&quarantine)).build()
    }

    fn staged(outcome: &Outcome) -> Vec<u8> {
        outcome.encode().iter().flat_map(|part| part.to_vec()).collect()
    }

    fn decode(bytes: impl Into<Bytes>) -> Result<Outcome, OutcomeError> {
        Outcome::decode(&id(), &bytes.into())
    }

    /// The staged form with something else in its manifest.
    fn altered(change: impl FnOnce(&mut Manifest)) -> Result<Outcome, OutcomeError> {
        let mut outcome = outcome();
        change(&mut outcome.manifest);
        decode(staged(&outcome))
    }

    #[test]
    fn the_form_is_a_line_of_json_and_the_bytes() {
        let outcome = outcome();
        let bytes = staged(&outcome);
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let line: serde_json::Value = serde_json::from_slice(&bytes[..end]).unwrap();
        assert_eq!(line["schema"], "tributary.outcome/1");
        assert_eq!(line["batch"], id().as_str());
        assert_eq!(line["mappings"], "digest");
        let counts = serde_json::json!({"events": 5, "records": 9, "mapped": 7, "quarantined": 2, "routed": 0,
            "skipped": 0, "overflowed": 0, "cut": 0, "outsideWindow": 2, "overGroupLimit": 0});
        assert_eq!(line["counts"], counts);
        let groups: Vec<_> = line["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| (&group["destination"], &group["offset"], &group["length"], &group["class"]))
            .collect();
        let (lake, none) = (serde_json::json!("lake"), serde_json::Value::Null);
        let [zero, hundred, two_hundred, two, class] = [0, 100, 200, 2, 2004].map(serde_json::Value::from);
        assert_eq!(
            groups,
            [
                (&lake, &zero, &hundred, &class),
                (&lake, &hundred, &hundred, &class),
                (&"quarantine".into(), &two_hundred, &two, &none)
            ]
        );
        assert_eq!(&bytes[end + 1..], [&[1; 100][..], &[2; 100], b"\n\n"].concat());
        assert_eq!(decode(bytes), Ok(outcome));
    }

    #[test]
    fn a_later_writers_more_fields_do_not_matter() {
        let text = String::from_utf8_lossy(&staged(&outcome())).replacen("{\"schema\"", "{\"later\":{},\"schema\"", 1);
        assert!(decode(text.into_bytes()).is_ok());
    }

    #[test]
    fn a_foreign_or_hostile_manifest_is_refused() {
        assert!(matches!(
            altered(|manifest| manifest.schema = "tributary.outcome/2".into()),
            Err(OutcomeError::Schema)
        ));
        let other = BatchId::for_content(b"other");
        assert_eq!(altered(|manifest| manifest.batch = other.clone()), Err(OutcomeError::OtherBatch(other)));
        assert_eq!(altered(|manifest| manifest.groups[1].offset -= 1), Err(OutcomeError::Offset(1)));
        assert_eq!(altered(|manifest| manifest.groups[2].offset = u64::MAX), Err(OutcomeError::Offset(2)));
        let cut = altered(|manifest| manifest.groups[2].length = u64::MAX);
        assert!(matches!(cut, Err(OutcomeError::Length { .. })), "{cut:?}");
        assert!(matches!(altered(|manifest| drop(manifest.groups.pop())), Err(OutcomeError::Length { .. })));
        assert_eq!(altered(|manifest| manifest.groups[0].sha256 = "00".into()), Err(OutcomeError::Digest(0)));
        assert_eq!(altered(|manifest| manifest.groups[0].rows += 1), Err(OutcomeError::Counts));
        assert_eq!(altered(|manifest| manifest.counts.records = u64::MAX), Err(OutcomeError::Counts));
        let many = altered(|manifest| manifest.groups = vec![manifest.groups[0].clone(); 258]);
        assert_eq!(many, Err(OutcomeError::TooManyGroups(258)));
    }

    /// Whoever can write to the staging bucket must not be able to write anywhere else through a worker.
    #[test]
    fn a_key_of_another_place_or_batch_is_refused() {
        let other = BatchId::for_content(b"other");
        for key in [
            String::new(),
            format!("{}.parquet", id()),
            format!("ext/x/region=a/../{}.parquet", id()),
            format!("/ext/x/region=a/{}.parquet", id()),
            format!("ext/x/region=a/{}.parquet/", id()),
            format!("ext/x/region=a/{other}.parquet"),
            format!("ext/x/region=a/{}", id()),
            format!("quarantine/x/region=a/{}.parquet", id()),
            format!("staged/{}", id()),
        ] {
            assert_eq!(altered(|manifest| manifest.groups[0].key = key.clone()), Err(OutcomeError::Key(0)), "{key:?}");
            assert_eq!(altered(|manifest| manifest.groups[2].key = key.clone()), Err(OutcomeError::Key(2)), "{key:?}");
        }
        let twice = altered(|manifest| manifest.groups[1].key = manifest.groups[0].key.clone());
        assert_eq!(twice, Err(OutcomeError::Key(1)));
    }

    #[test]
    fn an_object_cut_anywhere_or_added_to_is_refused() {
        let whole = staged(&outcome());
        for end in 0..whole.len() {
            assert!(decode(whole[..end].to_vec()).is_err(), "cut at {end}");
        }
        assert!(matches!(decode([&whole[..], b"x"].concat()), Err(OutcomeError::Length { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..2_000) {
            let _ = decode(bytes.clone());
            let mut whole = staged(&outcome());
            let at = at % whole.len();
            whole.splice(at..(at + bytes.len()).min(whole.len()), bytes);
            if let Ok(read) = decode(whole) {
                // What still passes has the groups that were staged.
                prop_assert_eq!(read.bytes, outcome().bytes);
            }
        }
    }
}
