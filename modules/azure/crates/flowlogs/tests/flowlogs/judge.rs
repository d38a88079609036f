//! Every tuple of every sample, judged.

use std::process::Command;

use bumpalo::Bump;
use tributary_azure_flowlogs::generate;
use tributary_json::{Doc, Limits};
use tributary_ocsf::validate::{Rules, Validator};
use tributary_ocsf::{Schema, Version};

use crate::{blob, cases, corpus, logs, peer, python, rows};

/// Every sample there is, as events.
fn events(version: Version) -> Vec<(String, String)> {
    let mut samples = cases();
    samples.extend(corpus());
    samples.push(("generated".to_owned(), generate::blob(1, 3_000)));
    let logs = logs(version);
    let mut events = Vec::new();
    for (name, bytes) in samples {
        let (made, _) = blob(&logs, &bytes);
        let mut text = String::new();
        for row in rows::all(&made) {
            text.push_str(&row.to_string());
            text.push('\n');
        }
        events.push((name, text));
    }
    events
}

#[test]
fn our_validator_accepts_every_tuple_of_every_sample() {
    for version in Version::ALL {
        let rules = Rules { security_lake: true, strict_warnings: true, ..Rules::default() };
        let validator = Validator::new(Schema::get(version), rules);
        let mut judged = 0;
        for (name, text) in events(version) {
            for line in text.lines() {
                let arena = Bump::new();
                let mut doc = Doc::new();
                let id = doc.parse(line, &arena, Limits::default()).unwrap();
                let findings = validator.check(doc.value(id)).findings;
                assert!(findings.is_empty(), "ocsf {version}, {name}: {findings:?}\n{line}");
                judged += 1;
            }
        }
        assert!(judged > 3_000, "{judged}");
    }
}

/// The independent judge on what a foreign reader finds in the objects.
#[test]
fn an_independent_judge_accepts_every_tuple_of_every_sample() {
    let Ok(judge) = std::env::var("TRIBUTARY_JUDGE") else {
        eprintln!("SKIPPED flow logs by ocsf_check.py: TRIBUTARY_JUDGE names no folder");
        return;
    };
    let Some(python) = python("flow logs read by pyarrow") else { return };
    for version in Version::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut samples = cases();
        samples.extend(corpus());
        samples.push(("generated".to_owned(), generate::blob(1, 3_000)));
        let logs = logs(version);
        let (mut files, mut tuples) = (Vec::new(), 0);
        for (_, bytes) in samples {
            let (made, counts) = blob(&logs, &bytes);
            tuples += counts.tuples;
            for object in made.iter().flat_map(|made| &made.objects.objects) {
                let path = folder.path().join(format!("{}.parquet", files.len()));
                std::fs::write(&path, &object.bytes).unwrap();
                files.push(path);
            }
        }
        let read = Command::new(&python).arg(peer("parquet_rows.py")).args(&files).output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        let mut judged = 0;
        for file in &files {
            let events = file.with_extension("parquet.ndjson");
            judged += std::fs::read_to_string(&events).unwrap().lines().count() as u64;
            let output = Command::new(&python)
                .arg(format!("{judge}/ocsf_check.py"))
                .args(["--schema", &format!("{judge}/ocsf-compiled/{version}.json"), "--version", version.as_str()])
                .args(["--security-lake", "--strict-warnings", "--sorted", "--drop-nulls"])
                .arg(&events)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "ocsf {version}: {said}");
        }
        assert_eq!(judged, tuples);
    }
}
