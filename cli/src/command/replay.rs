//! `tributary replay`: a range of a partition once more.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tributary_lake::Staging;
use tributary_mapping::parse_timestamp;
use tributary_pipeline::{
    Bound, Clock, EventSource as _, Gaps, RemapBatches, RemapReport, Replay, ReplayError, ReplayPlan, ReplayRange,
    ReplayReport, Stop,
};
use tributary_telemetry::{Metrics, logging};

use crate::aws::Aws;
use crate::backend::Backend;
use crate::confirm::ConfirmArgs;
use crate::deployment::DeploymentArgs;
use crate::failure::{CHECK_FAILED, Failure, SOME_QUARANTINED};
use crate::hub::BesideArgs;
use crate::progress;
use crate::runtime;
use crate::set::InForce;

const EXAMPLES: &str = "\
Examples:
  tributary replay 3 --dry-run
  tributary replay 3 --from 2026-03-01T08:00:00Z --to 2026-03-01T09:00:00Z --read-group operators
  tributary replay 3 --from 4200 --to 4999
  tributary replay 3 --from 4200 --to 4999 --remap

Each batch that was cut from the range is read from the hub again and sent to the queue under its own name: the transformer \
publishes the outcome that is staged for it, and rows that are there stay single. Events that were committed and of which nothing is \
staged are cut anew, once queue and dead letters are empty. The ledger is only read, and no processor is displaced.

With --remap, staged batches are mapped here and now by the maps in force and take the place of what they were, redrives of \
their quarantine included. Meanwhile readers of the lake may see rows of a batch twice, or for a moment not at all. Do it for one \
batch at a time only, and not while its message is under way.";

/// Flags of `replay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The partition
    partition: String,
    /// First event: SEQUENCE, or TIME at which the hub accepted it; the oldest that the hub has without it
    #[arg(long, value_name = "SEQUENCE|TIME", value_parser = bound)]
    from: Option<Bound>,
    /// Last event: SEQUENCE, or TIME before which the hub accepted it; the last that is committed without it
    #[arg(long, value_name = "SEQUENCE|TIME", value_parser = bound)]
    to: Option<Bound>,
    /// Map staged batches anew, in the place of what they were
    #[arg(long)]
    remap: bool,
    /// Go on with a remapping that seems to be at work; only when it is known to have ended
    #[arg(long, requires = "remap")]
    take_over: bool,
    /// Cut gaps anew in any case: their events get a second row if they are on their way, or were delivered longer ago than
    /// staging remembers
    #[arg(long, conflicts_with = "remap")]
    gaps: bool,
    /// Days that staging keeps outcomes
    #[arg(long, default_value_t = 21, value_name = "DAYS", conflicts_with = "remap")]
    staged_days: u64,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    hub: BesideArgs,
    /// Positions and leases
    #[arg(long, env = "TRIBUTARY_LEDGER", default_value = "sqlite:tributary.db", value_name = "URL")]
    ledger: Backend,
    /// Batches on their way
    #[arg(long, env = "TRIBUTARY_QUEUE", default_value = "sqlite:tributary.db", value_name = "URL")]
    queue: Backend,
    /// Records that did not become events
    #[arg(long, env = "TRIBUTARY_QUARANTINE", default_value = "file:lake", value_name = "URL")]
    quarantine: Backend,
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

fn bound(text: &str) -> Result<Bound, String> {
    match text.parse() {
        Ok(number) => Ok(Bound::Sequence(number)),
        Err(_) => parse_timestamp(text)
            .map(Bound::Time)
            .ok_or_else(|| "expected a sequence number or a time such as 2026-03-01T08:00:00Z".to_owned()),
    }
}

/// Runs the command: 0 when everything that was meant is sent or remapped, 1 when something was left, 3 when remapped records are in
/// quarantine.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    logging::start("WARN", logging::Format::Text).map_err(|error| Failure::Usage(error.to_string()))?;
    runtime::block_on(async {
        let stop = runtime::stop_on_signal()?;
        let (source, consumer_group) = args.hub.source("tributary replay").await?;
        let source = Arc::new(source);
        let aws = Aws::default();
        let quarantine = args.quarantine.store(&aws).await?;
        let (bar, progress) = progress::shown("replaying {bar:30} {pos}/{len} events  {elapsed}");
        let replay = Replay {
            source: source.clone(),
            consumer_group,
            ledger: args.ledger.ledger(&aws).await?,
            queue: args.queue.queue("events", &aws).await?,
            staging: Staging::new(args.deployment.staging.store(&aws).await?),
            publisher: args.deployment.place.publisher(quarantine, &aws).await?,
            module: args.deployment.place.module_id.clone(),
            batch_events: Replay::BATCH_EVENTS,
            gaps: if args.gaps { Gaps::Always } else { Gaps::WhenCertain },
            staged_for: Duration::from_secs(args.staged_days.saturating_mul(24 * 3_600)),
            clock: Clock::system(),
            stop: stop.clone(),
            progress,
        };
        let work = async {
            let range = ReplayRange { from: args.from, to: args.to };
            let plan = replay.plan(&args.partition, range).await.map_err(|error| failure(args, error))?;
            if args.confirm.dry_run {
                return planned(args, &plan);
            }
            if args.remap {
                remapped(args, replay, &plan, &aws, stop).await
            } else {
                replayed(args, &replay, &plan).await
            }
        };
        let result = work.await;
        bar.finish_and_clear();
        let _ = source.close().await;
        result
    })
}

fn failure(args: &Args, error: ReplayError) -> Failure {
    match error {
        ReplayError::Source(error) => args.hub.failure(error),
        ReplayError::NoPartition { .. } | ReplayError::NotRead { .. } => Failure::Usage(error.to_string()),
        _ => Failure::Backend(format!("{error}; what was sent is delivered, the same command does the rest")),
    }
}

fn planned(args: &Args, plan: &ReplayPlan) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let pieces: Vec<Value> = plan
            .pieces
            .iter()
            .map(|piece| json!({"first": piece.first, "last": piece.last, "staged": piece.staged}))
            .collect();
        let line = json!({"dryRun": true, "first": plan.range.0, "last": plan.range.1, "committed": plan.position,
            "staged": plan.staged(), "inGaps": plan.in_gaps(), "onTheirWay": plan.on_their_way, "pieces": pieces});
        writeln!(out, "{line}")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        out,
        "partition {}: {} to {} are meant; committed up to {}, the hub has {} to {}",
        args.partition, plan.range.0, plan.range.1, plan.position, plan.status.begin, plan.status.last
    )?;
    for piece in &plan.pieces {
        match &piece.staged {
            Some(batch) => writeln!(out, "  {} to {}  staged  {batch}", piece.first, piece.last)?,
            None => writeln!(out, "  {} to {}  gap", piece.first, piece.last)?,
        }
    }
    if plan.in_gaps() > 0 && plan.on_their_way > 0 {
        writeln!(
            out,
            "{} messages are in the queue and its dead letters: gaps wait until there are none",
            plan.on_their_way
        )?;
    }
    writeln!(out, "nothing was changed (--dry-run)")?;
    Ok(ExitCode::SUCCESS)
}

async fn replayed(args: &Args, replay: &Replay, plan: &ReplayPlan) -> Result<ExitCode, Failure> {
    let report = replay.run(plan).await.map_err(|error| failure(args, error))?;
    let ReplayReport { batches, republished, cut, events, left, gone, ended } = report;
    let mut out = std::io::stdout().lock();
    if args.json {
        let line = json!({"batches": batches, "republished": republished, "cut": cut, "events": events, "left": left,
            "gone": gone, "ended": ended});
        writeln!(out, "{line}")?;
    } else {
        writeln!(
            out,
            "sent {events} events: {batches} staged batches again, {cut} batches of gaps; {republished} batches published from \
             staging; {gone} events are gone from the hub"
        )?;
    }
    match (ended, left) {
        (false, _) => Err(Failure::Check("it was stopped; the same command does the rest".to_owned())),
        (true, 0) => Ok(ExitCode::SUCCESS),
        (true, left) => Err(Failure::Check(format!(
            "{left} events of gaps were left: {} messages are in the queue and its dead letters, or the events are younger than \
             5 minutes, or older than the {} days that staging remembers; wait and redrive, or give --gaps when they are known \
             not to be delivered",
            plan.on_their_way, args.staged_days
        ))),
    }
}

async fn remapped(args: &Args, replay: Replay, plan: &ReplayPlan, aws: &Aws, stop: Stop) -> Result<ExitCode, Failure> {
    let metrics = Metrics::new();
    let InForce { set, refused } = args.deployment.in_force(&metrics).await?;
    if refused {
        return Err(Failure::Check(
            "the changed mapping files were refused: nothing is remapped by the shipped ones".into(),
        ));
    }
    let question = format!("Replace the objects of {} batches by what the maps in force make of them?", plan.staged());
    args.confirm.ask(&question)?;
    let delivery = args.deployment.delivery(aws).await?;
    let quarantine = args.quarantine.store(aws).await?;
    let queue = Arc::clone(&replay.queue);
    let transform = args.deployment.transform(aws, set, queue, quarantine, &delivery, (metrics, stop)).await?;
    let job = RemapBatches { replay, transform, take_over: args.take_over };
    let report = job.run(plan).await.map_err(|error| failure(args, error))?;
    let RemapReport { batches, mapped, quarantined, objects, removed, incomplete, in_gaps, failures, ended } = &report;
    let mut out = std::io::stdout().lock();
    if args.json {
        let failures: Vec<Value> =
            failures.iter().map(|(batch, detail)| json!({"batch": batch, "detail": detail})).collect();
        let line = json!({"batches": batches, "mapped": mapped, "quarantined": quarantined, "objects": objects,
            "removed": removed, "incomplete": incomplete, "inGaps": in_gaps, "failures": failures, "ended": ended});
        writeln!(out, "{line}")?;
    } else {
        writeln!(
            out,
            "remapped {batches} batches: {mapped} records in the lake, {quarantined} in quarantine; {objects} objects written, \
             {removed} removed"
        )?;
        for batch in incomplete {
            writeln!(out, "not remapped, the hub no longer has all its events: {batch}")?;
        }
        if *in_gaps > 0 {
            writeln!(out, "of {in_gaps} events nothing is staged: replay them without --remap")?;
        }
    }
    if let Some((batch, detail)) = failures.first() {
        return Err(Failure::Backend(format!("{} batches failed, the first: {batch}: {detail}", failures.len())));
    }
    Ok(match (ended, quarantined) {
        (false, _) => return Err(Failure::Check("it was stopped; the same command does the rest".to_owned())),
        _ if !incomplete.is_empty() || *in_gaps > 0 => ExitCode::from(CHECK_FAILED),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(SOME_QUARANTINED),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(bound("4200"), Ok(Bound::Sequence(4_200)));
        assert_eq!(bound("2026-01-01T00:00:00Z"), Ok(Bound::Time(1_767_225_600_000)));
        assert!(bound("yesterday").is_err());
    }
}
