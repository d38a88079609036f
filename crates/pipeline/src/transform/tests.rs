//! What becomes of a message when a step of its delivery fails.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use object_store::memory::InMemory;
use tributary_delivery::{Answer, Entry, Limits, MemorySink, Patience, Sink};
use tributary_lake::Layout;
use tributary_mapping::{MappingSet, Options, Sources};
use tributary_ocsf::Version;
use tributary_queue::{Counts as QueueCounts, MemoryQueue, Receipt, RedrivePolicy};

use super::*;

/// A queue that takes nothing.
struct Broken;

#[async_trait]
impl Queue for Broken {
    async fn send(&self, _: &str) -> Result<(), QueueError> {
        Err(QueueError::TooLarge { size: 1 })
    }
    async fn receive(&self, _: usize, _: Duration, _: Duration) -> Result<Vec<Message>, QueueError> {
        Ok(Vec::new())
    }
    async fn extend(&self, _: &Receipt, _: Duration) -> Result<(), QueueError> {
        Ok(())
    }
    async fn release(&self, _: &Receipt) -> Result<(), QueueError> {
        Ok(())
    }
    async fn delete(&self, _: &Receipt) -> Result<(), QueueError> {
        Ok(())
    }
    async fn counts(&self) -> Result<QueueCounts, QueueError> {
        Ok(QueueCounts::default())
    }
    fn dead_letter_queue(&self) -> Option<Arc<dyn Queue>> {
        None
    }
}

const MODULE: &str = "route: [{ rule: blobs, match: [{ blob: present }], message: { url: .blob } }]\n";
const ALERT: &str = "\
kind: alert
class: detection_finding
match: [{ kind: alert }]
map:
  activity_id: Create
  time: .at
  severity_id: Low
  metadata: { product: { name: Example, vendor_name: Example } }
  finding_info: { uid: .id, title: .id // \"none\" }
  cloud: { provider: Example }
";

fn transform(flow_logs: Option<Arc<dyn Queue>>, store: &Arc<InMemory>) -> Transform {
    let mirror = ALERT.replace("alert", "mirror") + "security_hub: false\n";
    let sources: Sources = [("module.yaml", MODULE), ("alert.yaml", ALERT), ("mirror.yaml", &mirror)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    let set = Arc::new(MappingSet::compile(&sources, &[], Version::V1_3_0).unwrap());
    let layout = Layout::from_prefix("eu-west-1", "example-", Version::V1_3_0).unwrap();
    Transform {
        queue: Arc::new(MemoryQueue::new(RedrivePolicy::default())),
        staging: Staging::new(Arc::clone(store) as _),
        publisher: Publisher::new(Arc::clone(store) as _, Arc::clone(store) as _),
        transformer: Arc::new(Transformer::new(set, Options::default(), layout).unwrap()),
        flow_logs,
        findings: None,
        trail: None,
        metrics: Metrics::new(),
        clock: Clock::system(),
        stop: Stop::new(),
        config: TransformConfig::new("example"),
    }
}

/// An outcome says of a notification that it was handed on: it must not be staged before that is true, or an attempt that
/// routes differently would find it staged and hand on nothing.
#[tokio::test]
async fn a_notification_that_was_not_taken_is_not_staged_as_handed_on() {
    let store = Arc::new(InMemory::new());
    let body = r#"{"blob":"https://example/flow-logs/x"}"#;
    let failed = transform(Some(Arc::new(Broken)), &store).deliver(body, "message").await;
    assert!(matches!(failed, Err(DeliverError::Notify(_))), "{failed:?}");
    // The next attempt has no such queue any more: the record is in quarantine, not nowhere.
    let delivered = transform(None, &store).deliver(body, "message").await.unwrap();
    assert!(!delivered.earlier);
    assert_eq!((delivered.counts.quarantined, delivered.counts.routed), (1, 0));
}

const VISIBILITY: Duration = Duration::from_millis(900);

/// A queue that takes its time to take a message, and whose first extension fails.
struct Odd {
    queue: MemoryQueue,
    takes: Duration,
    extensions: AtomicU32,
}

fn odd(takes: Duration) -> Arc<Odd> {
    let queue = MemoryQueue::new(RedrivePolicy::default());
    Arc::new(Odd { queue, takes, extensions: AtomicU32::new(0) })
}

#[async_trait]
impl Queue for Odd {
    async fn send(&self, body: &str) -> Result<(), QueueError> {
        tokio::time::sleep(self.takes).await;
        self.queue.send(body).await
    }
    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError> {
        self.queue.receive(max, visibility, wait).await
    }
    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        if self.extensions.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(QueueError::Stale { queue: "odd".to_owned() });
        }
        self.queue.extend(receipt, visibility).await
    }
    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.queue.release(receipt).await
    }
    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.queue.delete(receipt).await
    }
    async fn counts(&self) -> Result<QueueCounts, QueueError> {
        self.queue.counts().await
    }
    fn dead_letter_queue(&self) -> Option<Arc<dyn Queue>> {
        self.queue.dead_letter_queue()
    }
}

#[tokio::test]
async fn a_message_stays_hidden_for_as_long_as_its_delivery_takes() {
    let (queue, flow_logs) = (odd(Duration::ZERO), odd(VISIBILITY * 3));
    let mut transform = transform(Some(Arc::clone(&flow_logs) as _), &Arc::new(InMemory::new()));
    transform.queue = Arc::clone(&queue) as _;
    transform.config.visibility = VISIBILITY;
    queue.send(r#"{"blob":"https://example/flow-logs/x"}"#).await.unwrap();
    let mut work = std::pin::pin!(transform.run(Duration::ZERO));
    // Another worker looks for the message once the first has it, and all the while.
    let report = loop {
        tokio::select! {
            biased;
            report = &mut work => break report.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        let stolen = queue.receive(1, VISIBILITY, Duration::ZERO).await.unwrap();
        assert_eq!(stolen, [], "it came back while it was worked on");
    };
    assert_eq!(report.delivered, 1);
    assert!(queue.extensions.load(Ordering::SeqCst) > 3);
    assert_eq!(queue.counts().await.unwrap(), QueueCounts::default());
    assert_eq!(flow_logs.counts().await.unwrap().visible, 1, "handed on once");
}

const BODY: &str = r#"[{"kind":"alert","id":"a","at":"2026-02-03T10:13:14Z"},{"kind":"alert","id":"b","at":"2026-02-03T10:13:15Z"},
    {"kind":"mirror","id":"c","at":"2026-02-03T10:13:16Z"}]"#;

fn destination() -> Destination {
    Destination::new("111122223333", "eu-west-1").unwrap()
}

fn findings(queue: Arc<dyn Queue>) -> Option<Findings> {
    Some(Findings { queue, destination: destination() })
}

/// Every batch that is staged.
async fn staged(transform: &Transform) -> usize {
    transform.staging.list("").await.unwrap().len()
}

#[tokio::test]
async fn findings_are_on_their_way_before_their_outcome_is_staged() {
    let store = Arc::new(InMemory::new());
    let mut transform = transform(None, &store);
    transform.findings = findings(Arc::new(Broken));
    let failed = transform.deliver(BODY, "message").await;
    assert!(matches!(failed, Err(DeliverError::Findings(_))), "{failed:?}");
    assert_eq!(staged(&transform).await, 0);
    let queue = Arc::new(MemoryQueue::new(RedrivePolicy::default()));
    transform.findings = findings(queue.clone());
    for earlier in [false, true] {
        let delivered = transform.deliver(BODY, "message").await.unwrap();
        assert_eq!((delivered.earlier, delivered.findings, delivered.counts.mapped), (earlier, 2, 3));
        let messages = queue.receive(10, Duration::from_secs(60), Duration::ZERO).await.unwrap();
        let [message] = &messages[..] else { panic!("{} messages", messages.len()) };
        let message: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(
            (&message["schema"], &message["batch"]),
            (&"tributary.findings/1".into(), &delivered.batch.as_str().into())
        );
        let ids: Vec<&str> =
            message["findings"].as_array().unwrap().iter().map(|f| f["Id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["a", "b"], "a kind that repeats another's findings is left out");
        assert_eq!(message["findings"][0]["AwsAccountId"], "111122223333");
    }
}

/// A channel that says one thing of every event.
struct Channel(Answer, MemorySink);

#[async_trait]
impl Sink for Channel {
    fn name(&self) -> &'static str {
        "channel"
    }
    fn limits(&self) -> Limits {
        self.1.limits()
    }
    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Answer>, SinkError> {
        match &self.0 {
            Answer::Accepted => self.1.put(entries).await,
            other => Ok(vec![other.clone(); entries.len()]),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_lake_has_a_batch_whatever_the_trail_does() {
    let store = Arc::new(InMemory::new());
    let mut transform = transform(None, &store);
    let says = |answer: Answer| {
        let sink = Arc::new(Channel(answer, MemorySink::new()));
        (Some(Trail { sink: sink.clone(), destination: destination(), patience: Patience::default() }), sink)
    };
    (transform.trail, _) = says(Answer::Again("Throttling".to_owned()));
    let failed = transform.deliver(BODY, "message").await.unwrap_err();
    assert!(failed.to_string().contains("3 of 3 events were not accepted"), "{failed}");
    assert_eq!(staged(&transform).await, 1);
    // The message comes again, and its events are all sent.
    let sink;
    (transform.trail, sink) = says(Answer::Accepted);
    let delivered = transform.deliver(BODY, "message").await.unwrap();
    assert_eq!((delivered.earlier, delivered.trail, delivered.objects), (true, 3, 0));
    assert_eq!(sink.1.entries().len(), 3);
    assert!(sink.1.entries().values().all(|event| event.contains("\"recipientAccountId\":\"111122223333\"")));
    // What is refused for good does not keep the batch.
    (transform.trail, _) = says(Answer::Refused("InvalidData".to_owned()));
    assert_eq!(transform.deliver(BODY, "message").await.unwrap().trail, 0);
    let metrics = transform.metrics.snapshot();
    assert_eq!(metrics.total(Metric::TrailEventsDelivered), 3);
    let refused: Vec<_> =
        metrics.of(Metric::TrailEventsRefused).map(|sample| (sample.label.as_str(), sample.value)).collect();
    assert_eq!(refused, [("InvalidData", 3)]);
}
