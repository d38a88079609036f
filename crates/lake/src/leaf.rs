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

/// Estimated bytes of a leaf in the object, up to which it is not compressed. A compression context costs some 10 to 40 us:
/// zstd asks the processor for its abilities four times, and on a virtual machine each of these traps into the hypervisor.
/// Compressing a kilobyte of dictionary indices saves some hundred bytes at most.
const SMALL: usize = 1_024;

/// How the values of a leaf are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// No value at all.
    Null,
    /// No value came twice in a sample: identifiers, times, texts.
    Distinct,
    /// So few different values, so short, that compressing them is not worth its price.
    Small,
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
    match column.data_type() {
        DataType::Int32 => primitive::<Int32Type>(column),
        DataType::Int64 => primitive::<Int64Type>(column),
        DataType::Timestamp(_, _) => primitive::<TimestampMillisecondType>(column),
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            // The length before each text included.
            sampled(column, |row| texts.value(row), |text| text.len() + 4)
        }
        DataType::Boolean if column.len() / 8 <= SMALL => Spread::Small,
        _ => Spread::Repeating,
    }
}

fn primitive<T: ArrowPrimitiveType>(column: &ArrayRef) -> Spread
where
    T::Native: Ord,
{
    let numbers = column.as_primitive::<T>();
    sampled(column, |row| numbers.value(row), |_| size_of::<T::Native>())
}

/// By a sample of the values, evenly spread over the rows that have one.
fn sampled<V: Ord + Copy>(column: &ArrayRef, value: impl Fn(usize) -> V, bytes: impl Fn(V) -> usize) -> Spread {
    let step = ((column.len() - column.null_count()) / SAMPLE).max(1);
    let rows = (0..column.len()).filter(|row| column.is_valid(*row)).step_by(step);
    let mut sample: Vec<V> = rows.map(value).collect();
    let taken = sample.len();
    sample.sort_unstable();
    sample.dedup();
    if taken >= MIN_VALUES && sample.len() == taken {
        return Spread::Distinct;
    }
    // Dictionary indices are packed into as many bits as their number takes; one bit more says where a value is missing.
    let bits = (usize::BITS - sample.len().saturating_sub(1).leading_zeros() + 1) as usize;
    let indices = if sample.len() == 1 && column.null_count() == 0 { 0 } else { column.len() * bits / 8 };
    let texts: usize = sample.into_iter().map(bytes).sum();
    if texts + indices <= SMALL { Spread::Small } else { Spread::Repeating }
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
            (texts(500, |_| Some("same".into())), Spread::Small),
            (texts(500, |_| Some("same".repeat(1_000))), Spread::Repeating),
            (texts(500, |row| Some((row % 4).to_string())), Spread::Small),
            (texts(50_000, |row| Some((row % 4).to_string())), Spread::Repeating),
            (texts(2_000, |row| Some((row % 40).to_string())), Spread::Repeating),
            (texts(500, |row| (row % 2 == 0).then(|| row.to_string())), Spread::Distinct),
            (texts(15, |row| Some(row.to_string())), Spread::Small),
            (texts(15, |row| Some(row.to_string().repeat(200))), Spread::Repeating),
            (numbers, Spread::Distinct),
        ] {
            assert_eq!(spread(&column), expected, "{column:?}");
        }
    }
}
