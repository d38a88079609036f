//! The storage account of the demo, and what must come of its flow logs.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tributary_azure_blobs::{
    Account, Allowed, BlobError, BlobListing, BlobName, BlobStore, BlockList, MemoryBlobs, Page,
};
use tributary_azure_flowlog_job::{FixedStorage, ReadConfig, ReadFlowLogs, Stores, ToLake};
use tributary_azure_flowlogs::{FlowLogs, generate, hour};
use tributary_lake::Publisher;
use tributary_ledger::Cursors;
use tributary_pipeline::Stop;
use tributary_queue::Queue;
use tributary_telemetry::Metrics;

use crate::failure::Failure;

/// The account that sample notifications name.
const ACCOUNT: &str = "stcontosoflows";
/// Tuples of a blob: an hour of a quiet interface.
pub(super) const TUPLES: u64 = 600;

/// An account in which every blob is that is asked for: an hour by its name, in memory.
#[derive(Default)]
struct EveryBlob(MemoryBlobs);

impl EveryBlob {
    fn make(&self, blob: &BlobName) {
        let (Some(start), Some((_, rest))) = (hour(&blob.path), blob.path.split_once("/macAddress=")) else { return };
        if self.0.length(blob) > 0 {
            return;
        }
        let mac = rest.split('/').next().unwrap_or_default().to_owned();
        // The same name, the same flows.
        let seed = blob.path.bytes().fold(0_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let blocks: Vec<String> = generate::Hour { seed, tuples: TUPLES, start, mac }.blocks().collect();
        for minute in blocks.iter().filter(|block| block.contains("\"time\"")) {
            self.0.append(blob, &[minute.trim_start_matches(',')]);
        }
    }
}

#[async_trait]
impl BlobStore for EveryBlob {
    async fn blocks(&self, blob: &BlobName) -> Result<BlockList, BlobError> {
        self.make(blob);
        self.0.blocks(blob).await
    }

    async fn read(&self, blob: &BlobName, offset: u64, length: u64, etag: &str) -> Result<Bytes, BlobError> {
        self.0.read(blob, offset, length, etag).await
    }
}

#[async_trait]
impl BlobListing for EveryBlob {
    async fn list(
        &self,
        account: &str,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page, BlobError> {
        self.0.list(account, container, prefix, marker).await
    }
}

/// The job that reads the demo's account.
pub(super) fn job(
    logs: FlowLogs,
    publisher: Publisher,
    queue: Arc<dyn Queue>,
    cursors: Arc<dyn Cursors>,
    metrics: Metrics,
) -> Result<ReadFlowLogs, Failure> {
    let account = Account::public(ACCOUNT).map_err(|why| Failure::Usage(format!("{ACCOUNT} {why}")))?;
    let stores = Stores { allowed: Allowed::flow_logs([account]), blobs: Arc::new(EveryBlob::default()) };
    Ok(ReadFlowLogs {
        queue,
        storage: Arc::new(FixedStorage(stores)),
        cursors,
        lake: ToLake::new(Arc::new(logs), publisher, metrics.clone()),
        metrics,
        stop: Stop::new(),
        config: ReadConfig::default(),
    })
}
