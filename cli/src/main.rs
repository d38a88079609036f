//! `tributary`: Azure security telemetry into Amazon Security Lake, on one machine.

mod aws;
mod backend;
mod command;
mod confirm;
mod delivery;
mod deployment;
mod events;
mod failure;
mod health;
mod hub;
mod input;
mod inspect;
mod jobs;
mod mappings;
mod progress;
mod runtime;
mod schemas;
mod set;
mod settings;
mod storage;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::failure::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 a check or an event failed, or mapping files were refused; 2 wrong usage or configuration; 3 done, some records quarantined; \
4 a file, server or back end failed";

/// Azure security telemetry into Amazon Security Lake as OCSF.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, after_help = EXIT_CODES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole way of an event on this machine: a local hub, generated events, positions, mapping, Parquet
    Demo(command::demo::Args),
    /// Read a hub and write the lake, once or for good, every back end chosen by URL
    Run(Box<command::run::Args>),
    /// Map event bodies from files or standard input; results as NDJSON on standard output
    Map(command::map::Args),
    /// Map event bodies into Parquet objects in the Security Lake layout
    Lake(command::lake::Args),
    /// Blobs of flow logs into Parquet objects in the Security Lake layout
    Flowlogs(command::flowlogs::Args),
    /// Judge OCSF events, NDJSON or Parquet, by the schema
    Validate(command::validate::Args),
    /// Show lake objects as a table: classes, days, rows, first rows; quarantine by reason
    Inspect(command::inspect::Args),
    /// Run a hub on this machine, for local work
    Emulator(command::emulator::Args),
    /// Send events from files or the sample generator to a hub
    Send(command::send::Args),
    /// Read a hub's events
    Receive(command::receive::Args),
    /// Bring dead letters back to their queue, or quarantined records into the lake
    Redrive(Box<command::redrive::Args>),
    /// Send a range of a partition once more, or map it anew
    Replay(Box<command::replay::Args>),
    /// Show where partitions stand, and move one
    Positions(command::positions::Args),
    /// Look at a deployment: credentials, permissions, hub, ledger, queues, buckets, maps; says what to do
    Doctor(Box<command::doctor::Args>),
    /// Check, test, list and explain the mapping files
    Mappings(command::mappings::Args),
}

fn main() -> ExitCode {
    let result = settings::apply(Args::command()).map(settings::of_functions).and_then(|command| {
        let args = Args::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
        run(&args.command)
    });
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Demo(args) => command::demo::run(args),
        Command::Run(args) => command::run::run(args),
        Command::Map(args) => command::map::run(args),
        Command::Lake(args) => command::lake::run(args),
        Command::Flowlogs(args) => command::flowlogs::run(args),
        Command::Validate(args) => command::validate::run(args),
        Command::Inspect(args) => command::inspect::run(args),
        Command::Emulator(args) => command::emulator::run(args),
        Command::Send(args) => command::send::run(args),
        Command::Receive(args) => command::receive::run(args),
        Command::Redrive(args) => command::redrive::run(args),
        Command::Replay(args) => command::replay::run(args),
        Command::Positions(args) => command::positions::run(args),
        Command::Doctor(args) => command::doctor::run(args),
        Command::Mappings(args) => command::mappings::run(args),
    }
}
