//! `tributary redrive`: dead letters back to their queue, quarantined records back through the transformer.

use std::io::Write as _;
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use indicatif::HumanBytes;
use serde_json::{Value, json};
use tributary_batch::TimestampMs;
use tributary_lake::Quarantine;
use tributary_mapping::{Reason, parse_timestamp};
use tributary_pipeline::{
    Clock, LetterFilter, LettersReport, RecordFilter, RecordsReport, RedriveLetters, RedriveRecords, Stop,
};
use tributary_telemetry::{Metrics, logging};

use crate::aws::Aws;
use crate::backend::Backend;
use crate::deployment::DeploymentArgs;
use crate::failure::{CHECK_FAILED, Failure, SOME_QUARANTINED};
use crate::progress::shown;
use crate::runtime;
use crate::set::InForce;

const EXAMPLES: &str = "\
Examples:
  tributary redrive --dry-run
  tributary redrive --since 2026-03-01T08:00:00Z --limit 100
  tributary redrive --quarantine --reason unknown-kind --dry-run
  tributary redrive --quarantine --reason unknown-kind --kind defender_alert

Without --quarantine, dead letters go back to the queue that gave them up. With it, quarantined records are mapped once more by \
the maps in force: those that map now are rows in the lake, with the identity that they would have had; the others stay in \
quarantine. Either may be interrupted at any instant and started again: nothing is lost, and no row comes twice.";

/// Flags of `redrive`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Quarantined records, not dead letters
    #[arg(long = "quarantine")]
    records: bool,
    /// Only batches whose name begins so: 1f0c93ab24de-p0003 is a partition
    #[arg(long, value_name = "TEXT")]
    batch: Option<String>,
    /// Only what is not older: when a dead letter was first sent, when the hub accepted a quarantined record's event
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<TimestampMs>,
    /// Only what is older
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<TimestampMs>,
    /// Only records that were quarantined for this reason; may be given several times
    #[arg(long, value_name = "REASON", requires = "records", value_parser = reason)]
    reason: Vec<String>,
    /// Only records of this kind; may be given several times
    #[arg(long, value_name = "KIND", requires = "records")]
    kind: Vec<String>,
    /// Most dead letters, or records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Say what would be redriven, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The queue of batches
    #[arg(long, env = "TRIBUTARY_QUEUE", default_value = "sqlite:tributary.db", value_name = "URL")]
    queue: Backend,
    /// Which queue of a SQLite file: events or flow-logs
    #[arg(long, default_value = "events", value_name = "NAME")]
    queue_name: String,
    /// Where quarantine lies
    #[arg(long = "quarantine-url", env = "TRIBUTARY_QUARANTINE", default_value = "file:lake", value_name = "URL")]
    quarantine: Backend,
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<TimestampMs, String> {
    parse_timestamp(text).ok_or_else(|| "expected a time such as 2026-03-01T08:00:00Z".to_owned())
}

fn reason(text: &str) -> Result<String, String> {
    let mut known = Reason::ALL.iter().map(|reason| reason.as_str());
    match known.find(|known| *known == text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("expected one of {}", Reason::ALL.map(Reason::as_str).join(", "))),
    }
}

/// Runs the command: 0 when everything that was meant is back, 3 when some records stay in quarantine.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    logging::start("WARN", logging::Format::Text).map_err(|error| Failure::Usage(error.to_string()))?;
    runtime::block_on(async {
        let stop = runtime::stop_on_signal()?;
        if args.records { records(args, stop).await } else { letters(args, stop).await }
    })
}

async fn letters(args: &Args, stop: Stop) -> Result<ExitCode, Failure> {
    let (bar, progress) = shown("redriving {bar:30} {pos}/{len} dead letters  {elapsed}");
    let job = RedriveLetters {
        queue: args.queue.queue(&args.queue_name, &Aws::default()).await?,
        filter: LetterFilter { batch: args.batch.clone(), since: args.since, until: args.until },
        limit: args.limit,
        dry_run: args.dry_run,
        clock: Clock::system(),
        stop,
        progress,
    };
    if job.queue.dead_letter_queue().is_none() {
        return Err(Failure::Usage(format!(
            "{} has no queue of dead letters: give it a redrive policy, and redrive what its policy names",
            args.queue
        )));
    }
    let report = job.run().await;
    bar.finish_and_clear();
    let report = report.map_err(|error| Failure::Backend(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let LettersReport { looked, matched, redriven, bytes, failure } = &report;
        let line = json!({"dryRun": args.dry_run, "looked": looked, "matched": matched, "redriven": redriven,
            "bytes": bytes, "failure": failure});
        writeln!(out, "{line}")?;
    } else {
        let done =
            if args.dry_run { "none redriven (--dry-run)".to_owned() } else { format!("{} redriven", report.redriven) };
        writeln!(
            out,
            "dead letters: {} looked at, {} meant ({}), {done}",
            report.looked,
            report.matched,
            HumanBytes(report.bytes)
        )?;
    }
    match report.failure {
        Some(failure) => Err(Failure::Backend(format!("{failure}; what is not redriven is a dead letter still"))),
        None => Ok(ExitCode::SUCCESS),
    }
}

async fn records(args: &Args, stop: Stop) -> Result<ExitCode, Failure> {
    let metrics = Metrics::new();
    let InForce { set, refused } = args.deployment.in_force(&metrics).await?;
    let aws = Aws::default();
    let (queue, store) = (args.queue.queue(&args.queue_name, &aws).await?, args.quarantine.store(&aws).await?);
    let delivery = args.deployment.delivery(&aws).await?;
    let quarantine = Quarantine::new(store.clone()).map_err(|error| Failure::Backend(error.to_string()))?;
    let (bar, progress) = shown("redriving {bar:30} {pos}/{len} objects  {elapsed}");
    let job = RedriveRecords {
        quarantine,
        transform: args.deployment.transform(&aws, set, queue, store, &delivery, (metrics, stop)).await?,
        filter: RecordFilter {
            module: None,
            batch: args.batch.clone(),
            reasons: args.reason.iter().cloned().collect(),
            kinds: args.kind.iter().cloned().collect(),
            since: args.since,
            until: args.until,
        },
        limit: args.limit,
        dry_run: args.dry_run,
        progress,
    };
    let report = job.run().await;
    bar.finish_and_clear();
    let report = report.map_err(|error| Failure::Backend(error.to_string()))?;
    if args.json {
        writeln!(std::io::stdout(), "{}", summary(&report, args.dry_run))?;
    } else {
        print(&report, args.dry_run)?;
    }
    if let Some((object, detail)) = report.failures.first() {
        return Err(Failure::Backend(format!(
            "{} objects failed and stay in quarantine, the first: {object}: {detail}",
            report.failures.len()
        )));
    }
    Ok(match report.quarantined {
        _ if refused => ExitCode::from(CHECK_FAILED),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_QUARANTINED),
    })
}

fn summary(report: &RecordsReport, dry_run: bool) -> Value {
    let tried: Vec<Value> = report
        .tried
        .iter()
        .map(|((reason, kind), records)| json!({"reason": reason, "kind": kind, "records": records}))
        .collect();
    let failures: Vec<Value> =
        report.failures.iter().map(|(object, detail)| json!({"object": object, "detail": detail})).collect();
    json!({"dryRun": dry_run, "objects": report.objects, "retired": report.retired, "ended": report.ended,
        "looked": report.looked, "matched": report.matched(), "tried": tried, "mapped": report.mapped,
        "kinds": report.kinds, "routed": report.routed, "skipped": report.skipped,
        "quarantined": report.quarantined, "failures": failures})
}

fn print(report: &RecordsReport, dry_run: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if !report.tried.is_empty() {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["reason", "kind", "records tried"]);
        for ((reason, kind), records) in &report.tried {
            table.add_row([reason.clone(), kind.clone().unwrap_or_default(), records.to_string()]);
        }
        writeln!(out, "{table}")?;
    }
    let RecordsReport { objects, retired, ended, looked, mapped, routed, skipped, quarantined, .. } = report;
    let (matched, would) = (report.matched(), if dry_run { "would be " } else { "" });
    writeln!(out, "quarantine: {looked} records in {objects} objects looked at, {matched} tried")?;
    writeln!(
        out,
        "{would}in the lake {mapped}, handed on {routed}, left out {skipped}, in quarantine again {quarantined}"
    )?;
    if !report.kinds.is_empty() {
        let kinds: Vec<String> = report.kinds.iter().map(|(kind, records)| format!("{kind} {records}")).collect();
        writeln!(out, "kinds: {}", kinds.join(", "))?;
    }
    if *ended > 0 {
        writeln!(out, "{ended} objects were begun by an earlier run that was interrupted")?;
    }
    match dry_run {
        true => writeln!(out, "nothing was changed (--dry-run)")?,
        false => writeln!(out, "{retired} objects retired")?,
    }
    Ok(())
}
