//! `tributary positions`: where partitions stand, and to stand elsewhere.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::{Value, json};
use tributary_batch::{Position, TimestampMs};
use tributary_ledger::Item;
use tributary_mapping::parse_timestamp;
use tributary_ocsf::write_rfc3339;
use tributary_pipeline::{Clock, EventSource as _, Move, Positions, PositionsError, Standing, Target};
use tributary_telemetry::logging;

use crate::aws::Aws;
use crate::backend::Backend;
use crate::confirm::ConfirmArgs;
use crate::failure::Failure;
use crate::hub::BesideArgs;
use crate::runtime;

const EXAMPLES: &str = "\
Examples:
  tributary positions list
  tributary positions set 3 --to 2026-03-01T08:00:00Z --dry-run
  tributary positions set 3 --to earliest --yes
  tributary positions reset 3

A move is one write: position, no open plan, a higher epoch. Whoever holds the partition is displaced and goes on from the new \
position in its next run. Events that are read a second time get other batch names and so a second row in the lake: to \
deliver a range again, use `tributary replay`.";

/// Flags of `positions`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Every partition that the ledger knows: epoch, lease, position, open plan, lost events, age
    List {
        #[command(flatten)]
        ledger: LedgerArgs,
        /// Only hubs of this name
        #[arg(long, value_name = "NAME")]
        hub: Option<String>,
        /// Only this consumer group
        #[arg(long, value_name = "NAME")]
        consumer_group: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Move a partition
    Set {
        /// The partition
        partition: String,
        /// The last event that counts as read: SEQUENCE (reading goes on after it), earliest, latest, or a TIME such as
        /// 2026-03-01T08:00:00Z (reading goes on with the first event accepted then or later)
        #[arg(long, value_name = "POSITION", value_parser = target, allow_negative_numbers = true)]
        to: Target,
        /// Also where the hub has no such event: beyond its last, or gone
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Forget a partition's position: the next run starts at its --initial-position
    Reset {
        /// The partition
        partition: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, clap::Args)]
struct LedgerArgs {
    /// Positions and leases
    #[arg(long, env = "TRIBUTARY_LEDGER", default_value = "sqlite:tributary.db", value_name = "URL")]
    ledger: Backend,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    #[command(flatten)]
    ledger: LedgerArgs,
    #[command(flatten)]
    hub: BesideArgs,
    /// Hours that a position lives without a run: at least the hub's retention
    #[arg(long, env = "CHECKPOINT_TTL_HOURS", default_value_t = 168, value_name = "HOURS")]
    ttl_hours: u64,
    #[command(flatten)]
    confirm: ConfirmArgs,
    /// Print the move as JSON
    #[arg(long)]
    json: bool,
}

fn target(text: &str) -> Result<Target, String> {
    match text {
        "earliest" => Ok(Target::Earliest),
        "latest" => Ok(Target::Latest),
        _ => match text.parse() {
            Ok(sequence) => Ok(Target::Sequence(sequence)),
            Err(_) => parse_timestamp(text)
                .map(Target::Time)
                .ok_or_else(|| "expected a sequence number, earliest, latest or 2026-03-01T08:00:00Z".to_owned()),
        },
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    logging::start("WARN", logging::Format::Text).map_err(|error| Failure::Usage(error.to_string()))?;
    runtime::block_on(async {
        match &args.action {
            Action::List { ledger, hub, consumer_group, json } => {
                let mut standings = positions(ledger, 0).await?.list().await.map_err(backend)?;
                let wanted = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
                standings.retain(|one| wanted(hub, &one.hub.hub) && wanted(consumer_group, &one.hub.consumer_group));
                list(&standings, *json)
            }
            Action::Set { partition, to, force, change } => moved(partition, to, *force, change).await,
            Action::Reset { partition, change } => moved(partition, &Target::Initial, true, change).await,
        }
    })
}

async fn positions(ledger: &LedgerArgs, ttl_hours: u64) -> Result<Positions, Failure> {
    let time_to_live = Duration::from_secs(ttl_hours.saturating_mul(3_600));
    Ok(Positions { ledger: ledger.ledger.ledger(&Aws::default()).await?, clock: Clock::system(), time_to_live })
}

fn backend(error: impl std::fmt::Display) -> Failure {
    Failure::Backend(error.to_string())
}

async fn moved(partition: &str, to: &Target, force: bool, args: &ChangeArgs) -> Result<ExitCode, Failure> {
    let positions = positions(&args.ledger, args.ttl_hours).await?;
    let (source, group) = args.hub.source("tributary positions").await?;
    let source = Arc::new(source);
    let proposed = positions.propose(source.as_ref(), &group, partition, to, force).await;
    let _ = source.close().await;
    let proposed = proposed.map_err(|error| match error {
        PositionsError::Source(error) => args.hub.failure(error),
        PositionsError::Ledger(_) | PositionsError::Protocol(_) => backend(error),
        _ => Failure::Usage(error.to_string()),
    })?;
    if !args.json {
        describe(&proposed)?;
    }
    if args.confirm.dry_run {
        return report(&proposed, None, args);
    }
    args.confirm.ask(&format!("Move partition {partition}?"))?;
    let item = positions.apply(&proposed).await.map_err(backend)?;
    report(&proposed, Some(&item), args)
}

/// What a move comes to, for whoever is asked.
fn describe(proposed: &Move) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", proposed.key.as_str().replace('#', "  "))?;
    let at = |position: Option<&Position>| match position {
        None => "no position: it starts at --initial-position".to_owned(),
        Some(position) => {
            let accepted = match position.offset.as_str() {
                "" => String::new(),
                _ => format!(", accepted {}", time(position.enqueued_time)),
            };
            format!("at {}{accepted}", position.sequence_number)
        }
    };
    let plan = proposed.from.as_ref().and_then(|item| item.plan.as_ref());
    let plan = plan.map(|plan| format!("; its open plan {} to {} is dropped", plan.first, plan.last));
    let from = proposed.from.as_ref().and_then(|item| item.position.as_ref());
    writeln!(out, "  is    {}{}", at(from), plan.unwrap_or_default())?;
    writeln!(out, "  will  {}", at(proposed.to.as_ref()))?;
    if let Some(status) = &proposed.status {
        writeln!(out, "  hub   {} to {}", status.begin, status.last)?;
    }
    match proposed.read_again() {
        0 => {}
        events => writeln!(
            out,
            "  {events} events are read again, as other batches: those that were delivered get a second row in the lake"
        )?,
    }
    match proposed.passed_over() {
        0 => {}
        events => writeln!(out, "  {events} events are never read")?,
    }
    let item = proposed.from.as_ref().filter(|item| item.lease_expires_at > now());
    if let Some(item) = item {
        writeln!(out, "  {} holds it and is displaced", item.owner)?;
    }
    Ok(())
}

fn report(proposed: &Move, item: Option<&Item>, args: &ChangeArgs) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let sequence = |position: Option<&Position>| position.map(|position| position.sequence_number.0);
        let from = proposed.from.as_ref().and_then(|item| item.position.as_ref());
        let line = json!({"key": proposed.key.as_str(), "partition": proposed.partition, "from": sequence(from),
            "to": sequence(proposed.to.as_ref()), "readAgain": proposed.read_again(),
            "passedOver": proposed.passed_over(), "moved": item.is_some(), "epoch": item.map(|item| item.epoch)});
        writeln!(out, "{line}")?;
    } else {
        match item {
            Some(item) => writeln!(out, "moved, epoch {}", item.epoch)?,
            None => writeln!(out, "nothing was changed (--dry-run)")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(standings: &[Standing], json: bool) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    let now = now();
    if json {
        let lines: Vec<Value> = standings.iter().map(|one| line(one, now)).collect();
        writeln!(out, "{}", json!({"positions": lines}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if standings.is_empty() {
        writeln!(out, "the ledger knows no partition")?;
    }
    for group in standings.chunk_by(|a, b| a.hub == b.hub) {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header([
            "partition",
            "epoch",
            "owner",
            "lease",
            "sequence number",
            "offset",
            "enqueued time",
            "open plan",
            "lost",
            "age",
        ]);
        for one in group {
            table.add_row(cells(one, now));
        }
        if let Some(Standing { hub, .. }) = group.first() {
            writeln!(out, "hub {} of {}, consumer group {}", hub.hub, hub.namespace, hub.consumer_group)?;
        }
        writeln!(out, "{table}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cells(one: &Standing, now: TimestampMs) -> [String; 10] {
    let item = &one.item;
    let none = || "-".to_owned();
    let position = item.position.as_ref();
    let known = position.filter(|position| !position.offset.as_str().is_empty());
    let lease = match item.lease_expires_at.saturating_sub(now) {
        left if left > 0 => format!("{} left", span(left)),
        _ => "free".to_owned(),
    };
    [
        one.partition.clone(),
        item.epoch.to_string(),
        item.owner.clone(),
        lease,
        position.map_or_else(none, |position| position.sequence_number.to_string()),
        known.map_or_else(none, |position| position.offset.as_str().to_owned()),
        known.map_or_else(none, |position| time(position.enqueued_time)),
        item.plan.as_ref().map_or_else(none, |plan| format!("{} to {}", plan.first, plan.last)),
        item.lost.to_string(),
        span(now.saturating_sub(item.updated_at).max(0)),
    ]
}

/// The item's own attributes, and what they are of.
fn line(one: &Standing, now: TimestampMs) -> Value {
    let mut value = serde_json::to_value(&one.item).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        let Standing { hub, partition, item } = one;
        members.insert("namespace".to_owned(), hub.namespace.as_str().into());
        members.insert("hub".to_owned(), hub.hub.as_str().into());
        members.insert("consumerGroup".to_owned(), hub.consumer_group.as_str().into());
        members.insert("partition".to_owned(), partition.as_str().into());
        members.insert("leased".to_owned(), (item.lease_expires_at > now).into());
        members.insert("ageSeconds".to_owned(), (now.saturating_sub(item.updated_at).max(0) / 1_000).into());
    }
    value
}

fn now() -> TimestampMs {
    Clock::system().now()
}

fn time(time: TimestampMs) -> String {
    let mut text = String::new();
    write_rfc3339(time, &mut text);
    text
}

/// A span in its largest unit.
fn span(ms: i64) -> String {
    match ms / 1_000 {
        seconds @ ..=119 => format!("{seconds} s"),
        seconds @ ..=7_199 => format!("{} min", seconds / 60),
        seconds @ ..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        assert_eq!(target("earliest"), Ok(Target::Earliest));
        assert_eq!(target("latest"), Ok(Target::Latest));
        assert_eq!(target("-1"), Ok(Target::Sequence(-1)));
        assert_eq!(target("4711"), Ok(Target::Sequence(4_711)));
        assert_eq!(target("2026-01-01T00:00:00Z"), Ok(Target::Time(1_767_225_600_000)));
        for text in ["", "now", "12a", "initial"] {
            assert!(target(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn spans_are_short() {
        let spans = [999, 119_000, 120_000, 7_200_000, 172_800_000].map(span);
        assert_eq!(spans, ["0 s", "119 s", "2 min", "2 h", "2 d"]);
    }
}
