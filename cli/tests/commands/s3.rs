//! Mapping files and a lake in S3, over HTTP, on a server that is not ours.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tributary_test_servers::{SETTINGS, Server};

use super::changed::{PROVIDER, changed_files, digest, map, provider, refused};
use super::{Hub, stderr};

const BUCKET: &str = "tributary-test";

/// A server with a bucket that has the files of each folder below its prefix.
fn start(folders: &[(&Path, &str)]) -> Option<Server> {
    Server::start("s3_server.py", |command| {
        command.arg(BUCKET);
        for (folder, prefix) in folders {
            command.arg(folder).arg(prefix);
        }
    })
}

#[test]
fn approved_files_of_a_bucket_are_used_and_others_refused() {
    let folder = TempDir::new().unwrap();
    let maps = changed_files(folder.path());
    let Some(server) = start(&[(&maps, "maps/of-2026")]) else { return };
    let with = |uri: &str, digest: &str| {
        map(|command| {
            server.settings(command).env("MAPPINGS_URI", uri).env("MAPPINGS_DIGEST", digest);
        })
    };
    // The digest is of the files, not of where they lie.
    let approved = digest(&maps);
    let output = with("s3://tributary-test/maps/of-2026", &approved);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(provider(&output), PROVIDER);
    refused(
        &with("s3://tributary-test/maps/of-2026/", &"0".repeat(64)),
        &["s3://tributary-test/maps/of-2026", &approved],
    );
    refused(&with("s3://tributary-test/maps/of", &approved), &["no *.yaml file lies there"]);
    refused(&with("s3://no-such-bucket/maps", &approved), &["no-such-bucket", "NoSuchBucket"]);
}

#[test]
fn an_endpoint_in_the_clear_that_is_not_this_machine_is_not_spoken_to() {
    let output = map(|command| {
        command.envs(SETTINGS).env("AWS_ENDPOINT_URL_S3", "http://192.0.2.1:9000").env("AWS_ALLOW_HTTP", "true");
        command.args(["--mappings-uri", "s3://tributary-test/maps", "--mappings-digest", "x"]);
    });
    refused(&output, &["http://192.0.2.1:9000", "neither https nor on this machine"]);
}

#[test]
fn a_run_writes_its_lake_into_a_bucket_once() {
    let folder = TempDir::new().unwrap();
    let Some(server) = start(&[]) else { return };
    let hub = Hub::start("1");
    let sent = hub.run(&["send", "--samples", "60", "--seed", "5", "--json"]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let run = |ledger: &str| -> Value {
        let mut command = hub.command(&["run", "--once", "--json", "--staging", "s3://tributary-test/staging"]);
        command.args(["--lake", "s3://tributary-test/lake", "--quarantine", "s3://tributary-test/lake"]);
        command.args(["--ledger", ledger, "--queue", "memory:", "--region", "eu-west-1"]);
        let output = server.settings(&mut command).current_dir(folder.path()).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = run("memory:");
    assert_eq!(first["events"], 60);
    assert!(first["objects"].as_u64().unwrap() > 3, "{first}");
    // All again, from the beginning: every object is there.
    let second = run("memory:");
    assert_eq!((&second["events"], &second["objects"], &second["bytes"]), (&60.into(), &0.into(), &0.into()));
}
