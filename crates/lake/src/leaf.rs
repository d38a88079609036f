//! What a leaf column holds in this object, found by looking at its values: it decides how the leaf is written.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, ListArray, MapArray, StructArray};
use arrow_schema::DataType;
use parquet::schema::types::ColumnPath;

/// Values that are looked at to tell whether values repeat.
const SAMPLE: usize = 64;
/// A leaf with fewer values than this is not worth a look.
const MIN_VALUES: usize = 16;

/// How the values of a leaf are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// No value at all.
    Null,
    /// No value came twice in a sample: identifiers, times, texts.
    Distinct,
    /// Anything else.
    Repeating,
}

/// Every leaf below a column, in the file's order, with its Parquet path.
pub(crate) fn leaves(name: &str, column: &ArrayRef) -> Vec<(ColumnPath, Spread)> {
    let mut found = Vec::new();
    collect(column, vec![name.to_owned()], &mut found);
    found
}

fn collect(column: &ArrayRef, path: Vec<String>, leaves: &mut Vec<(ColumnPath, Spread)>) {
    let with = |names: &[&str]| path.iter().cloned().chain(names.iter().map(|name| (*name).to_owned())).collect();
    let any = column.as_any();
    if let Some(inner) = any.downcast_ref::<StructArray>() {
        for (field, child) in inner.fields().iter().zip(inner.columns()) {
            collect(child, with(&[field.name()]), leaves);
        }
    } else if let Some(list) = any.downcast_ref::<ListArray>() {
        collect(list.values(), with(&["list", "element"]), leaves);
    } else if let Some(map) = any.downcast_ref::<MapArray>() {
        leaves.push((ColumnPath::new(with(&["key_value", "key"])), spread(map.keys())));
        leaves.push((ColumnPath::new(with(&["key_value", "value"])), spread(map.values())));
    } else {
        leaves.push((ColumnPath::new(path), spread(column)));
    }
}

fn spread(column: &ArrayRef) -> Spread {
    if column.null_count() == column.len() {
        return Spread::Null;
    }
    let distinct = match column.data_type() {
        DataType::Int32 => primitive::<Int32Type>(column),
        DataType::Int64 => primitive::<Int64Type>(column),
        DataType::Timestamp(_, _) => primitive::<TimestampMillisecondType>(column),
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            distinct(column, |row| texts.value(row))
        }
        _ => false,
    };
    if distinct { Spread::Distinct } else { Spread::Repeating }
}

fn primitive<T: ArrowPrimitiveType>(column: &ArrayRef) -> bool
where
    T::Native: Ord,
{
    let numbers = column.as_primitive::<T>();
    distinct(column, |row| numbers.value(row))
}

/// Whether a sample of the values, evenly spread over the rows that have one, holds none twice.
fn distinct<V: Ord>(column: &ArrayRef, value: impl Fn(usize) -> V) -> bool {
    let step = ((column.len() - column.null_count()) / SAMPLE).max(1);
    let rows = (0..column.len()).filter(|row| column.is_valid(*row)).step_by(step);
    let mut sample: Vec<V> = rows.map(value).collect();
    let taken = sample.len();
    sample.sort_unstable();
    sample.dedup();
    taken >= MIN_VALUES && sample.len() == taken
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn how_values_are_spread() {
        let texts = |count: usize, of: fn(usize) -> Option<String>| -> ArrayRef {
            Arc::new((0..count).map(of).collect::<StringArray>())
        };
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..500));
        for (column, expected) in [
            (texts(500, |_| None), Spread::Null),
            (texts(500, |_| Some("same".into())), Spread::Repeating),
            (texts(500, |row| Some((row % 40).to_string())), Spread::Repeating),
            (texts(500, |row| (row % 2 == 0).then(|| row.to_string())), Spread::Distinct),
            (texts(15, |row| Some(row.to_string())), Spread::Repeating),
            (numbers, Spread::Distinct),
        ] {
            assert_eq!(spread(&column), expected, "{column:?}");
        }
    }
}
