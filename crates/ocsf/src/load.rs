//! Reading the tables (format: `crates/ocsf/tables/README.md`).

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::schema::{
    Attr, AttrIx, BaseType, Constraint, EnumId, EnumTable, EnumValue, Requirement, Schema, Shape, ShapeId, ShapeKind,
    TypeDef, TypeId, Version,
};

const V1_1_0: &str = include_str!("../tables/1.1.0.tsv");
const V1_3_0: &str = include_str!("../tables/1.3.0.tsv");

impl Schema {
    /// The tables of a version, read once.
    pub fn get(version: Version) -> &'static Self {
        static TABLES: [OnceLock<Schema>; 2] = [OnceLock::new(), OnceLock::new()];
        let [old, new] = &TABLES;
        match version {
            Version::V1_1_0 => old.get_or_init(|| read(version, V1_1_0)),
            Version::V1_3_0 => new.get_or_init(|| read(version, V1_3_0)),
        }
    }
}

/// Attributes as read, before names are indices.
struct Raw {
    attr: Attr,
    object: Option<&'static str>,
    sibling: &'static str,
}

/// The tables are part of the program: a line that does not fit is skipped, and the tests show that none is.
fn read(version: Version, text: &'static str) -> Schema {
    let mut schema = Schema { version, shapes: Vec::new(), types: Vec::new(), enums: Vec::new(), profiles: Vec::new() };
    let mut raw: Vec<Vec<Raw>> = Vec::new();
    let mut type_ids: HashMap<&str, TypeId> = HashMap::new();
    let mut in_enum = false;
    for line in text.lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        match next() {
            "type" => {
                let name = next();
                type_ids.insert(name, TypeId(u16::try_from(schema.types.len()).unwrap_or(u16::MAX)));
                schema.types.push(TypeDef {
                    name,
                    base: base(next()),
                    max_len: next().parse().ok(),
                    range: next()
                        .split_once("..")
                        .and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?))),
                    observable: next().parse().ok(),
                    regex: some(next()),
                    pattern: OnceLock::new(),
                });
            }
            "enum" => {
                in_enum = true;
                schema.enums.push(EnumTable { values: Vec::new() });
            }
            kind @ ("class" | "object") => {
                in_enum = false;
                raw.push(Vec::new());
                schema.shapes.push(Shape {
                    kind: if kind == "class" { ShapeKind::Class } else { ShapeKind::Object },
                    name: next(),
                    caption: next(),
                    uid: next().parse().ok(),
                    category_uid: next().parse().ok(),
                    category_name: some(next()),
                    profiles: list(next()),
                    observable: next().parse().ok(),
                    deprecated: some(next()),
                    constraints: Vec::new(),
                    attrs: Vec::new(),
                });
            }
            "rule" => {
                let rule = next();
                let paths = list(next());
                if let Some(shape) = schema.shapes.last_mut() {
                    shape.constraints.push(match rule {
                        "just_one" => Constraint::JustOne(paths),
                        _ => Constraint::AtLeastOne(paths),
                    });
                }
            }
            "" if in_enum => {
                let key = next();
                let value =
                    EnumValue { key, id: key.parse().ok(), caption: next(), deprecated: some(next()).is_some() };
                if let Some(table) = schema.enums.last_mut() {
                    table.values.push(value);
                }
            }
            "" => {
                let name = next();
                let (ty, array) = match next() {
                    ty if ty.ends_with("[]") => (ty.trim_end_matches("[]"), true),
                    ty => (ty, false),
                };
                let attr = Attr {
                    name,
                    ty: type_ids.get(ty).copied().unwrap_or(TypeId(0)),
                    object: None,
                    array,
                    requirement: match next() {
                        "r" => Requirement::Required,
                        "c" => Requirement::Recommended,
                        _ => Requirement::Optional,
                    },
                    profiles: Some(list(next())).filter(|names| !names.is_empty()),
                    enumeration: next().parse().ok().map(EnumId),
                    sibling: None,
                    observable: None,
                    deprecated: None,
                };
                let sibling = next();
                let attr = Attr { observable: next().parse().ok(), deprecated: some(next()), ..attr };
                if let Some(attrs) = raw.last_mut() {
                    attrs.push(Raw { attr, object: ty.strip_prefix('='), sibling });
                }
            }
            _ => {}
        }
    }
    resolve(&mut schema, raw);
    schema
}

/// Names of objects and siblings become indices; the profiles are collected.
fn resolve(schema: &mut Schema, raw: Vec<Vec<Raw>>) {
    let objects: HashMap<&str, ShapeId> = schema
        .shapes
        .iter()
        .enumerate()
        .filter(|(_, shape)| shape.kind == ShapeKind::Object)
        .filter_map(|(index, shape)| Some((shape.name, ShapeId(u16::try_from(index).ok()?))))
        .collect();
    for (shape, attrs) in schema.shapes.iter_mut().zip(raw) {
        let names: Vec<&str> = attrs.iter().map(|raw| raw.attr.name).collect();
        for raw in attrs {
            let sibling =
                names.binary_search(&raw.sibling).ok().and_then(|index| u16::try_from(index).ok()).map(AttrIx);
            let object = raw.object.and_then(|name| objects.get(name).copied());
            schema.profiles.extend(raw.attr.profiles.iter().flatten());
            shape.attrs.push(Attr { object, sibling, ..raw.attr });
        }
        schema.profiles.extend(&shape.profiles);
    }
    schema.profiles.sort_unstable();
    schema.profiles.dedup();
}

fn base(name: &str) -> BaseType {
    match name {
        "boolean_t" => BaseType::Boolean,
        "integer_t" => BaseType::Integer,
        "long_t" => BaseType::Long,
        "float_t" => BaseType::Float,
        "json_t" => BaseType::Json,
        _ => BaseType::String,
    }
}

fn some(text: &'static str) -> Option<&'static str> {
    (!text.is_empty()).then_some(text)
}

fn list(text: &'static str) -> Vec<&'static str> {
    text.split(',').filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tables_are_whole() {
        for (version, classes, objects, attributes) in
            [(Version::V1_1_0, 50, 106, 3_164), (Version::V1_3_0, 72, 121, 4_375)]
        {
            let schema = Schema::get(version);
            let count = |kind| schema.shapes.iter().filter(|shape| shape.kind == kind).count();
            assert_eq!((count(ShapeKind::Class), count(ShapeKind::Object)), (classes, objects), "{version}");
            assert_eq!(schema.shapes.iter().map(|shape| shape.attrs.len()).sum::<usize>(), attributes, "{version}");
            for shape in &schema.shapes {
                assert!(shape.attrs.is_sorted_by_key(|attr| attr.name), "{}", shape.name);
            }
            for table in &schema.enums {
                assert!(table.values.is_sorted_by_key(|value| value.id));
                assert!(table.values.iter().all(|value| value.id.is_some()) || table.by_id(0).is_none());
            }
        }
    }

    #[test]
    fn a_class_reads_as_written() {
        let schema = Schema::get(Version::V1_3_0);
        let (_, class) = schema.class_by_uid(3002).unwrap();
        assert_eq!((class.name, class.caption), ("authentication", "Authentication"));
        let (_, activity) = class.attr_named("activity_id").unwrap();
        let table = schema.enumeration(activity.enumeration.unwrap()).unwrap();
        assert_eq!(table.by_id(1).unwrap().caption, "Logon");
        assert_eq!(class.attr(activity.sibling.unwrap()).unwrap().name, "activity_name");
        let (_, cloud) = class.attr_named("cloud").unwrap();
        assert_eq!(cloud.profiles, Some(vec!["cloud"]));
        assert!(
            matches!(&class.constraints[..], [Constraint::AtLeastOne(names)] if names == &["service", "dst_endpoint"])
        );
    }
}
