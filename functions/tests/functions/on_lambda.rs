//! The functions as Lambda runs them: on a schedule and behind queues, until all has arrived.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tributary_queue::{Counts, Queue as _};
use tributary_test_servers::{Lambda, Proxy};

use super::leaks::leaks;
use super::process::program;
use super::stack::{HUB, HUB_KEY, PARTITIONS, Stack};
use super::whole::{Issued, check};

/// Events that hold 20,000 records and more.
const EVENTS: u64 = 12_000;
/// Longest that everything may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(900);

/// Declared, and not needed by this run: Lambda's poller receives and deletes with the function's role, here it is the server
/// itself, and nothing listed.
const POLLERS: [&str; 12] = [
    "event-transformer sqs:ReceiveMessage eventQueue (always)",
    "event-transformer sqs:DeleteMessage eventQueue (always)",
    "event-transformer sqs:ChangeMessageVisibility eventQueue (always)",
    "event-transformer sqs:GetQueueAttributes eventQueue (always)",
    "flowlog-processor sqs:ReceiveMessage flowLogQueue (always)",
    "flowlog-processor sqs:DeleteMessage flowLogQueue (always)",
    "flowlog-processor sqs:ChangeMessageVisibility flowLogQueue (always)",
    "flowlog-processor sqs:GetQueueAttributes flowLogQueue (always)",
    "securityhub-processor sqs:ReceiveMessage findingsQueue (always)",
    "securityhub-processor sqs:DeleteMessage findingsQueue (always)",
    "securityhub-processor sqs:ChangeMessageVisibility findingsQueue (always)",
    "securityhub-processor sqs:GetQueueAttributes findingsQueue (always)",
];
/// What other tests need, which say so: a retry, a direct invocation, changed files, the custom resource.
const ELSEWHERE: [&str; 17] = [
    "flowlog-processor s3:PutObject quarantineBucket/quarantine/* (always)",
    "flowlog-processor dynamodb:GetItem ledgerTable (always)",
    "flowlog-processor dynamodb:PutItem ledgerTable (always)",
    "flowlog-processor secretsmanager:GetSecretValue flowLogSecret (secret)",
    "flowlog-processor s3:PutObject lakeBucket/ext/* (always)",
    "flowlog-processor sts:GetWebIdentityToken * (federated)",
    "event-transformer sqs:ReceiveMessage deadLetterQueue (always)",
    "event-transformer sqs:DeleteMessage deadLetterQueue (always)",
    "event-transformer sqs:GetQueueAttributes deadLetterQueue (always)",
    "event-transformer s3:GetObject stagingBucket/staged/* (always)",
    "event-transformer s3:GetObject mappings/* (changedMappings)",
    "event-transformer s3:ListBucket mappings (changedMappings)",
    "securityhub-processor sqs:SendMessage findingsQueue (always)",
    "security-lake-source securitylake:CreateCustomLogSource * (always)",
    "security-lake-source securitylake:DeleteCustomLogSource * (always)",
    "security-lake-source securitylake:ListLogSources * (always)",
    "eventhub-processor sts:GetWebIdentityToken * (federated)",
];
/// What no test of the functions needs: a message that takes so long that its visibility is extended, uploads in parts that
/// fail, and roles of other accounts. The rooms' own tests do (`pipeline`, `lake`, `delivery`). And what makes a missing object answer as missing, which no server here tells apart.
const NOWHERE: [&str; 9] = [
    "flowlog-processor s3:AbortMultipartUpload lakeBucket/ext/* (always)",
    "flowlog-processor sts:AssumeRole writerRole (centralLake)",
    "event-transformer sqs:ChangeMessageVisibility deadLetterQueue (always)",
    "event-transformer s3:ListBucket stagingBucket (always)",
    "event-transformer s3:AbortMultipartUpload lakeBucket/ext/* (always)",
    "event-transformer s3:AbortMultipartUpload stagingBucket/staged/* (always)",
    "event-transformer sts:AssumeRole writerRole (centralLake)",
    "eventhub-processor s3:AbortMultipartUpload stagingBucket/claims/* (always)",
    "securityhub-processor sts:AssumeRole securityHubRole (centralSecurityHub)",
];

/// Makes the functions; what stands between them and their servers.
fn deploy(stack: &Stack) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for handler in ["eventhub-processor", "event-transformer", "securityhub-processor"] {
        let before = stack.proxies(handler, Box::new(|_| None));
        let mut environment = stack.variables(before[0].endpoint(), before[1].endpoint());
        environment.push(("LOGGING_LEVEL".to_owned(), "DEBUG".to_owned()));
        let program = program();
        let program = Path::new(&program);
        let environment = &environment;
        stack.aws.lambda(&Lambda { name: handler, handler, program, memory_mb: 512, timeout_s: 300, environment });
        proxies.extend(before);
    }
    proxies
}

/// Waits until every event is read and no message is left.
async fn wait(stack: &Stack) {
    let (begun, hub) = (Instant::now(), stack.hub.hub(HUB).unwrap());
    let ledger = tributary_ledger::DynamoLedger::new(&stack.aws.config(), "positions");
    loop {
        let items = tributary_ledger::Ledger::list(&ledger, "").await.unwrap();
        let read: i64 = items.iter().filter_map(|(_, item)| Some(item.position.as_ref()?.sequence_number.0 + 1)).sum();
        let written: i64 =
            (0..PARTITIONS).map(|partition| hub.partition(partition).unwrap().stats().last_sequence_number + 1).sum();
        let mut left = Counts::default();
        for name in ["events", "findings"] {
            let counts = stack.queue(name).await.counts().await.unwrap();
            left.visible += counts.visible;
            left.in_flight += counts.in_flight;
            left.dead += counts.dead;
        }
        if read == written && left == Counts::default() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{read} of {written} events are read, and in the queues are {left:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_records_pass_on_a_schedule_and_behind_queues() {
    let Some(stack) = Stack::start().await else { return };
    let _proxies = deploy(&stack);
    stack.aws.every_minute("eventhub-processor");
    // A wrong secret: the invocation fails, Lambda's error metric moves, no position does.
    let right = stack.hub.connection_string(HUB);
    stack.set_secret(&right.replace(HUB_KEY, "bm90IHRoZSByaWdodCBrZXkgb2YgdGhlIGh1Yg==")).await;
    let error = stack.aws.invoke("eventhub-processor", &json!({})).unwrap_err();
    assert!(error["errorMessage"].as_str().unwrap().contains("not authorised (401)"), "{error}");
    assert_eq!(stack.aws.lambda_metric("Errors", "eventhub-processor"), 1.0);
    let ledger = tributary_ledger::DynamoLedger::new(&stack.aws.config(), "positions");
    assert!(tributary_ledger::Ledger::list(&ledger, "").await.unwrap().iter().all(|(_, item)| item.position.is_none()));
    stack.set_secret(&right).await;

    let issued = stack.publish(EVENTS, 3).await;
    assert!(issued.total() >= 20_000, "{issued:?}");
    stack.aws.event_source("events", "event-transformer", 10, 2);
    stack.aws.event_source("findings", "securityhub-processor", 10, 2);
    wait(&stack).await;
    check(&stack, Issued::from(issued)).await;
    let known: BTreeSet<&str> = POLLERS.into_iter().chain(ELSEWHERE).chain(NOWHERE).collect();
    let unused = stack.calls.unused();
    assert_eq!(unused.iter().map(String::as_str).collect::<BTreeSet<_>>(), known, "declared, and needed by no call");
    for (function, errors) in [("eventhub-processor", 1.0), ("event-transformer", 0.0), ("securityhub-processor", 0.0)]
    {
        assert_eq!(stack.aws.lambda_metric("Errors", function), errors, "{function}");
        let log = stack.aws.lambda_log(function);
        assert!(log.contains("\"request_id\""), "{function}: {log}");
        assert_eq!(leaks(&log, &[HUB_KEY]), Vec::<String>::new(), "{function}");
    }
}
