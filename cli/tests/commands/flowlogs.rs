//! `flowlogs convert`: blobs from files and standard input.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::{ROOT, run, stderr, stdout, tributary};

fn cases() -> String {
    format!("{ROOT}/modules/azure/crates/flowlogs/cases")
}

#[test]
fn files_become_a_lake_once_and_what_is_bad_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let lake = lake.to_str().unwrap();
    let files: Vec<String> =
        ["network", "odd", "group_v1", "group_v2"].map(|name| format!("{}/{name}.json", cases())).to_vec();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let convert =
        || run(&[&["flowlogs", "convert", "--json", "--region", "eu-west-1", "--out", lake], &files[..]].concat());
    let output = convert();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let first: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&first["blobs"], &first["existing"]), (&json!(4), &json!(0)));
    let expected: usize = files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file.replace(".json", ".expected.json")).unwrap();
            serde_json::from_str::<Value>(&text).unwrap()["rows"].as_array().unwrap().len()
        })
        .sum();
    assert_eq!(first["tuples"], expected);
    let again: Value = serde_json::from_str(&stdout(&convert())).unwrap();
    assert_eq!((&again["existing"], &again["objects"]), (&first["objects"], &json!(0)));
    let output = run(&["inspect", lake]);
    assert!(stdout(&output).contains("network"), "{}{}", stdout(&output), stderr(&output));
    let output = run(&["validate", &format!("{lake}/ext/azure-network")]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn standard_input_is_a_blob_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = tributary()
        .args(["flowlogs", "convert", "--ocsf-version", "1.1.0", "--out"])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let blob = std::fs::read(format!("{}/group_v2.json", cases())).unwrap();
    child.stdin.take().unwrap().write_all(&blob).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("blobs 1, records 1, tuples 6, objects 1 ("), "{}", stdout(&output));
    assert!(folder.path().join("ext/azure-network/1.1.0").is_dir());
}

#[test]
fn what_is_no_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["flowlogs", "convert", "no-such-file.json", "--out", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("no-such-file.json"), "{}", stderr(&output));
}
