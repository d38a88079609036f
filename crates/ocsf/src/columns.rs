//! The static columns of each class: which attributes a lake object has, and as what type.
//!
//! Text form (`schemas/{version}/{class}.txt`), one leaf a line, in column order: `path: type`, where a list
//! carries `[]` after its name, such as `resources[].name: string` or `metadata.profiles[]: string`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::schema::{Attr, AttrIx, BaseType, Requirement, Schema, ShapeId, Version};

/// Levels of attributes that the recommended ones reach.
const DEPTH: usize = 4;

/// What the names of objects of OCSF's Windows extension begin with: columns of a class only where a map sets them.
const WINDOWS: &str = "win/";

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// `boolean_t`
    Bool,
    /// `integer_t`: values that do not fit go to `unmapped`.
    Int32,
    /// `long_t`, `timestamp_t`
    Int64,
    /// `float_t`
    Double,
    /// `string_t`
    Text,
    /// JSON as text: `json_t`, and objects below the depth cut.
    Json,
    /// `datetime_t`: timestamp in milliseconds, UTC.
    Timestamp,
    /// `unmapped`: map of text to text.
    Map,
    /// An object.
    Struct(Vec<Column>),
    /// A list of any of the above but lists.
    List(Box<ColumnType>),
}

/// One attribute of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Which attribute of the shape.
    pub attr: AttrIx,
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub ty: ColumnType,
}

/// The columns of a class in one version. Every column may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Which version.
    pub version: Version,
    /// Which class.
    pub class: ShapeId,
    /// Top-level columns, in file order.
    pub columns: Vec<Column>,
}

/// A schema text that does not fit the tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the schema of {class}: {message}")]
pub struct InvalidColumns {
    /// The class.
    pub class: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Columns {
    /// The columns that a class needs: required and recommended attributes to depth 4, optional scalars at the top,
    /// and every path in `extra` (dotted, without indices), with attributes of `profiles`.
    ///
    /// Deprecated attributes, and objects of the Windows extension, are left out unless `extra` names them. Where an object comes back inside itself, or lies
    /// deeper than the cut, the column holds JSON text.
    pub fn derive(schema: &Schema, class: ShapeId, profiles: &[&str], extra: &BTreeSet<String>) -> Self {
        let walk = Derive { schema, profiles, extra };
        let columns = walk.shape(class, "", 1, &mut Vec::new());
        Self { version: schema.version, class, columns }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// When a line names an attribute or a type that the tables do not have.
    pub fn parse(schema: &Schema, class: ShapeId, text: &str) -> Result<Self, InvalidColumns> {
        let mut columns = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let result = match line.split_once(": ") {
                Some((path, ty)) => add(schema, class, &mut columns, path, ty),
                None => Err("expected `path: type`".to_owned()),
            };
            result.map_err(|message| InvalidColumns {
                class: schema.shape(class).map_or_else(String::new, |shape| shape.name.to_owned()),
                line: index + 1,
                message,
            })?;
        }
        Ok(Self { version: schema.version, class, columns })
    }

    /// The text form.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for column in &self.columns {
            write(&column.ty, column.name, &mut out);
        }
        out
    }

    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.to_text().lines().count()
    }

    /// As an Arrow schema: every field nullable, lists in the standard three levels.
    pub fn arrow_schema(&self) -> arrow_schema::Schema {
        arrow_schema::Schema::new(fields(&self.columns))
    }
}

fn fields(columns: &[Column]) -> Fields {
    columns.iter().map(|column| Arc::new(Field::new(column.name, data_type(&column.ty), true))).collect()
}

/// The Arrow type of a column.
pub fn data_type(ty: &ColumnType) -> DataType {
    match ty {
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int32 => DataType::Int32,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Text | ColumnType::Json => DataType::Utf8,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ColumnType::Map => {
            let entries =
                Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
        }
        ColumnType::Struct(columns) => DataType::Struct(fields(columns)),
        ColumnType::List(inner) => DataType::List(Arc::new(Field::new("element", data_type(inner), true))),
    }
}

struct Derive<'d> {
    schema: &'d Schema,
    profiles: &'d [&'d str],
    extra: &'d BTreeSet<String>,
}

impl Derive<'_> {
    fn shape(&self, id: ShapeId, path: &str, depth: usize, above: &mut Vec<ShapeId>) -> Vec<Column> {
        let Some(shape) = self.schema.shape(id) else { return Vec::new() };
        above.push(id);
        let mut columns = Vec::new();
        for (index, attr) in shape.attrs.iter().enumerate() {
            let full = if path.is_empty() { attr.name.to_owned() } else { format!("{path}.{}", attr.name) };
            let (Ok(index), Some(ty)) = (u16::try_from(index), self.attr(attr, &full, depth, above)) else { continue };
            columns.push(Column { attr: AttrIx(index), name: attr.name, ty });
        }
        above.pop();
        columns
    }

    fn attr(&self, attr: &Attr, path: &str, depth: usize, above: &mut Vec<ShapeId>) -> Option<ColumnType> {
        let named = self.named(path);
        let active = attr.profiles.as_ref().is_none_or(|names| names.iter().any(|name| self.profiles.contains(name)));
        let wanted = match attr.requirement {
            Requirement::Required | Requirement::Recommended => true,
            Requirement::Optional => depth == 1 && attr.object.is_none(),
        };
        let windows = attr
            .object
            .and_then(|object| self.schema.shape(object))
            .is_some_and(|shape| shape.name.starts_with(WINDOWS));
        if !named && (!active || !wanted || windows || attr.deprecated.is_some() || depth > DEPTH) {
            return None;
        }
        let ty = match attr.object {
            None => scalar(self.schema, attr),
            Some(object) if self.schema.shape(object).is_some_and(|shape| shape.attrs.is_empty()) => {
                if attr.name == "unmapped" { ColumnType::Map } else { ColumnType::Json }
            }
            Some(object) if above.contains(&object) || (depth >= DEPTH && !self.below(path)) => {
                // Nobody sets anything in it: the column would only ever be null.
                if !named {
                    return None;
                }
                ColumnType::Json
            }
            Some(object) => match self.shape(object, path, depth + 1, above) {
                columns if columns.is_empty() => return None,
                columns => ColumnType::Struct(columns),
            },
        };
        Some(if attr.array { ColumnType::List(Box::new(ty)) } else { ty })
    }

    /// Whether `extra` names this path or one below it.
    fn named(&self, path: &str) -> bool {
        self.extra.contains(path) || self.below(path)
    }

    fn below(&self, path: &str) -> bool {
        let prefix = format!("{path}.");
        self.extra.range(prefix.clone()..).next().is_some_and(|next| next.starts_with(&prefix))
    }
}

fn scalar(schema: &Schema, attr: &Attr) -> ColumnType {
    let ty = schema.type_of(attr);
    match ty.base {
        _ if ty.name == "datetime_t" => ColumnType::Timestamp,
        BaseType::Boolean => ColumnType::Bool,
        BaseType::Integer => ColumnType::Int32,
        BaseType::Long => ColumnType::Int64,
        BaseType::Float => ColumnType::Double,
        BaseType::String => ColumnType::Text,
        BaseType::Json => ColumnType::Json,
    }
}

fn type_name(ty: &ColumnType) -> &'static str {
    match ty {
        ColumnType::Bool => "boolean",
        ColumnType::Int32 => "int",
        ColumnType::Int64 => "bigint",
        ColumnType::Double => "double",
        ColumnType::Text => "string",
        ColumnType::Json => "json",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Map => "map<string,string>",
        ColumnType::Struct(_) | ColumnType::List(_) => "",
    }
}

fn write(ty: &ColumnType, path: &str, out: &mut String) {
    match ty {
        ColumnType::Struct(columns) => {
            columns.iter().for_each(|column| write(&column.ty, &format!("{path}.{}", column.name), out));
        }
        ColumnType::List(inner) => write(inner, &format!("{path}[]"), out),
        scalar => {
            out.push_str(path);
            out.push_str(": ");
            out.push_str(type_name(scalar));
            out.push('\n');
        }
    }
}

/// Adds one leaf to the columns of a shape.
fn add(schema: &Schema, shape: ShapeId, columns: &mut Vec<Column>, path: &str, ty: &str) -> Result<(), String> {
    let (segment, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let (name, list) = segment.strip_suffix("[]").map_or((segment, false), |name| (name, true));
    let (ix, attr) = schema
        .shape(shape)
        .and_then(|shape| shape.attr_named(name))
        .ok_or_else(|| format!("ocsf {} has no attribute {name:?} there", schema.version))?;
    if attr.array != list {
        return Err(format!("{name:?} is {} list", if attr.array { "a" } else { "no" }));
    }
    let wrap = |ty: ColumnType| if list { ColumnType::List(Box::new(ty)) } else { ty };
    let Some(rest) = rest else {
        let known = [ColumnType::Bool, ColumnType::Int32, ColumnType::Int64, ColumnType::Double, ColumnType::Text]
            .into_iter()
            .chain([ColumnType::Json, ColumnType::Timestamp, ColumnType::Map]);
        let mut known = known.filter(|known| type_name(known) == ty);
        let leaf = known.next().ok_or_else(|| format!("unknown type {ty:?}"))?;
        columns.push(Column { attr: ix, name: attr.name, ty: wrap(leaf) });
        return Ok(());
    };
    let object = attr.object.ok_or_else(|| format!("{name:?} is no object"))?;
    if columns.last().is_none_or(|column| column.attr != ix) {
        columns.push(Column { attr: ix, name: attr.name, ty: wrap(ColumnType::Struct(Vec::new())) });
    }
    let inner = match columns.last_mut().map(|column| &mut column.ty) {
        Some(ColumnType::Struct(inner)) => inner,
        Some(ColumnType::List(list)) => match list.as_mut() {
            ColumnType::Struct(inner) => inner,
            _ => return Err(format!("{name:?} is a leaf and a struct")),
        },
        _ => return Err(format!("{name:?} is a leaf and a struct")),
    };
    add(schema, object, inner, rest, ty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_columns_are_the_same_thing() {
        for version in Version::ALL {
            let schema = Schema::get(version);
            let (class, _) = schema.class_named("detection_finding").unwrap();
            let extra = ["evidences.process.cmd_line", "evidences.process.file.path", "unmapped"];
            let extra = extra.into_iter().map(str::to_owned).collect();
            let columns = Columns::derive(schema, class, &["cloud", "datetime"], &extra);
            let text = columns.to_text();
            assert_eq!(Columns::parse(schema, class, &text).unwrap(), columns);
            for line in ["time: bigint", "time_dt: timestamp", "unmapped: map<string,string>", "class_uid: int"] {
                assert!(text.lines().any(|known| known == line), "{line}\n{text}");
            }
            assert!(text.contains("evidences[].process.file.path: string\n"));
            assert!(columns.leaves() <= 250, "{}", columns.leaves());
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused() {
        let schema = Schema::get(Version::V1_3_0);
        let (class, _) = schema.class_named("detection_finding").unwrap();
        for text in ["tim: bigint", "time: text", "resources.name: string", "time", "severity.x: string"] {
            assert!(Columns::parse(schema, class, text).is_err(), "{text}");
        }
    }
}
