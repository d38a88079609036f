//! Where reading starts, and what events look like.

use std::time::{Duration, UNIX_EPOCH};

use fe2o3_amqp_types::primitives::Value;
use tributary_azure_eventhub_emulator::{Body, Event as Sent};
use tributary_pipeline::{EventSource, StartPosition};

use crate::{
    GROUP, HUB, assert_complete, assert_no_connections, close, emulator, numbers, publish, read, source, text,
};

#[tokio::test]
async fn every_start_position() {
    let emulator = emulator(1).await;
    let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
    let hub = emulator.hub(HUB).unwrap();
    for number in 0..10 {
        hub.publish(0, Sent::new(format!("{number}")).enqueued_at(at(1_767_225_600_000 + number * 1000))).unwrap();
    }
    let offset = hub.partition(0).unwrap().events()[6].offset();
    let source = source(&emulator);
    for (start, first) in [
        (StartPosition::Earliest, 0),
        (StartPosition::Sequence { number: 4, inclusive: false }, 5),
        (StartPosition::Sequence { number: 4, inclusive: true }, 4),
        (StartPosition::Sequence { number: -1, inclusive: false }, 0),
        (StartPosition::Offset { offset: offset.clone(), inclusive: false }, 7),
        (StartPosition::Offset { offset, inclusive: true }, 6),
        (StartPosition::EnqueuedTime(1_767_225_607_500), 8),
        (StartPosition::EnqueuedTime(1_767_225_608_000), 9),
    ] {
        let mut reader = source.open("0", start.clone(), 1).await.unwrap();
        let events = read(&mut reader, 10 - first).await;
        assert_complete(&events, first as i64, 10 - first);
        assert_eq!(text(&events[0]), first.to_string(), "{start:?}");
        assert_eq!(events[0].enqueued_time, 1_767_225_600_000 + first as i64 * 1000);
        reader.close().await.unwrap();
    }
    let mut reader = source.open("0", StartPosition::Latest, 1).await.unwrap();
    assert!(reader.next(Duration::from_millis(50)).await.unwrap().is_empty());
    publish(&emulator, 0, 3, 10);
    assert_eq!(numbers(&read(&mut reader, 3).await), [10, 11, 12]);
    close(&source, reader).await;
    assert_no_connections(&emulator).await;
}

#[tokio::test]
async fn the_hub_and_its_partitions_are_described() {
    let emulator = emulator(4).await;
    publish(&emulator, 2, 5, 10);
    let source = source(&emulator);
    assert_eq!(source.hub().hub, HUB);
    assert_eq!(source.hub().consumer_group, GROUP);
    assert_eq!(source.partitions().await.unwrap(), ["0", "1", "2", "3"]);
    let mut reader = source.open("2", StartPosition::Earliest, 1).await.unwrap();
    let status = reader.status().await.unwrap();
    let created = emulator.hub(HUB).unwrap().created_at().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!((status.begin, status.last, status.incarnation), (0, 4, created.as_millis() as i64));
    assert!(status.last_enqueued_time.is_some() && !status.is_empty());
    reader.close().await.unwrap();
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    assert!(reader.status().await.unwrap().is_empty());
    close(&source, reader).await;
}

#[tokio::test]
async fn an_empty_partition_answers_within_the_wait() {
    let emulator = emulator(1).await;
    let source = source(&emulator);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    for wait in [0, 10, 200] {
        let started = std::time::Instant::now();
        assert!(reader.next(Duration::from_millis(wait)).await.unwrap().is_empty());
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(wait) && took < Duration::from_millis(wait + 3_000), "{took:?}");
    }
    close(&source, reader).await;
    assert_no_connections(&emulator).await;
}

#[tokio::test]
async fn bodies_keys_and_properties_arrive() {
    let emulator = emulator(1).await;
    let hub = emulator.hub(HUB).unwrap();
    hub.publish(0, Sent::new("{\"a\":1}").property("kind", "alert").property("n", 7_i32).partition_key("vm-7"))
        .unwrap();
    hub.publish(0, Sent::with_body(Body::Data(vec!["{\"a\"".into(), ":2}".into()]))).unwrap();
    hub.publish(0, Sent::with_body(Body::Value(Value::String("{\"a\":3}".into())))).unwrap();
    hub.publish(0, Sent::with_body(Body::Value(Value::List(vec![Value::Int(4), Value::Bool(true)])))).unwrap();
    hub.publish(0, Sent::with_body(Body::Sequence(vec![Value::Long(5), Value::String("b".into())]))).unwrap();
    hub.publish(0, Sent::new(vec![0xff, 0xfe])).unwrap();
    let source = source(&emulator);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    let events = read(&mut reader, 6).await;
    assert_eq!(events[0].partition_key.as_deref(), Some("vm-7"));
    assert_eq!(events[0].properties, [("kind".into(), "alert".into()), ("n".into(), "7".into())]);
    let texts: Vec<&str> = events[..5].iter().map(text).collect();
    assert_eq!(texts, ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}", "[4,true]", "[5,\"b\"]"]);
    assert_eq!(events[5].body, tributary_batch::Body::Binary(vec![0xff, 0xfe]));
    close(&source, reader).await;
}
