//! `tributary send`: events from files, standard input or the sample generator to a hub.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use tributary_azure_eventhub::{Destination, EventHubPublisher, OutgoingEvent};
use tributary_azure_samples::Samples;
use tributary_mapping::parse_timestamp;

use crate::failure::Failure;
use crate::hub::ClientArgs;
use crate::input::Input;
use crate::{input, runtime};

/// Most events, and about the most bytes, that are handed over at once; what is waiting to be sent is never more.
const CHUNK_EVENTS: usize = 500;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Events of a batch that goes to whatever partition comes next.
const ANY_EVENTS: usize = 50;

const EXAMPLES: &str = "\
Examples:
  tributary send alert.json
  tributary send --lines exported.ndjson --key contoso
  tributary send --samples 1000 --seed 7
  az rest --url … | tributary send

Each file is one event, with --lines each line. Events without a partition or a key go to the hub's partitions in turn. \
Samples are the project's own made-up events, a few in a hundred of them malformed on purpose; their records happened \
within three days before --around.";

/// Flags of `send`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files or folders; standard input when none is given
    #[arg(value_name = "FILE", conflicts_with = "samples")]
    files: Vec<PathBuf>,
    /// Every line that is not empty is an event
    #[arg(long, conflicts_with = "samples")]
    lines: bool,
    /// Send so many generated sample events
    #[arg(long, value_name = "N")]
    samples: Option<u64>,
    /// Seed of the samples
    #[arg(long, default_value_t = 1, value_name = "S", requires = "samples")]
    seed: u64,
    /// Latest time of the samples' records; now unless given, which is what makes two runs differ
    #[arg(long, value_name = "TIME", value_parser = time, requires = "samples")]
    around: Option<i64>,
    /// Partition for every event
    #[arg(long, value_name = "N", conflicts_with = "key")]
    partition: Option<String>,
    /// Partition key for every event
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: ClientArgs,
}

fn time(text: &str) -> Result<i64, String> {
    parse_timestamp(text).ok_or_else(|| "expected a time such as 2026-03-01T08:00:00Z".to_owned())
}

/// What was sent.
#[derive(Default)]
struct Sent {
    events: u64,
    bytes: u64,
    batches: u64,
}

/// Runs the command: 0 when the hub has accepted every event.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        let publisher = args.hub.builder(None).await?.build_publisher();
        send(args, &publisher.map_err(|error| Failure::Usage(error.to_string()))?).await
    })
}

async fn send(args: &Args, publisher: &EventHubPublisher) -> Result<ExitCode, Failure> {
    let mut sender =
        Sender { publisher, args, waiting: Vec::new(), bytes: 0, sent: Sent::default(), bar: progress(args.samples) };
    let result = everything(args, &mut sender).await;
    sender.bar.finish_and_clear();
    let Sent { events, bytes, batches } = sender.sent;
    // The events are accepted: an untidy end of the connection is no failure of the command.
    let _ = publisher.close().await;
    if let Err(failure) = result {
        if events > 0 {
            eprintln!("tributary: {events} events were sent before the failure");
        }
        return Err(failure);
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json!({"events": events, "bytes": bytes, "batches": batches}))?;
    } else {
        let plural = |count: u64, one: &'static str, more: &'static str| if count == 1 { one } else { more };
        let (events_are, batches_are) = (plural(events, "event", "events"), plural(batches, "batch", "batches"));
        writeln!(out, "sent {events} {events_are} ({}) in {batches} {batches_are}", HumanBytes(bytes))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn everything(args: &Args, sender: &mut Sender<'_>) -> Result<(), Failure> {
    if let Some(count) = args.samples {
        let samples = Samples::new(args.seed).around(args.around.unwrap_or_else(now));
        for sample in samples.events(count) {
            let key = sample.partition_key.map(Destination::Key);
            sender.add(key, OutgoingEvent { body: sample.body, properties: sample.properties }).await?;
        }
        return sender.flush().await;
    }
    if args.files.is_empty() {
        sender.input(input::standard()?).await?;
    }
    for path in input::read(&args.files)? {
        sender.input(input::open(&path)?).await?;
    }
    sender.flush().await
}

/// Collects events and hands them over, each run of one destination together.
struct Sender<'s> {
    publisher: &'s EventHubPublisher,
    args: &'s Args,
    waiting: Vec<(Destination, OutgoingEvent)>,
    bytes: usize,
    sent: Sent,
    bar: ProgressBar,
}

impl Sender<'_> {
    async fn input(&mut self, input: Input) -> Result<(), Failure> {
        if !self.args.lines {
            return self.add(None, OutgoingEvent::new(input.bytes)).await;
        }
        for line in input.bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            if !line.is_empty() {
                self.add(None, OutgoingEvent::new(line)).await?;
            }
        }
        Ok(())
    }

    /// `own` is where the event goes when no flag says otherwise.
    async fn add(&mut self, own: Option<Destination>, event: OutgoingEvent) -> Result<(), Failure> {
        let destination = match (&self.args.partition, &self.args.key) {
            (Some(partition), _) => Destination::Partition(partition.clone()),
            (None, Some(key)) => Destination::Key(key.clone()),
            (None, None) => own.unwrap_or(Destination::Any),
        };
        self.bytes += event.body.len();
        self.waiting.push((destination, event));
        if self.waiting.len() >= CHUNK_EVENTS || self.bytes >= CHUNK_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.bytes = 0;
        // Order is promised within a partition only, so events of one destination may go together.
        let mut groups: Vec<(Destination, Vec<OutgoingEvent>)> = Vec::new();
        for (destination, event) in self.waiting.drain(..) {
            match groups.iter_mut().find(|(known, _)| *known == destination) {
                Some((_, events)) => events.push(event),
                None => groups.push((destination, vec![event])),
            }
        }
        for (destination, events) in groups {
            // The hub goes round its partitions batch by batch: smaller batches spread better.
            let size = if destination == Destination::Any { ANY_EVENTS } else { CHUNK_EVENTS };
            for events in events.chunks(size) {
                let batches = self.publisher.send(&destination, events).await;
                let batches = batches.map_err(|error| Failure::Backend(error.to_string()))?;
                self.sent.batches += batches as u64;
                self.sent.events += events.len() as u64;
                self.sent.bytes += events.iter().map(|event| event.body.len() as u64).sum::<u64>();
                self.bar.set_position(self.sent.events);
            }
        }
        Ok(())
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A bar on a terminal, nothing in a pipe.
fn progress(total: Option<u64>) -> ProgressBar {
    let template =
        if total.is_some() { "{bar:30} {pos}/{len} events  {elapsed}" } else { "{spinner} {pos} events  {elapsed}" };
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
