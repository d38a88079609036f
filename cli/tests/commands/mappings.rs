//! `tributary mappings`: the check's verdict, and a map shown at work.

use serde_json::Value;

use crate::{ROOT, run, stderr, stdout};

fn case(name: &str) -> String {
    format!("{ROOT}/modules/azure/mappings/{name}")
}

#[test]
fn the_shipped_files_pass_their_check() {
    let output = run(&["mappings", "check"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.ends_with("kinds, no faults")), "{lines:?}");
}

#[test]
fn a_fault_is_named_with_its_place_and_exits_with_1() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("one.yaml"), "kind: one\nclass: nonsense\nmatch: [{ a: b }]\nmap: {}\n").unwrap();
    let output = run(&["mappings", "check", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("one.yaml:2:8: there is no class \"nonsense\" in ocsf 1.1.0"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn explain_shows_the_value_at_every_step() {
    let file = case("defender_alert.cases/flat.json");
    let output = run(&["mappings", "explain", "defender_alert", "--event", &file, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap_or_else(|| panic!("{path}"));
    let steps = |path: &str| -> Vec<String> {
        of(path)["steps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap().to_owned()).collect()
    };
    // What the golden case expects is what explain shows.
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(case("defender_alert.cases/flat.expected.json")).unwrap())
            .unwrap();
    let event = &expected["1.3.0"][0];
    assert_eq!(of("time")["value"], event["time"].to_string());
    assert_eq!(of("class_uid")["value"], "2004");
    assert_eq!(of("class_uid")["origin"], "derived");
    let severity = format!("{} ({})", event["severity_id"], event["severity"].as_str().unwrap());
    assert_eq!(of("severity_id")["value"], severity);
    assert!(steps("severity_id")[0].starts_with(".Severity = \""), "{:?}", steps("severity_id"));
    assert!(steps("severity_id").iter().any(|step| step.starts_with("table, row ")), "{:?}", steps("severity_id"));
    assert!(steps("time").iter().any(|step| step.starts_with("| timestamp = ")), "{:?}", steps("time"));

    let text = stdout(&run(&["mappings", "explain", "defender_alert", "--event", &file]));
    assert!(text.contains("\nrecord 0: detection_finding\n"), "{text}");
}

#[test]
fn explain_of_another_kinds_event_says_what_it_is() {
    let file = case("secure_score.cases/score.json");
    let output = run(&["mappings", "explain", "defender_alert", "--event", &file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no record in it is of kind defender_alert: it holds secure_score"),
        "{}",
        stderr(&output)
    );
    let unknown = run(&["mappings", "explain", "no_such_kind"]);
    assert_eq!(unknown.status.code(), Some(2));
}
