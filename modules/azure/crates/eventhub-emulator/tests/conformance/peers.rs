//! Microsoft's own clients, unmodified, against the emulator. What they list, send and receive is compared with what
//! the emulator holds.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};
use tributary_azure_eventhub_emulator::{Emulator, HubConfig, StoredEvent};

const LIMIT: Duration = Duration::from_secs(90);

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(4).unwrap().to_owned()
}

/// Says loudly that a peer is missing, or fails when it is required.
fn skip(peer: &str, how: &str) {
    assert!(std::env::var("TRIBUTARY_REQUIRE_PEERS").as_deref() != Ok("1"), "{peer} is required and missing: {how}");
    eprintln!("SKIPPED the conformance test with {peer}: {how}");
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn describe(event: &StoredEvent) -> Value {
    json!({
        "sequence": event.sequence_number(),
        "offset": event.offset(),
        "enqueued": millis(event.enqueued_time()),
        "key": event.partition_key(),
        "body": String::from_utf8(event.body()).unwrap(),
        "properties": event.properties().iter().map(|(name, value)| {
            let value = serde_json::to_value(value).unwrap();
            (name.clone(), value)
        }).collect::<serde_json::Map<_, _>>(),
    })
}

/// Runs a peer on a fresh hub and compares. `unquote` turns a body as it is stored into the body as the client shows
/// it.
async fn compare(command: &mut Command, refusals: [&str; 3], unquote: fn(&str) -> String) {
    let emulator = Emulator::builder().hub(HubConfig::new("hub", 4).consumer_group("tributary")).start().await.unwrap();
    let hub = emulator.hub("hub").unwrap();
    command.arg(emulator.connection_string("hub")).arg("tributary");
    command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await.expect("the peer hangs").unwrap();
    assert!(output.status.success(), "the peer failed: {}", String::from_utf8_lossy(&output.stdout));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();

    let partitions: Vec<Vec<StoredEvent>> = (0..4).map(|n| hub.partition(n).unwrap().events()).collect();
    let held: Vec<Vec<Value>> = partitions
        .iter()
        .map(|events| {
            let mut events: Vec<Value> = events.iter().map(describe).collect();
            events.iter_mut().for_each(|event| event["body"] = unquote(event["body"].as_str().unwrap()).into());
            events
        })
        .collect();
    let bodies = |prefix: &str| {
        let of = move |event: &&Value| event["body"].as_str().unwrap().starts_with(prefix);
        held.iter().map(|events| events.iter().filter(of).count()).collect::<Vec<_>>()
    };
    // What was sent is there, where it belongs.
    assert_eq!(bodies("zero "), [20, 0, 0, 0]);
    assert_eq!(held[0][3]["properties"], json!({"n": 3, "name": "event 3"}));
    assert_eq!(bodies("round "), [2, 2, 2, 2]);
    let mut keyed = bodies("keyed ");
    keyed.sort_unstable();
    assert_eq!(keyed, [0, 0, 0, 6], "one key, one partition");
    assert!(
        held.iter()
            .flatten()
            .filter(|event| event["body"].as_str().unwrap().starts_with("keyed "))
            .all(|event| event["key"] == "vm-1")
    );
    assert_eq!(bodies("single"), [0, 1, 0, 0]);
    assert_eq!(bodies("xxx"), [0, 0, 1, 0]);
    let long = held[2].iter().find(|event| event["body"].as_str().unwrap().starts_with("xxx")).unwrap();
    assert_eq!(long["body"].as_str().unwrap().len(), 300_000);

    // What was listed is what is held. The event "after" came later.
    let created = millis(hub.created_at());
    let listed = json!({"name": "hub", "created": created, "ids": ["0", "1", "2", "3"]});
    assert_eq!((&seen["empty"]["hub"], &seen["full"]["hub"]), (&listed, &listed));
    for n in 0..4 {
        let empty = json!({"id": n.to_string(), "begin": 0, "last": -1, "offset": "-1", "enqueued": 0, "empty": true});
        assert_eq!(seen["empty"]["partitions"][n], empty);
        let last =
            partitions[n].iter().rfind(|event| unquote(&String::from_utf8(event.body()).unwrap()) != "after").unwrap();
        let full = json!({"id": n.to_string(), "begin": 0, "last": last.sequence_number(), "offset": last.offset(),
            "enqueued": millis(last.enqueued_time()), "empty": false});
        assert_eq!(seen["full"]["partitions"][n], full);
    }

    // What was received is what is held, from every kind of position.
    for n in 0..3 {
        assert_eq!(seen["earliest"][n], json!(held[n]), "partition {n}");
    }
    let after = held[3].last().unwrap();
    assert_eq!(after["body"], "after");
    assert_eq!(seen["earliest"][3], json!(held[3][..held[3].len() - 1]));
    for (name, first) in [
        ("sequence_exclusive", 8),
        ("sequence_inclusive", 7),
        ("offset_exclusive", 12),
        ("offset_inclusive", 11),
        ("time", 0),
    ] {
        assert_eq!(seen[name], json!(held[0][first..]), "{name}");
    }
    assert_eq!(seen["latest"], json!([after]));
    let last = held[0].last().unwrap();
    let tracked = seen["tracked"].as_array().unwrap();
    assert!(!tracked.is_empty());
    for seen in tracked {
        assert_eq!(
            *seen,
            json!({"sequence": last["sequence"], "offset": last["offset"], "enqueued": last["enqueued"]})
        );
    }
    for (name, refusal) in ["stolen", "wrong_key", "wrong_hub"].into_iter().zip(refusals) {
        assert!(seen[name].to_string().contains(refusal), "{name}: {}", seen[name]);
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn azure_eventhub_for_python() {
    let Some(python) = std::env::var_os("TRIBUTARY_PYTHON") else {
        return skip("azure-eventhub for Python", "set TRIBUTARY_PYTHON, or run `make peers`");
    };
    let check = Command::new(&python).args(["-c", "import azure.eventhub"]).output().await;
    if !check.is_ok_and(|check| check.status.success()) {
        return skip("azure-eventhub for Python", "TRIBUTARY_PYTHON cannot import azure.eventhub; run `make peers`");
    }
    let script = repository().join("tests/peers/eventhub_client.py");
    let refusals = ["amqp:link:stolen", "AuthenticationError", "ConnectError"];
    compare(Command::new(python).arg(script), refusals, str::to_owned).await;
}

#[tokio::test]
async fn azure_event_hubs_for_javascript() {
    let peers = repository().join("tests/peers/js");
    if !peers.join("node_modules/@azure/event-hubs").is_dir() {
        return skip("@azure/event-hubs", "run `npm ci` in tests/peers/js");
    }
    let script = peers.join("eventhub_client.mjs");
    let refusals = ["ReceiverDisconnectedError", "UnauthorizedError", "MessagingEntityNotFoundError"];
    // This client sends a string as JSON.
    let unquote = |body: &str| serde_json::from_str(body).unwrap_or_else(|_| body.to_owned());
    compare(Command::new("node").arg(script), refusals, unquote).await;
}
