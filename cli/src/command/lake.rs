//! `tributary lake`: event bodies to Parquet in the Security Lake layout.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bumpalo::Bump;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tributary_batch::BatchId;
use tributary_lake::{
    Durability, LakeWriter, Layout, LocalStore, OutcomeBuilder, Publisher, QuarantineEntry, Row, quarantine_object,
    received_at,
};
use tributary_mapping::{Mapper, Options, Origin, Outcome, Refused, Scratch};
use tributary_ocsf::Version;

use crate::failure::{CHECK_FAILED, Failure, SOME_QUARANTINED};
use crate::input::{self, Input};
use crate::set::{InForce, SetArgs};

/// What the names of the lake's sources begin with.
const SOURCE_PREFIX: &str = "azure-";
/// The module in quarantine's path.
const MODULE: &str = "azure";

/// Flags of `lake`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files or folders; standard input when none is given
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
    #[command(flatten)]
    set: SetArgs,
    /// Put the whole source record into `raw_data`
    #[arg(long)]
    raw_data: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// What all files came to.
#[derive(Default)]
struct Summary {
    mapped: u64,
    quarantined: BTreeMap<&'static str, u64>,
    skipped: u64,
    objects: u64,
    existing: u64,
    bytes: u64,
    overflowed: u64,
    cut: u64,
    outside_window: u64,
}

/// Runs the command: 0 when every record is in the lake, 3 when some are in quarantine, 1 when the shipped set did it in
/// place of another one.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let layout = Layout::from_prefix(&args.region, SOURCE_PREFIX, args.ocsf_version);
    let layout = layout.map_err(|error| Failure::Usage(error.to_string()))?;
    let InForce { set, refused } = args.set.in_force_now(args.ocsf_version)?;
    let mapper = Mapper::new(&set, Options { raw_data: args.raw_data });
    let writer = LakeWriter::new(set.schema(), layout, set.digest());
    // Another run makes it all again from the same files: no need to wait for the disk.
    let store = LocalStore::open(&args.out, Durability::Cached);
    let store = Arc::new(store.map_err(|error| Failure::file("open", &args.out, &error))?);
    let publisher = Publisher::new(Arc::clone(&store) as _, store);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Failure::Backend(format!("cannot start the runtime: {error}")))?;
    let mut summary = Summary::default();
    let mut one = |input: &Input| -> Result<(), Failure> {
        let outcome = convert(&mapper, &writer, input, &mut summary)?;
        let published = runtime.block_on(publisher.publish(&outcome));
        let published = published.map_err(|error| Failure::Backend(error.to_string()))?;
        summary.objects += published.objects;
        summary.existing += published.existing;
        summary.bytes += published.bytes;
        Ok(())
    };
    if args.files.is_empty() {
        one(&input::standard()?)?;
    }
    let paths = input::read(&args.files)?;
    let bar = progress(paths.len());
    for path in &paths {
        one(&input::open(path)?)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    report(args, &summary);
    Ok(match summary.quarantined.is_empty() {
        _ if refused => ExitCode::from(CHECK_FAILED),
        true => ExitCode::SUCCESS,
        false => ExitCode::from(SOME_QUARANTINED),
    })
}

/// A bar on a terminal, nothing in a pipe.
fn progress(files: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} files  {elapsed}");
    let bar = ProgressBar::new(files as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn report(args: &Args, summary: &Summary) {
    if args.json {
        println!(
            "{}",
            json!({"mapped": summary.mapped, "quarantined": summary.quarantined,
                "skipped": summary.skipped, "objects": summary.objects,
                "existing": summary.existing, "bytes": summary.bytes, "overflowed": summary.overflowed,
                "cut": summary.cut,
                "outsideWindow": summary.outside_window})
        );
        return;
    }
    let quarantined: u64 = summary.quarantined.values().sum();
    let Summary { mapped, objects, existing, bytes, .. } = summary;
    let left_out = if summary.skipped == 0 { String::new() } else { format!(", skipped {}", summary.skipped) };
    let there = if *existing == 0 { String::new() } else { format!(", {existing} were there already") };
    println!(
        "mapped {mapped}, quarantined {quarantined}{left_out}, objects {objects} ({bytes} bytes){there} in {}",
        args.out.display()
    );
    for (reason, count) in &summary.quarantined {
        println!("  {reason} {count}");
    }
    if summary.outside_window > 0 {
        println!(
            "  {} with a time far from their file's: filed under the day of the file, and marked in unmapped",
            summary.outside_window
        );
    }
}

/// One input file is one batch, named by its content: running twice writes nothing twice.
fn convert(
    mapper: &Mapper<'_>,
    writer: &LakeWriter,
    input: &Input,
    summary: &mut Summary,
) -> Result<tributary_lake::Outcome, Failure> {
    let batch = BatchId::for_content(&input.bytes);
    let enqueued = input.enqueued_time.unwrap_or_default();
    let origin = Origin { uid: batch.as_str(), enqueued_time: input.enqueued_time };
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let text = String::from_utf8_lossy(&input.bytes);
    mapper.map_body(&text, origin, &arena, &mut scratch, &mut outcomes);
    let (mut rows, mut refused, mut skipped) = (Vec::new(), Vec::new(), 0);
    for outcome in &outcomes {
        match outcome {
            Outcome::Mapped(mapped) => rows.push(Row {
                event: &mapped.event,
                class: mapped.class,
                time: mapped.time,
                account: mapped.account,
                enqueued,
            }),
            Outcome::Refused(refusal) => refused.push(refusal.clone()),
            Outcome::Routed(routed) => refused.push(routed.refused()),
            Outcome::Skipped(_) => skipped += 1,
        }
    }
    let entry = |refusal: &Refused<'_>| QuarantineEntry {
        reason: refusal.reason.as_str().into(),
        detail: refusal.detail.clone().into(),
        kind: refusal.kind.map(|kind| kind.to_owned().into()),
        position: json!({"source": input.name, "record": refusal.index}),
        mappings: mapper.set().digest().into(),
        received_at: received_at(enqueued).into(),
        raw: refusal.raw.to_owned().into(),
    };
    for refusal in &refused {
        *summary.quarantined.entry(refusal.reason.as_str()).or_default() += 1;
    }
    summary.skipped += skipped;
    let refused: Vec<QuarantineEntry<'_>> = refused.iter().map(entry).collect();
    let failed = |error: &dyn std::fmt::Display| Failure::Backend(format!("{}: {error}", input.name));
    let made = writer.objects(&batch, &rows).map_err(|error| failed(&error))?;
    let quarantine = quarantine_object(MODULE, enqueued, &batch, &refused).map_err(|error| failed(&error))?;
    summary.mapped += made.rows();
    summary.overflowed += made.overflowed;
    summary.cut += made.cut;
    summary.outside_window += made.outside_window;
    Ok(OutcomeBuilder::new(batch, mapper.set().digest(), 1)
        .lake(&made)
        .quarantine(quarantine.as_ref())
        .aside(0, skipped)
        .build())
}
