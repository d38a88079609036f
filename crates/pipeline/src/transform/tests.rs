//! What becomes of a message when a step of its delivery fails.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

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
    async fn dead_letters(&self, _: usize) -> Result<Vec<Message>, QueueError> {
        Ok(Vec::new())
    }
    async fn counts(&self) -> Result<QueueCounts, QueueError> {
        Ok(QueueCounts::default())
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
