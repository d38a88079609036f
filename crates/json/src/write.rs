//! Writing JSON text.

use std::collections::HashMap;

use crate::doc::{Kind, Value};

/// Appends `text` as a JSON string. Control characters are escaped; everything else is written as it is.
pub fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: Option<&str> = match byte {
            b'"' => Some("\\\""),
            b'\\' => Some("\\\\"),
            b'\n' => Some("\\n"),
            b'\r' => Some("\\r"),
            b'\t' => Some("\\t"),
            0..=0x1f => None,
            _ => continue,
        };
        out.push_str(text.get(from..at).unwrap_or_default());
        match escape {
            Some(escape) => out.push_str(escape),
            None => {
                use std::fmt::Write as _;
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
        from = at + 1;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out.push('"');
}

/// Appends `value` as compact JSON. Numbers keep their source text. Depth is bounded by what was parsed.
pub fn write_json(value: Value<'_, '_>, out: &mut String) {
    write(value, false, out);
}

/// Appends `value` as [`write_json`] does, but of members with the same name only the last: what a reader of JSON would
/// take from it, for documents that must not leave readers a choice.
pub fn write_json_unique(value: Value<'_, '_>, out: &mut String) {
    write(value, true, out);
}

fn write(value: Value<'_, '_>, unique: bool, out: &mut String) {
    match value.kind() {
        Kind::Null => out.push_str("null"),
        Kind::Bool => out.push_str(if value.as_bool() == Some(true) { "true" } else { "false" }),
        Kind::Number => out.push_str(value.number_text().unwrap_or("null")),
        Kind::String => write_json_string(value.as_str().unwrap_or_default(), out),
        Kind::Array => {
            out.push('[');
            for (index, element) in value.elements().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(element, unique, out);
            }
            out.push(']');
        }
        Kind::Object => {
            // Members are told apart by their place, which a set of a hostile object's names keeps linear.
            let last: Option<HashMap<&str, usize>> =
                unique.then(|| value.members().enumerate().map(|(index, (name, _))| (name, index)).collect());
            out.push('{');
            let mut first = true;
            for (index, (name, member)) in value.members().enumerate() {
                if last.as_ref().is_some_and(|last| last.get(name) != Some(&index)) {
                    continue;
                }
                if !first {
                    out.push(',');
                }
                first = false;
                write_json_string(name, out);
                out.push(':');
                write(member, unique, out);
            }
            out.push('}');
        }
    }
}
