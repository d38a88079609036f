//! Golden cases: a body, and what must come of it.

use bumpalo::Bump;
use serde_json::{Map, Value as Json, json};
use tributary_ocsf::write_object;

use crate::mapper::{Mapper, Scratch};
use crate::outcome::{Options, Origin, Outcome};
use crate::set::{MappingSet, Sources};

/// The origin of every case: no part of an expected file depends on when it is run.
const ORIGIN: Origin<'static> = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The kind whose case it is.
    pub kind: String,
    /// Path of the body's file below the mappings folder.
    pub path: String,
    /// The body.
    pub body: String,
    /// The expected file's text, if there is one.
    pub expected: Option<String>,
}

/// What a run of a case showed.
#[derive(Debug, Clone)]
pub struct CaseReport {
    /// What should stand in the expected file now.
    pub actual: Json,
    /// Paths at which it differs from what stands there; empty when the case passes.
    pub differences: Vec<String>,
}

impl Case {
    /// Every case of a set, by kind and name.
    pub fn all(sources: &Sources) -> Vec<Self> {
        sources
            .iter()
            .filter(|(path, _)| !path.ends_with(".expected.json"))
            .filter_map(|(path, body)| {
                let (folder, name) = path.split_once('/')?;
                let kind = folder.strip_suffix(".cases")?;
                let stem = name.strip_suffix(".json").or_else(|| name.strip_suffix(".txt"))?;
                let expected = sources.get(&format!("{folder}/{stem}.expected.json")).cloned();
                Some(Self { kind: kind.to_owned(), path: path.clone(), body: body.clone(), expected })
            })
            .collect()
    }

    /// Path of the expected file.
    pub fn expected_path(&self) -> String {
        let stem = self.path.rsplit_once('.').map_or(self.path.as_str(), |(stem, _)| stem);
        format!("{stem}.expected.json")
    }
}

/// Runs a case on every set (one a version) and compares.
pub fn run_case(sets: &[&MappingSet], case: &Case) -> CaseReport {
    let mut actual = Map::new();
    for set in sets {
        let arena = Bump::new();
        let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
        Mapper::new(set, Options::default()).map_body(&case.body, ORIGIN, &arena, &mut scratch, &mut outcomes);
        let (mut events, mut refused) = (Vec::new(), Vec::new());
        let (mut routed, mut skipped) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                Outcome::Mapped(mapped) => {
                    let mut text = String::new();
                    write_object(set.schema(), &mapped.event, &mut text);
                    events.push(serde_json::from_str(&text).unwrap_or(Json::String(text)));
                }
                Outcome::Refused(refusal) => {
                    refused.push(json!({"reason": refusal.reason.as_str(), "detail": refusal.detail}));
                }
                Outcome::Routed(route) => {
                    let message = serde_json::from_str(route.message).unwrap_or(Json::Null);
                    routed.push(json!({"rule": route.rule, "message": message}));
                }
                Outcome::Skipped(skip) => skipped.push(json!({"rule": skip.rule})),
            }
        }
        actual.insert(set.schema().version.to_string(), Json::Array(events));
        for (name, list) in [("quarantined", refused), ("routed", routed), ("skipped", skipped)] {
            if !list.is_empty() {
                actual.insert(name.to_owned(), Json::Array(list));
            }
        }
    }
    let actual = Json::Object(actual);
    let mut differences = Vec::new();
    match case.expected.as_deref().map(serde_json::from_str::<Json>) {
        None => differences.push(format!("{} is missing", case.expected_path())),
        Some(Err(error)) => differences.push(format!("{} is no json: {error}", case.expected_path())),
        Some(Ok(expected)) => compare("", &expected, &actual, &mut differences),
    }
    CaseReport { actual, differences }
}

fn compare(path: &str, expected: &Json, actual: &Json, out: &mut Vec<String>) {
    match (expected, actual) {
        (Json::Object(a), Json::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => compare(&format!("{path}/{key}"), value, other, out),
                    None => out.push(format!("{path}/{key}: expected {value}, is missing")),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                out.push(format!("{path}/{key}: unexpected {value}"));
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (index, (x, y)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}/{index}"), x, y, out);
            }
        }
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{path}: expected {a}, is {b}")),
    }
}
