//! Flow logs from the hub to the lake, through the functions: Blob Storage by tokens over TLS, notifications over AMQP.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tributary_azure_blobs::{Access, Account, Allowed, BlobClient, FLOW_LOG_CONTAINERS};
use tributary_azure_eventhub::{Destination, EventHubPublisher, OutgoingEvent, Roots};
use tributary_azure_identity::{AccessTokens, Entra, FlowLogSecret, SecretStore, TOKEN_EXCHANGE_AUDIENCE};
use tributary_queue::{Counts, Queue as _};
use tributary_test_servers::{Azurite, Proxy, Server};
use tributary_tests::collect::{files, metadata_uids};
use tributary_tests::watcher::Watcher;

use super::leaks::leaks;
use super::process::Function;
use super::stack::{APPLICATION, BUCKETS, FLOW_LOG_SECRET as SECRET, HUB, HUB_KEY, Stack, TENANT};

const CLIENT_SECRET: &str = "the-applications-secret-in-these-tests";
const BLOBS: u8 = 3;
const MINUTES: u64 = 6;
/// Of an hour.
const TUPLES: u64 = 6_000;

/// Blob Storage, Entra and a writer beside a deployment.
struct FlowLogs {
    stack: Stack,
    azurite: Azurite,
    entra: Server,
    watchers: Vec<Watcher>,
    sequencer: u64,
    /// Objects of quarantine that must be there.
    quarantined: usize,
}

fn secret(value: &str) -> String {
    json!({"tenantId": TENANT, "clientId": APPLICATION, "clientSecret": value, "storageAccountName": Azurite::ACCOUNT,
        "subscriptionId": "0a1b2c3d-0000-4000-8000-000000000001", "storageAccountResourceId": "/subscriptions/x"})
    .to_string()
}

impl FlowLogs {
    async fn start() -> Option<Self> {
        let (stack, azurite, entra) = (Stack::start().await?, Azurite::by_token()?, Server::entra(None)?);
        let secrets = aws_sdk_secretsmanager::Client::new(&stack.aws.config());
        secrets.create_secret().name(SECRET).secret_string(secret(CLIENT_SECRET)).send().await.unwrap();
        let started = Self { stack, azurite, entra, watchers: Vec::new(), sequencer: 0, quarantined: 0 };
        started.known(&[CLIENT_SECRET]);
        let account = Account::at(Azurite::ACCOUNT, &started.azurite.endpoint()).unwrap();
        let root = started.azurite.authority.as_ref().unwrap().der.clone();
        let tokens = AccessTokens::from_secret(
            SecretStore::<FlowLogSecret>::new(&started.stack.aws.config(), SECRET).unwrap(),
            Entra::new(started.entra.endpoint(), &Roots::Native).unwrap(),
        );
        let allowed = Allowed::flow_logs([account.clone()]);
        let roots = Roots::Only(vec![root.into()]);
        let client = BlobClient::new(allowed, Access::Entra(tokens), &roots).unwrap();
        client.create_container(&account.name, FLOW_LOG_CONTAINERS[0]).await.unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let now = i64::try_from(now).unwrap();
        let watcher = |number| Watcher::new(client.clone(), &account, now, number, TUPLES);
        let watchers = (1..=BLOBS).map(watcher).collect();
        Some(Self { watchers, ..started })
    }

    /// The application's secrets that Entra knows from now on; and the function's role, which it trusts.
    fn known(&self, secrets: &[&str]) {
        let trusted = json!({"issuer": "https://22222222-2222-2222-2222-222222222222.tokens.sts.global.api.aws",
            "subject": "arn:aws:iam::123456789012:role/tributary-processor", "audience": TOKEN_EXCHANGE_AUDIENCE});
        let application = json!({"secrets": secrets, "federated": trusted});
        self.entra.post("/control", &json!({"applications": {APPLICATION: application}}).to_string());
    }

    /// Every blob's next minutes, announced through the hub; `lost` announcements are not.
    async fn write(&mut self, minutes: u64, lost: impl Fn(u64) -> bool) {
        let connection = self.stack.hub.connection_string(HUB);
        let builder = EventHubPublisher::builder().connection_string(&connection).unwrap();
        let publisher = builder.hub(HUB).build_publisher().unwrap();
        for _ in 0..minutes {
            for watcher in &mut self.watchers {
                self.sequencer += 1;
                let written = watcher.minute(self.sequencer).await.unwrap();
                if !lost(self.sequencer) {
                    let event = OutgoingEvent::new(written.event("2026-03-02T12:05:00Z").into_bytes());
                    publisher.send(&Destination::Any, &[event]).await.unwrap();
                }
            }
        }
        publisher.close().await.unwrap();
    }

    fn function(&self, federated: bool) -> Function {
        let mut proxies = self.stack.proxies("flowlog-processor", Box::new(|_| None));
        let calls = Arc::clone(&self.stack.calls);
        proxies.push(Proxy::start(&self.entra, move |asked| {
            calls.note("flowlog-processor", asked);
            None
        }));
        let variables = self.stack.variables(proxies[0].endpoint(), proxies[1].endpoint());
        let account = format!("{}={}", Azurite::ACCOUNT, self.azurite.endpoint());
        let root = self.azurite.authority.as_ref().unwrap().root().display().to_string();
        let mut variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        variables.extend([
            ("AZURE_AUTHORITY_HOST", self.entra.endpoint()),
            ("AZURE_STORAGE_ACCOUNT", &account),
            ("SSL_CERT_FILE", &root),
        ]);
        match federated {
            false => variables.push(("AZURE_FLOWLOGS_SECRET_NAME", SECRET)),
            true => {
                variables.retain(|(name, _)| *name != "AWS_ENDPOINT_URL_STS");
                variables.extend([
                    ("AWS_ENDPOINT_URL_STS", proxies[2].endpoint()),
                    ("AZURE_AUTHENTICATION", "federated"),
                    ("AZURE_TENANT_ID", TENANT),
                    ("AZURE_CLIENT_ID", APPLICATION),
                ]);
            }
        }
        Function::start("flowlog-processor", &variables).behind(proxies)
    }

    /// From the hub to the flow log queue.
    async fn forward(&self) {
        let (mut processor, mut transformer) =
            (self.stack.function("eventhub-processor"), self.stack.function("event-transformer"));
        assert_eq!(self.stack.poll(&mut processor).1, Vec::<String>::new());
        self.stack.drain("events", &mut transformer).await;
    }

    /// Rows in the lake, every id once; and records in quarantine.
    async fn rows(&self) -> usize {
        let folder = tempfile::tempdir().unwrap();
        self.stack.download(BUCKETS[1], folder.path()).await;
        self.stack.download(BUCKETS[2], folder.path()).await;
        assert_eq!(files(folder.path(), "zst").len(), self.quarantined, "objects of quarantine");
        let objects = files(folder.path(), "parquet");
        assert!(objects.iter().all(|path| path.display().to_string().contains("/ext/azure-network/")), "{objects:?}");
        let rows = metadata_uids(folder.path());
        assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "ids stand twice");
        rows.len()
    }
}

/// What a log says was fetched.
fn fetched(log: &str) -> u64 {
    let line = |line: &str| serde_json::from_str::<Value>(line).ok()?["bytes"].as_u64();
    log.lines().filter(|text| text.contains("blob read to its end")).filter_map(line).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tuple_arrives_once_and_what_no_notification_told_of_is_swept_up() {
    let Some(mut flows) = FlowLogs::start().await else { return };
    flows.write(MINUTES / 2, |_| false).await;
    flows.forward().await;
    let mut function = flows.function(false);
    flows.stack.drain("flow-logs", &mut function).await;
    let expected = |minutes: u64| (u64::from(BLOBS) * TUPLES * minutes / 60) as usize;
    assert_eq!(flows.rows().await, expected(MINUTES / 2));
    // The application's secret is rotated: Entra knows the old one no more.
    flows.known(&["another"]);
    let secrets = aws_sdk_secretsmanager::Client::new(&flows.stack.aws.config());
    secrets.put_secret_value().secret_id(SECRET).secret_string(secret("another")).send().await.unwrap();
    // Half of what follows is never told of, and nothing of its last minute.
    flows.write(MINUTES / 2 - 1, |number| number % 2 == 0).await;
    flows.forward().await;
    let mut second = flows.function(false);
    flows.stack.drain("flow-logs", &mut second).await;
    flows.write(1, |_| true).await;
    assert_eq!(flows.rows().await, expected(MINUTES - 1));
    for (event, says) in
        [(json!({"sweep": {"hours": 200}}), "CHECKPOINT_TTL_HOURS"), (json!({"a": 1}), "neither SQS's nor")]
    {
        let answer = second.fails(&event);
        assert!(answer.contains(says), "{answer}");
    }
    let answer = second.invoke(&json!({"sweep": {"hours": 3}}));
    assert_eq!((answer["blobs"].as_u64(), answer["behind"].as_u64()), (Some(u64::from(BLOBS)), Some(u64::from(BLOBS))));
    assert_eq!(flows.rows().await, expected(MINUTES));
    let queue = flows.stack.queue("flow-logs").await;
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
    // A record that is none goes to quarantine alone.
    flows.watchers[0].beside("{\"time\":\"2026-03-02T12:07:00Z\",\"category\":\"FlowLogFlowEvent\",\"flowRecords\":7}");
    flows.quarantined = 1;
    flows.write(1, |_| false).await;
    flows.forward().await;
    flows.stack.drain("flow-logs", &mut second).await;
    assert_eq!(flows.rows().await, expected(MINUTES + 1));
    let mut log = String::new();
    for function in [function, second] {
        let (metrics, text) = function.end();
        assert!(metrics.contains("\"SecretAgeSeconds\":"), "{metrics}");
        assert_eq!(leaks(&(metrics + &text), &[HUB_KEY, CLIENT_SECRET, "another"]), Vec::<String>::new());
        log += &text;
    }
    let (read, size) = (fetched(&log), flows.watchers.iter().map(|watcher| watcher.length).sum::<u64>());
    assert!(read > 0 && read * 100 <= size * 102, "{read} bytes of {size} were fetched");
    assert_eq!(flows.stack.calls.undeclared(), Vec::<String>::new());
    flows.stack.calls.assert_needed(&[
        "flowlog-processor dynamodb:GetItem ledgerTable (always)",
        "flowlog-processor dynamodb:PutItem ledgerTable (always)",
        "flowlog-processor secretsmanager:GetSecretValue flowLogSecret (secret)",
        "flowlog-processor s3:PutObject lakeBucket/ext/* (always)",
        "flowlog-processor s3:PutObject quarantineBucket/quarantine/* (always)",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_secret_the_roles_own_token_reads_blobs() {
    let Some(mut flows) = FlowLogs::start().await else { return };
    flows.write(1, |_| false).await;
    flows.forward().await;
    let mut function = flows.function(true);
    flows.stack.drain("flow-logs", &mut function).await;
    assert_eq!(flows.rows().await as u64, u64::from(BLOBS) * TUPLES / 60);
    assert_eq!(flows.stack.calls.undeclared(), Vec::<String>::new());
    flows.stack.calls.assert_needed(&["flowlog-processor sts:GetWebIdentityToken * (federated)"]);
}
