//! Several processes over one hub, ledger, queue and lake: they join, leave in order and die, and every record arrives once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tributary_azure_samples::{Fates, Samples};
use tributary_queue::Counts;
use tributary_test_servers::Server;

use super::aws::{arrived_once, counts};
use super::{Hub, stderr};

const PARTITIONS: i64 = 6;
/// Longest that the workers may take for a step; a dead one's lease ends after half a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process of `tributary run`; killed when it is dropped.
struct Worker {
    process: Child,
    log: tempfile::NamedTempFile,
}

impl Worker {
    fn start(hub: &Hub, server: &Server, queue: &str, folder: &Path) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut arguments =
            vec!["run", "--interval", "1", "--budget", "15", "--json", "--flow-log-queue", "sqs:flow-logs"];
        arguments.extend(["--ledger", "dynamodb:tributary", "--queue", queue, "--staging", "s3://tributary-staging"]);
        arguments.extend(["--lake", "s3://tributary-lake", "--quarantine", "s3://tributary-quarantine"]);
        let mut command = hub.command(&arguments);
        server.settings(&mut command).current_dir(folder).stdin(Stdio::null());
        command.stdout(log.reopen().unwrap()).stderr(log.reopen().unwrap());
        Self { process: command.spawn().unwrap(), log }
    }

    /// How its leases begin: the process's number is in the worker's name.
    fn owner(&self) -> String {
        format!("run-{}-", self.process.id())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// What it says of itself after SIGTERM.
    fn ends_in_order(mut self) -> String {
        let killed = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let code = self.process.wait().unwrap().code();
        assert_eq!(code, Some(0), "{}", self.log());
        self.log()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The positions as the ledger shows them.
fn positions(hub: &Hub, server: &Server, folder: &Path) -> Vec<Value> {
    let mut command = hub.command(&["positions", "list", "--json", "--ledger", "dynamodb:tributary"]);
    let output = server.settings(&mut command).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["positions"].as_array().unwrap().clone()
}

/// Waits until it is so of the positions.
fn wait_until(what: &str, positions: impl Fn() -> Vec<Value>, holds: impl Fn(&[Value]) -> bool) {
    let started = Instant::now();
    loop {
        let now = positions();
        if holds(&now) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: {now:?}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Whether the owners have these many partitions.
fn shared(positions: &[Value], wanted: &[(&Worker, usize)]) -> bool {
    let mut owned: BTreeMap<String, usize> = wanted.iter().map(|(worker, _)| (worker.owner(), 0)).collect();
    for position in positions {
        let owner = position["owner"].as_str().unwrap_or_default();
        match owned.iter_mut().find(|(name, _)| owner.starts_with(name.as_str())) {
            Some((_, count)) => *count += 1,
            None => return false,
        }
    }
    wanted.iter().all(|(worker, count)| owned[&worker.owner()] == *count)
}

/// Whether all that was sent is committed. Sequence numbers begin with zero.
fn committed(positions: &[Value], events: i64) -> bool {
    let read = positions.iter().map(|position| position["sequenceNumber"].as_i64().map_or(0, |last| last + 1));
    read.sum::<i64>() == events
}

#[tokio::test]
async fn processes_join_and_leave_without_loss_or_duplicates() {
    let Some(server) = Server::moto() else { return };
    server.table("tributary").await;
    let queue = server.queue("events", 5).await;
    server.queue("flow-logs", 5).await;
    ["tributary-staging", "tributary-lake", "tributary-quarantine"].iter().for_each(|name| server.bucket(name));
    let (hub, folder) = (Hub::start(&PARTITIONS.to_string()), TempDir::new().unwrap());
    let (url, folder) = (format!("sqs:{queue}"), folder.path());
    let mut issued = Fates::default();
    let mut sent = 0_i64;
    let mut send = |events: u64| {
        let seed = sent.to_string();
        let output = hub.run(&["send", "--samples", &events.to_string(), "--seed", &seed]);
        assert!(output.status.success(), "{}", stderr(&output));
        Samples::new(u64::try_from(sent).unwrap()).events(events).for_each(|sample| issued.add(&sample.records));
        sent += i64::try_from(events).unwrap();
        sent
    };
    let worker = || Worker::start(&hub, &server, &url, folder);
    let listed = || positions(&hub, &server, folder);

    let first = worker();
    let all = send(120);
    wait_until("one process reads all partitions", listed, |now| shared(now, &[(&first, 6)]) && committed(now, all));
    // Another joins while events arrive.
    let second = worker();
    send(120);
    wait_until("two share", listed, |now| shared(now, &[(&first, 3), (&second, 3)]));
    let third = worker();
    let all = send(120);
    wait_until("three share", listed, |now| {
        shared(now, &[(&first, 2), (&second, 2), (&third, 2)]) && committed(now, all)
    });

    // One leaves in order, and one dies, while events arrive.
    send(120);
    let said = first.ends_in_order();
    assert!(said.contains("\"message\":"), "{said}");
    let all = send(60);
    drop(second);
    wait_until("the last one has all", listed, |now| shared(now, &[(&third, 6)]) && committed(now, all));
    let started = Instant::now();
    while counts(&server, &queue).await != Counts::default() {
        assert!(started.elapsed() < PATIENCE, "{:?}", counts(&server, &queue).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    third.ends_in_order();

    arrived_once(&server, folder, &issued).await;
}
