//! The OCSF model: tables for 1.1.0 and 1.3.0, typed events, derived attributes, the validator, Arrow schemas.
//!
//! - [`Schema`] is one version's classes and objects ([`Shape`]), attributes ([`Attr`]), types and enumerations. It is
//!   read from the compact tables in `crates/ocsf/tables/`, which a generator writes (see `tables/README.md`).
//! - [`Object`] and [`Value`] are one event as a typed tree: attributes are indices into their shape, so that neither
//!   the encoder nor a check compares names.
//! - [`validate`] judges any JSON event by the rules of the official server and the strict ones beyond it.
//! - `columns` is the static Arrow schema of each class.
//!
//! **Invariant:** this crate does no I/O and knows no clock.

mod accept;
pub mod columns;
mod embedded;
mod format;
mod load;
mod schema;
mod tree;
pub mod validate;

pub use accept::accepts_text;
pub use schema::{
    Attr, AttrIx, BaseType, Constraint, EnumId, EnumTable, EnumValue, Requirement, Schema, Shape, ShapeId, ShapeKind,
    TypeDef, TypeId, Version,
};
pub use tree::{Object, Value, civil_from_days, write_object, write_rfc3339, write_value};
