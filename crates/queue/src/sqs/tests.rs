//! On servers that are not ours.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_sqs::config::retry::RetryConfig;
use tributary_test_servers::{Asked, Fault, Proxy, Server};

use super::*;
use crate::MAX_MESSAGE_BYTES;

const MINUTE: Duration = Duration::from_secs(60);
const NOW: Duration = Duration::ZERO;

async fn open(config: &SdkConfig, address: &str) -> Result<SqsQueue, QueueError> {
    SqsQueue::open(config, &address.parse().unwrap()).await
}

/// Without the SDK's own attempts, whose waits are long, and with short ones of its own.
async fn quick(proxy: &Proxy, address: &str) -> SqsQueue {
    let config = proxy.config().to_builder().retry_config(RetryConfig::disabled()).build();
    let backoff = Backoff::new(4, Duration::from_millis(2), Duration::from_millis(8));
    SqsQueue { backoff, ..open(&config, address).await.unwrap() }
}

/// Every promise on a queue of its own.
async fn conforms(server: &Server) {
    let made = AtomicU32::new(0);
    crate::conformance::all(async |policy| {
        let name = format!("queue-{}", made.fetch_add(1, Ordering::Relaxed));
        let url = server.queue(&name, policy.max_receives).await;
        Arc::new(open(&server.config(), &url).await.unwrap().with_dead_letters().await.unwrap())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_moto() {
    let Some(server) = Server::moto() else { return };
    conforms(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_ministack() {
    let Some(server) = Server::ministack() else { return };
    conforms(&server).await;
}

#[tokio::test]
async fn a_queue_is_opened_by_url_arn_or_name() {
    let Some(server) = Server::moto() else { return };
    let url = server.queue("events", 3).await;
    let arn = format!("arn:aws:sqs:{}:123456789012:events", tributary_test_servers::REGION);
    for address in [url.as_str(), "events", &arn] {
        let queue = open(&server.config(), address).await.unwrap();
        assert_eq!(queue.url(), url);
        assert!(queue.dead_letter_queue().is_none(), "nobody asked which it is");
        let dead = queue.with_dead_letters().await.unwrap().dead.unwrap();
        assert_eq!(dead.url(), format!("{url}-dead"));
    }
    let without = open(&server.config(), "events-dead").await.unwrap().with_dead_letters().await.unwrap();
    assert!(without.dead_letter_queue().is_none());
    let error = open(&server.config(), "nowhere").await.unwrap_err().to_string();
    for part in ["queue nowhere: open: sqs:GetQueueUrl", "make it, or name another"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let gone = open(&server.config(), &url.replace("events", "gone")).await.unwrap();
    let error = gone.send("a").await.unwrap_err().to_string();
    assert!(error.contains("queue gone: send: sqs:SendMessage") && error.contains("make it"), "{error}");
}

/// A wait over 20 s is more than one long poll; one in between is rounded up.
#[tokio::test]
async fn a_long_wait_is_many_long_polls() {
    let Some(server) = Server::moto() else { return };
    let url = server.queue("events", 3).await;
    let polls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&polls);
    // An empty answer at once: nobody wants to wait for the service's.
    let proxy = Proxy::start(&server, move |asked| {
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        let ends = seen.lock().unwrap().len() == 2;
        seen.lock().unwrap().push(body["WaitTimeSeconds"].as_i64().unwrap());
        let answer = if ends { r#"{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"b"}]}"# } else { "{}" };
        Some(Fault::Answer(200, answer.to_owned()))
    });
    let received = quick(&proxy, &url).await.receive(10, MINUTE, Duration::from_millis(50_500)).await.unwrap();
    assert_eq!(received.iter().map(|message| message.receive_count).collect::<Vec<_>>(), [1]);
    assert_eq!(*polls.lock().unwrap(), [20, 20, 20]);
    for (wait, whole) in [(NOW, 0), (Duration::from_millis(1), 1), (Duration::from_secs(3), 3)] {
        assert_eq!(seconds(wait, 20), whole);
    }
}

/// Every third entry of each call that sends or deletes fails at first, each call once as a whole.
fn hiccups() -> impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static {
    let (calls, failed) = (AtomicU32::new(0), Mutex::new(std::collections::BTreeSet::new()));
    move |asked| {
        let name = asked.operation.as_str();
        if !["SendMessageBatch", "DeleteMessageBatch"].contains(&name) {
            return None;
        }
        if calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(3) {
            return Some(Fault::error(400, "com.amazonaws.sqs#RequestThrottled", "slow down"));
        }
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        let entries = body["Entries"].as_array().unwrap().clone();
        let first = entries[0].to_string();
        // One entry alone, and nothing of the others: they were not done either.
        let fails = failed.lock().unwrap().insert(first);
        fails.then(|| {
            let id = entries[0]["Id"].as_str().unwrap();
            Fault::Answer(
                200,
                format!(r#"{{"Successful":[],"Failed":[{{"Id":"{id}","Code":"InternalError","SenderFault":false}}]}}"#),
            )
        })
    }
}

#[tokio::test]
async fn entries_that_failed_are_done_again() {
    let Some(server) = Server::moto() else { return };
    let url = server.queue("events", 3).await;
    let proxy = Proxy::start(&server, hiccups());
    let queue = quick(&proxy, &url).await;
    let bodies: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    queue.send_all(&bodies).await.unwrap();
    let mut messages = queue.receive(10, MINUTE, NOW).await.unwrap();
    messages.extend(queue.receive(10, MINUTE, NOW).await.unwrap());
    let mut arrived: Vec<u32> = messages.iter().map(|message| message.body.parse().unwrap()).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, (0..12).collect::<Vec<_>>(), "each once");
    let receipts: Vec<_> = messages.into_iter().map(|message| message.receipt).collect();
    queue.delete_all(&receipts).await.unwrap();
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
}

#[tokio::test]
async fn only_the_entries_that_failed_are_sent_again_and_a_refusal_is_an_error() {
    let Some(server) = Server::moto() else { return };
    let url = server.queue("events", 3).await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let proxy = Proxy::start(&server, move |asked| {
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        let entries = body["Entries"].as_array().unwrap();
        let bodies = entries.iter().map(|entry| entry["MessageBody"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let refuses = bodies.iter().any(|body| body == "bad");
        let again = seen.lock().unwrap().len() == 1;
        seen.lock().unwrap().push(bodies);
        let done = |id: usize| format!(r#"{{"Id":"{id}","MessageId":"m","MD5OfMessageBody":"x"}}"#);
        let failed = |id: usize, fault: bool, code: &str| {
            format!(r#"{{"Id":"{id}","SenderFault":{fault},"Code":"{code}","Message":"no"}}"#)
        };
        let (successful, failed) = match (refuses, again) {
            (true, _) => (done(0), failed(1, true, "InvalidMessageContents")),
            (false, false) => (done(1), [failed(0, false, "InternalError"), failed(2, false, "X")].join(",")),
            (false, true) => ([done(0), done(1)].join(","), String::new()),
        };
        Some(Fault::Answer(200, format!(r#"{{"Successful":[{successful}],"Failed":[{failed}]}}"#)))
    });
    let queue = quick(&proxy, &url).await;
    queue.send_all(&["a", "b", "c"].map(str::to_owned)).await.unwrap();
    assert_eq!(*sent.lock().unwrap(), [vec!["a", "b", "c"], vec!["a", "c"]]);
    let error = queue.send_all(&["a", "bad"].map(str::to_owned)).await.unwrap_err().to_string();
    assert!(error.contains("sqs:SendMessage: InvalidMessageContents no"), "{error}");
    assert_eq!(sent.lock().unwrap().len(), 3, "what is the sender's fault is not tried again");
}

#[tokio::test]
async fn throttling_is_outwaited_or_said() {
    let Some(server) = Server::moto() else { return };
    let url = server.queue("events", 3).await;
    let asked = AtomicU32::new(0);
    let throttled = || Fault::error(400, "com.amazonaws.sqs#RequestThrottled", "slow down");
    let proxy = Proxy::start(&server, move |_| (asked.fetch_add(1, Ordering::SeqCst) % 4 != 3).then(throttled));
    let queue = quick(&proxy, "events").await.with_dead_letters().await.unwrap();
    queue.send("a").await.unwrap();
    let messages = queue.receive(1, MINUTE, NOW).await.unwrap();
    let receipt = &messages.first().unwrap().receipt;
    queue.extend(receipt, MINUTE).await.unwrap();
    queue.release(receipt).await.unwrap();
    queue.delete(receipt).await.unwrap();
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
    let always = Proxy::start(&server, move |_| Some(throttled()));
    let error = quick(&always, &url).await.send("a").await.unwrap_err().to_string();
    assert!(error.contains("RequestThrottled") && error.contains("slow down"), "{error}");
    assert_eq!(always.counts()["SendMessage"], 5, "four waits, and an end");
}

#[tokio::test]
async fn what_is_wrong_is_named_with_what_to_do() {
    let Some(server) = Server::moto() else { return };
    let url = server.queue("events", 3).await;
    let answers = [
        ("AccessDenied", "not authorized", "grant it to the role"),
        (
            "InvalidParameterValue",
            "Reason: Message must be shorter than 262144 bytes.",
            "MaximumMessageSize to 1048576",
        ),
        ("InvalidParameterValue", "Value r for parameter ReceiptHandle is invalid. Reason: expired", "no longer valid"),
        ("MessageNotInflight", "", "no longer valid"),
        ("ReceiptHandleIsInvalid", "", "no longer valid"),
    ];
    for (code, message, says) in answers {
        let fault = Fault::error(400, &format!("com.amazonaws.sqs#{code}"), message);
        let proxy = Proxy::start(&server, move |_| Some(fault.clone()));
        let queue = quick(&proxy, &url).await;
        let error = match queue.send("a").await.unwrap_err() {
            // What only a receipt can be told.
            error @ (QueueError::Backend { .. } | QueueError::Denied { .. }) => error,
            _ => queue.extend(&Receipt::new("r"), MINUTE).await.unwrap_err(),
        };
        assert!(error.to_string().contains(says), "{code}: {error}");
        let stale = matches!(error, QueueError::Stale { .. });
        assert_eq!(queue.release(&Receipt::new("r")).await.is_ok(), stale, "{code}");
        assert_eq!(queue.delete(&Receipt::new("r")).await.is_ok(), stale, "{code}");
    }
}

/// A queue that was left as AWS makes it takes a quarter of a batch's size.
#[tokio::test]
async fn a_queue_of_small_messages_is_told_what_to_set() {
    let Some(server) = Server::ministack() else { return };
    let client = Client::new(&server.config());
    let small = client.create_queue().queue_name("small").attributes(QueueAttributeName::MaximumMessageSize, "262144");
    let url = small.send().await.unwrap().queue_url.unwrap();
    let queue = open(&server.config(), &url).await.unwrap();
    let error = queue.send(&"a".repeat(MAX_MESSAGE_BYTES)).await.unwrap_err().to_string();
    assert!(error.contains("MaximumMessageSize"), "{error}");
}
