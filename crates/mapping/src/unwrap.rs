//! From a body to the documents and records in it.
//!
//! A body is one JSON document or several, one a line. A document is a record, a list of records, or a wrapper object
//! whose one member (such as `records`) holds such a list; lists and wrappers may hold further ones.

use tributary_json::{Doc, JsonError, JsonErrorKind, Kind, Limits, NodeId, Value};

/// Deepest nesting of wrappers and lists.
const MAX_WRAPPING: usize = 8;

/// What a body's text is.
pub(crate) enum Texts<'b> {
    /// One document.
    One,
    /// One document a line.
    Lines(Vec<&'b str>),
}

/// How a body is to be read, for one that did not parse as one document.
///
/// Lines are documents when there are several and the first one parses by itself; otherwise the body is one broken text.
pub(crate) fn split_lines<'b>(
    body: &'b str,
    error: &JsonError,
    first_parses: impl FnOnce(&'b str) -> bool,
) -> Texts<'b> {
    if matches!(error.kind, JsonErrorKind::TooDeep | JsonErrorKind::TooLarge) {
        return Texts::One;
    }
    let lines: Vec<&str> = body.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.first() {
        Some(first) if lines.len() > 1 && first_parses(first) => Texts::Lines(lines),
        _ => Texts::One,
    }
}

/// Whether a text that is no JSON is a piece of a larger document: it starts with the comma between two elements, or
/// goes on where it should have ended.
pub(crate) fn is_fragment(text: &str, error: &JsonError) -> bool {
    let trimmed = text.trim_start();
    if let Some(rest) = trimmed.strip_prefix(',') {
        return rest.trim_start().starts_with(['{', '[']);
    }
    error.kind == JsonErrorKind::UnexpectedEnd && trimmed.starts_with(['{', '['])
}

/// The records of a document, in order.
pub(crate) fn records(doc: &Doc<'_>, root: NodeId, wrappers: &[String], out: &mut Vec<NodeId>) {
    collect(doc.value(root), wrappers, 0, out);
}

fn collect(value: Value<'_, '_>, wrappers: &[String], depth: usize, out: &mut Vec<NodeId>) {
    if depth < MAX_WRAPPING {
        match value.kind() {
            Kind::Array if value.count() > 0 => {
                for element in value.elements() {
                    collect(element, wrappers, depth + 1, out);
                }
                return;
            }
            Kind::Object => {
                let inner = wrappers.iter().find_map(|name| value.get_ignore_case(name));
                if let Some(inner) = inner.filter(|inner| inner.kind() == Kind::Array && inner.count() > 0) {
                    for element in inner.elements() {
                        collect(element, wrappers, depth + 1, out);
                    }
                    return;
                }
            }
            _ => {}
        }
    }
    out.push(value.id());
}

/// Records that a text may always hold.
const FEW_RECORDS: usize = 1_000;
/// Beyond those, bytes of text that there must be for each: a real record is longer by far.
const BYTES_A_RECORD: usize = 32;

/// Whether a text holds more records than its length can account for: a megabyte of `{},{},…` must not become hundreds of
/// thousands of refusals, each with its own line in quarantine.
pub(crate) fn too_many(records: usize, text: &str) -> bool {
    records > FEW_RECORDS.max(text.len() / BYTES_A_RECORD)
}

/// What is read of one body at most.
pub(crate) fn limits() -> Limits {
    Limits { depth: 64, nodes: 2_000_000 }
}
