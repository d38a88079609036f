//! What flow logs cost on one core, from a blob's JSON in memory to zstd Parquet objects: `cargo bench -p tributary-tests --bench flowlogs`.
//!
//! CPU time of the thread, best round; the limits (a scan of the JSON alone, zstd alone) are measured in the same rounds.
//! Memory is that of a process of its own, which reads the blob in pieces as it comes.
//!
//! | variable | |
//! |---|---|
//! | `TRIBUTARY_BENCH_ROUNDS` | number of rounds |
//! | `TRIBUTARY_BENCH_STAGE` | only stages whose names contain it, and nothing else |
//! | `TRIBUTARY_BENCH_WRITE` | file in which the section is replaced |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

#[path = "../chain/clock.rs"]
#[allow(dead_code)]
mod clock;
mod run;
mod stages;
mod table;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == run::ALONE) {
        return run::alone(arguments[at + 1].parse().unwrap());
    }
    let rounds = std::env::var("TRIBUTARY_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(9);
    let wanted = std::env::var("TRIBUTARY_BENCH_STAGE").ok();
    let stages = stages::measure(rounds, wanted.as_deref().unwrap_or_default());
    println!("{}", table::stages(&stages));
    if wanted.is_some() {
        return;
    }
    let sizes = run::sizes();
    println!("{}", table::sizes(&sizes));
    if let Ok(path) = std::env::var("TRIBUTARY_BENCH_WRITE") {
        table::write(path.as_ref(), &stages, &sizes);
    }
}
