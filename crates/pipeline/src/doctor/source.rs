//! The hub: whether it is reached, lets this in, can be read, and keeps events no longer than positions are kept.

use std::time::Duration;

use tributary_batch::TimestampMs;
use tributary_telemetry::Check;

use crate::beside::first_event;
use crate::source::{EventSource, SourceError, StartPosition};

const HUB: &str = "hub";
const PARTITIONS: &str = "hub: partitions";
const GROUP: &str = "hub: consumer group";
const LIFE: &str = "hub: retention and time to live";

/// What a deployment wants of its hub.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// How long a position lives without a run.
    pub time_to_live: Duration,
    /// How long the hub keeps events, where somebody said so: the hub does not tell.
    pub retention: Option<Duration>,
}

/// Looks at the hub in the source's consumer group, without a claim: nobody is displaced.
pub async fn examine_source(source: &dyn EventSource, wanted: Wanted, now: TimestampMs) -> Vec<Check> {
    let hub = source.hub();
    let partitions = match source.partitions().await {
        Ok(partitions) => partitions,
        Err(error) => return vec![failed(HUB, &error)],
    };
    let found = format!("{} of {} lets this in, {} partitions", hub.hub, hub.namespace, partitions.len());
    let mut checks = vec![Check::ok(HUB, found)];
    let mut filled = Vec::new();
    for partition in &partitions {
        match source.status(partition).await {
            Ok(status) if status.is_empty() => {}
            Ok(_) => filled.push(partition.as_str()),
            Err(error) => {
                checks.push(failed(PARTITIONS, &error));
                return checks;
            }
        }
    }
    let (all, with) = (partitions.len(), filled.len());
    checks.push(Check::ok(PARTITIONS, format!("the properties of all {all} are read, {with} hold events")));
    let Some(first) = partitions.first() else { return checks };
    let (group, attached) = attach(source, first).await;
    checks.push(group);
    let mut oldest: Option<TimestampMs> = None;
    for partition in filled.iter().filter(|_| attached) {
        if let Ok(Some(event)) = first_event(source, partition, StartPosition::Earliest).await {
            oldest = Some(oldest.map_or(event.enqueued_time, |oldest| oldest.min(event.enqueued_time)));
        }
    }
    let age = oldest.map(|oldest| Duration::from_millis(u64::try_from(now.saturating_sub(oldest)).unwrap_or(0)));
    checks.push(life(wanted, age));
    checks
}

fn failed(name: &str, error: &SourceError) -> Check {
    let remedy = match error {
        SourceError::Denied { .. } => {
            "let this identity read the hub, or store the credential that it has now; the hub's own words say which"
        }
        SourceError::Fatal { .. } => "correct the names of namespace, hub and consumer group, or what the hub says",
        _ => "see that the name resolves and that the port is open from here (5671, or 443 with --transport websocket)",
    };
    Check::failed(name, error.to_string(), remedy)
}

/// Whether a receiver is let in, and whether events can be read beside the processor.
async fn attach(source: &dyn EventSource, partition: &str) -> (Check, bool) {
    let group = source.hub().consumer_group;
    match source.open_shared(partition, StartPosition::Earliest).await {
        Ok(reader) => {
            let _ = reader.close().await;
            (Check::ok(GROUP, format!("{group} lets a receiver attach")), true)
        }
        Err(SourceError::Displaced { .. }) => {
            (Check::ok(GROUP, format!("{group} is there, and a processor reads in it now")), false)
        }
        Err(error) => (failed(GROUP, &error), false),
    }
}

fn life(wanted: Wanted, oldest: Option<Duration>) -> Check {
    let hours = |duration: Duration| duration.as_secs() / 3_600;
    let kept = hours(wanted.time_to_live);
    let raise = |hours: u64| {
        format!("set CHECKPOINT_TTL_HOURS to {hours} at least (--ttl-hours), or let the hub keep events for less")
    };
    let lost = "a position may be dropped while its events are still there, and is then begun anew";
    match (wanted.retention, oldest) {
        (Some(retention), _) if retention > wanted.time_to_live => Check::failed(
            LIFE,
            format!("positions live {kept} h, events {} h: {lost}", hours(retention)),
            raise(hours(retention)),
        ),
        (Some(retention), _) => Check::ok(LIFE, format!("positions live {kept} h, events {} h", hours(retention))),
        (None, Some(oldest)) if oldest > wanted.time_to_live => Check::failed(
            LIFE,
            format!("positions live {kept} h, and the hub holds an event that is {} h old: {lost}", hours(oldest)),
            raise(hours(oldest) + 1),
        ),
        (None, Some(oldest)) => Check::ok(
            LIFE,
            format!(
                "positions live {kept} h; the hub does not tell its retention, its oldest event is {} h old (--retention-hours \
                 compares for certain)",
                hours(oldest)
            ),
        ),
        (None, None) => Check::skipped(
            LIFE,
            "the hub does not tell its retention, and no event was read to infer it from: give --retention-hours",
        ),
    }
}

#[cfg(test)]
mod tests {
    use tributary_telemetry::CheckState;

    use super::*;

    #[test]
    fn positions_must_outlive_events() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        for (kept, retention, oldest, state, says) in [
            (168, Some(168), None, CheckState::Ok, "events 168 h"),
            (168, Some(169), Some(1), CheckState::Failed, "positions live 168 h, events 169 h"),
            (24, None, Some(25), CheckState::Failed, "an event that is 25 h old"),
            (24, None, Some(23), CheckState::Ok, "does not tell its retention"),
            (24, None, None, CheckState::Skipped, "--retention-hours"),
        ] {
            let wanted = Wanted { time_to_live: hours(kept), retention: retention.map(hours) };
            let check = life(wanted, oldest.map(hours));
            assert!(check.state == state && check.found.contains(says), "{check:?}");
            let acts = check.remedy.is_some_and(|remedy| remedy.contains("CHECKPOINT_TTL_HOURS"));
            assert_eq!(acts, state == CheckState::Failed);
        }
    }
}
