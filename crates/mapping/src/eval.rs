//! Running a plan on a record. Total: whatever the record holds, the result is an event or the path that is missing.

use bumpalo::Bump;
use tributary_json::{Doc, Kind, NodeId, write_json_string, write_json_unique};
use tributary_ocsf::{AttrIx, Object, Schema, Value};

use crate::function::{Context, Val};
use crate::plan::{CondPlan, ElementPlan, ExprPlan, ItemPlan, JsonPlan, Literal, ObjectPlan, Plan, ValuePlan};
use crate::scope::{Bindings, ITEM};
use crate::syntax::Compare;

/// Lists longer than this are not searched for repeats.
const MAX_UNIQUE: usize = 64;

/// What evaluation writes, kept between records for its memory.
#[derive(Debug, Default)]
pub(crate) struct State<'b> {
    pub(crate) bindings: Bindings,
    /// Source values that made it into the event so far.
    pub(crate) touched: Vec<NodeId>,
    /// Path, type id and text of each observable so far.
    pub(crate) observables: Vec<(&'b str, i64, &'b str)>,
    /// Bits of the profiles whose attributes are in the event so far.
    pub(crate) profiles: u32,
    /// Why the last object was left out.
    pub(crate) missing: Option<String>,
    pub(crate) fields: Vec<(AttrIx, Value<'b>)>,
    pub(crate) values: Vec<Value<'b>>,
}

impl State<'_> {
    pub(crate) fn clear(&mut self) {
        self.bindings.clear();
        self.touched.clear();
        self.observables.clear();
        self.profiles = 0;
        self.missing = None;
        self.fields.clear();
        self.values.clear();
    }
}

/// The record, or an element of a list in it.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'b> {
    pub(crate) scope: usize,
    pub(crate) base: usize,
    pub(crate) item: Val<'b>,
}

pub(crate) struct Eval<'e, 'b> {
    pub(crate) schema: &'static Schema,
    pub(crate) plan: &'b Plan,
    pub(crate) doc: &'e Doc<'b>,
    pub(crate) arena: &'b Bump,
    pub(crate) state: &'e mut State<'b>,
}

/// What can be undone when an object is left out.
struct Mark {
    touched: usize,
    observables: usize,
    profiles: u32,
}

impl<'b> Eval<'_, 'b> {
    pub(crate) fn root_frame(&mut self, record: NodeId) -> Frame<'b> {
        let base = match self.plan.scopes.first() {
            Some(scope) => self.state.bindings.push(scope, Some(record)),
            None => 0,
        };
        Frame { scope: 0, base, item: Val::Node(record) }
    }

    fn context(&self) -> Context<'_, 'b> {
        Context { doc: self.doc, arena: self.arena }
    }

    fn mark(&self) -> Mark {
        Mark {
            touched: self.state.touched.len(),
            observables: self.state.observables.len(),
            profiles: self.state.profiles,
        }
    }

    fn undo(&mut self, mark: &Mark) {
        self.state.touched.truncate(mark.touched);
        self.state.observables.truncate(mark.observables);
        self.state.profiles = mark.profiles;
    }

    /// Pushes an object's attributes on the field stack; the caller takes them from there.
    pub(crate) fn fields(&mut self, plan: &'b ObjectPlan, frame: Frame<'b>) {
        for field in &plan.fields {
            let before = self.state.fields.len();
            match &field.value {
                ValuePlan::Scalar(scalar) => self.scalar_field(field.attr, scalar, frame),
                ValuePlan::Object(object) => {
                    if let Some(object) = self.object(object, frame) {
                        self.state.fields.push((field.attr, Value::Object(object)));
                    }
                }
                ValuePlan::List(elements) => {
                    if let Some(values) = self.list(elements, frame) {
                        self.state.fields.push((field.attr, Value::Array(values)));
                    }
                }
                ValuePlan::Json(json) => {
                    if let Some(text) = self.json(json, frame) {
                        self.state.fields.push((field.attr, Value::Json(text)));
                    }
                }
            }
            if self.state.fields.len() > before {
                self.state.profiles |= field.profile;
            }
        }
    }

    /// An object; `None` when it is empty, excluded by its condition, or lacks what it requires.
    pub(crate) fn object(&mut self, plan: &'b ObjectPlan, frame: Frame<'b>) -> Option<&'b Object<'b>> {
        let mark = self.mark();
        let start = self.state.fields.len();
        if let Some(when) = &plan.when
            && !self.cond(when, frame)
        {
            self.undo(&mark);
            return None;
        }
        self.fields(plan, frame);
        let object = self.close(plan, start);
        if object.is_none() {
            self.undo(&mark);
        }
        object
    }

    /// Takes the fields from `start` on as an object, if they make a valid one.
    pub(crate) fn close(&mut self, plan: &'b ObjectPlan, start: usize) -> Option<&'b Object<'b>> {
        let fields = self.state.fields.get_mut(start..).unwrap_or_default();
        fields.sort_unstable_by_key(|(attr, _)| *attr);
        let object = Object { shape: plan.shape, fields: self.arena.alloc_slice_copy(fields) };
        self.state.fields.truncate(start);
        if object.fields.is_empty() {
            return None;
        }
        match self.lacks(plan, &object) {
            None => Some(self.arena.alloc(object)),
            Some(path) => {
                // A nested object that failed names the deeper path.
                let deeper = self.state.missing.take().filter(|known| known.starts_with(&path));
                self.state.missing = Some(deeper.unwrap_or(path));
                None
            }
        }
    }

    /// The path of the first attribute that the object lacks.
    fn lacks(&self, plan: &ObjectPlan, object: &Object<'b>) -> Option<String> {
        let full = |name: &str| if plan.path.is_empty() { name.to_owned() } else { format!("{}.{name}", plan.path) };
        // Both lists are in the order of attributes: one pass over each.
        let mut present = object.fields.iter().map(|(attr, _)| *attr).peekable();
        for (attr, bits) in &plan.required {
            while present.next_if(|next| next < attr).is_some() {}
            if present.peek() != Some(attr) && (*bits == 0 || self.state.profiles & bits != 0) {
                let name =
                    self.schema.shape(plan.shape).and_then(|shape| shape.attr(*attr)).map_or("?", |attr| attr.name);
                return Some(full(name));
            }
        }
        for constraint in &plan.constraints {
            let count = constraint.paths.iter().filter(|path| has(object, path)).count();
            if count == 0 || (constraint.exactly_one && count > 1) {
                return Some(full(&constraint.text));
            }
        }
        None
    }

    fn list(&mut self, elements: &'b [ElementPlan], frame: Frame<'b>) -> Option<&'b [Value<'b>]> {
        let start = self.state.values.len();
        for element in elements {
            match element {
                ElementPlan::One(when, item) => {
                    let mark = self.mark();
                    if when.as_ref().is_none_or(|when| self.cond(when, frame)) {
                        self.item(item, frame, start);
                    } else {
                        self.undo(&mark);
                    }
                }
                ElementPlan::Spread(expr, target) => {
                    let mark = self.mark();
                    let whole = self.eval(expr, frame);
                    let behind = self.behind(whole, &mark);
                    self.undo(&mark);
                    let before = self.state.values.len();
                    self.for_each(whole, |eval, value| {
                        let mark = eval.mark();
                        eval.touch(value);
                        match eval.accept(value, target) {
                            Some(accepted) => {
                                eval.observe(target, &accepted.value);
                                eval.push_unique(start, accepted.value);
                            }
                            None => eval.undo(&mark),
                        }
                    });
                    self.touch_behind(behind, before);
                }
                ElementPlan::Each { list, scope, cases } => {
                    let mark = self.mark();
                    let whole = self.eval(list, frame);
                    let behind = self.behind(whole, &mark);
                    self.undo(&mark);
                    let scope = *scope;
                    let before = self.state.values.len();
                    self.for_each(whole, |eval, value| eval.each_item(value, scope, cases, start));
                    self.touch_behind(behind, before);
                }
            }
        }
        let values = self.state.values.get(start..).unwrap_or_default();
        let list = (!values.is_empty()).then(|| &*self.arena.alloc_slice_copy(values));
        self.state.values.truncate(start);
        list
    }

    /// The source value that a derived list was made from: it has no elements of its own that could be touched.
    fn behind(&self, whole: Val<'b>, mark: &Mark) -> Option<NodeId> {
        match whole {
            Val::Node(_) | Val::None => None,
            _ => self.state.touched.get(mark.touched..).and_then(|touched| touched.last()).copied(),
        }
    }

    /// Counts it as read when the list gained from it.
    fn touch_behind(&mut self, behind: Option<NodeId>, before: usize) {
        if let (Some(id), true) = (behind, self.state.values.len() > before) {
            self.state.touched.push(id);
        }
    }

    /// Elements of an array or list; anything else is its own only element.
    pub(crate) fn for_each(&mut self, whole: Val<'b>, mut visit: impl FnMut(&mut Self, Val<'b>)) {
        match whole {
            Val::None => {}
            Val::List(values) => values.iter().for_each(|value| visit(self, *value)),
            Val::Node(id) if self.doc.value(id).kind() == Kind::Array => {
                let doc = self.doc;
                for element in doc.value(id).elements().filter(|element| !element.is_null()) {
                    visit(self, Val::Node(element.id()));
                }
            }
            scalar => visit(self, scalar),
        }
    }

    fn each_item(&mut self, value: Val<'b>, scope: usize, cases: &'b [(Option<CondPlan>, ItemPlan)], start: usize) {
        let node = match value {
            Val::Node(id) => Some(id),
            _ => None,
        };
        let Some(paths) = self.plan.scopes.get(scope) else { return };
        let base = self.state.bindings.push(paths, node);
        let frame = Frame { scope, base, item: value };
        for (when, item) in cases {
            let mark = self.mark();
            if when.as_ref().is_none_or(|when| self.cond(when, frame)) {
                if !self.item(item, frame, start) {
                    self.undo(&mark);
                }
                break;
            }
            self.undo(&mark);
        }
        self.state.bindings.pop(base);
    }

    fn item(&mut self, item: &'b ItemPlan, frame: Frame<'b>, start: usize) -> bool {
        let value = match item {
            ItemPlan::Object(plan) => self.object(plan, frame).map(Value::Object),
            ItemPlan::Json(plan) => self.json(plan, frame).map(Value::Json),
            ItemPlan::Scalar(plan) => self.scalar(plan, frame).map(|accepted| {
                self.observe(&plan.target, &accepted.value);
                accepted.value
            }),
        };
        match value {
            Some(value) => {
                self.push_unique(start, value);
                true
            }
            None => false,
        }
    }

    fn push_unique(&mut self, start: usize, value: Value<'b>) {
        let known = self.state.values.get(start..).unwrap_or_default();
        if known.len() > MAX_UNIQUE || !known.contains(&value) {
            self.state.values.push(value);
        }
    }

    pub(crate) fn touch(&mut self, value: Val<'b>) {
        if let Val::Node(id) = value {
            self.state.touched.push(id);
        }
    }

    /// The value of an expression; the source values behind it are noted as touched.
    pub(crate) fn eval(&mut self, expr: &'b ExprPlan, frame: Frame<'b>) -> Val<'b> {
        match expr {
            ExprPlan::Root(slot) => {
                let Some(scope) = self.plan.scopes.first() else { return Val::None };
                match self.state.bindings.get(self.doc, scope, 0, *slot) {
                    Some(id) => {
                        self.state.touched.push(id);
                        Val::Node(id)
                    }
                    None => Val::None,
                }
            }
            ExprPlan::Item(slot) => {
                if *slot == ITEM {
                    self.touch(frame.item);
                    return frame.item;
                }
                let Some(scope) = self.plan.scopes.get(frame.scope) else { return Val::None };
                match self.state.bindings.get(self.doc, scope, frame.base, *slot) {
                    Some(id) => {
                        self.state.touched.push(id);
                        Val::Node(id)
                    }
                    None => Val::None,
                }
            }
            ExprPlan::Text(text) => Val::Str(text),
            ExprPlan::Int(number) => Val::Int(*number),
            ExprPlan::Float(number) => Val::Float(*number),
            ExprPlan::First(parts) => {
                for part in parts {
                    let mark = self.mark();
                    let value = self.eval(part, frame);
                    let blank = matches!(value, Val::Node(id) if self.doc.value(id).as_str() == Some(""));
                    if value != Val::None && !blank {
                        return value;
                    }
                    self.undo(&mark);
                }
                Val::None
            }
            ExprPlan::Call { body, input, args, .. } => {
                let value = match input {
                    Some(input) => self.eval(input, frame),
                    None => Val::None,
                };
                if value == Val::None {
                    return Val::None;
                }
                let cx = self.context();
                match args.as_slice() {
                    [] => body(&cx, value, &[]),
                    [one] => body(&cx, value, &[literal(one)]),
                    many => {
                        let many: Vec<Val<'b>> = many.iter().map(literal).collect();
                        body(&cx, value, &many)
                    }
                }
            }
            ExprPlan::Concat(parts) => {
                let mut text = String::new();
                for part in parts {
                    let value = self.eval(part, frame);
                    match self.context().text(value) {
                        Some(part) => text.push_str(part),
                        None => return Val::None,
                    }
                }
                self.context().give(&text)
            }
            ExprPlan::Lookup { input, table, column } => {
                let value = self.eval(input, frame);
                let Some(text) = self.context().text(value) else { return Val::None };
                let key = text.trim().to_lowercase();
                match table.rows.get(&key).and_then(|row| row.get(*column)).and_then(Option::as_deref) {
                    Some(cell) => Val::Str(cell),
                    None => Val::None,
                }
            }
        }
    }

    /// Whether a condition holds. Values that an equality confirmed count as read.
    pub(crate) fn cond(&mut self, cond: &'b CondPlan, frame: Frame<'b>) -> bool {
        let mark = self.mark();
        let holds = match cond {
            CondPlan::Exists(expr) => {
                let value = self.eval(expr, frame);
                self.undo(&mark);
                match value {
                    Val::None => false,
                    Val::Str(text) => !text.is_empty(),
                    Val::Node(id) => {
                        let node = self.doc.value(id);
                        match node.kind() {
                            Kind::Null => false,
                            Kind::String => node.as_str().is_some_and(|text| !text.is_empty()),
                            Kind::Array | Kind::Object => node.count() > 0,
                            _ => true,
                        }
                    }
                    _ => true,
                }
            }
            CondPlan::In(expr, words) => {
                let value = self.eval(expr, frame);
                let text = self.context().text(value);
                text.is_some_and(|text| words.iter().any(|word| word.eq_ignore_ascii_case(text.trim())))
            }
            CondPlan::Compare(expr, compare, word) => {
                let value = self.eval(expr, frame);
                self.undo(&mark);
                self.context().text(value).is_some_and(|text| compares(text, *compare, word))
            }
            CondPlan::Not(inner) => {
                let holds = !self.cond(inner, frame);
                self.undo(&mark);
                holds
            }
            CondPlan::And(parts) => parts.iter().all(|part| self.cond(part, frame)),
            CondPlan::Or(parts) => parts.iter().any(|part| self.cond(part, frame)),
        };
        if !holds {
            self.undo(&mark);
        }
        holds
    }

    /// JSON text for a `json_t` attribute.
    pub(crate) fn json(&mut self, plan: &'b JsonPlan, frame: Frame<'b>) -> Option<&'b str> {
        let mark = self.mark();
        let mut out = String::new();
        if self.write_json(plan, frame, &mut out) {
            Some(self.arena.alloc_str(&out))
        } else {
            self.undo(&mark);
            None
        }
    }

    fn write_json(&mut self, plan: &'b JsonPlan, frame: Frame<'b>, out: &mut String) -> bool {
        match plan {
            JsonPlan::Literal(text) => {
                out.push_str(text);
                true
            }
            JsonPlan::Expr(expr) => {
                let value = self.eval(expr, frame);
                self.write_val(value, out)
            }
            JsonPlan::Object(members) => {
                let start = out.len();
                out.push('{');
                let mut any = false;
                for (name, member) in members {
                    let before = out.len();
                    if any {
                        out.push(',');
                    }
                    write_json_string(name, out);
                    out.push(':');
                    if self.write_json(member, frame, out) { any = true } else { out.truncate(before) }
                }
                out.push('}');
                if !any {
                    out.truncate(start);
                }
                any
            }
            JsonPlan::List(items) => {
                let start = out.len();
                out.push('[');
                let mut any = false;
                for item in items {
                    let before = out.len();
                    if any {
                        out.push(',');
                    }
                    if self.write_json(item, frame, out) { any = true } else { out.truncate(before) }
                }
                out.push(']');
                if !any {
                    out.truncate(start);
                }
                any
            }
        }
    }

    fn write_val(&self, value: Val<'b>, out: &mut String) -> bool {
        use std::fmt::Write as _;
        match value {
            Val::None => return false,
            Val::Node(id) => {
                let node = self.doc.value(id);
                if node.is_null() {
                    return false;
                }
                write_json_unique(node, out);
            }
            Val::Str(text) => write_json_string(text, out),
            Val::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Val::Float(number) => {
                let _ = write!(out, "{number:?}");
            }
            Val::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            Val::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    if !self.write_val(*value, out) {
                        out.push_str("null");
                    }
                }
                out.push(']');
            }
        }
        true
    }
}

fn has(object: &Object<'_>, path: &[AttrIx]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match object.get(*first) {
        None => false,
        Some(Value::Object(inner)) if !rest.is_empty() => has(inner, rest),
        Some(_) => rest.is_empty(),
    }
}

pub(crate) fn literal<'b>(literal: &'b Literal) -> Val<'b> {
    match literal {
        Literal::Text(text) => Val::Str(text),
        Literal::Int(number) => Val::Int(*number),
        Literal::Float(number) => Val::Float(*number),
        Literal::Bool(value) => Val::Bool(*value),
    }
}

/// `word` is in lower case.
fn compares(text: &str, compare: Compare, word: &str) -> bool {
    let number = || Some((text.trim().parse::<f64>().ok()?, word.parse::<f64>().ok()?));
    match compare {
        Compare::StartsWith => text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)),
        Compare::EndsWith => {
            let start = text.len().checked_sub(word.len());
            start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
        }
        Compare::Contains => text.to_lowercase().contains(word),
        Compare::Less => number().is_some_and(|(a, b)| a < b),
        Compare::LessOrEqual => number().is_some_and(|(a, b)| a <= b),
        Compare::Greater => number().is_some_and(|(a, b)| a > b),
        Compare::GreaterOrEqual => number().is_some_and(|(a, b)| a >= b),
    }
}
