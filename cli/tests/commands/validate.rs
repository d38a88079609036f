//! `tributary validate` as a user calls it.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{lake, run, stderr, stdout, tributary};

const GOOD: &str = r#"{"activity_id":1,"category_uid":3,"class_uid":3002,"type_uid":300201,"severity_id":1,"time":1767225600000,"user":{"uid":"u"},"service":{"name":"s"},"metadata":{"version":"1.3.0","product":{"vendor_name":"v","name":"p"}}}"#;

fn validate(input: &str, flags: &[&str]) -> Output {
    let mut command = tributary();
    command.arg("validate").args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn findings_have_their_line_and_decide_the_exit_code() {
    let bad = GOOD.replace("\"uid\":\"u\"", "\"uid\":\"u\",\"nope\":1");
    let output = validate(&format!("{GOOD}\n\n{bad}\nnot json\n"), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("standard input:3: E attribute_unknown user.nope: "), "{text}");
    assert!(lines[1].starts_with("standard input:4: E not_json .: "), "{text}");
    assert_eq!(lines[2], "judged 3 events in 1 file: 1 valid, 2 invalid; findings E 2, S 0, W 0");
    assert!(output.stderr.is_empty(), "no progress bar in a pipe");
    let good = validate(GOOD, &["--security-lake", "--strict-warnings"]);
    assert!(good.status.success(), "{}", stdout(&good));
}

#[test]
fn flags_change_what_is_asked() {
    let old = GOOD.replace("1.3.0", "1.1.0");
    assert!(validate(&old, &[]).status.success(), "each event by the version it states");
    assert!(stdout(&validate(&old, &["--ocsf-version", "1.3.0"])).contains("version_mismatch"));
    assert!(stdout(&validate(&GOOD.replace("1.3.0", "1.9.0"), &[])).contains("version_mismatch"));
    let note = GOOD.replace("\"time\"", "\"observables\":[],\"time\"");
    assert!(validate(&note, &[]).status.success());
    assert_eq!(validate(&note, &["--strict-warnings"]).status.code(), Some(1));
    let number = GOOD.replace("\"time\"", "\"unmapped\":{\"a\":1},\"time\"");
    assert!(validate(&number, &[]).status.success());
    assert_eq!(validate(&number, &["--security-lake"]).status.code(), Some(1));
    let null = GOOD.replace("\"time\"", "\"message\":null,\"actor\":{\"user\":null},\"time\"");
    assert_eq!(validate(&null, &[]).status.code(), Some(1));
    assert!(validate(&null, &["--drop-nulls"]).status.success());
    let order = format!("{GOOD}\n{}", GOOD.replace("1767225600000", "1767225599999"));
    assert!(validate(&order, &[]).status.success());
    assert!(stdout(&validate(&order, &["--sorted"])).contains(":2: S not_sorted_by_time time: "));
}

#[test]
fn verdicts_come_as_json() {
    let bad = GOOD.replace("\"severity_id\":1", "\"severity_id\":77");
    let output = validate(&format!("[{GOOD},\n{bad}]"), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["valid"], &lines[1]["valid"]), (&true.into(), &false.into()));
    assert_eq!(lines[1]["findings"][0]["code"], "attribute_enum_value_unknown");
    assert_eq!((&lines[1]["line"], &lines[1]["findings"][0]["path"]), (&2.into(), &"severity_id".into()));
    let summary: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&summary["events"], &summary["invalid"], &summary["errors"]), (&2.into(), &1.into(), &1.into()));
}

#[test]
fn a_lake_of_the_golden_cases_is_valid() {
    let folder = TempDir::new().unwrap();
    let lake = lake(folder.path());
    let lake = lake.to_str().unwrap();
    let output = run(&["validate", lake, "--security-lake", "--strict-warnings", "--json"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let summary: Value = serde_json::from_slice(&output.stderr).unwrap();
    let inspected: Value = serde_json::from_slice(&run(&["inspect", "--json", lake]).stdout).unwrap();
    let rows = |object: &Value| object["rows"].as_u64().unwrap();
    let rows: u64 = inspected["objects"].as_array().unwrap().iter().map(rows).sum();
    assert_eq!(summary["events"].as_u64(), Some(rows));
    assert!(rows > 30, "{rows}");

    // By another version than the objects are of, every row is invalid.
    let output = run(&["validate", lake, "--ocsf-version", "1.1.0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains(&format!("0 valid, {rows} invalid")), "{}", stdout(&output));
}

#[test]
fn mapped_events_go_from_pipe_to_pipe() {
    let event = concat!(env!("CARGO_MANIFEST_DIR"), "/../modules/azure/mappings/defender_alert.cases/flat.json");
    let mapped = run(&["map", event]);
    assert!(mapped.status.success(), "{}", stderr(&mapped));
    let output = validate(&stdout(&mapped), &["--security-lake", "--strict-warnings"]);
    assert!(output.status.success(), "{}", stdout(&output));
}

#[test]
fn what_cannot_be_read_hides_nothing_else() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("bad.ndjson"), "{}\n").unwrap();
    std::fs::write(at("cut.parquet"), "PAR1 not really a parquet file PAR1").unwrap();
    std::fs::write(at("other.txt"), "passed over").unwrap();
    let output = run(&["validate", folder.path().to_str().unwrap(), "/no/such/file"]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    assert!(stdout(&output).contains("bad.ndjson:1: E attribute_required_missing class_uid"), "{}", stdout(&output));
    assert!(stdout(&output).contains("1 file with other names passed over"), "{}", stdout(&output));
    for name in ["cut.parquet", "/no/such/file"] {
        assert!(stderr(&output).contains(name), "{name} in {}", stderr(&output));
    }
    let nothing = validate("\n", &[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("no event found"), "{}", stderr(&nothing));
}
