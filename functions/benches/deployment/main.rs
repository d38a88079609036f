//! What the functions need: size, start, memory, CPU time, and calls of AWS for a million alerts.
//!
//! `cargo bench -p tributary-functions --bench deployment`. The functions are the real program behind runtime APIs, the hub is
//! read over AMQP, AWS is a server of its own; what is counted went through a proxy before it. `TRIBUTARY_BENCH_ALERTS` changes
//! the number of alerts; the calls are linear in it. `TRIBUTARY_BENCH_PARTITIONS` and `TRIBUTARY_BENCH_MEMORY` (MB of the functions)
//! show what a deployment's settings do (docs/OPERATIONS.md, tuning). `TRIBUTARY_BOOTSTRAP` names another build of the program. With `TRIBUTARY_JUDGE` the alerts are what that folder's `gen_inputs.py`
//! writes, else the benches' own generator's: one class, three subscriptions, filed under one day.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

#[path = "../../tests/functions/calls.rs"]
#[allow(dead_code, reason = "the tests read what was asked for, this counts it")]
mod calls;
#[path = "../../../tests/benches/chain/inputs.rs"]
mod inputs;
#[path = "../../tests/functions/process.rs"]
#[allow(dead_code, reason = "the tests let calls go wrong")]
mod process;
#[path = "../../tests/functions/stack.rs"]
#[allow(dead_code, reason = "the tests let calls go wrong")]
mod stack;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use tributary_azure_eventhub_emulator::Event;
use tributary_tests::taken::{cpu_seconds, peak_mb};

use process::Function;
use stack::{BUCKETS, HUB, Stack, event, failed};

/// Five batches of 2,000 are what Lambda hands over at once.
const BATCH: usize = 2_000;
/// Bytes that SQS charges as one request.
const UNIT: usize = 64 << 10;
const HANDLERS: [&str; 5] =
    ["eventhub-processor", "event-transformer", "securityhub-processor", "flowlog-processor", "security-lake-source"];
/// Settings of a deployment whose events go to the lake alone.
const LAKE_ALONE: [(&str, &str); 2] = [("ASFF_ENABLED", "false"), ("CLOUDTRAIL_ENABLED", "false")];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        size_and_start().await;
        // More than once: what is in memory at the same time is another each time.
        for _ in 0..3 {
            memory_of_many_partitions().await;
        }
        million("the lake alone", &LAKE_ALONE, alerts()).await;
        million("lake, Security Hub and CloudTrail Lake", &[], alerts() / 5).await;
    });
}

fn alerts() -> usize {
    std::env::var("TRIBUTARY_BENCH_ALERTS").ok().map_or(100_000, |text| text.parse().unwrap())
}

fn partitions() -> u32 {
    std::env::var("TRIBUTARY_BENCH_PARTITIONS").ok().map_or(4, |text| text.parse().unwrap())
}

/// Settings with the memory that the functions are told to have.
fn with_memory<'a>(settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let memory: &str = std::env::var("TRIBUTARY_BENCH_MEMORY").map_or("512", |text| text.leak());
    settings.iter().copied().chain([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory)]).collect()
}

/// The program's size, and the time from its start to its first question for an event.
async fn size_and_start() {
    let program = process::program();
    let bootstrap = std::path::Path::new(&program);
    let stripped = tempfile::NamedTempFile::new().unwrap();
    let mut strip = std::process::Command::new("strip");
    strip.arg("--strip-all").arg("-o").arg(stripped.path()).arg(bootstrap);
    let size = |path: &std::path::Path| std::fs::metadata(path).unwrap().len() as f64 / 1e6;
    match strip.status() {
        Ok(status) if status.success() => println!("size: {:.1} MB unzipped", size(stripped.path())),
        _ => println!("size: {:.1} MB with line tables (strip is missing)", size(bootstrap)),
    }
    let stack = Stack::start().await.expect("the peers are installed (make peers)");
    println!("| handler | start to first poll, median of 15 | slowest | CPU time | resident |\n|---|---|---|---|---|");
    for handler in HANDLERS {
        let (mut starts, mut cpu, mut resident) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..15 {
            let started = Instant::now();
            let function = stack.function(handler);
            starts.push(function.api.polled() - started);
            cpu.push(cpu_seconds(function.id()));
            resident = peak_mb(function.id());
        }
        starts.sort();
        cpu.sort_by(f64::total_cmp);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (median, slowest) = (ms(starts[7]), ms(starts[14]));
        println!("| {handler} | {median:.0} ms | {slowest:.0} ms | {:.0} ms | {resident:.0} MB |", cpu[7] * 1e3);
    }
}

/// The processor, when each of 32 partitions holds a full batch.
async fn memory_of_many_partitions() {
    const PARTITIONS: u32 = 32;
    let stack = Stack::start_with(PARTITIONS).await.unwrap();
    fill(&stack, PARTITIONS, BATCH * PARTITIONS as usize);
    let mut processor = stack.function_with("eventhub-processor", &with_memory(&LAKE_ALONE), Box::new(|_| None));
    let (answers, errors) = stack.poll(&mut processor);
    assert!(errors.is_empty(), "{errors:?}");
    let events: u64 = answers.iter().map(|answer| answer["events"].as_u64().unwrap()).sum();
    println!("processor, {PARTITIONS} partitions, {events} alerts: {:.0} MB at most", peak_mb(processor.id()));
}

/// All functions on a backlog of alerts, in one region and day.
async fn million(what: &str, settings: &[(&str, &str)], count: usize) {
    let (partitions, findings) = (partitions(), settings.is_empty());
    let settings = &with_memory(settings);
    let stack = Stack::start_with(partitions).await.unwrap();
    fill(&stack, partitions, count);
    println!("\n{what}: {count} alerts of {partitions} partitions, counted for a million\n");
    let mut calls = Calls { of_a_million: 1e6 / count as f64, ..Calls::default() };

    let mut processor = stack.function_with("eventhub-processor", settings, Box::new(|_| None));
    let (answers, errors) = stack.poll(&mut processor);
    assert!(errors.is_empty(), "{errors:?}");
    let events: usize = answers.iter().map(|answer| answer["events"].as_u64().unwrap() as usize).sum();
    assert_eq!(events, count);
    calls.add("eventhub-processor", &processor, answers.len());

    let mut transformer = stack.function_with("event-transformer", settings, Box::new(|_| None));
    let handed = hand_over(&stack, "events", &mut transformer).await;
    calls.add("event-transformer", &transformer, handed.invocations);
    calls.poll(&handed);

    if findings {
        let mut importer = stack.function_with("securityhub-processor", settings, Box::new(|_| None));
        let handed = hand_over(&stack, "findings", &mut importer).await;
        calls.add("securityhub-processor", &importer, handed.invocations);
        calls.poll(&handed);
    }
    calls.print();
    let folder = tempfile::tempdir().unwrap();
    stack.download(BUCKETS[1], folder.path()).await;
    let (rows, objects, bytes) = lake(folder.path());
    assert_eq!(rows, count as u64, "a row for each alert");
    println!("the lake: {objects} objects, {:.0} bytes an alert", bytes as f64 / count as f64);
}

/// What a queue's messages came to.
#[derive(Default)]
struct Handed {
    invocations: usize,
    /// What SQS charges for sending them and for handing them to Lambda's poller: 64 KB are one.
    units: usize,
}

/// Hands over as Lambda's poller does: up to ten messages and 6 MB.
async fn hand_over(stack: &Stack, queue: &str, function: &mut Function) -> Handed {
    let mut handed = Handed::default();
    loop {
        let batch = stack.take(queue).await;
        if batch.is_empty() {
            return handed;
        }
        let sizes = batch.iter().map(|message| message.body.len());
        handed.invocations += 1;
        handed.units += sizes.clone().map(|size| size.div_ceil(UNIT)).sum::<usize>();
        handed.units += sizes.sum::<usize>().div_ceil(UNIT);
        assert!(failed(&function.invoke(&event(&batch))).is_empty());
        stack.settle(queue, &batch, &Default::default()).await;
    }
}

/// Puts alerts into the hub, as many in each partition.
fn fill(stack: &Stack, partitions: u32, count: usize) {
    let alerts: Vec<Bytes> = inputs::given(BATCH).1.into_iter().map(Bytes::from).collect();
    let hub = stack.hub.hub(HUB).unwrap();
    for partition in 0..partitions {
        let share = alerts.iter().cycle().take(count / partitions as usize);
        hub.publish_all(partition, share.map(|body| Event::new(body.clone()))).unwrap();
    }
}

/// Rows, objects and bytes below a folder.
fn lake(folder: &std::path::Path) -> (u64, u64, u64) {
    let add = |(rows, objects, bytes): (u64, u64, u64), path: std::path::PathBuf| {
        if path.is_dir() {
            let below = lake(&path);
            return (rows + below.0, objects + below.1, bytes + below.2);
        }
        let file = std::fs::File::open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        let reader = SerializedFileReader::new(file).unwrap();
        (rows + reader.metadata().file_metadata().num_rows() as u64, objects + 1, bytes + length)
    };
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).fold((0, 0, 0), add)
}

#[derive(Default)]
struct Calls {
    of_a_million: f64,
    /// Of Lambda's poller: for each invocation one request to receive and one to delete.
    polls: usize,
    units: usize,
    counts: BTreeMap<&'static str, u64>,
    functions: Vec<String>,
}

impl Calls {
    /// What a function asked for, and what it took.
    fn add(&mut self, handler: &str, function: &Function, invocations: usize) {
        let mut own: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (operation, count) in function.asked() {
            *own.entry(kind(&operation)).or_default() += count;
        }
        let cpu = cpu_seconds(function.id()) * self.of_a_million;
        let calls = own.iter().map(|(name, count)| format!("{name} {:.0}", *count as f64 * self.of_a_million));
        self.functions.push(format!(
            "| {handler} | {:.0} | {cpu:.0} s | {:.0} MB | {} |",
            invocations as f64 * self.of_a_million,
            peak_mb(function.id()),
            calls.collect::<Vec<_>>().join(", "),
        ));
        for (name, count) in own {
            *self.counts.entry(name).or_default() += count;
        }
    }

    fn poll(&mut self, handed: &Handed) {
        self.polls += 2 * handed.invocations;
        // Deleting is charged as one.
        self.units += handed.units + handed.invocations;
    }

    fn print(&self) {
        println!("| function | invocations | CPU time | peak memory | requests |\n|---|---|---|---|---|");
        self.functions.iter().for_each(|line| println!("{line}"));
        let of = |name: &str| self.counts.get(name).copied().unwrap_or(0) as f64 * self.of_a_million;
        let sqs = of("SQS") + self.polls as f64 * self.of_a_million;
        let units = self.units as f64 * self.of_a_million;
        println!(
            "\nin all: {sqs:.0} SQS requests (Lambda's poller included), charged as {units:.0}, {:.0} DynamoDB writes, {:.0} S3 puts",
            of("DynamoDB writes"),
            of("S3 puts")
        );
    }
}

/// What a request is charged as.
fn kind(operation: &str) -> &'static str {
    match operation {
        "SendMessage"
        | "SendMessageBatch"
        | "GetQueueAttributes"
        | "GetQueueUrl"
        | "ChangeMessageVisibility"
        | "ChangeMessageVisibilityBatch"
        | "ReceiveMessage"
        | "DeleteMessage"
        | "DeleteMessageBatch" => "SQS",
        "PutItem" | "UpdateItem" | "DeleteItem" => "DynamoDB writes",
        "GetItem" | "Query" | "BatchGetItem" => "DynamoDB reads",
        "GetSecretValue" => "secrets",
        operation if operation.starts_with("PUT") => "S3 puts",
        operation if operation.starts_with("GET") || operation.starts_with("HEAD") => "S3 gets",
        operation if operation.starts_with("DELETE") => "S3 deletes",
        operation if operation.starts_with("POST") => "POST",
        _ => "other",
    }
}
