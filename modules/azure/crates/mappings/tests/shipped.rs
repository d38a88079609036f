//! The shipped files compile for every version, and every golden case comes out as expected.
#![allow(clippy::unwrap_used, clippy::panic)]

use tributary_azure_mappings::{shipped, sources};
use tributary_mapping::{Case, MappingSet, run_case};
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
