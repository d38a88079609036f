//! Trail events: every event of a batch once more, to CloudTrail Lake.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::error;
use tributary_batch::BatchId;
use tributary_delivery::{Answer, Entry, Failure, Patience, Sent, Sink, SinkError, send};
use tributary_mapping::Destination;
use tributary_mapping::cloudtrail::AuditEvent;
use tributary_telemetry::{Metric, Metrics};

use super::DeliverError;

/// Events that are named in the log for a batch.
const NAMED: usize = 10;

/// Where trail events go.
#[derive(Clone)]
pub struct Trail {
    /// The channel.
    pub sink: Arc<dyn Sink>,
    /// The account that owns it, and its region.
    pub destination: Destination,
    /// How long events are tried again within an attempt.
    pub patience: Patience,
}

impl Trail {
    /// Sends the events of a batch and says how many were accepted. One that is refused for good is counted and named in the log,
    /// by id and code: it is in the lake, and would be refused again.
    pub(super) async fn send(
        &self,
        batch: &BatchId,
        events: Vec<AuditEvent>,
        metrics: &Metrics,
    ) -> Result<u64, DeliverError> {
        let entries: Vec<Entry> =
            events.into_iter().map(AuditEvent::into_parts).map(|(id, data)| Entry::new(id, data)).collect();
        let Sent { answers, failure } = send(self.sink.as_ref(), &entries, self.patience).await;
        let (mut accepted, mut left) = (0, 0);
        let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
        for (entry, answer) in entries.iter().zip(&answers) {
            match answer {
                Answer::Accepted => accepted += 1,
                Answer::Again(_) => left += 1,
                Answer::Refused(code) => {
                    *refused.entry(code).or_default() += 1;
                    if refused.values().sum::<u64>() <= NAMED as u64 {
                        error!(%batch, event = entry.id(), code, "{} refused an event for good", self.sink.name());
                    }
                }
            }
        }
        metrics.count(Metric::TrailEventsDelivered, accepted);
        for (code, count) in refused {
            metrics.record(Metric::TrailEventsRefused, code, count);
        }
        if left == 0 {
            return Ok(accepted);
        }
        let error = failure.unwrap_or_else(|| SinkError {
            failure: Failure::Unavailable,
            code: String::new(),
            detail: format!("{}: {left} of {} events were not accepted; try again", self.sink.name(), entries.len()),
        });
        Err(DeliverError::Trail { batch: batch.clone(), error })
    }
}
