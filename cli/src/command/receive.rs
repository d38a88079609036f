//! `tributary receive`: events of a hub on standard output.

use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tributary_batch::envelope::event_json;
use tributary_batch::{Body, Event};
use tributary_mapping::parse_timestamp;
use tributary_ocsf::write_rfc3339;
use tributary_pipeline::{EventSource, SourceError, StartPosition};

use crate::failure::Failure;
use crate::hub::ClientArgs;
use crate::inspect::cell;
use crate::runtime;

/// Longest single wait of a reader, so that it notices the end.
const TURN: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  tributary receive --count 5
  tributary receive --from time:2026-03-01T08:00:00Z --partition 0 --json
  tributary receive --bodies --wait 10 | tributary map

Without --partition all partitions are read, each in its own order. Reading changes nothing on the hub and stores no \
position. It does take part in the consumer group: give one of its own where a deployment reads, as a reader without \
a claim is refused there.";

/// Flags of `receive`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to start: earliest, latest, sequence:N, offset:X (both with that event) or time:T
    #[arg(long, default_value = "earliest", value_name = "POSITION", value_parser = start)]
    from: StartPosition,
    /// Read this partition only
    #[arg(long, value_name = "N")]
    partition: Option<String>,
    /// End after this many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End when no event came for so many seconds; 0 reads until Ctrl-C
    #[arg(long, default_value_t = 5, value_name = "S")]
    wait: u64,
    /// Print each event as one JSON line: partition, sequenceNumber, offset, enqueuedTime (ms), partitionKey, properties, body
    #[arg(long)]
    json: bool,
    /// Print only the bodies, one a line
    #[arg(long, conflicts_with = "json")]
    bodies: bool,
    #[command(flatten)]
    hub: ClientArgs,
    /// Consumer group to read in: the secret's unless given, else $Default
    #[arg(long, env = "EVENTHUB_CONSUMER_GROUP", value_name = "G", help_heading = "Hub")]
    consumer_group: Option<String>,
}

/// Reads a start position.
fn start(text: &str) -> Result<StartPosition, String> {
    let wrong = || "expected earliest, latest, sequence:N, offset:X or time:2026-03-01T08:00:00Z".to_owned();
    match text.split_once(':') {
        None if text == "earliest" => Ok(StartPosition::Earliest),
        None if text == "latest" => Ok(StartPosition::Latest),
        Some(("sequence", number)) => {
            let number = number.parse().map_err(|_| wrong())?;
            Ok(StartPosition::Sequence { number, inclusive: true })
        }
        Some(("offset", offset)) if !offset.is_empty() => {
            Ok(StartPosition::Offset { offset: offset.to_owned(), inclusive: true })
        }
        Some(("time", time)) => parse_timestamp(time).map(StartPosition::EnqueuedTime).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// Runs the command: 0 when it ended as it was told to.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        let builder = args.hub.builder(args.consumer_group.as_deref()).await?.receiver_name("tributary receive");
        let source = builder.build_source().map_err(|error| Failure::Usage(error.to_string()))?;
        receive(args, Arc::new(source)).await
    })
}

async fn receive(args: &Args, source: Arc<dyn EventSource>) -> Result<ExitCode, Failure> {
    let interrupted = runtime::end_signal()?;
    let all = source.partitions().await.map_err(failure)?;
    let partitions = match &args.partition {
        None => all,
        Some(wanted) if all.contains(wanted) => vec![wanted.clone()],
        Some(wanted) => {
            return Err(Failure::Usage(format!("the hub has no partition {wanted:?}; it has {}", all.join(", "))));
        }
    };
    // Small: what is not printed yet waits at the hub.
    let (sender, receiver) = mpsc::channel(4);
    let (stop, stopped) = watch::channel(false);
    let mut readers = Vec::new();
    for partition in partitions {
        let (source, start) = (Arc::clone(&source), args.from.clone());
        readers.push(tokio::spawn(read(source, partition, start, sender.clone(), stopped.clone())));
    }
    drop(sender);
    let result = tokio::select! {
        result = print(args, receiver) => result,
        () = interrupted => Ok(()),
    };
    let _ = stop.send(true);
    for reader in readers {
        let _ = reader.await;
    }
    // The events are out: an untidy end of the connection is no failure of the command.
    let _ = source.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

type Chunk = Result<(String, Vec<Event>), SourceError>;

/// Reads one partition until told to stop.
async fn read(
    source: Arc<dyn EventSource>,
    partition: String,
    start: StartPosition,
    sender: mpsc::Sender<Chunk>,
    stopped: watch::Receiver<bool>,
) {
    // Without a claim: nobody is displaced.
    let mut reader = match source.open_shared(&partition, start).await {
        Ok(reader) => reader,
        Err(error) => {
            let _ = sender.send(Err(error)).await;
            return;
        }
    };
    while !*stopped.borrow() {
        match reader.next(TURN).await {
            Ok(events) if events.is_empty() => {}
            Ok(events) => {
                if sender.send(Ok((partition.clone(), events))).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                let _ = sender.send(Err(error)).await;
                break;
            }
        }
    }
    let _ = reader.close().await;
}

/// Prints what comes until there is enough, or nothing comes any more.
async fn print(args: &Args, mut receiver: mpsc::Receiver<Chunk>) -> Result<(), Failure> {
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut out = BufWriter::new(std::io::stdout());
    let mut none = true;
    while left > 0 {
        let chunk = match args.wait {
            0 => receiver.recv().await,
            seconds => match tokio::time::timeout(Duration::from_secs(seconds), receiver.recv()).await {
                Ok(chunk) => chunk,
                Err(_) => {
                    // Silence could also mean a wrong hub or group: say what it means.
                    if none {
                        eprintln!("tributary: no event came within {seconds} s; --wait 0 goes on reading");
                    }
                    break;
                }
            },
        };
        let Some(chunk) = chunk else { break };
        let (partition, events) = chunk.map_err(failure)?;
        none = false;
        for event in events.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            write(args, &partition, event, &mut out)?;
            left -= 1;
        }
        out.flush()?;
    }
    Ok(())
}

fn failure(error: SourceError) -> Failure {
    match error {
        SourceError::Displaced { context } => Failure::Backend(format!(
            "{context}: another reader of the consumer group has the partition; give --consumer-group another one"
        )),
        other => Failure::Backend(other.to_string()),
    }
}

fn write(args: &Args, partition: &str, event: &Event, out: &mut impl Write) -> Result<(), Failure> {
    if args.bodies {
        match &event.body {
            Body::Text(text) => out.write_all(one_line(text).as_bytes())?,
            Body::Binary(bytes) => out.write_all(bytes)?,
        }
        out.write_all(b"\n")?;
    } else if args.json {
        let text = event_json(event).map_err(|error| Failure::Backend(error.to_string()))?;
        let rest = text.strip_prefix('{').unwrap_or(&text).replace(['\n', '\r'], " ");
        writeln!(out, "{{\"partition\":{},{rest}", Value::from(partition))?;
    } else {
        let text = match &event.body {
            Body::Text(text) => cell(&Value::from(text.as_str())),
            Body::Binary(_) => "(not text)".to_owned(),
        };
        let key = event.partition_key.as_deref().map_or_else(String::new, |key| format!("  key {}", cell(&json!(key))));
        let mut time = String::new();
        write_rfc3339(event.enqueued_time, &mut time);
        let (number, bytes) = (event.sequence_number, event.body.len());
        writeln!(out, "partition {partition}  sequence {number}  {time}{key}  {bytes} bytes  {text}")?;
    }
    Ok(())
}

/// The text on one line: in JSON a line break can only be white space between values.
fn one_line(text: &str) -> String {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => text.replace(['\n', '\r'], " "),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_positions() {
        assert_eq!(start("earliest"), Ok(StartPosition::Earliest));
        assert_eq!(start("latest"), Ok(StartPosition::Latest));
        assert_eq!(start("sequence:7"), Ok(StartPosition::Sequence { number: 7, inclusive: true }));
        assert_eq!(start("offset:a:b"), Ok(StartPosition::Offset { offset: "a:b".into(), inclusive: true }));
        assert_eq!(start("time:2026-01-01T00:00:00Z"), Ok(StartPosition::EnqueuedTime(1_767_225_600_000)));
        for text in ["", "now", "sequence:x", "offset:", "time:now", "latest:1"] {
            assert!(start(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn bodies_stay_on_one_line() {
        assert_eq!(one_line("{\n\"a\": \"x\\n\"\r\n}"), "{ \"a\": \"x\\n\"  }");
        assert_eq!(one_line("no\njson"), "no\njson");
    }
}
