//! From an event's body to OCSF events: mapping files, their compiler, unwrapping, classification, evaluation.
//!
//! A *mapping set* ([`MappingSet`]) is compiled once, for one OCSF version, from the files of one or more modules. Its
//! language is described in `docs/MAPPING-LANGUAGE.md`. [`Mapper::map_body`] then turns one event's body into outcomes:
//! a typed OCSF event, or a refusal with a reason, for every record in it; nothing is lost between the two.
//!
//! ```text
//! body ── repair, unwrap ──▶ records ── redact ──▶ classify ──▶ evaluate ──▶ derive ──▶ Outcome::Mapped
//!            │                                        │  │           │
//!            └────────────────────────────────────────┼──┴───────────┴────────────────▶ Outcome::Refused
//!                                                     └─▶ Outcome::Routed, Outcome::Skipped
//! ```
//!
//! OCSF is the one canonical form. [`asff::finding`] and [`cloudtrail::audit_event`] derive the forms of Security Hub and
//! CloudTrail Lake from the typed event, whatever kind it came from.
//!
//! **Invariants:** no I/O, no clock; evaluation is total (no panic, bounded depth and size); a source value can only
//! ever become the attribute that the map names; a mapping set that does not pass its static check does not exist.

mod accept;
pub mod asff;
mod bounded;
mod cases;
mod check;
mod classify;
pub mod cloudtrail;
mod compile;
mod derive;
mod describe;
mod destination;
mod diagnostic;
mod eval;
mod file;
pub mod function;
mod functions;
mod lists;
mod mapper;
mod outcome;
mod plan;
mod redact;
mod repair;
mod rules;
mod scalar;
mod scope;
mod set;
mod syntax;
mod timestamp;
mod trace;
mod unmapped;
mod unwrap;
mod view;
mod yaml;

pub use cases::{Case, CaseReport, run_case};
pub use check::{check, outside_schema};
pub use describe::{Line, describe_kinds, explain};
pub use destination::{Destination, InvalidDestination, Partition};
pub use diagnostic::Diagnostic;
pub use mapper::{Mapper, Scratch};
pub use outcome::{Mapped, Options, Origin, Outcome, Reason, Refused, Routed, Skipped};
pub use redact::redact_text;
pub use set::{Kind, MappingSet, Sources, Variant, digest};
pub use timestamp::parse_timestamp;
pub use trace::{Trace, Traced, trace};
