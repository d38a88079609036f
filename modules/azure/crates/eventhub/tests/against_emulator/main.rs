//! The source and the publisher against an Event Hubs namespace in process, over real AMQP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod broken_peer;
mod limits;
mod positions;
mod publishing;
mod recovery;
mod rotation;
mod security;

use std::time::{Duration, Instant};

use tributary_azure_eventhub::{EventHubBuilder, EventHubSource, RetryPolicy, Timeouts};
use tributary_azure_eventhub_emulator::{Emulator, Event as Sent, HubConfig};
use tributary_batch::{Body, Event};
use tributary_pipeline::{EventSource, PartitionReader};

pub(crate) const HUB: &str = "defender";
pub(crate) const GROUP: &str = "tributary";

pub(crate) async fn emulator(partitions: u32) -> Emulator {
    Emulator::builder().hub(HubConfig::new(HUB, partitions).consumer_group(GROUP)).start().await.unwrap()
}

/// A builder for the emulator's hub, with deadlines and pauses that suit a test.
pub(crate) fn builder(emulator: &Emulator) -> EventHubBuilder {
    let retry = RetryPolicy {
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(200),
        give_up_after: Duration::from_secs(8),
        busy_pause: Duration::from_millis(100),
    };
    let timeouts = Timeouts { idle: Duration::from_secs(15), ..Timeouts::default() };
    EventHubSource::builder()
        .connection_string(&emulator.connection_string(HUB))
        .unwrap()
        .consumer_group(GROUP)
        .retry(retry)
        .timeouts(timeouts)
}

pub(crate) fn source(emulator: &Emulator) -> EventHubSource {
    builder(emulator).build_source().unwrap()
}

/// Publishes `count` events with `size` bytes to a partition; the body begins with partition and number.
pub(crate) fn publish(emulator: &Emulator, partition: u32, count: usize, size: usize) {
    let events = (0..count).map(|number| {
        let mut body = format!("{partition}/{number} ").into_bytes();
        body.resize(size.max(body.len()), b'x');
        Sent::new(body)
    });
    emulator.hub(HUB).unwrap().publish_all(partition, events.collect::<Vec<_>>()).unwrap();
}

/// Longer than anything takes on a machine that is busy with other things; a test that waits so long hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(180);

/// Reads until `count` events came.
pub(crate) async fn read(reader: &mut Box<dyn PartitionReader>, count: usize) -> Vec<Event> {
    let started = Instant::now();
    let mut events = Vec::new();
    while events.len() < count {
        assert!(started.elapsed() < HANGS, "only {} of {count} events", events.len());
        events.extend(reader.next(Duration::from_millis(500)).await.unwrap());
    }
    events
}

pub(crate) fn numbers(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.sequence_number.0).collect()
}

pub(crate) fn text(event: &Event) -> &str {
    match &event.body {
        Body::Text(text) => text,
        Body::Binary(_) => panic!("binary"),
    }
}

/// Fails unless the events are exactly `first..first + count`, in order.
pub(crate) fn assert_complete(events: &[Event], first: i64, count: usize) {
    let wanted: Vec<i64> = (first..first + count as i64).collect();
    assert_eq!(numbers(events), wanted);
}

pub(crate) async fn close(source: &EventHubSource, reader: Box<dyn PartitionReader>) {
    reader.close().await.unwrap();
    source.close().await.unwrap();
}

/// Waits until the emulator has no connection any more.
pub(crate) async fn assert_no_connections(emulator: &Emulator) {
    for _ in 0..500 {
        if emulator.connections() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} connections are left", emulator.connections());
}
