//! What is written is what a reader finds; what does not fit is refused.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use tributary_ocsf::{Schema, Version};

use super::*;

fn leaves() -> Leaves {
    let columns = Columns::embedded(Schema::get(Version::V1_3_0), "network_activity").unwrap().unwrap();
    Leaves::new(&columns).unwrap()
}

const STAMP: Stamp<'_> = Stamp { ocsf_version: "1.3.0", mappings: "digest" };

fn read(object: Vec<u8>) -> RecordBatch {
    let rows = 1 << 20;
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(object)).unwrap().with_batch_size(rows).build();
    let batches: Vec<RecordBatch> = reader.unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.len(), 1);
    batches.into_iter().next().unwrap()
}

/// A row: a number, a text of few, an object's text and number, and a map's entries.
type Row = (i64, u8, Option<(Option<u8>, Option<i32>)>, Vec<(u8, u8)>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let object = prop::option::of((prop::option::of(0_u8..5), prop::option::of(0_i32..70_000)));
    let map = prop::collection::vec((0_u8..3, 0_u8..20), 0..4);
    prop::collection::vec((any::<i64>(), 0_u8..7, object, map), 1..300)
}

/// A dictionary of the values that occur, and their codes.
fn coded(values: impl Iterator<Item = Option<u8>>) -> (Dictionary, Vec<u32>) {
    let (mut dictionary, mut known) = (Dictionary::default(), BTreeMap::new());
    let codes = values.map(|value| match value {
        None => u32::MAX,
        Some(value) => *known.entry(value).or_insert_with(|| dictionary.text(&format!("text {value}"))),
    });
    let codes = codes.collect();
    (dictionary, codes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_reader_finds_what_was_written(rows in rows()) {
        let leaves = leaves();
        let mut file = ColumnFile::new(&leaves, rows.len()).unwrap();
        let leaf = |path: &str| leaves.find(path).unwrap();
        let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
        file.numbers(leaf("time"), &times, Present::Always).unwrap();
        let (names, codes) = coded(rows.iter().map(|row| Some(row.1)));
        file.codes(leaf("activity_name"), &names, &codes, Present::Always).unwrap();
        let levels = |value: &dyn Fn(&Row) -> bool| -> Vec<u8> {
            rows.iter().map(|row| match row.2 { None => 0, Some(_) if value(row) => 2, Some(_) => 1 }).collect()
        };
        let (names, codes) = coded(rows.iter().map(|row| row.2?.0));
        let name_levels = levels(&|row| row.2.is_some_and(|object| object.0.is_some()));
        file.codes(leaf("src_endpoint.name"), &names, &codes, Present::Levels(&name_levels)).unwrap();
        let ports: Vec<i32> = rows.iter().map(|row| row.2.and_then(|object| object.1).unwrap_or_default()).collect();
        let port_levels = levels(&|row| row.2.is_some_and(|object| object.1.is_some()));
        file.numbers(leaf("src_endpoint.port"), &ports, Present::Levels(&port_levels)).unwrap();
        file.texts(leaf("metadata.uid"), 8, Present::Always, |row, out| out.extend_from_slice(format!("row {row}").as_bytes())).unwrap();
        let (mut slots, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            if row.3.is_empty() {
                slots.push(Slot::None);
            }
            for (at, (key, value)) in row.3.iter().enumerate() {
                slots.push(if at == 0 { Slot::First } else { Slot::Further });
                keys.push(Some(*key));
                values.push(Some(*value));
            }
        }
        for (path, column) in [("unmapped.key", &keys), ("unmapped.value", &values)] {
            let (dictionary, codes) = coded(column.iter().copied());
            if !codes.is_empty() {
                file.entries(leaf(path), &dictionary, &codes, &slots).unwrap();
            }
        }
        let batch = read(file.finish(STAMP).unwrap());
        prop_assert_eq!(batch.num_rows(), rows.len());
        prop_assert_eq!(batch.column_by_name("time").unwrap().as_primitive::<Int64Type>().values(), &times[..]);
        let object = batch.column_by_name("src_endpoint").unwrap().as_struct();
        let (name, port) = (object.column_by_name("name").unwrap().as_string::<i32>(), object.column_by_name("port").unwrap());
        let uid = batch.column_by_name("metadata").unwrap().as_struct();
        let uid = uid.column_by_name("uid").unwrap().as_string::<i32>();
        let map = batch.column_by_name("unmapped").unwrap().as_map();
        for (at, row) in rows.iter().enumerate() {
            prop_assert_eq!(batch.column_by_name("activity_name").unwrap().as_string::<i32>().value(at), format!("text {}", row.1));
            prop_assert_eq!(object.is_valid(at), row.2.is_some());
            let found = name.is_valid(at).then(|| name.value(at).to_owned());
            prop_assert_eq!(found, row.2.and_then(|object| object.0).map(|value| format!("text {value}")));
            let found = port.is_valid(at).then(|| port.as_primitive::<Int32Type>().value(at));
            prop_assert_eq!(found, row.2.and_then(|object| object.1));
            prop_assert_eq!(uid.value(at), format!("row {at}"));
            prop_assert!(batch.column_by_name("cloud").unwrap().is_null(at));
            prop_assert_eq!(map.is_valid(at), !row.3.is_empty());
            let entries = map.value(at);
            let text = |column: usize, entry: usize| entries.column(column).as_string::<i32>().value(entry).to_owned();
            let found: Vec<(String, String)> = (0..entries.len()).map(|entry| (text(0, entry), text(1, entry))).collect();
            let expected: Vec<(String, String)> = row.3.iter().map(|(key, value)| (format!("text {key}"), format!("text {value}"))).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn pages_stay_under_a_megabyte_and_the_footer_is_that_of_the_other_writer() {
    let leaves = leaves();
    let rows = 150_000;
    let mut file = ColumnFile::new(&leaves, rows).unwrap();
    let times: Vec<i64> = (0..rows as i64).collect();
    let random: Vec<i64> = times.iter().map(|time| time.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)).collect();
    file.numbers(leaves.find("time").unwrap(), &times, Present::Always).unwrap();
    file.numbers(leaves.find("traffic.bytes").unwrap(), &random, Present::Always).unwrap();
    let write = |row: usize, out: &mut Vec<u8>| out.extend_from_slice(format!("{row:040}").as_bytes());
    file.texts(leaves.find("metadata.uid").unwrap(), 40, Present::Always, write).unwrap();
    let mut names = Dictionary::default();
    let each = ["0", "1", "2"].map(|name| names.text(name));
    let codes: Vec<u32> = each.into_iter().cycle().take(rows).collect();
    file.codes(leaves.find("activity_name").unwrap(), &names, &codes, Present::Always).unwrap();
    file.list(leaves.find("metadata.profiles").unwrap(), &names, &[2, 0, 1]).unwrap();
    let object = Bytes::from(file.finish(STAMP).unwrap());
    let reader = SerializedFileReader::new(object.clone()).unwrap();
    assert_eq!(reader.num_row_groups(), 1);
    let mut pages = 0;
    let group = reader.get_row_group(0).unwrap();
    for column in 0..group.num_columns() {
        let mut pages_of = group.get_column_page_reader(column).unwrap();
        while let Some(page) = pages_of.get_next_page().unwrap() {
            assert!(page.buffer().len() < 1_000_000, "{} bytes", page.buffer().len());
            pages += 1;
        }
    }
    assert!(pages > group.num_columns() + 10, "{pages}");
    let metadata = reader.metadata();
    let sorting = metadata.row_group(0).sorting_columns().unwrap();
    let sorted = metadata.row_group(0).column(sorting[0].column_idx as usize);
    assert_eq!(sorted.column_path().string(), "time");
    let keys: Vec<&str> =
        metadata.file_metadata().key_value_metadata().unwrap().iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["tributary.ocsf_version", "tributary.mappings"]);
    let batch = read(object.to_vec());
    let profiles = batch.column_by_name("metadata").unwrap().as_struct().column_by_name("profiles").unwrap().clone();
    let last = profiles.as_list::<i32>().value(rows - 1);
    let texts: Vec<Option<&str>> = last.as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("2"), Some("0"), Some("1")]);
}

#[test]
fn what_does_not_fit_a_column_is_refused() {
    let leaves = leaves();
    assert!(matches!(leaves.find("no.such"), Err(LakeError::NoColumn(_))));
    let mut file = ColumnFile::new(&leaves, 2).unwrap();
    let leaf = |path: &str| leaves.find(path).unwrap();
    let mut names = Dictionary::default();
    names.text("a");
    let unfit = |result: Result<(), LakeError>| assert!(matches!(result, Err(LakeError::Unfit(_))), "{result:?}");
    unfit(file.codes(leaf("time"), &names, &[0, 0], Present::Always));
    unfit(file.codes(leaf("severity"), &names, &[0], Present::Always));
    unfit(file.codes(leaf("severity"), &names, &[0, 1], Present::Always));
    unfit(file.numbers(leaf("severity_id"), &[1_i64, 2], Present::Always));
    unfit(file.numbers(leaf("severity_id"), &[1_i32], Present::Always));
    unfit(file.constant(leaf("severity_id"), "x"));
    unfit(file.constant_number(leaf("severity_id"), i64::MAX));
    unfit(file.numbers(leaf("time"), &[1_i64, 2], Present::Levels(&[1])));
    unfit(file.entries(leaf("severity"), &names, &[0, 0], &[Slot::First, Slot::First]));
    unfit(file.entries(leaf("unmapped.key"), &names, &[0], &[Slot::First]));
    unfit(file.entries(leaf("unmapped.key"), &names, &[0, 0], &[Slot::Further, Slot::First]));
}
