//! How fast the source reads, and what it costs.
//!
//! ```text
//! throughput serve [EVENTS] [BYTES] [PARTITIONS]     an emulator with that many events; prints its connection string
//! throughput read CONNECTION-STRING EVENTS           reads them all; prints events per second and CPU time per event
//! ```
//! Two processes, so that the reader's CPU time is its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use tributary_azure_eventhub::EventHubSource;
use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig};
use tributary_pipeline::{EventSource, StartPosition};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| args.get(index).map_or(default, |text| text.parse().unwrap());
    match args.first().map(String::as_str) {
        Some("serve") => serve(number(1, 200_000), number(2, 2048), number(3, 4)).await,
        Some("read") => read(&args[1], number(2, 200_000)).await,
        _ => println!("usage: throughput serve [EVENTS] [BYTES] [PARTITIONS] | read CONNECTION-STRING EVENTS"),
    }
}

async fn serve(events: usize, bytes: usize, partitions: usize) {
    let hub = HubConfig::new("bench", partitions as u32);
    let emulator = Emulator::builder().hub(hub).start().await.unwrap();
    let handle = emulator.hub("bench").unwrap();
    for partition in 0..partitions {
        let body = "x".repeat(bytes);
        let batch = (0..events / partitions).map(|_| Event::new(body.clone()));
        handle.publish_all(partition as u32, batch.collect::<Vec<_>>()).unwrap();
    }
    println!("{}", emulator.connection_string("bench"));
    tokio::signal::ctrl_c().await.unwrap();
}

async fn read(connection_string: &str, events: usize) {
    let source = EventHubSource::builder().connection_string(connection_string).unwrap().build_source().unwrap();
    let partitions = source.partitions().await.unwrap();
    let each = events / partitions.len();
    let (started, cpu) = (Instant::now(), cpu_time());
    let mut tasks = Vec::new();
    for partition in partitions {
        let mut reader = source.open(&partition, StartPosition::Earliest, 1).await.unwrap();
        tasks.push(tokio::spawn(async move {
            let mut count = 0;
            let mut calls = 0_usize;
            while count < each {
                count += reader.next(Duration::from_secs(1)).await.unwrap().len();
                calls += 1;
            }
            reader.close().await.unwrap();
            calls
        }));
    }
    let mut calls = 0;
    for task in tasks {
        calls += task.await.unwrap();
    }
    let (took, cpu) = (started.elapsed().as_secs_f64(), cpu_time().saturating_sub(cpu));
    source.close().await.unwrap();
    println!(
        "{events} events in {took:.2} s: {:.0} events/s, {:.1} us CPU per event, {:.0} events per call",
        events as f64 / took,
        cpu.as_secs_f64() * 1e6 / events as f64,
        events as f64 / calls as f64,
    );
}

/// User and system time of this process (Linux; zero elsewhere).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
