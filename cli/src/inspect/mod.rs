//! Looking into lake objects: what one holds by its footer, and its first rows as JSON; quarantine objects by reason.

mod object;
mod quarantine;
mod text;
mod value;

pub(crate) use object::{Columns, LakeFile, each_row, is_parquet_file};
pub(crate) use quarantine::{QuarantineFile, Refusals};
pub(crate) use text::{cell, pick};
