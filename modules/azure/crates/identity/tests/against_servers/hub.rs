//! A hub that is read with each kind of credential, while what lets in changes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tributary_azure_eventhub::{EventHubSource, RetryPolicy};
use tributary_azure_eventhub_emulator::{
    DEFAULT_KEY_NAME, Emulator, EmulatorBuilder, Event as Sent, HubConfig, JwtIssuer,
};
use tributary_azure_identity::{HubAddress, HubCredentials, HubSettings};
use tributary_batch::Event;
use tributary_pipeline::{EventSource, PartitionReader, SourceError, StartPosition};
use tributary_test_servers::Server;

use crate::federation::federated_server;
use crate::{APPLICATION, GROUP, HUB, NAME, Secrets, TENANT, at_once, counted, entra, entra_server, set};

const EVENT_HUBS: &str = "https://eventhubs.azure.net";

/// A hub that trusts the token endpoint's tokens, and a shared access key.
fn emulator() -> EmulatorBuilder {
    let issuer = JwtIssuer::new(format!("https://sts.windows.net/{TENANT}/"), EVENT_HUBS, "entra-key");
    Emulator::builder()
        .hub(HubConfig::new(HUB, 2).consumer_group(GROUP))
        .key(DEFAULT_KEY_NAME, "first-c4n4ry")
        .jwt_issuer(issuer)
}

pub(crate) async fn hub_emulator() -> Emulator {
    emulator().start().await.unwrap()
}

/// The hub's secret with its key.
pub(crate) fn key_secret(emulator: &Emulator) -> Value {
    json!({"eventHubNamespace": "127.0.0.1", "eventHubName": HUB, "consumerGroup": GROUP,
           "connectionString": emulator.connection_string(HUB)})
}

/// The hub's secret with an application.
pub(crate) fn hub_application_secret(emulator: &Emulator, client_secret: &str) -> Value {
    let mut secret = crate::application_secret(client_secret);
    secret["eventHubNamespace"] = json!(format!("amqp://{}", emulator.address()));
    secret
}

pub(crate) fn credentials(secrets: &Secrets, entra_server: &Server) -> HubCredentials {
    let settings = HubSettings::Secret { name: NAME.into() };
    HubCredentials::new(settings, &secrets.config(), entra(entra_server)).unwrap()
}

pub(crate) fn federated(emulator: &Emulator, server: &Server) -> HubCredentials {
    let settings = HubSettings::Federated {
        tenant: TENANT.into(),
        client: APPLICATION.into(),
        address: HubAddress::parse(&format!("amqp://{}", emulator.address())).unwrap(),
        hub: HUB.into(),
        consumer_group: GROUP.into(),
    };
    HubCredentials::new(settings, &at_once(server), entra(server)).unwrap()
}

pub(crate) async fn source(credentials: &HubCredentials) -> EventHubSource {
    let retry = RetryPolicy {
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(200),
        give_up_after: Duration::from_secs(8),
        busy_pause: Duration::from_millis(100),
    };
    credentials.hub().await.unwrap().builder().retry(retry).build_source().unwrap()
}

pub(crate) fn publish(emulator: &Emulator, count: usize) {
    emulator.hub(HUB).unwrap().publish_all(0, (0..count).map(|_| Sent::new("x")).collect::<Vec<_>>()).unwrap();
}

pub(crate) async fn read(reader: &mut Box<dyn PartitionReader>, count: usize) -> Vec<Event> {
    let started = Instant::now();
    let mut events = Vec::new();
    while events.len() < count {
        assert!(started.elapsed() < Duration::from_secs(60), "only {} of {count} events", events.len());
        events.extend(reader.next(Duration::from_millis(200)).await.unwrap());
    }
    events
}

fn assert_complete(events: &[Event], count: i64) {
    let numbers: Vec<i64> = events.iter().map(|event| event.sequence_number.0).collect();
    assert_eq!(numbers, (0..count).collect::<Vec<i64>>());
}

pub(crate) async fn close(source: &EventHubSource, reader: Box<dyn PartitionReader>) {
    reader.close().await.unwrap();
    source.close().await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_rotated_while_the_hub_is_read() {
    let emulator = hub_emulator().await;
    let (Some(secrets), Some(server)) = (Secrets::start(&key_secret(&emulator)).await, entra_server(&[])) else {
        return;
    };
    let credentials = credentials(&secrets, &server);
    assert!(credentials.secret_age().await.unwrap().unwrap() < Duration::from_secs(60));
    let source = source(&credentials).await;
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    let mut events = Vec::new();
    for key in ["second-c4n4ry", "third-c4n4ry", "fourth-c4n4ry"] {
        publish(&emulator, 100);
        events.extend(read(&mut reader, 100).await);
        emulator.replace_key(DEFAULT_KEY_NAME, key);
        secrets.put(&key_secret(&emulator)).await;
        emulator.faults().reset_connections();
    }
    publish(&emulator, 100);
    events.extend(read(&mut reader, 100).await);
    assert_complete(&events, 400);
    close(&source, reader).await;
    assert_eq!(counted(&server, "tokens"), 0);
}

#[tokio::test]
async fn a_key_that_is_wrong_is_final_until_another_is_stored() {
    let emulator = hub_emulator().await;
    let (Some(secrets), Some(server)) = (Secrets::start(&key_secret(&emulator)).await, entra_server(&[])) else {
        return;
    };
    emulator.replace_key(DEFAULT_KEY_NAME, "second-c4n4ry");
    let source = source(&credentials(&secrets, &server)).await;
    let started = Instant::now();
    for _ in 0..2 {
        match source.partitions().await {
            Err(SourceError::Fatal { detail, .. } | SourceError::Denied { detail, .. }) => {
                assert!(detail.contains("Listen claim") && !detail.contains("c4n4ry"), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // What is stored now is found although nothing was told of it.
    secrets.put(&key_secret(&emulator)).await;
    let started = Instant::now();
    while source.partitions().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    source.close().await.unwrap();
}

#[tokio::test]
async fn an_applications_secret_that_is_rotated_while_the_hub_is_read() {
    let emulator = emulator().detach_on_expiry().start().await.unwrap();
    let secret = hub_application_secret(&emulator, "old-c4n4ry");
    let (Some(secrets), Some(server)) = (Secrets::start(&secret).await, entra_server(&["old-c4n4ry"])) else { return };
    set(&server, &json!({"life": 3}));
    let source = source(&credentials(&secrets, &server)).await;
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    publish(&emulator, 10);
    let mut events = read(&mut reader, 10).await;
    secrets.put(&hub_application_secret(&emulator, "new-c4n4ry")).await;
    set(&server, &json!({"applications": {APPLICATION: {"secrets": ["new-c4n4ry"], "expired": ["old-c4n4ry"]}}}));
    // Past the end of the first token and of the second: renewed each time before that, on the same connection.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(7_500) {
        publish(&emulator, 1);
        events.extend(reader.next(Duration::from_millis(200)).await.unwrap());
    }
    let count = events.len();
    assert!(count > 20);
    assert_complete(&events, i64::try_from(count).unwrap());
    assert_eq!(source.connections_opened(), 1);
    // One with the old secret that was refused, and few besides.
    assert!((4..9).contains(&counted(&server, "tokens")), "{}", counted(&server, "tokens"));
    close(&source, reader).await;
}

#[tokio::test]
async fn from_a_key_to_an_application_without_a_restart() {
    let emulator = hub_emulator().await;
    let key = key_secret(&emulator);
    let (Some(secrets), Some(server)) = (Secrets::start(&key).await, entra_server(&["c4n4ry"])) else { return };
    let source = source(&credentials(&secrets, &server)).await;
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    publish(&emulator, 10);
    let mut events = read(&mut reader, 10).await;
    secrets.put(&hub_application_secret(&emulator, "c4n4ry")).await;
    emulator.replace_key(DEFAULT_KEY_NAME, "nobody-has-it");
    emulator.faults().reset_connections();
    publish(&emulator, 10);
    events.extend(read(&mut reader, 10).await);
    assert_complete(&events, 20);
    assert_eq!(counted(&server, "tokens"), 1);
    close(&source, reader).await;
}

#[tokio::test]
async fn the_role_alone_reads_the_hub() {
    let emulator = hub_emulator().await;
    let Some(server) = federated_server() else { return };
    let credentials = federated(&emulator, &server);
    assert_eq!(credentials.secret_age().await.unwrap(), None);
    let source = source(&credentials).await;
    assert_eq!(source.hub().consumer_group, GROUP);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    publish(&emulator, 50);
    emulator.faults().reset_connection_after(HUB, Some(0), 20);
    assert_complete(&read(&mut reader, 50).await, 50);
    assert_eq!((counted(&server, "assertions"), counted(&server, "tokens")), (1, 1));
    close(&source, reader).await;
}

#[tokio::test]
async fn a_hub_that_does_not_trust_the_token_says_which_role_is_missing() {
    let emulator = hub_emulator().await;
    let Some(server) = federated_server() else { return };
    set(&server, &json!({"key": "not-what-the-hub-trusts"}));
    let source = source(&federated(&emulator, &server)).await;
    match source.partitions().await {
        Err(SourceError::Fatal { detail, .. } | SourceError::Denied { detail, .. }) => {
            assert!(detail.contains("Azure Event Hubs Data Receiver"), "{detail}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(counted(&server, "tokens"), 1);
    source.close().await.unwrap();
    // And what keeps a token from being had reaches whoever reads.
    set(&server, &json!({"sts": {"refuse": "OutboundWebIdentityFederationDisabledException"}}));
    let source = self::source(&federated(&emulator, &server)).await;
    match source.partitions().await {
        Err(SourceError::Fatal { detail, .. } | SourceError::Denied { detail, .. }) => {
            assert!(detail.contains("enable-outbound"), "{detail}")
        }
        other => panic!("{other:?}"),
    }
    source.close().await.unwrap();
}

#[tokio::test]
async fn a_secret_that_comes_to_name_another_hub_is_not_followed() {
    let emulator = hub_emulator().await;
    let first = key_secret(&emulator);
    let (Some(secrets), Some(server)) = (Secrets::start(&first).await, entra_server(&[])) else { return };
    let credentials = credentials(&secrets, &server);
    let source = source(&credentials).await;
    source.partitions().await.unwrap();
    let mut other = hub_application_secret(&emulator, "c4n4ry");
    other["eventHubName"] = json!("other");
    secrets.put(&other).await;
    emulator.replace_key(DEFAULT_KEY_NAME, "second-c4n4ry");
    match source.partitions().await {
        Err(SourceError::Fatal { detail, .. } | SourceError::Denied { detail, .. }) => {
            assert!(detail.contains("names another hub"), "{detail}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(credentials.hub().await.unwrap().hub, "other");
    source.close().await.unwrap();
}
