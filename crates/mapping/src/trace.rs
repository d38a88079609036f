//! A map at work on one body: for every attribute the value at each step from the source to the event.

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_json::{NodeId, write_json, write_json_string};
use tributary_ocsf::{Value, write_object};

use crate::describe::DERIVED;
use crate::eval::{Eval, Frame, literal};
use crate::function::{Context, Val};
use crate::mapper::{Mapper, Scratch};
use crate::outcome::{Options, Origin, Outcome};
use crate::plan::{
    CondPlan, ElementPlan, ExprPlan, FieldPlan, ItemPlan, Literal, ObjectPlan, ScalarPlan, Source, Target, ValuePlan,
};
use crate::redact::redact_doc;
use crate::scope::SlotId;
use crate::set::{Kind, MappingSet, Variant};
use crate::unwrap;

/// Longest text that is shown of a value, in characters.
const MAX_SHOWN: usize = 100;

/// One attribute of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Its path, with indices.
    pub path: String,
    /// What the file says.
    pub origin: String,
    /// Its value; `None` where it stays absent.
    pub value: Option<String>,
    /// What every step gave, in order.
    pub steps: Vec<String>,
}

/// One record of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its index in the body.
    pub index: usize,
    /// The class that it becomes, or why it becomes none.
    pub title: String,
    /// Its attributes.
    pub attributes: Vec<Traced>,
}

/// Traces every record of a body that is of a kind. Secrets are redacted, as always; values are cut short.
///
/// # Errors
/// When the body is no JSON, or no record in it is of this kind: the message says what there is.
pub fn trace(set: &MappingSet, kind: &Kind, body: &str, enqueued_time: Option<i64>) -> Result<Vec<Trace>, String> {
    let arena = Bump::new();
    let mut scratch = Scratch::default();
    let root = scratch.doc.parse(body, &arena, unwrap::limits()).map_err(|error| error.to_string())?;
    redact_doc(&mut scratch.doc, 0, &arena);
    let mut records = Vec::new();
    unwrap::records(&scratch.doc, root, &set.rules().wrappers, &mut records);
    let mapper = Mapper::new(set, Options::default());
    let events = events(&mapper, body, enqueued_time);
    let (mut traces, mut others) = (Vec::new(), Vec::new());
    for (index, record) in records.into_iter().enumerate() {
        let (doc, bindings) = (&scratch.doc, &mut scratch.bindings);
        let found = set.classify(doc, record, bindings).or_else(|| set.general(doc, record, bindings));
        match found {
            Some(found) if found.name == kind.name => {
                mapper.open_json(kind, record, &arena, &mut scratch);
                let event = events.get(index).cloned().unwrap_or_else(|| Err("no event".to_owned()));
                traces.push(one(set, kind, record, index, event, &arena, &mut scratch));
            }
            Some(other) => others.push(other.name.clone()),
            None => others.push("none".to_owned()),
        }
    }
    if traces.is_empty() {
        others.dedup();
        return Err(format!("no record in it is of kind {}: it holds {}", kind.name, others.join(", ")));
    }
    Ok(traces)
}

/// Every record's event, or its refusal.
fn events(mapper: &Mapper<'_>, body: &str, enqueued_time: Option<i64>) -> Vec<Result<Json, String>> {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    mapper.map_body(body, Origin { uid: "event", enqueued_time }, &arena, &mut scratch, &mut outcomes);
    let event = |outcome: &Outcome<'_>| match outcome {
        Outcome::Mapped(mapped) => {
            let mut text = String::new();
            write_object(mapper.set().schema(), &mapped.event, &mut text);
            serde_json::from_str(&text).map_err(|error| error.to_string())
        }
        Outcome::Refused(refused) => Err(format!("quarantined, {}: {}", refused.reason.as_str(), refused.detail)),
        Outcome::Routed(routed) => Err(format!("handed on by rule {}", routed.rule)),
        Outcome::Skipped(skipped) => Err(format!("skipped by rule {}", skipped.rule)),
    };
    outcomes.iter().map(event).collect()
}

fn one<'b>(
    set: &'b MappingSet,
    kind: &'b Kind,
    record: NodeId,
    index: usize,
    event: Result<Json, String>,
    arena: &'b Bump,
    scratch: &mut Scratch<'b>,
) -> Trace {
    let mut chosen: Option<&'b Variant> = None;
    for variant in &kind.variants {
        scratch.state.clear();
        let mut eval =
            Eval { schema: set.schema(), plan: &variant.plan, doc: &scratch.doc, arena, state: &mut scratch.state };
        let frame = eval.root_frame(record);
        if variant.when.as_ref().is_none_or(|when| eval.cond(when, frame)) {
            chosen = Some(variant);
            break;
        }
    }
    let Some(variant) = chosen else {
        return Trace { index, title: "no variant of the kind takes this record".to_owned(), attributes: Vec::new() };
    };
    let title = match &event {
        Ok(_) => variant.class.clone(),
        Err(why) => format!("{}: {why}", variant.class),
    };
    scratch.state.clear();
    let plan = &variant.plan;
    let mut eval = Eval { schema: set.schema(), plan, doc: &scratch.doc, arena, state: &mut scratch.state };
    let frame = eval.root_frame(record);
    let mut walk = Walk { eval, out: Vec::new() };
    let mut steps = Vec::new();
    walk.source(&plan.time, &plan.header.time_target, frame, &mut steps);
    let at = |pointer: &str| event.as_ref().ok().and_then(|event| event.pointer(pointer)).map(shown);
    walk.out.push(Traced { path: "time".to_owned(), origin: plan.time_origin.clone(), value: at("/time"), steps });
    walk.object(&plan.root, "", frame);
    walk.object(&plan.metadata, "metadata", frame);
    let mut attributes = walk.out;
    for path in DERIVED {
        let value = at(&format!("/{}", path.replace('.', "/")));
        attributes.push(Traced { path: (*path).to_owned(), origin: "derived".to_owned(), value, steps: Vec::new() });
    }
    attributes.sort_by(|a, b| a.path.cmp(&b.path));
    Trace { index, title, attributes }
}

struct Walk<'e, 'b> {
    eval: Eval<'e, 'b>,
    out: Vec<Traced>,
}

impl<'b> Walk<'_, 'b> {
    fn object(&mut self, plan: &'b ObjectPlan, path: &str, frame: Frame<'b>) {
        if let Some(when) = &plan.when
            && !self.holds(when, frame)
        {
            return self.absent(path, "its condition does not hold");
        }
        for field in &plan.fields {
            let full = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
            match &field.value {
                ValuePlan::Object(inner) => {
                    self.object(inner, &full, frame);
                    self.left_out(inner, &full, frame);
                }
                ValuePlan::Scalar(scalar) => self.scalar(full, &field.origin.to_string(), scalar, frame),
                ValuePlan::Json(json) => {
                    let value = self.eval.json(json, frame).map(cut);
                    self.out.push(Traced { path: full, origin: field.origin.to_string(), value, steps: Vec::new() });
                }
                ValuePlan::List(elements) => self.list(elements, &full, field, frame),
            }
        }
    }

    /// Says so where an object is left out because it lacks what OCSF requires of it.
    fn left_out(&mut self, plan: &'b ObjectPlan, path: &str, frame: Frame<'b>) {
        self.eval.state.missing = None;
        if self.eval.object(plan, frame).is_none()
            && let Some(missing) = self.eval.state.missing.take()
        {
            self.absent(path, &format!("left out: it lacks {missing}"));
        }
    }

    fn absent(&mut self, path: &str, why: &str) {
        let steps = vec![why.to_owned()];
        self.out.push(Traced { path: path.to_owned(), origin: String::new(), value: None, steps });
    }

    fn list(&mut self, elements: &'b [ElementPlan], path: &str, field: &'b FieldPlan, frame: Frame<'b>) {
        let mut count = 0;
        for element in elements {
            match element {
                ElementPlan::One(when, item) => {
                    if when.as_ref().is_none_or(|when| self.holds(when, frame)) {
                        self.item(item, &format!("{path}[{count}]"), &field.origin.to_string(), frame);
                        count += 1;
                    }
                }
                ElementPlan::Spread(expr, _) => {
                    let mut steps = Vec::new();
                    let value = self.expr(expr, frame, &mut steps);
                    let value = (value != Val::None).then(|| self.shown(value));
                    self.out.push(Traced { path: format!("{path}[]"), origin: field.origin.to_string(), value, steps });
                }
                ElementPlan::Each { list, scope, cases } => {
                    let mut steps = Vec::new();
                    let whole = self.expr(list, frame, &mut steps);
                    let origin = "each".to_owned();
                    let value = (whole != Val::None).then(|| self.shown(whole));
                    self.out.push(Traced { path: format!("{path}[]"), origin, value, steps });
                    for value in self.elements(whole) {
                        let node = match value {
                            Val::Node(id) => Some(id),
                            _ => None,
                        };
                        let Some(paths) = self.eval.plan.scopes.get(*scope) else { continue };
                        let base = self.eval.state.bindings.push(paths, node);
                        let inner = Frame { scope: *scope, base, item: value };
                        for (when, item) in cases {
                            if when.as_ref().is_none_or(|when| self.holds(when, inner)) {
                                self.item(item, &format!("{path}[{count}]"), &field.origin.to_string(), inner);
                                count += 1;
                                break;
                            }
                        }
                        self.eval.state.bindings.pop(base);
                    }
                }
            }
        }
    }

    fn elements(&mut self, whole: Val<'b>) -> Vec<Val<'b>> {
        let mut values = Vec::new();
        self.eval.for_each(whole, |_, value| values.push(value));
        values
    }

    fn item(&mut self, item: &'b ItemPlan, path: &str, origin: &str, frame: Frame<'b>) {
        match item {
            ItemPlan::Object(plan) => {
                self.object(plan, path, frame);
                self.left_out(plan, path, frame);
            }
            ItemPlan::Scalar(scalar) => self.scalar(path.to_owned(), origin, scalar, frame),
            ItemPlan::Json(json) => {
                let value = self.eval.json(json, frame).map(cut);
                self.out.push(Traced { path: path.to_owned(), origin: origin.to_owned(), value, steps: Vec::new() });
            }
        }
    }

    fn scalar(&mut self, path: String, origin: &str, plan: &'b ScalarPlan, frame: Frame<'b>) {
        let mut steps = Vec::new();
        self.source(&plan.source, &plan.target, frame, &mut steps);
        let accepted = self.eval.scalar(plan, frame);
        let value = accepted.map(|accepted| match accepted.caption {
            Some(caption) => format!("{} ({})", value_text(&accepted.value), cut(caption)),
            None => value_text(&accepted.value),
        });
        self.out.push(Traced { path, origin: origin.to_owned(), value, steps });
    }

    /// Notes the steps of a source; whether it gave a value that fits.
    fn source(&mut self, source: &'b Source, target: &'b Target, frame: Frame<'b>, steps: &mut Vec<String>) -> bool {
        match source {
            Source::None => false,
            Source::Literal(_) => true,
            Source::Expr(ExprPlan::First(parts)) => {
                parts.iter().any(|part| self.alternative(part, target, frame, steps))
            }
            Source::Expr(expr) => self.alternative(expr, target, frame, steps),
            Source::OrElse(first, second) => {
                self.source(first, target, frame, steps) || self.source(second, target, frame, steps)
            }
            Source::Table { from, rows, otherwise, missing } => {
                let value = self.expr(from, frame, steps);
                let Some(text) = self.text(value) else {
                    steps.push("missing".to_owned());
                    return missing.as_ref().is_some_and(|source| self.source(source, target, frame, steps));
                };
                match rows.get(&text.to_lowercase()) {
                    Some(row) => {
                        steps.push(format!("table, row {}", cut(text)));
                        self.source(row, target, frame, steps)
                    }
                    None => {
                        steps.push(format!("table, else: no row {}", cut(text)));
                        otherwise.as_ref().is_some_and(|source| self.source(source, target, frame, steps))
                    }
                }
            }
            Source::Cases { cases, otherwise } => {
                for (number, (when, source)) in (1..).zip(cases) {
                    if self.holds(when, frame) {
                        steps.push(format!("case {number} of {} holds", cases.len()));
                        return self.source(source, target, frame, steps);
                    }
                }
                steps.push("no case holds: else".to_owned());
                otherwise.as_ref().is_some_and(|source| self.source(source, target, frame, steps))
            }
        }
    }

    fn alternative(
        &mut self,
        expr: &'b ExprPlan,
        target: &'b Target,
        frame: Frame<'b>,
        steps: &mut Vec<String>,
    ) -> bool {
        let value = self.expr(expr, frame, steps);
        if value == Val::None {
            return false;
        }
        let fits = self.eval.accept(value, target).is_some();
        if !fits {
            steps.push(format!("refused: no {}", target.ty.name));
        }
        fits
    }

    /// The value of an expression, every step noted.
    fn expr(&mut self, expr: &'b ExprPlan, frame: Frame<'b>, steps: &mut Vec<String>) -> Val<'b> {
        match expr {
            ExprPlan::Root(slot) => self.path(0, *slot, expr, frame, steps),
            ExprPlan::Item(slot) => self.path(frame.scope, *slot, expr, frame, steps),
            ExprPlan::Text(_) | ExprPlan::Int(_) | ExprPlan::Float(_) => self.eval.eval(expr, frame),
            ExprPlan::First(parts) => {
                for part in parts {
                    let value = self.expr(part, frame, steps);
                    if value != Val::None && self.text(value) != Some("") {
                        return value;
                    }
                }
                Val::None
            }
            ExprPlan::Call { name, input, args, body } => {
                let input = input.as_ref().map_or(Val::None, |input| self.expr(input, frame, steps));
                if input == Val::None {
                    return Val::None;
                }
                let words: Vec<String> = args.iter().map(argument).collect();
                let args: Vec<Val<'b>> = args.iter().map(literal).collect();
                let value = body(&Context { doc: self.eval.doc, arena: self.eval.arena }, input, &args);
                let call = if words.is_empty() { (*name).to_owned() } else { format!("{name}({})", words.join(", ")) };
                steps.push(format!("| {call} = {}", self.shown(value)));
                value
            }
            ExprPlan::Concat(parts) => {
                for part in parts {
                    self.expr(part, frame, steps);
                }
                let value = self.eval.eval(expr, frame);
                steps.push(format!("concat = {}", self.shown(value)));
                value
            }
            ExprPlan::Lookup { input, table, column } => {
                self.expr(input, frame, steps);
                let value = self.eval.eval(expr, frame);
                let column = table.columns.get(*column).map_or("", String::as_str);
                steps.push(format!("| lookup({}, {column}) = {}", table.name, self.shown(value)));
                value
            }
        }
    }

    fn path(
        &mut self,
        scope: usize,
        slot: SlotId,
        expr: &'b ExprPlan,
        frame: Frame<'b>,
        steps: &mut Vec<String>,
    ) -> Val<'b> {
        let value = self.eval.eval(expr, frame);
        let read = self.eval.plan.reads.iter().find(|read| read.scope == scope && read.slot == slot);
        steps.push(format!("{} = {}", read.map_or(".", |read| read.text.as_str()), self.shown(value)));
        value
    }

    fn holds(&mut self, when: &'b CondPlan, frame: Frame<'b>) -> bool {
        self.eval.cond(when, frame)
    }

    fn text(&self, value: Val<'b>) -> Option<&'b str> {
        Context { doc: self.eval.doc, arena: self.eval.arena }.text(value).map(str::trim)
    }

    fn shown(&self, value: Val<'b>) -> String {
        match value {
            Val::None => "nothing".to_owned(),
            Val::Node(id) => {
                let mut text = String::new();
                write_json(self.eval.doc.value(id), &mut text);
                cut(&text)
            }
            Val::Str(text) => quoted(text),
            Val::Int(number) => number.to_string(),
            Val::Float(number) => number.to_string(),
            Val::Bool(value) => value.to_string(),
            Val::List(values) => {
                let values: Vec<String> = values.iter().take(8).map(|value| self.shown(*value)).collect();
                cut(&format!("[{}]", values.join(", ")))
            }
        }
    }
}

fn argument(word: &Literal) -> String {
    match word {
        Literal::Text(text) => quoted(text),
        Literal::Int(number) => number.to_string(),
        Literal::Float(number) => number.to_string(),
        Literal::Bool(value) => value.to_string(),
    }
}

fn value_text(value: &Value<'_>) -> String {
    match value {
        Value::Str(text) => quoted(text),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        other => cut(&format!("{other:?}")),
    }
}

fn shown(value: &Json) -> String {
    cut(&value.to_string())
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_json_string(text, &mut out);
    cut(&out)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
