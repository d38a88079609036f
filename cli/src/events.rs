//! OCSF events from NDJSON, from one JSON document, and from Parquet objects.

use std::io::{BufRead, Read};
use std::path::Path;

use bumpalo::Bump;
use serde_json::Value as Row;
use tributary_json::{Doc, JsonErrorKind, Kind, Limits, Value};
use tributary_ocsf::{Schema, ShapeId, Version};

use crate::failure::Failure;
use crate::inspect;

/// Largest line, and largest document that is not NDJSON, in bytes.
const MAX_TEXT: u64 = 1 << 30;
/// A document of a whole file may hold a million events.
const LIMITS: Limits = Limits { depth: 160, nodes: 400_000_000 };

/// One event, or why there is none.
pub(crate) type Event<'d, 'b> = Result<Value<'d, 'b>, String>;

/// Passes every event of a text to `each`, with its line (in an array: its place), from 1.
///
/// The text is NDJSON, one array of events, or one event over several lines. NDJSON is read line by line.
pub(crate) fn each_in_text(
    mut text: impl BufRead,
    name: &str,
    mut each: impl FnMut(u64, Event<'_, '_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut arena = Bump::new();
    let mut bytes = Vec::new();
    let mut line = 0;
    while next_line(&mut text, name, &mut bytes)? {
        line += 1;
        if line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        // Only the first text decides whether the lines are parts of one document.
        if line == 1 && is_part(&bytes) {
            text.by_ref().take(MAX_TEXT).read_to_end(&mut bytes).map_err(|error| read_failure(name, &error))?;
            return whole(&bytes, &mut each);
        }
        arena.reset();
        one(&bytes, line, &arena, &mut each)?;
    }
    Ok(())
}

fn read_failure(name: &str, error: &std::io::Error) -> Failure {
    Failure::Backend(format!("cannot read {name}: {error}"))
}

fn next_line(text: &mut impl BufRead, name: &str, bytes: &mut Vec<u8>) -> Result<bool, Failure> {
    bytes.clear();
    let read = text.take(MAX_TEXT).read_until(b'\n', bytes).map_err(|error| read_failure(name, &error))?;
    Ok(read > 0)
}

/// Whether a first line is not an event by itself: it begins a list, or ends inside a value.
fn is_part(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    let arena = Bump::new();
    let parsed = Doc::new().parse(text, &arena, LIMITS);
    text.trim_start().starts_with('[') || parsed.is_err_and(|error| error.kind == JsonErrorKind::UnexpectedEnd)
}

/// A list of events, or one event; what is neither is judged line by line, so that one broken line is one finding.
fn whole(bytes: &[u8], each: &mut impl FnMut(u64, Event<'_, '_>) -> Result<(), Failure>) -> Result<(), Failure> {
    let arena = Bump::new();
    let mut doc = Doc::new();
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    if let Ok(id) = doc.parse(text, &arena, LIMITS) {
        let value = doc.value(id);
        if value.kind() != Kind::Array {
            return each(1, Ok(value));
        }
        return (1..).zip(value.elements()).try_for_each(|(place, event)| each(place, Ok(event)));
    }
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    let mut lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut arena = Bump::new();
    lines.try_for_each(|(line, bytes)| {
        arena.reset();
        one(bytes, line, &arena, each)
    })
}

fn one<'b>(
    bytes: &'b [u8],
    line: u64,
    arena: &'b Bump,
    each: &mut impl FnMut(u64, Event<'_, '_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return each(line, Err(format!("not utf-8 at byte {}", error.valid_up_to()))),
    };
    let mut doc = Doc::new();
    match doc.parse(text, arena, LIMITS) {
        Ok(id) => each(line, Ok(doc.value(id))),
        Err(error) => each(line, Err(error.to_string())),
    }
}

/// Passes every row of a Parquet object to `each`, with its number from 1.
pub(crate) fn each_in_parquet(
    path: &Path,
    version: Option<Version>,
    mut each: impl FnMut(u64, Event<'_, '_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut arena = Bump::new();
    let mut number = 0;
    inspect::each_row(path, |mut row| {
        number += 1;
        let stated = row.pointer("/metadata/version").and_then(Row::as_str).and_then(|text| text.parse().ok());
        let schema = Schema::get(version.or(stated).unwrap_or(Version::V1_3_0));
        let uid = row.get("class_uid").and_then(Row::as_i64).and_then(|uid| i32::try_from(uid).ok());
        if let Some((class, _)) = uid.and_then(|uid| schema.class_by_uid(uid)) {
            unfold(schema, class, &mut row);
        }
        arena.reset();
        one(row.to_string().as_bytes(), number, &arena, &mut each)
    })
}

/// Reads the JSON text of columns that hold an object as text, because it lies below the schema's cut.
fn unfold(schema: &Schema, shape: ShapeId, object: &mut Row) {
    let (Some(shape), Row::Object(members)) = (schema.shape(shape), object) else { return };
    for (name, value) in members {
        let Some(inner) = shape.attr_named(name).and_then(|(_, attr)| attr.object) else { continue };
        match value {
            Row::Array(elements) => elements.iter_mut().for_each(|element| unfold_one(schema, inner, element)),
            value => unfold_one(schema, inner, value),
        }
    }
}

fn unfold_one(schema: &Schema, shape: ShapeId, value: &mut Row) {
    match value {
        Row::String(text) => {
            if let Ok(parsed) = serde_json::from_str(text) {
                *value = parsed;
            }
        }
        value => unfold(schema, shape, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut found = Vec::new();
        each_in_text(text, "test", |line, event| {
            found.push((line, event.ok().map(|event| format!("{event:?}"))));
            Ok(())
        })
        .unwrap();
        found
    }

    fn some(line: u64, text: &str) -> (u64, Option<String>) {
        (line, Some(text.to_owned()))
    }

    #[test]
    fn ndjson_keeps_its_line_numbers() {
        assert_eq!(read(b"{}\n\n{\"a\":1}\r\n"), [some(1, "{}"), some(3, "{\"a\":1}")]);
        assert_eq!(read(b"\xef\xbb\xbf{}"), [some(1, "{}")]);
        assert_eq!(read(b"\n [1]\n"), [some(2, "[1]")]);
    }

    #[test]
    fn one_document_may_span_lines() {
        assert_eq!(read(b"[{\n\"a\":1},\n{}]"), [some(1, "{\"a\":1}"), some(2, "{}")]);
        assert_eq!(read(b"{\n \"a\": 1\n}\n"), [some(1, "{\"a\":1}")]);
        assert_eq!(read(b""), []);
        assert_eq!(read(b"[]"), []);
    }

    #[test]
    fn a_broken_line_is_one_event_that_is_none() {
        assert_eq!(read(b"{\"a\":\n{}\n"), [(1, None), some(2, "{}")]);
        assert_eq!(read(b"{}\n\xff\n{}\n"), [some(1, "{}"), (2, None), some(3, "{}")]);
        assert_eq!(read(b"[{},\n"), [(1, None)]);
    }
}
