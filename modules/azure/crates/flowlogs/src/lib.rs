//! Azure flow logs as Network Activity (4001): records to columns to lake objects, without a value a tuple.
//!
//! A blob of flow logs is a list of records, one a minute and interface; a record holds thousands of tuples, each one line of text
//! about one flow. What a tuple becomes is fixed in code (`columns`); this is the one path that is too
//! hot for the mapping language.
//!
//! - [`Cutter`] cuts a blob, or a fragment of one (the blocks that were added since), into records, in whatever pieces it comes;
//!   memory is bounded by the longest record.
//!   [`Scanner`] is what it finds them by.
//! - [`FlowLogs::part`] takes records of one blob, each by its [`RecordKey`]; [`Part::read`] finds the key and asks whether the
//!   record is wanted, for those that were consumed before. Tuples go straight into columns.
//! - When there is enough for an object, [`Part::ready`] has it: rows sorted by time, one object for each account and day, next to
//!   what could not be taken. The same records under the same name always make the same names, so a crash is mended by
//!   doing it again.
//! - A bad tuple goes to quarantine alone, with its place: blob, record's key, flow, group and number. So does a bad record.
//! - [`generate`] makes blobs of any size.
//!
//! ```
//! use tributary_azure_flowlogs::{Cutter, FlowLogs, Source, generate};
//! use tributary_batch::BatchId;
//! use tributary_lake::Layout;
//! use tributary_ocsf::Version;
//!
//! let layout = Layout::from_prefix("eu-west-1", "azure-", Version::V1_3_0)?;
//! let logs = FlowLogs::new(Version::V1_3_0, layout, "azure")?;
//! let blob = generate::blob(7, 1_000);
//! let mut part = logs.part(BatchId::for_content(&blob), Source { name: "PT1H.json", received: 1_767_225_600_000 });
//! let mut failed = None;
//! let mut take = |record: &[u8]| failed = failed.take().or(part.read(record, |_| true).err());
//! let mut cutter = Cutter::blob();
//! blob.chunks(4_096).for_each(|piece| cutter.push(piece, &mut take));
//! cutter.end(&mut take);
//! assert!(failed.is_none());
//! let (made, counts) = part.finish()?;
//! assert_eq!((counts.tuples, made.len()), (1_000, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Invariant:** no I/O and no clock: the same bytes give the same objects.

mod columns;
pub mod generate;
mod parse;
mod part;
mod place;

pub use columns::object::{CLASS, PATHS};
pub use parse::cut::{Cutter, Found, Head, MAX_RECORD, Rest, Scanner, head};
pub use parse::protocol::protocol_name;
pub use part::{Counts, FlowLogError, FlowLogs, Made, PLANNED_ROWS, Part, RecordKey, Source, record_name};
pub use place::hour;
