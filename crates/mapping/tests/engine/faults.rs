//! Every fault that the check must find, each with file, line and reason.

use tributary_mapping::{Diagnostic, MappingSet, Sources, check};
use tributary_ocsf::Version;

use crate::sources;

/// A map without fault. Its class has a committed schema, its case holds every path.
const MAP: &str = "\
kind: alert
class: detection_finding
match: [{ kind: alert }]
include: [product]
map:
  activity_id: Create
  time: .at
  severity_id: .level | lookup(levels, severity)
  status_id: New
  finding_info:
    uid: .id
    title: .id
  evidences:
    - each: .hosts
      item: { src_endpoint: { ip: .address } }
  cloud: { provider: Example }
";
const PRODUCT: &str = "metadata: { product: { name: Example, vendor_name: .vendor } }\n";
const LEVELS: &str = "table: levels\nsource: an example\nrows:\n  \"1\": { severity: High }\n";
const CASE: &str =
    r#"[{"kind":"alert","at":"2026-01-01","level":1,"id":"7","vendor":"v","hosts":[{"address":"192.0.2.1"}]}]"#;

fn files(map: &str) -> Sources {
    let folder = [("alert.yaml", map), ("shared/product.yaml", PRODUCT), ("lookups/levels.yaml", LEVELS)];
    let mut files = sources(&folder);
    files.insert("alert.cases/one.json".to_owned(), CASE.to_owned());
    files
}

fn faults(files: &Sources) -> Vec<String> {
    let found: Vec<Diagnostic> = match MappingSet::compile(files, &[], Version::V1_3_0) {
        Err(faults) => faults,
        Ok(set) => check(&set, files),
    };
    found.iter().map(ToString::to_string).collect()
}

/// The only fault after a change of the map.
fn fault(from: &str, to: &str) -> String {
    assert!(MAP.contains(from), "{from}");
    let found = faults(&files(&MAP.replacen(from, to, 1)));
    assert_eq!(found.len(), 1, "{from} -> {to}: {found:#?}");
    found[0].clone()
}

#[test]
fn the_map_without_fault_has_none() {
    assert_eq!(faults(&files(MAP)), Vec::<String>::new());
}

#[test]
fn unknown_attribute() {
    let found = &faults(&files(&MAP.replacen("severity_id: ", "severty_id: ", 1)))[0];
    assert!(found.starts_with("alert.yaml:8:3: class detection_finding has no attribute \"severty_id\""), "{found}");
    assert!(found.contains("help: did you mean \"severity_id\"?"), "{found}");
    let nested = fault("title: .id", "titel: .id");
    assert!(nested.starts_with("alert.yaml:12:5: finding_info (finding_info) has no attribute \"titel\""), "{nested}");
}

#[test]
fn wrong_type() {
    let found = fault("title: .id", "title: { a: b }");
    assert!(found.starts_with("alert.yaml:12:14: unknown key \"a\""), "{found}");
    let found = fault("uid: .id", "uid: .id\n    created_time: yesterday");
    assert!(found.starts_with("alert.yaml:12:19: \"yesterday\" is no timestamp_t"), "{found}");
    let found = fault("uid: .id", "uid: .id | split(\",\")");
    assert_eq!(found, "alert.yaml:11:10: the expression gives List, the attribute takes string_t");
    let found = fault("cloud: { provider: Example }", "cloud: Example");
    assert!(found.starts_with("alert.yaml:16:10: expected a mapping, found a scalar"), "{found}");
}

#[test]
fn bad_enum_value() {
    let found = fault("status_id: New", "status_id: Newish");
    assert!(found.starts_with("alert.yaml:9:14: \"Newish\" is not in the enumeration"), "{found}");
    assert!(found.contains("it takes ") || found.contains("did you mean \"New\"?"), "{found}");
}

#[test]
fn missing_required_attribute() {
    let found = fault("  activity_id: Create\n", "");
    assert!(
        found.contains("alert.yaml:2:1: class detection_finding requires activity_id, which is never set"),
        "{found}"
    );
}

#[test]
fn impossible_constraint() {
    let found = fault("src_endpoint: { ip: .address }", "process: { name: .address }");
    assert!(found.starts_with("alert.yaml:15:24: evidences.process needs one of pid, uid"), "{found}");
}

#[test]
fn overlapping_matches() {
    let mut files = files(MAP);
    let other = MAP.replace("kind: alert\n", "kind: other\n").replace("{ kind: alert }", "{ kind: [alert, alarm] }");
    files.insert("other.yaml".to_owned(), other);
    assert_eq!(
        faults(&files),
        [
            "other.yaml:3:9: a record could be other and alert\n  help: test one path in both with values that exclude each other, \
          such as present and absent"
        ]
    );
}

#[test]
fn tests_on_one_path_that_exclude_each_other_do_not_overlap() {
    for (one, other) in [
        ("{ kind: alert }", "{ kind: \"al*\", x: present }"),
        ("{ kind: \"al*\" }", "{ kind: \"*ert*\" }"),
        ("{ kind: present }", "{ kind: alert }"),
        ("{ kind.value: present }", "{ kind.other: present }"),
    ] {
        assert!(!two(one, other).is_empty(), "{one} {other}");
    }
    for (one, other) in [
        ("{ kind: alert }", "{ kind: alarm }"),
        ("{ kind: alert }", "{ kind: \"*arm*\" }"),
        ("{ kind: \"a*\" }", "{ kind: \"b*\" }"),
        ("{ kind: alert }", "{ kind.value: alert }"),
        ("{ kind: absent }", "{ kind.value: present }"),
    ] {
        assert_eq!(two(one, other), Vec::<String>::new(), "{one} {other}");
    }
}

/// Faults of two kinds with these matches.
fn two(one: &str, other: &str) -> Vec<String> {
    let mut files = files(&MAP.replace("{ kind: alert }", one));
    files.remove("alert.cases/one.json");
    files.insert(
        "other.yaml".to_owned(),
        MAP.replace("kind: alert\n", "kind: other\n").replace("{ kind: alert }", other),
    );
    faults(&files)
}

#[test]
fn unread_lookup_table() {
    let found = fault(".level | lookup(levels, severity)", ".level");
    assert_eq!(found, "lookups/levels.yaml:1:1: no map reads this table");
    let missing = fault("lookup(levels, ", "lookup(level, ");
    assert!(missing.starts_with("alert.yaml:8:25: there is no lookup table lookups/level.yaml"), "{missing}");
    let column = fault("levels, severity", "levels, sevrity");
    assert!(column.contains("table levels has no column \"sevrity\""), "{column}");
}

#[test]
fn unknown_function() {
    let found = fault("uid: .id", "uid: .id | lowr");
    assert_eq!(found, "alert.yaml:11:16: there is no function \"lowr\"\n  help: did you mean \"lower\"?");
}

#[test]
fn path_that_matches_nothing_in_any_case() {
    let found = fault("uid: .id", "uid: .idd // .id");
    assert_eq!(
        found,
        "alert.yaml:11:10: .idd matches nothing in any case of alert\n  help: did you mean .id? else add a case that has it"
    );
    let inside = fault("ip: .address", "ip: .adress // .address");
    assert!(inside.starts_with("alert.yaml:15:35: .adress matches nothing"), "{inside}");
    let mut files = files(MAP);
    files.insert("shared/product.yaml".to_owned(), PRODUCT.replace(".vendor ", ".maker // .vendor "));
    assert_eq!(
        faults(&files),
        [
            "shared/product.yaml:1:52: .maker matches nothing in any case of its kinds\n  help: correct the path, or add a case that has it"
        ]
    );
}

#[test]
fn attribute_outside_the_committed_schema() {
    let found = fault("title: .id", "title: .id\n    related_analytics: [{ name: .id }]");
    assert!(found.starts_with("alert.yaml:13:"), "{found}");
    assert!(found.contains("is outside the committed schema of detection_finding in ocsf 1.3.0"), "{found}");
    assert!(found.contains("help: run `tributary mappings schema`"), "{found}");
}
