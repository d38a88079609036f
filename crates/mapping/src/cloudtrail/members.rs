//! JSON objects put together of ready parts, within a size.

use tributary_json::write_json_string;
use tributary_ocsf::{Schema, Value, write_value};

/// Names and their JSON texts, in the order in which they are written. A member without a text is too large for the object.
#[derive(Debug, Default)]
pub(crate) struct Members(Vec<(&'static str, Option<String>)>);

/// Says which members an object had to leave out.
const TRUNCATED: &str = "truncated";

impl Members {
    /// Adds a member that is JSON already.
    pub(crate) fn json(&mut self, name: &'static str, json: String) {
        self.0.push((name, Some(json)));
    }

    /// Adds a value of an event. One that needs more than `limit` bytes is not even written: what a source sends must not
    /// cost more than what can be kept of it.
    pub(crate) fn value(&mut self, name: &'static str, schema: &Schema, value: &Value<'_>, limit: usize) {
        let mut room = limit;
        let json = takes(value, &mut room).then(|| {
            let mut json = String::new();
            write_value(schema, value, &mut json);
            json
        });
        self.0.push((name, json));
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, name: &'static str, text: &str) {
        let mut json = String::with_capacity(text.len() + 2);
        write_json_string(text, &mut json);
        self.json(name, json);
    }

    /// Adds a text where there is one.
    pub(crate) fn text_of(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object, with every member that is not too large.
    pub(crate) fn write(&self) -> String {
        write(self.0.iter().filter_map(|(name, json)| Some((*name, json.as_deref()?))))
    }

    /// The object in at most `limit` bytes: the smallest members stay, so that the most of them do, and `truncated` lists the
    /// names of the others. `limit` must hold that list.
    pub(crate) fn write_within(&self, limit: usize) -> String {
        let cost = |(name, json): &(&str, Option<String>)| Some(name.len() + json.as_ref()?.len() + 4);
        let costs: Vec<Option<usize>> = self.0.iter().map(cost).collect();
        if costs.iter().all(Option::is_some) && costs.iter().flatten().sum::<usize>() < limit {
            return self.write();
        }
        let mut order: Vec<(usize, usize)> = (0..).zip(&costs).filter_map(|(at, cost)| Some(((*cost)?, at))).collect();
        order.sort_unstable();
        // What says what is missing has its room first, as if all were.
        let names: usize = self.0.iter().map(|(name, _)| name.len() + 3).sum();
        let mut room = limit.saturating_sub(names + TRUNCATED.len() + 8);
        let mut kept = vec![false; self.0.len()];
        for (cost, at) in order {
            if cost > room {
                break;
            }
            room -= cost;
            if let Some(keep) = kept.get_mut(at) {
                *keep = true;
            }
        }
        let mut missing = String::from("[");
        let mut shown: Vec<(&str, &str)> = Vec::with_capacity(self.0.len() + 1);
        for ((name, json), keep) in self.0.iter().zip(kept) {
            if let (true, Some(json)) = (keep, json) {
                shown.push((name, json));
                continue;
            }
            if missing.len() > 1 {
                missing.push(',');
            }
            write_json_string(name, &mut missing);
        }
        missing.push(']');
        shown.push((TRUNCATED, &missing));
        write(shown.into_iter())
    }
}

/// Takes the bytes that a value needs at least from `room`; false as soon as there are not enough.
fn takes(value: &Value<'_>, room: &mut usize) -> bool {
    let mut take = |bytes: usize| {
        let enough = bytes <= *room;
        *room = room.saturating_sub(bytes);
        enough
    };
    match value {
        Value::Str(text) | Value::Json(text) => take(text.len()),
        Value::Map(entries) => entries.iter().all(|(path, text)| take(path.len() + text.len() + 6)),
        Value::Object(object) => object.fields.iter().all(|(_, value)| takes(value, room)),
        Value::Array(values) => values.iter().all(|value| takes(value, room)),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Time(_) => take(1),
    }
}

fn write<'m>(members: impl Iterator<Item = (&'m str, &'m str)>) -> String {
    let mut object = String::from("{");
    for (name, json) in members {
        if object.len() > 1 {
            object.push(',');
        }
        write_json_string(name, &mut object);
        object.push(':');
        object.push_str(json);
    }
    object.push('}');
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(sizes: &[usize]) -> Members {
        let names = ["a", "b", "c", "d"];
        let mut members = Members::default();
        for (name, size) in names.into_iter().zip(sizes) {
            members.text(name, &"x".repeat(*size));
        }
        members
    }

    #[test]
    fn what_fits_is_whole_and_in_order() {
        assert_eq!(members(&[1, 0]).write_within(100), r#"{"a":"x","b":""}"#);
        assert_eq!(Members::default().write_within(2), "{}");
    }

    #[test]
    fn what_is_too_large_is_named_but_never_written() {
        let schema = Schema::get(tributary_ocsf::Version::V1_3_0);
        let mut members = Members::default();
        members.value("a", schema, &Value::Int(1), 10);
        members.value("b", schema, &Value::Array(&[Value::Str("12345"), Value::Str("678901")]), 10);
        assert_eq!(members.write_within(100), r#"{"a":1,"truncated":["b"]}"#);
    }

    #[test]
    fn the_largest_go_and_are_named() {
        let members = members(&[500, 1, 400, 2]);
        assert_eq!(members.write_within(100), r#"{"b":"x","d":"xx","truncated":["a","c"]}"#);
        for limit in 60..1_000 {
            let object = members.write_within(limit);
            assert!(object.len() <= limit, "{limit}: {object}");
            assert!(serde_json::from_str::<serde_json::Value>(&object).is_ok());
        }
        assert_eq!(members.write_within(members.write().len() + 2), members.write());
    }
}
