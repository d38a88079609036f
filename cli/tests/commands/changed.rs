//! Mapping files that take the shipped ones' place: from a folder, as `map`, `lake` and `run` take them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{Hub, ROOT, stderr, stdout, tributary};

/// What the changed files say of the cloud that an alert came from.
pub(crate) const PROVIDER: &str = "Changed";

/// The shipped files in a folder of their own, with one value changed.
pub(crate) fn changed_files(folder: &Path) -> PathBuf {
    let maps = folder.join("maps");
    copy(&Path::new(ROOT).join("modules/azure/mappings"), &maps);
    let file = maps.join("defender_alert.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text.replacen("provider: Azure", &format!("provider: {PROVIDER}"), 1);
    assert!(text != changed, "the value to change is gone");
    std::fs::write(file, changed).unwrap();
    maps
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(std::fs::copy(path, target).unwrap()),
        }
    }
}

/// The digest that a person would configure.
pub(crate) fn digest(maps: &Path) -> String {
    let output = tributary().args(["mappings", "--dir"]).arg(maps).args(["check", "--digest"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).trim_end().to_owned()
}

/// Maps an alert of the golden cases.
pub(crate) fn map(with: impl FnOnce(&mut Command)) -> Output {
    let mut command = tributary();
    let cases = Path::new(ROOT).join("modules/azure/mappings/defender_alert.cases");
    command.arg("map").arg(alert(&cases));
    with(&mut command);
    command.output().unwrap()
}

fn alert(cases: &Path) -> PathBuf {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| !path.to_string_lossy().ends_with(".expected.json") && !path.ends_with("hostile.json"));
    cases.sort();
    cases.swap_remove(0)
}

pub(crate) fn provider(output: &Output) -> String {
    let event: Value = serde_json::from_str(stdout(output).lines().next().unwrap()).unwrap();
    event["cloud"]["provider"].as_str().unwrap().to_owned()
}

/// The shipped set was used, and the log says why.
pub(crate) fn refused(output: &Output, why: &[&str]) {
    let log = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert_eq!(provider(output), "Azure");
    let line = log.lines().find(|line| line.contains("ERROR")).unwrap_or_else(|| panic!("no ERROR in {log}"));
    for word in why.iter().chain(&["the built-in set stays in force"]) {
        assert!(line.contains(word), "{word} in {line}");
    }
}

#[test]
fn approved_files_of_a_folder_are_used() {
    let folder = TempDir::new().unwrap();
    let maps = changed_files(folder.path());
    let output = map(|command| {
        command.env("MAPPINGS_URI", &maps).env("MAPPINGS_DIGEST", digest(&maps));
    });
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(provider(&output), PROVIDER);
    let log = stderr(&output);
    assert!(log.contains("INFO") && log.contains(&digest(&maps)), "{log}");
    assert_eq!(provider(&map(|_| ())), "Azure");

    // What is made says which files made it.
    let stamp = |arguments: &[&str]| {
        let lake = folder.path().join(format!("lake-{}", arguments.len()));
        let cases = Path::new(ROOT).join("modules/azure/mappings/defender_alert.cases");
        let mut command = tributary();
        command.arg("lake").arg(alert(&cases)).arg("--out").arg(&lake).args(arguments);
        assert!(command.output().unwrap().status.success());
        let json = tributary().args(["inspect", "--json"]).arg(&lake).output().unwrap();
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        std::fs::read(json["objects"][0]["path"].as_str().unwrap()).unwrap()
    };
    let (uri, digest) = (format!("file:{}", maps.display()), digest(&maps));
    let holds = |bytes: &[u8]| bytes.windows(digest.len()).any(|window| window == digest.as_bytes());
    assert!(holds(&stamp(&["--mappings-uri", &uri, "--mappings-digest", &digest])));
    assert!(!holds(&stamp(&[])));
}

#[test]
fn files_that_are_not_approved_or_do_not_pass_leave_the_shipped_ones_in_force() {
    let folder = TempDir::new().unwrap();
    let maps = changed_files(folder.path());
    let approved = digest(&maps);
    let with = |digest: Option<&str>| {
        map(|command| {
            command.env("MAPPINGS_URI", &maps);
            digest.map(|digest| command.env("MAPPINGS_DIGEST", digest));
        })
    };
    refused(&with(None), &["no digest is configured", "MAPPINGS_DIGEST", &approved]);
    refused(&with(Some(&"0".repeat(64))), &["the digest of the files is", &approved]);

    let file = maps.join("defender_alert.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("severity_id:", "severity_idd:", 1)).unwrap();
    let output = tributary().args(["mappings", "check", "--digest", "--dir"]).arg(&maps).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "no digest of what does not pass");
    assert!(output.stdout.is_empty());
    refused(&with(Some(&approved)), &["the digest of the files is"]);
    // Even where somebody configures the digest of what does not pass.
    let found = stderr(&with(None));
    let found = found.split("set MAPPINGS_DIGEST to theirs, ").nth(1).unwrap().split_whitespace().next().unwrap();
    refused(&with(Some(found)), &["do not pass the check", "defender_alert.yaml", "severity_idd"]);

    std::fs::remove_dir_all(&maps).unwrap();
    refused(&with(Some(&approved)), &["cannot open the folder"]);
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    let digest = "0".repeat(64);
    for (arguments, says) in [
        (&["--mappings-uri", "https://example.org/maps"][..], "s3://BUCKET/PREFIX"),
        (&["--mappings-uri", "maps", "--mappings", "maps"], "use one"),
        (&["--mappings-digest", &digest], "MAPPINGS_URI"),
    ] {
        let output = map(|command| {
            command.args(arguments);
        });
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says) && output.stdout.is_empty(), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_run_goes_on_with_the_shipped_files_and_says_so() {
    let folder = TempDir::new().unwrap();
    let maps = changed_files(folder.path());
    let hub = Hub::start("1");
    hub.send_lines("{\"records\":[]}\n", &[]);
    let output = hub
        .command(&["run", "--once", "--json", "--mappings-uri"])
        .arg(&maps)
        .args(["--mappings-digest", "other"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let log = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let line = log.lines().find(|line| line.contains("\"level\":\"ERROR\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert!(line["message"].as_str().unwrap().contains("the built-in set stays in force"), "{line}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["events"], 1, "{summary}");
}
