//! From the hub to the lake, Security Hub and CloudTrail Lake, by the functions alone.

use std::collections::BTreeSet;

use super::process::Function;
use super::stack::{HUB, PARTITIONS, Stack};
use tributary_azure_samples::Fates;
use tributary_queue::{Counts, Queue as _};

/// Everything is where it must be, once, and nothing is left over.
async fn check(stack: &Stack, issued: Fates) {
    let (arrived, findings) = stack.arrived().await;
    let doubled: Vec<_> = arrived.iter().filter(|(_, places)| **places > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    assert_eq!(arrived.len() as u64, issued.mapped + issued.quarantined, "issued = lake + quarantine");
    for name in ["events", "findings"] {
        assert_eq!(stack.queue(name).await.counts().await.unwrap(), Counts::default(), "{name} and its dead letters");
    }
    let table = tributary_ledger::DynamoLedger::new(&stack.aws.config(), "positions");
    let items = tributary_ledger::Ledger::list(&table, "").await.unwrap();
    assert_eq!(items.len(), PARTITIONS as usize);
    for (key, item) in items {
        let partition = key.rsplit('#').next().unwrap().parse().unwrap();
        let last = stack.hub.hub(HUB).unwrap().partition(partition).unwrap().stats().last_sequence_number;
        assert_eq!(item.position.map_or(-1, |position| position.sequence_number.0), last, "{key}");
        assert_eq!((item.plan, item.lost), (None, 0), "{key}");
    }
    let state = stack.state();
    let calls = state["calls"].as_array().unwrap();
    assert!(calls.iter().all(|call| call["status"] == 200), "a refused call: {calls:?}");
    assert_eq!(state["auditEvents"].as_object().map_or(0, |events| events.len()) as u64, issued.mapped, "trail events");
    // Not the mirrors of alerts, which are findings in the lake alone.
    let imported: BTreeSet<String> = state["findings"].as_object().unwrap().keys().cloned().collect();
    assert!(!imported.is_empty() && imported.is_subset(&findings), "a finding that no row of the lake is");
}

fn functions(stack: &Stack) -> (Function, Function, Function) {
    (
        stack.function("eventhub-processor", &[]),
        stack.function("event-transformer", &[]),
        stack.function("securityhub-processor", &[]),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_arrives_once() {
    let Some(stack) = Stack::start(|_| None).await else { return };
    let issued = stack.publish(1_000, 11).await;
    let (mut processor, mut transformer, mut importer) = functions(&stack);
    let answers = stack.poll(&mut processor);
    let events: u64 = answers.iter().map(|answer| answer["events"].as_u64().unwrap()).sum();
    assert_eq!(events, 1_000);
    stack.drain("events", &mut transformer).await;
    stack.drain("findings", &mut importer).await;
    check(&stack, issued).await;
    for function in [processor, transformer, importer] {
        let (metrics, log) = function.end();
        assert!(metrics.lines().all(|line| line.contains("\"CloudWatchMetrics\"")), "{metrics}");
        assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
        assert!(!log.contains("SharedAccessKey") && !metrics.contains("SharedAccessKey"));
    }
}
