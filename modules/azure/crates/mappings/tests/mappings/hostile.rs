//! Bodies that are made to break, to fill memory or to multiply: each becomes outcomes of bounded number and size.

use std::process::Command;
use std::time::{Duration, Instant};

use bumpalo::Bump;
use tributary_azure_mappings::shipped;
use tributary_mapping::{Mapper, MappingSet, Options, Origin, Outcome, Reason, Scratch};
use tributary_ocsf::{Version, write_object};

/// Bytes that an event, or a refusal, may be longer than the body that it came from: what is derived is about this long.
const DERIVED: usize = 64 * 1024;
/// How many times the length of a body its events may be. Observables repeat, and unread fields get their paths.
const GROWTH: usize = 8;

fn set() -> MappingSet {
    shipped(Version::V1_3_0).unwrap()
}

/// What a body becomes: reasons (`None`: mapped) and the bytes of events and refusals as text.
fn outcomes(set: &MappingSet, body: &str) -> (Vec<Option<Reason>>, usize) {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
    Mapper::new(set, Options::default()).map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    assert!(!outcomes.is_empty(), "a body always becomes something");
    assert!(arena.allocated_bytes() <= 32 * body.len() + MEGABYTE, "{} bytes in the arena", arena.allocated_bytes());
    let mut bytes = 0;
    let reasons = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Mapped(mapped) => {
                let mut text = String::new();
                write_object(set.schema(), &mapped.event, &mut text);
                serde_json::from_str::<serde::de::IgnoredAny>(&text).unwrap();
                bytes += text.len();
                None
            }
            Outcome::Routed(_) | Outcome::Skipped(_) => panic!("no hostile body is for a rule: {outcome:?}"),
            Outcome::Refused(refused) => {
                assert!(refused.detail.len() < 1_000, "{}", refused.detail);
                bytes += refused.raw.len() + refused.detail.len();
                Some(refused.reason)
            }
        })
        .collect();
    (reasons, bytes)
}

/// An alert with more members.
fn alert(members: &str) -> String {
    format!(
        r#"{{"SystemAlertId":"1","AlertType":"T","AlertDisplayName":"n","Severity":"Low","Status":"New",
        "TimeGenerated":"2026-01-01T00:00:00Z","AzureResourceId":"/subscriptions/s/resourceGroups/g"{members}}}"#
    )
}

const MEGABYTE: usize = 1 << 20;

/// Name, body, and the first outcome where it is known.
type Body = (&'static str, fn() -> String, Option<Option<Reason>>);

const MAPPED: Option<Option<Reason>> = Some(None);

const fn refused(reason: Reason) -> Option<Option<Reason>> {
    Some(Some(reason))
}

fn a(count: usize) -> String {
    "a".repeat(count)
}

fn list(element: &str, count: usize) -> String {
    vec![element; count].join(",")
}

fn keys(count: usize) -> String {
    (0..count).map(|key| format!("\"k{key}\":{key}")).collect::<Vec<_>>().join(",")
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + &close.repeat(depth)
}

fn x(value: &str) -> String {
    alert(&format!(",\"X\":{value}"))
}

fn text(value: &str) -> String {
    x(&format!("\"{value}\""))
}

fn entities(elements: &str) -> String {
    alert(&format!(",\"Entities\":[{elements}]"))
}

fn addresses(count: usize) -> String {
    let address = |n: usize| format!("{{\"Type\":\"ip\",\"Address\":\"10.{}.{}.{}\"}}", n >> 16, n >> 8 & 255, n & 255);
    entities(&(0..count).map(address).collect::<Vec<_>>().join(","))
}

const BODIES: &[Body] = &[
    ("nothing", String::new, refused(Reason::NotJson)),
    ("blanks", || " \n\t ".repeat(1_000), refused(Reason::NotJson)),
    ("not json", || "\u{0}\u{1}\u{7f}binary".to_owned(), refused(Reason::NotJson)),
    ("not utf-8", || String::from_utf8_lossy(b"\xff\xfe{\"a\":\xc3\x28}").into_owned(), refused(Reason::NotJson)),
    ("lone surrogate", || "{\"a\":\"\\ud800\"}".to_owned(), refused(Reason::NotJson)),
    (
        "10 MB of text in a read field",
        || alert(&format!(",\"Description\":\"{}\"", a(10 * MEGABYTE))),
        refused(Reason::TooLarge),
    ),
    ("10 MB of text in an unread field", || text(&a(10 * MEGABYTE)), refused(Reason::TooLarge)),
    ("10 MB of escapes", || text(&"\\u0001".repeat(10 * MEGABYTE / 6)), refused(Reason::TooLarge)),
    ("10 MB of name", || alert(&format!(",\"{}\":1", a(10 * MEGABYTE))), refused(Reason::TooLarge)),
    ("10 MB of id", || format!("{{\"SystemAlertId\":\"{}\"}}", a(10 * MEGABYTE)), None),
    ("10 MB of digits", || x(&format!("1{}", "0".repeat(10 * MEGABYTE))), refused(Reason::TooLarge)),
    ("10,000 lists deep", || x(&nested("[", "]", 10_000)), refused(Reason::TooDeep)),
    ("10,000 objects deep", || x(&nested("{\"a\":", "}", 10_000)), refused(Reason::TooDeep)),
    ("10,000 deep, never closed", || "[".repeat(10_000), refused(Reason::TooDeep)),
    ("10,000 deep in a string", || alert(&format!(",\"Entities\":\"{}\"", nested("[", "]", 10_000))), MAPPED),
    ("numbers that no type holds", || x(&format!("[1e400,-1e-400,1{}]", "0".repeat(400))), MAPPED),
    ("a process id that no type holds", || entities("{\"Type\":\"process\",\"ProcessId\":1e400}"), MAPPED),
    (
        "impossible times",
        || alert(",\"StartTimeUtc\":\"0001-01-01T00:00:00Z\",\"EndTimeUtc\":\"9999-12-31T23:59:59.9999999Z\""),
        MAPPED,
    ),
    (
        "an event of year 1",
        || r#"{"SystemAlertId":"1","AlertDisplayName":"n","TimeGenerated":"0001-01-01T00:00:00Z"}"#.to_owned(),
        MAPPED,
    ),
    (
        "paths in the subscription",
        || r#"{"SystemAlertId":"1","AlertDisplayName":"n","AzureResourceId":"/subscriptions/../../etc/.."}"#.to_owned(),
        MAPPED,
    ),
    (
        "the same name 100,000 times",
        || alert(&format!(",{}", list("\"Severity\":\"High\"", 100_000))),
        refused(Reason::TooLarge),
    ),
    ("100,000 names", || alert(&format!(",{}", keys(100_000))), refused(Reason::TooLarge)),
    ("10,000 names", || alert(&format!(",{}", keys(10_000))), MAPPED),
    ("100,000 empties", || x(&format!("[{}]", list("{}", 100_000))), MAPPED),
    ("100,000 empty entities", || entities(&list("{}", 100_000)), MAPPED),
    ("100,000 equal entities", || entities(&list("{\"Type\":\"ip\",\"Address\":\"192.0.2.1\"}", 100_000)), None),
    ("100,000 different entities", || addresses(100_000), None),
    ("100,000 intents", || alert(&format!(",\"Intent\":\"{}\"", list("Execution", 100_000))), None),
    (
        "a long name above 500,000 leaves",
        || alert(&format!(",\"{}\":[{}]", a(190), list("1", 500_000))),
        refused(Reason::TooLarge),
    ),
    ("a million numbers", || format!("[{}]", list("1", 1_000_000)), refused(Reason::TooLarge)),
    ("a million empties", || format!("{{\"records\":[{}]}}", list("{}", 1_000_000)), refused(Reason::TooLarge)),
    ("a million empty lists", || format!("[{}]", list("[]", 1_000_000)), refused(Reason::TooLarge)),
    ("a million lines", || vec!["1"; 1_000_000].join("\n"), refused(Reason::TooLarge)),
    ("more values than are read", || format!("[{}]", list("0", 3_000_000)), refused(Reason::TooLarge)),
    ("records in records", || nested("{\"records\":[", "]}", 30), None),
    ("records in lists in records", || format!("{{\"records\":[[{{\"records\":[{}]}}]]}}", alert("")), MAPPED),
    ("records that are no list", || format!("{{\"records\":{}}}", alert("")), None),
    ("json in json in json", || serde_json::to_string(&serde_json::to_string(&alert("")).unwrap()).unwrap(), None),
    ("only quotes", || "\"".repeat(MEGABYTE), refused(Reason::NotJson)),
    ("only backslashes", || format!("\"{}", "\\".repeat(MEGABYTE)), refused(Reason::NotJson)),
    ("signs of secrets", || text(&"sig=".repeat(50_000)), MAPPED),
    ("secrets that never end", || text(&"pwd='".repeat(50_000)), MAPPED),
    ("bearers", || text(&"bearer ".repeat(50_000)), MAPPED),
];

#[test]
fn hostile_bodies_become_few_and_bounded_outcomes() {
    let set = set();
    for (name, body, expected) in BODIES {
        let body = body();
        let began = Instant::now();
        let (reasons, bytes) = outcomes(&set, &body);
        assert!(reasons.len() <= 1_000.max(body.len() / 32), "{name}: {} outcomes", reasons.len());
        // A control character takes six bytes as text, and the body may hold it in one.
        assert!(bytes <= GROWTH * body.len() + DERIVED, "{name}: {} bytes became {bytes}", body.len());
        if let Some(expected) = expected {
            assert_eq!(reasons[0], *expected, "{name}");
        }
        // A minute is far beyond what linear work takes, even unoptimised on a busy machine.
        assert!(began.elapsed() < Duration::from_secs(60), "{name} took {:?}", began.elapsed());
    }
}

#[test]
fn of_equal_names_the_last_counts() {
    let set = set();
    let event = |body: &str| {
        let arena = Bump::new();
        let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
        let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
        Mapper::new(&set, Options::default()).map_body(body, origin, &arena, &mut scratch, &mut outcomes);
        let [Outcome::Mapped(mapped)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        let mut text = String::new();
        write_object(set.schema(), &mapped.event, &mut text);
        // What the others said is kept where nothing is lost, and nowhere else.
        let mut event: serde_json::Value = serde_json::from_str(&text).unwrap();
        event.as_object_mut().unwrap().remove("unmapped");
        event
    };
    let once = alert(",\"CompromisedEntity\":\"vm\"");
    let doubled =
        once.replacen("{", "{\"Severity\":\"High\",\"CompromisedEntity\":\"first\",\"AlertType\":[\"x\"],", 1);
    assert_eq!(event(&once), event(&doubled));
}

/// Found by the fuzz target `mapper`: a part of the source that an attribute takes as JSON kept both of two equal names.
#[test]
fn json_attributes_hold_every_name_once() {
    let set = set();
    let body = r#"{"time":"2026-01-01T00:00:00Z","category":"AuditLogs","operationName":"Add member to group",
        "properties":{"category":"GroupManagement","activityDateTime":"2026-01-01T00:00:00Z",
        "activityDisplayName":"Add member to group","result":"success","initiatedBy":{"user":{"id":"u-1"}},
        "targetResources":[{"id":"u-2","type":"User","type":"Device","displayName":"Till"}]}}"#;
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
    Mapper::new(&set, Options::default()).map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    let [Outcome::Mapped(mapped)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    let mut event = String::new();
    write_object(set.schema(), &mapped.event, &mut event);
    let mut doc = tributary_json::Doc::new();
    let root = doc.parse(&event, &arena, tributary_json::Limits::default()).unwrap();
    let validator = tributary_ocsf::validate::Validator::new(set.schema(), tributary_ocsf::validate::Rules::default());
    let report = validator.check(doc.value(root));
    assert!(report.valid, "{:?}\n{event}", report.findings);
}

/// Names the body for [`one_body_in_a_child`].
const BODY: &str = "TRIBUTARY_TEST_HOSTILE_BODY";

/// Peak memory per body, measured where nothing else runs: in a process of its own.
#[test]
fn memory_is_bounded_by_the_body() {
    if !std::path::Path::new("/proc/self/status").exists() {
        return eprintln!("SKIPPED: no /proc to read the peak memory from");
    }
    let peak = |name: &str| -> usize {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["hostile::one_body_in_a_child", "--exact", "--ignored", "--nocapture"])
            .env(BODY, name)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.split_once("peak ")).unwrap_or_else(|| {
            panic!("{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
        });
        line.1.trim().parse().unwrap()
    };
    let idle = peak("nothing");
    for (name, body, _) in BODIES {
        let body = body();
        // Of the others, what the arena holds is checked above.
        if body.len() < 100_000 {
            continue;
        }
        let used = peak(name).saturating_sub(idle);
        eprintln!("{name}: {} KB of text took {} KB", body.len() / 1024, used / 1024);
        // The tape takes 24 bytes a value, and a value may be two bytes of text.
        assert!(used <= 32 * body.len() + 64 * MEGABYTE, "{name}: {used} bytes of memory for {} of text", body.len());
    }
}

#[test]
#[ignore = "runs in a process of its own, started by memory_is_bounded_by_the_body"]
fn one_body_in_a_child() {
    let wanted = std::env::var(BODY).unwrap_or_default();
    let set = set();
    for (_, body, _) in BODIES.iter().filter(|(name, _, _)| *name == wanted) {
        let body = body();
        let arena = Bump::new();
        let (mut scratch, mut found) = (Scratch::default(), Vec::new());
        let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
        Mapper::new(&set, Options::default()).map_body(&body, origin, &arena, &mut scratch, &mut found);
        assert!(!found.is_empty());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
        println!("peak {}", kilobytes * 1024);
    }
}
