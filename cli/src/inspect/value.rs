//! A row of Arrow columns as JSON, without its nulls.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Fields, TimeUnit};
use serde_json::{Map, Value};
use tributary_ocsf::write_rfc3339;

/// One row's values by column name; members that are null are left out.
pub(crate) fn row(batch: &RecordBatch, row: usize) -> Value {
    let mut object = Map::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        insert(&mut object, field.name(), value(column, row));
    }
    Value::Object(object)
}

/// The first column, by path, whose type [`value`] cannot show, with its type.
pub(crate) fn unreadable(fields: &Fields) -> Option<(String, String)> {
    fields.iter().find_map(|field| {
        let (inner, ty) = unreadable_type(field.data_type())?;
        Some((format!("{}{inner}", field.name()), ty))
    })
}

fn unreadable_type(ty: &DataType) -> Option<(String, String)> {
    match ty {
        DataType::Null
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _) => None,
        DataType::Struct(fields) => unreadable(fields).map(|(name, ty)| (format!(".{name}"), ty)),
        DataType::List(element) => unreadable_type(element.data_type()).map(|(name, ty)| (format!("[]{name}"), ty)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => unreadable(fields).map(|(name, ty)| (format!(".{name}"), ty)),
            other => Some((String::new(), other.to_string())),
        },
        other => Some((String::new(), other.to_string())),
    }
}

fn insert(object: &mut Map<String, Value>, name: &str, value: Value) {
    if !value.is_null() {
        object.insert(name.to_owned(), value);
    }
}

fn time(ms: i64) -> Value {
    let mut text = String::new();
    write_rfc3339(ms, &mut text);
    text.into()
}

/// The value at `row`; what the product's own objects never hold is named by its type.
fn value(array: &dyn Array, row: usize) -> Value {
    if row >= array.len() || array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        // A column of nothing but nulls, as some writers have it.
        DataType::Null => Value::Null,
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        // OCSF's times are in milliseconds; other writers keep finer ones.
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            time(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time(array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            time(array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000))
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(columns.columns()) {
                insert(&mut object, field.name(), value(column, row));
            }
            if object.is_empty() { Value::Null } else { Value::Object(object) }
        }
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            (0..elements.len()).map(|index| value(&elements, index)).collect()
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (Some(keys), Some(values)) = (entries.columns().first(), entries.columns().get(1)) else {
                return Value::Null;
            };
            let mut object = Map::new();
            for index in 0..entries.len() {
                let key = value(keys, index);
                insert(&mut object, key.as_str().unwrap_or_default(), value(values, index));
            }
            Value::Object(object)
        }
        other => format!("({other})").into(),
    }
}
