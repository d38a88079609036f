//! Compiling scalars: literals, expressions, tables, cases, conditions.

use std::collections::HashMap;
use std::sync::Arc;

use tributary_ocsf::{Attr, BaseType, Shape, accepts_text};

use crate::compile::Compiler;
use crate::diagnostic::{Fault, Pos, closest};
use crate::file::{keys, list, mapping};
use crate::function::{Function, Gives};
use crate::plan::{CondPlan, EnumTarget, ExprPlan, JsonPlan, Literal, Read, Source, Target};
use crate::syntax::{Cond, Expr, Path, is_expression, parse_cond, parse_expr};
use crate::yaml::{Node, Yaml};

impl Compiler<'_> {
    /// What an attribute takes.
    pub(crate) fn target(&mut self, shape: &'static Shape, attr: &'static Attr, path: &str) -> Target {
        let schema = self.library.schema;
        let ty = schema.type_of(attr);
        let dt = (ty.name == "timestamp_t")
            .then(|| shape.attr_named(&format!("{}_dt", attr.name)))
            .flatten()
            .filter(|(_, twin)| self.profile_bits(twin).is_some())
            .map(|(ix, _)| ix);
        let enumeration = attr.enumeration.and_then(|id| schema.enumeration(id)).map(|table| EnumTarget {
            table,
            sibling: attr.sibling.filter(|ix| shape.attr(*ix).is_some_and(|sibling| sibling.name != attr.name)),
            sibling_source: None,
            other: table.by_id(99).is_some(),
        });
        Target {
            ty,
            time: ty.name == "timestamp_t",
            datetime: ty.name == "datetime_t",
            dt,
            enumeration,
            observable: attr.observable.or(ty.observable).map(|id| (i64::from(id), Arc::from(path))),
        }
    }

    /// Where a scalar comes from.
    pub(crate) fn source(&mut self, yaml: &Yaml, target: &Target) -> Source {
        match self.try_source(yaml, target) {
            Ok(source) => source,
            Err(fault) => {
                self.fault(fault);
                Source::None
            }
        }
    }

    fn try_source(&mut self, yaml: &Yaml, target: &Target) -> Result<Source, Fault> {
        let entries = match &yaml.node {
            Node::Scalar { text, .. } if is_expression(text) => {
                let expr = parse_expr(text, yaml.pos)?;
                self.reading = yaml.pos;
                return self.typed(expr, target, yaml.pos).map(Source::Expr);
            }
            Node::Scalar { text, plain } => return literal(text, *plain, target, yaml.pos).map(Source::Literal),
            Node::List(_) => return Err(Fault::new(yaml.pos, "expected one value, found a list")),
            Node::Map(entries) => entries,
        };
        let find = |key: &str| entries.iter().find(|entry| entry.key == key);
        if find("literal").is_some() {
            let entries = keys(yaml, &["literal"])?;
            let value = entries.first().map(|entry| &entry.value);
            let Some(Node::Scalar { text, plain }) = value.map(|value| &value.node) else {
                return Err(Fault::new(yaml.pos, "expected a word after `literal:`"));
            };
            return literal(text, *plain, target, yaml.pos).map(Source::Literal);
        }
        if find("cases").is_some() {
            let entries = keys(yaml, &["cases", "else"])?;
            let mut cases = Vec::new();
            for case in entries.iter().filter(|entry| entry.key == "cases").flat_map(|entry| list(&entry.value)) {
                for case in case {
                    let parts = keys(case, &["when", "value"])?;
                    let part = |key: &str| parts.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
                    let (Some(when), Some(value)) = (part("when"), part("value")) else {
                        return Err(Fault::new(case.pos, "a case has `when` and `value`"));
                    };
                    let text = when.scalar().ok_or_else(|| Fault::new(when.pos, "expected a condition"))?;
                    let cond = parse_cond(text, when.pos)?;
                    self.reading = when.pos;
                    cases.push((self.cond(cond), self.try_source(value, target)?));
                }
            }
            let otherwise = match entries.iter().find(|entry| entry.key == "else") {
                Some(entry) => Some(Box::new(self.try_source(&entry.value, target)?)),
                None => None,
            };
            return Ok(Source::Cases { cases, otherwise });
        }
        let entries = keys(yaml, &["from", "table", "else", "missing"])?;
        let find = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let Some(from) = find("from") else {
            return Err(Fault::new(yaml.pos, "expected `from`, `cases` or `literal`")
                .help("a mapping under a scalar says where the value comes from: { from: .path, table: {…} }"));
        };
        let text = from.scalar().ok_or_else(|| Fault::new(from.pos, "expected an expression after `from:`"))?;
        let expr = parse_expr(text, from.pos)?;
        self.reading = from.pos;
        let mut rows = HashMap::new();
        match find("table") {
            Some(table) => {
                let from = self.expr(expr)?;
                for row in mapping(table)? {
                    let value = self.try_source(&row.value, target)?;
                    if rows.insert(row.key.to_lowercase(), value).is_some() {
                        return Err(Fault::new(
                            row.pos,
                            format!("{:?} stands twice in the table, letter case ignored", row.key),
                        ));
                    }
                }
                let mut part = |key: &str| match find(key) {
                    Some(value) => self.try_source(value, target).map(|source| Some(Box::new(source))),
                    None => Ok(None),
                };
                let (otherwise, missing) = (part("else")?, part("missing")?);
                Ok(Source::Table { from, rows, otherwise, missing })
            }
            None => {
                // Without a table: the expression's own value, and `missing` when there is none.
                let plain = self.typed(expr, target, from.pos)?;
                let Some(missing) = find("missing").or_else(|| find("else")) else { return Ok(Source::Expr(plain)) };
                let missing = self.try_source(missing, target)?;
                Ok(Source::OrElse(Box::new(Source::Expr(plain)), Box::new(missing)))
            }
        }
    }

    /// An expression whose value must fit `target`; a time target reads times by itself.
    fn typed(&mut self, expr: Expr, target: &Target, pos: Pos) -> Result<ExprPlan, Fault> {
        let gives = self.gives(&expr);
        let expr = if target.time && matches!(gives, Gives::Any | Gives::Text | Gives::Int) {
            timestamped(expr, pos)
        } else {
            expr
        };
        let fits = target.enumeration.is_some()
            || match (gives, target.base()) {
                (Gives::Any, _) | (_, BaseType::Json) => true,
                (Gives::Text, base) => base == BaseType::String || target.time,
                (Gives::Int, base) => !matches!(base, BaseType::Boolean),
                (Gives::Time, base) => matches!(base, BaseType::Long | BaseType::String) || target.time,
                (Gives::Float, base) => matches!(base, BaseType::Float | BaseType::String),
                (Gives::Bool, base) => matches!(base, BaseType::Boolean | BaseType::String),
                (Gives::List, _) => false,
            };
        if !fits {
            return Err(Fault::new(
                pos,
                format!("the expression gives {gives:?}, the attribute takes {}", target.ty.name),
            ));
        }
        self.expr(expr)
    }

    fn gives(&self, expr: &Expr) -> Gives {
        match expr {
            Expr::Path(_) => Gives::Any,
            Expr::Text(_) => Gives::Text,
            Expr::Number(number) => {
                if number.fract() == 0.0 {
                    Gives::Int
                } else {
                    Gives::Float
                }
            }
            Expr::First(parts) => {
                let mut all = parts.iter().map(|part| self.gives(part));
                let first = all.next().unwrap_or(Gives::Any);
                if all.all(|gives| gives == first) { first } else { Gives::Any }
            }
            Expr::Call { name, .. } if matches!(name.as_str(), "concat" | "lookup") => Gives::Text,
            Expr::Call { name, .. } => self.library.functions.get(name.as_str()).map_or(Gives::Any, |f| f.gives),
        }
    }

    /// Compiles an expression into the current scope.
    pub(crate) fn expr(&mut self, expr: Expr) -> Result<ExprPlan, Fault> {
        Ok(match expr {
            Expr::Path(path) => self.path(&path),
            Expr::Text(text) => ExprPlan::Text(text),
            #[allow(clippy::cast_possible_truncation)]
            Expr::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => ExprPlan::Int(number as i64),
            Expr::Number(number) => ExprPlan::Float(number),
            Expr::First(parts) => {
                ExprPlan::First(parts.into_iter().map(|part| self.expr(part)).collect::<Result<_, _>>()?)
            }
            Expr::Call { name, pos, input, args } => return self.call(&name, pos, input, args),
        })
    }

    fn path(&mut self, path: &Path) -> ExprPlan {
        let index = if path.root { 0 } else { self.scope };
        let slot = self.scopes.get_mut(index).map_or(crate::scope::ITEM, |scope| scope.slot(&path.steps));
        self.reads.push(Read { scope: index, slot, pos: self.reading, text: path.to_string() });
        if index == 0 { ExprPlan::Root(slot) } else { ExprPlan::Item(slot) }
    }

    fn call(&mut self, name: &str, pos: Pos, input: Option<Box<Expr>>, args: Vec<Expr>) -> Result<ExprPlan, Fault> {
        match name {
            "concat" => {
                let parts = input.map(|input| *input).into_iter().chain(args);
                return Ok(ExprPlan::Concat(parts.map(|part| self.expr(part)).collect::<Result<_, _>>()?));
            }
            "lookup" => return self.lookup(pos, input, &args),
            _ => {}
        }
        let Some(function) = self.library.functions.get(name).copied() else {
            let fault = Fault::new(pos, format!("there is no function {name:?}"));
            let names = self.library.functions.keys().copied().chain(["concat", "lookup"]);
            return Err(match closest(name, names) {
                Some(near) => fault.help(format!("did you mean {near:?}?")),
                None => fault.help("docs/MAPPING-LANGUAGE.md lists the functions"),
            });
        };
        let Function { name, args: (min, max), body, .. } = function;
        // `upper(.name)` is `.name | upper`.
        let mut args = args;
        let input = match input {
            Some(input) => Some(*input),
            None if !args.is_empty() => Some(args.remove(0)),
            None => return Err(Fault::new(pos, format!("{name} has nothing to work on"))),
        };
        if args.len() < min || args.len() > max {
            return Err(Fault::new(pos, format!("{name} takes {min} to {max} arguments, not {}", args.len())));
        }
        let literals = args
            .into_iter()
            .map(|arg| match arg {
                Expr::Text(text) => Ok(Literal::Text(text)),
                Expr::Number(number) => Ok(Literal::Float(number)),
                _ => Err(Fault::new(pos, format!("arguments of {name} are words, numbers or quoted text"))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let input = match input {
            Some(input) => Some(Box::new(self.expr(input)?)),
            None => None,
        };
        Ok(ExprPlan::Call { name, body, input, args: literals })
    }

    fn lookup(&mut self, pos: Pos, input: Option<Box<Expr>>, args: &[Expr]) -> Result<ExprPlan, Fault> {
        let (Some(input), [Expr::Text(table), Expr::Text(column)]) = (input, args) else {
            return Err(Fault::new(pos, "lookup is written `.path | lookup(table, column)`"));
        };
        let Some(found) = self.library.lookups.get(table.as_str()) else {
            let fault = Fault::new(pos, format!("there is no lookup table lookups/{table}.yaml"));
            return Err(match closest(table, self.library.lookups.keys().map(String::as_str)) {
                Some(near) => fault.help(format!("did you mean {near:?}?")),
                None => fault,
            });
        };
        let Some(index) = found.columns.iter().position(|known| known == column) else {
            return Err(Fault::new(pos, format!("table {table} has no column {column:?}"))
                .help(format!("its columns are {}", found.columns.join(", "))));
        };
        self.library.read_lookups.borrow_mut().insert(table.clone());
        Ok(ExprPlan::Lookup { input: Box::new(self.expr(*input)?), table: Arc::clone(found), column: index })
    }

    pub(crate) fn cond(&mut self, cond: Cond) -> CondPlan {
        let expr = |compiler: &mut Self, expr: Expr| match compiler.expr(expr) {
            Ok(plan) => plan,
            Err(fault) => {
                compiler.fault(fault);
                ExprPlan::Text(String::new())
            }
        };
        match cond {
            Cond::Exists(inner) => CondPlan::Exists(expr(self, inner)),
            Cond::In(inner, words) => CondPlan::In(expr(self, inner), words),
            Cond::Compare(inner, compare, word) => CondPlan::Compare(expr(self, inner), compare, word.to_lowercase()),
            Cond::Not(inner) => CondPlan::Not(Box::new(self.cond(*inner))),
            Cond::And(parts) => CondPlan::And(parts.into_iter().map(|part| self.cond(part)).collect()),
            Cond::Or(parts) => CondPlan::Or(parts.into_iter().map(|part| self.cond(part)).collect()),
        }
    }

    /// A `json_t` value.
    pub(crate) fn json(&mut self, yaml: &Yaml) -> JsonPlan {
        match &yaml.node {
            Node::Scalar { text, .. } if is_expression(text) => {
                self.reading = yaml.pos;
                match parse_expr(text, yaml.pos).and_then(|expr| self.expr(expr)) {
                    Ok(expr) => JsonPlan::Expr(expr),
                    Err(fault) => {
                        self.fault(fault);
                        JsonPlan::Literal("null".into())
                    }
                }
            }
            Node::Scalar { text, plain } => {
                let word = *plain
                    && (matches!(text.as_str(), "true" | "false") || text.parse::<f64>().is_ok_and(f64::is_finite));
                let mut out = String::new();
                if word {
                    out.push_str(text)
                } else {
                    tributary_json::write_json_string(text, &mut out)
                }
                JsonPlan::Literal(out)
            }
            Node::List(items) => JsonPlan::List(items.iter().map(|item| self.json(item)).collect()),
            Node::Map(entries) => {
                JsonPlan::Object(entries.iter().map(|entry| (entry.key.clone(), self.json(&entry.value))).collect())
            }
        }
    }
}

/// `timestamp` on every alternative.
fn timestamped(expr: Expr, pos: Pos) -> Expr {
    match expr {
        Expr::First(parts) => Expr::First(parts.into_iter().map(|part| timestamped(part, pos)).collect()),
        Expr::Call { ref name, .. } if name == "timestamp" => expr,
        other => Expr::Call { name: "timestamp".into(), pos, input: Some(Box::new(other)), args: Vec::new() },
    }
}

/// A literal in the form that its attribute takes.
fn literal(text: &str, plain: bool, target: &Target, pos: Pos) -> Result<Literal, Fault> {
    if let Some(enumeration) = &target.enumeration {
        let by_number = text.parse::<i64>().ok().and_then(|id| enumeration.table.by_id(id));
        let Some(value) = by_number.or_else(|| enumeration.table.by_caption(text)) else {
            let captions: Vec<&str> = enumeration.table.values.iter().map(|value| value.caption).collect();
            let fault = Fault::new(pos, format!("{text:?} is not in the enumeration"));
            return Err(match closest(text, captions.iter().copied()) {
                Some(near) => fault.help(format!("did you mean {near:?}?")),
                None => fault.help(format!("it takes {}", captions.join(", "))),
            });
        };
        if value.deprecated {
            return Err(Fault::new(pos, format!("the value {text:?} is deprecated")));
        }
        return Ok(value.id.map_or_else(|| Literal::Text(value.key.to_owned()), Literal::Int));
    }
    let wrong = || Fault::new(pos, format!("{text:?} is no {}", target.ty.name));
    match target.base() {
        BaseType::Boolean => text.parse().map(Literal::Bool).map_err(|_| wrong()),
        BaseType::Integer | BaseType::Long => {
            let number: i64 = text.parse().map_err(|_| wrong())?;
            let fits = target.ty.range.is_none_or(|(low, high)| (low..=high).contains(&number));
            if fits { Ok(Literal::Int(number)) } else { Err(wrong()) }
        }
        BaseType::Float => text.parse().map(Literal::Float).map_err(|_| wrong()),
        BaseType::String | BaseType::Json => {
            if plain && matches!(text, "~" | "null" | "") {
                return Err(Fault::new(pos, "the value is empty: leave the attribute out"));
            }
            if accepts_text(target.ty, text) { Ok(Literal::Text(text.to_owned())) } else { Err(wrong()) }
        }
    }
}
