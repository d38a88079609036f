//! `positions` over a hub and a ledger that `run` has used.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{Hub, stderr, stdout};

/// A hub with events, read to the end by `run --once` in `folder`.
pub(crate) fn read_hub(folder: &Path, events: u64) -> Hub {
    let hub = Hub::start("1");
    let count = events.to_string();
    hub.run(&["send", "--samples", &count, "--seed", "7"]);
    let ran = hub.command(&["run", "--once"]).current_dir(folder).output().unwrap();
    assert!(matches!(ran.status.code(), Some(0 | 3)), "{}", stderr(&ran));
    hub
}

fn listed(folder: &Path, hub: &Hub) -> Value {
    let output = hub.command(&["positions", "list", "--json"]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["positions"][0].clone()
}

#[test]
fn a_partition_is_shown_and_moved() {
    let folder = TempDir::new().unwrap();
    let hub = read_hub(folder.path(), 20);
    let run = |arguments: &[&str]| hub.command(arguments).current_dir(folder.path()).output().unwrap();
    let before = listed(folder.path(), &hub);
    assert_eq!((&before["partition"], &before["sequenceNumber"]), (&"0".into(), &19.into()), "{before}");
    assert_eq!((&before["hub"], &before["leased"]), (&"events".into(), &false.into()));
    let table = stdout(&run(&["positions", "list"]));
    assert!(table.contains("sequence number") && table.contains("consumer group $Default"), "{table}");

    // Nobody can be asked in a test.
    let refused = run(&["positions", "set", "0", "--to", "9"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--yes"), "{}", stderr(&refused));
    let looked = stdout(&run(&["positions", "set", "0", "--to", "9", "--dry-run"]));
    assert!(looked.contains("10 events are read again") && looked.contains("nothing was changed"), "{looked}");
    let beyond = run(&["positions", "set", "0", "--to", "20", "--yes"]);
    assert_eq!(beyond.status.code(), Some(2));
    assert!(stderr(&beyond).contains("beyond the hub's last event 19"), "{}", stderr(&beyond));
    assert_eq!(listed(folder.path(), &hub)["epoch"], before["epoch"], "nothing was changed");

    let moved = run(&["positions", "set", "0", "--to", "9", "--yes", "--json"]);
    assert!(moved.status.success(), "{}", stderr(&moved));
    let moved: Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!((&moved["from"], &moved["to"], &moved["readAgain"]), (&19.into(), &9.into(), &10.into()), "{moved}");
    let after = listed(folder.path(), &hub);
    assert_eq!(after["sequenceNumber"], 9);
    assert!(after["offset"].as_str().is_some_and(|offset| !offset.is_empty()), "{after}");
    let again = run(&["run", "--once"]);
    assert!(stdout(&again).starts_with("events 10,"), "{}", stdout(&again));

    let reset = run(&["positions", "reset", "0", "--yes"]);
    assert!(reset.status.success(), "{}", stderr(&reset));
    assert_eq!(listed(folder.path(), &hub).get("sequenceNumber"), None);
}
