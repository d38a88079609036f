//! The shipped files compile for every version, and every golden case comes out as expected.

use std::collections::BTreeSet;

use bumpalo::Bump;
use tributary_azure_mappings::{shipped, sources};
use tributary_mapping::{Case, Mapper, MappingSet, Options, Origin, Outcome, Scratch, describe_kinds, run_case};
use tributary_ocsf::Version;
use tributary_ocsf::columns::Columns;

fn sets() -> Vec<MappingSet> {
    Version::ALL
        .into_iter()
        .map(|version| {
            shipped(version).unwrap_or_else(|faults| {
                panic!("{version}:\n{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            })
        })
        .collect()
}

#[test]
fn every_file_compiles_for_every_version() {
    assert!(sets().iter().all(|set| !set.kinds().is_empty()));
}

#[test]
fn every_case_comes_out_as_expected() {
    let sets = sets();
    let sets: Vec<&MappingSet> = sets.iter().collect();
    let mut failed = Vec::new();
    for case in Case::all(&sources()) {
        let report = run_case(&sets, &case);
        failed.extend(report.differences.iter().map(|difference| format!("{}: {difference}", case.path)));
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

/// The workspace's root.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../..");

#[test]
fn the_table_of_mappings_is_up_to_date() {
    let committed = std::fs::read_to_string(format!("{ROOT}/docs/MAPPINGS.md")).unwrap();
    let actual = describe_kinds(&shipped(Version::V1_3_0).unwrap());
    assert!(committed == actual, "docs/MAPPINGS.md is stale: tributary mappings list --markdown > docs/MAPPINGS.md");
}

#[test]
fn the_committed_schemas_hold_every_path_that_a_map_sets() {
    for set in sets() {
        for class in set.classes() {
            let text = Columns::committed(set.schema(), class).unwrap_or_else(|| panic!("no schema of {class}"));
            let known: BTreeSet<String> =
                text.lines().filter_map(|line| Some(line.split_once(": ")?.0.replace("[]", ""))).collect();
            for path in set.targets(class) {
                let covered = known.contains(&path) || known.iter().any(|leaf| path.starts_with(&format!("{leaf}.")));
                assert!(covered, "{class} lacks {path}: tributary mappings schema");
            }
        }
    }
}

/// With TRIBUTARY_CORPUS: every record of real files is mapped or refused with a reason, and nothing panics.
#[test]
fn the_shared_corpus_is_conserved() {
    let Ok(corpus) = std::env::var("TRIBUTARY_CORPUS") else {
        return eprintln!("SKIPPED: TRIBUTARY_CORPUS names no folder");
    };
    let (mut files, mut mapped, mut refused) = (0, 0, 0);
    for set in sets() {
        let mapper = Mapper::new(&set, Options::default());
        for path in walk(std::path::Path::new(&corpus)) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            let arena = Bump::new();
            let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
            let origin = Origin { uid: "corpus", enqueued_time: Some(1_767_225_600_000) };
            mapper.map_body(&text, origin, &arena, &mut scratch, &mut outcomes);
            assert!(!outcomes.is_empty(), "{}", path.display());
            let folder = path.parent().and_then(|folder| folder.file_name()).unwrap().to_string_lossy().into_owned();
            for outcome in outcomes {
                match outcome {
                    Outcome::Mapped(_) => mapped += 1,
                    Outcome::Refused(refusal) => {
                        refused += 1;
                        let ours = ["A_mdc", "B_activity_administrative", "C_entra_audit"];
                        let ours = folder == "C_entra_signin" || ours.iter().any(|name| folder.starts_with(name));
                        assert!(!ours, "{}: {} {}", path.display(), refusal.reason.as_str(), refusal.detail);
                    }
                }
            }
            files += 1;
        }
    }
    eprintln!("{files} files: {mapped} mapped, {refused} refused");
    assert!(files > 0 && mapped > 0);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

/// With TRIBUTARY_JUDGE: an independent, strict judge accepts every event of every case, in every version.
#[test]
fn the_independent_judge_accepts_every_event() {
    let Ok(judge) = std::env::var("TRIBUTARY_JUDGE") else {
        return eprintln!("SKIPPED: TRIBUTARY_JUDGE names no folder");
    };
    for set in sets() {
        let version = set.schema().version;
        let mut events = String::new();
        for case in Case::all(&sources()) {
            let report = run_case(&[&set], &case);
            for event in report.actual[version.as_str()].as_array().unwrap() {
                events += &format!("{event}\n");
            }
        }
        let file = std::env::temp_dir().join(format!("tributary-judge-{}-{version}.ndjson", std::process::id()));
        std::fs::write(&file, events).unwrap();
        let output = std::process::Command::new("python3")
            .arg(format!("{judge}/ocsf_check.py"))
            .arg("--schema")
            .arg(format!("{judge}/ocsf-compiled/{version}.json"))
            .args(["--version", version.as_str(), "--security-lake", "--strict-warnings"])
            .arg(&file)
            .output()
            .unwrap();
        let _ = std::fs::remove_file(&file);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
