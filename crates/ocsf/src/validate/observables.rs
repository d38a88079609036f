//! Observables: each names an attribute of the event, and says what is there.

use std::borrow::Cow;

use tributary_json::{Kind, Value};

use crate::schema::{Attr, ShapeId};
use crate::validate::Walk;
use crate::validate::path::{Path, ROOT, quoted};
use crate::validate::tree::is_integer;

/// Members and elements that are looked at to find the observables' values, an event. Without a bound, many observables
/// that each name a long list would take time by the square.
const STEPS: usize = 1_000_000;

/// One part of an observable's name: `resources[]`, `evidences[0]`, `uid`.
struct Part<'n> {
    name: &'n str,
    /// What stands between brackets, if there are any.
    index: Option<&'n str>,
}

impl<'w, 'd, 'b> Walk<'w, 'd, 'b> {
    pub(super) fn observables(&mut self, event: Value<'d, 'b>, class: ShapeId) {
        let Some(list) = self.view.get(event, "observables").filter(|list| list.kind() == Kind::Array) else { return };
        let above = ROOT;
        let above = above.name("observables");
        let mut steps = STEPS;
        for (at, observable) in self.view.elements(list).enumerate() {
            let Some(name) = self.view.get(observable, "name").and_then(Value::as_str) else { continue };
            let path = above.index(at);
            let parts = parts(name);
            let Some(attr) = self.target(class, &parts) else {
                let message = || format!("{} is no attribute of the class", quoted(name));
                self.report.error("observable_name_invalid_reference", &path.name("name"), message);
                continue;
            };
            let mut found = Vec::new();
            if !self.resolve(event, &parts, &mut steps, &mut found) {
                let message = || "not compared from here on: the event is too large".to_owned();
                self.report.strict("observable_not_compared", &path, message);
                return;
            }
            self.value(observable, name, &found, &path);
            self.kind(observable, name, attr, &path);
        }
    }

    fn value(&mut self, observable: Value<'d, 'b>, name: &str, found: &[Value<'d, 'b>], path: &Path<'_>) {
        if found.is_empty() {
            let message = || format!("the event has nothing at {}", quoted(name));
            return self.report.note("observable_target_absent", &path.name("name"), message);
        }
        let stated = self.view.get(observable, "value").and_then(Value::as_str);
        if let Some(stated) = stated.filter(|stated| !found.iter().any(|value| is_written(*value, stated))) {
            let message = || format!("{} is not what stands at {}", quoted(stated), quoted(name));
            self.report.strict("observable_value_mismatch", &path.name("value"), message);
        }
    }

    /// The observable's type against those that the schema gives the attribute and its type.
    fn kind(&mut self, observable: Value<'d, 'b>, name: &str, attr: &Attr, path: &Path<'_>) {
        let of_type = match attr.object {
            Some(id) => self.schema.shape(id).and_then(|shape| shape.observable),
            None => self.schema.type_of(attr).observable,
        };
        let wanted = [attr.observable, of_type];
        let Some(id) = self.view.get(observable, "type_id").and_then(Value::as_i64) else { return };
        if wanted != [None, None] && !wanted.iter().flatten().any(|wanted| i64::from(*wanted) == id) {
            let message = || {
                let wanted: Vec<String> = wanted.iter().flatten().map(ToString::to_string).collect();
                format!("{} is of observable type {}, not {id}", quoted(name), wanted.join(" or "))
            };
            self.report.note("observable_type_mismatch", &path.name("type_id"), message);
        }
    }

    /// The attribute that a name refers to.
    fn target(&self, class: ShapeId, parts: &[Part<'_>]) -> Option<&'w Attr> {
        let mut id = class;
        let (last, inner) = parts.split_last()?;
        for part in inner {
            let attr = self.active_attr(id, part.name)?;
            if part.index.is_some() && !attr.array {
                return None;
            }
            id = attr.object?;
        }
        self.active_attr(id, last.name)
    }

    fn active_attr(&self, id: ShapeId, name: &str) -> Option<&'w Attr> {
        let (index, attr) = self.schema.shape(id)?.attr_named(name)?;
        self.is_active(id, usize::from(index.0)).then_some(attr)
    }

    /// Collects the values at `parts`; false when that takes more than the `steps` that are left.
    fn resolve(
        &self,
        event: Value<'d, 'b>,
        parts: &[Part<'_>],
        steps: &mut usize,
        out: &mut Vec<Value<'d, 'b>>,
    ) -> bool {
        let mut here = vec![event];
        for part in parts {
            let mut next = Vec::new();
            for value in here {
                let cost = value.count() + 1;
                let Some(left) = steps.checked_sub(cost) else { return false };
                *steps = left;
                let Some(member) = self.view.get(value, part.name) else { continue };
                let index =
                    part.index.filter(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()));
                let member = match index {
                    Some(index) if member.kind() == Kind::Array => {
                        let Some(left) = steps.checked_sub(member.count()) else { return false };
                        *steps = left;
                        index.parse().ok().and_then(|index| self.view.elements(member).nth(index))
                    }
                    _ => Some(member),
                };
                if let Some(member) = member
                    && !self.flatten(member, steps, &mut next)
                {
                    return false;
                }
            }
            here = next;
        }
        out.extend(here);
        true
    }

    /// The value itself, or of a list its elements, lists within lists too.
    fn flatten(&self, value: Value<'d, 'b>, steps: &mut usize, out: &mut Vec<Value<'d, 'b>>) -> bool {
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            if value.kind() == Kind::Array {
                let Some(left) = steps.checked_sub(value.count()) else { return false };
                *steps = left;
                open.extend(value.elements());
            } else if !value.is_null() {
                out.push(value);
            }
        }
        true
    }
}

/// Splits at the dots that are not within brackets.
fn parts(name: &str) -> Vec<Part<'_>> {
    let mut texts = Vec::new();
    let mut from = 0;
    for (at, _) in name.match_indices('.') {
        let rest = name.get(at + 1..).unwrap_or_default();
        let inside = rest.find(']').is_some_and(|close| rest.find('[').is_none_or(|open| close < open));
        if !inside {
            texts.push(name.get(from..at).unwrap_or_default());
            from = at + 1;
        }
    }
    texts.push(name.get(from..).unwrap_or_default());
    let part = |text| match str::split_once(text, '[') {
        Some((name, index)) if !name.is_empty() && index.ends_with(']') => {
            Part { name, index: index.strip_suffix(']') }
        }
        _ => Part { name: text, index: None },
    };
    texts.into_iter().map(part).collect()
}

/// Whether a scalar is written as `text`. Numbers with a fraction count as in the event and in their shortest form.
fn is_written(value: Value<'_, '_>, text: &str) -> bool {
    let written: Cow<'_, str> = match value.kind() {
        Kind::String => Cow::Borrowed(value.as_str().unwrap_or_default()),
        Kind::Bool => Cow::Borrowed(if value.as_bool() == Some(true) { "true" } else { "false" }),
        Kind::Number if value.number_text() == Some(text) => return true,
        Kind::Number if is_integer(value) => return false,
        Kind::Number => Cow::Owned(value.as_f64().map_or(String::new(), |number| format!("{number:?}"))),
        Kind::Null | Kind::Array | Kind::Object => return false,
    };
    written == text
}
