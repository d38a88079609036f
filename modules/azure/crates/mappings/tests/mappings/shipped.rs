//! The shipped files compile for every version, and every golden case comes out as expected.

use tributary_azure_mappings::{shipped, sources};
use tributary_mapping::{Case, MappingSet, check, describe_kinds, run_case};
use tributary_ocsf::Version;

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
fn the_files_pass_the_check_beside_their_cases_and_the_committed_schemas() {
    let mut faults = Vec::new();
    for set in sets() {
        faults.extend(check(&set, &sources()).iter().map(ToString::to_string));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
