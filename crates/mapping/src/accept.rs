//! Fitting values to attributes: what does not fit is refused, never bent.

use tributary_json::Kind;
use tributary_ocsf::{AttrIx, BaseType, Value, accepts_text};

use crate::eval::{Eval, Frame};
use crate::function::{Context, Val};
use crate::plan::{EnumTarget, ExprPlan, Literal, ScalarPlan, Source, Target};
use crate::timestamp::parse_timestamp;

/// A value that fits, with the caption that goes to its sibling.
#[derive(Clone, Copy)]
pub(crate) struct Accepted<'b> {
    pub(crate) value: Value<'b>,
    pub(crate) caption: Option<&'b str>,
}

/// What a sibling of Other says when the source has no word for it.
const UNSPECIFIED: &str = "unspecified";

impl<'b> Eval<'_, 'b> {
    /// Pushes a scalar attribute with its sibling and its `_dt` twin.
    pub(crate) fn scalar_field(&mut self, attr: AttrIx, plan: &'b ScalarPlan, frame: Frame<'b>) {
        let Some(accepted) = self.scalar(plan, frame) else { return };
        self.observe(&plan.target, &accepted.value);
        self.state.fields.push((attr, accepted.value));
        if let (Some(sibling), Some(caption)) =
            (plan.target.enumeration.as_ref().and_then(|enumeration| enumeration.sibling), accepted.caption)
        {
            self.state.fields.push((sibling, Value::Str(caption)));
        }
        if let (Some(dt), Value::Int(ms)) = (plan.target.dt, accepted.value) {
            self.state.fields.push((dt, Value::Time(ms)));
            self.state.profiles |= self.plan.header.datetime;
        }
    }

    pub(crate) fn scalar(&mut self, plan: &'b ScalarPlan, frame: Frame<'b>) -> Option<Accepted<'b>> {
        self.source(&plan.source, &plan.target, frame, None)
    }

    /// The value of a source. `word` is the source's own word where a table stands around it.
    pub(crate) fn source(
        &mut self,
        source: &'b Source,
        target: &'b Target,
        frame: Frame<'b>,
        word: Option<&'b str>,
    ) -> Option<Accepted<'b>> {
        match source {
            Source::None => None,
            Source::Literal(literal) => self.literal(literal, target, frame, word),
            Source::Expr(expr) => self.expression(expr, target, frame),
            Source::OrElse(first, second) => {
                self.source(first, target, frame, word).or_else(|| self.source(second, target, frame, word))
            }
            Source::Table { from, rows, otherwise, missing } => {
                let before = self.state.touched.len();
                let value = self.eval(from, frame);
                let Some(text) = self.context_text(value) else {
                    self.state.touched.truncate(before);
                    return missing.as_ref().and_then(|source| self.source(source, target, frame, None));
                };
                if let Some(row) = find_row(rows, text) {
                    return self.source(row, target, frame, Some(text));
                }
                let accepted = otherwise.as_ref().and_then(|source| self.source(source, target, frame, Some(text)));
                // The word counts as read only where it is carried on: as the caption of Other.
                if accepted.is_none_or(|accepted| accepted.caption != Some(text)) {
                    self.state.touched.truncate(before);
                }
                accepted
            }
            Source::Cases { cases, otherwise } => {
                for (when, source) in cases {
                    if self.cond(when, frame) {
                        return self.source(source, target, frame, word);
                    }
                }
                otherwise.as_ref().and_then(|source| self.source(source, target, frame, word))
            }
        }
    }

    fn context_text(&self, value: Val<'b>) -> Option<&'b str> {
        Context { doc: self.doc, arena: self.arena }.text(value).map(str::trim).filter(|text| !text.is_empty())
    }

    /// An expression's value, or that of the first alternative that fits.
    fn expression(&mut self, expr: &'b ExprPlan, target: &'b Target, frame: Frame<'b>) -> Option<Accepted<'b>> {
        if let ExprPlan::First(parts) = expr {
            return parts.iter().find_map(|part| self.expression(part, target, frame));
        }
        let before = self.state.touched.len();
        let value = self.eval(expr, frame);
        let mut accepted = self.accept(value, target);
        match &mut accepted {
            None => self.state.touched.truncate(before),
            Some(accepted) => {
                // What the file gives for the sibling comes before the source's word.
                if let (Value::Int(99), Some(given)) = (accepted.value, target.enumeration.as_ref()) {
                    accepted.caption = self.other_caption(given, frame, accepted.caption);
                }
            }
        }
        accepted
    }

    fn literal(
        &mut self,
        literal: &'b Literal,
        target: &'b Target,
        frame: Frame<'b>,
        word: Option<&'b str>,
    ) -> Option<Accepted<'b>> {
        let value = match literal {
            Literal::Text(text) if target.datetime => Value::Time(parse_timestamp(text)?),
            Literal::Text(text) => Value::Str(text),
            Literal::Int(number) => Value::Int(*number),
            Literal::Float(number) => Value::Float(*number),
            Literal::Bool(value) => Value::Bool(*value),
        };
        let caption = match (&target.enumeration, literal) {
            (Some(enumeration), Literal::Int(99)) if enumeration.other => self.other_caption(enumeration, frame, word),
            (Some(enumeration), Literal::Int(id)) => enumeration.table.by_id(*id).map(|value| value.caption),
            _ => None,
        };
        Some(Accepted { value, caption })
    }

    /// The sibling of Other: what the file gives, else the source's word, never the caption "Other" itself.
    fn other_caption(
        &mut self,
        enumeration: &'b EnumTarget,
        frame: Frame<'b>,
        word: Option<&'b str>,
    ) -> Option<&'b str> {
        enumeration.sibling?;
        let given = match &enumeration.sibling_source {
            Some(source) => self.plain_text(source, frame),
            None => None,
        };
        let text = given.or(word).unwrap_or(UNSPECIFIED);
        let is_caption = enumeration.table.by_id(99).is_some_and(|other| other.caption == text);
        Some(if is_caption { self.arena.alloc_str(&text.to_lowercase()) } else { text })
    }

    /// The text of a source that needs no target.
    fn plain_text(&mut self, source: &'b Source, frame: Frame<'b>) -> Option<&'b str> {
        match source {
            Source::None => None,
            Source::Literal(literal) => self.context_text(crate::eval::literal(literal)),
            Source::Expr(ExprPlan::First(parts)) => parts.iter().find_map(|part| self.plain_expr(part, frame)),
            Source::Expr(expr) => self.plain_expr(expr, frame),
            Source::OrElse(first, second) => self.plain_text(first, frame).or_else(|| self.plain_text(second, frame)),
            Source::Table { from, rows, otherwise, missing } => match self.plain_expr(from, frame) {
                None => missing.as_ref().and_then(|source| self.plain_text(source, frame)),
                Some(text) => match find_row(rows, text) {
                    Some(row) => self.plain_text(row, frame),
                    None => otherwise.as_ref().and_then(|source| self.plain_text(source, frame)),
                },
            },
            Source::Cases { cases, otherwise } => {
                for (when, source) in cases {
                    if self.cond(when, frame) {
                        return self.plain_text(source, frame);
                    }
                }
                otherwise.as_ref().and_then(|source| self.plain_text(source, frame))
            }
        }
    }

    fn plain_expr(&mut self, expr: &'b ExprPlan, frame: Frame<'b>) -> Option<&'b str> {
        let before = self.state.touched.len();
        let value = self.eval(expr, frame);
        let text = self.context_text(value);
        if text.is_none() {
            self.state.touched.truncate(before);
        }
        text
    }

    /// `value` as the attribute takes it.
    pub(crate) fn accept(&self, value: Val<'b>, target: &'b Target) -> Option<Accepted<'b>> {
        if value == Val::None {
            return None;
        }
        if let Some(enumeration) = &target.enumeration {
            return self.accept_enum(value, target, enumeration);
        }
        let cx = Context { doc: self.doc, arena: self.arena };
        let node = match value {
            Val::Node(id) => Some(self.doc.value(id)),
            _ => None,
        };
        let value = match target.base() {
            BaseType::Boolean => match (value, node.and_then(|node| node.as_bool())) {
                (Val::Bool(value), _) | (_, Some(value)) => Value::Bool(value),
                _ => match cx.string(value) {
                    Some(text) if text.eq_ignore_ascii_case("true") => Value::Bool(true),
                    Some(text) if text.eq_ignore_ascii_case("false") => Value::Bool(false),
                    _ => return None,
                },
            },
            BaseType::Integer | BaseType::Long => {
                let number = match value {
                    Val::Int(number) => number,
                    // Times come as `Val::Int` from `timestamp`; a bare number here is not known to be one.
                    Val::Node(_) | Val::Str(_) => cx.text(value)?.trim().parse().ok()?,
                    _ => return None,
                };
                let narrow = target.base() == BaseType::Integer && i32::try_from(number).is_err();
                let outside = target.ty.range.is_some_and(|(low, high)| number < low || number > high);
                if narrow || outside {
                    return None;
                }
                Value::Int(number)
            }
            BaseType::Float => {
                let number = match value {
                    Val::Float(number) => number,
                    #[allow(clippy::cast_precision_loss)]
                    Val::Int(number) => number as f64,
                    _ => cx.text(value)?.trim().parse().ok()?,
                };
                if !number.is_finite() {
                    return None;
                }
                Value::Float(number)
            }
            BaseType::String if target.datetime => Value::Time(parse_timestamp(cx.text(value)?)?),
            BaseType::String => {
                let text = match node {
                    // An object or a list has no text of its own.
                    Some(node) if matches!(node.kind(), Kind::Array | Kind::Object) => return None,
                    _ => cx.text(value)?,
                };
                if text.trim().is_empty() || !accepts_text(target.ty, text) {
                    return None;
                }
                Value::Str(text)
            }
            BaseType::Json => return None,
        };
        Some(Accepted { value, caption: None })
    }

    fn accept_enum(&self, value: Val<'b>, target: &Target, enumeration: &'b EnumTarget) -> Option<Accepted<'b>> {
        let cx = Context { doc: self.doc, arena: self.arena };
        let text = cx.text(value)?.trim();
        let table = enumeration.table;
        let found = text.parse::<i64>().ok().and_then(|id| table.by_id(id)).or_else(|| table.by_caption(text));
        match found {
            Some(found) if found.deprecated => None,
            Some(found) => match found.id {
                Some(99) => Some(Accepted { value: Value::Int(99), caption: Some(text) }),
                Some(id) => Some(Accepted { value: Value::Int(id), caption: Some(found.caption) }),
                None => Some(Accepted { value: Value::Str(found.key), caption: Some(found.caption) }),
            },
            None if enumeration.other && enumeration.sibling.is_some() && target.base() != BaseType::String => {
                Some(Accepted { value: Value::Int(99), caption: Some(text) })
            }
            None => None,
        }
    }

    /// Notes an observable.
    pub(crate) fn observe(&mut self, target: &'b Target, value: &Value<'b>) {
        let Some((type_id, path)) = &target.observable else { return };
        let text = match value {
            Value::Str(text) => text,
            Value::Int(number) => &*self.arena.alloc_str(&number.to_string()),
            _ => return,
        };
        self.state.observables.push((path, *type_id, text));
    }
}

fn find_row<'b>(rows: &'b std::collections::HashMap<String, Source>, text: &str) -> Option<&'b Source> {
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii());
    if lower { rows.get(text) } else { rows.get(&text.to_lowercase()) }
}
