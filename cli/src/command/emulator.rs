//! `tributary emulator`: a hub on this machine, for local work.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;
use tributary_azure_eventhub_emulator::{DEFAULT_CONSUMER_GROUP, Emulator, HubConfig};
use tributary_telemetry::line::with_causes;

use crate::failure::Failure;
use crate::runtime;

/// Most partitions of a hub: what the largest real tier gives.
const MAX_PARTITIONS: u32 = 2_000;
/// Bytes in a mebibyte.
const MIB: usize = 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  tributary emulator
  tributary emulator --hub azure-security --partitions 8 --consumer-group tributary
  tributary emulator --listen 127.0.0.1:0 --json

The hub speaks AMQP 1.0 without TLS, with a key that everyone knows, and keeps its events in memory only: it is for \
work on one machine, not for data that matters. Microsoft's own clients work on it with the connection string that it \
prints. Ctrl-C or SIGTERM ends it.";

/// Flags of `emulator`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:5672", value_name = "ADDR")]
    listen: String,
    /// Name of the hub
    #[arg(long, default_value = "tributary", value_name = "NAME", value_parser = hub_name)]
    hub: String,
    /// Number of partitions
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTITIONS)))]
    partitions: u32,
    /// A consumer group beside $Default; may be given again
    #[arg(long = "consumer-group", value_name = "G", value_parser = hub_name)]
    consumer_groups: Vec<String>,
    /// MiB of events that each partition keeps; the oldest go first
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Print the address and the connection string as one JSON line
    #[arg(long)]
    json: bool,
}

/// Names that stand in an address path and a connection string without being quoted.
fn hub_name(text: &str) -> Result<String, String> {
    let fits = (1..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'$'));
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 256 letters, digits, '-', '_' and '.'".to_owned()) }
}

/// Runs the command until it is told to end.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    runtime::block_on(serve(args))
}

async fn serve(args: &Args) -> Result<ExitCode, Failure> {
    // Before anything is announced, so that whoever waits for the announcement may end it at once.
    let end = runtime::end_signal()?;
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX).saturating_mul(MIB);
    let mut hub = HubConfig::new(&args.hub, args.partitions).retention_bytes(keep);
    for group in args.consumer_groups.iter().filter(|group| *group != DEFAULT_CONSUMER_GROUP) {
        hub = hub.consumer_group(group);
    }
    let emulator = Emulator::builder().hub(hub).listen(&args.listen).start().await;
    let emulator = emulator.map_err(|error| Failure::Backend(with_causes(&error)))?;
    announce(args, &emulator)?;
    if !emulator.address().ip().is_loopback() {
        eprintln!("tributary: anyone who reaches {} can read and write this hub", emulator.address());
    }
    end.await;
    emulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn announce(args: &Args, emulator: &Emulator) -> Result<(), Failure> {
    let text = emulator.connection_string(&args.hub);
    let groups = std::iter::once(DEFAULT_CONSUMER_GROUP).chain(args.consumer_groups.iter().map(String::as_str));
    let mut groups: Vec<&str> = groups.collect();
    groups.dedup();
    let mut out = std::io::stdout().lock();
    if args.json {
        let line = json!({"address": emulator.address().to_string(), "hub": args.hub, "partitions": args.partitions,
            "consumerGroups": groups, "connectionString": text});
        writeln!(out, "{line}")?;
    } else {
        writeln!(
            out,
            "hub {} with {} partitions on {}, consumer groups {}\n\n\
             export EVENTHUB_CONNECTION_STRING='{text}'\n\
             tributary send --samples 100\n\
             tributary receive --count 5\n\n\
             Ctrl-C ends it",
            args.hub,
            args.partitions,
            emulator.address(),
            groups.join(", ")
        )?;
    }
    out.flush()?;
    Ok(())
}
