//! Writes the compact tables in `crates/ocsf/tables/` from compiled OCSF schemas.
//!
//! ```text
//! cargo run -p tributary-ocsf --example ocsf-tables -- SCHEMA.json > crates/ocsf/tables/1.3.0.tsv
//! ```
//! `SCHEMA.json` is `ocsf_json_schema/ocsf/<version>.json` of the PyPI package `ocsf-json-schema`. Only facts are taken:
//! names, captions, types, requirements, profiles, enumerations, constraints. `tables/README.md` gives the format.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use serde_json::{Map, Value};

fn main() {
    let path = std::env::args().nth(1).expect("usage: ocsf-tables SCHEMA.json");
    let text = std::fs::read_to_string(&path).expect("the schema file can be read");
    let schema: Value = serde_json::from_str(&text).expect("the schema file is json");
    print!("{}", tables(&schema));
}

/// The tables of a compiled schema as text.
pub(crate) fn tables(schema: &Value) -> String {
    let mut out = format!("version\t{}\n", text(schema, "version"));
    let types = schema["types"].as_object().unwrap();
    for (name, ty) in sorted(types) {
        let parent = ty.get("type").and_then(Value::as_str);
        let base = parent.unwrap_or(name);
        // A type without a rule of its own has its super type's.
        let rule = |key: &str| ty.get(key).or_else(|| types.get(parent?)?.get(key));
        let max_len = rule("max_len").map_or(String::new(), ToString::to_string);
        let range = rule("range").map_or(String::new(), |range| format!("{}..{}", range[0], range[1]));
        let observable = ty.get("observable").map_or(String::new(), ToString::to_string);
        let regex = rule("regex").and_then(Value::as_str).unwrap_or("");
        out += &format!("type\t{name}\t{base}\t{max_len}\t{range}\t{observable}\t{regex}\n");
    }
    let mut shapes: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
    for (name, class) in schema["classes"].as_object().unwrap() {
        shapes.insert((name, "class"), class);
    }
    shapes.entry(("base_event", "class")).or_insert(&schema["base_event"]);
    for (name, object) in schema["objects"].as_object().unwrap() {
        shapes.insert((name, "object"), object);
    }
    let mut enums: Vec<String> = Vec::new();
    let mut body = String::new();
    for ((name, kind), shape) in shapes {
        body += &format!(
            "{kind}\t{name}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            text(shape, "caption"),
            number(shape, "uid"),
            number(shape, "category_uid"),
            text(shape, "category_name"),
            list(shape.get("profiles")),
            number(shape, "observable"),
            since(shape),
        );
        for (rule, paths) in shape.get("constraints").and_then(Value::as_object).into_iter().flatten() {
            body += &format!("rule\t{rule}\t{}\n", list(Some(paths)));
        }
        for (attr_name, attr) in sorted(shape["attributes"].as_object().unwrap()) {
            let ty = match attr.get("object_type").and_then(Value::as_str) {
                Some(object) => format!("={object}"),
                None => text(attr, "type").to_owned(),
            };
            let array = if attr.get("is_array").and_then(Value::as_bool) == Some(true) { "[]" } else { "" };
            let requirement = match text(attr, "requirement") {
                "required" => "r",
                "recommended" => "c",
                _ => "o",
            };
            let profiles = match attr.get("profiles").or_else(|| attr.get("profile")) {
                Some(Value::String(profile)) => profile.clone(),
                other => list(other),
            };
            let enumeration = attr.get("enum").and_then(Value::as_object).map_or(String::new(), |values| {
                let table = enum_table(values);
                let index = enums.iter().position(|known| *known == table).unwrap_or_else(|| {
                    enums.push(table);
                    enums.len() - 1
                });
                index.to_string()
            });
            body += &format!(
                "\t{attr_name}\t{ty}{array}\t{requirement}\t{profiles}\t{enumeration}\t{}\t{}\t{}\n",
                text(attr, "sibling"),
                number(attr, "observable"),
                since(attr),
            );
        }
    }
    for table in enums {
        out += &table;
    }
    out + &body
}

/// Values in the order of their numbers, textual ones by name.
fn enum_table(values: &Map<String, Value>) -> String {
    let mut rows: Vec<(&String, &Value)> = values.iter().collect();
    rows.sort_by_key(|(key, _)| (key.parse::<i64>().unwrap_or(i64::MAX), (*key).clone()));
    let mut out = String::from("enum\n");
    for (key, value) in rows {
        out += &format!("\t{key}\t{}\t{}\n", text(value, "caption"), since(value));
    }
    out
}

fn sorted(map: &Map<String, Value>) -> BTreeMap<&String, &Value> {
    map.iter().collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

fn number(value: &Value, key: &str) -> String {
    value.get(key).filter(|value| value.is_number()).map_or(String::new(), ToString::to_string)
}

fn since(value: &Value) -> String {
    value.get("@deprecated").map_or(String::new(), |deprecated| text(deprecated, "since").to_owned())
}

fn list(value: Option<&Value>) -> String {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}
