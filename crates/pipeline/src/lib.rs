//! The jobs, over the traits of the other rooms.
//!
//! - [`Poll`] reads a hub's partitions ([`EventSource`]) and puts batches into the queue, with the ledger's lease, plan and
//!   commit.
//! - [`Transform`] takes batches from the queue, maps them ([`Transformer`]), stages and publishes the outcome.
//! - [`ImportFindings`] takes the findings that the transformer put aside to Security Hub.
//! - [`Positions`] shows where partitions stand, and moves one.
//! - [`RedriveLetters`] and [`RedriveRecords`] bring back what was set aside: dead letters, and quarantined records.
//! - [`Replay`] sends a partition's range once more; [`RemapBatches`] maps its batches anew, in the place of what they were.
//! - [`ChangedMappings`] are mapping files that take the built-in ones' place without a release, if they pass.
//! - [`Doctor`] looks at a deployment and says what to do about what it finds.
//! - [`RegisterSources`] gives each enabled class its custom source of the lake.
//!
//! The jobs are made of plain public fields: whoever runs one chooses each back end. Time comes from a [`Clock`].
//!
//! **Invariant:** only this crate sees both a source and a destination.

mod beside;
mod clock;
mod doctor;
mod import;
mod mappings;
mod mark;
mod message;
mod pack;
mod poll;
mod positions;
mod progress;
mod redrive;
mod register;
mod replay;
mod source;
mod stop;
mod transform;

pub use clock::Clock;
pub use doctor::{
    Doctor, Subject, Wanted, examine_file, examine_folder, examine_mappings, examine_source, examine_sources,
};
pub use import::{ImportConfig, ImportError, ImportFindings, ImportReport, Imported, NotFindings};
pub use mappings::{ChangedMappings, InvalidMappingsUri, MappingsRefused, MappingsUri};
pub use mark::attempt as worker_mark;
pub use poll::{PartitionReport, PartitionState, Poll, PollConfig, PollReport};
pub use positions::{Move, Positions, PositionsError, Standing, Target};
pub use progress::Progress;
pub use redrive::{LetterFilter, LettersReport, RecordFilter, RecordsReport, RedriveLetters, RedriveRecords};
pub use register::{RegisterError, RegisterReport, RegisterSources, SourceSet};
pub use replay::{
    Bound, Gaps, Piece, RemapBatches, RemapReport, Replay, ReplayError, ReplayPlan, ReplayRange, ReplayReport,
};
pub use source::{EventSource, HubRef, PartitionReader, PartitionStatus, SourceError, StartPosition};
pub use stop::Stop;
pub use transform::{
    Again, DeliverError, Delivered, Derived, Findings, Input, InputBody, InputEvent, Made, Trail, Transform,
    TransformConfig, TransformError, TransformReport, Transformer,
};
