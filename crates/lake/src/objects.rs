//! The rows of one batch as the Parquet objects of the lake.

use std::sync::OnceLock;

use bumpalo::Bump;
use bytes::Bytes;
use tributary_batch::BatchId;
use tributary_ocsf::columns::Columns;
use tributary_ocsf::{AttrIx, Object, Schema, Shape, ShapeId, Value};

use crate::encode::encode;
use crate::group::{Group, Misfiled, Row, group};
use crate::layout::Layout;
use crate::parquet_file::{LakeError, Stamp, write_parquet};

/// Path in a row's `unmapped` that says why the row lies under a day (and account) that is not its own.
pub const MISFILED_PATH: &str = "tributary.event_day";

impl Misfiled {
    /// The text at [`MISFILED_PATH`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutsideWindow => "hub enqueued time: the event's own time is outside the accepted window",
            Self::TooManyGroups => "batch's first day: the batch has too many accounts and days",
        }
    }
}

/// One object of the lake, not yet written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeObject {
    /// Its key in the lake's bucket.
    pub key: String,
    /// Its content.
    pub bytes: Bytes,
    /// Its rows.
    pub rows: u64,
    /// `class_uid` of all of them.
    pub class_uid: i32,
}

/// The objects of one batch, in the order of their keys' class, account and day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LakeObjects {
    /// The objects.
    pub objects: Vec<LakeObject>,
    /// Values that went to `unmapped` because their class has no column for them, or they did not fit it.
    pub overflowed: u64,
    /// Values cut short or left out, because a page could not take them (see [`CUT_PATH`](crate::CUT_PATH)).
    pub cut: u64,
    /// Rows filed under the day on which the hub accepted them, because their own time is not to be believed.
    pub outside_window: u64,
    /// Rows filed under account `external` because the batch has too many groups.
    pub over_group_limit: u64,
}

impl LakeObjects {
    /// Rows in all objects.
    pub fn rows(&self) -> u64 {
        self.objects.iter().map(|object| object.rows).sum()
    }

    /// Bytes of all objects.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.bytes.len() as u64).sum()
    }
}

/// Turns rows into objects. One serves a whole process: it keeps each class's columns once they were used.
#[derive(Debug)]
pub struct LakeWriter {
    schema: &'static Schema,
    layout: Layout,
    mappings: String,
    /// By index of [`ShapeId`].
    columns: Vec<OnceLock<Columns>>,
}

impl LakeWriter {
    /// A writer for events of one OCSF version; `mappings` is the digest of the set that makes them.
    pub fn new(schema: &'static Schema, layout: Layout, mappings: impl Into<String>) -> Self {
        let columns = schema.shapes.iter().map(|_| OnceLock::new()).collect();
        Self { schema, layout, mappings: mappings.into(), columns }
    }

    /// Whether events of a class can be written: it has a source in the layout and a committed schema. Worth asking for
    /// every class of the mapping set before the first batch.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self, class: ShapeId) -> Result<(), LakeError> {
        let (shape, class_uid) = self.class(class)?;
        self.columns(class, shape)?;
        self.layout.location(class_uid).map(drop).ok_or_else(|| no_source(shape, class_uid))
    }

    /// One object for each class, account and day among the rows. The same rows always give the same keys; their bytes
    /// may differ from one version of this program to the next.
    ///
    /// # Errors
    /// When a class has no source or no committed schema ([`check`](Self::check)), or Arrow or Parquet refuse the rows,
    /// which a batch within its bounds cannot bring about.
    pub fn objects(&self, batch: &BatchId, rows: &[Row<'_>]) -> Result<LakeObjects, LakeError> {
        let mut made = LakeObjects::default();
        for group in group(rows) {
            let (shape, class_uid) = self.class(group.key.class)?;
            let key = self.layout.key(class_uid, &group.key.account, group.key.day, batch);
            let key = key.ok_or_else(|| no_source(shape, class_uid))?;
            let arena = Bump::new();
            let encoded = encode(self.schema, self.columns(group.key.class, shape)?, &marked(&group, shape, &arena))?;
            let stamp = Stamp { ocsf_version: self.schema.version.as_str(), mappings: &self.mappings };
            let bytes = Bytes::from(write_parquet(&encoded.batch, stamp)?);
            made.objects.push(LakeObject { key, bytes, rows: group.events.len() as u64, class_uid });
            made.overflowed += encoded.overflowed;
            made.cut += encoded.cut;
            for (_, why) in &group.misfiled {
                match why {
                    Misfiled::OutsideWindow => made.outside_window += 1,
                    Misfiled::TooManyGroups => made.over_group_limit += 1,
                }
            }
        }
        Ok(made)
    }

    fn class(&self, class: ShapeId) -> Result<(&'static Shape, i32), LakeError> {
        let shape = self.schema.shape(class);
        shape.and_then(|shape| Some((shape, shape.uid?))).ok_or(LakeError::NoClass(class.0))
    }

    fn columns(&self, class: ShapeId, shape: &Shape) -> Result<&Columns, LakeError> {
        let slot = self.columns.get(usize::from(class.0)).ok_or(LakeError::NoClass(class.0))?;
        if let Some(columns) = slot.get() {
            return Ok(columns);
        }
        let missing = || LakeError::NoSchema { version: self.schema.version, class: shape.name };
        let found = Columns::embedded(self.schema, shape.name).ok_or_else(missing)??;
        Ok(slot.get_or_init(|| found))
    }
}

fn no_source(shape: &Shape, class_uid: i32) -> LakeError {
    LakeError::NoSource { class: shape.name, class_uid }
}

/// The group's events, with the reason in `unmapped` of those that are misfiled.
fn marked<'a>(group: &Group<'a>, shape: &Shape, arena: &'a Bump) -> Vec<&'a Object<'a>> {
    let mut events = group.events.clone();
    let Some((unmapped, _)) = shape.attr_named("unmapped") else { return events };
    for (index, why) in &group.misfiled {
        if let Some(event) = events.get_mut(*index) {
            *event = arena.alloc(mark(event, unmapped, why.as_str(), arena));
        }
    }
    events
}

/// A copy of an event with one more entry in its `unmapped`; the copy shares everything else.
fn mark<'a>(event: &Object<'a>, unmapped: AttrIx, why: &'static str, arena: &'a Bump) -> Object<'a> {
    let mut entries = match event.get(unmapped) {
        Some(Value::Map(entries)) => entries.to_vec(),
        _ => Vec::new(),
    };
    match entries.binary_search_by_key(&MISFILED_PATH, |(path, _)| path) {
        // A source field of this very name: what the lake says of the row counts.
        Ok(at) => entries.splice(at..=at, [(MISFILED_PATH, why)]).for_each(drop),
        Err(at) => entries.insert(at, (MISFILED_PATH, why)),
    }
    let value = Value::Map(arena.alloc_slice_copy(&entries));
    let mut fields = event.fields.to_vec();
    match fields.binary_search_by_key(&unmapped, |(attr, _)| *attr) {
        Ok(at) => fields.splice(at..=at, [(unmapped, value)]).for_each(drop),
        Err(at) => fields.insert(at, (unmapped, value)),
    }
    Object { shape: event.shape, fields: arena.alloc_slice_copy(&fields) }
}
