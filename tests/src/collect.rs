//! What arrived: every record of a lake, a quarantine and a flow log queue, by marker; and what the staged outcomes say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use tributary_azure_samples::{Fates, marker_in, marker_of};
use tributary_lake::{QuarantineLimits, QuarantineReader, Staging};
use tributary_queue::{MAX_RECEIVE, Queue};

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
                .map_or_else(|| format!("{}/{}", position["partition"], position["sequenceNumber"]), str::to_owned);
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

/// Every notification in the flow log queue, by marker, and what came of it. The queue has them at least once, so the same
/// one again is none too many; that it is the same is what counts.
pub async fn collect_notifications(queue: &dyn Queue) -> BTreeMap<String, Vec<Arrived>> {
    let mut records: BTreeMap<String, Vec<Arrived>> = BTreeMap::new();
    loop {
        // Nobody else takes them: none is hidden when none comes.
        let messages = queue.receive(MAX_RECEIVE, Duration::from_secs(600), Duration::ZERO).await.unwrap();
        if messages.is_empty() {
            return records;
        }
        for message in messages {
            let message: serde_json::Value = serde_json::from_str(&message.body).unwrap();
            for notification in message["notifications"].as_array().unwrap() {
                let marker = notification["id"].as_str().unwrap().to_owned();
                let arrived = Arrived { file: "flow log queue".to_owned(), content: notification.to_string() };
                let places = records.entry(marker).or_default();
                if !places.contains(&arrived) {
                    places.push(arrived);
                }
            }
        }
    }
}

/// Every finding in its queue, by `Id`, and what came of it: at least once, as notifications.
pub async fn collect_findings(queue: &dyn Queue) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        let messages = queue.receive(MAX_RECEIVE, Duration::from_secs(600), Duration::ZERO).await.unwrap();
        if messages.is_empty() {
            return found;
        }
        for message in messages {
            let message: serde_json::Value = serde_json::from_str(&message.body).unwrap();
            assert_eq!(message["schema"], "tributary.findings/1");
            for finding in message["findings"].as_array().unwrap() {
                // Updates of one finding share its Id, each with another text.
                let texts = found.entry(finding["Id"].as_str().unwrap().to_owned()).or_default();
                let text = finding.to_string();
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
        found.values_mut().for_each(|texts| texts.sort());
    }
}

/// `finding_info.uid` of every row of a finding in a lake: what its finding's `Id` is.
pub fn finding_uids(lake: &Path) -> BTreeSet<String> {
    uids(lake, "finding_info").into_iter().collect()
}

/// `metadata.uid` of every row of a lake, as often as it is there.
pub fn metadata_uids(lake: &Path) -> Vec<String> {
    uids(lake, "metadata")
}

fn uids(lake: &Path, object: &str) -> Vec<String> {
    let mut uids = Vec::new();
    for path in files(lake, "parquet") {
        let reader = SerializedFileReader::new(Bytes::from(std::fs::read(&path).unwrap())).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let mut columns = row.get_column_iter();
            let Some((_, Field::Group(group))) = columns.find(|(column, _)| *column == object) else { continue };
            let uid = group.get_column_iter().find(|(member, _)| *member == "uid");
            uids.extend(uid.and_then(|(_, field)| text(field)));
        }
    }
    uids
}

/// What the staged outcomes, which decide what is delivered, say in all of the fates of their records.
pub async fn staged_fates(staging: &Staging) -> Fates {
    let mut fates = Fates::default();
    for batch in staging.list("").await.unwrap() {
        let counts = staging.read(&batch).await.unwrap().unwrap().manifest().counts;
        fates.mapped += counts.mapped;
        fates.quarantined += counts.quarantined;
        fates.routed += counts.routed;
        fates.skipped += counts.skipped;
    }
    fates
}

fn marker(row: &Row) -> String {
    let text = |object: &str, name: &str| match row.get_column_iter().find(|(column, _)| *column == object)?.1 {
        Field::Group(inner) => {
            inner.get_column_iter().find(|(member, _)| *member == name).and_then(|(_, field)| text(field))
        }
        Field::MapInternal(map) => {
            let entries = map.entries();
            entries.iter().find(|(key, _)| text(key).is_some_and(|key| key == name)).and_then(|(_, value)| text(value))
        }
        _ => None,
    };
    marker_of(text).unwrap_or_else(|| panic!("a row without a marker: {row}"))
}

fn text(field: &Field) -> Option<String> {
    if let Field::Str(text) = field { Some(text.clone()) } else { None }
}
