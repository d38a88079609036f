//! The static columns of each class: which attributes a lake object has, and as what type.
//!
//! Text form (`schemas/{version}/{class}.txt`), one leaf a line, in column order: `path: type`, where a list
//! carries `[]` after its name, such as `resources[].name: string` or `metadata.profiles[]: string`.

use crate::schema::{AttrIx, ShapeId, Version};

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// `boolean_t`
    Bool,
    /// `integer_t`: values that do not fit go to `unmapped`.
    Int32,
    /// `long_t`, `timestamp_t`
    Int64,
    /// `float_t`
    Double,
    /// `string_t`
    Text,
    /// JSON as text: `json_t`, and objects below the depth cut.
    Json,
    /// `datetime_t`: timestamp in milliseconds, UTC.
    Timestamp,
    /// `unmapped`: map of text to text.
    Map,
    /// An object.
    Struct(Vec<Column>),
    /// A list of any of the above but lists.
    List(Box<ColumnType>),
}

/// One attribute of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Which attribute of the shape.
    pub attr: AttrIx,
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub ty: ColumnType,
}

/// The columns of a class in one version. Every column may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Which version.
    pub version: Version,
    /// Which class.
    pub class: ShapeId,
    /// Top-level columns, in file order.
    pub columns: Vec<Column>,
}
