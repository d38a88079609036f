//! The way of a blob, stage by stage.

use std::hint::black_box;
use std::time::Duration;

use tributary_azure_flowlogs::{Counts, Cutter, FlowLogs, Made, Source, generate};
use tributary_batch::BatchId;
use tributary_lake::Layout;
use tributary_ocsf::Version;

use crate::clock;

/// A blob of some 40 MB.
const TUPLES: u64 = 560_000;

pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) best: Duration,
    pub(crate) median: Duration,
}

pub(crate) struct Stages {
    pub(crate) tuples: u64,
    pub(crate) json: usize,
    pub(crate) parquet: u64,
    pub(crate) objects: u64,
    pub(crate) rounds: usize,
    pub(crate) stages: Vec<Stage>,
}

pub(crate) fn logs(version: Version) -> FlowLogs {
    FlowLogs::new(version, Layout::from_prefix("eu-west-1", "azure-", version).unwrap(), "azure").unwrap()
}

/// A whole blob in memory, to its objects.
pub(crate) fn convert(logs: &FlowLogs, blob: &[u8]) -> (Vec<Made>, Counts) {
    let name = generate::name();
    let mut part = logs.part(BatchId::parse("bench").unwrap(), Source { name: &name, received: 0 });
    let mut made = Vec::new();
    let mut cutter = Cutter::blob();
    let mut take = |record: &[u8]| {
        part.read(record, |_| true).unwrap();
        made.append(&mut part.ready());
    };
    cutter.push(blob, &mut take);
    cutter.end(&mut take);
    let (mut rest, counts) = part.finish().unwrap();
    made.append(&mut rest);
    (made, counts)
}

/// JSON scan alone: every record's end, every string's and every element's, nothing kept.
fn scan(blob: &[u8]) -> usize {
    let mut strings = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'"', &blob[at..]) {
        at += found + 1;
        strings += 1;
    }
    strings
}

/// As the reference: another parser's walk over the whole document.
fn serde(blob: &[u8]) {
    black_box(serde_json::from_slice::<serde::de::IgnoredAny>(blob).unwrap());
}

fn cut(blob: &[u8]) -> usize {
    let mut records = 0;
    let mut cutter = Cutter::blob();
    cutter.push(blob, &mut |record: &[u8]| records += record.len());
    records
}

pub(crate) fn measure(rounds: usize, wanted: &str) -> Stages {
    let blob = generate::blob(7, TUPLES);
    let logs = logs(Version::V1_3_0);
    let whole = self::logs(Version::V1_3_0).rows_per_object(1 << 20);
    let (made, counts) = convert(&logs, &blob);
    assert_eq!((counts.tuples, counts.quarantined.len()), (TUPLES, 0));
    let pages = pages(&made);
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    let mut text = zstd::bulk::Compressor::new(1).unwrap();
    type Work<'w> = Box<dyn FnMut() + 'w>;
    let stages: Vec<(&'static str, Work<'_>)> = vec![
        ("JSON to zstd Parquet objects", Box::new(|| drop(black_box(convert(&logs, &blob))))),
        (
            "of that: cutting the blob into records",
            Box::new(|| {
                black_box(cut(&blob));
            }),
        ),
        ("of that: parsing into columns of numbers", Box::new(|| parse(&whole, &blob))),
        (
            "JSON scan alone: every quote (`memchr`)",
            Box::new(|| {
                black_box(scan(&blob));
            }),
        ),
        ("JSON scan alone: `serde_json`, nothing kept", Box::new(|| serde(&blob))),
        (
            "zstd 1 alone on the columns' pages",
            Box::new(move || pages.iter().for_each(|page| drop(black_box(compressor.compress(page).unwrap())))),
        ),
        ("zstd 1 alone on the JSON", Box::new(|| drop(black_box(text.compress(&blob).unwrap())))),
    ];
    let mut stages: Vec<_> = stages.into_iter().filter(|(name, _)| name.contains(wanted)).collect();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); stages.len()];
    for _ in 0..rounds {
        for ((_, work), times) in stages.iter_mut().zip(&mut times) {
            times.push(clock::cost(work).0);
        }
    }
    let measured = stages.iter().zip(&mut times).map(|((name, _), times)| {
        times.sort_unstable();
        Stage { name, best: times[0], median: times[times.len() / 2] }
    });
    Stages {
        tuples: TUPLES,
        json: blob.len(),
        parquet: counts.bytes,
        objects: counts.objects,
        rounds,
        stages: measured.collect(),
    }
}

/// Everything before the first object: a part that is dropped before it is finished.
fn parse(logs: &FlowLogs, blob: &[u8]) {
    let name = generate::name();
    let mut part = logs.part(BatchId::parse("bench").unwrap(), Source { name: &name, received: 0 });
    Cutter::blob().push(blob, &mut |record: &[u8]| {
        part.read(record, |_| true).unwrap();
    });
    assert!(part.ready().is_empty(), "the blob is more than one object");
    black_box(&part);
}

/// The uncompressed pages of those columns that are compressed in the objects.
fn pages(made: &[Made]) -> Vec<Vec<u8>> {
    use parquet::basic::Compression;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let mut pages = Vec::new();
    for object in made.iter().flat_map(|made| &made.objects.objects) {
        let reader = SerializedFileReader::new(object.bytes.clone()).unwrap();
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).unwrap();
            for column in 0..group.num_columns() {
                if group.metadata().column(column).compression() == Compression::UNCOMPRESSED {
                    continue;
                }
                let mut column = group.get_column_page_reader(column).unwrap();
                while let Some(page) = column.get_next_page().unwrap() {
                    pages.push(page.buffer().to_vec());
                }
            }
        }
    }
    pages
}
