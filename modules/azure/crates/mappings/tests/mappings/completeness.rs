//! Nothing of a record is dropped: whatever leaf of it changes, what becomes of it changes too.
//!
//! A leaf that no expression reads stands in `unmapped`, one that is read shows in an attribute; were it in neither, the
//! event could not tell two different records apart. Only secrets are alike after redaction.

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_azure_mappings::{shipped, sources};
use tributary_mapping::{Case, Mapper, Options, Origin, Outcome, Scratch};
use tributary_ocsf::{Version, write_object};

use crate::{records, with};

/// What becomes of a body, as one text.
fn fate(mapper: &Mapper<'_>, body: &str) -> String {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
    mapper.map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    let mut text = String::new();
    for outcome in &outcomes {
        match outcome {
            Outcome::Mapped(mapped) => write_object(mapper.set().schema(), &mapped.event, &mut text),
            Outcome::Refused(refused) => text.push_str(refused.raw),
            Outcome::Routed(routed) => text.push_str(routed.message),
            Outcome::Skipped(skipped) => text.push_str(skipped.rule),
        }
    }
    text
}

/// JSON pointers of every leaf that holds something, with another value for each.
fn leaves(value: &Json, path: &str, out: &mut Vec<(String, Json)>) {
    let other = match value {
        Json::Null => return,
        Json::Bool(value) => Json::from(!value),
        Json::Number(_) => Json::from(271_828),
        Json::String(_) => Json::from("zqxjkv"),
        Json::Array(elements) => {
            return elements.iter().enumerate().for_each(|(at, element)| leaves(element, &format!("{path}/{at}"), out));
        }
        Json::Object(members) => {
            return members.iter().for_each(|(name, member)| {
                leaves(member, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), out);
            });
        }
    };
    out.push((path.to_owned(), other));
}

#[test]
fn no_leaf_of_a_record_can_change_without_a_trace() {
    let mut tried = 0;
    for version in Version::ALL {
        let set = shipped(version).unwrap();
        let mapper = Mapper::new(&set, Options::default());
        let mut dropped = Vec::new();
        for case in Case::all(&sources()) {
            if case.kind == "module" {
                continue;
            }
            for record in records(&case.body) {
                let plain = fate(&mapper, &record.to_string());
                let mut places = Vec::new();
                leaves(&record, "", &mut places);
                for (pointer, value) in places {
                    tried += 1;
                    let same = record.pointer(&pointer) == Some(&value);
                    if !same
                        && fate(&mapper, &with(&record, &pointer, Some(value))) == plain
                        && !plain.contains("REDACTED")
                    {
                        dropped.push(format!("{}: {pointer}", case.path));
                    }
                }
            }
        }
        assert!(dropped.is_empty(), "ocsf {version}:\n{}", dropped.join("\n"));
    }
    eprintln!("{tried} leaves");
    assert!(tried > 10_000, "{tried}");
}
