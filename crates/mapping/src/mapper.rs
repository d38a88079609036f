//! One event's body to outcomes.

use bumpalo::Bump;
use tributary_json::{Doc, JsonError, JsonErrorKind, NodeId, write_json};
use tributary_ocsf::Value;

use crate::accept::Accepted;
use crate::derive::{MAX_COLUMN_TEXT, account, fits, push_header, push_metadata, push_observables};
use crate::eval::{Eval, State};
use crate::function::Function;
use crate::outcome::{Mapped, Options, Origin, Outcome, Reason, Refused, Routed, Skipped};
use crate::plan::Plan;
use crate::redact::{redact_doc, redact_text};
use crate::repair::{self, Tail};
use crate::rules::Aside;
use crate::scope::{Bindings, Scope, SlotId};
use crate::set::{Kind, MappingSet};
use crate::unmapped::{self, Used};
use crate::unwrap::{self, Texts};

/// Path in `unmapped` that says where a borrowed time comes from.
const TIME_SOURCE: &str = "tributary.time_source";
/// Path in `unmapped` that says what was mended in the record's text.
const REPAIRED: &str = "tributary.repaired";
/// Path in `unmapped` with the few bytes that followed the record's document.
const TRAILING: &str = "tributary.trailing_text";
/// Path in `unmapped` that marks what the general map made, with the record's category.
const GENERAL: &str = "tributary.general";
/// Longest category, in characters.
const MAX_CATEGORY: usize = 64;

/// Memory that is used again from body to body.
#[derive(Debug, Default)]
pub struct Scratch<'b> {
    pub(crate) doc: Doc<'b>,
    pub(crate) state: State<'b>,
    records: Vec<NodeId>,
    pub(crate) bindings: Bindings,
    used: Used,
    unmapped: Vec<(&'b str, &'b str)>,
    path: String,
    /// What every record of the current text says of itself in `unmapped`.
    notes: Vec<(&'static str, &'b str)>,
    /// Index of the body's first record.
    first: usize,
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
        self.map_body_from(0, body, origin, arena, scratch, out);
    }

    /// The same for a text that was a part of a body: its first record's index in its event is `first`.
    pub fn map_body_from<'b>(
        &self,
        first: usize,
        body: &'b str,
        origin: Origin<'b>,
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
        out: &mut Vec<Outcome<'b>>,
    ) where
        'm: 'b,
    {
        scratch.notes.clear();
        scratch.first = first;
        let mut index = first;
        let error = match self.map_text(body, origin, arena, scratch, &mut index, out) {
            Ok(()) => return,
            Err(error) => error,
        };
        let first_parses = |line: &'b str| {
            let parsed = scratch.doc.parse(line, arena, unwrap::limits()).is_ok();
            scratch.doc.clear();
            parsed
        };
        match unwrap::split_lines(body, &error, first_parses) {
            Texts::One => self.map_broken(body, error, origin, arena, scratch, &mut index, out),
            Texts::Lines(lines) if unwrap::too_many(lines.len(), body) => {
                self.refuse_text(body, too_many(), arena, scratch, index, out);
            }
            Texts::Lines(lines) => {
                for line in lines {
                    scratch.notes.clear();
                    if let Err(error) = self.map_text(line, origin, arena, scratch, &mut index, out) {
                        self.map_broken(line, error, origin, arena, scratch, &mut index, out);
                    }
                }
            }
        }
    }

    /// Maps what can be repaired of a text that is not one JSON document, and refuses the rest.
    #[allow(clippy::too_many_arguments)]
    fn map_broken<'b>(
        &self,
        text: &'b str,
        mut error: JsonError,
        origin: Origin<'b>,
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
        index: &mut usize,
        out: &mut Vec<Outcome<'b>>,
    ) where
        'm: 'b,
    {
        let (mut rest, mut cleaned) = (text, false);
        loop {
            if unwrap::too_many(index.saturating_sub(scratch.first), text) {
                self.refuse_text(rest, too_many(), arena, scratch, *index, out);
                break;
            }
            if error.kind == JsonErrorKind::Syntax
                && !cleaned
                && let Some(mended) = repair::clean(rest)
            {
                // Once for all documents in it, so that a hostile text is not cleaned again and again.
                cleaned = true;
                let mended_text: &'b str = arena.alloc_str(&mended.text);
                scratch.notes.push((REPAIRED, mended.how));
                match self.map_text(mended_text, origin, arena, scratch, index, out) {
                    Ok(()) => return,
                    Err(again) if again.kind == JsonErrorKind::TrailingText => (rest, error) = (mended_text, again),
                    // Mending did not make it a document: what is kept is the text as it came.
                    Err(_) => {
                        scratch.notes.pop();
                    }
                }
            }
            let Some((document, tail)) = repair::part(rest, &error) else {
                self.refuse_text(rest, not_json(rest, &error), arena, scratch, *index, out);
                break;
            };
            let kept = scratch.notes.len();
            match tail {
                Tail::Debris(debris) => scratch.notes.extend([(REPAIRED, "trailing text"), (TRAILING, debris)]),
                Tail::Text(_) => scratch.notes.push((REPAIRED, "joined documents")),
            }
            if self.map_text(document, origin, arena, scratch, index, out).is_err() {
                // The parser has just read it: it can be no other than this.
                self.refuse_text(rest, not_json(rest, &error), arena, scratch, *index, out);
                break;
            }
            scratch.notes.truncate(kept);
            let Tail::Text(next) = tail else { return };
            scratch.notes.push((REPAIRED, "joined documents"));
            match self.map_text(next, origin, arena, scratch, index, out) {
                Ok(()) => return,
                Err(again) => (rest, error) = (next, again),
            }
            scratch.notes.truncate(kept);
        }
        *index += 1;
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
        unwrap::records(&scratch.doc, root, &self.set.rules().wrappers, &mut records);
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
        match set.rules().aside(&scratch.doc, record, arena, &mut scratch.bindings) {
            Some(Aside::Skip { rule }) => return Outcome::Skipped(Skipped { rule, index }),
            Some(Aside::Route { rule, message }) => {
                return Outcome::Routed(Routed { rule, message, raw: raw(scratch), index });
            }
            None => {}
        }
        let (doc, bindings) = (&scratch.doc, &mut scratch.bindings);
        let mut kind = set.classify(doc, record, bindings);
        if kind.is_none() {
            if let Some((reason, detail)) = set.rules().refusal(doc, record, bindings) {
                return refuse(scratch, *reason, detail.clone(), None);
            }
            kind = set.general(doc, record, bindings);
        }
        let Some(kind) = kind else {
            let what = set.describe_record(&scratch.doc, record, &mut scratch.bindings);
            let detail = match what {
                Some(what) => format!("no mapping for {what}"),
                None => "no mapping for a record of this shape".to_owned(),
            };
            return refuse(scratch, Reason::UnknownKind, detail, None);
        };
        let general = kind.category.as_ref().map(|paths| category(paths, record, arena, scratch));
        // Text that is written out below must show what the source said, before strings are opened as JSON.
        let raw_data = self.options.raw_data.then(|| raw(scratch));
        self.open_json(kind, record, arena, scratch);
        match self.evaluate(kind, record, index, origin, (raw_data, general), arena, scratch) {
            Ok(mapped) if fits(&mapped.event) => Outcome::Mapped(mapped),
            Ok(_) => {
                let (reason, detail) = too_large();
                refuse(scratch, reason, detail, Some(&kind.name))
            }
            Err((reason, detail)) => refuse(scratch, reason, detail, Some(&kind.name)),
        }
    }

    /// Replaces the strings that the kind says hold JSON by what they hold.
    pub(crate) fn open_json<'b>(&self, kind: &'b Kind, record: NodeId, arena: &'b Bump, scratch: &mut Scratch<'b>) {
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
        (raw_data, general): (Option<&'b str>, Option<&'b str>),
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
        if let Some(category) = general {
            scratch.unmapped.push((GENERAL, category));
        }
        scratch.unmapped.extend(scratch.notes.iter().copied());
        // Paths and texts are a column each.
        let Scratch { doc, used, path, unmapped, .. } = scratch;
        unmapped::collect(doc, record, used, arena, 2 * MAX_COLUMN_TEXT, path, unmapped).map_err(|_| too_large())?;
        if let (Some(attr), false) = (header.unmapped, scratch.unmapped.is_empty()) {
            let entries = arena.alloc_slice_copy(&scratch.unmapped);
            scratch.state.fields.push((attr, Value::Map(entries)));
        }
        let mut eval = Eval { schema, plan, doc: &scratch.doc, arena, state: &mut scratch.state };
        let Some(event) = eval.close(&plan.root, 0) else {
            return Err(lacks(scratch.state.missing.take().unwrap_or_default()));
        };
        Ok(Mapped {
            kind: &kind.name,
            class: plan.class,
            event: *event,
            time,
            account: account(schema, event),
            general,
            security_hub: kind.security_hub,
        })
    }
}

/// What a record that only the general map takes calls itself.
fn category<'b>(paths: &[(Scope, SlotId)], record: NodeId, arena: &'b Bump, scratch: &mut Scratch<'b>) -> &'b str {
    for (scope, slot) in paths {
        scratch.bindings.clear();
        let base = scratch.bindings.push(scope, Some(record));
        let Some(id) = scratch.bindings.get(&scratch.doc, scope, base, *slot) else { continue };
        let Some(text) = scratch.doc.value(id).as_str().map(str::trim).filter(|text| !text.is_empty()) else {
            continue;
        };
        return match text.char_indices().nth(MAX_CATEGORY) {
            Some((end, _)) => arena.alloc_str(text.get(..end).unwrap_or_default()),
            None => text,
        };
    }
    "unnamed"
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
