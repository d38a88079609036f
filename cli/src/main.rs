//! `tributary`: Azure security telemetry into Amazon Security Lake, on one machine.

mod command;
mod failure;
mod input;
mod inspect;
mod mappings;
mod schemas;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 a check or an event failed; 2 wrong usage or configuration; 3 done, some records quarantined; \
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
    /// Map event bodies from files or standard input; results as NDJSON on standard output
    Map(command::map::Args),
    /// Map event bodies into Parquet objects in the Security Lake layout
    Lake(command::lake::Args),
    /// Show lake objects as a table: classes, days, rows, first rows; quarantine by reason
    Inspect(command::inspect::Args),
    /// Check, test, list and explain the mapping files
    Mappings(command::mappings::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Command::Map(args) => command::map::run(&args),
        Command::Lake(args) => command::lake::run(&args),
        Command::Inspect(args) => command::inspect::run(&args),
        Command::Mappings(args) => command::mappings::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
