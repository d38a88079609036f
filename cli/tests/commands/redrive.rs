//! `redrive` over what `run` has left behind.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tributary_queue::{Queue, RedrivePolicy, SqliteQueue, SqsQueue};
use tributary_test_servers::{Proxy, Server};

use super::changed::copy;
use super::{Hub, ROOT, run, stderr, stdout, tributary};

/// The shipped maps without one kind, and without the general map that would take its records.
fn maps_without(folder: &Path, kind: &str) -> std::path::PathBuf {
    let maps = folder.join("maps");
    copy(&Path::new(ROOT).join("modules/azure/mappings"), &maps);
    for name in [format!("{kind}.yaml"), "azure_general.yaml".to_owned()] {
        std::fs::remove_file(maps.join(name)).unwrap();
    }
    maps
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

#[test]
fn quarantined_records_go_to_the_lake_once_a_map_takes_them() {
    let folder = TempDir::new().unwrap();
    let maps = maps_without(folder.path(), "defender_alert");
    let hub = Hub::start("1");
    hub.run(&["send", "--samples", "60", "--seed", "7"]);
    let run = |arguments: &[&str]| hub.command(arguments).current_dir(folder.path()).output().unwrap();
    // The file's key is the store's; it does not choose what is redriven.
    std::fs::write(folder.path().join("tributary.toml"), "quarantine = \"file:set-aside\"").unwrap();
    let first = json(&run(&["run", "--once", "--json", "--mappings", maps.to_str().unwrap()]));
    let none = run(&["redrive", "--json"]);
    assert_eq!((none.status.code(), json(&none)["matched"].as_u64()), (Some(0), Some(0)));

    let looked = run(&["redrive", "--quarantine", "--reason", "unknown-kind", "--dry-run", "--json"]);
    let done = run(&["redrive", "--quarantine", "--reason", "unknown-kind", "--json"]);
    assert_eq!(done.status.code(), Some(3), "{}", stderr(&done));
    let (looked, done) = (json(&looked), json(&done));
    assert!(done["mapped"].as_u64().unwrap() > 0, "{done}");
    for count in ["matched", "mapped", "quarantined", "kinds"] {
        assert_eq!(looked[count], done[count], "{count}");
    }
    assert_eq!(done["tried"][0]["reason"], "unknown-kind");
    assert!(done["kinds"]["defender_alert"].as_u64().is_some(), "{done}");
    let left = first["quarantined"].as_u64().unwrap() - done["mapped"].as_u64().unwrap();
    let inspected = json(&run(&["inspect", "set-aside/quarantine", "--json"]));
    let records = inspected["quarantine"].as_array().unwrap().iter().map(|one| one["records"].as_u64().unwrap());
    assert_eq!(records.sum::<u64>(), left);
    let text = stdout(&run(&["redrive", "--quarantine"]));
    assert!(text.contains("in the lake 0") && text.contains("objects retired"), "{text}");
}

#[test]
fn dead_letters_go_back_to_the_queue_in_the_file() {
    let folder = TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let queue =
        SqliteQueue::open(&folder.path().join("tributary.db"), "events", RedrivePolicy { max_receives: 1 }).unwrap();
    runtime.block_on(async {
        for body in ["{\"a\":1}", "{\"b\":2}"] {
            queue.send(body).await.unwrap();
            let message = queue.receive(1, Duration::from_secs(60), Duration::ZERO).await.unwrap().remove(0);
            queue.release(&message.receipt).await.unwrap();
        }
        assert!(queue.receive(1, Duration::ZERO, Duration::ZERO).await.unwrap().is_empty());
    });
    let redrive =
        |arguments: &[&str]| tributary().arg("redrive").args(arguments).current_dir(folder.path()).output().unwrap();
    let looked = stdout(&redrive(&["--dry-run"]));
    assert!(looked.contains("2 looked at, 2 meant (14 B), none redriven"), "{looked}");
    let none = json(&redrive(&["--since", "2999-01-01T00:00:00Z", "--json"]));
    assert_eq!((&none["looked"], &none["matched"]), (&2.into(), &0.into()));
    assert_eq!(json(&redrive(&["--limit", "1", "--json"]))["redriven"], 1);
    assert_eq!(json(&redrive(&["--json"]))["redriven"], 1);
    let counts = runtime.block_on(queue.counts()).unwrap();
    assert_eq!((counts.visible, counts.dead), (2, 0));
}

#[test]
fn wrong_filters_are_refused() {
    for (arguments, says) in [
        (&["redrive", "--reason", "unknown-kind"][..], "--quarantine"),
        (&["redrive", "--quarantine", "--reason", "unknown"], "unknown-kind"),
        (&["redrive", "--since", "yesterday"], "2026-03-01T08:00:00Z"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn dead_letters_go_back_ten_a_call() {
    let Some(server) = Server::moto() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let letters: Vec<String> = (0..25).map(|number| format!("letter {number}")).collect();
    let queue = runtime.block_on(async {
        let url = server.queue("events", 5).await;
        let queue = SqsQueue::open(&server.config(), &url.parse().unwrap()).await.unwrap();
        let queue = queue.with_dead_letters().await.unwrap();
        queue.dead_letter_queue().unwrap().send_all(&letters).await.unwrap();
        queue
    });
    let proxy = Proxy::start(&server, |_| None);
    let mut command = tributary();
    server.settings(&mut command).env("AWS_ENDPOINT_URL", proxy.endpoint());
    // The queue's name, so that its URL is one at the proxy.
    let output = command.args(["redrive", "--json", "--queue", "sqs:events"]).output().unwrap();
    assert_eq!(json(&output)["redriven"], 25, "{}", stderr(&output));
    let counts = runtime.block_on(queue.counts()).unwrap();
    assert_eq!((counts.visible, counts.dead), (25, 0));
    let asked = proxy.counts();
    let of = |name: &str| asked.get(name).copied().unwrap_or(0);
    for name in ["SendMessageBatch", "DeleteMessageBatch"] {
        assert!((3..=6).contains(&of(name)), "{name}: {asked:?}");
    }
    assert_eq!(of("SendMessage") + of("DeleteMessage"), 0, "{asked:?}");
}
