//! What `tributary doctor` says of deployments that stand, and of each thing that is wrong.

use std::process::{Command, Output};

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_lake::{Bucket, BucketOptions};
use tributary_test_servers::{Asked, Azurite, Fault, Proxy, Server};

use super::{Hub, run, stderr, stdout};

const BUCKETS: [&str; 3] = ["tributary-staging", "tributary-quarantine", "tributary-lake"];

/// A deployment as the functions' variables name it.
struct Deployment {
    server: Server,
    queue: String,
    hub: Hub,
    folder: TempDir,
}

impl Deployment {
    fn start() -> Option<Self> {
        let server = Server::moto()?;
        let queue = wait(async {
            server.table("tributary").await;
            server.queue("events", 5).await
        });
        BUCKETS.iter().for_each(|name| server.bucket(name));
        Some(Self { server, queue, hub: Hub::start("2"), folder: TempDir::new().unwrap() })
    }

    fn command(&self, endpoint: &str, arguments: &[&str]) -> Command {
        let mut command = self.hub.command(&["doctor", "--json"]);
        self.server.settings(&mut command).env("AWS_ENDPOINT_URL", endpoint).args(arguments);
        command.env("CHECKPOINT_TABLE_NAME", "tributary").env("SQS_QUEUE_URL", &self.queue);
        command.env("STAGING_BUCKET", BUCKETS[0]).env("QUARANTINE_BUCKET", BUCKETS[1]);
        command.env("SECURITY_LAKE_S3_BUCKET", BUCKETS[2]).current_dir(self.folder.path());
        command
    }

    fn doctor(&self, arguments: &[&str]) -> Found {
        Found::of(&self.command(self.server.endpoint(), arguments).output().unwrap())
    }

    /// With a server that does `decide` to requests.
    fn through(&self, arguments: &[&str], decide: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Found {
        let proxy = Proxy::start(&self.server, decide);
        Found::of(&self.command(proxy.endpoint(), arguments).output().unwrap())
    }

    fn store(&self, secret: &Value) {
        let client = aws_sdk_secretsmanager::Client::new(&self.server.config());
        wait(client.create_secret().name("hub").secret_string(secret.to_string()).send()).unwrap();
    }

    /// By the secret, and not by a connection string.
    fn by_secret(&self) -> Found {
        let mut command = self.command(self.server.endpoint(), &[]);
        command.env_remove("EVENTHUB_CONNECTION_STRING").env("AZURE_CREDENTIALS_SECRET_NAME", "hub");
        Found::of(&command.output().unwrap())
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

struct Found {
    code: Option<i32>,
    checks: Vec<Value>,
}

impl Found {
    fn of(output: &Output) -> Self {
        assert!(!stdout(output).contains("c4n4ry") && !stderr(output).contains("c4n4ry"), "{}", stdout(output));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)));
        Self { code: output.status.code(), checks: said["checks"].as_array().unwrap().clone() }
    }

    /// That a check has this state, and that its text or what to do holds these words.
    fn says(&self, name: &str, state: &str, words: &[&str]) {
        let check = self.checks.iter().find(|check| check["check"] == name);
        let check = check.unwrap_or_else(|| panic!("no check {name}: {:?}", self.checks));
        assert_eq!(check["state"], state, "{check}");
        let text = format!("{} | {}", check["found"].as_str().unwrap(), check["remedy"].as_str().unwrap_or_default());
        words.iter().for_each(|word| assert!(text.contains(word), "{name} says nothing of {word:?}: {text}"));
        assert_eq!(check["remedy"].is_string(), matches!(state, "failed" | "warning"), "{check}");
    }

    /// Names of the checks that failed.
    fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|check| check["state"] == "failed");
        failed.map(|check| check["check"].as_str().unwrap()).collect()
    }
}

#[test]
fn a_deployment_that_stands_passes_and_nothing_is_left_in_it() {
    let Some(world) = Deployment::start() else { return };
    world.hub.send_lines("{\"a\":1}\n", &[]);
    let found = world.doctor(&["--retention-hours", "168"]);
    assert_eq!((found.failed(), found.code), (vec![], Some(0)), "{:?}", found.checks);
    found.says("aws identity", "ok", &["arn:aws:"]);
    found.says("clock", "ok", &["AWS's"]);
    found.says("hub", "ok", &["events of 127.0.0.1", "2 partitions"]);
    found.says("hub: partitions", "ok", &["all 2", "1 hold events"]);
    found.says("hub: consumer group", "ok", &["$Default"]);
    found.says("hub: retention and time to live", "ok", &["positions live 168 h, events 168 h"]);
    found.says("ledger: table", "ok", &["pk and sk"]);
    found.says("ledger: time to live", "warning", &["off", "aws dynamodb update-time-to-live --table-name tributary"]);
    found.says("ledger: write", "ok", &["nothing was written"]);
    found.says("events: queue", "ok", &["0 messages waiting"]);
    found.says("events: dead letters", "ok", &["events-dead, none"]);
    for name in ["staging", "quarantine", "lake"] {
        found.says(&format!("{name}: bucket"), "ok", &["us-east-1"]);
        found.says(&format!("{name}: write"), "ok", &["no object was made"]);
        found.says(&format!("{name}: lifecycle"), "warning", &["put-bucket-lifecycle-configuration"]);
        found.says(&format!("{name}: public access"), "warning", &["put-public-access-block --bucket tributary-"]);
    }
    found.says("mappings", "ok", &["built-in", "digest"]);
    found.says("lake: sources", "ok", &["each with its location"]);
    // Nothing was changed.
    for name in BUCKETS {
        let bucket: Bucket = format!("s3://{name}").parse().unwrap();
        let store = bucket.open(&world.server.config(), &BucketOptions::default()).unwrap();
        assert_eq!(wait(store.list(None).try_collect::<Vec<_>>()).unwrap(), vec![]);
        assert!(!world.server.get(&format!("/{name}?uploads")).contains("<UploadId>"), "an upload is left in {name}");
    }
    let mut listing = world.hub.command(&["positions", "list", "--ledger", "dynamodb:tributary"]);
    let listed = world.server.settings(&mut listing).output().unwrap();
    assert_eq!(stdout(&listed), "the ledger knows no partition\n");
    // For people it is a table.
    let mut table = world.hub.command(&["doctor", "--ledger", "sqlite:x.db", "--queue", "sqlite:x.db"]);
    let table = table.current_dir(world.folder.path()).output().unwrap();
    assert_eq!(table.status.code(), Some(0), "{}", stdout(&table));
    assert!(stdout(&table).contains("│ ledger") && stdout(&table).contains("0 failed"), "{}", stdout(&table));
}

#[test]
fn what_is_not_there_is_made_by_the_command_that_is_said() {
    let Some(server) = Server::moto() else { return };
    let (hub, folder) = (Hub::start("1"), TempDir::new().unwrap());
    let mut command = hub.command(&["doctor", "--json", "--ledger", "dynamodb:tributary", "--queue", "sqs:events"]);
    let command =
        server.settings(&mut command).args(["--staging", "s3://tributary-staging", "--lake", "s3://tributary-lake"]);
    let found = Found::of(&command.current_dir(folder.path()).output().unwrap());
    assert_eq!(found.failed(), ["ledger: table", "events: queue", "staging: bucket", "lake: bucket"]);
    assert_eq!(found.code, Some(1));
    let create = "aws dynamodb create-table --table-name tributary";
    found.says("ledger: table", "failed", &["ResourceNotFoundException", create, "AttributeName=ttl"]);
    found.says("ledger: write", "skipped", &["it needs ledger: table"]);
    found.says("events: queue", "failed", &["does not exist", "make the queue"]);
    found.says("staging: bucket", "failed", &["there is no bucket", "aws s3 mb s3://tributary-staging"]);
    found.says("hub: retention and time to live", "skipped", &["--retention-hours"]);
    // Nobody says who this is: what needs AWS is skipped, the rest is looked at.
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    command.env("HOME", folder.path());
    let found = Found::of(&command.output().unwrap());
    found.says("aws identity", "failed", &["credentials", "aws sts get-caller-identity"]);
    found.says("ledger", "skipped", &["it needs aws identity"]);
    found.says("hub", "ok", &["lets this in"]);
    command.env_remove("AWS_REGION");
    let found = Found::of(&command.output().unwrap());
    found.says("aws identity", "failed", &["no AWS region", "AWS_REGION"]);
    found.says("lake", "skipped", &["it needs aws identity"]);
}

#[test]
fn what_is_denied_is_granted_by_its_name() {
    let Some(world) = Deployment::start() else { return };
    let denied = || Some(Fault::error(400, "AccessDeniedException", "not authorized"));
    let found = world.through(&[], move |asked| match asked.operation.as_str() {
        "PutItem" | "GetQueueAttributes" => denied(),
        // An upload begins so.
        _ if asked.line.starts_with("POST /tributary-staging/") => {
            Some(Fault::Answer(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".into()))
        }
        _ if asked.line.contains("?lifecycle") => Some(Fault::Answer(403, "<Error/>".into())),
        _ => None,
    });
    assert_eq!(found.failed(), ["ledger: write", "events: queue", "staging: write"], "{:?}", found.checks);
    found.says("ledger: write", "failed", &["AccessDeniedException", "grant dynamodb:PutItem"]);
    found.says("events: queue", "failed", &["AccessDeniedException", "grant sqs:GetQueueAttributes"]);
    found.says("staging: write", "failed", &["grant s3:PutObject", "arn:aws:s3:::tributary-staging/claims/*"]);
    found.says("lake: lifecycle", "skipped", &["s3:GetLifecycleConfiguration is not granted"]);
}

#[test]
fn one_that_hangs_holds_up_no_other() {
    let Some(world) = Deployment::start() else { return };
    let hangs = |asked: &Asked| (asked.operation == "GetQueueAttributes").then_some(Fault::Hang);
    let found = world.through(&["--timeout", "3"], hangs);
    assert_eq!(found.failed(), ["events"]);
    found.says("events", "failed", &["no answer within 3 s", "--timeout"]);
    found.says("lake: write", "ok", &[]);
}

#[test]
fn times_that_do_not_fit_and_letters_that_wait_are_said() {
    let Some(world) = Deployment::start() else { return };
    let dead = tributary_queue::SqsAddress::clone(&"events-dead".parse().unwrap());
    wait(async {
        let queue = tributary_queue::SqsQueue::open(&world.server.config(), &dead).await.unwrap();
        tributary_queue::Queue::send(&queue, "{}").await.unwrap();
    });
    let found = world.doctor(&["--function-timeout", "300", "--retention-hours", "169"]);
    assert_eq!(found.failed(), ["hub: retention and time to live", "events: visibility timeout"]);
    found.says("hub: retention and time to live", "failed", &["events 169 h", "CHECKPOINT_TTL_HOURS to 169"]);
    found.says("events: visibility timeout", "failed", &["30 s", "VisibilityTimeout=1800"]);
    found.says("events: dead letters", "warning", &["1 in events-dead", "s old", "tributary redrive"]);
    // It is shown to the next one all the same.
    let found = world.doctor(&["--function-timeout", "10"]);
    found.says("events: visibility timeout", "warning", &["less than 6 times", "VisibilityTimeout=60"]);
    found.says("events: dead letters", "warning", &["1 in events-dead"]);
    assert_eq!(found.code, Some(0));
}

#[test]
fn credentials_of_the_hub_are_looked_at_and_never_shown() {
    let Some(world) = Deployment::start() else { return };
    let found = world.by_secret();
    found.says("hub secret", "failed", &["ResourceNotFoundException"]);
    found.says("hub", "skipped", &["it needs hub secret"]);
    let connection = &world.hub.connection;
    let key = connection.split("SharedAccessKey=").nth(1).unwrap().split(';').next().unwrap();
    let secret = |connection: &str| {
        json!({"eventHubNamespace": "127.0.0.1", "eventHubName": "events", "consumerGroup": "$Default",
            "connectionString": connection})
    };
    world.store(&secret(connection));
    let found = world.by_secret();
    found.says("hub secret", "ok", &["names hub events", "a connection string"]);
    found.says("hub secret: age", "ok", &["0 days"]);
    found.says("hub", "ok", &[]);
    assert!(!format!("{:?}", found.checks).contains(key), "the key is shown");
    let put = |secret: Value| {
        let client = aws_sdk_secretsmanager::Client::new(&world.server.config());
        wait(client.put_secret_value().secret_id("hub").secret_string(secret.to_string()).send()).unwrap();
    };
    put(secret(&connection.replace(key, "YzRuNHJ5YzRuNHJ5")));
    let found = world.by_secret();
    assert_eq!(found.failed(), ["hub"]);
    found.says("hub", "failed", &["not authorised", "let this identity read the hub"]);
    put(secret("PLACEHOLDER"));
    let found = world.by_secret();
    found.says("hub secret", "failed", &["PLACEHOLDER", "aws secretsmanager put-secret-value --secret-id hub"]);
    put(json!({"eventHubNamespace": "c4n4ry"}));
    world.by_secret().says("hub secret", "failed", &["put-secret-value"]);
}

#[test]
fn names_that_are_wrong_are_said() {
    let Some(world) = Deployment::start() else { return };
    let found = world.doctor(&["--consumer-group", "nobody"]);
    found.says("hub: consumer group", "failed", &["not found", "consumer group"]);
    let mut command = world.command(world.server.endpoint(), &[]);
    let found = Found::of(&command.env("SECURITY_LAKE_SOURCES", "{\"2004\":\"ext/a/1.3.0/\"}").output().unwrap());
    assert_eq!(found.failed(), ["lake: sources"]);
    found.says("lake: sources", "failed", &["2002 (vulnerability_finding)", "SECURITY_LAKE_SOURCES"]);
    let missing = ["--mappings-uri", "file:nowhere", "--mappings-digest", "00"];
    let found = world.doctor(&missing);
    assert_eq!(found.failed(), ["mappings"], "{:?}", found.checks);
    found.says("mappings", "failed", &["the built-in set maps in their place"]);
    found.says("lake: sources", "ok", &[]);
}

#[test]
fn wrong_usage_is_no_finding() {
    let hub = Hub::start("1");
    for (arguments, says) in [
        (&["doctor", "--wrong"][..], "--wrong"),
        (&["doctor", "--timeout", "0"], "1..=600"),
        (&["doctor", "--queue", "dynamodb:table"], "dynamodb:table cannot hold a queue"),
        (&["doctor", "--sources", "[]"], "--sources (SECURITY_LAKE_SOURCES): expected JSON"),
        (&["doctor", "--sources", "{\"2004\":\"../x\"}"], "no location for class 2004"),
    ] {
        let output = hub.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stdout(&output));
        assert!(stderr(&output).contains(says) && output.stdout.is_empty(), "{arguments:?}: {}", stderr(&output));
    }
    let output = run(&["doctor"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("EVENTHUB_CONNECTION_STRING"), "{}", stderr(&output));
}

#[test]
fn sources_give_a_run_the_functions_layout() {
    let (hub, folder) = (Hub::start("1"), TempDir::new().unwrap());
    let run = |arguments: &[&str]| {
        let mut command = hub.command(&[&["run", "--once"], arguments].concat());
        command.current_dir(folder.path()).output().unwrap()
    };
    for arguments in [&["run", "--once"][..], &["redrive", "--quarantine"]] {
        let mut command = hub.command(arguments);
        command.env("SECURITY_LAKE_SOURCES", "{\"2004\":\"ext/a/1.3.0/\"}").current_dir(folder.path());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        let named = "--sources (SECURITY_LAKE_SOURCES): no source is configured for class account_change (3001)";
        assert!(stderr(&output).contains(named), "{}", stderr(&output));
    }
    let classes = [1007, 2002, 2003, 2004, 2005, 3001, 3002, 3004, 3005, 3006, 4001, 4002, 4003, 6003, 6005];
    let sources: serde_json::Map<String, Value> =
        classes.iter().map(|class| (class.to_string(), json!(format!("ext/own-{class}/9.9/")))).collect();
    let sent = hub.run(&["send", "--samples", "40", "--seed", "3"]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let output = run(&["--sources", &Value::Object(sources).to_string(), "--flow-log-queue", "sqlite:tributary.db"]);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
    let places: Vec<String> = std::fs::read_dir(folder.path().join("lake/ext"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!places.is_empty() && places.iter().all(|place| place.starts_with("own-")), "{places:?}");
}

#[test]
fn services_beside_the_lake_are_looked_at_and_given_nothing() {
    let Some(world) = Deployment::start() else { return };
    let channel = "arn:aws:cloudtrail:us-east-1:111122223333:channel/0123-abcd";
    let look = |hub: (u16, &'static str), trail: Fault| {
        let proxy = Proxy::start(&world.server, move |asked| match asked.operation.as_str() {
            "GetChannel" => Some(trail.clone()),
            _ if asked.line.starts_with("GET /accounts") => Some(Fault::Answer(hub.0, hub.1.to_owned())),
            _ => None,
        });
        let mut command = world.command(proxy.endpoint(), &[]);
        command.env("ASFF_SQS_QUEUE", &world.queue).env("SECURITY_HUB_ACCOUNT_ID", "111122223333");
        Found::of(&command.env("CLOUDTRAIL_CHANNEL_ARN", channel).output().unwrap())
    };
    let found = look((200, "{}"), Fault::Answer(200, "{}".to_owned()));
    assert_eq!(found.failed(), Vec::<&str>::new(), "{:?}", found.checks);
    found.says("findings: queue", "ok", &["events"]);
    found.says("security hub", "ok", &["enabled in us-east-1"]);
    found.says("cloudtrail lake: channel", "ok", &[channel]);
    let off = (401, "{\"Code\":\"InvalidAccessException\",\"Message\":\"Account is not subscribed\"}");
    let found = look(off, Fault::error(400, "ChannelNotFoundException", "there is none"));
    assert_eq!(found.failed(), ["security hub", "cloudtrail lake: channel"]);
    found.says("security hub", "failed", &["not enabled", "aws securityhub enable-security-hub --region us-east-1"]);
    found.says("cloudtrail lake: channel", "failed", &["ChannelNotFoundException", "aws cloudtrail list-channels"]);
    let denied = (403, "{\"Code\":\"AccessDeniedException\",\"Message\":\"no\"}");
    let found = look(denied, Fault::error(400, "AccessDeniedException", "no"));
    found.says("security hub", "skipped", &["securityhub:DescribeHub is not granted"]);
    found.says("cloudtrail lake: channel", "skipped", &["cloudtrail:GetChannel is not granted"]);
}

#[test]
fn flow_logs_are_looked_at_where_storage_is_named() {
    const APPLICATION: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    let Some(world) = Deployment::start() else { return };
    let (Some(azurite), Some(entra)) = (Azurite::by_token(), Server::entra(None)) else { return };
    entra.post("/control", &json!({"applications": {APPLICATION: {"secrets": ["c4n4ry"]}}}).to_string());
    world.store(
        &json!({"tenantId": "11111111-1111-1111-1111-111111111111", "clientId": APPLICATION, "clientSecret": "c4n4ry",
        "storageAccountName": Azurite::ACCOUNT, "subscriptionId": "x", "storageAccountResourceId": "y"}),
    );
    let doctor = |secret: &str| {
        let mut command = world.command(world.server.endpoint(), &["--flow-logs-secret", secret]);
        command.env("AZURE_AUTHORITY_HOST", entra.endpoint());
        command.env("SSL_CERT_FILE", azurite.authority.as_ref().unwrap().root());
        let account = format!("{}={}", Azurite::ACCOUNT, azurite.endpoint());
        Found::of(&command.env("AZURE_STORAGE_ACCOUNT", account).output().unwrap())
    };
    let found = doctor("hub");
    assert_eq!(found.failed(), Vec::<&str>::new());
    found.says("flow log secret", "ok", &["hub names storage account tributary"]);
    found.says("flow log secret: age", "ok", &["stored 0 days ago"]);
    found.says("entra token: storage", "ok", &["Azure Storage"]);
    let container = "flow logs: tributary/insights-logs-flowlogflowevent";
    found.says(container, "skipped", &["no such container"]);
    found.says("flow logs: tributary", "warning", &["no container of flow logs", "flow-log list"]);
    // A secret that Entra does not know any more.
    entra.post("/control", &json!({"applications": {APPLICATION: {"secrets": ["another"]}}}).to_string());
    let found = doctor("hub");
    assert_eq!((found.failed(), found.code), (vec!["entra token: storage"], Some(1)));
    found.says("flow logs", "skipped", &["entra token: storage"]);
    let found = doctor("no-such-secret");
    found.says("flow log secret", "failed", &["no-such-secret"]);
}
