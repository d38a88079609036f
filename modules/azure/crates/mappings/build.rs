//! Lists the mapping files for `maps()`; their cases are embedded as a folder, which cargo does not watch by itself.

#![allow(clippy::panic, reason = "a build script has no other way to say why it fails")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=../../mappings");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../../mappings");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        // Where the crate is, the compiler says: this list may be older than the place that the crate is in now.
        let path = format!("/../../mappings/{name}");
        let _ = writeln!(list, "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),");
    }
    list.push(']');
    let out = PathBuf::from(variable("OUT_DIR")).join("maps.rs");
    if let Err(error) = std::fs::write(&out, list) {
        panic!("cannot write {}: {error}", out.display());
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every `.yaml` below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}
