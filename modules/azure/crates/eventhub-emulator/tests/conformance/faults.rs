//! Each fault does what it says.

use std::time::{Duration, Instant};

use fe2o3_amqp::link::receiver::CreditMode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig, condition};

use crate::client::{Client, Reading, SAS, ended, refused, sequences, within};

async fn emulator() -> Emulator {
    let emulator = Emulator::builder().hub(HubConfig::new("hub", 2)).start().await.unwrap();
    let events = |_| (0..100).map(|n| Event::new(format!("event {n}")));
    for partition in 0..2 {
        emulator.hub("hub").unwrap().publish_all(partition, events(partition)).unwrap();
    }
    emulator
}

#[tokio::test]
async fn connections_are_closed_with_an_error() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator, "hub").await;
    let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
    sequences(&mut receiver, 100).await;
    assert_eq!(emulator.faults().close_connections(), 1);
    assert!(ended(&mut receiver).await.contains("SessionStopped"));
    let closed = format!("{:?}", within(client.connection.on_close()).await);
    assert!(closed.contains("ConnectionForced"), "{closed}");
    // The next one is served.
    let mut client = Client::connect(&emulator, "hub").await;
    assert_eq!(client.read_hub("hub").await.status, 200);
}

#[tokio::test]
async fn a_receiver_is_detached_after_some_deliveries() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator, "hub").await;
    for (deliveries, condition) in [
        (0, condition::DETACH_FORCED),
        (7, condition::SERVER_BUSY),
        (64, condition::INTERNAL_ERROR),
        (99, condition::OPERATION_CANCELLED),
    ] {
        emulator.faults().detach_receiver_after("hub", Some(0), deliveries, condition);
        let mut other = client.read(Reading::of("hub", 1)).await.unwrap();
        let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
        assert_eq!(sequences(&mut receiver, deliveries as usize).await.len() as u64, deliveries);
        let refusal = crate::client::next(&mut receiver).await.unwrap_err();
        assert!(format!("{refusal:?}").contains("RemoteClosedWithError"), "{refusal:?}");
        assert_eq!(sequences(&mut other, 100).await.len(), 100, "the other partition goes on");
        drop(receiver);
        within(other.close()).await.unwrap();
    }
    let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
    assert_eq!(sequences(&mut receiver, 100).await.len(), 100, "the faults are used up");
}

#[tokio::test]
async fn detaching_has_the_condition_that_was_asked_for() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator, "hub").await;
    for condition in [condition::DETACH_FORCED, condition::SERVER_BUSY, condition::STOLEN, "com.example:anything"] {
        emulator.faults().detach_receiver_after("hub", None, 1, condition);
        let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
        assert_eq!(ended(&mut receiver).await, condition);
    }
}

#[tokio::test]
async fn the_connection_is_closed_or_reset_after_some_deliveries() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator, "hub").await;
    emulator.faults().close_connection_after("hub", Some(0), 10);
    let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
    assert_eq!(sequences(&mut receiver, 10).await.len(), 10);
    assert!(ended(&mut receiver).await.contains("SessionStopped"));

    let mut client = Client::connect(&emulator, "hub").await;
    emulator.faults().reset_connection_after("hub", None, 10);
    let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
    assert!(ended(&mut receiver).await.contains("SessionStopped"));
    let closed = format!("{:?}", within(client.connection.on_close()).await);
    assert!(!closed.contains("ConnectionForced"), "no goodbye: {closed}");
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let emulator = emulator().await;
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    stream.write_all(b"AMQP\x00\x01\x00\x00").await.unwrap();
    let mut header = [0; 8];
    within(stream.read_exact(&mut header)).await.unwrap();
    assert_eq!(emulator.faults().reset_connections(), 1);
    let error = within(stream.read(&mut header)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn answers_and_deliveries_are_delayed() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator, "hub").await;
    let delay = Duration::from_millis(150);
    emulator.faults().delay(delay);
    let start = Instant::now();
    client.read_hub("hub").await;
    // Attach, request, answer, detach: each of them waits.
    assert!(start.elapsed() >= 3 * delay, "{:?}", start.elapsed());
    let start = Instant::now();
    let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
    assert_eq!(sequences(&mut receiver, 100).await, (0..100).collect::<Vec<_>>(), "the order stays");
    assert!(start.elapsed() >= 2 * delay, "{:?}", start.elapsed());
    emulator.faults().delay(Duration::ZERO);
    let start = Instant::now();
    client.read_hub("hub").await;
    assert!(start.elapsed() < 2 * delay, "{:?}", start.elapsed());
}

#[tokio::test]
async fn nothing_is_answered_while_it_hangs() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator, "hub").await;
    emulator.faults().hang(Duration::from_millis(600));
    let start = Instant::now();
    assert_eq!(client.read_hub("hub").await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(550), "{:?}", start.elapsed());
    emulator.faults().hang(Duration::from_millis(600));
    let start = Instant::now();
    let _new = Client::open(&emulator, fe2o3_amqp::sasl_profile::SaslProfile::Anonymous).await;
    assert!(start.elapsed() >= Duration::from_millis(550), "new connections hang too: {:?}", start.elapsed());
}

#[tokio::test]
async fn the_next_requests_are_refused_and_then_no_more() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator, "hub").await;
    emulator.faults().refuse_attaches(2, condition::SERVER_BUSY);
    for _ in 0..2 {
        assert_eq!(refused(client.read(Reading::of("hub", 0)).await).await, condition::SERVER_BUSY);
    }
    let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
    assert_eq!(sequences(&mut receiver, 1).await, [0]);

    emulator.faults().refuse_management(1, condition::SERVER_BUSY);
    let answer = client.read_hub("hub").await;
    assert_eq!((answer.status, answer.condition.as_deref()), (503, Some(condition::SERVER_BUSY)));
    assert_eq!(client.read_hub("hub").await.status, 200);

    emulator.faults().refuse_tokens(1, condition::UNAUTHORIZED);
    let token = emulator.sas_token("hub", 60);
    assert_eq!(client.put_token(SAS, &token, "sb://x/hub").await.status, 401);
    assert_eq!(client.put_token(SAS, &token, "sb://x/hub").await.status, 202);
}

#[tokio::test]
async fn an_epoch_is_stolen() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator, "hub").await;
    let mut receiver = client.read(Reading::of("hub", 0).epoch(3)).await.unwrap();
    sequences(&mut receiver, 100).await;
    assert_eq!(emulator.faults().steal("hub", "other", 0).unwrap(), 0);
    assert_eq!(emulator.faults().steal("hub", "$default", 0).unwrap(), 1);
    assert_eq!(ended(&mut receiver).await, condition::STOLEN);
    assert!(emulator.faults().steal("hub", "$Default", 9).is_err());
}

#[tokio::test]
async fn a_rebuilt_hub_starts_anew() {
    let emulator = emulator().await;
    let hub = emulator.hub("hub").unwrap();
    let created_at = hub.created_at();
    let mut client = Client::connect(&emulator, "hub").await;
    let mut receiver = client.read(Reading::of("hub", 0).credit(CreditMode::Auto(10))).await.unwrap();
    sequences(&mut receiver, 5).await;
    emulator.faults().rebuild_hub("hub").unwrap();
    assert_eq!(ended(&mut receiver).await, condition::DETACH_FORCED);
    assert!(hub.created_at() > created_at);
    assert_eq!(client.read_partition("hub", "0").await.long("last_enqueued_sequence_number"), -1);
    assert_eq!(hub.publish(0, "first again").unwrap(), 0);
    // A position from before lies beyond the last event.
    let stale = client.read(Reading::of("hub", 0).from("x-opt-sequence-number > '50'")).await;
    assert_eq!(refused(stale).await, condition::ARGUMENT_ERROR);
}

#[tokio::test]
async fn shutting_down_says_goodbye_and_frees_the_port() {
    let emulator = emulator().await;
    let address = emulator.address();
    let mut client = Client::connect(&emulator, "hub").await;
    emulator.shutdown().await;
    let closed = format!("{:?}", within(client.connection.on_close()).await);
    assert!(closed.contains("ConnectionForced"), "{closed}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let emulator = emulator().await;
    let address = emulator.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"AMQP\x00\x01\x00\x00").await.unwrap();
    let mut header = [0; 8];
    within(stream.read_exact(&mut header)).await.unwrap();
    drop(emulator);
    assert!(matches!(within(stream.read(&mut header)).await, Ok(0) | Err(_)));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(address).await.is_err());
}
