//! Security Lake's layout and form: columns, Parquet, and (to come) object names, staged outcomes, quarantine.
//!
//! [`encode`] turns typed OCSF events of one class into one Arrow batch by the class's static columns; [`write_parquet`]
//! turns the batch into the bytes of one lake object.
//!
//! **Invariant:** the schema of an object is fixed by its class and version, never by its rows.

mod encode;
mod group;
mod layout;
mod parquet_file;

pub use encode::{Encoded, encode};
pub use group::{Group, GroupKey, MAX_GROUPS, Row, group};
pub use layout::{Account, EventDay, location, object_key, source_name};
pub use parquet_file::{LakeError, Stamp, write_parquet};
