//! What the golden cases expect, and what the product makes of them, is valid by every judge.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_azure_mappings::{shipped, sources};
use tributary_json::{Doc, Limits};
use tributary_lake::{Row, Stamp, encode, group, write_parquet};
use tributary_mapping::{Case, Mapper, Options, Origin, Outcome, Scratch};
use tributary_ocsf::columns::Columns;
use tributary_ocsf::validate::{Rules, TimeOrder, Validator};
use tributary_ocsf::{Schema, Version};

use crate::peers::{TempFile, judge, python};

/// The expected events of every case as NDJSON.
fn expected(version: Version) -> String {
    let mut text = String::new();
    for case in Case::all(&sources()) {
        let expected: Json = serde_json::from_str(case.expected.as_deref().expect("every case has its file")).unwrap();
        for event in expected[version.as_str()].as_array().expect("both versions are expected") {
            let _ = writeln!(text, "{event}");
        }
    }
    assert!(text.lines().count() > 30, "too few cases");
    text
}

/// Every finding of our own validator, by Security Lake's rules and with notes counting.
pub(crate) fn our_findings(version: Version, text: &str) -> Vec<String> {
    let rules = Rules { security_lake: true, strict_warnings: true, ..Rules::default() };
    let validator = Validator::new(Schema::get(version), rules);
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let id = doc.parse(line, &arena, Limits::default()).unwrap();
        let findings = validator.check(doc.value(id)).findings;
        found.extend(findings.iter().map(|f| format!("{number}: {} {}: {}", f.code, f.path, f.message)));
    }
    found
}

/// The independent judge's refusal of files, if it has one.
pub(crate) fn refusal(judge: &Path, version: Version, files: &[&Path], flags: &[&str]) -> Option<String> {
    let python = std::env::var("TRIBUTARY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .arg(judge.join("ocsf_check.py"))
        .arg("--schema")
        .arg(judge.join(format!("ocsf-compiled/{version}.json")))
        .args(["--version", version.as_str(), "--security-lake", "--strict-warnings"])
        .args(flags)
        .args(files)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (!output.status.success()).then(|| String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn our_validator_accepts_every_expected_event() {
    for version in Version::ALL {
        let found = our_findings(version, &expected(version));
        assert!(found.is_empty(), "ocsf {version}:\n{}", found.join("\n"));
    }
}

#[test]
fn the_published_json_schemas_accept_every_expected_event() {
    let Some(python) = python("structure by ocsf-json-schema") else { return };
    for version in Version::ALL {
        let text = expected(version);
        let (ok, said) = structure(&python, &format!("expected-{version}.ndjson"), &text);
        assert!(ok, "ocsf {version}:\n{said}");
        assert!(said.contains(&format!("judged {} events", text.lines().count())), "{said}");

        // A judge that accepts everything has judged nothing.
        let broken = text.lines().next().unwrap().replacen('{', "{\"no_such_attribute\":1,", 1);
        assert!(!structure(&python, &format!("broken-{version}.ndjson"), &broken).0, "a broken event was accepted");
    }
}

fn structure(python: &str, name: &str, text: &str) -> (bool, String) {
    let file = TempFile::new(name, text.as_bytes());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/structure_judge.py");
    let output = Command::new(python).arg(script).arg(&file.0).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_independent_judge_accepts_every_expected_event() {
    let Some(judge) = judge("expected events by ocsf_check.py") else { return };
    for version in Version::ALL {
        let file = TempFile::new(&format!("judged-{version}.ndjson"), expected(version).as_bytes());
        let said = refusal(&judge, version, &[&file.0], &[]);
        assert!(said.is_none(), "ocsf {version}:\n{}", said.unwrap());
    }
}

/// One Parquet object a class, account and day, of all cases together. Returns how many rows there are.
fn objects(version: Version) -> (usize, Vec<TempFile>) {
    let set = shipped(version).unwrap();
    let mapper = Mapper::new(&set, Options::default());
    let cases = Case::all(&sources());
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    for case in &cases {
        let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
        mapper.map_body(&case.body, origin, &arena, &mut scratch, &mut outcomes);
    }
    let rows: Vec<Row<'_>> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Mapped(mapped) => Some(Row {
                event: &mapped.event,
                class: mapped.class,
                time: mapped.time,
                account: mapped.account,
                enqueued: 1_767_225_600_000,
            }),
            _ => None,
        })
        .collect();
    let mut files = Vec::new();
    for group in group(&rows) {
        let name = set.schema().shape(group.key.class).unwrap().name;
        let columns = Columns::embedded(set.schema(), name).unwrap().unwrap();
        let encoded = encode(set.schema(), &columns, &group.events).unwrap();
        let stamp = Stamp { ocsf_version: version.as_str(), mappings: set.digest() };
        let bytes = write_parquet(&encoded.batch, stamp).unwrap();
        files.push(TempFile::new(&format!("{version}-{}.parquet", files.len()), &bytes));
    }
    (rows.len(), files)
}

/// Rows as pyarrow reads them, a file of NDJSON a Parquet object.
fn rows(python: &str, objects: &[TempFile]) -> Vec<TempFile> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/parquet_rows.py");
    let output = Command::new(python).arg(script).args(objects.iter().map(|file| &file.0)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects.iter().map(|file| TempFile(file.0.with_extension("parquet.ndjson"))).collect()
}

#[test]
fn every_parquet_row_is_valid_and_in_order() {
    let Some(python) = python("rows of the lake's objects") else { return };
    let independent = judge("rows of the lake's objects by ocsf_check.py");
    for version in Version::ALL {
        let (count, files) = objects(version);
        let row_files = rows(&python, &files);
        let texts: Vec<String> = row_files.iter().map(|file| std::fs::read_to_string(&file.0).unwrap()).collect();
        assert_eq!(texts.iter().map(|text| text.lines().count()).sum::<usize>(), count);
        let rules = Rules { security_lake: true, strict_warnings: true, drop_nulls: true, ..Rules::default() };
        let validator = Validator::new(Schema::get(version), rules);
        let mut classes: BTreeMap<String, usize> = BTreeMap::new();
        for text in &texts {
            let mut order = TimeOrder::default();
            for line in text.lines() {
                let arena = Bump::new();
                let mut doc = Doc::new();
                let id = doc.parse(line, &arena, Limits::default()).unwrap();
                let event = doc.value(id);
                let report = validator.check(event);
                assert!(report.valid, "ocsf {version}: {:#?}\n{line}", report.findings);
                assert_eq!(order.check(event), None, "ocsf {version}");
                *classes
                    .entry(event.get("class_name").and_then(|name| name.as_str()).unwrap().to_owned())
                    .or_default() += 1;
            }
        }
        eprintln!("ocsf {version}: {count} rows in {} objects: {classes:?}", files.len());
        assert!(classes.len() >= 9, "{classes:?}");
        if let Some(judge) = &independent {
            let files: Vec<&Path> = row_files.iter().map(|file| file.0.as_path()).collect();
            let said = refusal(judge, version, &files, &["--drop-nulls", "--sorted"]);
            assert!(said.is_none(), "ocsf {version}:\n{}", said.unwrap());
        }
    }
}
