//! Text in one source field changes no attribute that does not come from that field.
//!
//! Which attributes come from a field is found by experiment: they are those that change when the field holds a harmless
//! word, a number, nothing, what it holds in another case of its kind, or is not there at all. A hostile text in the same place must not change any other.

use std::collections::{BTreeMap, BTreeSet};

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_azure_mappings::{shipped, sources};
use tributary_mapping::{Case, Mapper, Options, Origin, Outcome, Scratch};
use tributary_ocsf::{Version, write_object};

use crate::{records, with};

/// What a sender may try: to end the string, the object, the record; to be a template, a path, an expression, a command.
const HOSTILE: &[&str] = &[
    "\"",
    "\\",
    "\\\\\" , \"severity_id\": 99, \"x\": \"",
    "\"}],\"class_uid\":1,\"z\":[{\"",
    "}}]]",
    "{\"severity\":\"Low\",\"AzureResourceId\":\"/subscriptions/x\"}",
    "[{\"Type\":\"ip\",\"Address\":\"203.0.113.9\"}]",
    "{{ severity }}{% raw %}{{7*7}}",
    "${jndi:ldap://x.example/a}$(id)`id`",
    "#{1+1}<%= 1 %>%s%n%x",
    "\u{0}\u{1}\u{8}\u{b}\u{1b}[31m\u{7f}\u{85}\u{2028}\u{2029}",
    "\r\nSet-Cookie: a=b\r\n\r\n{\"SystemAlertId\":\"x\"}\n",
    "a\tb\nc",
    "../../../etc/passwd\u{0}.parquet",
    "/subscriptions/../../x/resourceGroups/..\\..\\y/providers/a.b/c/d",
    "accountId=evil/eventDay=19700101",
    "'; DROP TABLE findings; --",
    "<script>alert(1)</script>&lt;",
    "=cmd|' /C calc'!A0",
    "\u{202e}gnp.exe\u{200b}\u{feff}",
    "🦀e\u{301}\u{1f468}\u{200d}\u{1f469}",
    "null",
    "true",
    "-1e400",
    "99999999999999999999999999999999999999",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z",
    ",;|:/@#?&=%00",
];

/// What shows which attributes a field feeds: words and values of every type that some attribute takes.
fn harmless() -> Vec<Option<Json>> {
    let texts = [
        "zqxjkv",
        "",
        "7.5",
        "true",
        "192.0.2.9:443",
        "2026-01-02T03:04:05Z",
        "a@b.example",
        "https://h.example/p?q",
        "ftp://h.example:8080/x",
        "/subscriptions/s/resourceGroups/g/providers/a.b/c/d",
        "/subscriptions/s",
        "{\"a\":1}",
        "[\"a\"]",
    ];
    let texts = texts.into_iter().map(|text| Some(text.into()));
    texts.chain([Some(7.into()), Some(true.into()), Some(Json::Null), None]).collect()
}

/// Attribute paths without indices, each with all of its values in order.
type Flat = BTreeMap<String, Vec<String>>;

fn flatten(value: &Json, path: &str, out: &mut Flat) {
    match value {
        Json::Object(members) if path == "unmapped" => {
            for (name, member) in members {
                out.entry(format!("unmapped/{name}")).or_default().push(member.to_string());
            }
        }
        Json::Object(members) if path == "observables" => {
            // The name of an observable says which attribute it repeats.
            let name = members["name"].as_str().unwrap();
            out.entry(format!("observables/{name}")).or_default().push(members["value"].to_string());
        }
        Json::Object(members) => {
            for (name, member) in members {
                flatten(member, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, out);
            }
        }
        Json::Array(elements) => elements.iter().for_each(|element| flatten(element, path, out)),
        scalar => out.entry(path.to_owned()).or_default().push(scalar.to_string()),
    }
}

/// The only event of a body, flattened.
fn event(mapper: &Mapper<'_>, body: &str) -> Option<(String, Flat)> {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
    mapper.map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    let [Outcome::Mapped(mapped)] = outcomes.as_slice() else { return None };
    let mut text = String::new();
    write_object(mapper.set().schema(), &mapped.event, &mut text);
    let json: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut flat = Flat::new();
    flatten(&json, "", &mut flat);
    Some((mapped.kind.to_owned(), flat))
}

/// JSON pointers of every string in a document.
fn strings(value: &Json, path: &str, out: &mut Vec<String>) {
    match value {
        Json::String(_) => out.push(path.to_owned()),
        Json::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, element)| strings(element, &format!("{path}/{index}"), out));
        }
        Json::Object(members) => members.iter().for_each(|(name, member)| {
            strings(member, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), out);
        }),
        _ => {}
    }
}

/// A pointer without indices: one element of a list is like the others.
fn field(pointer: &str) -> String {
    pointer.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn differences(a: &Flat, b: &Flat) -> BTreeSet<String> {
    a.keys().chain(b.keys()).filter(|path| a.get(*path) != b.get(*path)).cloned().collect()
}

#[test]
fn text_in_one_field_changes_no_other() {
    let set = shipped(Version::V1_3_0).unwrap();
    let mapper = Mapper::new(&set, Options::default());
    let (mut hostile, mut kinds) = (0, BTreeSet::new());
    let mut tried = BTreeSet::new();
    let cases = Case::all(&sources());
    let cases = cases.iter().flat_map(|case| records(&case.body).into_iter().map(move |one| (case, one)));
    let cases: Vec<_> = cases
        .filter_map(|(case, document)| event(&mapper, &document.to_string()).map(|found| (case, document, found)))
        .collect();
    let mut seen: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (_, document, (kind, _)) in &cases {
        let mut pointers = Vec::new();
        strings(document, "", &mut pointers);
        for pointer in pointers {
            let text = document.pointer(&pointer).and_then(Json::as_str).unwrap().to_owned();
            seen.entry((kind.clone(), field(&pointer))).or_default().insert(text);
        }
    }
    for (case, document, (kind, plain)) in cases {
        let mut pointers = Vec::new();
        strings(&document, "", &mut pointers);
        for pointer in pointers {
            // A kind's cases share most fields.
            let place = (kind.clone(), field(&pointer));
            if tried.contains(&place) {
                continue;
            }
            let elsewhere =
                seen[&place].iter().filter(|text| text.len() < 500).take(12).map(|text| Some(text.as_str().into()));
            tried.insert(place.clone());
            let mut own = BTreeSet::new();
            let mut steady = true;
            for value in harmless().into_iter().chain(elsewhere) {
                match event(&mapper, &with(&document, &pointer, value)) {
                    // A field that tells kinds apart, or without which there is no event, may change everything.
                    Some((other, flat)) if other == kind => own.extend(differences(&plain, &flat)),
                    _ => steady = false,
                }
            }
            for text in HOSTILE {
                let Some((other, flat)) = event(&mapper, &with(&document, &pointer, Some((*text).into()))) else {
                    assert!(!steady, "{}: {pointer} = {text:?} is refused", case.path);
                    continue;
                };
                if !steady {
                    continue;
                }
                assert_eq!(other, kind, "{}: {pointer} = {text:?} changes the kind", case.path);
                hostile += 1;
                for path in differences(&plain, &flat) {
                    // Of a field that is opened as JSON, hostile JSON brings members of its own below its own path.
                    let below = own.iter().any(|known| {
                        let rest = path.strip_prefix(known.as_str());
                        rest.is_some_and(|rest| known.starts_with("unmapped/") || rest.starts_with(['.', '[']))
                    });
                    assert!(own.contains(&path) || below, "{}: {pointer} = {text:?} changes {path}", case.path);
                }
            }
        }
        kinds.insert(kind);
    }
    eprintln!("{} fields of {} kinds, {hostile} hostile texts", tried.len(), kinds.len());
    assert_eq!(kinds.len(), set.kinds().len(), "every kind must have a case");
    assert!(hostile > 3_000, "{hostile}");
}
