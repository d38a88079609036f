//! Killing the process at every step, at random moments, and with other maps afterwards: every record exactly once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig};
use tributary_azure_samples::{Expected, Samples};
use tributary_tests::collect::{Arrived, collect};
use tributary_tests::steps::STEPS;

const HUB: &str = "defender";
const PARTITIONS: u32 = 2;
const EVENTS: u64 = 60;
/// Events of a batch here: several batches a partition, so that a commit is also the next plan.
const BATCH: usize = 12;

type Records = BTreeMap<String, Vec<Arrived>>;

/// A hub with samples in it, and what must arrive.
struct Stage {
    runtime: tokio::runtime::Runtime,
    emulator: Option<Emulator>,
    connection: String,
    issued: usize,
    reference: Records,
    /// How long a run without a crash takes.
    took: Duration,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let emulator = Emulator::builder().hub(HubConfig::new(HUB, PARTITIONS)).listen("127.0.0.1:0").start();
        let emulator = runtime.block_on(emulator).unwrap();
        let hub = emulator.hub(HUB).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let mut issued = 0;
        let samples = Samples::new(seed).around(now.as_millis() as i64).malformed_per_mille(80);
        for (index, sample) in samples.events(EVENTS).enumerate() {
            issued += sample.records.iter().map(Expected::marker).count();
            hub.publish(index as u32 % PARTITIONS, Event::new(sample.body)).unwrap();
        }
        let connection = emulator.connection_string(HUB);
        let mut stage = Self {
            runtime,
            emulator: Some(emulator),
            connection,
            issued,
            reference: Records::new(),
            took: Duration::ZERO,
        };
        let folder = tempfile::tempdir().unwrap();
        let started = Instant::now();
        stage.finish(folder.path(), &[]);
        stage.took = started.elapsed();
        stage.reference = arrived(folder.path());
        assert_eq!(stage.reference.len(), issued, "a run without a crash already loses or invents records");
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

    fn check(&self, what: &str, folder: &Path, same_maps: bool) {
        let records = arrived(folder);
        let (missing, duplicate, corrupted) = self.count(&records, same_maps);
        println!(
            "{what:32} issued {} delivered {} missing {missing} duplicate {duplicate} corrupted {corrupted}",
            self.issued,
            records.values().map(Vec::len).sum::<usize>()
        );
        assert_eq!((missing, duplicate, corrupted), (0, 0, 0), "{what}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            self.runtime.block_on(emulator.shutdown());
        }
    }
}

fn arrived(folder: &Path) -> Records {
    collect(&folder.join("lake"), &folder.join("quarantine"))
}

fn killed(mut child: Child) -> bool {
    child.wait().unwrap().signal() == Some(9)
}

#[test]
fn killed_at_every_step_every_record_arrives_once() {
    let stage = Stage::new(1);
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
    let stage = Stage::new(2);
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
    let stage = Stage::new(3);
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
