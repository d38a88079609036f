//! Typed events straight into Arrow columns, by attribute index.
//!
//! Absent attributes cost nothing per row: a column is padded with nulls when its next value comes, or at the end.
//! What has no column, or does not fit it, goes to the row's `unmapped`.

use std::sync::Arc;

use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, ListArray, MapArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray, new_null_array,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef, Fields};
use tributary_ocsf::columns::{Column, ColumnType, Columns};
use tributary_ocsf::{Object, Schema, Value, write_value};

use crate::page::{fits, within_page};

/// A batch and what had no column of its own.
#[derive(Debug)]
pub struct Encoded {
    /// One row an event, in the order given.
    pub batch: RecordBatch,
    /// Values that went to `unmapped` because the class has no column for them or they did not fit.
    pub overflowed: u64,
    /// Values that were cut short or left out, because their row would have had more text in one column than a page of a
    /// Parquet object takes. Such a row says so in its `unmapped`, at `tributary.cut`.
    pub cut: u64,
}

/// Encodes events of one class.
///
/// # Errors
/// Only when a column outgrows Arrow's 2 GiB offsets, which a batch of 8 MiB cannot.
pub fn encode(schema: &Schema, columns: &Columns, events: &[&Object<'_>]) -> Result<Encoded, ArrowError> {
    let mut encoder = Encoder { schema, path: Vec::new(), overflow: Vec::new(), overflowed: 0, cut: 0 };
    let arrow_schema = Arc::new(columns.arrow_schema());
    let mut root = StructColumn::new(&columns.columns, arrow_schema.fields(), events.len());
    let unmapped = columns.columns.iter().position(|column| column.ty == ColumnType::Map);
    for (index, event) in events.iter().enumerate() {
        if let Some(next) = events.get(index + 1) {
            std::hint::black_box(touch(next));
        }
        encoder.row(&mut root, unmapped, event);
    }
    let rows = events.len();
    let arrays = root.children.into_iter().map(|child| child.finish(rows)).collect::<Result<Vec<_>, _>>()?;
    let batch = RecordBatch::try_new(arrow_schema, arrays)?;
    Ok(Encoded { batch, overflowed: encoder.overflowed, cut: encoder.cut })
}

/// Reads an event's nodes, so that they are on their way from memory while the one before it is written: a batch of events
/// is larger than the caches, and writing one waits at each node for the next.
fn touch(object: &Object<'_>) -> usize {
    object.fields.iter().fold(0, |sum, (_, value)| {
        sum ^ match value {
            Value::Object(object) => touch(object),
            Value::Array(values) => values.iter().fold(values.len(), |sum, value| match value {
                Value::Object(object) => sum ^ touch(object),
                _ => sum,
            }),
            Value::Str(text) => text.len(),
            _ => 1,
        }
    })
}

struct Encoder<'e> {
    schema: &'e Schema,
    /// Names from the event down to the current object.
    path: Vec<&'static str>,
    /// The row's values without a column: path and text.
    overflow: Vec<(String, String)>,
    overflowed: u64,
    cut: u64,
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
            self.cut += child.append_map(entries, &mut self.overflow);
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
        match (&mut column.data, value) {
            (Data::Bool(values), Value::Bool(value)) => values.append(*value),
            (Data::Int32(values), Value::Int(number)) => match i32::try_from(*number) {
                Ok(number) => values.push(number),
                Err(_) => return self.refuse(column, name, value),
            },
            (Data::Int64(values), Value::Int(number)) => values.push(*number),
            (Data::Double(values), Value::Float(number)) => values.push(*number),
            (Data::Timestamp(values), Value::Time(ms)) => values.push(*ms),
            (Data::Text(text), Value::Str(value) | Value::Json(value)) if fits(value) => text.push(value),
            // Objects below the depth cut are JSON text.
            (Data::Text(text), Value::Object(_) | Value::Array(_)) => {
                let mut json = String::new();
                write_value(self.schema, value, &mut json);
                if !fits(&json) {
                    return self.refuse(column, name, value);
                }
                text.push(&json);
            }
            (Data::Struct(inner), Value::Object(object)) => {
                let row = inner.len;
                inner.len += 1;
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
                list.offsets.push(offset(list.inner.len));
            }
            _ => return self.refuse(column, name, value),
        }
        column.len += 1;
        column.nulls.append_non_null();
    }

    /// Fills a slot with null and notes the value that does not fit it.
    fn refuse(&mut self, column: &mut Leaf, name: &str, value: &Value<'_>) {
        column.pad(column.len + 1);
        self.spill(name, value);
    }
}

const NO_COLUMN: u16 = u16::MAX;

/// The columns of an object.
struct StructColumn {
    children: Vec<Leaf>,
    /// Child of each attribute index.
    by_attr: Vec<u16>,
    len: usize,
}

impl StructColumn {
    fn new(columns: &[Column], fields: &Fields, rows: usize) -> Self {
        let most = columns.iter().map(|column| usize::from(column.attr.0) + 1).max().unwrap_or(0);
        let mut by_attr = vec![NO_COLUMN; most];
        for (index, column) in columns.iter().enumerate() {
            if let Some(slot) = by_attr.get_mut(usize::from(column.attr.0)) {
                *slot = u16::try_from(index).unwrap_or(NO_COLUMN);
            }
        }
        let children = columns
            .iter()
            .zip(fields)
            .map(|(column, field)| Leaf::new(column.name, &column.ty, field.data_type(), rows))
            .collect();
        Self { children, by_attr, len: 0 }
    }
}

struct ListColumn {
    inner: Leaf,
    offsets: Vec<i32>,
}

/// Texts one after another. `offsets` starts with 0 and has one more entry than there are slots.
struct TextColumn {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    /// Slots that there will be at least, if most rows have one.
    rows: usize,
}

/// Most bytes that are reserved for a column ahead of its values.
const MAX_RESERVE: usize = 256 * 1024;

impl TextColumn {
    fn new(rows: usize) -> Self {
        Self { bytes: Vec::new(), offsets: vec![0], rows }
    }

    fn push(&mut self, text: &str) {
        if self.bytes.is_empty() {
            // The first text of a column says about how long the others are.
            let left = self.rows.saturating_sub(self.offsets.len());
            self.offsets.reserve(left);
            self.bytes.reserve(text.len().saturating_mul(left + 1).min(MAX_RESERVE));
        }
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets.push(offset(self.bytes.len()));
    }

    fn finish(self, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
        let offsets = offsets(self.offsets, self.bytes.len())?;
        StringArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)
    }
}

struct MapColumn {
    keys: TextColumn,
    values: TextColumn,
    entries: usize,
    offsets: Vec<i32>,
}

impl MapColumn {
    fn push(&mut self, path: &str, text: &str) {
        self.keys.push(path);
        self.values.push(text);
        self.entries += 1;
    }
}

/// A length as Arrow counts; one beyond that is told when the column is finished ([`offsets`]).
fn offset(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn offsets(offsets: Vec<i32>, length: usize) -> Result<OffsetBuffer<i32>, ArrowError> {
    i32::try_from(length).map_err(|_| ArrowError::OffsetOverflowError(length))?;
    Ok(OffsetBuffer::new(offsets.into()))
}

enum Data {
    Bool(BooleanBufferBuilder),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Double(Vec<f64>),
    Text(TextColumn),
    Timestamp(Vec<i64>),
    Struct(Box<StructColumn>),
    List(Box<ListColumn>),
    Map(Box<MapColumn>),
}

/// A column with its name and type. Most columns of a class stay empty: nothing is allocated before the first value.
struct Leaf {
    name: &'static str,
    data_type: DataType,
    data: Data,
    nulls: NullBufferBuilder,
    len: usize,
}

impl Leaf {
    fn new(name: &'static str, ty: &ColumnType, data_type: &DataType, rows: usize) -> Self {
        let data = match (ty, data_type) {
            (ColumnType::Bool, _) => Data::Bool(BooleanBufferBuilder::new(0)),
            (ColumnType::Int32, _) => Data::Int32(Vec::new()),
            (ColumnType::Int64, _) => Data::Int64(Vec::new()),
            (ColumnType::Double, _) => Data::Double(Vec::new()),
            (ColumnType::Timestamp, _) => Data::Timestamp(Vec::new()),
            (ColumnType::Struct(columns), DataType::Struct(fields)) => {
                Data::Struct(Box::new(StructColumn::new(columns, fields, rows)))
            }
            (ColumnType::List(inner), DataType::List(field)) => Data::List(Box::new(ListColumn {
                inner: Self::new(name, inner, field.data_type(), rows),
                offsets: vec![0],
            })),
            (ColumnType::Map, _) => Data::Map(Box::new(MapColumn {
                keys: TextColumn::new(rows),
                values: TextColumn::new(rows),
                entries: 0,
                offsets: vec![0],
            })),
            _ => Data::Text(TextColumn::new(rows)),
        };
        Self { name, data_type: data_type.clone(), data, nulls: NullBufferBuilder::new(rows), len: 0 }
    }

    /// Fills up with nulls to `len` slots.
    #[inline]
    fn pad(&mut self, len: usize) {
        let missing = len.saturating_sub(self.len);
        if missing > 0 {
            self.append_nulls(len, missing);
        }
    }

    #[inline(never)]
    fn append_nulls(&mut self, len: usize, missing: usize) {
        self.len = len;
        self.nulls.append_n_nulls(missing);
        let repeat = |offsets: &mut Vec<i32>| {
            let last = offsets.last().copied().unwrap_or(0);
            offsets.resize(offsets.len() + missing, last);
        };
        match &mut self.data {
            Data::Bool(values) => values.append_n(missing, false),
            Data::Int32(values) => values.resize(len, 0),
            Data::Int64(values) | Data::Timestamp(values) => values.resize(len, 0),
            Data::Double(values) => values.resize(len, 0.0),
            Data::Text(text) => repeat(&mut text.offsets),
            Data::Struct(inner) => inner.len = len,
            Data::List(list) => repeat(&mut list.offsets),
            Data::Map(map) => repeat(&mut map.offsets),
        }
    }

    /// Appends a row's `unmapped`: its own entries and what spilled over, a path only once. Returns how many of them are
    /// cut short or left out.
    fn append_map(&mut self, entries: &[(&str, &str)], overflow: &mut Vec<(String, String)>) -> u64 {
        let Data::Map(map) = &mut self.data else { return 0 };
        overflow.sort();
        overflow.dedup_by(|a, b| a.0 == b.0);
        let spilled = overflow.iter().filter(|(path, _)| !entries.iter().any(|(known, _)| known == path));
        let spilled = spilled.map(|(path, text)| (path.as_str(), text.as_str()));
        let cut = within_page(entries.iter().copied().chain(spilled), |path, text| map.push(path, text));
        map.offsets.push(offset(map.entries));
        self.len += 1;
        self.nulls.append_non_null();
        cut
    }

    fn finish(mut self, len: usize) -> Result<ArrayRef, ArrowError> {
        if self.len == 0 {
            return Ok(new_null_array(&self.data_type, len));
        }
        self.pad(len);
        let nulls = self.nulls.finish();
        Ok(match (self.data, &self.data_type) {
            (Data::Bool(mut values), _) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            (Data::Int32(values), _) => primitive::<Int32Type>(values, nulls, &self.data_type)?,
            (Data::Int64(values), _) => primitive::<Int64Type>(values, nulls, &self.data_type)?,
            (Data::Double(values), _) => primitive::<Float64Type>(values, nulls, &self.data_type)?,
            (Data::Timestamp(values), _) => primitive::<TimestampMillisecondType>(values, nulls, &self.data_type)?,
            (Data::Text(text), _) => Arc::new(text.finish(nulls)?),
            (Data::Struct(inner), DataType::Struct(fields)) => {
                let children =
                    inner.children.into_iter().map(|child| child.finish(len)).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new(fields.clone(), children, nulls)?)
            }
            (Data::List(list), DataType::List(field)) => {
                let elements = list.inner.len;
                let values = list.inner.finish(elements)?;
                let offsets = offsets(list.offsets, elements)?;
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, nulls)?)
            }
            (Data::Map(map), DataType::Map(field, _)) => {
                let offsets = offsets(map.offsets, map.entries)?;
                let entries = entries(field, map.keys, map.values)?;
                Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, false)?)
            }
            _ => return Err(mismatch(self.name)),
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let array = PrimitiveArray::<T>::try_new(values.into(), nulls)?;
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}

fn entries(field: &FieldRef, keys: TextColumn, values: TextColumn) -> Result<StructArray, ArrowError> {
    let DataType::Struct(fields) = field.data_type() else { return Err(mismatch("unmapped")) };
    let (keys, values): (ArrayRef, ArrayRef) = (Arc::new(keys.finish(None)?), Arc::new(values.finish(None)?));
    StructArray::try_new(fields.clone(), vec![keys, values], None)
}

fn mismatch(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("column {name} is not of its own type"))
}
