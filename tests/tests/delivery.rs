//! From generated events of every kind to Security Hub and CloudTrail Lake, by a server that judges each request by AWS's own models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use serde_json::{Value, json};
use tributary_azure_samples::{Expected, Samples};
use tributary_batch::envelope::{self, Encoded};
use tributary_batch::{Batch, Body, Event, Offset, SequenceNumber, SourceRef, TimestampMs};
use tributary_delivery::{ChannelArn, CloudTrailLake, Patience, SecurityHub};
use tributary_lake::{Layout, Publisher, Staging};
use tributary_mapping::{Destination, Options};
use tributary_ocsf::Version;
use tributary_pipeline::{
    Clock, Findings, ImportConfig, ImportFindings, Stop, Trail, Transform, TransformConfig, TransformReport,
    Transformer,
};
use tributary_queue::{MemoryQueue, Queue, RedrivePolicy};
use tributary_telemetry::{Metric, Metrics};
use tributary_test_servers::{REGION, Server};

const ACCOUNT: &str = "123456789012";
const CHANNEL: &str = "arn:aws:cloudtrail:us-east-1:123456789012:channel/01234567-89ab-cdef-0123-456789abcdef";
const NOW: TimestampMs = 1_770_113_594_000;
const EVENTS: usize = 300;
const BATCH: usize = 100;
const PATIENCE: Patience =
    Patience { attempts: 6, first: Duration::from_millis(20), longest: Duration::from_millis(200) };

/// The jobs before their services.
struct Stage {
    server: Server,
    transform: Transform,
    import: ImportFindings,
    /// Records that become findings which repeat others, and so do not go to Security Hub.
    repeated: u64,
    mapped: u64,
}

impl Stage {
    /// With its batches in the queue.
    async fn start() -> Option<Self> {
        let server = Server::model()?;
        let config = server.config();
        let queue = |max_receives| Arc::new(MemoryQueue::new(RedrivePolicy { max_receives }));
        let (batches, findings, metrics) = (queue(5), queue(3), Metrics::new());
        let set = Arc::new(tributary_azure_mappings::shipped(Version::V1_3_0).unwrap());
        let store = Arc::new(InMemory::new());
        let staging = Staging::new(store.clone());
        let (mut repeated, mut mapped) = (0, 0);
        let samples: Vec<_> = Samples::new(17).around(NOW).events(EVENTS as u64).collect();
        for expected in samples.iter().flat_map(|sample| &sample.records) {
            if let Expected::Mapped { kind, .. } = expected {
                mapped += 1;
                let kind = set.kinds().iter().find(|known| known.name == kind.as_str()).unwrap();
                repeated += u64::from(!kind.security_hub && !kind.is_general());
            }
        }
        assert!(repeated > 0, "another seed");
        for (number, samples) in samples.chunks(BATCH).enumerate() {
            let first = (number * BATCH) as i64;
            let event = |(at, sample): (i64, &tributary_azure_samples::Sample)| Event {
                sequence_number: SequenceNumber(at),
                offset: Offset::new(at.to_string()),
                enqueued_time: NOW,
                partition_key: None,
                properties: Vec::new(),
                body: Body::from_bytes(sample.body.clone()),
            };
            let batch = Batch {
                module: "azure".to_owned(),
                source: SourceRef {
                    namespace: "test".to_owned(),
                    hub: "test".to_owned(),
                    consumer_group: "$Default".to_owned(),
                    partition: "0".to_owned(),
                    incarnation: NOW,
                },
                first: SequenceNumber(first),
                last: SequenceNumber(first + samples.len() as i64 - 1),
                events: (first..).zip(samples).map(event).collect(),
            };
            match envelope::encode(&batch).unwrap() {
                Encoded::Inline(message) => batches.send(&message).await.unwrap(),
                Encoded::Claim { key, bytes, message } => {
                    staging.put_claim(&key, bytes.into()).await.unwrap();
                    batches.send(&message).await.unwrap();
                }
            }
        }
        let channel: ChannelArn = CHANNEL.parse().unwrap();
        let layout = Layout::from_prefix(REGION, "azure-", Version::V1_3_0).unwrap();
        let destination = Destination::new(ACCOUNT, REGION).unwrap();
        let transform = Transform {
            queue: batches,
            staging,
            publisher: Publisher::new(store.clone(), store),
            transformer: Arc::new(Transformer::new(set, Options::default(), layout).unwrap()),
            flow_logs: None,
            findings: Some(Findings { queue: findings.clone(), destination: destination.clone() }),
            trail: Some(Trail {
                sink: Arc::new(CloudTrailLake::new(&config, channel)),
                destination,
                patience: PATIENCE,
            }),
            metrics: metrics.clone(),
            clock: Clock::system(),
            stop: Stop::new(),
            config: TransformConfig::new("azure"),
        };
        let import = ImportFindings {
            queue: findings,
            sink: Arc::new(SecurityHub::new(&config).unwrap()),
            metrics,
            stop: Stop::new(),
            config: ImportConfig {
                visibility: Duration::from_millis(300),
                patience: PATIENCE,
                ..ImportConfig::default()
            },
        };
        Some(Self { server, transform, import, repeated, mapped })
    }

    async fn transformed(&self) -> TransformReport {
        let report = self.transform.drain(Duration::from_secs(120)).await.unwrap();
        assert_eq!((report.failed, report.mapped), (0, self.mapped), "{report:?}");
        let findings: u64 = [2002, 2003, 2004].iter().filter_map(|class| report.classes.get(class)).sum();
        assert_eq!(report.findings, findings - self.repeated, "every finding but those that repeat others");
        report
    }

    fn faults(&self, faults: &Value) {
        self.server.post("/_faults", &faults.to_string());
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.server.get("/_state")).unwrap()
    }

    /// `Id` of every finding that waits; they wait as before.
    async fn waiting(&self) -> BTreeSet<String> {
        let (queue, mut messages, mut ids) = (&self.import.queue, Vec::new(), BTreeSet::new());
        while let [message] = &queue.receive(1, Duration::from_secs(60), Duration::ZERO).await.unwrap()[..] {
            let findings: Value = serde_json::from_str(&message.body).unwrap();
            let findings = findings["findings"].as_array().unwrap();
            ids.extend(findings.iter().map(|finding| finding["Id"].as_str().unwrap().to_owned()));
            queue.delete(&message.receipt).await.unwrap();
            messages.push(message.body.clone());
        }
        for message in messages {
            queue.send(&message).await.unwrap();
        }
        ids
    }

    /// `Id` of every finding that Security Hub has.
    fn imported(&self) -> Vec<String> {
        self.state()["findings"].as_object().unwrap().keys().cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_finding_and_every_event_arrives_and_every_request_is_valid() {
    let Some(stage) = Stage::start().await else { return };
    let transformed = stage.transformed().await;
    let imported = stage.import.drain(Duration::from_secs(60)).await.unwrap();
    assert_eq!((imported.findings, imported.failed, imported.put_back), (transformed.findings, 0, 0));
    assert_eq!(transformed.trail, stage.mapped);
    let state = stage.state();
    for call in state["calls"].as_array().unwrap() {
        assert_eq!((&call["status"], &call["failed"]), (&json!(200), &json!({})), "{call}");
    }
    // An event has an id of its own; updates of a finding share theirs.
    assert_eq!(state["auditEvents"].as_object().unwrap().len() as u64, stage.mapped);
    let findings = state["findings"].as_object().unwrap().len() as u64;
    assert!(findings > 50 && findings <= transformed.findings, "{findings} of {}", transformed.findings);
    let metrics = stage.import.metrics.snapshot();
    assert_eq!(metrics.total(Metric::FindingsImported), transformed.findings);
    assert_eq!(metrics.total(Metric::TrailEventsDelivered), stage.mapped);
    assert_eq!(metrics.total(Metric::DeliveryErrors) + metrics.total(Metric::TrailEventsRefused), 0);
    let calls = |name: &str| state["calls"].as_array().unwrap().iter().filter(|call| call["operation"] == name).count();
    println!(
        "{} findings in {} calls, {} events in {} calls",
        transformed.findings,
        calls("BatchImportFindings"),
        stage.mapped,
        calls("PutAuditEvents")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_finding_that_is_rejected_is_a_dead_letter_and_no_other_waits() {
    let Some(stage) = Stage::start().await else { return };
    stage.transformed().await;
    let ids = stage.waiting().await;
    let rejected = ids.first().unwrap();
    stage.faults(&json!({"reject": {rejected: "InvalidInput"}}));
    loop {
        let report = stage.import.run(Duration::from_secs(2)).await.unwrap();
        if report.failed == 0 && report.findings == 0 && stage.import.queue.counts().await.unwrap().in_flight == 0 {
            break;
        }
    }
    let counts = stage.import.queue.counts().await.unwrap();
    assert_eq!((counts.visible, counts.in_flight), (0, 0));
    assert!(counts.dead >= 1);
    let imported: BTreeSet<String> = stage.imported().into_iter().collect();
    assert!(imported.len() > 20 && ids.difference(&imported).eq([rejected]) && imported.is_subset(&ids));
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_faults_and_cut_connections_lose_nothing() {
    let Some(stage) = Stage::start().await else { return };
    stage.faults(&json!({"throttle": 2, "errors": 2, "cut": 1}));
    let transformed = stage.transformed().await;
    assert_eq!(transformed.trail, stage.mapped);
    stage.faults(&json!({"throttle": 2, "errors": 2, "cut": 1}));
    let imported = stage.import.drain(Duration::from_secs(60)).await.unwrap();
    assert_eq!((imported.findings, imported.failed), (transformed.findings, 0), "{imported:?}");
    let state = stage.state();
    assert_eq!(state["auditEvents"].as_object().unwrap().len() as u64, stage.mapped);
    let statuses =
        |status: u64| state["calls"].as_array().unwrap().iter().filter(|call| call["status"] == status).count();
    assert_eq!((statuses(429), statuses(500)), (4, 4));
}
