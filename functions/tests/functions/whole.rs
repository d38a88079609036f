//! What must be true at the end of a run, however it went; and a run in which nothing goes wrong.

use std::collections::BTreeSet;

use super::leaks::leaks;
use super::process::Function;
use super::stack::{HUB, HUB_KEY, PARTITIONS, Stack};
use tributary_azure_samples::Fates;
use tributary_queue::{Counts, Queue as _};
use tributary_test_servers::Server;

/// What a run was given.
#[derive(Default)]
pub(crate) struct Issued {
    /// What must become of the records.
    pub(crate) fates: Fates,
    /// Events that the hub let go of before they were read.
    pub(crate) lost: u64,
    /// Dead letters of the event queue that must be there.
    pub(crate) dead: u64,
    /// Whether the mapping files were others for a while: which of both ends a record comes to is then theirs to say.
    pub(crate) remapped: bool,
    /// What every line at ERROR says, where there must be some.
    pub(crate) errors: Option<&'static str>,
}

impl From<Fates> for Issued {
    fn from(fates: Fates) -> Self {
        Self { fates, ..Self::default() }
    }
}

/// Everything is where it must be, once, and nothing is left over.
pub(crate) async fn check(stack: &Stack, issued: Issued) {
    let arrivals = stack.arrived().await;
    let doubled: Vec<_> = arrivals.places.iter().filter(|(_, places)| **places > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    let Fates { mapped, quarantined, .. } = issued.fates;
    assert_eq!(arrivals.places.len() as u64, mapped + quarantined, "issued = lake + quarantine");
    assert!(arrivals.rows == mapped || issued.remapped, "{} rows of {mapped}", arrivals.rows);
    for (name, dead) in [("events", issued.dead), ("findings", 0)] {
        let counts = stack.queue(name).await.counts().await.unwrap();
        assert_eq!(counts, Counts { dead, ..Counts::default() }, "{name} and its dead letters");
    }
    positions(stack, issued.lost).await;
    let state = stack.state();
    let trail = state["auditEvents"].as_object().map_or(0, |events| events.len()) as u64;
    assert!(trail == arrivals.rows || issued.remapped, "{trail} trail events of {} rows", arrivals.rows);
    // Not the mirrors of alerts, which are findings in the lake alone.
    let imported: BTreeSet<String> = state["findings"].as_object().unwrap().keys().cloned().collect();
    assert!(
        !imported.is_empty() && (imported.is_subset(&arrivals.findings) || issued.remapped),
        "a finding that no row of the lake is"
    );
    assert_eq!(stack.calls.undeclared(), Vec::<String>::new(), "calls that permissions.json does not declare");
}

/// Every partition's position is the hub's last, and no plan is open.
async fn positions(stack: &Stack, lost: u64) {
    let table = tributary_ledger::DynamoLedger::new(&stack.aws.config(), "positions");
    let items = tributary_ledger::Ledger::list(&table, "").await.unwrap();
    assert_eq!(items.len(), PARTITIONS as usize);
    for (key, item) in &items {
        let partition = key.rsplit('#').next().unwrap().parse().unwrap();
        let last = stack.hub.hub(HUB).unwrap().partition(partition).unwrap().stats().last_sequence_number;
        assert_eq!(item.position.as_ref().map_or(-1, |position| position.sequence_number.0), last, "{key}");
        assert_eq!(item.plan, None, "{key}");
    }
    assert_eq!(items.iter().map(|(_, item)| item.lost).sum::<u64>(), lost, "events counted as lost");
}

/// The three functions that an event passes.
pub(crate) fn functions(stack: &Stack) -> [Function; 3] {
    ["eventhub-processor", "event-transformer", "securityhub-processor"].map(|handler| stack.function(handler))
}

/// Runs what is there to its end by functions that nothing happens to, and checks it.
pub(crate) async fn finish(stack: &Stack, issued: impl Into<Issued>) {
    let [mut processor, mut transformer, mut importer] = functions(stack);
    let (_, errors) = stack.poll(&mut processor);
    assert_eq!(errors, Vec::<String>::new());
    stack.drain("events", &mut transformer).await;
    stack.drain("findings", &mut importer).await;
    let issued = issued.into();
    let said = issued.errors;
    check(stack, issued).await;
    let mut errors = 0;
    for function in [processor, transformer, importer] {
        let (metrics, log) = function.end();
        assert!(metrics.lines().all(|line| line.contains("\"CloudWatchMetrics\"")), "{metrics}");
        assert_eq!(leaks(&(metrics + &log), &[HUB_KEY]), Vec::<String>::new());
        for line in log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")) {
            assert!(said.is_some_and(|said| line.contains(said)), "{line}");
            errors += 1;
        }
    }
    assert_eq!(errors > 0, said.is_some(), "{errors} lines at ERROR");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_secret_the_roles_own_token_reads_the_hub() {
    let Some(stack) = Stack::start().await else { return };
    let Some(entra) = Server::entra(None) else { return };
    let issued = stack.publish(400, 5).await;
    let mut processor = stack.federated_processor(&entra);
    let (_, errors) = stack.poll(&mut processor);
    assert_eq!(errors, Vec::<String>::new());
    finish(&stack, issued).await;
    stack.calls.assert_needed(&["eventhub-processor sts:GetWebIdentityToken * (federated)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_arrives_once() {
    let Some(stack) = Stack::start().await else { return };
    let issued = stack.publish(1_000, 11).await;
    finish(&stack, issued).await;
}
