//! Notifications of flow log blobs: `{"schema":"tributary.blobs/1","notifications":[…]}`, at least once.

use tributary_queue::{Queue, QueueError};

use crate::pack::{Share, pack};

/// One worker's share, far below what a queue takes.
const SHARE: Share = Share { bytes: 64 * 1024, documents: usize::MAX };
const HEAD: &str = r#"{"schema":"tributary.blobs/1","notifications":["#;

/// Sends notifications, each a JSON object as text, in as few messages as their size allows.
pub(super) async fn send(queue: &dyn Queue, notifications: impl Iterator<Item = &str>) -> Result<(), QueueError> {
    queue.send_all(&pack(HEAD, notifications, SHARE)).await
}
