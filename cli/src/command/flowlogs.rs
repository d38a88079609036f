//! `tributary flowlogs`: blobs of flow logs to Parquet in the Security Lake layout.

mod sweep;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::ProgressBar;
use serde_json::json;
use tributary_azure_flowlogs::{Counts, Cutter, FlowLogError, FlowLogs, Made, Source};
use tributary_batch::BatchId;
use tributary_lake::{Durability, Layout, LocalStore, Publisher};
use tributary_ocsf::Version;

use crate::failure::{Failure, SOME_QUARANTINED};
use crate::{input, progress};

pub(crate) use sweep::{MAX_SWEEP_HOURS, sweep_of};

const SWEEP_EXAMPLES: &str = "\
Examples:
  tributary flowlogs sweep --flow-logs-secret tributary/flow-logs --ledger dynamodb:tributary --lake s3://my-lake --quarantine s3://my-quarantine
  tributary flowlogs sweep --storage-account contoso --authentication federated --since-hours 24 --dry-run

Needs the ledger that the deployment's own reader has: what it covers is not read again.";

/// What the names of the lake's sources begin with.
const SOURCE_PREFIX: &str = "azure-";
/// The module in quarantine's path.
const MODULE: &str = "azure";
/// Bytes of one read.
const PIECE: usize = 1 << 20;
/// Standard input is read to its end first, up to this many bytes: its name in the lake is made from its content.
const MAX_STANDARD: u64 = 1 << 30;

/// Flags of `flowlogs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write the flows of downloaded blobs (PT1H.json), whole or fragments, into a lake's folder
    Convert(Convert),
    /// Read flow logs of the last hours that no notification told of: each blob from where the ledger says
    #[command(after_long_help = SWEEP_EXAMPLES)]
    Sweep(Box<sweep::Args>),
}

/// Flags of `flowlogs convert`.
#[derive(Debug, clap::Args)]
struct Convert {
    /// Files or folders; standard input when none is given. Folders are best kept as they are in the container: the region,
    /// the hour and the ids of tuples come from flowLogResourceID=… or resourceId=… in the path
    files: Vec<PathBuf>,
    /// Folder for the lake
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// OCSF version of the events
    #[arg(long, default_value_t = Version::V1_3_0, env = "OCSF_VERSION")]
    ocsf_version: Version,
    /// Region in the objects' paths
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: String,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command: 0 when every tuple is in the lake, 3 when something is in quarantine.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.action {
        Action::Convert(args) => convert(args),
        Action::Sweep(args) => sweep::run(args),
    }
}

/// Where objects go, and what they came to.
struct Lake {
    publisher: Publisher,
    runtime: tokio::runtime::Runtime,
    blobs: u64,
    counts: Counts,
    objects: u64,
    bytes: u64,
    existing: u64,
}

fn convert(args: &Convert) -> Result<ExitCode, Failure> {
    let layout = Layout::from_prefix(&args.region, SOURCE_PREFIX, args.ocsf_version);
    let layout = layout.map_err(|error| Failure::Usage(error.to_string()))?;
    let logs = FlowLogs::new(args.ocsf_version, layout, MODULE).map_err(|error| Failure::Backend(error.to_string()))?;
    let paths = input::read(&args.files)?;
    // Another run makes it all again from the same files: no need to wait for the disk.
    let store = LocalStore::open(&args.out, Durability::Cached);
    let store = Arc::new(store.map_err(|error| Failure::file("open", &args.out, &error))?);
    let publisher = Publisher::new(Arc::clone(&store) as _, store);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Failure::Backend(format!("cannot start the runtime: {error}")))?;
    let mut lake = Lake { publisher, runtime, blobs: 0, counts: Counts::default(), objects: 0, bytes: 0, existing: 0 };
    if args.files.is_empty() {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(MAX_STANDARD + 1).read_to_end(&mut bytes);
        read.map_err(|error| Failure::Backend(format!("cannot read standard input: {error}")))?;
        if bytes.len() as u64 > MAX_STANDARD {
            return Err(Failure::Usage("standard input has more than 1 GiB: give a file".to_owned()));
        }
        let name = BatchId::for_content(&bytes);
        let source = Source { name: name.as_str(), received: now() };
        blob(&logs, &mut lake, name.clone(), source, &mut bytes.as_slice(), &ProgressBar::hidden())?;
    }
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = progress::bar(paths.iter().map(size).sum(), "{bar:30} {bytes}/{total_bytes}  {elapsed}");
    for path in &paths {
        file(&logs, &mut lake, path, &bar)?;
    }
    bar.finish_and_clear();
    report(args, &lake);
    Ok(if lake.counts.quarantined.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_QUARANTINED) })
}

/// One file is one blob, named by its content: running twice writes nothing twice.
fn file(logs: &FlowLogs, lake: &mut Lake, path: &Path, bar: &ProgressBar) -> Result<(), Failure> {
    let fail = |error| Failure::file("read", path, &error);
    let mut file = File::open(path).map_err(fail)?;
    let changed = file.metadata().and_then(|metadata| metadata.modified()).map_err(fail)?;
    let mut failed = None;
    let mut piece = vec![0; PIECE];
    let name = BatchId::for_pieces(|digest| {
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => digest(piece.get(..length).unwrap_or_default()),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
    });
    if let Some(error) = failed {
        return Err(fail(error));
    }
    let mut file = File::open(path).map_err(fail)?;
    let shown = path.to_string_lossy().replace('\\', "/");
    let source = Source { name: &shown, received: millis(changed) };
    blob(logs, lake, name, source, &mut file, bar).map_err(|failure| match failure {
        Failure::Backend(text) => Failure::Backend(format!("{}: {text}", path.display())),
        other => other,
    })
}

fn blob(
    logs: &FlowLogs,
    lake: &mut Lake,
    name: BatchId,
    source: Source<'_>,
    reader: &mut impl Read,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let failed = |error: FlowLogError| Failure::Backend(error.to_string());
    let mut part = logs.part(name, source);
    let mut cutter = Cutter::blob();
    let mut piece = vec![0; PIECE];
    loop {
        let length = reader.read(&mut piece).map_err(|error| Failure::Backend(format!("cannot read: {error}")))?;
        let mut error = None;
        let mut take = |record: &[u8]| {
            if error.is_none() {
                error = part.read(record, |_| true).err();
            }
        };
        if length == 0 {
            cutter.end(&mut take);
        } else {
            cutter.push(piece.get(..length).unwrap_or_default(), &mut take);
        }
        if let Some(error) = error {
            return Err(failed(error));
        }
        lake.put(part.ready())?;
        bar.inc(length as u64);
        if length == 0 {
            break;
        }
    }
    let (made, counts) = part.finish().map_err(failed)?;
    lake.put(made)?;
    lake.blobs += 1;
    lake.counts.add(&counts);
    Ok(())
}

impl Lake {
    fn put(&mut self, made: Vec<Made>) -> Result<(), Failure> {
        for made in made {
            let published = self.runtime.block_on(self.publisher.publish(&made.outcome()));
            let published = published.map_err(|error| Failure::Backend(error.to_string()))?;
            self.objects += published.objects;
            self.bytes += published.bytes;
            self.existing += published.existing;
        }
        Ok(())
    }
}

fn report(args: &Convert, lake: &Lake) {
    let Counts { records, tuples, quarantined, outside_window, over_group_limit, .. } = &lake.counts;
    let Lake { objects, bytes, .. } = lake;
    if args.json {
        let summary = json!({"blobs": lake.blobs, "records": records, "tuples": tuples, "objects": objects, "bytes": bytes,
            "existing": lake.existing, "quarantined": quarantined, "outsideWindow": outside_window,
            "overGroupLimit": over_group_limit});
        println!("{summary}");
        return;
    }
    let sum: u64 = quarantined.values().sum();
    let there = if lake.existing == 0 { String::new() } else { format!(", {} were there already", lake.existing) };
    println!(
        "blobs {}, records {records}, tuples {tuples}, objects {objects} ({bytes} bytes){there}, quarantined {sum} in {}",
        lake.blobs,
        args.out.display()
    );
    for (reason, count) in quarantined {
        println!("  {reason} {count}");
    }
    if *outside_window > 0 {
        println!(
            "  {outside_window} with a time far from their blob's: filed under the day of the blob, and marked in unmapped"
        );
    }
}

fn now() -> i64 {
    millis(SystemTime::now())
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
