//! A run with every back end on AWS, on a server that is not ours.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use futures_util::TryStreamExt;
use object_store::ObjectStoreExt;
use serde_json::Value;
use tempfile::TempDir;
use tributary_azure_samples::{Fates, Samples};
use tributary_lake::{Bucket, BucketOptions};
use tributary_queue::{Counts, Queue, SqsQueue};
use tributary_test_servers::{Proxy, Server};

use super::{Hub, run, stderr, stdout};

const KEY: &str = "arn:aws:kms:us-east-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ROLE: &str = "arn:aws:iam::210987654321:role/writer";
const LEDGER: &str = "dynamodb:tributary?ttl=expiresAt";

/// Copies a bucket into a folder.
async fn copy(server: &Server, bucket: &str, folder: &Path) {
    let bucket: Bucket = format!("s3://{bucket}").parse().unwrap();
    let store = bucket.open(&server.config(), &BucketOptions::default()).unwrap();
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    for object in objects {
        let path = folder.join(object.location.as_ref());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, store.get(&object.location).await.unwrap().bytes().await.unwrap()).unwrap();
    }
}

/// What lies in the buckets is what was issued: every row once.
pub(crate) async fn arrived_once(server: &Server, folder: &Path, issued: &Fates) {
    copy(server, "tributary-lake", folder).await;
    copy(server, "tributary-quarantine", folder).await;
    let shown = run(&["inspect", "--json", "--columns", "metadata.uid", "--rows", "100000", folder.to_str().unwrap()]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    let shown: Value = serde_json::from_str(&stdout(&shown)).unwrap();
    let rows = shown["rows"].as_array().unwrap().iter().flat_map(|class| class["rows"].as_array().unwrap());
    let uids: Vec<&str> = rows.map(|row| row["metadata.uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len() as u64, issued.mapped);
    assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), uids.len(), "a record lies in the lake twice");
    let quarantined = shown["quarantine"].as_array().unwrap().iter().map(|object| object["records"].as_u64().unwrap());
    assert_eq!(quarantined.sum::<u64>(), issued.quarantined);
}

pub(crate) async fn counts(server: &Server, queue: &str) -> Counts {
    let queue = SqsQueue::open(&server.config(), &queue.parse().unwrap()).await.unwrap();
    queue.with_dead_letters().await.unwrap().counts().await.unwrap()
}

/// A hub's client that talks to AWS through the proxy.
fn command(hub: &Hub, server: &Server, proxy: &Proxy, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = hub.command(arguments);
    server.settings(&mut command).env("AWS_ENDPOINT_URL", proxy.endpoint()).current_dir(folder);
    command.env("SECURITY_LAKE_WRITER_ROLE_ARN", ROLE).env("SECURITY_LAKE_WRITER_EXTERNAL_ID", "an-external-id");
    command.env("SECURITY_LAKE_KMS_KEY_ARN", KEY).output().unwrap()
}

#[tokio::test]
async fn a_run_on_aws_brings_every_record_once() {
    const EVENTS: u64 = 200;
    let Some(server) = Server::moto() else { return };
    server.table("tributary").await;
    let url = server.queue("events", 5).await;
    server.queue("flow-logs", 5).await;
    ["tributary-staging", "tributary-lake", "tributary-quarantine"].iter().for_each(|name| server.bucket(name));
    let proxy = Proxy::start(&server, |_| None);
    let (hub, folder) = (Hub::start("4"), TempDir::new().unwrap());
    let sent = hub.run(&["send", "--samples", &EVENTS.to_string(), "--seed", "11"]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let mut issued = Fates::default();
    Samples::new(11).events(EVENTS).for_each(|sample| issued.add(&sample.records));

    let pass = || -> Value {
        let mut arguments = vec!["run", "--once", "--json", "--ledger", LEDGER, "--flow-log-queue", "sqs:flow-logs"];
        let queue = format!("sqs:{url}");
        arguments.extend(["--queue", &queue, "--staging", "s3://tributary-staging/work"]);
        arguments.extend(["--lake", "s3://tributary-lake", "--quarantine", "s3://tributary-quarantine"]);
        let output = command(&hub, &server, &proxy, folder.path(), &arguments);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = pass();
    let count = |name: &str| first[name].as_u64().unwrap();
    assert_eq!((count("events"), count("failed"), count("lag")), (EVENTS, 0, 0), "{first}");
    let fates = Fates {
        mapped: count("mapped"),
        quarantined: count("quarantined"),
        routed: count("routed"),
        skipped: count("skipped"),
    };
    assert_eq!(fates, issued);
    assert!(issued.routed > 0 && issued.quarantined > 0, "the samples hold of everything: {issued:?}");

    arrived_once(&server, folder.path(), &issued).await;

    // Calls: a lease, a plan and a commit for each partition, which has one batch; nothing twice.
    let asked = proxy.counts();
    let of = |name: &str| asked.get(name).copied().unwrap_or(0);
    assert!(of("PutItem") <= 4 * 5, "lease, hub seen, plan, commit, release: {asked:?}");
    assert_eq!(of("SendMessage"), 4, "{asked:?}");
    assert_eq!(of("PUT"), count("objects") + 4, "the staged outcomes, and the objects: {asked:?}");
    assert_eq!(of("POST"), 1, "the writer's role is assumed once: {asked:?}");

    let second = pass();
    for name in ["events", "mapped", "objects", "failed", "lag"] {
        assert_eq!(second[name], 0, "{name}: {second}");
    }
    assert_eq!(counts(&server, &url).await, Counts::default());
    let flow_logs = counts(&server, "flow-logs").await;
    assert!(flow_logs.visible > 0 && flow_logs.dead == 0, "{flow_logs:?}");
    let listed = command(&hub, &server, &proxy, folder.path(), &["positions", "list", "--json", "--ledger", LEDGER]);
    assert!(listed.status.success(), "{}", stderr(&listed));
    assert_eq!(stdout(&listed).matches("sequenceNumber").count(), 4, "{}", stdout(&listed));
}

#[test]
fn what_cannot_be_used_on_aws_is_said() {
    let hub = Hub::start("1");
    let folder = TempDir::new().unwrap();
    let failed = |arguments: &[&str], code: i32| {
        let mut command = hub.command(&[&["run", "--once"], arguments].concat());
        // Nobody listens there.
        command.envs(tributary_test_servers::SETTINGS).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        let output = command.current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    };
    for (arguments, code, says) in [
        (&["--queue", "dynamodb:table"][..], 2, "dynamodb:table cannot hold a queue: use sqlite:FILE, sqs:QUEUE"),
        (&["--queue", "sqs:a.fifo"], 2, "make a standard one"),
        (&["--queue", "sqs:events"], 4, "queue events: open: sqs:GetQueueUrl"),
        (&["--ledger", "dynamodb:table?ttl=owner"], 2, "TTL attribute cannot be \"owner\""),
        (&["--lake", "s3://a-lake", "--lake-role", "writer"], 2, "--lake-role: \"writer\" is no role's ARN"),
        (&["--lake", "s3://a-lake", "--lake-kms-key", "alias/x"], 2, "write its ARN"),
        (&["--lake", "file:lake", "--lake-role", ROLE], 2, "use s3://BUCKET with them"),
        (&["--lake-external-id", "x"], 2, "--lake-role"),
    ] {
        let error = failed(arguments, code);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
}
