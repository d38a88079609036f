#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
use bumpalo::Bump;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tributary_json::{Doc, Limits};

use super::*;

fn judge(rules: Rules, text: &str) -> Report {
    let arena = Bump::new();
    let mut doc = Doc::new();
    let id = doc.parse(text, &arena, Limits { depth: 400, ..Limits::default() }).unwrap();
    Validator::new(Schema::get(Version::V1_3_0), rules).check(doc.value(id))
}

const LAKE: Rules = Rules { security_lake: true, strict_warnings: false, drop_nulls: false, max_findings: 32 };

fn good() -> Json {
    json!({
        "activity_id": 1, "activity_name": "Create", "category_uid": 2, "category_name": "Findings",
        "class_uid": 2004, "class_name": "Detection Finding", "type_uid": 200401,
        "type_name": "Detection Finding: Create", "severity_id": 3, "severity": "Medium",
        "time": 1_767_225_600_000_i64, "time_dt": "2026-01-01T00:00:00.000Z",
        "cloud": {"provider": "Example"},
        "finding_info": {"uid": "f-1", "title": "A title"},
        "device": {"type_id": 0, "hostname": "vm-1", "ip": "10.0.0.1"},
        "action_id": 1, "action": "Allowed",
        "malware": [{"name": "m", "classification_ids": [1, 99], "classifications": ["Adware", "mine"]}],
        "evidences": [{"src_endpoint": {"ip": "10.0.0.2"}}],
        "metadata": {"version": "1.3.0", "profiles": ["cloud", "datetime", "host", "security_control"],
            "product": {"vendor_name": "Example", "name": "Defender"}},
        "is_alert_sample": null,
        "observables": [{"name": "evidences[].src_endpoint.ip", "type_id": 2, "type": "IP Address", "value": "10.0.0.2"}],
        "unmapped": {"a.b": "c"}
    })
}

/// The good event with one member set (or, without a value, taken away).
fn with(pointer: &str, value: Option<Json>) -> String {
    let mut event = good();
    event.as_object_mut().unwrap().remove("is_alert_sample");
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (event.pointer_mut(parent).unwrap(), value) {
        (Json::Object(object), Some(value)) => drop(object.insert(name.to_owned(), value)),
        (Json::Object(object), None) => drop(object.remove(name).expect("there")),
        (Json::Array(list), Some(value)) => list[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    event.to_string()
}

#[test]
fn a_good_event_has_no_findings() {
    let report = judge(Rules { strict_warnings: true, ..LAKE }, &with("/unmapped", Some(json!({"a.b": "c"}))));
    assert!(report.valid && report.findings.is_empty(), "{report:#?}");
}

/// One fault, and the finding that names it, at its place.
#[test]
fn every_rule_finds_its_fault() {
    let cases = [
        ("/class_uid", None, "E attribute_required_missing class_uid"),
        ("/class_uid", Some(json!("2004")), "E attribute_wrong_type class_uid"),
        ("/class_uid", Some(json!(2999)), "E class_uid_unknown class_uid"),
        ("/metadata/version", Some(json!("1.1.0")), "E version_mismatch metadata.version"),
        ("/metadata/profiles/0", Some(json!("clouds")), "E profile_unknown metadata.profiles[0]"),
        ("/metadata/profiles/0", Some(json!("load_balancer")), "S profile_not_applicable metadata.profiles[0]"),
        ("/metadata/profiles/1", Some(json!("cloud")), "S profile_duplicate metadata.profiles[1]"),
        ("/metadata/profiles", Some(json!(["datetime", "host"])), "E attribute_needs_profile cloud"),
        ("/cloud", None, "E attribute_required_missing cloud"),
        ("/device", None, "W profile_unused metadata.profiles"),
        ("/finding_info/uid", None, "E attribute_required_missing finding_info.uid"),
        ("/finding_info/uid", Some(Json::Null), "S attribute_null finding_info.uid"),
        ("/device/type_id", Some(Json::Null), "E attribute_null device.type_id"),
        ("/finding_info/nope", Some(json!(1)), "E attribute_unknown finding_info.nope"),
        ("/finding_info", Some(json!([])), "E attribute_wrong_type finding_info"),
        ("/evidences", Some(json!({})), "E attribute_wrong_type evidences"),
        ("/resources", Some(json!([])), "W empty_array resources"),
        ("/finding_info/analytic", Some(json!({})), "S empty_object finding_info.analytic"),
        ("/severity_id", Some(json!(true)), "E attribute_wrong_type severity_id"),
        ("/severity_id", Some(json!(3.0)), "E attribute_wrong_type severity_id"),
        ("/severity_id", Some(json!(77)), "E attribute_enum_value_unknown severity_id"),
        ("/severity", Some(json!("High")), "S attribute_enum_sibling_incorrect severity"),
        ("/device/type_id", Some(json!(99)), "S attribute_enum_other_without_sibling device.type_id"),
        ("/status", Some(json!("New")), "W sibling_without_enum status"),
        (
            "/malware/0/classifications",
            Some(json!(["Adware!", "x"])),
            "E attribute_enum_array_sibling_incorrect malware[0].classifications[0]",
        ),
        (
            "/malware/0/classifications",
            Some(json!([])),
            "E attribute_enum_array_sibling_missing malware[0].classifications[0]",
        ),
        (
            "/malware/0/classification_ids/0",
            Some(json!(98)),
            "E attribute_enum_array_value_unknown malware[0].classification_ids[0]",
        ),
        ("/type_uid", Some(json!(200_402)), "E type_uid_incorrect type_uid"),
        ("/time", Some(json!(1_767_225_600)), "S timestamp_not_ms time"),
        ("/time_dt", Some(json!("2026-01-01T00:00:01Z")), "S datetime_mismatch time_dt"),
        ("/time_dt", Some(json!("2026-02-30T00:00:00Z")), "S datetime_invalid time_dt"),
        ("/device/ip", Some(json!("10.0.0.1:443")), "S ip_invalid device.ip"),
        ("/device/hostname", Some(json!("vm_1!")), "S attribute_value_regex_not_matched device.hostname"),
        ("/device/hostname", Some(json!("")), "S empty_string device.hostname"),
        ("/device/subnet", Some(json!("10.0.0.0/33")), "S subnet_invalid device.subnet"),
        ("/device/uid", Some(json!("x".repeat(65_536))), "E attribute_value_exceeds_max_len device.uid"),
        ("/confidence_score", Some(json!(1_i64 << 40)), "S int32_overflow confidence_score"),
        ("/duration", Some(serde_json::from_str("9223372036854775807").unwrap()), ""),
        ("/duration", Some(json!(9_223_372_036_854_775_808_u64)), "E integer_overflow duration"),
        (
            "/evidences/0/src_endpoint/port",
            Some(json!(70_000)),
            "E attribute_value_exceeds_range evidences[0].src_endpoint.port",
        ),
        (
            "/evidences/0/src_endpoint",
            Some(json!({"interface_name": "eth0", "location": {"lat": 1, "long": 2.5}})),
            "S float_as_integer evidences[0].src_endpoint.location.lat",
        ),
        ("/observables/0/name", Some(json!("nope")), "E observable_name_invalid_reference observables[0].name"),
        ("/observables/0/name", Some(json!("cloud.region")), "W observable_target_absent observables[0].name"),
        ("/observables/0/value", Some(json!("10.0.0.3")), "S observable_value_mismatch observables[0].value"),
        ("/observables/0/type_id", Some(json!(1)), "W observable_type_mismatch observables[0].type_id"),
        ("/unmapped/n", Some(json!(1)), "S unmapped_not_string unmapped.n"),
        ("/finding_info/analytic", Some(json!({"type_id": 1})), "E constraint_failed finding_info.analytic"),
    ];
    for (pointer, value, expected) in cases {
        let report = judge(LAKE, &with(pointer, value));
        let found: Vec<String> =
            report.findings.iter().map(|f| format!("{} {} {}", f.level.letter(), f.code, f.path)).collect();
        let expected_here = if expected.is_empty() { found.is_empty() } else { found.iter().any(|f| f == expected) };
        assert!(expected_here, "{pointer}: expected {expected:?}, found {found:?}");
        assert_eq!(report.valid, found.iter().all(|f| f.starts_with('W')), "{pointer}");
    }
    assert_eq!(judge(LAKE, "[]").findings[0].code, "event_not_object");
    let base = r#"{"class_uid":0,"category_uid":0,"activity_id":0,"type_uid":0,"severity_id":0,"time":1767225600000,
        "metadata":{"version":"1.3.0","product":{"vendor_name":"m","name":"p"}}}"#;
    assert_eq!(judge(LAKE, base).findings[0].code, "security_lake_class");
    assert!(judge(Rules::default(), base).valid);
}

/// Security Lake's list of classes is all of 1.3.0 but the base event, so 1.1.0 may have none beside them.
#[test]
fn security_lake_knows_every_class_of_both_versions() {
    let old = Schema::get(Version::V1_1_0);
    for shape in old.shapes.iter().filter_map(|shape| shape.uid) {
        assert!(Schema::get(Version::V1_3_0).class_by_uid(shape).is_some(), "{shape}");
    }
}

#[test]
fn a_name_twice_is_an_error_wherever_it_is() {
    for (before, after) in [
        ("\"a.b\":\"c\"", "\"a.b\":\"c\",\"a.b\":\"d\""),
        ("\"hostname\":\"vm-1\"", "\"hostname\":\"vm-1\",\"hostname\":null"),
        ("\"provider\":\"Example\"", "\"provider\":\"Example\",\"account\":{\"x\":null,\"x\":null}"),
        ("\"provider\":\"Example\"", "\"provider\":\"Example\",\"x\":null,\"x\":null"),
    ] {
        let text = good().to_string();
        assert!(text.contains(before), "{text}");
        let rules = Rules { drop_nulls: true, ..LAKE };
        let report = judge(rules, &text.replace(before, after));
        assert!(report.findings.iter().any(|finding| finding.code == "duplicate_name"), "{after}: {report:?}");
        assert!(judge(rules, &text).valid);
    }
}

#[test]
fn nulls_count_unless_they_are_dropped() {
    let mut event = good();
    event["device"]["os"] = json!({"type_id": null, "name": null});
    event["resources"] = json!([null, {"uid": "r", "owner": {"name": null}}]);
    assert!(!judge(LAKE, &event.to_string()).valid);
    let report = judge(Rules { drop_nulls: true, strict_warnings: true, ..LAKE }, &event.to_string());
    assert!(report.valid, "{report:#?}");
}

#[test]
fn findings_are_bounded_counted_and_severest_first_to_stay() {
    let mut event = good();
    event["resources"] = json!(vec![json!({"uid": "", "criticality": 1}); 10_000]);
    let report = judge(Rules { max_findings: 8, ..LAKE }, &event.to_string());
    assert_eq!(report.findings.len(), 8);
    assert!(report.findings.iter().all(|finding| finding.level == Level::Error));
    assert_eq!((report.errors, report.strict), (10_001, 10_000));
}

#[test]
fn a_hostile_size_ends_soon() {
    let mut event = good();
    event["resources"] = json!((0..20_000).map(|n| json!({"uid": format!("r{n}")})).collect::<Vec<_>>());
    let observable = json!({"name": "resources[].uid", "type_id": 10, "type": "Resource UID", "value": "r0"});
    event["observables"] = json!(vec![observable; 20_000]);
    let report = judge(LAKE, &event.to_string());
    assert!(report.findings.iter().any(|finding| finding.code == "observable_not_compared"));
    let deep = "{\"process\":".to_owned() + &"{\"parent_process\":".repeat(300) + "{}" + &"}".repeat(301);
    let deep = deep.replacen('{', "{\"class_uid\":1007,", 1);
    assert!(judge(Rules { max_findings: 9_999, ..LAKE }, &deep).findings.iter().any(|f| f.code == "too_deep"));
}

#[test]
fn order_is_watched() {
    let (arena, mut doc, mut order) = (Bump::new(), Doc::new(), TimeOrder::default());
    let found: Vec<bool> = ["1", "1", "null", "3", "2", "2"]
        .into_iter()
        .map(|time| {
            let text = arena.alloc_str(&format!("{{\"time\":{time}}}"));
            let id = doc.parse(text, &arena, Limits::default()).unwrap();
            order.check(doc.value(id)).is_some()
        })
        .collect();
    assert_eq!(found, [false, false, false, false, true, false]);
}

#[test]
fn findings_quote_little_and_no_control_characters() {
    let name = "x\u{1b}[31m".to_owned() + &"y".repeat(500);
    let report = judge(LAKE, &with(&format!("/finding_info/{name}"), Some(json!(1))));
    let finding = &report.findings[0];
    assert!(finding.path.len() < 100 && finding.message.len() < 200, "{finding:?}");
    assert!(!finding.path.contains('\u{1b}') && !finding.message.contains('\u{1b}'));
}

proptest! {
    /// Whatever JSON it is, judging ends.
    #[test]
    fn judging_is_total(at in 0_usize..64, junk in "(null|\\[\\]|\\{\\}|-0|1e999|\"\\u00e9\"|true|\\[\\[\\{\"a\":1\\}\\]\\]|99|9e2)") {
        let text = good().to_string();
        let values: Vec<usize> = text.match_indices(':').map(|(at, _)| at + 1).collect();
        let from = values[at % values.len()];
        // Replaces a scalar by junk where it can; where the text is no JSON any more there is nothing to judge.
        let end = text[from..].find([',', '}']).map_or(text.len(), |end| from + end);
        let text = format!("{}{junk}{}", &text[..from], &text[end..]);
        let arena = Bump::new();
        let mut doc = Doc::new();
        if let Ok(id) = doc.parse(&text, &arena, Limits::default()) {
            for drop_nulls in [false, true] {
                let rules = Rules { drop_nulls, ..LAKE };
                Validator::new(Schema::get(Version::V1_1_0), rules).check(doc.value(id));
            }
        }
    }
}
