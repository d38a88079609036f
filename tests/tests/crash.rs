//! Killing the process at every step, at random moments, and with other maps afterwards: every record exactly once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig};
use tributary_azure_samples::{Fates, Samples};
use tributary_lake::{Durability, LocalStore, Staging};
use tributary_queue::{RedrivePolicy, SqliteQueue};
use tributary_tests::collect::{Arrived, collect, collect_findings, collect_notifications, finding_uids, staged_fates};
use tributary_tests::steps::STEPS;

const HUB: &str = "defender";
const PARTITIONS: u32 = 2;
const EVENTS: u64 = 60;
/// Events of a batch here: several batches a partition, so that a commit is also the next plan.
const BATCH: usize = 12;

type Records = BTreeMap<String, Vec<Arrived>>;
/// The different texts of each finding, by `Id`.
type AllFindings = BTreeMap<String, Vec<String>>;

/// A hub with samples in it, and what must arrive.
struct Stage {
    runtime: tokio::runtime::Runtime,
    emulator: Option<Emulator>,
    connection: String,
    issued: Fates,
    reference: Records,
    findings: AllFindings,
    /// Findings of the lake that do not go to Security Hub: they repeat others.
    unsent: BTreeSet<String>,
    /// How long a run without a crash takes.
    took: Duration,
}

impl Stage {
    /// The seed must give records of every fate, notifications in several batches among them.
    fn new(seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let emulator = Emulator::builder().hub(HubConfig::new(HUB, PARTITIONS)).listen("127.0.0.1:0").start();
        let emulator = runtime.block_on(emulator).unwrap();
        let hub = emulator.hub(HUB).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let mut issued = Fates::default();
        let samples = Samples::new(seed).around(now.as_millis() as i64).malformed_per_mille(80);
        for (index, sample) in samples.events(EVENTS).enumerate() {
            issued.add(&sample.records);
            hub.publish(index as u32 % PARTITIONS, Event::new(sample.body)).unwrap();
        }
        let connection = emulator.connection_string(HUB);
        let mut stage = Self {
            runtime,
            emulator: Some(emulator),
            connection,
            issued,
            reference: Records::new(),
            findings: AllFindings::new(),
            unsent: BTreeSet::new(),
            took: Duration::ZERO,
        };
        let folder = tempfile::tempdir().unwrap();
        let started = Instant::now();
        stage.finish(folder.path(), &[]);
        stage.took = started.elapsed();
        let (reference, fates) = stage.arrived(folder.path());
        assert_eq!(fates, issued, "a run without a crash already does not what the samples say");
        assert!(issued.routed > 0 && issued.skipped > 0, "{issued:?}: another seed");
        assert_eq!(
            reference.len() as u64,
            issued.total() - issued.skipped,
            "a run without a crash already loses or invents records"
        );
        stage.reference = reference;
        stage.findings = stage.findings_in(folder.path());
        assert!(stage.findings.len() > 3, "{} findings: another seed", stage.findings.len());
        stage.unsent = unsent(folder.path(), &stage.findings);
        stage
    }

    fn start(&self, folder: &Path, settings: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_crash_worker"))
            .arg(&self.connection)
            .arg(folder)
            .arg(format!("batch={BATCH}"))
            .args(settings)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    /// Runs to the end; panics when it does not get there.
    fn finish(&self, folder: &Path, settings: &[&str]) {
        let output = self.start(folder, settings).wait_with_output().unwrap();
        assert!(output.status.success(), "{settings:?}: {}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
    }

    /// Missing, duplicate and corrupted; with other maps between two attempts a record may rightly look different.
    fn count(&self, records: &Records, same_maps: bool) -> (usize, usize, usize) {
        let missing = self.reference.keys().filter(|marker| !records.contains_key(*marker)).count();
        let duplicate: usize = records.values().map(|places| places.len() - 1).sum();
        let wrong = |(marker, places): &(&String, &Vec<Arrived>)| match self.reference.get(*marker) {
            None => true,
            Some(expected) => same_maps && places[0].content != expected[0].content,
        };
        (missing, duplicate, records.iter().filter(wrong).count())
    }

    /// Every record in lake, quarantine and flow log queue, and how many of each fate the staged outcomes know.
    fn arrived(&self, folder: &Path) -> (Records, Fates) {
        let mut records = collect(&folder.join("lake"), &folder.join("quarantine"));
        let queue = SqliteQueue::open(&folder.join("state.db"), "flow-logs", RedrivePolicy::default()).unwrap();
        for (marker, places) in self.runtime.block_on(collect_notifications(&queue)) {
            records.entry(marker).or_default().extend(places);
        }
        let store = LocalStore::open(&folder.join("staging"), Durability::Cached).unwrap();
        let fates = self.runtime.block_on(staged_fates(&Staging::new(Arc::new(store))));
        (records, fates)
    }

    /// Every finding in its queue.
    fn findings_in(&self, folder: &Path) -> AllFindings {
        let queue = SqliteQueue::open(&folder.join("state.db"), "findings", RedrivePolicy::default()).unwrap();
        self.runtime.block_on(collect_findings(&queue))
    }

    fn check(&self, what: &str, folder: &Path, same_maps: bool) {
        let findings = self.findings_in(folder);
        // Other maps may make another finding of a record, or none: then it is in quarantine.
        assert!(!same_maps || findings == self.findings, "{what}: other findings than without a crash");
        let unsent: Vec<String> =
            unsent(folder, &findings).into_iter().filter(|uid| !self.unsent.contains(uid)).collect();
        assert!(unsent.is_empty(), "{what}: in the lake and on no way to Security Hub: {unsent:?}");
        let (records, fates) = self.arrived(folder);
        let (missing, duplicate, corrupted) = self.count(&records, same_maps);
        let Fates { routed, skipped, .. } = fates;
        println!(
            "{what:32} issued {} delivered {} routed {routed} skipped {skipped} missing {missing} duplicate {duplicate} corrupted {corrupted}",
            self.issued.total(),
            records.values().map(Vec::len).sum::<usize>()
        );
        assert_eq!((missing, duplicate, corrupted), (0, 0, 0), "{what}");
        // Other maps may refuse what these map; what the rules take they take all the same.
        assert_eq!((routed, skipped), (self.issued.routed, self.issued.skipped), "{what}");
        assert_eq!(fates.total(), self.issued.total(), "{what}");
        assert!(!same_maps || fates == self.issued, "{what}: {fates:?}, not {:?}", self.issued);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            self.runtime.block_on(emulator.shutdown());
        }
    }
}

/// Findings whose rows are in the lake and which are not in their queue.
fn unsent(folder: &Path, findings: &AllFindings) -> BTreeSet<String> {
    finding_uids(&folder.join("lake")).into_iter().filter(|uid| !findings.contains_key(uid)).collect()
}

fn killed(mut child: Child) -> bool {
    child.wait().unwrap().signal() == Some(9)
}

#[test]
fn killed_at_every_step_every_record_arrives_once() {
    let stage = Stage::new(111);
    for step in STEPS {
        let times: &[u64] = if step.ends_with("after") { &[1, 2] } else { &[1] };
        for nth in times {
            let folder = tempfile::tempdir().unwrap();
            let end = format!("{step}:{nth}");
            assert!(killed(stage.start(folder.path(), &[&format!("end={end}")])), "{end} was never passed");
            stage.finish(folder.path(), &[]);
            stage.check(&end, folder.path(), true);
        }
    }
}

#[test]
fn killed_at_random_moments_every_record_arrives_once() {
    let stage = Stage::new(260);
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    let took = stage.took.as_millis() as u64;
    let mut kills = 0;
    while kills < 50 {
        // Several deaths of one and the same delivery, then an end.
        let folder = tempfile::tempdir().unwrap();
        let deaths = 2 + below(4);
        for _ in 0..deaths {
            let mut child = stage.start(folder.path(), &[]);
            std::thread::sleep(Duration::from_millis(below(took)));
            let _ = child.kill();
            kills += u32::from(killed(child));
        }
        stage.finish(folder.path(), &[]);
        stage.check(&format!("{deaths} random deaths ({kills} so far)"), folder.path(), true);
    }
}

#[test]
fn with_other_maps_between_two_attempts_every_record_arrives_once() {
    let stage = Stage::new(298);
    let after_staging = [
        "stage.after",
        "publish.before",
        "publish.after",
        "quarantine.before",
        "quarantine.after",
        "delete.before",
        "delete.after",
    ];
    for (first, then) in [("without=defender_alert", None), ("batch=12", Some("without=defender_alert"))] {
        for step in ["send.after", "stage.before"].iter().chain(&after_staging) {
            let folder = tempfile::tempdir().unwrap();
            assert!(killed(stage.start(folder.path(), &[first, &format!("end={step}:1")])), "{step} was never passed");
            stage.finish(folder.path(), then.as_slice());
            stage.check(&format!("{step} {first} {}", then.unwrap_or_default()), folder.path(), false);
        }
    }
}
