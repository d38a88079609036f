//! Security Lake's layout and form, and the way of a batch's outcome into it.
//!
//! From typed OCSF events to objects, in memory:
//! - [`group()`] sorts a batch's rows by class, account and day; [`Layout`] gives each group its key.
//! - [`encode`] turns the events of one group into one Arrow batch by the class's static columns; [`write_parquet`] turns
//!   that into the bytes of one lake object. [`LakeWriter`] does all of it.
//! - [`ColumnFile`] does the same for rows by the million, from columns of codes and numbers.
//! - [`quarantine_object`] makes one object of the records that did not become events; [`QuarantineReader`] reads it.
//!   [`Quarantine`] is their store, and retires what went on.
//!
//! From objects to stores, on [`object_store`]:
//! - [`Outcome`] is everything that a batch will be, in one object. [`Staging`] stages it, create-only: the first one
//!   wins, whatever attempt, mapping set or version comes later.
//! - [`Publisher`] writes the staged outcome's groups, create-only, under names made from the batch id. A crash between
//!   any two writes is mended by doing the same again. [`Remap`] puts another outcome in the place of a published one.
//! - [`LocalStore`] is a folder with the same promises as S3, [`Bucket`] a place in S3. [`conformance`] holds what every
//!   store must do.
//! - [`read_texts`] reads files that people put into a store, within bounds.
//!
//! **Invariant:** the schema of an object is fixed by its class and version, never by its rows.
//! **Invariant:** nothing here interprets where an event came from: a batch is a name, a position is handed through.

mod bucket;
mod columnar;
pub mod conformance;
mod encode;
mod group;
mod layout;
mod leaf;
mod local;
mod objects;
mod outcome;
mod page;
mod parquet_file;
mod publish;
mod quarantine;
mod registry;
mod remap;
mod retire;
mod staging;
mod store;
mod texts;

pub use bucket::{Bucket, BucketError, BucketOptions, BucketUse, KmsKey};
pub use columnar::{ColumnFile, Dictionary, Leaf, Leaves, Number, Present, Slot};
pub use encode::{Encoded, encode};
pub use group::{Group, GroupKey, MAX_GROUPS, Misfiled, Row, group};
pub use layout::{Account, EventDay, Layout, LayoutError, location, locations, object_key, source_name};
pub use local::{Durability, LocalStore};
pub use objects::{LakeObject, LakeObjects, LakeWriter, MISFILED_PATH};
pub use outcome::{
    Counts, Destination, GroupEntry, MAX_OUTCOME_BYTES, Manifest, OUTCOME_SCHEMA, Outcome, OutcomeBuilder, OutcomeError,
};
pub use page::CUT_PATH;
pub use parquet_file::{LakeError, Stamp, write_parquet};
pub use publish::{Published, Publisher};
pub use quarantine::{
    QuarantineEntry, QuarantineError, QuarantineKey, QuarantineLimits, QuarantineObject, QuarantineReadError,
    QuarantineReader, quarantine_key, quarantine_object, quarantine_object_at, received_at,
};
pub use registry::{
    MAX_SOURCE_NAME, MemoryRegistry, Registered, RegistryError, RegistryRoles, SecurityLakeRegistry, SourceId,
    SourceRegistry,
};
pub use remap::{Remap, RemapError, Replaced};
pub use retire::Quarantine;
pub use staging::{MAX_CLAIM_BYTES, Staged, Staging, claim_key};
pub use store::StoreError;
pub use texts::{TextLimits, read_texts};

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
