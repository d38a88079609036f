//! Azure's mapping files as shipped: golden cases, committed schemas, and hostile input.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod completeness;
mod hostile;
mod identity;
mod isolation;
mod mutation;
mod shipped;

use serde_json::Value as Json;

/// The records of a case's body, each alone.
fn records(body: &str) -> Vec<Json> {
    fn collect(value: Json, out: &mut Vec<Json>) {
        match value {
            Json::Array(elements) => elements.into_iter().for_each(|element| collect(element, out)),
            Json::Object(mut members) if members.get("records").is_some_and(Json::is_array) => {
                collect(members.remove("records").unwrap_or_default(), out);
            }
            other => out.push(other),
        }
    }
    let mut out = Vec::new();
    if let Ok(document) = serde_json::from_str(body) {
        collect(document, &mut out);
    }
    out
}

/// The document with another value at a pointer, or without it.
fn with(document: &Json, pointer: &str, value: Option<Json>) -> String {
    let mut changed = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    match (changed.pointer_mut(parent).unwrap(), value) {
        (Json::Object(members), Some(value)) => drop(members.insert(name, value)),
        (Json::Object(members), None) => drop(members.remove(&name)),
        (Json::Array(elements), Some(value)) => elements[name.parse::<usize>().unwrap()] = value,
        (Json::Array(elements), None) => drop(elements.remove(name.parse().unwrap())),
        _ => unreachable!(),
    }
    changed.to_string()
}
