//! A deployment on this machine: a hub over AMQP, AWS's services on servers that are not ours, and the functions as processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use serde_json::{Value, json};
use tributary_azure_eventhub::{Destination, EventHubPublisher, OutgoingEvent};
use tributary_azure_eventhub_emulator::{Emulator, HubConfig};
use tributary_azure_samples::{Fates, Samples};
use tributary_lake::{Bucket, BucketOptions, source_name};
use tributary_queue::{Queue, SqsQueue};
use tributary_test_servers::{Asked, Fault, Proxy, SETTINGS, Server};

use super::process::{Function, TIMEOUT};

pub(crate) const HUB: &str = "defender";
pub(crate) const PARTITIONS: u32 = 8;
const GROUP: &str = "tributary";
const SECRET: &str = "tributary/hub";
const ACCOUNT: &str = "123456789012";
const BUCKETS: [&str; 3] = ["tributary-staging", "tributary-lake", "tributary-quarantine"];
/// Classes that a source exists for.
const CLASSES: [i32; 15] = [1007, 2002, 2003, 2004, 2005, 3001, 3002, 3004, 3005, 3006, 4001, 4002, 4003, 6003, 6005];
/// As much as Lambda hands over at once.
const PAYLOAD: usize = 6 << 20;

/// The servers of a deployment.
pub(crate) struct Stack {
    pub(crate) hub: Emulator,
    pub(crate) aws: Server,
    /// In front of `aws`, for the functions.
    pub(crate) proxy: Proxy,
    pub(crate) model: Server,
    queues: BTreeMap<&'static str, String>,
}

impl Stack {
    /// Starts the servers and makes what a deployment makes. `None` where the peers are missing.
    pub(crate) async fn start(decide: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Option<Self> {
        let (aws, model) = (Server::ministack()?, Server::model()?);
        let hub = HubConfig::new(HUB, PARTITIONS).consumer_group(GROUP);
        let hub = Emulator::builder().hub(hub).listen("127.0.0.1:0").start().await.unwrap();
        aws.table("positions").await;
        let mut queues = BTreeMap::new();
        for name in ["events", "findings", "flow-logs"] {
            queues.insert(name, aws.queue(name, 8).await);
        }
        BUCKETS.iter().for_each(|bucket| aws.bucket(bucket));
        let proxy = Proxy::start(&aws, decide);
        let stack = Self { hub, aws, proxy, model, queues };
        let secret = stack.secret(&stack.hub.connection_string(HUB));
        let client = aws_sdk_secretsmanager::Client::new(&stack.aws.config());
        client.create_secret().name(SECRET).secret_string(secret).send().await.unwrap();
        Some(stack)
    }

    fn secret(&self, connection: &str) -> String {
        let namespace = format!("amqp://{}", self.hub.address());
        json!({"eventHubNamespace": namespace, "eventHubName": HUB, "consumerGroup": GROUP, "connectionString": connection})
            .to_string()
    }

    /// Publishes sample events; what must become of their records.
    pub(crate) async fn publish(&self, events: u64, seed: u64) -> Fates {
        let builder = EventHubPublisher::builder().connection_string(&self.hub.connection_string(HUB)).unwrap();
        let publisher = builder.hub(HUB).build_publisher().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let (mut issued, mut chunk) = (Fates::default(), Vec::new());
        for sample in Samples::new(seed).around(i64::try_from(now).unwrap()).events(events) {
            issued.add(&sample.records);
            chunk.push(OutgoingEvent { properties: sample.properties, ..OutgoingEvent::new(sample.body) });
            if chunk.len() == 250 {
                publisher.send(&Destination::Any, &std::mem::take(&mut chunk)).await.unwrap();
            }
        }
        publisher.send(&Destination::Any, &chunk).await.unwrap();
        publisher.close().await.unwrap();
        issued
    }

    /// A function of this deployment, with further settings.
    pub(crate) fn function(&self, handler: &str, more: &[(&str, &str)]) -> Function {
        let sources: BTreeMap<String, String> = CLASSES
            .iter()
            .map(|class| (class.to_string(), format!("ext/{}/1.3.0/", source_name("azure-", *class).unwrap())))
            .collect();
        let sources = serde_json::to_string(&sources).unwrap();
        let channel = format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:channel/01234567-89ab-cdef-0123-456789abcdef");
        let mut variables = SETTINGS.to_vec();
        variables.extend([
            ("AWS_ENDPOINT_URL", self.proxy.endpoint()),
            ("AWS_ENDPOINT_URL_SECURITYHUB", self.model.endpoint()),
            ("AWS_ENDPOINT_URL_CLOUDTRAIL_DATA", self.model.endpoint()),
            ("AZURE_CREDENTIALS_SECRET_NAME", SECRET),
            ("SQS_QUEUE_URL", &self.queues["events"]),
            ("CHECKPOINT_TABLE_NAME", "positions"),
            ("STAGING_BUCKET", BUCKETS[0]),
            ("SECURITY_LAKE_S3_BUCKET", BUCKETS[1]),
            ("QUARANTINE_BUCKET", BUCKETS[2]),
            ("SECURITY_LAKE_SOURCES", &sources),
            ("ASFF_SQS_QUEUE", &self.queues["findings"]),
            ("SECURITY_HUB_ACCOUNT_ID", ACCOUNT),
            ("FLOW_LOG_SQS_QUEUE", &self.queues["flow-logs"]),
            ("CLOUDTRAIL_ENABLED", "true"),
            ("CLOUDTRAIL_CHANNEL_ARN", &channel),
        ]);
        variables.extend(more);
        Function::start(handler, &variables)
    }

    /// A queue of this deployment.
    pub(crate) async fn queue(&self, name: &str) -> SqsQueue {
        let queue = SqsQueue::open(&self.aws.config(), &self.queues[name].parse().unwrap()).await.unwrap();
        queue.with_dead_letters().await.unwrap()
    }

    /// Hands a queue's messages to a function as Lambda's poller does, until none is left. How many invocations it took.
    pub(crate) async fn drain(&self, name: &str, function: &mut Function) -> usize {
        let queue = self.queue(name).await;
        let mut invocations = 0;
        loop {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while bytes < PAYLOAD - (1 << 20) && batch.len() < 10 {
                let wait = if batch.is_empty() { Duration::from_secs(1) } else { Duration::ZERO };
                let Some(message) = queue.receive(1, TIMEOUT, wait).await.unwrap().pop() else { break };
                bytes += message.body.len();
                batch.push(message);
            }
            if batch.is_empty() {
                return invocations;
            }
            invocations += 1;
            let records: Vec<Value> = batch
                .iter()
                .map(|message| {
                    json!({"messageId": message.id, "receiptHandle": message.receipt.as_str(), "body": message.body,
                        "attributes": {"ApproximateReceiveCount": message.receive_count.to_string()},
                        "eventSource": "aws:sqs"})
                })
                .collect();
            let answer = function.invoke(&json!({"Records": records}));
            let failed: Vec<&str> = answer["batchItemFailures"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["itemIdentifier"].as_str().unwrap())
                .collect();
            for message in &batch {
                if failed.contains(&message.id.as_str()) {
                    queue.release(&message.receipt).await.unwrap();
                } else {
                    queue.delete(&message.receipt).await.unwrap();
                }
            }
        }
    }

    /// Invokes the processor until every partition is read to its end.
    pub(crate) fn poll(&self, processor: &mut Function) -> Vec<Value> {
        let mut answers = Vec::new();
        loop {
            let answer = processor.invoke(&json!({"source": "aws.scheduler"}));
            let done = answer["events"] == 0 && answer["lag"] == 0;
            answers.push(answer);
            if done {
                return answers;
            }
        }
    }

    /// Copies a bucket into a folder; names and sizes.
    pub(crate) async fn download(&self, bucket: &str, folder: &Path) {
        let bucket: Bucket = format!("s3://{bucket}").parse().unwrap();
        let store = bucket.open(&self.aws.config(), &BucketOptions::default()).unwrap();
        let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
        for object in objects {
            let path = folder.join(object.location.as_ref());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, store.get(&object.location).await.unwrap().bytes().await.unwrap()).unwrap();
        }
    }

    /// Every record of the lake and of quarantine, by marker, in how many places it is; and what the lake's findings are called.
    pub(crate) async fn arrived(&self) -> (BTreeMap<String, usize>, BTreeSet<String>) {
        let folder = tempfile::tempdir().unwrap();
        let (lake, quarantine) = (folder.path().join("lake"), folder.path().join("quarantine"));
        self.download(BUCKETS[1], &lake).await;
        self.download(BUCKETS[2], &quarantine).await;
        let records = tributary_tests::collect::collect(&lake, &quarantine);
        let places = records.into_iter().map(|(marker, places)| (marker, places.len())).collect();
        (places, tributary_tests::collect::finding_uids(&lake))
    }

    /// What the model server holds.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.model.get("/_state")).unwrap()
    }
}
