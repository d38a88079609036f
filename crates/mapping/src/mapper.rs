//! One event's body to outcomes.

use bumpalo::Bump;
use tributary_json::{Doc, JsonErrorKind, NodeId, write_json};
use tributary_ocsf::{AttrIx, Object, Schema, ShapeId, Value};

use crate::accept::Accepted;
use crate::eval::{Eval, State, literal};
use crate::function::{Function, Val};
use crate::plan::{Header, Plan};
use crate::redact::{redact_doc, redact_text};
use crate::scope::Bindings;
use crate::set::{Kind, MappingSet};
use crate::unmapped::{self, Used};
use crate::unwrap::{self, Texts};

/// Most text that one column may get from one record, in bytes: with 512 KiB pages this keeps every page of a lake
/// object under 1 MB (see `crates/lake`).
const MAX_COLUMN_TEXT: usize = 448 * 1024;
/// Most observables of one event.
const MAX_OBSERVABLES: usize = 128;
/// Path in `unmapped` that says where a borrowed time comes from.
const TIME_SOURCE: &str = "tributary.time_source";

/// What a deployment may choose.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Put the whole source record, redacted, into `raw_data`.
    pub raw_data: bool,
}

/// Where a body came from: names its records, and lends a time to those that have none.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'b> {
    /// `{source digest}-{partition}-{sequence number}`; the record's index is appended to make `metadata.uid`.
    pub uid: &'b str,
    /// When the hub accepted the event, in milliseconds.
    pub enqueued_time: Option<i64>,
}

/// Why a record is not mapped. The list is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The text is no JSON.
    NotJson,
    /// JSON, but no log record: a metric, a bare scalar.
    NotALog,
    /// A piece of a larger document.
    Fragment,
    /// No mapping file claims the record.
    UnknownKind,
    /// The event would lack an attribute that OCSF requires.
    MissingRequired,
    /// The event would break another rule of OCSF.
    Invalid,
    /// Larger than a lake object can carry.
    TooLarge,
    /// Nested too deep.
    TooDeep,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::NotJson,
        Self::NotALog,
        Self::Fragment,
        Self::UnknownKind,
        Self::MissingRequired,
        Self::Invalid,
        Self::TooLarge,
        Self::TooDeep,
    ];

    /// The name that quarantine and metrics carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not-json",
            Self::NotALog => "not-a-log",
            Self::Fragment => "fragment",
            Self::UnknownKind => "unknown-kind",
            Self::MissingRequired => "missing-required",
            Self::Invalid => "invalid",
            Self::TooLarge => "too-large",
            Self::TooDeep => "too-deep",
        }
    }
}

/// A record that became an event.
#[derive(Debug, Clone, Copy)]
pub struct Mapped<'b> {
    /// Its kind.
    pub kind: &'b str,
    /// Its class.
    pub class: ShapeId,
    /// The event.
    pub event: Object<'b>,
    /// The event's `time`, in milliseconds.
    pub time: i64,
    /// `cloud.account.uid`, as the source wrote it.
    pub account: Option<&'b str>,
}

/// A record that did not.
#[derive(Debug, Clone)]
pub struct Refused<'b> {
    /// Why.
    pub reason: Reason,
    /// More of it, without content of the record beyond its kind's name.
    pub detail: String,
    /// Its kind, where that was found.
    pub kind: Option<&'b str>,
    /// The record, whole and redacted.
    pub raw: &'b str,
    /// Its index in its event.
    pub index: usize,
}

/// What became of a record.
#[derive(Debug, Clone)]
pub enum Outcome<'b> {
    /// An event.
    Mapped(Mapped<'b>),
    /// Quarantine.
    Refused(Refused<'b>),
}

/// Memory that is used again from body to body.
#[derive(Debug, Default)]
pub struct Scratch<'b> {
    doc: Doc<'b>,
    state: State<'b>,
    records: Vec<NodeId>,
    bindings: Bindings,
    used: Used,
    unmapped: Vec<(&'b str, &'b str)>,
    /// Secrets redacted so far.
    pub redactions: u64,
}

/// Maps bodies by one set.
#[derive(Debug, Clone, Copy)]
pub struct Mapper<'m> {
    set: &'m MappingSet,
    options: Options,
}

impl<'m> Mapper<'m> {
    /// A mapper for a set.
    pub fn new(set: &'m MappingSet, options: Options) -> Self {
        Self { set, options }
    }

    /// The set.
    pub fn set(&self) -> &'m MappingSet {
        self.set
    }

    /// Maps every record of a body, in order; each becomes exactly one outcome, and there is at least one.
    pub fn map_body<'b>(
        &self,
        body: &'b str,
        origin: Origin<'b>,
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
        out: &mut Vec<Outcome<'b>>,
    ) where
        'm: 'b,
    {
        let mut index = 0;
        match self.map_text(body, origin, arena, scratch, &mut index, out) {
            Ok(()) => {}
            Err(error) if error.kind == JsonErrorKind::TooDeep || error.kind == JsonErrorKind::TooLarge => {
                self.refuse_text(body, &error, arena, scratch, index, out);
            }
            Err(error) => {
                let first_parses = |line: &'b str| {
                    let parsed = scratch.doc.parse(line, arena, unwrap::limits()).is_ok();
                    scratch.doc.clear();
                    parsed
                };
                match unwrap::split_lines(body, first_parses) {
                    Texts::One => self.refuse_text(body, &error, arena, scratch, index, out),
                    Texts::Lines(lines) => {
                        for line in lines {
                            if let Err(error) = self.map_text(line, origin, arena, scratch, &mut index, out) {
                                self.refuse_text(line, &error, arena, scratch, index, out);
                                index += 1;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Maps the records of one JSON text.
    fn map_text<'b>(
        &self,
        text: &'b str,
        origin: Origin<'b>,
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
        index: &mut usize,
        out: &mut Vec<Outcome<'b>>,
    ) -> Result<(), tributary_json::JsonError>
    where
        'm: 'b,
    {
        scratch.doc.clear();
        let mut root = scratch.doc.parse(text, arena, unwrap::limits())?;
        // A document inside a JSON string: some relays encode twice.
        if let Some(inner) = scratch.doc.value(root).as_str()
            && inner.trim_start().starts_with(['{', '['])
            && let Ok(inner) = scratch.doc.parse(inner, arena, unwrap::limits())
        {
            root = inner;
        }
        let redacted = redact_doc(&mut scratch.doc, 0, arena);
        scratch.redactions += redacted;
        let mut records = std::mem::take(&mut scratch.records);
        records.clear();
        unwrap::records(&scratch.doc, root, self.set.wrappers(), &mut records);
        let alone = records.len() == 1 && records.first() == Some(&root);
        for record in &records {
            // An only record that nothing was taken out of is its own text.
            let whole = (alone && redacted == 0).then_some(text);
            let outcome = self.map_record(*record, *index, whole, origin, arena, scratch);
            out.push(outcome);
            *index += 1;
        }
        scratch.records = records;
        Ok(())
    }

    fn refuse_text<'b>(
        &self,
        text: &'b str,
        error: &tributary_json::JsonError,
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
        index: usize,
        out: &mut Vec<Outcome<'b>>,
    ) {
        let reason = match error.kind {
            JsonErrorKind::TooDeep => Reason::TooDeep,
            JsonErrorKind::TooLarge => Reason::TooLarge,
            _ if unwrap::is_fragment(text, error) => Reason::Fragment,
            _ => Reason::NotJson,
        };
        let raw = match redact_text(text) {
            Some(redacted) => {
                scratch.redactions += 1;
                arena.alloc_str(&redacted)
            }
            None => text,
        };
        out.push(Outcome::Refused(Refused { reason, detail: error.to_string(), kind: None, raw, index }));
    }

    fn map_record<'b>(
        &self,
        record: NodeId,
        index: usize,
        whole: Option<&'b str>,
        origin: Origin<'b>,
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
    ) -> Outcome<'b>
    where
        'm: 'b,
    {
        let set = self.set;
        let raw = |scratch: &Scratch<'b>| match whole {
            Some(text) => text,
            None => {
                let mut text = String::new();
                write_json(scratch.doc.value(record), &mut text);
                arena.alloc_str(&text)
            }
        };
        let refuse = |scratch: &Scratch<'b>, reason, detail: String, kind| {
            Outcome::Refused(Refused { reason, detail, kind, raw: raw(scratch), index })
        };
        if scratch.doc.value(record).kind() != tributary_json::Kind::Object {
            return refuse(scratch, Reason::NotALog, "the record is no object".into(), None);
        }
        let Some(kind) = set.classify(&scratch.doc, record, &mut scratch.bindings) else {
            if set.is_not_a_log(&scratch.doc, record, &mut scratch.bindings) {
                return refuse(scratch, Reason::NotALog, "the record is a measurement, not a log".into(), None);
            }
            let what = set.describe_record(&scratch.doc, record, &mut scratch.bindings);
            let detail = match what {
                Some(what) => format!("no mapping for {what}"),
                None => "no mapping for a record of this shape".to_owned(),
            };
            return refuse(scratch, Reason::UnknownKind, detail, None);
        };
        // Text that is written out below must show what the source said, before strings are opened as JSON.
        let raw_data = self.options.raw_data.then(|| raw(scratch));
        self.open_json(kind, record, arena, scratch);
        match self.evaluate(kind, record, index, origin, raw_data, arena, scratch) {
            Ok(mapped) if fits(&mapped.event) => Outcome::Mapped(mapped),
            Ok(_) => {
                let detail = format!("one column would hold more than {MAX_COLUMN_TEXT} bytes");
                refuse(scratch, Reason::TooLarge, detail, Some(&kind.name))
            }
            Err(path) => refuse(scratch, Reason::MissingRequired, path, Some(&kind.name)),
        }
    }

    /// Replaces the strings that the kind says hold JSON by what they hold.
    fn open_json<'b>(&self, kind: &'b Kind, record: NodeId, arena: &'b Bump, scratch: &mut Scratch<'b>) {
        for steps in &kind.parse {
            // Bound anew each time: an opened string may hold the next one.
            scratch.bindings.clear();
            let base = scratch.bindings.push(&steps.0, Some(record));
            let Some(id) = scratch.bindings.get(&scratch.doc, &steps.0, base, steps.1) else { continue };
            let Some(text) = scratch.doc.value(id).as_str() else { continue };
            if !text.trim_start().starts_with(['{', '[']) {
                continue;
            }
            let from = scratch.doc.len();
            if let Ok(inner) = scratch.doc.parse(text, arena, unwrap::limits()) {
                scratch.redactions += redact_doc(&mut scratch.doc, from, arena);
                scratch.doc.link(id, inner);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn evaluate<'b>(
        &self,
        kind: &'b Kind,
        record: NodeId,
        index: usize,
        origin: Origin<'b>,
        raw_data: Option<&'b str>,
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
    ) -> Result<Mapped<'b>, String>
    where
        'm: 'b,
    {
        let schema = self.set.schema();
        scratch.state.clear();
        let mut chosen: Option<&'b Plan> = None;
        for variant in &kind.variants {
            let plan = &variant.plan;
            let mut eval = Eval { schema, plan, doc: &scratch.doc, arena, state: &mut scratch.state };
            let frame = eval.root_frame(record);
            if variant.when.as_ref().is_none_or(|when| eval.cond(when, frame)) {
                chosen = Some(plan);
                break;
            }
            scratch.state.clear();
        }
        let Some(plan) = chosen else { return Err("no variant of the kind takes this record".into()) };
        scratch.state.bindings.clear();
        let mut eval = Eval { schema, plan, doc: &scratch.doc, arena, state: &mut scratch.state };
        let frame = eval.root_frame(record);
        let header = &plan.header;
        eval.fields(&plan.root, frame);
        let time = eval.source(&plan.time, &header.time_target, frame, None);
        let (time, borrowed) = match time {
            Some(Accepted { value: Value::Int(ms), .. }) => (ms, false),
            _ => match origin.enqueued_time {
                Some(ms) => (ms, true),
                None => return Err("time: the record has none, and the hub gave none".into()),
            },
        };
        push_header(&mut eval, header, plan, time)?;
        let metadata = push_metadata(&mut eval, plan, frame, origin, index)?;
        eval.state.fields.push((header.metadata, Value::Object(metadata)));
        push_observables(&mut eval, header);
        if let (Some(attr), Some(raw)) = (header.raw_data, raw_data) {
            eval.state.fields.push((attr, Value::Str(raw)));
        }
        let touched = std::mem::take(&mut scratch.state.touched);
        scratch.used.reset(scratch.doc.len(), &touched);
        scratch.state.touched = touched;
        scratch.unmapped.clear();
        if borrowed {
            scratch.unmapped.push((TIME_SOURCE, "hub enqueued time"));
        }
        unmapped::collect(&scratch.doc, record, &scratch.used, arena, &mut scratch.unmapped);
        if let (Some(attr), false) = (header.unmapped, scratch.unmapped.is_empty()) {
            let entries = arena.alloc_slice_copy(&scratch.unmapped);
            scratch.state.fields.push((attr, Value::Map(entries)));
        }
        let mut eval = Eval { schema, plan, doc: &scratch.doc, arena, state: &mut scratch.state };
        let Some(event) = eval.close(&plan.root, 0) else {
            return Err(scratch.state.missing.take().unwrap_or_default());
        };
        Ok(Mapped { kind: &kind.name, class: plan.class, event: *event, time, account: account(schema, event) })
    }
}

/// Class, category, type and time attributes.
fn push_header<'b>(eval: &mut Eval<'_, 'b>, header: &'b Header, plan: &'b Plan, time: i64) -> Result<(), String> {
    let activity = eval.state.fields.iter().find(|(attr, _)| *attr == header.activity_id);
    let Some((_, Value::Int(activity))) = activity else {
        return Err(eval.state.missing.take().unwrap_or_else(|| "activity_id".into()));
    };
    let type_uid = plan.class_uid * 100 + activity;
    let fields = &mut eval.state.fields;
    for (attr, value) in &header.fixed {
        let value = match literal(value) {
            Val::Str(text) => Value::Str(text),
            Val::Int(number) => Value::Int(number),
            _ => continue,
        };
        fields.push((*attr, value));
    }
    fields.push((header.type_uid, Value::Int(type_uid)));
    if let (Some(attr), Some(name)) = (header.type_name, header.type_names.by_id(type_uid)) {
        fields.push((attr, Value::Str(name.caption)));
    }
    fields.push((header.time, Value::Int(time)));
    if let (Some(attr), true) = (header.time_dt, header.datetime != 0) {
        fields.push((attr, Value::Time(time)));
        eval.state.profiles |= header.datetime;
    }
    Ok(())
}

fn push_metadata<'b>(
    eval: &mut Eval<'_, 'b>,
    plan: &'b Plan,
    frame: crate::eval::Frame<'b>,
    origin: Origin<'b>,
    index: usize,
) -> Result<&'b Object<'b>, String> {
    let header = &plan.header;
    let start = eval.state.fields.len();
    eval.fields(&plan.metadata, frame);
    eval.state.fields.push((header.meta_version, Value::Str(eval.schema.version.as_str())));
    if let Some(attr) = header.meta_uid {
        let uid = eval.arena.alloc_str(&format!("{}-{index}", origin.uid));
        eval.state.fields.push((attr, Value::Str(uid)));
    }
    // Only profiles whose attributes are there: a listed profile promises them.
    let used = eval.state.profiles;
    let names: Vec<Value<'b>> = plan
        .profiles
        .iter()
        .enumerate()
        .filter(|(bit, _)| used >> bit & 1 == 1)
        .map(|(_, name)| Value::Str(name))
        .collect();
    if let (Some(attr), false) = (header.meta_profiles, names.is_empty()) {
        eval.state.fields.push((attr, Value::Array(eval.arena.alloc_slice_copy(&names))));
    }
    match eval.close(&plan.metadata, start) {
        Some(metadata) => Ok(metadata),
        None => Err(eval.state.missing.take().unwrap_or_else(|| "metadata".into())),
    }
}

fn push_observables<'b>(eval: &mut Eval<'_, 'b>, header: &'b Header) {
    let Some(attrs) = &header.observables else { return };
    let found = std::mem::take(&mut eval.state.observables);
    let mut list: Vec<Value<'b>> = Vec::new();
    for (index, (path, type_id, text)) in found.iter().enumerate() {
        let repeated = found.iter().take(index).any(|(known, _, value)| known == path && value == text);
        if repeated || list.len() >= MAX_OBSERVABLES {
            continue;
        }
        let mut fields: [(AttrIx, Value<'b>); 4] = [(attrs.name, Value::Str(path)); 4];
        let mut count = 1;
        let mut push = |attr: Option<AttrIx>, value: Value<'b>| {
            if let (Some(attr), Some(slot)) = (attr, fields.get_mut(count)) {
                *slot = (attr, value);
                count += 1;
            }
        };
        push(Some(attrs.type_id), Value::Int(*type_id));
        if let Some(kind) = attrs.types.by_id(*type_id) {
            push(attrs.type_name, Value::Str(kind.caption));
        }
        push(attrs.value, Value::Str(text));
        let fields = fields.get_mut(..count).unwrap_or_default();
        fields.sort_unstable_by_key(|(attr, _)| *attr);
        let object = Object { shape: attrs.shape, fields: eval.arena.alloc_slice_copy(fields) };
        list.push(Value::Object(eval.arena.alloc(object)));
    }
    eval.state.observables = found;
    if !list.is_empty() {
        eval.state.fields.push((attrs.attr, Value::Array(eval.arena.alloc_slice_copy(&list))));
    }
}

fn account<'b>(schema: &Schema, event: &Object<'b>) -> Option<&'b str> {
    let Some(Value::Object(cloud)) = event.get_named(schema, "cloud") else { return None };
    let Some(Value::Object(account)) = cloud.get_named(schema, "account") else { return None };
    match account.get_named(schema, "uid") {
        Some(Value::Str(uid)) => Some(uid),
        _ => None,
    }
}

/// Whether no column gets more text from this event than a page can take.
fn fits(event: &Object<'_>) -> bool {
    event.fields.iter().all(|(_, value)| match value {
        Value::Map(entries) => {
            entries.iter().map(|(path, _)| path.len()).sum::<usize>() <= MAX_COLUMN_TEXT
                && entries.iter().map(|(_, text)| text.len()).sum::<usize>() <= MAX_COLUMN_TEXT
        }
        // All columns below one attribute together: stricter than each alone, and cheap.
        other => text_size(other) <= MAX_COLUMN_TEXT,
    })
}

fn text_size(value: &Value<'_>) -> usize {
    match value {
        Value::Str(text) | Value::Json(text) => text.len(),
        Value::Object(object) => object.fields.iter().map(|(_, value)| text_size(value)).sum(),
        Value::Array(values) => values.iter().map(text_size).sum(),
        Value::Map(entries) => entries.iter().map(|(path, text)| path.len() + text.len()).sum(),
        _ => 8,
    }
}

/// So that a set can be built with a module's own functions.
pub(crate) fn library(extra: &[Function]) -> std::collections::HashMap<&'static str, Function> {
    crate::functions::LIBRARY.iter().chain(extra).map(|function| (function.name, *function)).collect()
}
