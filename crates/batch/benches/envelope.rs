//! What the envelope costs an event: `cargo bench -p tributary-batch --bench envelope`.
//!
//! A batch of 2,000 alerts of about 3.6 KB, as alike and as different as those of a real tenant: fixed texts and fresh
//! identifiers, times, addresses and hashes: the last make it harder to compress than most. With `TRIBUTARY_BENCH_EVENTS`
//! the bodies are the lines of that file. `items/s` counts events; one over it is the cost of an event.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use tributary_batch::envelope::{Decoded, Encoded, decode, encode};
use tributary_batch::{Batch, Body, Event, MAX_BATCH_EVENTS, Offset, SequenceNumber, SourceRef};

const TEXTS: [&str; 8] = [
    "Analysis of host data has detected the execution of a process that is associated with an attempt to hide a file",
    "A sign-in from an unusual location was seen; it is uncommon for this account and was not seen in the last 60 days",
    "Isolate the machine from the network until the investigation is complete, then rotate the credentials it held",
    "Several failed attempts to sign in by brute force were followed by one that succeeded from the same address",
    "A container with high privileges was created in the cluster and may be used to break out to the node",
    "Traffic to a mining pool was found in name lookups of the virtual machine over the last six hours",
    "An unusual number of operations on the storage account was made by a principal that seldom uses it",
    "Review the process tree and the command line, and compare the hash with those of the known software",
];

/// A generator by Steele and Vigna: the same alerts in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn text(&mut self) -> &'static str {
        TEXTS.get((self.next() % 8) as usize).copied().unwrap()
    }

    fn guid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }

    fn address(&mut self) -> String {
        let n = self.next();
        format!("{}.{}.{}.{}", n & 0xff, n >> 8 & 0xff, n >> 16 & 0xff, n >> 24 & 0xff)
    }
}

fn alert(random: &mut Random, number: u64) -> String {
    let (id, owner, machine) = (random.guid(), random.guid(), random.next() % 200);
    let resource = format!("/scopes/{owner}/groups/rg-{}/machines/vm-{machine:04}", machine % 12);
    let entities: Vec<String> = (0..9)
        .map(|index| {
            format!(
                "{{\"$id\":\"{index}\",\"type\":\"ip\",\"address\":\"{}\",\"location\":{{\"countryCode\":\"nl\",\"asn\":{}}},\
                 \"hash\":\"{:016x}{:016x}{:016x}{:016x}\"}}",
                random.address(), random.next() % 65_000, random.next(), random.next(), random.next(), random.next()
            )
        })
        .collect();
    let steps: Vec<String> =
        (0..8).map(|_| format!("\"{} (\\\"{}\\\")\"", random.text(), random.next() % 1_000)).collect();
    format!(
        "{{\"id\":\"{resource}/alerts/{id}\",\"name\":\"{id}\",\"severity\":\"High\",\"status\":\"New\",\
         \"startTimeUtc\":\"2026-01-01T{:02}:{:02}:{:02}.{:07}Z\",\"description\":\"{}\",\"summary\":\"{}\",\"score\":{}.{},\
         \"resourceIdentifiers\":[{{\"type\":\"resource\",\"id\":\"{resource}\"}}],\"remediationSteps\":[{}],\
         \"entities\":[{}],\"extendedProperties\":{{\"user\":\"svc-{}\",\"command\":\"c:\\\\windows\\\\{:x}.exe -q\",\
         \"session\":\"{}\",\"details\":\"{}\"}},\"links\":[\"https://portal.example/alerts/{id}?owner={owner}\"]}}",
        number % 24,
        number % 60,
        number * 7 % 60,
        random.next() % 10_000_000,
        random.text(),
        random.text(),
        random.next() % 100,
        random.next() % 100,
        steps.join(","),
        entities.join(","),
        random.next() % 500,
        random.next(),
        random.guid(),
        random.text(),
    )
}

fn bodies() -> Vec<String> {
    match std::env::var("TRIBUTARY_BENCH_EVENTS") {
        Ok(file) => std::fs::read_to_string(file).unwrap().lines().take(MAX_BATCH_EVENTS).map(str::to_owned).collect(),
        Err(_) => {
            let mut random = Random(42);
            (0..MAX_BATCH_EVENTS as u64).map(|number| alert(&mut random, number)).collect()
        }
    }
}

fn batch() -> Batch {
    let events: Vec<Event> = (0..)
        .zip(bodies())
        .map(|(number, body)| Event {
            sequence_number: SequenceNumber(1_000 + number),
            offset: Offset::new((4_294_967_296 + number * 3_700).to_string()),
            enqueued_time: 1_767_225_600_000 + number * 17,
            partition_key: None,
            properties: Vec::new(),
            body: Body::Text(body),
        })
        .collect();
    Batch {
        module: "azure".into(),
        source: SourceRef {
            namespace: "ns.example".into(),
            hub: "security".into(),
            consumer_group: "tributary".into(),
            partition: "3".into(),
            incarnation: 1_767_225_600_000,
        },
        first: SequenceNumber(1_000),
        last: SequenceNumber(999 + events.len() as i64),
        events,
    }
}

fn size(batch: &Batch) -> usize {
    batch.events.iter().map(|event| event.body.len()).sum()
}

fn count<'b, 'c>(bencher: Bencher<'b, 'c>, batch: &Batch) -> Bencher<'b, 'c> {
    bencher.counter(ItemsCount::new(batch.events.len())).counter(BytesCount::new(size(batch)))
}

/// Back to a batch, whichever way it took.
fn open(encoded: &Encoded) -> Batch {
    match decode(encoded.message(), "message").unwrap() {
        Decoded::Batch(batch) => batch,
        Decoded::Claim(claim) => match encoded {
            Encoded::Claim { bytes, .. } => claim.open(bytes).unwrap(),
            Encoded::Inline(_) => panic!("a claim without an object"),
        },
        Decoded::Foreign(_) => panic!("foreign"),
    }
}

#[divan::bench]
fn encoding(bencher: Bencher<'_, '_>) {
    let batch = batch();
    count(bencher, &batch).bench_local(|| encode(black_box(&batch)).unwrap());
}

#[divan::bench]
fn decoding(bencher: Bencher<'_, '_>) {
    let batch = batch();
    let encoded = encode(&batch).unwrap();
    count(bencher, &batch).bench_local(|| open(black_box(&encoded)));
}

/// What the compressor alone costs of `encoding`.
#[divan::bench(args = [-5, -1, 1, 3])]
fn compressing(bencher: Bencher<'_, '_>, level: i32) {
    let batch = batch();
    let text: String = batch
        .events
        .iter()
        .map(|event| match &event.body {
            Body::Text(text) => text.as_str(),
            Body::Binary(_) => "",
        })
        .collect();
    count(bencher, &batch).bench_local(|| zstd::bulk::compress(black_box(text.as_bytes()), level).unwrap());
}

fn main() {
    let batch = batch();
    let encoded = encode(&batch).unwrap();
    assert!(open(&encoded) == batch, "there and back changes nothing");
    let events = batch.events.len();
    let (travels, how) = match &encoded {
        Encoded::Inline(message) => (message.len(), "in the message"),
        Encoded::Claim { bytes, .. } => (bytes.len(), "as a claim"),
    };
    println!("{events} events of {} bytes on average travel as {travels} bytes {how}", size(&batch) / events);
    divan::main();
}
