//! Blobs whose notification was lost.

use tokio::time::Instant;
use tracing::warn;
use tributary_azure_blobs::{BlobError, Listed, Notice, Report};
use tributary_azure_flowlogs::hour;

use crate::read::{ReadFlowLogs, add};
use crate::storage::StorageError;
use crate::{TakeError, storage::Stores};

/// Looks at every blob of the hours from `since` on, and reads what the ledger does not cover. Event Grid may drop an hour's last
/// notification, and nothing comes after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The first hour, in milliseconds since 1970-01-01T00:00:00Z. Not before the oldest cursor that the ledger still has: a blob without
    /// one is read from its start.
    pub since: i64,
    /// Blobs' names in their container begin so.
    pub prefix: String,
    /// Only counts what would be read.
    pub dry_run: bool,
}

/// What a sweep came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Blobs of these hours.
    pub blobs: u64,
    /// Of them those that had something new, or (in a dry run) would be asked.
    pub behind: u64,
    /// Blobs of earlier hours, and such without an hour in their name: left alone.
    pub outside: u64,
    /// What the reader did.
    pub read: Report,
    /// Blobs that could not be read to their end.
    pub failed: u64,
    /// The last failure.
    pub failure: Option<String>,
}

/// Why a sweep did not look at everything.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// No blob can be read now.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A container cannot be listed.
    #[error("container {container} of storage account {account} cannot be listed: {error}")]
    List {
        /// The account.
        account: String,
        /// The container.
        container: String,
        /// Why.
        error: BlobError,
    },
    /// Time was up.
    #[error("the time was up: what was read stays, sweep again to go on")]
    Late,
}

impl ReadFlowLogs {
    /// Sweeps until `until`.
    ///
    /// # Errors
    /// When not everything could be looked at. A blob that fails is counted in the report.
    pub async fn sweep(&self, sweep: &Sweep, until: Instant) -> Result<SweepReport, SweepError> {
        let stores = self.stores().await?;
        let mut report = SweepReport::default();
        for account in stores.allowed.accounts() {
            for container in stores.allowed.containers() {
                let mut marker: Option<String> = None;
                loop {
                    if Instant::now() >= until || self.stop.is_set() {
                        return Err(SweepError::Late);
                    }
                    let page = stores.blobs.list(&account.name, container, &sweep.prefix, marker.as_deref()).await;
                    let page = match page {
                        Ok(page) => page,
                        // Most have one of the two containers.
                        Err(BlobError::Gone) => break,
                        Err(error) => {
                            let (account, container) = (account.name.clone(), container.to_owned());
                            return Err(SweepError::List { account, container, error });
                        }
                    };
                    self.page(sweep, &stores, page.blobs, until, &mut report).await;
                    marker = page.next;
                    if marker.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(report)
    }

    async fn page(&self, sweep: &Sweep, stores: &Stores, blobs: Vec<Listed>, until: Instant, report: &mut SweepReport) {
        let all = blobs.len() as u64;
        let inside = blobs.into_iter().filter(|blob| hour(&blob.name.path).is_some_and(|hour| hour >= sweep.since));
        // The ETag of the listing, as a notification: what the ledger covers by it costs one read of the ledger.
        let notice = |listed: Listed| (listed.name, Some(Notice { e_tag: Some(listed.etag), ..Notice::default() }));
        let inside: Vec<_> = inside.map(notice).collect();
        report.blobs += inside.len() as u64;
        report.outside += all - inside.len() as u64;
        if sweep.dry_run {
            for (blob, notice) in &inside {
                match tributary_azure_blobs::is_covered(self.cursors.as_ref(), blob, notice.as_ref()).await {
                    Ok(covered) => report.behind += u64::from(!covered),
                    Err(error) => {
                        report.failed += 1;
                        report.failure = Some(error.to_string());
                    }
                }
            }
            return;
        }
        for (blob, read) in self.read(stores, inside, until).await {
            match read {
                Ok(one) => {
                    report.behind += u64::from(one.records > 0);
                    add(&mut report.read, &one);
                }
                Err(error) => {
                    if !matches!(error, TakeError::Late(_)) {
                        warn!(%blob, "{error}");
                    }
                    report.failed += 1;
                    report.failure = Some(error.to_string());
                }
            }
        }
    }
}
