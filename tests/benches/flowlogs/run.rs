//! Blobs of different sizes, each in a process of its own, in pieces as they come from a file or the network.

use std::process::Command;
use std::time::Duration;

use tributary_azure_flowlogs::{Cutter, Source, generate};
use tributary_batch::BatchId;
use tributary_ocsf::Version;

use crate::clock;
use crate::stages::logs;

/// The argument of a process of its own.
pub(crate) const ALONE: &str = "--alone";
/// Tuples of the blobs: the third has 40 MB, the last a gibibyte.
const SIZES: [u64; 6] = [10_000, 100_000, 560_000, 1_000_000, 10_000_000, 15_000_000];
/// A read's size.
const PIECE: usize = 1 << 20;

pub(crate) struct Size {
    pub(crate) tuples: u64,
    pub(crate) json: u64,
    pub(crate) parquet: u64,
    pub(crate) objects: u64,
    /// CPU time, the making of the blob not counted.
    pub(crate) time: Duration,
    /// Peak resident bytes.
    pub(crate) peak: u64,
}

/// Each size three times: the least time, and the greatest memory.
pub(crate) fn sizes() -> Vec<Size> {
    let program = std::env::current_exe().unwrap();
    SIZES
        .iter()
        .map(|tuples| {
            let once = || {
                let output = Command::new(&program).args([ALONE, &tuples.to_string()]).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                let text = String::from_utf8(output.stdout).unwrap();
                let fields: Vec<u64> = text.split_whitespace().map(|field| field.parse().unwrap()).collect();
                Size {
                    tuples: *tuples,
                    json: fields[0],
                    parquet: fields[1],
                    objects: fields[2],
                    time: Duration::from_nanos(fields[3]),
                    peak: fields[4],
                }
            };
            let (first, second, third) = (once(), once(), once());
            Size {
                time: first.time.min(second.time).min(third.time),
                peak: first.peak.max(second.peak).max(third.peak),
                ..first
            }
        })
        .collect()
}

/// Converts a blob of so many tuples and says what it took. The blob is made block by block, and only a block of it is ever
/// there: neither the making's time nor more than a block of its memory counts.
pub(crate) fn alone(tuples: u64) {
    let logs = logs(Version::V1_3_0);
    let name = generate::name();
    let mut part = logs.part(BatchId::parse("bench").unwrap(), Source { name: &name, received: 0 });
    let (mut json, mut parquet, mut objects) = (0, 0, 0);
    let mut time = Duration::ZERO;
    let mut cutter = Cutter::blob();
    for block in generate::blocks(7, tuples) {
        json += block.len() as u64;
        let (took, ()) = clock::cost(|| {
            for piece in block.as_bytes().chunks(PIECE) {
                cutter.push(piece, &mut |record: &[u8]| {
                    part.read(record, |_| true).unwrap();
                    for made in part.ready() {
                        objects += made.objects.objects.len() as u64;
                        parquet += made.objects.bytes();
                    }
                });
            }
        });
        time += took;
    }
    let (took, (rest, counts)) = clock::cost(|| part.finish().unwrap());
    assert_eq!((counts.tuples, counts.quarantined.len()), (tuples, 0));
    for made in rest {
        objects += made.objects.objects.len() as u64;
        parquet += made.objects.bytes();
    }
    println!("{json} {parquet} {objects} {} {}", (time + took).as_nanos(), peak());
}

/// Peak of resident memory in bytes, from /proc.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
