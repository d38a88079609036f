//! Looking into lake objects: what one holds by its footer, and its first rows as JSON.

mod object;
mod text;
mod value;

pub(crate) use object::{Columns, LakeFile};
pub(crate) use text::{cell, pick};
