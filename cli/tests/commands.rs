//! The built program as a user calls it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
#[path = "commands/aws.rs"]
mod aws;
#[path = "commands/changed.rs"]
mod changed;
#[path = "commands/delivery.rs"]
mod delivery;
#[path = "commands/doctor.rs"]
mod doctor;
#[path = "commands/documents.rs"]
mod documents;
#[path = "commands/flowlogs.rs"]
mod flowlogs;
#[path = "commands/identity.rs"]
mod identity;
#[path = "commands/map.rs"]
mod map;
#[path = "commands/mappings.rs"]
mod mappings;
#[path = "commands/positions.rs"]
mod positions;
#[path = "commands/redrive.rs"]
mod redrive;
#[path = "commands/replay.rs"]
mod replay;
#[path = "commands/s3.rs"]
mod s3;
#[path = "commands/sharing.rs"]
mod sharing;
#[path = "commands/validate.rs"]
mod validate;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tributary_azure_samples::{Fates, Samples};

const BINARY: &str = env!("CARGO_BIN_EXE_tributary");
/// The workspace's root.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program without the variables of whoever runs the tests.
fn tributary() -> Command {
    let mut command = Command::new(BINARY);
    for name in [
        "EVENTHUB_CONNECTION_STRING",
        "EVENTHUB_NAME",
        "EVENTHUB_CONSUMER_GROUP",
        "EVENTHUB_NAMESPACE",
        "AZURE_AUTHENTICATION",
        "AZURE_AUTHORITY_HOST",
        "AZURE_CLIENT_ID",
        "AZURE_CREDENTIALS_SECRET_NAME",
        "AZURE_TENANT_ID",
        "AZURE_FLOWLOGS_SECRET_NAME",
        "AZURE_STORAGE_ACCOUNT",
        "AZURE_STORAGE_CONTAINERS",
        "AZURE_STORAGE_KEY",
        "TRIBUTARY_CONFIG",
        "OCSF_VERSION",
        "AWS_REGION",
        "AWS_ACCOUNT_ID",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "SECURITY_LAKE_WRITER_ROLE_ARN",
        "SECURITY_LAKE_WRITER_EXTERNAL_ID",
        "SECURITY_LAKE_KMS_KEY_ARN",
        "MAPPINGS_URI",
        "MAPPINGS_DIGEST",
        "SECURITY_LAKE_SOURCES",
        "CHECKPOINT_TABLE_NAME",
        "DYNAMODB_TABLE_NAME",
        "SQS_QUEUE_URL",
        "STAGING_BUCKET",
        "QUARANTINE_BUCKET",
        "SECURITY_LAKE_S3_BUCKET",
        "FLOW_LOG_SQS_QUEUE",
        "ASFF_SQS_QUEUE",
        "SECURITY_HUB_ACCOUNT_ID",
        "SECURITY_HUB_REGION",
        "SECURITY_HUB_ROLE_ARN",
        "CLOUDTRAIL_ENABLED",
        "CLOUDTRAIL_CHANNEL_ARN",
    ] {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    tributary().args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A lake of all golden cases.
fn lake(folder: &Path) -> PathBuf {
    let lake = folder.join("lake");
    let mut command = tributary();
    command.arg("lake").arg("--out").arg(&lake);
    let mappings = PathBuf::from(ROOT).join("modules/azure/mappings");
    let mut cases = 0;
    for kind in std::fs::read_dir(mappings).unwrap() {
        let kind = kind.unwrap().path();
        // A module's own cases are for what is not mapped.
        if !kind.to_string_lossy().ends_with(".cases") || kind.ends_with("module.cases") {
            continue;
        }
        for case in std::fs::read_dir(kind).unwrap() {
            let case = case.unwrap().path();
            if !case.to_string_lossy().ends_with(".expected.json") {
                command.arg(case);
                cases += 1;
            }
        }
    }
    assert!(cases > 20, "only {cases} cases");
    let output = command.output().unwrap();
    // Some hostile records lack what OCSF requires: those are in quarantine.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
    lake
}

#[test]
fn every_command_has_help() {
    let help = stdout(&run(&["--help"]));
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    // A description that goes on in the next line stands further right.
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for name in
        ["demo", "doctor", "emulator", "inspect", "lake", "map", "mappings", "receive", "run", "send", "validate"]
    {
        assert!(commands.contains(&name), "{name} in {commands:?}");
    }
    assert!(help.contains("Exit codes"), "{help}");
    for command in commands.iter().filter(|command| **command != "help") {
        let output = run(&[command, "--help"]);
        assert!(output.status.success(), "{command}");
        assert!(stdout(&output).contains(&format!("Usage: tributary {command}")), "{command}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_right() {
    for arguments in [&["inspect"][..], &["inspect", "--wrong", "x"], &["nonsense"], &["lake", "x"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("Usage: tributary"), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_lake_is_written_once_however_often_the_command_runs() {
    let folder = TempDir::new().unwrap();
    let (lake, event) = (folder.path().join("lake"), folder.path().join("event.json"));
    std::fs::write(&event, "[{\"no\": \"kind\", \"sig\": \"https://a/b?sig=secret\"}]").unwrap();
    let run = || -> Value {
        let output = run(&["lake", "--json", "--out", lake.to_str().unwrap(), event.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(output.stderr.is_empty(), "no progress bar in a pipe");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = run();
    assert_eq!((&first["objects"], &first["existing"]), (&1.into(), &0.into()));
    assert_eq!(first["quarantined"], serde_json::json!({"unknown-kind": 1}));
    let second = run();
    assert_eq!((&second["objects"], &second["existing"], &second["bytes"]), (&0.into(), &1.into(), &0.into()));
    let day = std::fs::read_dir(lake.join("quarantine/azure")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(day.file_name().unwrap().len(), 4, "a year: {}", day.display());
    let refused = tributary().args(["lake", "--region", "../x", "--out", lake.to_str().unwrap()]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[test]
fn inspect_shows_a_lake() {
    let folder = TempDir::new().unwrap();
    let lake = lake(folder.path());
    let output = run(&["inspect", lake.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for word in ["2004 Detection Finding 1.3.0", "accounts", "total", "finding_info.title"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    // Few objects are shown one account and day a line.
    let few = stdout(&run(&["inspect", lake.join("ext/azure-vulnerability").to_str().unwrap()]));
    assert!(few.contains("2002 Vulnerability Finding 1.3.0 ┆ external_"), "{few}");
    // Cases hold escape and direction characters: a terminal must not get them.
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n' || letter == '\u{202e}'));

    let json = run(&["inspect", "--json", "--rows", "1000", lake.to_str().unwrap()]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let sum =
        |list: &Value| list.as_array().unwrap().iter().map(|object| object["rows"].as_u64().unwrap()).sum::<u64>();
    let shown: usize =
        json["rows"].as_array().unwrap().iter().map(|class| class["rows"].as_array().unwrap().len()).sum();
    assert_eq!(sum(&json["objects"]), u64::try_from(shown).unwrap());
    let object = &json["objects"][0];
    assert!(object["bytes"].as_u64().unwrap() > 1_000 && object["first"].as_str() <= object["last"].as_str());
    for class in json["rows"].as_array().unwrap() {
        for row in class["rows"].as_array().unwrap() {
            assert!(class["class"].as_str().unwrap().contains(row["class_name"].as_str().unwrap()));
            assert!(row["time_dt"].as_str().unwrap().ends_with('Z'), "{row}");
        }
    }
}

#[test]
fn inspect_shows_chosen_columns_of_one_object() {
    let folder = TempDir::new().unwrap();
    let lake = lake(folder.path());
    let json: Value = serde_json::from_slice(&run(&["inspect", "--json", lake.to_str().unwrap()]).stdout).unwrap();
    let alerts = json["objects"].as_array().unwrap().iter().find(|object| object["classUid"] == 2004).unwrap();
    let path = alerts["path"].as_str().unwrap();
    let output = run(&["inspect", path, "--columns", "time,finding_info.uid,observables.type", "--rows", "1"]);
    let text = stdout(&output);
    assert!(text.contains("finding_info.uid") && text.contains("first 1 row\n"), "{text}");
    let output = run(&["inspect", path, "--columns", "time,nonsense.x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no object has a column \"nonsense.x\""), "{}", stderr(&output));
}

#[test]
fn inspect_folds_a_large_lake() {
    let folder = TempDir::new().unwrap();
    let (lake, events) = (folder.path().join("lake"), folder.path().join("events"));
    let records: Vec<Value> = (0..60)
        .map(|index| {
            serde_json::json!({"category": "AuditLogs", "operationName": "Add user", "correlationId": index.to_string(),
                "tenantId": format!("0a1b2c3d-0000-4000-8000-{index:012}")})
        })
        .collect();
    std::fs::write(&events, serde_json::json!({"records": records}).to_string()).unwrap();
    assert!(run(&["lake", events.to_str().unwrap(), "--out", lake.to_str().unwrap()]).status.success());
    let lines =
        |arguments: &[&str]| stdout(&run(&[&["inspect", "--rows", "0", lake.to_str().unwrap()], arguments].concat()));
    let (folded, all) = (lines(&[]), lines(&["--all"]));
    assert!(folded.contains("accounts") && folded.contains("--all shows") && folded.lines().count() < 10, "{folded}");
    assert!(!all.contains("accounts") && all.matches("external_").count() == 60, "{all}");
    assert!(folded.contains("│ total") && all.contains("│ total"));
}

#[test]
fn inspect_shows_quarantine_by_reason() {
    let folder = TempDir::new().unwrap();
    let (lake, events) = (folder.path().join("lake"), folder.path().join("events"));
    std::fs::write(
        &events,
        "{\"records\":[{\"category\":\"Nothing\"},{\"metricName\":\"m\",\"timeGrain\":\"PT1M\"},7]}",
    )
    .unwrap();
    let output = run(&["lake", events.to_str().unwrap(), "--out", lake.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let text = stdout(&run(&["inspect", lake.to_str().unwrap()]));
    for word in ["unknown-kind", "not-a-log", "no mapping for category \"Nothing\""] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let json: Value = serde_json::from_slice(&run(&["inspect", "--json", lake.to_str().unwrap()]).stdout).unwrap();
    assert_eq!(json["quarantine"][0]["records"], 3);
    assert_eq!(json["quarantine"][0]["refusals"][0]["reason"], "not-a-log");
    assert_eq!(json["quarantine"][0]["refusals"][0]["records"], 2);

    let broken = folder.path().join("x.ndjson.zst");
    std::fs::write(&broken, "not zstd").unwrap();
    let output = run(&["inspect", broken.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("x.ndjson.zst"), "{}", stderr(&output));
}

#[test]
fn inspect_tells_what_is_no_lake() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("x.json");
    std::fs::write(&text, "{\"not\": \"parquet\"}").unwrap();
    let output = run(&["inspect", text.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is no parquet object"), "{}", stderr(&output));
    let output = run(&["inspect", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no parquet object and no quarantine below"), "{}", stderr(&output));
    assert_eq!(run(&["inspect", "/no/such/lake"]).status.code(), Some(4));

    // One damaged object does not hide the others, and shows in the exit code.
    let lake = lake(folder.path());
    let damaged = lake.join("damaged.parquet");
    std::fs::write(&damaged, "PAR1 not really a parquet file PAR1").unwrap();
    let output = run(&["inspect", lake.to_str().unwrap(), "--rows", "0"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stdout(&output).contains("Detection Finding"), "{}", stdout(&output));
    assert!(stderr(&output).contains("damaged.parquet"), "{}", stderr(&output));
}

/// An emulator process on a free port; ended by dropping it.
struct Hub {
    process: Child,
    connection: String,
}

impl Hub {
    fn start(partitions: &str) -> Self {
        let mut process = tributary()
            .args(["emulator", "--listen", "127.0.0.1:0", "--hub", "events", "--partitions", partitions])
            .args(["--consumer-group", "second", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(said["consumerGroups"], serde_json::json!(["$Default", "second"]));
        Self { process, connection: said["connectionString"].as_str().unwrap().to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tributary();
        command.args(arguments).env("EVENTHUB_CONNECTION_STRING", &self.connection);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn send_lines(&self, lines: &str, arguments: &[&str]) {
        let mut command = self.command(&["send", "--lines"]);
        let mut process = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", stderr(output));
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_demo_says_what_became_of_every_record() {
    const COUNT: u64 = 400;
    let mut issued = Fates::default();
    Samples::new(42).events(COUNT).for_each(|sample| issued.add(&sample.records));
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("demo");
    let demo = |more: &[&str]| {
        let output = tributary().args(["demo", "--events", "400", "--out"]).arg(&out).args(more).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let said: Value = serde_json::from_str(&demo(&["--json"])).unwrap();
    let count = |name: &str| said[name].as_u64().unwrap();
    let fates = Fates {
        mapped: count("mapped"),
        quarantined: count("quarantined"),
        routed: count("routed"),
        skipped: count("skipped"),
    };
    assert_eq!(fates, issued);
    assert_eq!((count("events"), count("records"), count("lag")), (COUNT, issued.total(), 0));
    let sum = |name: &str| said[name].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    let tuples = count("flowTuples");
    assert_eq!(
        (sum("kinds"), sum("classes"), sum("reasons")),
        (fates.mapped, fates.mapped + tuples, fates.quarantined)
    );
    assert!(tuples > 0 && tuples == 600 * count("flowNotifications") && count("flowNotifications") == fates.routed);
    let rows = tributary_tests::collect::metadata_uids(&out.join("lake/ext/azure-network"));
    let flows: BTreeSet<&String> = rows.iter().filter(|uid| uid.matches('-').count() == 2).collect();
    assert_eq!(flows.len() as u64, tuples, "every tuple once, by its position");
    assert_eq!(sum("general"), said["kinds"]["azure_general"].as_u64().unwrap());
    let findings = std::fs::read_to_string(out.join("findings.ndjson")).unwrap();
    assert!(count("findings") > 20 && findings.lines().count() as u64 == count("findings"), "{said}");
    assert!(findings.lines().all(|line| line.contains("\"SchemaVersion\":\"2018-10-08\"")));

    // Again into the same folder; in lines that fit a terminal, the most frequent first.
    let text = demo(&[]);
    let kinds: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("mapped, by kind")).skip(1).collect();
    let kinds: Vec<&str> = kinds.into_iter().take_while(|line| !line.is_empty()).collect();
    assert!(kinds.len() < 30 && kinds.iter().all(|line| line.len() <= 100), "{text}");
    let firsts: Vec<u64> = kinds.iter().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert!(firsts.is_sorted_by(|a, b| a >= b) && firsts[0] > 10, "{text}");
    for name in said["kinds"].as_object().unwrap().keys() {
        assert!(kinds.iter().any(|line| line.contains(name.as_str())), "{name}: {text}");
    }
}

#[test]
fn samples_go_through_the_emulated_hub_whole() {
    const COUNT: u64 = 120;
    let hub = Hub::start("3");
    let output = hub.run(&["send", "--samples", "120", "--seed", "3", "--around", "2026-03-02T12:00:00Z", "--json"]);
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sent["events"], COUNT, "{}", stderr(&output));

    let received = lines(&hub.run(&["receive", "--json", "--count", "120", "--wait", "20"]));
    assert_eq!(received.len(), 120);
    let partitions: BTreeSet<&str> = received.iter().map(|event| event["partition"].as_str().unwrap()).collect();
    assert_eq!(partitions, BTreeSet::from(["0", "1", "2"]));
    // Every event is there once, with its key and properties.
    let bodies: Vec<String> = received.iter().map(|event| event["body"].to_string()).collect();
    for sample in Samples::new(3).around(1_772_452_800_000).events(COUNT) {
        let Some(record) = sample.records.first().filter(|_| sample.is_text()) else { continue };
        let found: Vec<usize> = (0..bodies.len()).filter(|at| bodies[*at].contains(record.marker())).collect();
        assert_eq!(found.len(), 1, "{record:?}");
        let event = &received[found[0]];
        assert_eq!(event["partitionKey"].as_str(), sample.partition_key.as_deref());
        assert_eq!(event["properties"].as_object().unwrap().len(), sample.properties.len());
        assert!(event["enqueuedTime"].as_i64().unwrap() > 1_700_000_000_000);
    }
    // Another consumer group reads the same, and what it reads can be mapped.
    let again = hub.run(&["receive", "--bodies", "--consumer-group", "second", "--count", "120", "--wait", "20"]);
    assert!(again.status.success() && again.stdout.len() > 100_000);
}

#[test]
fn events_go_to_the_partition_and_come_from_the_place_that_was_asked_for() {
    let hub = Hub::start("2");
    hub.send_lines("{\"n\":0}\n\n{\"n\":1}\r\nnot json \u{1b}[2J\n", &["--partition", "1"]);
    let all = lines(&hub.run(&["receive", "--partition", "1", "--json", "--count", "3", "--wait", "20"]));
    assert_eq!(all[0]["body"], serde_json::json!({"n": 0}));
    assert_eq!(all[1]["body"], serde_json::json!({"n": 1}));
    assert_eq!(all[2]["body"], "not json \u{1b}[2J");
    let sequence = format!("sequence:{}", all[1]["sequenceNumber"]);
    let offset = format!("offset:{}", all[2]["offset"].as_str().unwrap());
    for (from, first) in [(sequence.as_str(), 1), (offset.as_str(), 2), ("time:2020-01-01T00:00:00Z", 0)] {
        let found = lines(&hub.run(&["receive", "--partition", "1", "--json", "--from", from, "--count", "1"]));
        assert_eq!(found[0]["sequenceNumber"], all[first]["sequenceNumber"], "{from}");
    }
    let output = hub.run(&["receive", "--partition", "1", "--count", "3"]);
    let text = stdout(&output);
    assert!(text.contains("partition 1  sequence 0") && text.contains("\\u{1b}"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let output = hub.run(&["receive", "--partition", "0", "--wait", "1"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(stderr(&output).contains("no event came within 1 s"), "{}", stderr(&output));

    hub.send_lines("a\nb\nc\n", &["--key", "same"]);
    let keyed = lines(&hub.run(&["receive", "--json", "--from", "earliest", "--count", "6", "--wait", "20"]));
    let keyed: BTreeSet<&str> = keyed
        .iter()
        .filter(|event| event["partitionKey"] == "same")
        .map(|event| event["partition"].as_str().unwrap())
        .collect();
    assert_eq!(keyed.len(), 1);
}

#[test]
fn what_is_wrong_with_a_hub_is_said_without_its_key() {
    let hub = Hub::start("1");
    let fails = |output: Output, code: i32, says: &str| {
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        let all = stderr(&output) + &stdout(&output);
        assert!(!all.contains("SAS_KEY_VALUE") && !all.contains("n0t-the-key"), "{all}");
    };
    fails(run(&["send", "--samples", "1"]), 2, "EVENTHUB_CONNECTION_STRING");
    fails(
        run(&["receive", "--connection-string", "Endpoint=sb://x;SharedAccessKey=n0t-the-key"]),
        2,
        "SharedAccessKeyName",
    );
    fails(hub.run(&["receive", "--partition", "9"]), 2, "no partition \"9\"");
    fails(hub.run(&["receive", "--consumer-group", "third"]), 4, "third");
    fails(hub.run(&["receive", "--hub", "other"]), 2, "\"other\"");
    fails(hub.run(&["send", "/no/such/file"]), 4, "/no/such/file");
    fails(hub.run(&["send", "--samples", "1", "--partition", "0", "--key", "x"]), 2, "--key");
    fails(hub.run(&["receive", "--from", "yesterday"]), 2, "expected earliest");
    let wrong = hub.connection.replace("SAS_KEY_VALUE", "n0t-the-key");
    let output = hub.command(&["send", "--samples", "1"]).env("EVENTHUB_CONNECTION_STRING", wrong).output().unwrap();
    fails(output, 4, "401");
    let nowhere = "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=a;SharedAccessKey=n0t-the-key;UseDevelopmentEmulator=true;EntityPath=x";
    fails(run(&["receive", "--retry-for", "1", "--connection-string", nowhere]), 4, "127.0.0.1");
    let help = hub.run(&["send", "--help"]);
    assert!(!stdout(&help).contains("SAS_KEY_VALUE"));
    // A second emulator cannot have the port.
    let address = hub.connection.split("sb://").nth(1).unwrap().split(';').next().unwrap();
    fails(run(&["emulator", "--listen", address]), 4, "cannot listen on");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_the_emulator_and_a_waiting_reader_in_order() {
    let mut hub = Hub::start("1");
    let mut reader = hub.command(&["receive", "--wait", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    hub.send_lines("x\n", &[]);
    // The reader is at work once it has printed the event.
    let mut line = String::new();
    BufReader::new(reader.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("1 bytes  x"), "{line}");
    for process in [&mut reader, &mut hub.process] {
        let killed = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(process.wait().unwrap().code(), Some(0));
    }
}
