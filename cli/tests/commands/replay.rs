//! `replay` over a hub that `run` has read.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::changed::changed_files;
use super::positions::read_hub;
use super::{stderr, stdout};

fn rows(folder: &Path) -> u64 {
    let output = super::tributary().args(["inspect", "lake", "--json"]).current_dir(folder).output().unwrap();
    let lake: Value = serde_json::from_slice(&output.stdout).unwrap();
    lake["objects"].as_array().unwrap().iter().map(|object| object["rows"].as_u64().unwrap()).sum()
}

#[test]
fn a_range_is_sent_again_and_remapped() {
    let folder = TempDir::new().unwrap();
    let hub = read_hub(folder.path(), 20);
    let run = |arguments: &[&str]| hub.command(arguments).current_dir(folder.path()).output().unwrap();
    let before = rows(folder.path());
    let looked = stdout(&run(&["replay", "0", "--dry-run"]));
    assert!(looked.contains("0 to 19 are meant") && looked.contains("0 to 19  staged"), "{looked}");
    let replayed = run(&["replay", "0", "--json"]);
    assert!(replayed.status.success(), "{}", stderr(&replayed));
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert_eq!((&replayed["batches"], &replayed["events"], &replayed["left"]), (&1.into(), &20.into(), &0.into()));
    // By number: the batch that it touches, whole.
    let one = stdout(&run(&["replay", "0", "--from", "7", "--to", "7"]));
    assert!(one.starts_with("sent 20 events: 1 staged batches again"), "{one}");
    let drained = run(&["run", "--once", "--json"]);
    assert!(matches!(drained.status.code(), Some(0 | 3)), "{}", stderr(&drained));
    assert_eq!(rows(folder.path()), before, "a row came twice");

    let maps = changed_files(folder.path());
    let remap = ["replay", "0", "--remap", "--mappings", maps.to_str().unwrap()];
    let asked = run(&remap);
    assert_eq!(asked.status.code(), Some(2));
    assert!(stderr(&asked).contains("--yes"), "{}", stderr(&asked));
    let remapped = run(&[&remap[..], &["--yes", "--json"]].concat());
    assert!(matches!(remapped.status.code(), Some(0 | 3)), "{}", stderr(&remapped));
    let remapped: Value = serde_json::from_slice(&remapped.stdout).unwrap();
    assert_eq!((&remapped["batches"], remapped["mapped"].as_u64()), (&1.into(), Some(before)), "{remapped}");
    assert_eq!(rows(folder.path()), before);

    for (arguments, says) in [
        (&["replay", "9"][..], "no partition"),
        (&["replay", "0", "--from", "yesterday"], "2026-03-01T08:00:00Z"),
        (&["replay", "0", "--remap", "--gaps"], "--gaps"),
        (&["replay", "0", "--consumer-group", "second"], "nothing is committed"),
    ] {
        let refused = run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&refused).contains(says), "{arguments:?}: {}", stderr(&refused));
    }
}
