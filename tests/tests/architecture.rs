//! The invariants of ARCHITECTURE.md that are marked with a star, and what the pages say of the project's files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "architecture/pages.rs"]
mod pages;

use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The core's rooms, each of which may use only those before it.
const ORDER: [&str; 11] =
    ["telemetry", "aws", "json", "batch", "ocsf", "mapping", "ledger", "queue", "lake", "delivery", "pipeline"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn manifest(path: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{path}/Cargo.toml")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of the packages that a manifest's `[dependencies]` lists.
fn dependencies(manifest: &str) -> Vec<&str> {
    let from = manifest.find("\n[dependencies]").map_or(manifest.len(), |at| at + 1);
    let lines = manifest[from..].lines().skip(1).take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_room_uses_only_rooms_above_it_and_no_module() {
    for (place, room) in ORDER.iter().enumerate() {
        for name in dependencies(&manifest(&format!("crates/{room}"))) {
            let Some(used) = name.strip_prefix("tributary-") else { continue };
            let above = ORDER.iter().position(|known| *known == used).is_some_and(|known| known < place);
            assert!(above, "crates/{room} must not use {name}");
        }
    }
    let listed = std::fs::read_dir(format!("{ROOT}/crates")).unwrap().count();
    assert_eq!(listed, ORDER.len(), "a room of crates/ is missing from this test's order");
}

#[test]
fn the_pure_rooms_do_no_io_and_know_no_clock() {
    for room in ["json", "batch", "ocsf", "mapping"] {
        for name in dependencies(&manifest(&format!("crates/{room}"))) {
            assert!(
                !["tokio", "object_store", "rusqlite", "futures-util", "tracing"].contains(&name),
                "crates/{room} uses {name}"
            );
        }
        let mut files = Vec::new();
        sources(Path::new(&format!("{ROOT}/crates/{room}/src")), &mut files);
        assert!(!files.is_empty());
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap();
            for word in
                ["std::fs", "TcpStream", "UdpSocket", "std::env::", "std::process", "SystemTime", "Instant", "println!"]
            {
                assert!(!product.contains(word), "{} holds {word}", path.display());
            }
        }
    }
}

#[test]
fn the_core_knows_no_cloud_that_events_come_from() {
    let mut files = Vec::new();
    for room in ORDER {
        sources(Path::new(&format!("{ROOT}/crates/{room}/src")), &mut files);
    }
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        // Tests and examples in comments may name a real source; what runs may not.
        let product = text.split("#[cfg(test)]").next().unwrap();
        let code = product.lines().map(|line| line.split("//").next().unwrap_or_default());
        for (number, line) in code.enumerate() {
            let line = line.to_lowercase();
            for word in ["azure", "entra", "event hub", "eventhub", "subscription", "tenant", "microsoft"] {
                let at = line.find(word);
                assert!(at.is_none(), "{}:{}: the core names {word:?}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn code_without_unsafe_and_files_of_one_idea() {
    let mut files = Vec::new();
    for folder in ["crates", "modules", "cli", "tests"] {
        sources(Path::new(&format!("{ROOT}/{folder}")), &mut files);
    }
    for path in files {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 700, "{} has {lines} lines: is it one idea?", path.display());
    }
    assert!(std::fs::read_to_string(format!("{ROOT}/Cargo.toml")).unwrap().contains("unsafe_code = \"forbid\""));
}
