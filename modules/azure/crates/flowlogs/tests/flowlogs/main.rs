//! Blobs to objects, looked at by readers and judges that are not ours.
//!
//! What needs `TRIBUTARY_PYTHON` (the python of `make peers`) fails without it when `TRIBUTARY_REQUIRE_PEERS` is set. What
//! needs `TRIBUTARY_JUDGE` (a folder with `ocsf_check.py` and compiled schemas) or `TRIBUTARY_CORPUS` (real Azure samples)
//! is skipped, loudly, where they are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod faults;
mod fragments;
mod golden;
mod groups;
mod judge;
mod peers;
mod rows;

use std::path::{Path, PathBuf};

use tributary_azure_flowlogs::{Counts, Cutter, FlowLogs, Made, RecordKey, Source};
use tributary_batch::BatchId;
use tributary_lake::Layout;
use tributary_ocsf::Version;

/// 2026-03-02T12:00:00Z
const NOON: i64 = 1_772_452_800_000;

fn logs(version: Version) -> FlowLogs {
    FlowLogs::new(version, Layout::from_prefix("eu-west-1", "azure-", version).unwrap(), "azure").unwrap()
}

/// Pieces of a blob, or with another cutter of a fragment, to what is made of them.
fn convert(
    logs: &FlowLogs,
    mut cutter: Cutter,
    name: &str,
    pieces: &[&[u8]],
    mut wanted: impl FnMut(RecordKey<'_>) -> bool,
) -> (Vec<Made>, Counts) {
    let mut part = logs.part(BatchId::parse("part").unwrap(), Source { name, received: NOON });
    let mut made = Vec::new();
    let mut take = |record: &[u8]| {
        part.read(record, &mut wanted).unwrap();
        made.append(&mut part.ready());
    };
    pieces.iter().for_each(|piece| cutter.push(piece, &mut take));
    cutter.end(&mut take);
    let (rest, counts) = part.finish().unwrap();
    made.extend(rest);
    (made, counts)
}

/// A whole blob under a file's name.
fn blob(logs: &FlowLogs, bytes: &[u8]) -> (Vec<Made>, Counts) {
    convert(logs, Cutter::blob(), "PT1H.json", &[bytes], |_| true)
}

fn cases() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".json") && !name.ends_with(".expected.json") {
            found.push((name, std::fs::read(path).unwrap()));
        }
    }
    found.sort();
    assert!(found.len() >= 4, "cases are missing");
    found
}

/// Flow logs of the folder of real samples; nothing where there is none.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = std::env::var("TRIBUTARY_CORPUS") else {
        eprintln!("SKIPPED real samples: TRIBUTARY_CORPUS names no folder");
        return Vec::new();
    };
    let mut found = Vec::new();
    for within in ["E_vnet_flow", "E_nsg_flow"] {
        for entry in std::fs::read_dir(Path::new(&folder).join(within)).unwrap() {
            let path = entry.unwrap().path();
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    let nested = Path::new(&folder).join("Z_odd/azuredocs_nsg_v1_records_nested_in_records.json");
    found.push((nested.display().to_string(), std::fs::read(&nested).unwrap()));
    assert!(found.len() > 8, "the corpus has no flow logs");
    found
}

fn python(what: &str) -> Option<String> {
    let found = std::env::var("TRIBUTARY_PYTHON").ok().filter(|path| Path::new(path).exists());
    if found.is_none() {
        let required = std::env::var("TRIBUTARY_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "TRIBUTARY_PYTHON names no python, which {what} needs: make peers");
        eprintln!("SKIPPED {what}: TRIBUTARY_PYTHON names no python (make peers)");
    }
    found
}

fn peer(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../tests/peers").join(script)
}
