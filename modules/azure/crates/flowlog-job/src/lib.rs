//! The job that reads flow logs: from notifications of grown blobs to objects in the lake, every tuple once.
//!
//! - [`ReadFlowLogs`] takes messages of the flow log queue ([`Notifications`]), each a few notifications (`tributary.blobs/1`). Those
//!   of one blob are one reading, however many there are; what the ledger already covers costs one read of it. A message is done
//!   with when each of its blobs was read to its end.
//! - [`Sweep`] looks for blobs whose notification was lost.
//! - [`ToLake`] is where records go: [`tributary_azure_flowlogs`] makes objects, which are published under the part's name.
//! - [`Storage`] says which blobs may be read and by whom: storage accounts by [`AccountList`] and by the secret.
//!
//! What holds "once" is the reader of blobs ([`tributary_azure_blobs`]) with its cursor in the ledger; this crate only carries.
//!
//! **Invariant:** a notification that names a blob outside of what is configured is never followed.

pub mod accounts;
mod examine;
mod land;
mod message;
mod read;
mod storage;
mod sweep;

pub use accounts::{AccountList, InvalidAccounts};
pub use examine::examine_storage;
pub use land::ToLake;
pub use message::{NotNotifications, Notifications};
pub use read::{FlowReport, ReadConfig, ReadFlowLogs, TakeError, Taken};
pub use storage::{AzureStorage, FixedStorage, Storage, StorageError, Stores};
pub use sweep::{Sweep, SweepError, SweepReport};
