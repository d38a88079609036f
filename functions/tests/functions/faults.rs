//! What goes wrong in production, each with the same end: every record once, positions at the hub's last, nothing left over.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::ObjectStoreExt as _;
use serde_json::{Value, json};
use tributary_azure_eventhub_emulator::DEFAULT_KEY_NAME;
use tributary_azure_samples::{Fates, Sample, Samples};
use tributary_lake::{Bucket, BucketOptions};
use tributary_queue::Queue as _;
use tributary_test_servers::{Answer, Asked, Fault};

use super::process::TIMEOUT;
use super::stack::{Decide, HUB, HUB_KEY, PARTITIONS, Stack, event, failed};
use super::whole::{Issued, finish, functions};

/// Enough that every partition has events of many kinds, and a case takes seconds.
const EVENTS: u64 = 400;

fn schedule() -> Value {
    json!({"source": "aws.scheduler"})
}

async fn stack() -> Option<(Stack, Fates)> {
    let stack = Stack::start().await?;
    let issued = stack.publish(EVENTS, 7).await;
    Some((stack, issued))
}

fn sum(one: Fates, other: Fates) -> Fates {
    Fates {
        mapped: one.mapped + other.mapped,
        quarantined: one.quarantined + other.quarantined,
        routed: one.routed + other.routed,
        skipped: one.skipped + other.skipped,
    }
}

/// Holds the `nth` request that `which` picks, and those after it, and says so: whoever made it can then be killed in the
/// middle of it.
fn gate(nth: u64, which: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> (Decide, Receiver<()>) {
    let (reached, gate) = channel();
    let (reached, count) = (Mutex::new(reached), AtomicU64::new(0));
    let decide = move |asked: &Asked| {
        let picked = which(asked) && count.fetch_add(1, Ordering::SeqCst) + 1 >= nth;
        picked.then(|| {
            let _ = reached.lock().unwrap().send(());
            Fault::Hang
        })
    };
    (Box::new(decide), gate)
}

/// Something goes wrong with requests that `which` picks: `fault` says what, by their number from 0. And how often it did.
fn faults(
    which: impl Fn(&Asked) -> bool + Send + Sync + 'static,
    fault: impl Fn(u64) -> Option<Fault> + Send + Sync + 'static,
) -> (Decide, Arc<AtomicU64>) {
    let (count, happened) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let happening = Arc::clone(&happened);
    let decide = move |asked: &Asked| {
        let fault = which(asked).then(|| fault(count.fetch_add(1, Ordering::SeqCst))).flatten();
        happening.fetch_add(u64::from(fault.is_some()), Ordering::SeqCst);
        fault
    };
    (Box::new(decide), happened)
}

/// A write of the ledger that holds a position: a commit. A lease of a new table and a first plan hold none.
fn commits(asked: &Asked) -> bool {
    asked.operation == "PutItem"
        && serde_json::from_slice::<Value>(&asked.body).unwrap()["Item"]["sequenceNumber"].is_object()
}

fn sends(asked: &Asked) -> bool {
    asked.operation.starts_with("SendMessage")
}

fn puts(asked: &Asked, below: &str) -> bool {
    asked.line.starts_with("PUT ") && asked.line.contains(below)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_processor_is_killed_between_send_and_commit() {
    let Some((stack, issued)) = stack().await else { return };
    let (decide, gate) = gate(1, commits);
    stack.function_with("eventhub-processor", &[], decide).killed_at(&gate, &schedule());
    // What was sent comes again then, under the same batch ids.
    finish(&stack, issued).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transformer_is_killed_before_it_stages_while_it_publishes_and_before_it_returns() {
    let Some((stack, issued)) = stack().await else { return };
    let [mut processor, ..] = functions(&stack);
    stack.poll(&mut processor);
    type Place = (u64, fn(&Asked) -> bool);
    let places: [Place; 4] = [
        (1, |asked| puts(asked, "/staged/")),
        // Staged, nothing published.
        (1, |asked| puts(asked, "/ext/")),
        // Half is published.
        (5, |asked| puts(asked, "/ext/")),
        // All is published; it would return after its trail events.
        (1, |asked| asked.line.starts_with("POST /PutAuditEvents")),
    ];
    for (nth, which) in places {
        let (decide, gate) = gate(nth, which);
        let batch = stack.take("events").await;
        stack.function_with("event-transformer", &[], decide).killed_at(&gate, &event(&batch));
        // Lambda deletes nothing, and the queue delivers all of it again.
        stack.settle("events", &batch, &batch.iter().map(|message| message.id.clone()).collect()).await;
    }
    finish(&stack, issued).await;
    stack.calls.assert_needed(&["event-transformer s3:GetObject stagingBucket/staged/* (always)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqs_is_away_for_a_while() {
    let Some((stack, issued)) = stack().await else { return };
    // Longer than every partition's attempts.
    const REFUSED: u64 = 220;
    let away = |number| (number < REFUSED).then(|| Fault::error(503, "ServiceUnavailable", "try again"));
    let (decide, happened) = faults(sends, away);
    let mut processor = stack.function_with("eventhub-processor", &[], decide);
    // Invocations fail, which alarms see, until one finds the queue again.
    let (_, errors) = stack.poll(&mut processor);
    assert!(!errors.is_empty() && errors.iter().all(|error| error.contains("the next run goes on")), "{errors:?}");
    assert_eq!(happened.load(Ordering::SeqCst), REFUSED);
    let (decide, happened) = faults(sends, move |number| away(number + REFUSED - 20));
    let mut transformer = stack.function_with("event-transformer", &[], decide);
    stack.drain("events", &mut transformer).await;
    assert_eq!(happened.load(Ordering::SeqCst), 20);
    finish(&stack, issued).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_throttles_and_loses_answers() {
    let Some((stack, issued)) = stack().await else { return };
    let (decide, happened) = faults(
        |asked| asked.operation.ends_with("Item"),
        |number| match number % 3 {
            0 => Some(Fault::error(400, "ProvisionedThroughputExceededException", "slow down")),
            // Written, and the answer lost: the next try finds its own write.
            1 if number % 2 == 0 => Some(Fault::LoseAnswer),
            _ => None,
        },
    );
    let mut processor = stack.function_with("eventhub-processor", &[], decide);
    let (_, errors) = stack.poll(&mut processor);
    assert_eq!(errors, Vec::<String>::new(), "throttling is outwaited");
    assert!(happened.load(Ordering::SeqCst) > 8);
    finish(&stack, issued).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_answers_500_and_loses_answers() {
    let Some((stack, issued)) = stack().await else { return };
    let [mut processor, ..] = functions(&stack);
    stack.poll(&mut processor);
    let (decide, happened) = faults(
        |asked| asked.line.starts_with("PUT "),
        |number| match number % 5 {
            0 => Some(Fault::Answer(500, "<Error><Code>InternalError</Code><Message>again</Message></Error>".into())),
            2 => Some(Fault::LoseAnswer),
            3 if number % 2 == 0 => Some(Fault::Cut),
            _ => None,
        },
    );
    let mut transformer = stack.function_with("event-transformer", &[], decide);
    stack.drain("events", &mut transformer).await;
    assert!(happened.load(Ordering::SeqCst) > 20);
    finish(&stack, issued).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_is_rotated_in_the_middle_of_a_run() {
    let Some((stack, issued)) = stack().await else { return };
    let (sent, first) = channel();
    let sent = Mutex::new(sent);
    let decide = move |asked: &Asked| {
        // Sends wait until the key is another one.
        if sends(asked) {
            let (done, rotated) = channel::<()>();
            if sent.lock().unwrap().send(done).is_ok() {
                let _ = rotated.recv();
            }
        }
        None
    };
    let mut processor = stack.function_with("eventhub-processor", &[], Box::new(decide));
    let id = processor.api.send(&schedule().to_string(), TIMEOUT);
    let done = first.recv().unwrap();
    assert!(stack.hub.replace_key(DEFAULT_KEY_NAME, "bmV4dCBrZXksIDMyIGJ5dGVzLCBmb3IgdGVzdHMgb25seQ=="));
    assert!(stack.hub.faults().close_connections() > 0);
    stack.set_secret(&stack.hub.connection_string(HUB)).await;
    drop((done, first));
    let answer = processor.api.answer(&id);
    assert!(matches!(answer, Answer::Response(_)), "{answer:?}");
    let more = stack.publish(EVENTS, 8).await;
    // The same process goes on.
    let (_, errors) = stack.poll(&mut processor);
    assert_eq!(errors, Vec::<String>::new());
    finish(&stack, sum(issued, more)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_fails_every_invocation_and_moves_nothing() {
    let Some((stack, issued)) = stack().await else { return };
    let right = stack.hub.connection_string(HUB);
    stack.set_secret(&right.replace(HUB_KEY, "bm90IHRoZSByaWdodCBrZXkgb2YgdGhlIGh1Yg==")).await;
    let mut processor = stack.function("eventhub-processor");
    for _ in 0..2 {
        let error = processor.fails(&schedule());
        assert!(
            error.contains("not authorised (401): check the policy's name and key") && !error.contains("bm90IHR"),
            "{error}"
        );
    }
    let ledger = tributary_ledger::DynamoLedger::new(&stack.aws.config(), "positions");
    let items = tributary_ledger::Ledger::list(&ledger, "").await.unwrap();
    assert!(items.iter().all(|(_, item)| item.position.is_none()), "{items:?}");
    // The right one again: the same process sees it at its next invocation.
    stack.set_secret(&right).await;
    // A version that was confirmed just now is not read again for some seconds; a schedule is slower than that.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (_, errors) = stack.poll(&mut processor);
    assert_eq!(errors, Vec::<String>::new());
    let (metrics, log) = processor.end();
    assert!(metrics.contains("\"AccessDenied\":"), "a refused credential is counted: {metrics}");
    assert!(log.contains("\"level\":\"ERROR\"") && !log.contains("bm90IHR"), "{log}");
    finish(&stack, issued).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_hub_rejects_one_finding_for_a_while() {
    let Some((stack, issued)) = stack().await else { return };
    let [mut processor, mut transformer, mut importer] = functions(&stack);
    stack.poll(&mut processor);
    stack.drain("events", &mut transformer).await;
    let some = stack.take("findings").await;
    let message: Value = serde_json::from_str(&some[0].body).unwrap();
    let id = message["findings"][0]["Id"].as_str().unwrap();
    let faults = json!({"reject": {id: "InternalError"}, "times": {id: 6}});
    stack.model.post("/_faults", &faults.to_string());
    let kept = some.iter().map(|message| message.id.clone()).collect();
    stack.settle("findings", &some, &kept).await;
    stack.drain("findings", &mut importer).await;
    let state = stack.state();
    assert!(state["findings"].as_object().unwrap().contains_key(id));
    // It alone went again and again, not its message with it.
    let calls = state["calls"].as_array().unwrap();
    let alone = |call: &&Value| call["operation"] == "BatchImportFindings" && call["entries"] == 1;
    assert!(calls.iter().filter(alone).count() >= 5, "{calls:?}");
    finish(&stack, issued).await;
    stack.calls.assert_needed(&["securityhub-processor sqs:SendMessage findingsQueue (always)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_delivered_twice() {
    let Some((stack, issued)) = stack().await else { return };
    let [mut processor, mut transformer, mut importer] = functions(&stack);
    stack.poll(&mut processor);
    for (name, function) in [("events", &mut transformer), ("findings", &mut importer)] {
        loop {
            let batch = stack.take(name).await;
            if batch.is_empty() {
                break;
            }
            for _ in 0..2 {
                assert_eq!(failed(&function.invoke(&event(&batch))), BTreeSet::new());
            }
            stack.settle(name, &batch, &BTreeSet::new()).await;
        }
    }
    finish(&stack, issued).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processors_run_at_once() {
    let Some((stack, mut issued)) = stack().await else { return };
    let mut two = [stack.function("eventhub-processor"), stack.function("eventhub-processor")];
    for seed in 20..23 {
        issued = sum(issued, stack.publish(EVENTS / 2, seed).await);
        let ids: Vec<String> = two.iter_mut().map(|one| one.api.send(&schedule().to_string(), TIMEOUT)).collect();
        for (one, id) in two.iter().zip(ids) {
            let answer = one.api.answer(&id);
            assert!(matches!(answer, Answer::Response(_)), "one that is displaced has not failed: {answer:?}");
        }
    }
    drop(two);
    finish(&stack, issued).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_set_aside_alone() {
    let Some((stack, mut issued)) = stack().await else { return };
    let poison = [
        [vec![b'['; 200_000], vec![b']'; 200_000]].concat(),
        br#"{"records":[{"category":"Administrative","operationName":"#.to_vec(),
        [br#"{"category":"Administrative","level":"#.to_vec(), vec![b'9'; 100_000], b"}".to_vec()].concat(),
        vec![0xff; 1_000],
        vec![0; 4_096],
    ];
    issued.quarantined += poison.len() as u64;
    let sample = |body| Sample { body, partition_key: None, properties: Vec::new(), records: Vec::new() };
    stack.publish_samples(poison.into_iter().map(sample)).await;
    let [mut processor, mut transformer, _] = functions(&stack);
    stack.poll(&mut processor);
    // And a message that nobody can ever deliver: what it says it brings is nowhere.
    let batch = stack.take("events").await;
    let mut message: Value = serde_json::from_str(&batch[0].body).unwrap();
    message["encoding"] = "s3".into();
    message["events"] = format!("claims/nowhere-{}", "0".repeat(64)).into();
    stack.queue("events").await.send(&message.to_string()).await.unwrap();
    stack.settle("events", &batch, &batch.iter().map(|message| message.id.clone()).collect()).await;
    stack.drain("events", &mut transformer).await;
    finish(&stack, Issued { dead: 1, ..issued.into() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_worked_through_by_a_direct_invocation() {
    let Some((stack, issued)) = stack().await else { return };
    let [mut processor, mut transformer, _] = functions(&stack);
    stack.poll(&mut processor);
    // Every attempt fails until the queue gives up.
    let denied = || Fault::Answer(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".into());
    let mut refused =
        stack.function_with("event-transformer", &[], Box::new(move |asked| puts(asked, "/").then(denied)));
    stack.drain("events", &mut refused).await;
    let counts = stack.queue("events").await.counts().await.unwrap();
    assert!(counts.visible == 0 && counts.dead > 0, "{counts:?}");
    let (metrics, log) = refused.end();
    assert!(metrics.contains("\"AccessDenied\":") && log.contains("access denied"), "{metrics}{log}");
    // With the permission back.
    let url = stack.queues["events"].clone() + "-dead";
    let answer = transformer.invoke(&json!({"queueUrl": url}));
    assert_eq!((&answer["delivered"], &answer["failed"]), (&json!(counts.dead), &json!(0)), "{answer}");
    finish(&stack, issued).await;
    stack.calls.assert_needed(&[
        "event-transformer sqs:ReceiveMessage deadLetterQueue (always)",
        "event-transformer sqs:DeleteMessage deadLetterQueue (always)",
        "event-transformer sqs:GetQueueAttributes deadLetterQueue (always)",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_larger_than_a_message_goes_by_the_bucket() {
    let Some((stack, mut issued)) = stack().await else { return };
    // Text that does not compress: Weyl's sequence through a mixer, three bytes to four letters.
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |index: u64| {
        let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        letters[((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 58) as usize]
    };
    let text: Vec<u8> = (0..3 << 20).map(letter).collect();
    let body = [br#"{"category":"NobodyKnowsThis","text":""#.to_vec(), text, br#""}"#.to_vec()].concat();
    stack.publish_samples([Sample { body, partition_key: None, properties: Vec::new(), records: Vec::new() }]).await;
    issued.quarantined += 1;
    // And many records in one event, each of them as good as alone.
    let (mut records, mut expected) = (Vec::new(), Vec::new());
    for sample in Samples::new(31).events(3_000) {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&sample.body) else { continue };
        if let (Some(Value::Array(more)), 1) = (body.remove("records"), body.len() + 1) {
            records.extend(more);
            expected.extend(sample.records);
        }
    }
    let body = serde_json::to_vec(&json!({"records": records})).unwrap();
    assert!(body.len() > 1 << 20, "{} bytes of {} records", body.len(), records.len());
    let sample = Sample { body, partition_key: None, properties: Vec::new(), records: expected };
    issued = sum(issued, stack.publish_samples([sample]).await);
    finish(&stack, issued).await;
    let staging: Bucket = format!("s3://{}/claims", super::stack::BUCKETS[0]).parse().unwrap();
    let staging = staging.open(&stack.aws.config(), &BucketOptions::default()).unwrap();
    let claims: Vec<_> = futures_util::TryStreamExt::try_collect(staging.list(None)).await.unwrap();
    assert!(!claims.is_empty(), "{claims:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mapping_files_change_between_two_attempts() {
    let Some((stack, issued)) = stack().await else { return };
    let [mut processor, ..] = functions(&stack);
    stack.poll(&mut processor);
    // Files that do not know alerts, and have no general map to take them.
    let mut files = tributary_azure_mappings::maps();
    files.retain(|name, _| !name.starts_with("defender_alert.") && !name.starts_with("azure_general."));
    let digest = tributary_mapping::digest(&files);
    stack.aws.bucket("tributary-mappings");
    let bucket: Bucket = "s3://tributary-mappings".parse().unwrap();
    let bucket = bucket.open(&stack.aws.config(), &BucketOptions::default()).unwrap();
    for (name, text) in &files {
        bucket.put(&name.as_str().into(), text.clone().into_bytes().into()).await.unwrap();
    }
    let changed = [("MAPPINGS_URI", "s3://tributary-mappings"), ("MAPPINGS_DIGEST", digest.as_str())];
    // Half a batch is published by the old files, then by the new ones; and the other way round.
    for more in [&[][..], &changed] {
        let (decide, gate) = gate(4, |asked| puts(asked, "/ext/"));
        let batch = stack.take("events").await;
        stack.function_with("event-transformer", more, decide).killed_at(&gate, &event(&batch));
        stack.settle("events", &batch, &batch.iter().map(|message| message.id.clone()).collect()).await;
        let other = if more.is_empty() { &changed[..] } else { &[] };
        let mut transformer = stack.function_with("event-transformer", other, Box::new(|_| None));
        let batch = stack.take("events").await;
        assert_eq!(failed(&transformer.invoke(&event(&batch[..1]))), BTreeSet::new());
        let rest = batch[1..].iter().map(|message| message.id.clone()).collect();
        stack.settle("events", &batch, &rest).await;
    }
    finish(&stack, Issued { remapped: true, ..issued.into() }).await;
    stack.calls.assert_needed(&[
        "event-transformer s3:GetObject mappings/* (changedMappings)",
        "event-transformer s3:ListBucket mappings (changedMappings)",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_is_built_anew_between_two_runs() {
    let Some((stack, issued)) = stack().await else { return };
    let [mut processor, ..] = functions(&stack);
    stack.poll(&mut processor);
    stack.hub.faults().rebuild_hub(HUB).unwrap();
    let more = stack.publish(EVENTS / 2, 9).await;
    let errors = Some("the hub was rebuilt");
    finish(&stack, Issued { errors, ..sum(issued, more).into() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_passes_while_the_processor_is_off() {
    let Some((stack, issued)) = stack().await else { return };
    let [mut processor, ..] = functions(&stack);
    stack.poll(&mut processor);
    let hub = stack.hub.hub(HUB).unwrap();
    let last = |partition| hub.partition(partition).unwrap().stats().last_sequence_number;
    let before: Vec<i64> = (0..PARTITIONS).map(last).collect();
    stack.publish(EVENTS / 4, 10).await;
    let gone: Vec<i64> = (0..PARTITIONS).map(last).collect();
    let more = stack.publish(EVENTS / 2, 12).await;
    for (partition, last) in (0..).zip(&gone) {
        stack.hub.faults().expire_before(HUB, partition, last + 1).unwrap();
    }
    let lost: i64 = gone.iter().zip(&before).map(|(gone, before)| gone - before).sum();
    assert_eq!(lost, (EVENTS / 4).cast_signed());
    let errors = Some("lost");
    finish(&stack, Issued { errors, lost: lost.cast_unsigned(), ..sum(issued, more).into() }).await;
}
