//! `cases/<name>.json` is an event, `<name>.asff.json` and `<name>.cloudtrail.json` are its forms. With `UPDATE_CASES=1` the
//! forms are written anew: read them before you commit them.

use std::path::Path;

use bumpalo::Bump;
use serde_json::{Value as Json, json};
use tributary_mapping::{asff, cloudtrail};
use tributary_ocsf::{Schema, Version};

use crate::{destination, limits, typed};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forms/cases");

fn read(name: &str) -> Json {
    let path = format!("{CASES}/{name}.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The forms of a case's event; the trail's with `eventData` as the object that it is.
fn forms(event: &Json) -> (Option<Json>, Json) {
    let version: Version = event["metadata"]["version"].as_str().unwrap().parse().unwrap();
    let (schema, arena) = (Schema::get(version), Bump::new());
    let event = typed::event(schema, event, &arena);
    let trail = cloudtrail::audit_event(schema, &event, &destination());
    let entry: Json = serde_json::from_str(&trail.json()).unwrap();
    assert_eq!(entry["eventData"], trail.event_data());
    assert_eq!(entry["eventDataChecksum"], trail.checksum());
    let finding = asff::finding(schema, &event, &destination());
    let wrong = finding.as_ref().map(|finding| limits::finding(finding.json())).unwrap_or_default();
    assert!(wrong.is_empty(), "{wrong:?}");
    let data: Json = serde_json::from_str(trail.event_data()).unwrap();
    let finding = finding.map(|finding| serde_json::from_str(finding.json()).unwrap());
    (finding, json!({"id": trail.id(), "eventData": data}))
}

fn compare(name: &str, actual: &Json) {
    if std::env::var("UPDATE_CASES").is_ok_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(actual).unwrap() + "\n";
        std::fs::write(Path::new(CASES).join(format!("{name}.json")), text).unwrap();
    }
    let expected = read(name);
    assert_eq!(&expected, actual, "{name}: expected\n{expected:#}\nis\n{actual:#}");
}

fn case(name: &str) {
    let (finding, trail) = forms(&read(name));
    if let Some(finding) = finding {
        compare(&format!("{name}.asff"), &finding);
    }
    compare(&format!("{name}.cloudtrail"), &trail);
}

#[test]
fn detection() {
    case("detection");
}

#[test]
fn vulnerability() {
    case("vulnerability");
}

#[test]
fn passed_check() {
    case("passed_check");
}

#[test]
fn api_activity() {
    case("api_activity");
    assert!(forms(&read("api_activity")).0.is_none(), "no finding");
}

/// `resource` of one version, `resources` of another: the same finding.
#[test]
fn versions_give_one_form() {
    let new = read("passed_check");
    let mut old = new.clone();
    let members = old.as_object_mut().unwrap();
    let resource = members.remove("resources").unwrap()[0].take();
    members.insert("resource".to_owned(), resource);
    members["metadata"]["version"] = json!("1.1.0");
    let (new, old) = (forms(&new).0.unwrap(), forms(&old).0.unwrap());
    let same = old.as_object().unwrap().iter().filter(|(name, _)| *name != "ProductFields");
    for (name, value) in same {
        assert_eq!(&new[name], value, "{name}");
    }
    assert_eq!(old["ProductFields"]["ocsf/metadata.version"], "1.1.0");
}

/// A case with other values of some attributes: what the finding says of them.
fn changed(name: &str, changes: &[(&str, Json)]) -> Json {
    let mut event = read(name);
    for (pointer, value) in changes {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[member] = value.clone();
    }
    forms(&event).0.unwrap()
}

#[test]
fn a_finding_that_is_settled_is_archived() {
    let state = |name: &str, changes: &[(&str, Json)]| {
        let finding = changed(name, changes);
        (
            finding["RecordState"].as_str().unwrap().to_owned(),
            finding["Workflow"]["Status"].as_str().unwrap().to_owned(),
        )
    };
    let status = |id: i64| ("/status_id", json!(id));
    for (changes, record, workflow) in [
        (vec![status(1)], "ACTIVE", "NEW"),
        (vec![status(2)], "ACTIVE", "NOTIFIED"),
        (vec![status(3)], "ARCHIVED", "SUPPRESSED"),
        (vec![status(4)], "ARCHIVED", "RESOLVED"),
        (vec![status(0)], "ACTIVE", "NEW"),
        // Deleted at the source.
        (vec![status(1), ("/activity_id", json!(3))], "ARCHIVED", "NEW"),
    ] {
        assert_eq!(state("detection", &changes), (record.to_owned(), workflow.to_owned()), "{changes:?}");
    }
    let check = |id: i64| [status(1), ("/activity_id", json!(2)), ("/compliance/status_id", json!(id))];
    assert_eq!(state("passed_check", &check(1)), ("ARCHIVED".to_owned(), "RESOLVED".to_owned()));
    // Does not apply: Security Hub would never bring a suppressed finding back.
    let not_applicable = [status(3), ("/activity_id", json!(1)), ("/compliance/status_id", json!(99))];
    assert_eq!(state("passed_check", &not_applicable), ("ARCHIVED".to_owned(), "RESOLVED".to_owned()));
    assert_eq!(state("passed_check", &check(3)), ("ACTIVE".to_owned(), "NEW".to_owned()));
    assert_eq!(changed("passed_check", &check(2))["Compliance"]["Status"], "WARNING");
    assert_eq!(changed("passed_check", &check(99))["Compliance"]["Status"], "NOT_AVAILABLE");
}

#[test]
fn severities() {
    for (id, label, number) in [
        (0, "MEDIUM", 40),
        (1, "INFORMATIONAL", 0),
        (2, "LOW", 1),
        (3, "MEDIUM", 40),
        (4, "HIGH", 70),
        (5, "CRITICAL", 90),
        (6, "CRITICAL", 100),
        (99, "MEDIUM", 40),
    ] {
        let finding = changed("detection", &[("/severity_id", json!(id))]);
        assert_eq!(finding["Severity"], json!({"Label": label, "Normalized": number, "Original": "High"}));
        assert_eq!(finding["FindingProviderFields"]["Severity"], json!({"Label": label, "Original": "High"}));
    }
    let passed = changed("passed_check", &[("/severity_id", json!(5))]);
    assert_eq!(passed["Severity"]["Label"], "INFORMATIONAL", "a check that passed asks for nothing");
}

#[test]
fn an_update_keeps_the_id_and_comes_later() {
    let first = changed("detection", &[]);
    let second = changed("detection", &[("/finding_info/modified_time", json!(1_800_000_000_000_i64))]);
    assert_eq!((&first["Id"], &first["CreatedAt"]), (&second["Id"], &second["CreatedAt"]));
    assert!(first["UpdatedAt"].as_str() < second["UpdatedAt"].as_str());
}

#[test]
fn a_finding_without_resource_is_about_its_account() {
    let finding = changed("detection", &[("/resources", json!([{"labels": ["a", "b"]}]))]);
    assert_eq!(finding["Resources"][0]["Id"], "prod-0001");
    assert_eq!(finding["Resources"][0]["Type"], "Other");
}
