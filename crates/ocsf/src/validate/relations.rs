//! Rules over several attributes of one object: enumerations with their captions, constraints, twins.

use tributary_json::{Kind, Value};

use crate::format::datetime_micros;
use crate::schema::{Attr, Constraint, EnumTable, EnumValue, Shape, ShapeId};
use crate::validate::Walk;
use crate::validate::path::{Path, quoted, short};
use crate::validate::tree::is_integer;

/// The number of "Other" in every enumeration.
const OTHER: i64 = 99;

impl<'d, 'b> Walk<'_, 'd, 'b> {
    pub(super) fn enumerations(&mut self, shape: &Shape, id: ShapeId, base: usize, path: &Path<'_>) {
        let Some(plan) = self.plan.shapes.get(usize::from(id.0)) else { return };
        for index in plan.enums.iter().copied() {
            if !self.is_active(id, index) {
                continue;
            }
            let Some(attr) = shape.attrs.get(index) else { continue };
            let Some(table) = attr.enumeration.and_then(|id| self.schema.enumeration(id)) else { continue };
            // `type_uid` of one object has a sibling that the object lacks; it has no enumeration there.
            let sibling = attr.sibling.filter(|sibling| usize::from(sibling.0) != index);
            let sibling = sibling
                .and_then(|sibling| Some((shape.attr(sibling)?.name, self.slot(base, usize::from(sibling.0)).some())));
            match (self.slot(base, index).some(), sibling) {
                (None, Some((name, Some(_)))) => {
                    let message = || format!("is set, but {} is not", attr.name);
                    self.report.note("sibling_without_enum", &path.name(name), message);
                }
                (None, _) => {}
                (Some(value), _) if attr.array => {
                    if value.kind() == Kind::Array {
                        self.enumerated_list(value, attr, table, sibling, path);
                    }
                }
                (Some(value), _) => self.enumerated(value, attr, table, sibling, path),
            }
        }
    }

    fn enumerated(
        &mut self,
        value: Value<'d, 'b>,
        attr: &Attr,
        table: &EnumTable,
        sibling: Option<(&'static str, Option<Value<'d, 'b>>)>,
        path: &Path<'_>,
    ) {
        let path_here = path.name(attr.name);
        let Some(found) = look_up(table, value) else { return };
        let Some(found) = found else {
            let message = || format!("{} is not one of its values", value_text(value));
            return self.report.error("attribute_enum_value_unknown", &path_here, message);
        };
        if found.deprecated {
            let message = || format!("the value {} is deprecated", found.key);
            self.report.note("attribute_enum_value_deprecated", &path_here, message);
        }
        let Some((name, caption)) = sibling else { return };
        let is_caption = caption.and_then(Value::as_str) == Some(found.caption);
        match caption {
            None if found.id == Some(OTHER) => {
                let message = || format!("99 (Other) asks {name} for the source's own word");
                self.report.strict("attribute_enum_other_without_sibling", &path_here, message);
            }
            Some(_) if found.id == Some(OTHER) && is_caption => {
                let message = || format!("the source's own word belongs here, not {:?}", found.caption);
                self.report.note("attribute_enum_sibling_suspicious_other", &path.name(name), message);
            }
            Some(other) if found.id != Some(OTHER) && !is_caption => {
                let message = || {
                    format!("{:?} expected for {} {}, is {}", found.caption, attr.name, found.key, value_text(other))
                };
                self.report.strict("attribute_enum_sibling_incorrect", &path.name(name), message);
            }
            _ => {}
        }
    }

    fn enumerated_list(
        &mut self,
        list: Value<'d, 'b>,
        attr: &Attr,
        table: &EnumTable,
        sibling: Option<(&'static str, Option<Value<'d, 'b>>)>,
        path: &Path<'_>,
    ) {
        let captions = sibling.and_then(|(name, list)| Some((name, list.filter(|list| list.kind() == Kind::Array)?)));
        let mut next = captions.map(|(_, list)| self.view.elements(list));
        let path_here = path.name(attr.name);
        for (at, value) in self.view.elements(list).enumerate() {
            let caption = next.as_mut().and_then(Iterator::next).filter(|caption| !caption.is_null());
            let Some(found) = look_up(table, value) else { continue };
            let Some(found) = found else {
                let message = || format!("{} is not one of its values", value_text(value));
                self.report.error("attribute_enum_array_value_unknown", &path_here.index(at), message);
                continue;
            };
            if found.deprecated {
                let message = || format!("the value {} is deprecated", found.key);
                self.report.note("attribute_enum_array_value_deprecated", &path_here.index(at), message);
            }
            let Some((name, _)) = captions.filter(|_| found.id != Some(OTHER)) else { continue };
            let path = path.name(name);
            match caption {
                None => {
                    let message = || format!("no caption for {} {}", attr.name, found.key);
                    self.report.error("attribute_enum_array_sibling_missing", &path.index(at), message);
                }
                Some(caption) if caption.as_str() != Some(found.caption) => {
                    let message = || format!("{:?} expected, is {}", found.caption, value_text(caption));
                    self.report.error("attribute_enum_array_sibling_incorrect", &path.index(at), message);
                }
                Some(_) => {}
            }
        }
    }

    pub(super) fn constraints(&mut self, shape: &Shape, base: usize, path: &Path<'_>) {
        for constraint in &shape.constraints {
            let (paths, most, words) = match constraint {
                Constraint::AtLeastOne(paths) => (paths, usize::MAX, "at least one"),
                Constraint::JustOne(paths) => (paths, 1, "exactly one"),
            };
            let there = paths.iter().filter(|dotted| self.has(shape, base, dotted)).count();
            if there == 0 || there > most {
                let message = || format!("{} needs {words} of {}, has {there}", shape.name, paths.join(", "));
                self.report.error("constraint_failed", path, message);
            }
        }
    }

    fn has(&self, shape: &Shape, base: usize, dotted: &str) -> bool {
        let mut names = dotted.split('.');
        let first = names.next().and_then(|name| shape.attr_named(name));
        let mut at = first.and_then(|(index, _)| self.slot(base, usize::from(index.0)).some());
        for name in names {
            at = at.and_then(|value| self.view.get(value, name));
        }
        at.is_some()
    }

    /// `x_dt` is the same instant as `x`, to the millisecond.
    pub(super) fn twins(&mut self, shape: &Shape, id: ShapeId, base: usize, path: &Path<'_>) {
        let Some(plan) = self.plan.shapes.get(usize::from(id.0)) else { return };
        for (text, number) in plan.times.iter().copied() {
            if !self.is_active(id, text) {
                continue;
            }
            let Some(written) = self.slot(base, text).some().and_then(Value::as_str) else { continue };
            let Some(ms) = self.slot(base, number).some().and_then(Value::as_i64) else { continue };
            let Some(micros) = datetime_micros(written) else { continue };
            if (i128::from(micros) - i128::from(ms) * 1_000).abs() >= 1_000
                && let (Some(text), Some(number)) = (shape.attrs.get(text), shape.attrs.get(number))
            {
                let message = || format!("{} is not the instant of {} {ms}", quoted(written), number.name);
                self.report.strict("datetime_mismatch", &path.name(text.name), message);
            }
        }
    }
}

/// The value's entry; `None` for what is of no enumerable type, which the type check reports.
fn look_up<'t>(table: &'t EnumTable, value: Value<'_, '_>) -> Option<Option<&'t EnumValue>> {
    match value.as_str() {
        Some(text) => Some(table.by_key(text)),
        None if is_integer(value) => Some(value.as_i64().and_then(|id| table.by_id(id))),
        None => None,
    }
}

fn value_text(value: Value<'_, '_>) -> String {
    match (value.as_str(), value.number_text()) {
        (Some(text), _) => quoted(text),
        (None, Some(text)) => short(text),
        (None, None) => "of another type".to_owned(),
    }
}
