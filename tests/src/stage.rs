//! A deployment in a folder, without a hub: batches of samples go straight to the transformer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use tributary_azure_samples::{Kind, Sample, Samples};
use tributary_batch::envelope::{self, Encoded};
use tributary_batch::{Batch, Body, Event, Offset, SequenceNumber, SourceRef};
use tributary_lake::{Durability, Layout, LocalStore, Publisher, Quarantine, Staging};
use tributary_mapping::{MappingSet, Options};
use tributary_ocsf::Version;
use tributary_pipeline::{Clock, Stop, Transform, TransformConfig, Transformer};
use tributary_queue::{MemoryQueue, Queue, RedrivePolicy};
use tributary_telemetry::Metrics;

use crate::collect::{Arrived, collect};
use crate::fuse::{Fuse, FusedQueue, FusedStore};

/// 2026-03-02T12:00:00Z, the samples' own base.
pub const NOON: i64 = 1_772_452_800_000;

/// The shipped mapping files, or those of a version that does not know some kinds and has no general map to take their
/// records.
pub fn set(without: &[&str]) -> Arc<MappingSet> {
    let mut sources = tributary_azure_mappings::maps();
    for kind in without {
        let before = sources.len();
        sources.retain(|name, _| !name.starts_with(&format!("{kind}.")));
        assert!(sources.len() < before, "there is no kind {kind}");
        sources.retain(|name, _| !name.starts_with("azure_general."));
    }
    let functions = tributary_azure_mappings::functions();
    Arc::new(MappingSet::compile(&sources, functions, Version::V1_3_0).unwrap())
}

/// The partition that the samples come from.
pub fn source() -> SourceRef {
    SourceRef {
        namespace: "contoso.servicebus.example".into(),
        hub: "defender".into(),
        consumer_group: "tributary".into(),
        partition: "3".into(),
        incarnation: 1_767_225_600_000,
    }
}

/// A sample as the hub numbers it.
pub fn event(number: i64, body: Vec<u8>) -> Event {
    Event {
        sequence_number: SequenceNumber(number),
        offset: Offset::new(format!("o{number}")),
        enqueued_time: NOON + number,
        partition_key: None,
        properties: Vec::new(),
        body: Body::from_bytes(body),
    }
}

/// Batches of samples of every kind, `size` events each.
pub fn batches(seed: u64, events: u64, size: usize) -> Vec<Batch> {
    cut(Samples::new(seed).malformed_per_mille(150).events(events), size)
}

/// Batches of alerts and of what is malformed: few objects, for tests that make them a hundred times.
pub fn small_batches(seed: u64, events: u64, size: usize) -> Vec<Batch> {
    cut(Samples::new(seed).only(&[Kind::DefenderAlert]).malformed_per_mille(300).events(events), size)
}

fn cut(samples: impl Iterator<Item = Sample>, size: usize) -> Vec<Batch> {
    let events: Vec<Event> = (0..).zip(samples).map(|(number, sample)| event(number, sample.body)).collect();
    let batch = |events: &[Event]| Batch {
        module: "azure".into(),
        source: source(),
        first: events[0].sequence_number,
        last: events[events.len() - 1].sequence_number,
        events: events.to_vec(),
    };
    events.chunks(size).map(batch).collect()
}

/// The message of a batch that fits one.
pub fn message(batch: &Batch) -> String {
    match envelope::encode(batch).unwrap() {
        Encoded::Inline(message) => message,
        Encoded::Claim { .. } => panic!("a small batch is no claim"),
    }
}

/// A store of the folder behind a fuse. Its quarantine lies in `quarantine/`, what was retired in `retired/`.
pub fn store(folder: &Path, name: &str, fuse: &Arc<Fuse>) -> Arc<dyn ObjectStore> {
    let store = LocalStore::open(&folder.join(name), Durability::Cached).unwrap();
    Arc::new(FusedStore(Arc::new(store), Arc::clone(fuse)))
}

/// The transform job in a folder, by these maps.
pub fn transform(folder: &Path, set: &Arc<MappingSet>, fuse: &Arc<Fuse>) -> Transform {
    let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(RedrivePolicy::default()));
    transform_with(folder, set, fuse, queue, None)
}

/// The same with a queue of batches, and perhaps one of notifications.
pub fn transform_with(
    folder: &Path,
    set: &Arc<MappingSet>,
    fuse: &Arc<Fuse>,
    queue: Arc<dyn Queue>,
    flow_logs: Option<Arc<dyn Queue>>,
) -> Transform {
    let layout = Layout::from_prefix("us-east-1", "azure-", Version::V1_3_0).unwrap();
    let fused = |queue: Arc<dyn Queue>| -> Arc<dyn Queue> { Arc::new(FusedQueue(queue, Arc::clone(fuse))) };
    Transform {
        queue: fused(queue),
        staging: Staging::new(store(folder, "staging", fuse)),
        publisher: Publisher::new(store(folder, "lake", fuse), store(folder, "", fuse)),
        transformer: Arc::new(Transformer::new(Arc::clone(set), Options::default(), layout).unwrap()),
        flow_logs: flow_logs.map(fused),
        findings: None,
        trail: None,
        metrics: Metrics::new(),
        clock: Clock::new(|| NOON),
        stop: Stop::new(),
        config: TransformConfig::new("azure"),
    }
}

/// The quarantine in a folder.
pub fn quarantine(folder: &Path, fuse: &Arc<Fuse>) -> Quarantine {
    Quarantine::new(store(folder, "", fuse)).unwrap()
}

/// Every record in lake and quarantine, by marker.
pub fn arrived(folder: &Path) -> BTreeMap<String, Vec<Arrived>> {
    collect(&folder.join("lake"), &folder.join("quarantine"))
}

/// Copies a folder, to start many times from one state.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below a folder with its content, but for half-written ones.
pub fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(snapshot(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}
