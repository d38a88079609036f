//! A batch of events as the outcome that is staged: lake objects and quarantine. Pure: no store, no clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use bumpalo::Bump;
use serde_json::{Value, json};
use tributary_batch::{Batch, BatchId, Body, TimestampMs};
use tributary_lake::{
    LakeError, LakeWriter, Layout, Outcome, OutcomeBuilder, QuarantineEntry, QuarantineError, QuarantineObject, Row,
    quarantine_object, received_at,
};
use tributary_mapping::asff::{self, Finding};
use tributary_mapping::cloudtrail::{self, AuditEvent};
use tributary_mapping::{
    Destination, Mapped, Mapper, MappingSet, Options, Origin, Outcome as Fate, Reason, Refused, Scratch,
};
use tributary_ocsf::Schema;

/// What quarantine says of a body that is no text.
pub(super) const BINARY: &str = "the body is not utf-8; raw is its bytes in base64";

/// Why no outcome could be made. Nothing of the batch is lost: its message stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// A lake object cannot be made.
    #[error("batch {batch}: {source}")]
    Lake {
        /// The batch.
        batch: BatchId,
        /// Why.
        source: LakeError,
    },
    /// The quarantine object cannot be made.
    #[error("batch {batch}: {source}")]
    Quarantine {
        /// The batch.
        batch: BatchId,
        /// Why.
        source: QuarantineError,
    },
}

/// Events under one name, wherever they came from.
#[derive(Debug)]
pub struct Input<'i> {
    /// The batch's name.
    pub id: BatchId,
    /// The integration's instance id.
    pub module: &'i str,
    /// The events.
    pub events: Vec<InputEvent<'i>>,
    /// What is made beside the outcome.
    pub derived: Derived<'i>,
}

/// What is made of records beside the outcome: nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Derived<'i> {
    /// Whether somebody takes notifications; they go to quarantine where nobody does.
    pub routes: bool,
    /// Whom findings are addressed to, where they are wanted.
    pub findings: Option<&'i Destination>,
    /// Whom trail events are addressed to, where they are wanted.
    pub trail: Option<&'i Destination>,
}

/// One event with what its records inherit from it.
#[derive(Debug)]
pub struct InputEvent<'i> {
    /// `metadata.uid` of its records, less their index: positional, stable over retries.
    pub uid: String,
    /// When the hub accepted it: lends a time to records that have none. In milliseconds.
    pub enqueued_time: Option<TimestampMs>,
    /// Day under which records with impossible times are filed. In milliseconds.
    pub filed_time: TimestampMs,
    /// Where it came from, for whoever reads the quarantine.
    pub position: Value,
    /// Its body.
    pub body: InputBody<'i>,
}

/// What an event carries.
#[derive(Debug, Clone, Copy)]
pub enum InputBody<'i> {
    /// Text.
    Text(&'i str),
    /// Bytes that are not UTF-8.
    Binary(&'i [u8]),
}

impl<'i> Input<'i> {
    /// A batch from a hub.
    pub fn batch(batch: &'i Batch) -> Self {
        let source = &batch.source;
        let digest = source.hub_digest();
        let event = |event: &'i tributary_batch::Event| InputEvent {
            uid: format!("{}-{}-{}", digest.as_str(), source.partition, event.sequence_number),
            enqueued_time: Some(event.enqueued_time),
            filed_time: event.enqueued_time,
            position: json!({"namespace": source.namespace, "hub": source.hub, "partition": source.partition,
                "sequenceNumber": event.sequence_number.0, "offset": event.offset.as_str()}),
            body: match &event.body {
                Body::Text(text) => InputBody::Text(text),
                Body::Binary(bytes) => InputBody::Binary(bytes),
            },
        };
        Self::new(batch.id(), &batch.module, batch.events.iter().map(event).collect())
    }

    /// Events under a name: notifications go to quarantine, nothing else than the outcome is made.
    pub fn new(id: BatchId, module: &'i str, events: Vec<InputEvent<'i>>) -> Self {
        Self { id, module, events, derived: Derived::default() }
    }

    /// With notifications handed on, and findings and trail events made, where they are wanted.
    #[must_use]
    pub fn deriving(self, derived: Derived<'i>) -> Self {
        Self { derived, ..self }
    }
}

/// An outcome with what a summary wants to know of it.
#[derive(Debug)]
pub struct Made {
    /// The outcome.
    pub outcome: Outcome,
    /// Records mapped, by kind.
    pub mapped: BTreeMap<String, u64>,
    /// Records refused, by reason.
    pub quarantined: BTreeMap<Reason, u64>,
    /// Records that only the general map took, by category.
    pub general: BTreeMap<String, u64>,
    /// Messages of the records that are notifications, with the rule that says so.
    pub routed: Vec<(String, String)>,
    /// Records left out, by rule.
    pub skipped: BTreeMap<String, u64>,
    /// The form of Security Hub of every record that is a finding and goes there.
    pub findings: Vec<Finding>,
    /// The form of CloudTrail Lake of every record that was mapped.
    pub trail: Vec<AuditEvent>,
    /// Secrets redacted.
    pub redactions: u64,
}

/// Maps batches by one mapping set into one layout. One serves a whole process, and several threads.
#[derive(Debug)]
pub struct Transformer {
    pub(super) set: Arc<MappingSet>,
    pub(super) options: Options,
    writer: LakeWriter,
}

impl Transformer {
    /// A transformer. Every class that the set maps to must have a source in the layout and a committed schema.
    ///
    /// # Errors
    /// What is missing.
    pub fn new(set: Arc<MappingSet>, options: Options, layout: Layout) -> Result<Self, LakeError> {
        let schema = set.schema();
        let writer = LakeWriter::new(schema, layout, set.digest());
        for class in set.classes() {
            if let Some((id, _)) = schema.class_named(class) {
                writer.check(id)?;
            }
        }
        Ok(Self { set, options, writer })
    }

    /// The digest of the mapping set.
    pub fn mappings(&self) -> &str {
        self.set.digest()
    }

    /// Maps every record of a batch: each stands in exactly one place of the outcome.
    ///
    /// # Errors
    /// When Arrow, Parquet or the compressor refuse it, which a batch within its bounds cannot bring about.
    pub fn outcome(&self, input: &Input<'_>) -> Result<Made, TransformError> {
        let arena = Bump::new();
        let mapper = Mapper::new(&self.set, self.options);
        let (mut scratch, mut fates, mut owners) = (Scratch::default(), Vec::new(), Vec::new());
        let mut refused: Vec<QuarantineEntry<'_>> = Vec::new();
        let mut quarantined: BTreeMap<Reason, u64> = BTreeMap::new();
        for event in &input.events {
            match event.body {
                InputBody::Text(text) => {
                    let origin = Origin { uid: arena.alloc_str(&event.uid), enqueued_time: event.enqueued_time };
                    mapper.map_body(text, origin, &arena, &mut scratch, &mut fates);
                    owners.resize(fates.len(), event);
                }
                InputBody::Binary(bytes) => {
                    *quarantined.entry(Reason::NotJson).or_default() += 1;
                    refused.push(self.binary(event, bytes));
                }
            }
        }
        let mut sorted = Sorted { refused, quarantined, ..Sorted::new(self.set.schema(), input.derived) };
        for (fate, event) in fates.iter().zip(&owners) {
            sorted.add(fate, event.filed_time, |record| self.entry(event, record));
        }
        let first = input.events.first().map_or(0, |event| event.filed_time);
        let quarantine = |entries: &[_]| quarantine_object(input.module, first, &input.id, entries);
        self.made(&input.id, input.events.len() as u64, sorted, quarantine, scratch.redactions)
    }

    /// The outcome of records whose fates are sorted.
    pub(super) fn made<'e>(
        &self,
        id: &BatchId,
        events: u64,
        sorted: Sorted<'e>,
        quarantine: impl FnOnce(&[QuarantineEntry<'e>]) -> Result<Option<QuarantineObject>, QuarantineError>,
        redactions: u64,
    ) -> Result<Made, TransformError> {
        let Sorted { rows, refused, mapped, general, quarantined, routed, skipped, findings, trail, .. } = sorted;
        let made = self.writer.objects(id, &rows);
        let made = made.map_err(|source| TransformError::Lake { batch: id.clone(), source })?;
        let quarantine = quarantine(&refused);
        let quarantine = quarantine.map_err(|source| TransformError::Quarantine { batch: id.clone(), source })?;
        let outcome = OutcomeBuilder::new(id.clone(), self.mappings(), events)
            .lake(&made)
            .quarantine(quarantine.as_ref())
            .aside(routed.len() as u64, skipped.values().sum())
            .build();
        Ok(Made { outcome, mapped, quarantined, general, routed, skipped, findings, trail, redactions })
    }

    /// A refused record's line in quarantine.
    fn entry<'e>(&'e self, event: &InputEvent<'_>, record: Refused<'e>) -> QuarantineEntry<'e> {
        let mut position = event.position.clone();
        if let Some(place) = position.as_object_mut() {
            place.insert("record".to_owned(), Value::from(record.index));
        }
        QuarantineEntry {
            reason: record.reason.as_str().into(),
            detail: record.detail.into(),
            kind: record.kind.map(Into::into),
            position,
            mappings: self.mappings().into(),
            received_at: received_at(event.filed_time).into(),
            raw: record.raw.into(),
        }
    }

    /// Quarantine is text: bytes that are none stand there as base64.
    fn binary<'e>(&'e self, event: &InputEvent<'_>, bytes: &[u8]) -> QuarantineEntry<'e> {
        use base64::Engine as _;
        let mut position = event.position.clone();
        if let Some(place) = position.as_object_mut() {
            place.insert("record".to_owned(), Value::from(0));
        }
        QuarantineEntry {
            reason: Reason::NotJson.as_str().into(),
            detail: BINARY.into(),
            kind: None,
            position,
            mappings: self.mappings().into(),
            received_at: received_at(event.filed_time).into(),
            raw: base64::engine::general_purpose::STANDARD.encode(bytes).into(),
        }
    }
}

/// Records by fate.
pub(super) struct Sorted<'e> {
    schema: &'static Schema,
    derived: Derived<'e>,
    rows: Vec<Row<'e>>,
    /// Lines of quarantine.
    pub(super) refused: Vec<QuarantineEntry<'e>>,
    mapped: BTreeMap<String, u64>,
    general: BTreeMap<String, u64>,
    quarantined: BTreeMap<Reason, u64>,
    routed: Vec<(String, String)>,
    skipped: BTreeMap<String, u64>,
    findings: Vec<Finding>,
    trail: Vec<AuditEvent>,
}

impl<'e> Sorted<'e> {
    pub(super) fn new(schema: &'static Schema, derived: Derived<'e>) -> Self {
        Self {
            schema,
            derived,
            rows: Vec::new(),
            refused: Vec::new(),
            mapped: BTreeMap::new(),
            general: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            routed: Vec::new(),
            skipped: BTreeMap::new(),
            findings: Vec::new(),
            trail: Vec::new(),
        }
    }

    /// Puts a record where it belongs; `entry` makes its line in quarantine.
    pub(super) fn add(
        &mut self,
        fate: &'e Fate<'e>,
        filed_time: TimestampMs,
        entry: impl FnOnce(Refused<'e>) -> QuarantineEntry<'e>,
    ) {
        let refused = match fate {
            Fate::Mapped(record) => return self.row(record, filed_time),
            Fate::Skipped(record) => return count(&mut self.skipped, record.rule),
            Fate::Routed(record) if self.derived.routes => {
                return self.routed.push((record.rule.to_owned(), record.message.to_owned()));
            }
            Fate::Routed(record) => record.refused(),
            Fate::Refused(record) => record.clone(),
        };
        *self.quarantined.entry(refused.reason).or_default() += 1;
        self.refused.push(entry(refused));
    }

    fn row(&mut self, record: &'e Mapped<'e>, filed_time: TimestampMs) {
        count(&mut self.mapped, record.kind);
        if let Some(category) = record.general {
            count(&mut self.general, category);
        }
        if let Some(destination) = self.derived.findings.filter(|_| record.security_hub) {
            self.findings.extend(asff::finding(self.schema, &record.event, destination));
        }
        if let Some(destination) = self.derived.trail {
            self.trail.push(cloudtrail::audit_event(self.schema, &record.event, destination));
        }
        self.rows.push(Row {
            event: &record.event,
            class: record.class,
            time: record.time,
            account: record.account,
            enqueued: filed_time,
        });
    }
}

/// One more of `name`: the names are few, so they are looked up before they are copied.
fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}
