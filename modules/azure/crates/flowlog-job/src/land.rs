//! Records into the lake.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tributary_azure_blobs::{Land, LandError, Part};
use tributary_azure_flowlogs::{Counts, FlowLogs, Made, PLANNED_ROWS, RecordKey, Source, hour};
use tributary_batch::BatchId;
use tributary_lake::{Published, Publisher};
use tributary_telemetry::{Metric, Metrics};

/// Puts parts into the lake, and what cannot be read into quarantine. The same part makes the same objects under the same names, and
/// an object that is there stays: putting a part again changes nothing.
#[derive(Debug, Clone)]
pub struct ToLake {
    logs: Arc<FlowLogs>,
    publisher: Publisher,
    metrics: Metrics,
    counts: Arc<Mutex<(Counts, Published)>>,
}

impl ToLake {
    /// Objects as `logs` make them, to where `publisher` puts them.
    pub fn new(logs: Arc<FlowLogs>, publisher: Publisher, metrics: Metrics) -> Self {
        Self { logs, publisher, metrics, counts: Arc::default() }
    }

    /// The same, counting for itself and into other metrics.
    #[must_use]
    pub fn counting(&self, metrics: Metrics) -> Self {
        Self { metrics, counts: Arc::default(), ..self.clone() }
    }

    /// What was put so far, parts that were put again included, and what of it was new in the lake.
    pub fn counts(&self) -> (Counts, Published) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn publish(&self, made: Vec<Made>, published: &mut Published) -> Result<(), LandError> {
        for made in made {
            let outcome = made.outcome();
            // The next object waits until this one's bytes are away: memory is that of one.
            drop(made);
            let done = self.publisher.publish(&outcome).await.map_err(|error| {
                if error.is_denied() {
                    self.metrics.count(Metric::AccessDenied, 1);
                }
                LandError(error.to_string())
            })?;
            published.objects += done.objects;
            published.existing += done.existing;
            published.bytes += done.bytes;
        }
        Ok(())
    }

    fn count(&self, counts: &Counts, published: Published) {
        self.metrics.count(Metric::FlowTuples, counts.tuples);
        self.metrics.count(Metric::ObjectsWritten, published.objects);
        self.metrics.count(Metric::BytesWritten, published.bytes);
        for (reason, count) in &counts.quarantined {
            self.metrics.record(Metric::RecordsQuarantined, reason, *count);
        }
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.add(counts);
        all.1.objects += published.objects;
        all.1.existing += published.existing;
        all.1.bytes += published.bytes;
    }
}

#[async_trait]
impl Land for ToLake {
    fn cut(&self) -> u32 {
        PLANNED_ROWS
    }

    async fn land(&self, part: &Part<'_>) -> Result<(), LandError> {
        let failed = |error: &dyn std::fmt::Display| LandError(error.to_string());
        let name = BatchId::parse(part.name).map_err(|error| failed(&error))?;
        let source = part.blob.to_string();
        // Not the clock's: a part that is put again must make the same objects. Records without a time in a blob whose name has
        // no hour lie where the first one with a time does.
        let received = hour(&source)
            .or_else(|| part.records.iter().map(|record| record.time).find(|time| *time > 0))
            .unwrap_or_default();
        let mut published = Published::default();
        let mut into = self.logs.planned(name, Source { name: &source, received }, part.cut);
        for record in part.records {
            let key = RecordKey { time: record.time, mac: record.mac, ordinal: record.ordinal };
            let taken = if record.cut_off { into.cut_off(key, record.bytes) } else { into.record(key, record.bytes) };
            taken.map_err(|error| failed(&error))?;
            self.publish(into.ready(), &mut published).await?;
        }
        let (made, counts) = into.finish().map_err(|error| failed(&error))?;
        self.publish(made, &mut published).await?;
        self.count(&counts, published);
        Ok(())
    }
}
