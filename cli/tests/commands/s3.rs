//! Mapping files and a lake in S3, over HTTP, on a server that is not ours.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use object_store::ObjectStore;
use serde_json::Value;
use tempfile::TempDir;
use tributary_lake::{Bucket, conformance};

use super::changed::{PROVIDER, changed_files, digest, map, provider, refused};
use super::{Hub, ROOT, stderr};

const BUCKET: &str = "tributary-test";

/// Region and keys as the server takes them; whoever runs the tests may have others.
const SETTINGS: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

/// The server's process; it ends when its input does.
struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    /// Starts it with the files of each folder below its prefix, where there is a python that has it.
    fn start(folders: &[(&Path, &str)]) -> Option<Self> {
        let python = std::env::var("TRIBUTARY_PYTHON").ok().filter(|path| Path::new(path).exists());
        let Some(python) = python else {
            assert_ne!(
                std::env::var("TRIBUTARY_REQUIRE_PEERS").as_deref(),
                Ok("1"),
                "the S3 server is missing: make peers"
            );
            eprintln!("SKIPPED a test on S3: TRIBUTARY_PYTHON names no python (make peers)");
            return None;
        };
        let mut command = Command::new(python);
        command.arg(format!("{ROOT}/tests/peers/s3_server.py")).arg(BUCKET);
        for (folder, prefix) in folders {
            command.arg(folder).arg(prefix);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut endpoint = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
        let endpoint = endpoint.trim_end().to_owned();
        assert!(endpoint.starts_with("http://127.0.0.1:"), "the S3 server did not start: {endpoint:?}");
        Some(Self { process, endpoint })
    }

    fn settings<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.envs(SETTINGS).env("AWS_ENDPOINT_URL", &self.endpoint).env_remove("AWS_ENDPOINT_URL_S3")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[test]
fn approved_files_of_a_bucket_are_used_and_others_refused() {
    let folder = TempDir::new().unwrap();
    let maps = changed_files(folder.path());
    let Some(server) = Server::start(&[(&maps, "maps/of-2026")]) else { return };
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
    let Some(server) = Server::start(&[]) else { return };
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

/// In a process of its own, whose environment names the server.
#[test]
fn a_bucket_keeps_every_promise_of_a_store() {
    const INNER: &str = "TRIBUTARY_TEST_IN_S3";
    if std::env::var_os(INNER).is_none() {
        let Some(server) = Server::start(&[]) else { return };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "s3::a_bucket_keeps_every_promise_of_a_store"]).env(INNER, "1");
        let output = server.settings(&mut command).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout) + &*stderr(&output));
        return;
    }
    let made = AtomicU32::new(0);
    let make = || -> Arc<Arc<dyn ObjectStore>> {
        let bucket = format!("s3://{BUCKET}/store-{}", made.fetch_add(1, Ordering::Relaxed));
        Arc::new(bucket.parse::<Bucket>().unwrap().open().unwrap())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(conformance::all(make));
}
