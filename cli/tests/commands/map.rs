//! `tributary map` as a user calls it.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::{ROOT, run, stderr, stdout, tributary};

fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn case(name: &str) -> String {
    format!("{ROOT}/modules/azure/mappings/{name}.json")
}

#[test]
fn findings_become_asff_and_what_is_no_finding_is_left_out() {
    let (alert, operation) = (case("defender_alert.cases/flat"), case("activity_administrative.cases/write"));
    let output = run(&[
        "map",
        "--to",
        "asff",
        "--aws-account",
        "111122223333",
        "--aws-region",
        "cn-north-1",
        &alert,
        &operation,
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let findings = lines(&output);
    assert_eq!(findings.len(), 1, "the other is no finding");
    let arn = "arn:aws-cn:securityhub:cn-north-1:111122223333:product/111122223333/default";
    assert_eq!(findings[0]["ProductArn"], arn);
    assert_eq!(findings[0]["AwsAccountId"], "111122223333");
    assert_eq!(stderr(&output).trim_end(), "mapped 3, quarantined 0, left out 2 (no finding for Security Hub)");
    let counted = run(&["map", "--to", "asff", "--json", &alert, &operation]);
    let counts: Value = serde_json::from_str(&stderr(&counted)).unwrap();
    assert_eq!(counts["left_out"], 2);
    assert_eq!(lines(&counted)[0]["AwsAccountId"], "000000000000", "the default");
}

#[test]
fn every_event_becomes_a_trail_event() {
    let (alert, operation) = (case("defender_alert.cases/flat"), case("activity_administrative.cases/write"));
    let output = run(&["map", "--to", "cloudtrail", "--aws-account", "111122223333", &alert, &operation]);
    assert!(output.status.success(), "{}", stderr(&output));
    let entries = lines(&output);
    assert_eq!(entries.len(), 3);
    for entry in &entries {
        let data: Value = serde_json::from_str(entry["eventData"].as_str().unwrap()).unwrap();
        assert_eq!(data["recipientAccountId"], "111122223333");
        assert_eq!(data["UID"], entry["id"]);
    }
    assert_eq!(stderr(&output).trim_end(), "mapped 3, quarantined 0");
    let again = run(&["map", "--to", "cloudtrail", "--aws-account", "111122223333", &alert, &operation]);
    assert_eq!(again.stdout, output.stdout, "the same content gives the same bytes");
}

#[test]
fn ocsf_is_the_default() {
    let alert = case("defender_alert.cases/flat");
    let output = run(&["map", &alert]);
    assert_eq!(lines(&output)[0]["class_uid"], 2004);
    // What OCSF does not need is not asked for.
    assert_eq!(run(&["map", "--to", "ocsf", "--aws-region", "us-iso-east-1", &alert]).stdout, output.stdout);
}

#[test]
fn an_account_or_region_that_is_none_is_refused_before_anything_is_read() {
    for (flag, value, said) in [
        ("--aws-account", "12345", "\"12345\" is no aws account: use its 12 digits"),
        ("--aws-region", "northeurope", "\"northeurope\" is no aws region"),
        ("--aws-region", "us-iso-east-1", "is in no partition that a finding can name"),
    ] {
        let mut command = tributary();
        command.args(["map", "--to", "asff", flag, value]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(b"not json");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}
