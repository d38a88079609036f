//! `flowlogs convert`: blobs from files and standard input. `flowlogs sweep` and `run`: blobs of a storage account.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use tributary_azure_blobs::{Access, Account, Allowed, BlobClient, FLOW_LOG_CONTAINERS};
use tributary_azure_eventhub::Roots;
use tributary_test_servers::Azurite;
use tributary_tests::collect::metadata_uids;
use tributary_tests::watcher::Watcher;

use crate::{Hub, ROOT, run, stderr, stdout, tributary};

fn cases() -> String {
    format!("{ROOT}/modules/azure/crates/flowlogs/cases")
}

#[test]
fn files_become_a_lake_once_and_what_is_bad_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let lake = lake.to_str().unwrap();
    let files: Vec<String> =
        ["network", "odd", "group_v1", "group_v2"].map(|name| format!("{}/{name}.json", cases())).to_vec();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let convert =
        || run(&[&["flowlogs", "convert", "--json", "--region", "eu-west-1", "--out", lake], &files[..]].concat());
    let output = convert();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let first: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&first["blobs"], &first["existing"]), (&json!(4), &json!(0)));
    let expected: usize = files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file.replace(".json", ".expected.json")).unwrap();
            serde_json::from_str::<Value>(&text).unwrap()["rows"].as_array().unwrap().len()
        })
        .sum();
    assert_eq!(first["tuples"], expected);
    let again: Value = serde_json::from_str(&stdout(&convert())).unwrap();
    assert_eq!((&again["existing"], &again["objects"]), (&first["objects"], &json!(0)));
    let output = run(&["inspect", lake]);
    assert!(stdout(&output).contains("Network Activity"), "{}{}", stdout(&output), stderr(&output));
    let output = run(&["validate", &format!("{lake}/ext/azure-network")]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn standard_input_is_a_blob_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = tributary()
        .args(["flowlogs", "convert", "--ocsf-version", "1.1.0", "--out"])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let blob = std::fs::read(format!("{}/group_v2.json", cases())).unwrap();
    child.stdin.take().unwrap().write_all(&blob).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("blobs 1, records 1, tuples 6, objects 1 ("), "{}", stdout(&output));
    assert!(folder.path().join("ext/azure-network/1.1.0").is_dir());
}

#[test]
fn what_is_no_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["flowlogs", "convert", "no-such-file.json", "--out", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("no-such-file.json"), "{}", stderr(&output));
}

const TUPLES: u64 = 600;

/// A storage account with two blobs that grow.
struct Storage {
    azurite: Azurite,
    runtime: tokio::runtime::Runtime,
    watchers: Vec<Watcher>,
    sequencer: u64,
}

impl Storage {
    fn start() -> Option<Self> {
        let azurite = Azurite::by_key()?;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let account = Account::at(Azurite::ACCOUNT, &azurite.endpoint()).unwrap();
        let key = Access::Key(Azurite::KEY.into());
        let client = BlobClient::new(Allowed::flow_logs([account.clone()]), key, &Roots::Native).unwrap();
        runtime.block_on(client.create_container(&account.name, FLOW_LOG_CONTAINERS[0])).unwrap();
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let watchers = [1, 2].map(|number| Watcher::new(client.clone(), &account, now, number, TUPLES)).into();
        Some(Self { azurite, runtime, watchers, sequencer: 0 })
    }

    /// The next minute of each blob, and files with their announcements.
    fn minute(&mut self, folder: &Path) -> Vec<String> {
        let mut files = Vec::new();
        for watcher in &mut self.watchers {
            self.sequencer += 1;
            let written = self.runtime.block_on(watcher.minute(self.sequencer)).unwrap();
            let file = folder.join(format!("{}.json", self.sequencer));
            std::fs::write(&file, written.event("2026-03-02T12:00:00Z")).unwrap();
            files.push(file.display().to_string());
        }
        files
    }

    /// Makes `command` a reader of it.
    fn of(&self, command: &mut Command) -> Output {
        command.env("AZURE_STORAGE_ACCOUNT", format!("{}={}", Azurite::ACCOUNT, self.azurite.endpoint()));
        command.env("AZURE_STORAGE_KEY", Azurite::KEY).output().unwrap()
    }
}

fn rows(folder: &Path) -> u64 {
    let uids = metadata_uids(&folder.join("lake"));
    assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), uids.len(), "ids stand twice");
    uids.len() as u64
}

#[test]
fn a_run_reads_what_the_hub_announces_and_a_sweep_what_was_never_announced() {
    let Some(mut storage) = Storage::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start("1");
    let pass = |storage: &Storage| -> Value {
        let mut command = hub.command(&["run", "--once", "--json", "--flow-log-queue", "sqlite:tributary.db"]);
        let output = storage.of(command.args(["--region", "eu-west-1"]).current_dir(folder.path()));
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let sweep = |storage: &Storage, arguments: &[&str]| -> Value {
        let mut command = tributary();
        command.args(["flowlogs", "sweep", "--json", "--region", "eu-west-1"]).args(arguments);
        let output = storage.of(command.current_dir(folder.path()));
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for minute in 1..=2 {
        let announced = storage.minute(folder.path());
        let files: Vec<&str> = announced.iter().map(String::as_str).collect();
        assert!(hub.run(&[&["send"], &files[..]].concat()).status.success());
        let report = pass(&storage);
        assert_eq!((&report["routed"], &report["flowNotifications"]), (&json!(2), &json!(2)), "{report}");
        assert_eq!((&report["flowRecords"], &report["flowTuples"]), (&json!(2), &json!(20)), "{report}");
        assert_eq!(rows(folder.path()), minute * 20);
    }
    // A minute of which nobody hears.
    storage.minute(folder.path());
    let report = sweep(&storage, &["--dry-run"]);
    assert_eq!((&report["blobs"], &report["behind"], &report["tuples"]), (&json!(2), &json!(2), &json!(0)), "{report}");
    let report = sweep(&storage, &["--prefix", "resourceId="]);
    assert_eq!(report["blobs"], 0, "{report}");
    let report = sweep(&storage, &[]);
    assert_eq!(
        (&report["behind"], &report["tuples"], &report["failed"]),
        (&json!(2), &json!(20), &json!(0)),
        "{report}"
    );
    assert_eq!(rows(folder.path()), 60);
    assert_eq!(sweep(&storage, &[])["behind"], 0);
}

#[test]
fn what_a_reader_of_flow_logs_lacks_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = |arguments: &[&str]| {
        let mut command = tributary();
        let output = command.args(["flowlogs", "sweep"]).args(arguments).current_dir(folder.path()).output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let (code, said) = sweep(&["--storage-account", "contoso"]);
    assert!(code == Some(2) && said.contains("--flow-logs-secret (AZURE_FLOWLOGS_SECRET_NAME)"), "{said}");
    let (code, said) = sweep(&["--storage-account", "con_toso"]);
    assert!(code == Some(2) && said.contains("entry 1 is no storage account"), "{said}");
    let (code, said) = sweep(&["--since-hours", "200"]);
    assert!(code == Some(2) && said.contains("1..=167"), "{said}");
    let hub = Hub::start("1");
    let mut command = hub.command(&["run", "--once", "--storage-account", "contoso"]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--flow-log-queue"), "{}", stderr(&output));
}
