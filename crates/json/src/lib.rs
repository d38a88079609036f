//! One JSON document as a flat tape: borrowed, bounded, members in order, duplicate names kept.
//!
//! Text without escapes is borrowed from the input, other text lives in the caller's arena, so every `&'b str`
//! outlives the [`Doc`], which can be cleared and used again. Numbers keep their source text. Depth and node
//! count are bounded by [`Limits`]; parsing never recurses.
//!
//! **Invariant:** this crate does no I/O.

mod doc;
mod parse;
mod write;

pub use doc::{Doc, Elements, Kind, Members, NodeId, Value};
pub use parse::{JsonError, JsonErrorKind, Limits};
pub use write::{write_json, write_json_string, write_json_unique};
