//! Objects read back, as JSON without nulls.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};
use tributary_azure_flowlogs::Made;
use tributary_ocsf::write_rfc3339;

pub(crate) fn of(object: &bytes::Bytes) -> Vec<Value> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(object.clone()).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let columns = schema.fields().iter().zip(batch.columns());
            let members = columns.filter_map(|(field, column)| Some((field.name().clone(), value(column, row)?)));
            rows.push(Value::Object(members.collect()));
        }
    }
    rows
}

/// Rows of all objects, in their order.
pub(crate) fn all(made: &[Made]) -> Vec<Value> {
    made.iter().flat_map(|made| &made.objects.objects).flat_map(|object| of(&object.bytes)).collect()
}

fn value(column: &ArrayRef, row: usize) -> Option<Value> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Timestamp(_, _) => {
            let mut text = String::new();
            write_rfc3339(column.as_primitive::<TimestampMillisecondType>().value(row), &mut text);
            text.into()
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(column.as_struct().columns());
            let members: Map<String, Value> =
                columns.filter_map(|(field, column)| Some((field.name().clone(), value(column, row)?))).collect();
            assert!(!members.is_empty(), "an object without members");
            Value::Object(members)
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>().value(row);
            (0..list.len()).map(|at| value(&list, at).unwrap()).collect()
        }
        DataType::Map(_, _) => {
            let map = column.as_map().value(row);
            let text = |column: &ArrayRef, at| column.as_string::<i32>().value(at).to_owned();
            let members = (0..map.len()).map(|at| (text(map.column(0), at), text(map.column(1), at).into()));
            Value::Object(members.collect())
        }
        other => panic!("no column has {other}"),
    })
}
