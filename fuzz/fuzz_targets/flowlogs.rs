//! A blob of flow logs, whole and in two pieces: the same objects, which a reader opens, and counts that are what is in them.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tributary_azure_flowlogs::{Counts, Cutter, FlowLogs, Made, Source};
use tributary_batch::BatchId;
use tributary_lake::Layout;
use tributary_ocsf::Version;

static LOGS: LazyLock<FlowLogs> = LazyLock::new(|| {
    let layout = Layout::from_prefix("eu-west-1", "azure-", Version::V1_3_0).unwrap();
    FlowLogs::new(Version::V1_3_0, layout, "azure").unwrap().rows_per_object(16)
});

fn convert(pieces: &[&[u8]]) -> (Vec<Made>, Counts) {
    let source = Source { name: "PT1H.json", received: 1_772_452_800_000 };
    let mut part = LOGS.part(BatchId::parse("fuzz").unwrap(), source);
    let mut cutter = Cutter::blob().record_limit(4_096);
    let mut take = |record: &[u8]| {
        part.read(record, |_| true).unwrap();
    };
    pieces.iter().for_each(|piece| cutter.push(piece, &mut take));
    cutter.end(&mut take);
    part.finish().unwrap()
}

fuzz_target!(|data: &[u8]| {
    let Some((at, blob)) = data.split_first() else { return };
    let (first, second) = blob.split_at(usize::from(*at) * blob.len() / 255);
    let (made, counts) = convert(&[first, second]);
    let (whole, same) = convert(&[blob]);
    assert_eq!(counts, same);
    let (mut rows, mut quarantined) = (0, 0);
    for (one, other) in made.iter().zip(&whole) {
        assert_eq!(one.objects, other.objects);
        for object in &one.objects.objects {
            let reader = ParquetRecordBatchReaderBuilder::try_new(object.bytes.clone()).unwrap().build().unwrap();
            let found: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
            assert_eq!(found as u64, object.rows);
            rows += object.rows;
        }
        quarantined += one.quarantine.as_ref().map_or(0, |object| object.entries);
    }
    assert_eq!((rows, quarantined), (counts.tuples, counts.quarantined.values().sum()));
});
