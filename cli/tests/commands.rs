//! The built program as a user calls it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_tributary");
/// The workspace's root.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program without the variables of whoever runs the tests.
fn tributary() -> Command {
    let mut command = Command::new(BINARY);
    for name in ["EVENTHUB_CONNECTION_STRING", "OCSF_VERSION", "AWS_REGION"] {
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
        if !kind.to_string_lossy().ends_with(".cases") {
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
    assert!(output.status.success(), "{}", stderr(&output));
    lake
}

#[test]
fn every_command_has_help() {
    let help = stdout(&run(&["--help"]));
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    // A long description goes on in the next line, further to the right than a name.
    let named = |line: &&str| !line.starts_with("   ");
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter(named)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"inspect") && commands.contains(&"map"), "{commands:?}");
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
    for word in
        ["2004 Detection Finding 1.3.0", "external_0a1b2c3d-0000-4000-8000-000000000001", "total", "finding_info.title"]
    {
        assert!(text.contains(word), "{word} in {text}");
    }
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
