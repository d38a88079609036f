//! One event's body to outcomes.

use bumpalo::Bump;
use tributary_json::{Doc, JsonError, JsonErrorKind, NodeId, write_json};
use tributary_ocsf::{Object, ShapeId, Value};

use crate::accept::Accepted;
use crate::derive::{MAX_COLUMN_TEXT, account, fits, push_header, push_metadata, push_observables};
use crate::eval::{Eval, State};
use crate::function::Function;
use crate::plan::Plan;
use crate::redact::{redact_doc, redact_text};
use crate::scope::Bindings;
use crate::set::{Kind, MappingSet};
use crate::unmapped::{self, Used};
use crate::unwrap::{self, Texts};

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
                self.refuse_text(body, not_json(body, &error), arena, scratch, index, out);
            }
            Err(error) => {
                let first_parses = |line: &'b str| {
                    let parsed = scratch.doc.parse(line, arena, unwrap::limits()).is_ok();
                    scratch.doc.clear();
                    parsed
                };
                match unwrap::split_lines(body, first_parses) {
                    Texts::One => self.refuse_text(body, not_json(body, &error), arena, scratch, index, out),
                    Texts::Lines(lines) if unwrap::too_many(lines.len(), body) => {
                        self.refuse_text(body, too_many(), arena, scratch, index, out);
                    }
                    Texts::Lines(lines) => {
                        for line in lines {
                            if let Err(error) = self.map_text(line, origin, arena, scratch, &mut index, out) {
                                self.refuse_text(line, not_json(line, &error), arena, scratch, index, out);
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
    ) -> Result<(), JsonError>
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
        if unwrap::too_many(records.len(), text) {
            scratch.records = records;
            self.refuse_text(text, too_many(), arena, scratch, *index, out);
            *index += 1;
            return Ok(());
        }
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

    /// Refuses a text as a whole.
    fn refuse_text<'b>(
        &self,
        text: &'b str,
        (reason, detail): (Reason, String),
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
        index: usize,
        out: &mut Vec<Outcome<'b>>,
    ) {
        let raw = match redact_text(text) {
            Some(redacted) => {
                scratch.redactions += 1;
                arena.alloc_str(&redacted)
            }
            None => text,
        };
        out.push(Outcome::Refused(Refused { reason, detail, kind: None, raw, index }));
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
                let (reason, detail) = too_large();
                refuse(scratch, reason, detail, Some(&kind.name))
            }
            Err((reason, detail)) => refuse(scratch, reason, detail, Some(&kind.name)),
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
    ) -> Result<Mapped<'b>, (Reason, String)>
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
        let Some(plan) = chosen else { return Err(lacks("no variant of the kind takes this record")) };
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
                None => return Err(lacks("time: the record has none, and the hub gave none")),
            },
        };
        push_header(&mut eval, header, plan, time).map_err(lacks)?;
        let metadata = push_metadata(&mut eval, plan, frame, origin, index).map_err(lacks)?;
        eval.state.fields.push((header.metadata, Value::Object(metadata)));
        push_observables(&mut eval, header);
        if let (Some(attr), Some(raw)) = (header.raw_data, raw_data) {
            eval.state.fields.push((attr, Value::Str(raw)));
        }
        scratch.used.reset(scratch.doc.len(), &scratch.state.touched);
        scratch.unmapped.clear();
        if borrowed {
            scratch.unmapped.push((TIME_SOURCE, "hub enqueued time"));
        }
        // Paths and texts are a column each.
        unmapped::collect(&scratch.doc, record, &scratch.used, arena, 2 * MAX_COLUMN_TEXT, &mut scratch.unmapped)
            .map_err(|_| too_large())?;
        if let (Some(attr), false) = (header.unmapped, scratch.unmapped.is_empty()) {
            let entries = arena.alloc_slice_copy(&scratch.unmapped);
            scratch.state.fields.push((attr, Value::Map(entries)));
        }
        let mut eval = Eval { schema, plan, doc: &scratch.doc, arena, state: &mut scratch.state };
        let Some(event) = eval.close(&plan.root, 0) else {
            return Err(lacks(scratch.state.missing.take().unwrap_or_default()));
        };
        Ok(Mapped { kind: &kind.name, class: plan.class, event: *event, time, account: account(schema, event) })
    }
}

/// Why a text that did not parse is refused.
fn not_json(text: &str, error: &JsonError) -> (Reason, String) {
    let reason = match error.kind {
        JsonErrorKind::TooDeep => Reason::TooDeep,
        JsonErrorKind::TooLarge => Reason::TooLarge,
        _ if unwrap::is_fragment(text, error) => Reason::Fragment,
        _ => Reason::NotJson,
    };
    (reason, error.to_string())
}

fn too_many() -> (Reason, String) {
    (Reason::TooLarge, "more records than its length can account for".to_owned())
}

fn too_large() -> (Reason, String) {
    (Reason::TooLarge, format!("one column would hold more than {MAX_COLUMN_TEXT} bytes"))
}

fn lacks(path: impl Into<String>) -> (Reason, String) {
    (Reason::MissingRequired, path.into())
}

/// So that a set can be built with a module's own functions.
pub(crate) fn library(extra: &[Function]) -> std::collections::HashMap<&'static str, Function> {
    crate::functions::LIBRARY.iter().chain(extra).map(|function| (function.name, *function)).collect()
}
