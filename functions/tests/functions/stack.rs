//! A deployment on this machine: a hub over AMQP, AWS's services on servers that are not ours, and the functions as processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use serde_json::{Value, json};
use tributary_azure_eventhub::{Destination, EventHubPublisher, OutgoingEvent};
use tributary_azure_eventhub_emulator::{DEFAULT_KEY_NAME, Emulator, HubConfig, JwtIssuer};
use tributary_azure_identity::TOKEN_EXCHANGE_AUDIENCE;
use tributary_azure_samples::{Fates, Sample, Samples};
use tributary_lake::{Bucket, BucketOptions, source_name};
use tributary_queue::{Message, Queue, SqsQueue};
use tributary_test_servers::{Asked, Fault, Proxy, SETTINGS, Server};
use tributary_tests::collect::Arrived;

use super::calls::Calls;
use super::process::{Function, TIMEOUT};

pub(crate) const HUB: &str = "defender";
pub(crate) const PARTITIONS: u32 = 8;
const GROUP: &str = "tributary";
/// The tenant whose tokens the hub takes besides its key.
pub(crate) const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub(crate) const APPLICATION: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
pub(crate) const HUB_KEY: &str = "dGhlIGh1YidzIG93biBrZXksIGZvciB0aGVzZSB0ZXN0cw==";
pub(crate) const SECRET: &str = "tributary/hub";
pub(crate) const FLOW_LOG_SECRET: &str = "tributary/flow-logs";
const ACCOUNT: &str = "123456789012";
pub(crate) const BUCKETS: [&str; 3] = ["tributary-staging", "tributary-lake", "tributary-quarantine"];
/// Classes that a source exists for.
const CLASSES: [i32; 15] = [1007, 2002, 2003, 2004, 2005, 3001, 3002, 3004, 3005, 3006, 4001, 4002, 4003, 6003, 6005];
/// As much as Lambda hands over at once.
const PAYLOAD: usize = 6 << 20;

/// Six times a function's timeout, as AWS wants it for Lambda's poller.
const VISIBILITY_S: u32 = 1_800;

async fn visible_after(aws: &Server, queue: &str, seconds: u32) {
    let client = aws_sdk_sqs::Client::new(&aws.config());
    let visibility = aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
    client.set_queue_attributes().queue_url(queue).attributes(visibility, seconds.to_string()).send().await.unwrap();
}

/// What came to the end of the way.
pub(crate) struct Arrivals {
    /// Every record, by marker: in how many places it is.
    pub(crate) places: BTreeMap<String, usize>,
    /// How many are in the lake.
    pub(crate) rows: u64,
    /// What the lake's findings are called.
    pub(crate) findings: BTreeSet<String>,
}

/// What goes wrong with a function's calls.
pub(crate) type Decide = Box<dyn Fn(&Asked) -> Option<Fault> + Send + Sync>;

/// The servers of a deployment.
pub(crate) struct Stack {
    pub(crate) hub: Emulator,
    pub(crate) aws: Server,
    pub(crate) model: Server,
    pub(crate) queues: BTreeMap<&'static str, String>,
    /// What the functions asked of AWS.
    pub(crate) calls: Arc<Calls>,
}

impl Stack {
    /// Starts the servers and makes what a deployment makes. `None` where the peers are missing.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(PARTITIONS).await
    }

    /// The same with a hub of so many partitions.
    pub(crate) async fn start_with(partitions: u32) -> Option<Self> {
        let (aws, model) = (Server::ministack()?, Server::model()?);
        let hub = HubConfig::new(HUB, partitions).consumer_group(GROUP);
        let issuer =
            JwtIssuer::new(format!("https://sts.windows.net/{TENANT}/"), "https://eventhubs.azure.net", "entra-key");
        let emulator = Emulator::builder().hub(hub).key(DEFAULT_KEY_NAME, HUB_KEY).jwt_issuer(issuer);
        let hub = emulator.max_message_size(8 << 20).listen("127.0.0.1:0").start().await.unwrap();
        aws.table("positions").await;
        let mut queues = BTreeMap::new();
        for name in ["events", "findings", "flow-logs"] {
            queues.insert(name, aws.queue(name, 8).await);
            visible_after(&aws, &queues[name], VISIBILITY_S).await;
        }
        BUCKETS.iter().for_each(|bucket| aws.bucket(bucket));
        let stack = Self { hub, aws, model, queues, calls: Arc::default() };
        let client = aws_sdk_secretsmanager::Client::new(&stack.aws.config());
        let secret = stack.secret(&stack.hub.connection_string(HUB));
        client.create_secret().name(SECRET).secret_string(secret).send().await.unwrap();
        Some(stack)
    }

    /// Gives the secret another connection string, as whoever rotates it does.
    pub(crate) async fn set_secret(&self, connection: &str) {
        let client = aws_sdk_secretsmanager::Client::new(&self.aws.config());
        client.put_secret_value().secret_id(SECRET).secret_string(self.secret(connection)).send().await.unwrap();
    }

    fn secret(&self, connection: &str) -> String {
        let namespace = format!("amqp://{}", self.hub.address());
        json!({"eventHubNamespace": namespace, "eventHubName": HUB, "consumerGroup": GROUP, "connectionString": connection})
            .to_string()
    }

    /// Publishes sample events; what must become of their records.
    pub(crate) async fn publish(&self, events: u64, seed: u64) -> Fates {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        self.publish_samples(Samples::new(seed).around(i64::try_from(now).unwrap()).events(events)).await
    }

    /// Publishes these; what must become of their records.
    pub(crate) async fn publish_samples(&self, samples: impl IntoIterator<Item = Sample>) -> Fates {
        let builder = EventHubPublisher::builder().connection_string(&self.hub.connection_string(HUB)).unwrap();
        let publisher = builder.hub(HUB).build_publisher().unwrap();
        let (mut issued, mut chunk, mut bytes) = (Fates::default(), Vec::new(), 0);
        for sample in samples {
            issued.add(&sample.records);
            bytes += sample.body.len();
            chunk.push(OutgoingEvent { properties: sample.properties, ..OutgoingEvent::new(sample.body) });
            // A send goes to one partition: many small ones reach all of them.
            if chunk.len() == 20 || bytes > 1 << 20 {
                publisher.send(&Destination::Any, &std::mem::take(&mut chunk)).await.unwrap();
                bytes = 0;
            }
        }
        publisher.send(&Destination::Any, &chunk).await.unwrap();
        publisher.close().await.unwrap();
        issued
    }

    /// What a function of this deployment finds in its environment, with its servers at these endpoints.
    pub(crate) fn variables(&self, aws: &str, model: &str) -> Vec<(String, String)> {
        let sources: BTreeMap<String, String> = CLASSES
            .iter()
            .map(|class| (class.to_string(), format!("ext/{}/1.3.0/", source_name("azure-", *class).unwrap())))
            .collect();
        let sources = serde_json::to_string(&sources).unwrap();
        let channel = format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:channel/01234567-89ab-cdef-0123-456789abcdef");
        let mut variables = SETTINGS.to_vec();
        variables.extend(["SQS", "DYNAMODB", "S3", "SECRETS_MANAGER", "STS"].map(|service| (service, aws)));
        variables.extend(["SECURITYHUB", "CLOUDTRAIL_DATA"].map(|service| (service, model)));
        let endpoint = |(name, value): (&str, &str)| match name {
            name if name.starts_with("AWS_") => (name.to_owned(), value.to_owned()),
            name => (format!("AWS_ENDPOINT_URL_{name}"), value.to_owned()),
        };
        let mut variables: Vec<(String, String)> = variables.into_iter().map(endpoint).collect();
        let settings = [
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
        ];
        variables.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables
    }

    /// Proxies before both servers that note what the handler asks for, and let go wrong what `decide` says.
    pub(crate) fn proxies(&self, handler: &'static str, decide: Decide) -> Vec<Proxy> {
        let decide = Arc::new(decide);
        let before = |server: &Server| {
            let (calls, decide) = (Arc::clone(&self.calls), Arc::clone(&decide));
            Proxy::start(server, move |asked| {
                calls.note(handler, asked);
                decide(asked)
            })
        };
        vec![before(&self.aws), before(&self.model)]
    }

    /// A function of this deployment.
    pub(crate) fn function(&self, handler: &'static str) -> Function {
        self.function_with(handler, &[], Box::new(|_| None))
    }

    /// The processor without a secret: `entra` is Microsoft's token endpoint and STS, and trusts the function's role.
    pub(crate) fn federated_processor(&self, entra: &Server) -> Function {
        let trusted = json!({"issuer": "https://22222222-2222-2222-2222-222222222222.tokens.sts.global.api.aws",
            "subject": "arn:aws:iam::123456789012:role/tributary-processor", "audience": TOKEN_EXCHANGE_AUDIENCE});
        entra.post("/control", &json!({"applications": {APPLICATION: {"federated": trusted}}}).to_string());
        let handler = "eventhub-processor";
        let mut proxies = self.proxies(handler, Box::new(|_| None));
        let calls = Arc::clone(&self.calls);
        proxies.push(Proxy::start(entra, move |asked| {
            calls.note(handler, asked);
            None
        }));
        let mut variables = self.variables(proxies[0].endpoint(), proxies[1].endpoint());
        variables.retain(|(name, _)| name != "AZURE_CREDENTIALS_SECRET_NAME" && name != "AWS_ENDPOINT_URL_STS");
        let namespace = format!("amqp://{}", self.hub.address());
        let mut variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        variables.extend([
            ("AWS_ENDPOINT_URL_STS", proxies[2].endpoint()),
            ("AZURE_AUTHORITY_HOST", entra.endpoint()),
            ("AZURE_AUTHENTICATION", "federated"),
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", APPLICATION),
            ("EVENTHUB_NAMESPACE", &namespace),
            ("EVENTHUB_NAME", HUB),
            ("EVENTHUB_CONSUMER_GROUP", GROUP),
        ]);
        Function::start(handler, &variables).behind(proxies)
    }

    /// The same with further settings, and with calls that go wrong.
    pub(crate) fn function_with(&self, handler: &'static str, more: &[(&str, &str)], decide: Decide) -> Function {
        let proxies = self.proxies(handler, decide);
        let variables = self.variables(proxies[0].endpoint(), proxies[1].endpoint());
        let mut variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        variables.extend(more);
        Function::start(handler, &variables).behind(proxies)
    }

    /// A queue of this deployment.
    pub(crate) async fn queue(&self, name: &str) -> SqsQueue {
        let queue = SqsQueue::open(&self.aws.config(), &self.queues[name].parse().unwrap()).await.unwrap();
        queue.with_dead_letters().await.unwrap()
    }

    /// Messages of a queue as Lambda's poller takes them: up to ten, and what an invocation's payload holds.
    pub(crate) async fn take(&self, name: &str) -> Vec<Message> {
        let queue = self.queue(name).await;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < PAYLOAD - (1 << 20) && batch.len() < 10 {
            let wait = if batch.is_empty() { Duration::from_secs(1) } else { Duration::ZERO };
            let Some(message) = queue.receive(1, TIMEOUT, wait).await.unwrap().pop() else { break };
            bytes += message.body.len();
            batch.push(message);
        }
        batch
    }

    /// What Lambda does after an invocation: what succeeded is deleted, what failed is delivered again.
    pub(crate) async fn settle(&self, name: &str, batch: &[Message], failed: &BTreeSet<String>) {
        let queue = self.queue(name).await;
        for message in batch {
            if failed.contains(&message.id) {
                queue.release(&message.receipt).await.unwrap();
            } else {
                queue.delete(&message.receipt).await.unwrap();
            }
        }
    }

    /// Hands a queue's messages to a function as Lambda's poller does, until none is left. How many messages it took, those
    /// that came again included.
    pub(crate) async fn drain(&self, name: &str, function: &mut Function) -> usize {
        let mut taken = 0;
        loop {
            let batch = self.take(name).await;
            if batch.is_empty() {
                return taken;
            }
            taken += batch.len();
            let failed = failed(&function.invoke(&event(&batch)));
            self.settle(name, &batch, &failed).await;
        }
    }

    /// Invokes the processor until every partition is read to its end. Its answers, and the errors of invocations that failed.
    pub(crate) fn poll(&self, processor: &mut Function) -> (Vec<Value>, Vec<String>) {
        let (mut answers, mut errors) = (Vec::new(), Vec::new());
        loop {
            match processor.try_invoke(&json!({"source": "aws.scheduler"})) {
                Ok(answer) => {
                    let done = answer["events"] == 0 && answer["lag"] == 0;
                    answers.push(answer);
                    if done {
                        return (answers, errors);
                    }
                }
                Err(error) => errors.push(error),
            }
            assert!(
                answers.len() + errors.len() < 40,
                "the processor does not come to the end: {answers:?} {errors:?}"
            );
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

    /// Every record of the lake and of quarantine, by marker.
    pub(crate) async fn arrived(&self) -> Arrivals {
        let folder = tempfile::tempdir().unwrap();
        let (lake, quarantine) = (folder.path().join("lake"), folder.path().join("quarantine"));
        self.download(BUCKETS[1], &lake).await;
        self.download(BUCKETS[2], &quarantine).await;
        let records = tributary_tests::collect::collect(&lake, &quarantine);
        let in_lake = |place: &Arrived| place.file.ends_with(".parquet");
        Arrivals {
            rows: records.values().flatten().filter(|place| in_lake(place)).count() as u64,
            places: records.into_iter().map(|(marker, places)| (marker, places.len())).collect(),
            findings: tributary_tests::collect::finding_uids(&lake),
        }
    }

    /// What the model server holds.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.model.get("/_state")).unwrap()
    }
}

/// The event that Lambda makes of messages.
pub(crate) fn event(batch: &[Message]) -> Value {
    let record = |message: &Message| {
        json!({"messageId": message.id, "receiptHandle": message.receipt.as_str(), "body": message.body,
            "attributes": {"ApproximateReceiveCount": message.receive_count.to_string()}, "eventSource": "aws:sqs"})
    };
    json!({"Records": batch.iter().map(record).collect::<Vec<_>>()})
}

/// The messages that a partial batch response names.
pub(crate) fn failed(answer: &Value) -> BTreeSet<String> {
    let items = answer["batchItemFailures"].as_array().unwrap();
    items.iter().map(|item| item["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}
