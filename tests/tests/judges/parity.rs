//! Our validator and `ocsf_check.py`, written apart from it in another language, find the same in the same events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_json::{Doc, Limits};
use tributary_ocsf::validate::{Report, Rules, Validator, stated_version};
use tributary_ocsf::{Schema, Version};

use crate::generate::Generator;
use crate::mutate::mutate;
use crate::peers::{TempFile, judge, published_schemas, python};

/// Events a version.
const GENERATED: usize = 5_000;

/// One event's judgement: whether it is valid, and what was found (level, code, path).
type Verdict = (bool, BTreeSet<String>);

/// Judges by the flags of the other judge.
fn ours(text: &str, strict: bool) -> Vec<Verdict> {
    let rules = Rules { security_lake: strict, strict_warnings: strict, max_findings: 100_000, ..Rules::default() };
    let validators = Version::ALL.map(|version| Validator::new(Schema::get(version), rules));
    let judge = |line: &str| {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let report = match doc.parse(line, &arena, Limits { depth: 160, ..Limits::default() }) {
            Ok(id) => {
                let event = doc.value(id);
                // As the other judge: by the version that the event states, else by the first schema it was given.
                let version = stated_version(event).unwrap_or(Version::V1_1_0);
                validators.iter().find(|validator| validator.version() == version).unwrap().check(event)
            }
            Err(error) => Report::not_json(&error),
        };
        let found = report.findings.iter().map(|f| format!("{} {} {}", f.level.letter(), f.code, f.path)).collect();
        (report.valid, found)
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(judge).collect()
}

/// The other judge by the schemas in `schemas`, one JSON file a version.
fn theirs(judge: &Path, schemas: &Path, text: &str, strict: bool) -> Vec<Verdict> {
    let file = TempFile::new(&format!("parity-{strict}.ndjson"), text.as_bytes());
    let mut command = Command::new(std::env::var("TRIBUTARY_PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    command.arg(judge.join("ocsf_check.py"));
    for version in Version::ALL {
        command.arg("--schema").arg(schemas.join(format!("{version}.json")));
    }
    if strict {
        command.args(["--security-lake", "--strict-warnings"]);
    }
    let output = command.arg("--json").arg(&file.0).output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    let verdict = |line: &str| {
        let line: Json = serde_json::from_str(line).unwrap();
        let text = |finding: &Json, key: &str| finding[key].as_str().unwrap().to_owned();
        let found = line["findings"].as_array().unwrap().iter();
        let found = found.map(|f| format!("{} {} {}", text(f, "level"), text(f, "code"), text(f, "path"))).collect();
        (line["ok"].as_bool().unwrap(), found)
    };
    let verdicts: Vec<Verdict> = String::from_utf8(output.stdout).unwrap().lines().map(verdict).collect();
    assert!(!verdicts.is_empty(), "{problem}");
    verdicts
}

/// The same verdict for every event; returns how many are valid and invalid.
fn compare(judge: &Path, schemas: &Path, name: &str, text: &str, strict: bool) -> (usize, usize) {
    let (ours, theirs) = (ours(text, strict), theirs(judge, schemas, text, strict));
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut differences = Vec::new();
    for ((line, ours), theirs) in lines.iter().zip(&ours).zip(&theirs) {
        let shown: String = line.chars().take(3_000).collect();
        if ours.0 != theirs.0 {
            differences.push(format!("VERDICT ours {ours:?}\n  theirs {theirs:?}\n  {shown}"));
        } else if theirs.1.iter().any(|finding| finding.starts_with("E not_json")) {
            // A name that is twice ends the other one's reading; ours goes on, and has seen an error at least.
            let read = ours.1.iter().any(|finding| finding.starts_with("E "));
            assert!(read, "{name}: {shown}");
        } else if canonical(&ours.1) != canonical(&theirs.1) {
            let only =
                |a: &BTreeSet<String>, b: &BTreeSet<String>| format!("{:?}", a.difference(b).collect::<Vec<_>>());
            let (a, b) = (canonical(&ours.1), canonical(&theirs.1));
            differences.push(format!("FINDINGS only ours {}\n  only theirs {}\n  {shown}", only(&a, &b), only(&b, &a)));
        }
    }
    let count = differences.len();
    differences.truncate(10);
    assert!(count == 0, "{name}, strict {strict}: {count} differences, such as\n{}", differences.join("\n"));
    let valid = ours.iter().filter(|(valid, _)| *valid).count();
    (valid, ours.len() - valid)
}

/// What both must have found, in words that they share (docs/VALIDATION.md, "Differences that are meant").
fn canonical(found: &BTreeSet<String>) -> BTreeSet<String> {
    let has = |code: &str| found.iter().any(|finding| finding.contains(&format!(" {code} ")));
    // A number beyond 64 bits takes part in no other rule of ours.
    let beyond = has("integer_overflow");
    let related = [" type_uid_incorrect ", " datetime_mismatch ", " observable_type_mismatch "];
    // Python's `True` is an integer too: the other one compares what it has called a wrong type.
    let wrong_type =
        |finding: &str| found.contains(&finding.replace("W observable_type_mismatch", "E attribute_wrong_type"));
    let is_shared = |finding: &&String| {
        !(beyond && related.iter().any(|code| finding.contains(code))
            || finding.contains(" observable_type_mismatch ") && wrong_type(finding))
    };
    let same = |finding: &String| {
        finding.replace("_super_type_", "_").replace("version_malformed", "version_mismatch").replace('\t', "\\t")
    };
    found.iter().filter(is_shared).map(same).collect()
}

#[test]
fn hand_made_events_get_the_same_verdict() {
    let Some(judge) = judge("verdicts on hand-made events") else { return };
    for version in Version::ALL {
        for (name, valid, invalid) in [("golden", 31, 0), ("good", 2, 0), ("bad", 0, 1), ("mutants", 0, 19)] {
            let file = judge.join(format!("ocsf-check-tests/{name}-{version}.ndjson"));
            let text = std::fs::read_to_string(file).unwrap();
            for strict in [false, true] {
                let counts = compare(&judge, &judge.join("ocsf-compiled"), &format!("{name}-{version}"), &text, strict);
                assert_eq!(counts, (valid, invalid), "{name}-{version}");
            }
        }
    }
}

fn generated(version: Version, seed: u64) -> String {
    let mut generator = Generator::new(Schema::get(version), seed);
    let mut text = String::new();
    for number in 0..GENERATED {
        let mut event = generator.event(number);
        let faults = generator.random.pick(&[0, 0, 0, 1, 1, 1, 2]);
        (0..faults).for_each(|_| mutate(&mut event, &mut generator.random));
        let from = text.len();
        event.write(&mut text);
        // One in two hundred ends early.
        if generator.random.chance(1) && generator.random.chance(50) {
            let mut end = from + generator.random.below(text.len() - from);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end.max(from + 1));
        }
        text.push('\n');
    }
    text
}

#[test]
fn generated_events_get_the_same_verdict() {
    let what = "verdicts on generated events";
    let (judge, python) = (judge(what), python(what));
    let seed = std::env::var("TRIBUTARY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(42);
    for version in Version::ALL {
        let text = generated(version, seed);
        for strict in [false, true] {
            // Good numbers of both kinds, also where no judge is there to compare with.
            let verdicts = ours(&text, strict);
            let valid = verdicts.iter().filter(|(valid, _)| *valid).count();
            let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
            for finding in verdicts.iter().flat_map(|(_, found)| found) {
                *codes.entry(finding.split(' ').nth(1).unwrap()).or_default() += 1;
            }
            eprintln!("ocsf {version}, strict {strict}: {valid} valid, {} invalid of {GENERATED}", GENERATED - valid);
            eprintln!("  {codes:?}");
            let docs = include_str!("../../../docs/VALIDATION.md");
            let unknown: Vec<_> = codes.keys().filter(|code| !docs.contains(&format!("`{code}`"))).collect();
            assert!(unknown.is_empty(), "docs/VALIDATION.md lacks {unknown:?}");
            assert!(valid > 500 && GENERATED - valid > 500, "ocsf {version}, strict {strict}: {valid} valid");
            // By the schemas that the tables come from: other compilers differ in a caption and in where a profile applies.
            if let (Some(judge), Some(python)) = (&judge, &python) {
                let name = format!("generated, ocsf {version}, seed {seed}");
                compare(judge, &published_schemas(python), &name, &text, strict);
            }
        }
    }
}
