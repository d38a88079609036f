//! The jobs: poll and transform, over the traits of the other rooms.
//!
//! **Invariant:** only this crate sees both a source and a destination.

mod source;

pub use source::{EventSource, HubRef, PartitionReader, PartitionStatus, SourceError, StartPosition};
