//! The form of lake objects, proved on their bytes and by readers that are not ours.
//!
//! Rules: `docs/` of Security Lake's custom sources (one class an object, pages under 1 MB uncompressed, one row group,
//! zstd, rows sorted by time), and this project's own (one schema a class whatever the rows, no embedded Arrow schema,
//! cheap columns where there is nothing).
// A test that finds nothing where it looks has failed: panicking is its job.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod footer;
mod peers;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use bumpalo::Bump;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::column::page::Page;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use tributary_batch::BatchId;
use tributary_lake::{CUT_PATH, LakeObject, LakeWriter, Layout, MISFILED_PATH, Row};
use tributary_ocsf::{AttrIx, Object, Schema, Value, Version};

use rows::{Class, DAY, Dice, Fill, NOON, classes, event, row};

/// What Security Lake asks for, counted the strict way.
const MEGABYTE: usize = 1_000_000;

fn writer(schema: &'static Schema) -> LakeWriter {
    LakeWriter::new(schema, Layout::from_prefix("eu-west-1", "example-", schema.version).unwrap(), "digest")
}

fn objects(class: &Class, rows: &[Row<'_>]) -> Vec<LakeObject> {
    writer(class.schema).objects(&BatchId::for_content(b"x"), rows).unwrap().objects
}

/// One object of a class from events of each fill.
fn one(class: &Class, fills: &[Fill], seed: u64) -> Bytes {
    let (arena, mut dice) = (Bump::new(), Dice(seed));
    let events: Vec<(i64, &Object<'_>)> = fills
        .iter()
        .enumerate()
        .map(|(index, fill)| {
            let time = NOON - dice.below(3_600_000) as i64;
            (time, event(class, &format!("uid-{index}"), time, *fill, &mut dice, &arena))
        })
        .collect();
    let rows: Vec<Row<'_>> = events.iter().map(|(time, event)| row(event, *time, None)).collect();
    let mut made = objects(class, &rows);
    assert_eq!(made.len(), 1);
    made.remove(0).bytes
}

fn read(bytes: &Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap();
    let batches: Vec<_> = reader.with_batch_size(rows.max(1)).build().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.len(), 1);
    batches.into_iter().next().unwrap()
}

fn uids(batch: &RecordBatch) -> Vec<String> {
    let metadata: &StructArray = batch.column_by_name("metadata").unwrap().as_struct();
    let uids = metadata.column_by_name("uid").unwrap().as_string::<i32>();
    (0..uids.len()).map(|index| uids.value(index).to_owned()).collect()
}

fn times(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("time").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

fn unmapped(batch: &RecordBatch, row: usize) -> BTreeMap<String, String> {
    let map = batch.column_by_name("unmapped").unwrap().as_map();
    let entries = map.value(row);
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
    (0..entries.len()).map(|index| (keys.value(index).to_owned(), values.value(index).to_owned())).collect()
}

/// Pages of every column: path, pages.
fn pages(bytes: &Bytes) -> Vec<(String, Vec<Page>)> {
    let reader = SerializedFileReader::new(bytes.clone()).unwrap();
    let group = reader.get_row_group(0).unwrap();
    (0..group.num_columns())
        .map(|index| {
            let path = group.metadata().column(index).column_path().string();
            let mut pages = group.get_column_page_reader(index).unwrap();
            let mut all = Vec::new();
            while let Some(page) = pages.get_next_page().unwrap() {
                all.push(page);
            }
            (path, all)
        })
        .collect()
}

/// The rules that hold for every object, whatever is in it.
fn check_form(bytes: &Bytes, what: &str) {
    let reader = SerializedFileReader::new(bytes.clone()).unwrap();
    let metadata = reader.metadata();
    assert_eq!(metadata.num_row_groups(), 1, "{what}");
    let group = metadata.row_group(0);
    let time = group.columns().iter().position(|column| column.column_path().string() == "time").unwrap();
    let sorting = group.sorting_columns().expect("the order of rows is declared");
    assert_eq!(sorting.len(), 1, "{what}");
    assert_eq!((sorting[0].column_idx as usize, sorting[0].descending), (time, false), "{what}");
    assert!(times(&read(bytes)).is_sorted(), "{what}: rows are not in the declared order");

    let raw = footer::read(bytes);
    let names: Vec<&str> = raw.metadata.keys().map(String::as_str).collect();
    assert_eq!(names, ["tributary.mappings", "tributary.ocsf_version"], "{what}: no ARROW:schema, nothing else");
    assert!(raw.length < 128 * 1024, "{what}: a footer of {} bytes", raw.length);

    let back = read(bytes);
    let mut with_values = BTreeSet::new();
    for (field, column) in back.schema().fields().iter().zip(back.columns()) {
        filled(column, field.name(), &mut with_values);
    }
    assert!(with_values.contains("time"), "{what}");
    for (column, (path, pages)) in group.columns().iter().zip(pages(bytes)) {
        let what = &format!("{what}: {path}");
        let mut values = 0;
        for page in &pages {
            assert!(page.buffer().len() < MEGABYTE, "{what}: a page of {} bytes", page.buffer().len());
            match page {
                Page::DictionaryPage { .. } => {}
                Page::DataPage { num_values, statistics, .. } | Page::DataPageV2 { num_values, statistics, .. } => {
                    values += i64::from(*num_values);
                    assert!(statistics.is_none(), "{what}: statistics in a page");
                }
            }
        }
        assert_eq!(values, column.num_values(), "{what}");
        assert_eq!(column.offset_index_offset(), None, "{what}: an offset index");
        assert_eq!(column.column_index_offset(), None, "{what}: a column index");
        assert_eq!(column.bloom_filter_offset(), None, "{what}: a bloom filter");
        if !with_values.contains(&path) {
            assert_eq!(column.compression(), Compression::UNCOMPRESSED, "{what}: nothing to compress");
            assert_eq!(column.dictionary_page_offset(), None, "{what}: nothing for a dictionary");
            assert!(column.statistics().is_none(), "{what}: nothing to say");
        } else {
            match column.compression() {
                Compression::ZSTD(_) => {}
                // A few short values; the estimate is of a sample.
                Compression::UNCOMPRESSED => assert!(column.uncompressed_size() < 4_096, "{what}: worth a codec"),
                other => panic!("{what}: {other:?}"),
            }
            assert!(column.statistics().is_some(), "{what}: no statistics");
        }
    }
}

/// Paths of the leaves that hold a value, found by reading the object back.
fn filled(column: &ArrayRef, path: &str, found: &mut BTreeSet<String>) {
    if let Some(inner) = column.as_struct_opt() {
        for (field, child) in inner.fields().iter().zip(inner.columns()) {
            filled(child, &format!("{path}.{}", field.name()), found);
        }
    } else if let Some(list) = column.as_list_opt::<i32>() {
        filled(list.values(), &format!("{path}.list.element"), found);
    } else if let Some(map) = column.as_map_opt() {
        filled(map.keys(), &format!("{path}.key_value.key"), found);
        filled(map.values(), &format!("{path}.key_value.value"), found);
    } else if column.null_count() < column.len() {
        found.insert(path.to_owned());
    }
}

#[test]
fn every_object_has_the_form() {
    let fills = [
        vec![Fill::Least],
        vec![Fill::All],
        vec![Fill::Least, Fill::Some, Fill::All],
        [Fill::Some, Fill::Least].repeat(100),
    ];
    for class in classes() {
        for (index, fills) in fills.iter().enumerate() {
            let bytes = one(&class, fills, 7 + index as u64);
            check_form(&bytes, &format!("{} {} fill {index}", class.schema.version, class.name));
        }
    }
}

#[test]
fn a_class_has_one_schema_whatever_the_rows() {
    let mut schemas = BTreeSet::new();
    for class in classes() {
        let expected = footer::read(&one(&class, &[Fill::All, Fill::Some], 1)).schema;
        for (seed, fills) in [&[Fill::Least][..], &[Fill::Some], &[Fill::All], &[Fill::Some; 40]].iter().enumerate() {
            let found = footer::read(&one(&class, fills, 3 + seed as u64)).schema;
            assert!(found == expected, "{} {}: the schema depends on the rows", class.schema.version, class.name);
        }
        let leaves = class.columns.leaves();
        let bytes = one(&class, &[Fill::Least], 1);
        let reader = SerializedFileReader::new(bytes).unwrap();
        // A map is one line of the committed text and two leaves in the file.
        assert_eq!(reader.metadata().file_metadata().schema_descr().num_columns(), leaves + 1, "{}", class.name);
        schemas.insert(expected);
    }
    assert!(schemas.len() > 9, "the schemas are compared with something that tells them apart");
}

/// Texts of the largest size that mapping lets through, alone and among others, in every place where text can be.
#[test]
fn pages_stay_under_a_megabyte_with_the_largest_values() {
    const LARGEST: usize = 448 * 1024 - 100;
    let classes = classes();
    let class =
        classes.iter().find(|class| class.name == "detection_finding" && class.schema.version == Version::V1_3_0);
    let class = class.unwrap();
    let shape = class.schema.shape(class.id).unwrap();
    let attr = |name: &str| shape.attr_named(name).unwrap().0;
    let resources = shape.attr_named("resources").unwrap().1.object.unwrap();
    let resource_uid = class.schema.shape(resources).unwrap().attr_named("uid").unwrap().0;
    let arena = Bump::new();
    for sizes in [vec![LARGEST; 12], vec![1, LARGEST, 300 * 1024, 5, LARGEST, 200 * 1024, 400 * 1024], vec![90; 9_000]]
    {
        let events: Vec<Object<'_>> = sizes
            .iter()
            .enumerate()
            .map(|(index, size)| {
                // Distinct, so that a dictionary would grow, and hardly compressible.
                let mut dice = Dice(index as u64 + 1);
                let text: String = (0..*size).map(|_| char::from(b' ' + dice.below(95) as u8)).collect();
                let text = &*arena.alloc_str(&text);
                let half = &text[..size / 2];
                let resource = |uid| {
                    let fields = arena.alloc_slice_copy(&[(resource_uid, Value::Str(uid))]);
                    Value::Object(arena.alloc(Object { shape: resources, fields }))
                };
                let mut fields: Vec<(AttrIx, Value<'_>)> = vec![
                    (attr("time"), Value::Int(NOON)),
                    (attr("message"), Value::Str(text)),
                    (attr("raw_data"), Value::Str(text)),
                    (attr("resources"), Value::Array(arena.alloc_slice_copy(&[resource(half), resource(half)]))),
                    (attr("unmapped"), Value::Map(arena.alloc_slice_copy(&[("path", text)]))),
                ];
                fields.sort_by_key(|(attr, _)| *attr);
                Object { shape: class.id, fields: arena.alloc_slice_copy(&fields) }
            })
            .collect();
        let rows: Vec<Row<'_>> = events.iter().map(|event| row(event, NOON, None)).collect();
        let made = objects(class, &rows);
        let what = format!("{} values of up to {} bytes", sizes.len(), sizes.iter().max().unwrap());
        check_form(&made[0].bytes, &what);
        let largest = pages(&made[0].bytes).iter().flat_map(|(_, pages)| pages).map(|page| page.buffer().len()).max();
        assert!(largest.unwrap() > 400 * 1024, "{what}: the test has no large page");
        let back = read(&made[0].bytes);
        let message = back.column_by_name("message").unwrap().as_string::<i32>();
        assert!((0..sizes.len()).all(|index| message.value(index).len() == sizes[index]), "{what}");
    }
}

/// Many tiny values of one row weigh more than their text: each has a length before it, and levels.
#[test]
fn pages_stay_under_a_megabyte_with_the_most_values() {
    let classes = classes();
    let class = classes.iter().find(|class| class.name == "api_activity" && class.schema.version == Version::V1_3_0);
    let class = class.unwrap();
    let shape = class.schema.shape(class.id).unwrap();
    let attr = |name: &str| shape.attr_named(name).unwrap().0;
    let paths: Vec<String> = (0..200_000).map(|index| format!("{index:05x}")).collect();
    let entries: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), path.as_str())).collect();
    let huge = "\u{1}\"".repeat(300_000);
    let event = |entries| {
        let mut fields = vec![
            (attr("time"), Value::Int(NOON)),
            (attr("unmapped"), Value::Map(entries)),
            (attr("message"), Value::Str(&huge)),
        ];
        fields.sort_by_key(|(attr, _)| *attr);
        fields
    };
    let (full, bare) = (event(&entries[..]), event(&entries[..1]));
    let events = [&full, &full, &bare, &full].map(|fields| Object { shape: class.id, fields });
    let rows = events.each_ref().map(|event| row(event, NOON, None));
    let made = writer(class.schema).objects(&BatchId::for_content(b"x"), &rows).unwrap();
    check_form(&made.objects[0].bytes, "rows with the most values");
    assert_eq!(made.overflowed, 4, "no message fits its column");
    assert!(made.cut > 4);
    let back = read(&made.objects[0].bytes);
    assert!(unmapped(&back, 0).len() > 40_000 && unmapped(&back, 0).contains_key(CUT_PATH));
    let bare = unmapped(&back, 2);
    assert_eq!(bare[CUT_PATH], "1 values");
    assert!(bare["message"].len() > 400_000 && huge.starts_with(&bare["message"]), "what fits of it is kept");
}

#[test]
fn a_misfiled_row_says_so() {
    let classes = classes();
    let class = &classes[0];
    let (arena, mut dice) = (Bump::new(), Dice(5));
    let old = NOON - 400 * DAY;
    let full = event(class, "full", old, Fill::All, &mut dice, &arena);
    let bare = {
        let shape = class.schema.shape(class.id).unwrap();
        let fields = [(shape.attr_named("time").unwrap().0, Value::Int(old))];
        arena.alloc(Object { shape: class.id, fields: arena.alloc_slice_copy(&fields) })
    };
    let own = event(class, "own", NOON, Fill::All, &mut dice, &arena);
    let rows = [row(full, old, None), row(bare, old, None), row(own, NOON, None)];
    let made = writer(class.schema).objects(&BatchId::for_content(b"x"), &rows).unwrap();
    assert_eq!((made.objects.len(), made.rows(), made.outside_window), (1, 3, 2));
    assert!(made.objects[0].key.contains("/accountId=external/eventDay=20260101/"), "{}", made.objects[0].key);
    let batch = read(&made.objects[0].bytes);
    assert_eq!(times(&batch), [old, old, NOON], "the row keeps its own time");
    assert!(unmapped(&batch, 0).len() > 1, "what was in unmapped stays");
    assert!(unmapped(&batch, 0).contains_key(MISFILED_PATH) && unmapped(&batch, 1).contains_key(MISFILED_PATH));
    assert!(!unmapped(&batch, 2).contains_key(MISFILED_PATH));
}

#[test]
fn what_has_no_column_is_in_unmapped() {
    let classes = classes();
    let class =
        classes.iter().find(|class| class.name == "api_activity" && class.schema.version == Version::V1_3_0).unwrap();
    let shape = class.schema.shape(class.id).unwrap();
    let attr = |name: &str| shape.attr_named(name).unwrap().0;
    let by_attr: BTreeSet<AttrIx> = class.columns.columns.iter().map(|column| column.attr).collect();
    let (without, name) = (0..shape.attrs.len())
        .map(|index| AttrIx(index as u16))
        .find(|index| !by_attr.contains(index))
        .map(|index| (index, shape.attrs[usize::from(index.0)].name))
        .expect("an attribute without a column");
    let huge = "\u{1}".repeat(300_000);
    let mut fields = vec![
        (attr("time"), Value::Int(NOON)),
        (attr("severity_id"), Value::Int(1 << 40)),
        (attr("activity_name"), Value::Bool(true)),
        (without, Value::Str("kept")),
        (attr("unmapped"), Value::Map(&[("own", "entry")])),
        (attr("message"), Value::Str(&huge)),
    ];
    fields.sort_by_key(|(attr, _)| *attr);
    let event = Object { shape: class.id, fields: &fields };
    let made = writer(class.schema).objects(&BatchId::for_content(b"x"), &[row(&event, NOON, None)]).unwrap();
    assert_eq!(made.overflowed, 3);
    let expected = [("own", "entry"), ("severity_id", "1099511627776"), ("activity_name", "true"), (name, "kept")];
    let expected: BTreeMap<String, String> = expected.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    assert_eq!(unmapped(&read(&made.objects[0].bytes), 0), expected);
}

#[test]
fn a_class_without_a_source_or_a_schema_is_refused_by_name() {
    let schema = Schema::get(Version::V1_3_0);
    let layout = Layout::new("eu-west-1", [(2004, "ext/example-detection/1.3.0/")]).unwrap();
    let writer = LakeWriter::new(schema, layout, "digest");
    let class = |name: &str| schema.class_named(name).unwrap().0;
    writer.check(class("detection_finding")).unwrap();
    let error = writer.check(class("api_activity")).unwrap_err().to_string();
    assert_eq!(error, "no source is configured for class api_activity (6003): register one and add its location");
    let error = writer.check(class("base_event")).unwrap_err().to_string();
    assert!(error.starts_with("schemas/1.3.0/base_event.txt is missing"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// From rows to bytes and back: every record once, in an object of its own class, day and account.
    #[test]
    fn no_record_is_lost_or_doubled_on_its_way_into_objects(
        seed in 1_u64..u64::MAX,
        picks in prop::collection::vec(
            (0_usize..64, prop_oneof![Just(NOON), any::<i64>(), NOON - 95 * DAY..NOON + 2 * DAY], 0_usize..5, 0_u8..8),
            1..60,
        ),
    ) {
        let classes: Vec<Class> = classes().into_iter().filter(|class| class.schema.version == Version::V1_3_0).collect();
        let (arena, mut dice) = (Bump::new(), Dice(seed));
        let accounts = ["", "../../etc/passwd", "00000000-0000-4000-8000-00000000000A", "external_x", "a/b=c"];
        let mut expected = BTreeMap::new();
        let mut rows = Vec::new();
        for (index, (class, time, account, fill)) in picks.iter().enumerate() {
            let class = &classes[class % classes.len()];
            let fill = match fill { 0 => Fill::All, 1..=3 => Fill::Some, _ => Fill::Least };
            let uid = format!("r-{index}");
            rows.push(row(event(class, &uid, *time, fill, &mut dice, &arena), *time, Some(accounts[*account])));
            expected.insert(uid, (class.id, *time));
        }
        let batch = BatchId::for_content(b"x");
        let writer = writer(classes[0].schema);
        let made = writer.objects(&batch, &rows).unwrap();
        prop_assert_eq!(made.rows(), rows.len() as u64);
        let mut keys = BTreeSet::new();
        for object in &made.objects {
            prop_assert!(keys.insert(&object.key), "{} twice", object.key);
            let name = format!("/{batch}.parquet");
            prop_assert!(!object.key.contains("..") && object.key.ends_with(&name), "{}", object.key);
            prop_assert_eq!(object.key.split('/').count(), 7, "{}", object.key);
            let back = read(&object.bytes);
            prop_assert_eq!(back.num_rows() as u64, object.rows);
            prop_assert!(times(&back).is_sorted());
            for (uid, time) in uids(&back).into_iter().zip(times(&back)) {
                let (class, own) = expected.remove(&uid).expect("each record once");
                prop_assert_eq!(own, time);
                prop_assert_eq!(classes.iter().find(|known| known.id == class).unwrap().schema.shape(class).unwrap().uid, Some(object.class_uid));
            }
        }
        prop_assert!(expected.is_empty(), "{} records are lost", expected.len());
        prop_assert_eq!(writer.objects(&batch, &rows).unwrap(), made, "the same rows give the same objects");
    }
}
