//! What arrived: every record of a lake and a quarantine, by marker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use tributary_azure_samples::is_marker;
use tributary_lake::{QuarantineLimits, QuarantineReader};

/// One record as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    /// Where it lies.
    pub file: String,
    /// Everything that is stored of it, in one comparable text.
    pub content: String,
}

/// Every record below `lake` and `quarantine`, by marker; binary bodies, which carry none, by their position.
pub fn collect(lake: &Path, quarantine: &Path) -> BTreeMap<String, Vec<Arrived>> {
    let mut records: BTreeMap<String, Vec<Arrived>> = BTreeMap::new();
    for path in files(lake, "parquet") {
        let reader = SerializedFileReader::new(Bytes::from(std::fs::read(&path).unwrap())).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let marker = marker(&row);
            records.entry(marker).or_default().push(Arrived { file: name(&path), content: row.to_string() });
        }
    }
    for path in files(quarantine, "zst") {
        let bytes = std::fs::read(&path).unwrap();
        for entry in QuarantineReader::new(&bytes, QuarantineLimits::default()).unwrap() {
            let entry = entry.unwrap();
            let position = &entry.position;
            let key = marker_in(&entry.raw)
                .unwrap_or_else(|| format!("{}/{}", position["partition"], position["sequenceNumber"]));
            let content = serde_json::to_string(&entry).unwrap();
            records.entry(key).or_default().push(Arrived { file: name(&path), content });
        }
    }
    records
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Files with this extension below a folder; hidden folders hold nothing that a reader should see.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The marker of a row: the whole of `metadata.correlation_uid`, or a part of `finding_info.uid`.
fn marker(row: &Row) -> String {
    let text = |group: &str, member: &str| {
        let group = row.get_column_iter().find(|(name, _)| *name == group)?;
        let Field::Group(inner) = group.1 else { return None };
        let field = inner.get_column_iter().find(|(name, _)| *name == member)?;
        if let Field::Str(text) = field.1 { Some(text.clone()) } else { None }
    };
    let found = text("metadata", "correlation_uid").filter(|text| is_marker(text));
    let found = found.or_else(|| text("finding_info", "uid").and_then(|uid| marker_in(&uid)));
    found.unwrap_or_else(|| panic!("a row without a marker: {row}"))
}

/// The first marker within a text.
pub fn marker_in(text: &str) -> Option<String> {
    let starts = text.char_indices().map(|(at, _)| at);
    starts.filter_map(|at| text.get(at..at + 36)).find(|part| is_marker(part)).map(str::to_owned)
}
