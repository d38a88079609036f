//! What the way from a record's JSON to Parquet costs, on one core: `cargo bench -p tributary-tests --bench chain`.
//!
//! Every stage runs once a round, so that a busy moment of the machine hits all alike; its figure is the best round by
//! CPU time of the thread. First the stages on alerts, then each kind on its own cases.
//!
//! | variable | |
//! |---|---|
//! | `TRIBUTARY_BENCH_ROUNDS` | number of rounds |
//! | `TRIBUTARY_BENCH_STAGE` | only stages whose names contain it, and no kinds |
//! | `TRIBUTARY_BENCH_KIND` | only kinds whose names contain it (empty: all), and no stages |
//! | `TRIBUTARY_BENCH_WRITE` | file in which the table of kinds is replaced |
//! | `TRIBUTARY_JUDGE` | the alerts are what that folder's `gen_inputs.py` writes, else the bench's own generator's |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod clock;
mod inputs;
mod kinds;
mod stages;
mod table;
mod vary;

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use stages::{BATCH, Chain};
use tributary_ocsf::Version;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const START: &str = "--start-only";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == START) {
        return start_only();
    }
    let rounds = std::env::var("TRIBUTARY_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let (stage, kind) = (std::env::var("TRIBUTARY_BENCH_STAGE").ok(), std::env::var("TRIBUTARY_BENCH_KIND").ok());
    if kind.is_none() {
        alerts(rounds, &stage.clone().unwrap_or_default());
    }
    if stage.is_none() || kind.is_some() {
        kinds(rounds, kind.as_deref());
    }
}

/// Each kind alone.
fn kinds(rounds: usize, wanted: Option<&str>) {
    let set = tributary_azure_mappings::shipped(Version::V1_3_0).unwrap();
    let table = table::table(&kinds::measure(&set, wanted.unwrap_or_default(), rounds));
    println!("\n{table}");
    if let (Ok(path), true) = (std::env::var("TRIBUTARY_BENCH_WRITE"), wanted.is_none_or(str::is_empty)) {
        table::write(path.as_ref(), &table);
    }
}

fn alerts(rounds: usize, wanted: &str) {
    let (source, alerts) = inputs::given(BATCH);
    let bytes: usize = alerts.iter().map(String::len).sum();
    println!(
        "{} alerts from {source}, {} bytes each on average, {rounds} rounds; CPU time of one thread, best round",
        alerts.len(),
        bytes / alerts.len()
    );
    start(20);
    let chain = Chain::new(alerts);
    chain.check();
    stages(&chain, rounds, bytes, wanted);
}

/// What a process does before its first event: read the tables, compile every mapping file.
fn start_only() {
    let before = clock::process();
    let set = black_box(tributary_azure_mappings::shipped(Version::V1_3_0).unwrap());
    let ready = clock::process();
    println!("{} {} {}", set.kinds().len(), (ready - before).as_nanos(), ready.as_nanos());
    // Nobody waits for the memory to be given back.
    std::process::exit(0);
}

fn start(times: usize) {
    let program = std::env::current_exe().unwrap();
    let (mut kinds, mut compile, mut whole, mut wall) = (0, Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times {
        let began = Instant::now();
        let output = Command::new(&program).arg(START).output().unwrap();
        wall.push(began.elapsed());
        let text = String::from_utf8(output.stdout).unwrap();
        let fields: Vec<u64> = text.split_whitespace().map(|field| field.parse().unwrap()).collect();
        kinds = fields[0];
        compile.push(Duration::from_nanos(fields[1]));
        whole.push(Duration::from_nanos(fields[2]));
    }
    println!("\nstart: tables and {kinds} mapping files ready, {times} processes     best     median");
    for (name, mut times) in [
        ("CPU time of tables and compilation", compile),
        ("CPU time of the process until then", whole),
        ("wall time of the process, spawn to exit", wall),
    ] {
        times.sort_unstable();
        println!("  {name:<54} {:>7.2} ms {:>7.2} ms", ms(times[0]), ms(times[times.len() / 2]));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss)]
fn stages(chain: &Chain, rounds: usize, bytes: usize, wanted: &str) {
    let stages: Vec<_> = chain.stages().into_iter().filter(|(name, _)| name.contains(wanted)).collect();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); stages.len()];
    let mut sizes = vec![0; stages.len()];
    for _ in 0..rounds {
        for (index, (_, stage)) in stages.iter().enumerate() {
            let (time, size) = clock::cost(|| black_box(stage()));
            times[index].push(time);
            sizes[index] = size;
        }
    }
    let count = chain.alerts() as f64;
    println!(
        "\n{:<52} {:>10} {:>10} {:>8} {:>8} {:>10}",
        "stage", "records/s", "us/record", "median", "MB/s", "bytes out"
    );
    for (((name, _), mut times), size) in stages.iter().zip(times).zip(sizes) {
        times.sort_unstable();
        let per = |time: Duration| time.as_secs_f64() * 1e6 / count;
        let best = per(times[0]);
        println!(
            "{name:<52} {:>10.0} {best:>10.2} {:>8.2} {:>8.0} {size:>10}",
            1e6 / best,
            per(times[times.len() / 2]),
            bytes as f64 / count / best,
        );
    }
}
