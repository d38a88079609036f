//! Typed events straight into Arrow columns, by attribute index.
//!
//! Absent attributes cost nothing per row: a column is padded with nulls when its next value comes, or at the end.
//! What has no column, or does not fit it, goes to the row's `unmapped`.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::{ArrayRef, ListArray, MapArray, RecordBatch, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field};
use tributary_ocsf::columns::{Column, ColumnType, Columns, data_type};
use tributary_ocsf::{Object, Schema, Value, write_value};

/// A batch and what had no column of its own.
#[derive(Debug)]
pub struct Encoded {
    /// One row an event, in the order given.
    pub batch: RecordBatch,
    /// Values that went to `unmapped` because the class has no column for them or they did not fit.
    pub overflowed: u64,
}

/// Encodes events of one class.
///
/// # Errors
/// Only when a column outgrows Arrow's 2 GiB offsets, which a batch of 8 MiB cannot.
pub fn encode(schema: &Schema, columns: &Columns, events: &[&Object<'_>]) -> Result<Encoded, ArrowError> {
    let mut encoder = Encoder { schema, path: Vec::new(), overflow: Vec::new(), overflowed: 0 };
    let mut root = StructColumn::new(&columns.columns, events.len());
    let unmapped = columns.columns.iter().position(|column| column.ty == ColumnType::Map);
    for event in events {
        encoder.row(&mut root, unmapped, event);
    }
    let rows = events.len();
    let arrays = root.children.into_iter().map(|child| child.finish(rows)).collect::<Result<Vec<_>, _>>()?;
    let batch = RecordBatch::try_new(Arc::new(columns.arrow_schema()), arrays)?;
    Ok(Encoded { batch, overflowed: encoder.overflowed })
}

struct Encoder<'e> {
    schema: &'e Schema,
    /// Names from the event down to the current object.
    path: Vec<&'static str>,
    /// The row's values without a column: path and text.
    overflow: Vec<(String, String)>,
    overflowed: u64,
}

impl Encoder<'_> {
    fn row(&mut self, root: &mut StructColumn, unmapped: Option<usize>, event: &Object<'_>) {
        self.overflow.clear();
        let row = root.len;
        root.len += 1;
        let mut entries: &[(&str, &str)] = &[];
        for (attr, value) in event.fields {
            match value {
                Value::Map(found) => entries = found,
                value => self.field(root, row, event, attr.0, value),
            }
        }
        self.overflowed += self.overflow.len() as u64;
        let Some(child) = unmapped.and_then(|index| root.children.get_mut(index)) else { return };
        if !entries.is_empty() || !self.overflow.is_empty() {
            child.pad(row);
            child.append_map(entries, &mut self.overflow);
        }
    }

    fn field(&mut self, target: &mut StructColumn, row: usize, object: &Object<'_>, attr: u16, value: &Value<'_>) {
        let name = || {
            let attr = self.schema.shape(object.shape).and_then(|shape| shape.attr(tributary_ocsf::AttrIx(attr)));
            attr.map_or("?", |attr| attr.name)
        };
        let index = target.by_attr.get(usize::from(attr)).copied().unwrap_or(NO_COLUMN);
        let Some(child) = target.children.get_mut(usize::from(index)) else {
            let name = name();
            return self.spill(name, value);
        };
        child.pad(row);
        let name = child.name;
        self.append(child, name, value);
    }

    /// Notes a value that has no column.
    fn spill(&mut self, name: &str, value: &Value<'_>) {
        let mut path = self.path.join(".");
        if !path.is_empty() && !name.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        let text = match value {
            Value::Str(text) | Value::Json(text) => (*text).to_owned(),
            other => {
                let mut text = String::new();
                write_value(self.schema, other, &mut text);
                text
            }
        };
        self.overflow.push((path, text));
    }

    /// Appends one value to a column; exactly one slot is filled, with null when the value does not fit.
    fn append(&mut self, column: &mut Leaf, name: &'static str, value: &Value<'_>) {
        column.len += 1;
        match (&mut column.data, value) {
            (Data::Bool(builder), Value::Bool(value)) => builder.append_value(*value),
            (Data::Int32(builder), Value::Int(number)) => match i32::try_from(*number) {
                Ok(number) => builder.append_value(number),
                Err(_) => {
                    builder.append_null();
                    self.spill(name, value);
                }
            },
            (Data::Int64(builder), Value::Int(number)) => builder.append_value(*number),
            (Data::Double(builder), Value::Float(number)) => builder.append_value(*number),
            (Data::Timestamp(builder), Value::Time(ms)) => builder.append_value(*ms),
            (Data::Text(builder), Value::Str(text) | Value::Json(text)) => builder.append_value(text),
            // Objects below the depth cut are JSON text.
            (Data::Text(builder), Value::Object(_) | Value::Array(_)) => {
                let mut text = String::new();
                write_value(self.schema, value, &mut text);
                builder.append_value(text);
            }
            (Data::Struct(inner), Value::Object(object)) => {
                let row = inner.len;
                inner.len += 1;
                inner.nulls.append_non_null();
                self.path.push(name);
                for (attr, value) in object.fields {
                    self.field(inner, row, object, attr.0, value);
                }
                self.path.pop();
            }
            (Data::List(list), Value::Array(values)) => {
                for value in *values {
                    self.append(&mut list.inner, name, value);
                }
                list.close();
            }
            (_, value) => {
                column.len -= 1;
                column.pad(column.len + 1);
                self.spill(name, value);
            }
        }
    }
}

const NO_COLUMN: u16 = u16::MAX;

/// The columns of an object.
struct StructColumn {
    children: Vec<Leaf>,
    /// Child of each attribute index.
    by_attr: Vec<u16>,
    nulls: NullBufferBuilder,
    len: usize,
}

impl StructColumn {
    fn new(columns: &[Column], rows: usize) -> Self {
        let most = columns.iter().map(|column| usize::from(column.attr.0) + 1).max().unwrap_or(0);
        let mut by_attr = vec![NO_COLUMN; most];
        for (index, column) in columns.iter().enumerate() {
            if let Some(slot) = by_attr.get_mut(usize::from(column.attr.0)) {
                *slot = u16::try_from(index).unwrap_or(NO_COLUMN);
            }
        }
        let children = columns.iter().map(|column| Leaf::new(column.name, &column.ty, rows)).collect();
        Self { children, by_attr, nulls: NullBufferBuilder::new(rows), len: 0 }
    }
}

struct ListColumn {
    inner: Leaf,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl ListColumn {
    fn close(&mut self) {
        self.offsets.push(i32::try_from(self.inner.len).unwrap_or(i32::MAX));
        self.nulls.append_non_null();
    }
}

struct MapColumn {
    keys: StringBuilder,
    values: StringBuilder,
    entries: usize,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

enum Data {
    Bool(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Double(Float64Builder),
    Text(StringBuilder),
    Timestamp(TimestampMillisecondBuilder),
    Struct(Box<StructColumn>),
    List(Box<ListColumn>),
    Map(Box<MapColumn>),
}

/// A column with its name and type.
struct Leaf {
    name: &'static str,
    data_type: DataType,
    data: Data,
    len: usize,
}

impl Leaf {
    fn new(name: &'static str, ty: &ColumnType, rows: usize) -> Self {
        let data = match ty {
            ColumnType::Bool => Data::Bool(BooleanBuilder::new()),
            ColumnType::Int32 => Data::Int32(Int32Builder::new()),
            ColumnType::Int64 => Data::Int64(Int64Builder::new()),
            ColumnType::Double => Data::Double(Float64Builder::new()),
            ColumnType::Text | ColumnType::Json => Data::Text(StringBuilder::new()),
            ColumnType::Timestamp => Data::Timestamp(TimestampMillisecondBuilder::new().with_timezone("UTC")),
            ColumnType::Struct(columns) => Data::Struct(Box::new(StructColumn::new(columns, rows))),
            ColumnType::List(inner) => Data::List(Box::new(ListColumn {
                inner: Self::new(name, inner, rows),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(rows),
            })),
            ColumnType::Map => Data::Map(Box::new(MapColumn {
                keys: StringBuilder::new(),
                values: StringBuilder::new(),
                entries: 0,
                offsets: vec![0],
                nulls: NullBufferBuilder::new(rows),
            })),
        };
        Self { name, data_type: data_type(ty), data, len: 0 }
    }

    /// Fills up with nulls to `len` slots.
    fn pad(&mut self, len: usize) {
        let missing = len.saturating_sub(self.len);
        if missing == 0 {
            return;
        }
        self.len = len;
        match &mut self.data {
            Data::Bool(builder) => builder.append_nulls(missing),
            Data::Int32(builder) => builder.append_nulls(missing),
            Data::Int64(builder) => builder.append_nulls(missing),
            Data::Double(builder) => builder.append_nulls(missing),
            Data::Timestamp(builder) => builder.append_nulls(missing),
            Data::Text(builder) => (0..missing).for_each(|_| builder.append_null()),
            Data::Struct(inner) => {
                inner.len += missing;
                inner.nulls.append_n_nulls(missing);
            }
            Data::List(list) => {
                let last = list.offsets.last().copied().unwrap_or(0);
                list.offsets.resize(list.offsets.len() + missing, last);
                list.nulls.append_n_nulls(missing);
            }
            Data::Map(map) => {
                let last = map.offsets.last().copied().unwrap_or(0);
                map.offsets.resize(map.offsets.len() + missing, last);
                map.nulls.append_n_nulls(missing);
            }
        }
    }

    /// Appends a row's `unmapped`: its own entries and what spilled over, a path only once.
    fn append_map(&mut self, entries: &[(&str, &str)], overflow: &mut Vec<(String, String)>) {
        let Data::Map(map) = &mut self.data else { return };
        self.len += 1;
        for (path, text) in entries {
            map.keys.append_value(path);
            map.values.append_value(text);
        }
        map.entries += entries.len();
        overflow.sort();
        overflow.dedup_by(|a, b| a.0 == b.0);
        for (path, text) in overflow.iter().filter(|(path, _)| !entries.iter().any(|(known, _)| known == path)) {
            map.keys.append_value(path);
            map.values.append_value(text);
            map.entries += 1;
        }
        map.offsets.push(i32::try_from(map.entries).unwrap_or(i32::MAX));
        map.nulls.append_non_null();
    }

    fn finish(mut self, len: usize) -> Result<ArrayRef, ArrowError> {
        self.pad(len);
        Ok(match self.data {
            Data::Bool(mut builder) => Arc::new(builder.finish()),
            Data::Int32(mut builder) => Arc::new(builder.finish()),
            Data::Int64(mut builder) => Arc::new(builder.finish()),
            Data::Double(mut builder) => Arc::new(builder.finish()),
            Data::Text(mut builder) => Arc::new(builder.finish()),
            Data::Timestamp(mut builder) => Arc::new(builder.finish()),
            Data::Struct(inner) => {
                let mut inner = *inner;
                let rows = inner.len;
                let children =
                    inner.children.into_iter().map(|child| child.finish(rows)).collect::<Result<Vec<_>, _>>()?;
                let DataType::Struct(fields) = self.data_type else { return Err(mismatch(self.name)) };
                Arc::new(StructArray::try_new(fields, children, inner.nulls.finish())?)
            }
            Data::List(list) => {
                let mut list = *list;
                let elements = list.inner.len;
                let values = list.inner.finish(elements)?;
                let DataType::List(field) = self.data_type else { return Err(mismatch(self.name)) };
                let offsets = OffsetBuffer::new(list.offsets.into());
                Arc::new(ListArray::try_new(field, offsets, values, list.nulls.finish())?)
            }
            Data::Map(map) => {
                let mut map = *map;
                let DataType::Map(field, _) = self.data_type else { return Err(mismatch(self.name)) };
                let entries = entries(&field, &mut map)?;
                let offsets = OffsetBuffer::new(map.offsets.into());
                Arc::new(MapArray::try_new(field, offsets, entries, map.nulls.finish(), false)?)
            }
        })
    }
}

fn entries(field: &Field, map: &mut MapColumn) -> Result<StructArray, ArrowError> {
    let DataType::Struct(fields) = field.data_type() else { return Err(mismatch("unmapped")) };
    let (keys, values): (ArrayRef, ArrayRef) = (Arc::new(map.keys.finish()), Arc::new(map.values.finish()));
    StructArray::try_new(fields.clone(), vec![keys, values], None)
}

fn mismatch(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("column {name} is not of its own type"))
}
