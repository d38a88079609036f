//! The jobs, over the traits of the other rooms.
//!
//! - [`Poll`] reads a hub's partitions ([`EventSource`]) and puts batches into the queue, with the ledger's lease, plan and
//!   commit.
//! - [`Transform`] takes batches from the queue, maps them ([`Transformer`]), stages and publishes the outcome.
//! - [`ImportFindings`] takes the findings that the transformer put aside to Security Hub.
//! - [`ChangedMappings`] are mapping files that take the built-in ones' place without a release, if they pass.
//!
//! The jobs are made of plain public fields: whoever runs one chooses each back end. Time comes from a [`Clock`].
//!
//! **Invariant:** only this crate sees both a source and a destination.

mod clock;
mod import;
mod mappings;
mod pack;
mod poll;
mod source;
mod stop;
mod transform;

pub use clock::Clock;
pub use import::{ImportConfig, ImportError, ImportFindings, ImportReport, Imported, NotFindings};
pub use mappings::{ChangedMappings, InvalidMappingsUri, MappingsRefused, MappingsUri};
pub use poll::{PartitionReport, PartitionState, Poll, PollConfig, PollReport};
pub use source::{EventSource, HubRef, PartitionReader, PartitionStatus, SourceError, StartPosition};
pub use stop::Stop;
pub use transform::{
    DeliverError, Delivered, Findings, Input, InputBody, InputEvent, Made, Trail, Transform, TransformConfig,
    TransformError, TransformReport, Transformer,
};
