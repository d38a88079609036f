//! The publisher.

use tributary_azure_eventhub::{Destination, EventHubPublisher, OutgoingEvent};
use tributary_azure_eventhub_emulator::{Emulator, condition};
use tributary_pipeline::{EventSource, SourceError, StartPosition};

use crate::{HUB, assert_no_connections, builder, close, emulator, read, source, text};

fn publisher(emulator: &Emulator) -> EventHubPublisher {
    builder(emulator).build_publisher().unwrap()
}

fn events(count: usize, size: usize) -> Vec<OutgoingEvent> {
    let event = |number: usize| {
        let mut body = vec![b'0'; size];
        body.extend_from_slice(number.to_string().as_bytes());
        OutgoingEvent { body, properties: vec![("number".into(), number.to_string())] }
    };
    (0..count).map(event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_cut_by_the_hubs_limit_and_arrive_in_order() {
    let emulator = emulator(2).await;
    let publisher = publisher(&emulator);
    let batches = publisher.send(&Destination::Partition("1".into()), &events(500, 10_000)).await.unwrap();
    assert_eq!(batches, 5, "five megabytes in messages of one");
    let source = source(&emulator);
    let mut reader = source.open("1", StartPosition::Earliest, 1).await.unwrap();
    let read = read(&mut reader, 500).await;
    for (number, event) in read.iter().enumerate() {
        assert_eq!(text(event).trim_start_matches('0').parse().unwrap_or(0), number);
        assert_eq!(event.properties, [("number".to_owned(), number.to_string())]);
    }
    close(&source, reader).await;
    publisher.close().await.unwrap();
    assert_no_connections(&emulator).await;
}

#[tokio::test]
async fn keys_stay_together_and_batches_without_go_round() {
    let emulator = emulator(4).await;
    let publisher = publisher(&emulator);
    for _ in 0..3 {
        publisher.send(&Destination::Key("vm-7".into()), &events(2, 10)).await.unwrap();
    }
    let hub = emulator.hub(HUB).unwrap();
    let all = || (0..4).map(|partition| hub.partition(partition).unwrap().events());
    let mut counts: Vec<usize> = all().map(|events| events.len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, 6]);
    assert!(all().flatten().all(|event| event.partition_key() == Some("vm-7")));
    for _ in 0..8 {
        publisher.send(&Destination::Any, &events(1, 10)).await.unwrap();
    }
    assert!(all().all(|events| !events.is_empty()));
    publisher.close().await.unwrap();
}

#[tokio::test]
async fn what_the_hub_cannot_take_is_said_and_a_lost_link_is_opened_again() {
    let emulator = emulator(1).await;
    let publisher = publisher(&emulator);
    let error = publisher.send(&Destination::Any, &events(1, 2_000_000)).await.unwrap_err();
    assert!(matches!(&error, SourceError::Fatal { detail, .. } if detail.contains("larger than")), "{error}");
    let error = publisher.send(&Destination::Partition("9".into()), &events(1, 10)).await.unwrap_err();
    assert!(matches!(error, SourceError::Fatal { .. }), "{error}");
    emulator.faults().refuse_attaches(1, condition::SERVER_BUSY);
    let any = Destination::Partition("0".into());
    publisher.send(&any, &events(10, 10)).await.unwrap();
    emulator.faults().close_connections();
    publisher.send(&any, &events(10, 10)).await.unwrap();
    assert!(emulator.hub(HUB).unwrap().partition(0).unwrap().stats().last_sequence_number >= 19);
    publisher.close().await.unwrap();
    assert_no_connections(&emulator).await;
}
