//! What becomes of a message when a step of its delivery fails.
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use object_store::memory::InMemory;
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

fn transform(flow_logs: Option<Arc<dyn Queue>>, store: &Arc<InMemory>) -> Transform {
    let sources: Sources = [("module.yaml".to_owned(), MODULE.to_owned())].into();
    let set = Arc::new(MappingSet::compile(&sources, &[], Version::V1_3_0).unwrap());
    let layout = Layout::from_prefix("eu-west-1", "example-", Version::V1_3_0).unwrap();
    Transform {
        queue: Arc::new(MemoryQueue::new(RedrivePolicy::default())),
        staging: Staging::new(Arc::clone(store) as _),
        publisher: Publisher::new(Arc::clone(store) as _, Arc::clone(store) as _),
        transformer: Arc::new(Transformer::new(set, Options::default(), layout).unwrap()),
        flow_logs,
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
