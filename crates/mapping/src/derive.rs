//! What no map says: class, type and times of the event, its metadata, its observables, and whether it fits a lake object.

use std::fmt::Write as _;

use tributary_ocsf::{AttrIx, Object, Schema, Value};

use crate::eval::{Eval, Frame, literal};
use crate::function::Val;
use crate::outcome::Origin;
use crate::plan::{Header, Plan};

/// Most text that one column may get from one record, in bytes, the length before each text included. `crates/lake` cuts
/// what is above 448 KiB so that its pages stay under 1 MB: the KiB between is for what it adds itself.
pub(crate) const MAX_COLUMN_TEXT: usize = 447 * 1024;
/// Bytes that Parquet writes before a text: many tiny ones weigh more than their characters.
const LENGTH: usize = 4;
/// Most observables of one event.
const MAX_OBSERVABLES: usize = 128;

/// Pushes class, category, type and time attributes.
pub(crate) fn push_header<'b>(
    eval: &mut Eval<'_, 'b>,
    header: &'b Header,
    plan: &'b Plan,
    time: i64,
) -> Result<(), String> {
    let activity = eval.state.fields.iter().find(|(attr, _)| *attr == header.activity_id);
    let Some((_, Value::Int(activity))) = activity else {
        return Err(eval.state.missing.take().unwrap_or_else(|| "activity_id".into()));
    };
    let type_uid = plan.class_uid * 100 + activity;
    let fields = &mut eval.state.fields;
    for (attr, value) in &header.fixed {
        let value = match literal(value) {
            Val::Str(text) => Value::Str(text),
            Val::Int(number) => Value::Int(number),
            _ => continue,
        };
        fields.push((*attr, value));
    }
    fields.push((header.type_uid, Value::Int(type_uid)));
    if let (Some(attr), Some(name)) = (header.type_name, header.type_names.by_id(type_uid)) {
        fields.push((attr, Value::Str(name.caption)));
    }
    fields.push((header.time, Value::Int(time)));
    if let (Some(attr), true) = (header.time_dt, header.datetime != 0) {
        fields.push((attr, Value::Time(time)));
        eval.state.profiles |= header.datetime;
    }
    Ok(())
}

/// Makes `metadata` of what the map says and the record's identity.
pub(crate) fn push_metadata<'b>(
    eval: &mut Eval<'_, 'b>,
    plan: &'b Plan,
    frame: Frame<'b>,
    origin: Origin<'b>,
    index: usize,
) -> Result<&'b Object<'b>, String> {
    let header = &plan.header;
    let start = eval.state.fields.len();
    eval.fields(&plan.metadata, frame);
    eval.state.fields.push((header.meta_version, Value::Str(eval.schema.version.as_str())));
    if let Some(attr) = header.meta_uid {
        let mut uid = bumpalo::collections::String::with_capacity_in(origin.uid.len() + 4, eval.arena);
        let _ = write!(uid, "{}-{index}", origin.uid);
        eval.state.fields.push((attr, Value::Str(uid.into_bump_str())));
    }
    // Only profiles whose attributes are there: a listed profile promises them.
    let used = eval.state.profiles;
    let names = plan.profiles.iter().enumerate().filter(|(bit, _)| used >> bit & 1 == 1);
    let names =
        bumpalo::collections::Vec::from_iter_in(names.map(|(_, name)| Value::Str(name)), eval.arena).into_bump_slice();
    if let (Some(attr), false) = (header.meta_profiles, names.is_empty()) {
        eval.state.fields.push((attr, Value::Array(names)));
    }
    match eval.close(&plan.metadata, start) {
        Some(metadata) => Ok(metadata),
        None => Err(eval.state.missing.take().unwrap_or_else(|| "metadata".into())),
    }
}

/// Pushes `observables`: each path and text once.
pub(crate) fn push_observables<'b>(eval: &mut Eval<'_, 'b>, header: &'b Header) {
    let Some(attrs) = &header.observables else { return };
    let found = std::mem::take(&mut eval.state.observables);
    let most = found.len().min(MAX_OBSERVABLES);
    let mut list = bumpalo::collections::Vec::with_capacity_in(most, eval.arena);
    let mut kept: [(&str, &str); MAX_OBSERVABLES] = [("", ""); MAX_OBSERVABLES];
    for (path, type_id, text) in &found {
        // A record may name one host ten thousand times: the search must not grow with it.
        let Some((slot, known)) = kept.get_mut(..=list.len()).and_then(<[_]>::split_last_mut) else { break };
        if known.iter().any(|(known, value)| value == text && known == path) {
            continue;
        }
        *slot = (path, text);
        let mut fields: [(AttrIx, Value<'b>); 4] = [(attrs.name, Value::Str(path)); 4];
        let mut count = 1;
        let mut push = |attr: Option<AttrIx>, value: Value<'b>| {
            if let (Some(attr), Some(slot)) = (attr, fields.get_mut(count)) {
                *slot = (attr, value);
                count += 1;
            }
        };
        push(Some(attrs.type_id), Value::Int(*type_id));
        if let Some(kind) = attrs.types.by_id(*type_id) {
            push(attrs.type_name, Value::Str(kind.caption));
        }
        push(attrs.value, Value::Str(text));
        let fields = fields.get_mut(..count).unwrap_or_default();
        fields.sort_unstable_by_key(|(attr, _)| *attr);
        let object = Object { shape: attrs.shape, fields: eval.arena.alloc_slice_copy(fields) };
        list.push(Value::Object(eval.arena.alloc(object)));
    }
    eval.state.observables = found;
    if !list.is_empty() {
        eval.state.fields.push((attrs.attr, Value::Array(list.into_bump_slice())));
    }
}

/// `cloud.account.uid` of an event.
pub(crate) fn account<'b>(schema: &Schema, event: &Object<'b>) -> Option<&'b str> {
    let Some(Value::Object(cloud)) = event.get_named(schema, "cloud") else { return None };
    let Some(Value::Object(account)) = cloud.get_named(schema, "account") else { return None };
    match account.get_named(schema, "uid") {
        Some(Value::Str(uid)) => Some(uid),
        _ => None,
    }
}

/// Whether no column gets more text from this event than a page can take.
pub(crate) fn fits(event: &Object<'_>) -> bool {
    event.fields.iter().all(|(_, value)| match value {
        Value::Map(entries) => {
            entries.iter().map(|(path, _)| path.len() + LENGTH).sum::<usize>() <= MAX_COLUMN_TEXT
                && entries.iter().map(|(_, text)| text.len() + LENGTH).sum::<usize>() <= MAX_COLUMN_TEXT
        }
        // All columns below one attribute together: stricter than each alone, and cheap.
        other => text_size(other) <= MAX_COLUMN_TEXT,
    })
}

fn text_size(value: &Value<'_>) -> usize {
    match value {
        Value::Str(text) | Value::Json(text) => text.len() + LENGTH,
        Value::Object(object) => object.fields.iter().map(|(_, value)| text_size(value)).sum(),
        Value::Array(values) => values.iter().map(text_size).sum(),
        Value::Map(entries) => entries.iter().map(|(path, text)| path.len() + text.len()).sum(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use tributary_ocsf::ShapeId;

    use super::*;

    #[test]
    fn many_tiny_texts_weigh_more_than_their_characters() {
        let map = |count| {
            let entries = vec![("path-x", "t"); count];
            fits(&Object { shape: ShapeId(0), fields: &[(AttrIx(0), Value::Map(&entries))] })
        };
        let most = MAX_COLUMN_TEXT / (6 + LENGTH);
        assert!(map(most));
        assert!(!map(most + 1));
        let list = vec![Value::Str("1234"); MAX_COLUMN_TEXT / 8 + 1];
        assert!(!fits(&Object { shape: ShapeId(0), fields: &[(AttrIx(0), Value::Array(&list))] }));
    }
}
