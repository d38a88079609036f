//! What is lost and what goes on: connections, links, whole servers. Every test reads every event once.

use std::time::{Duration, Instant};

use tributary_azure_eventhub::{EventHubSource, Timeouts};
use tributary_azure_eventhub_emulator::{Emulator, condition};
use tributary_batch::Event;
use tributary_pipeline::{EventSource, PartitionReader, SourceError, StartPosition};

use crate::{
    GROUP, HANGS, HUB, assert_complete, assert_no_connections, builder, close, emulator, numbers, publish, read, source,
};

async fn open_all(source: &EventHubSource, partitions: u32) -> Vec<Box<dyn PartitionReader>> {
    let mut readers = Vec::new();
    for partition in 0..partitions {
        readers.push(source.open(&partition.to_string(), StartPosition::Earliest, 1).await.unwrap());
    }
    readers
}

/// Reads `count` events from each of the partitions at once, while `fault` runs.
async fn read_all(emulator: &Emulator, partitions: u32, count: usize) -> u64 {
    read_all_with(emulator, source(emulator), partitions, count, async || {}).await
}

async fn read_all_with(
    emulator: &Emulator,
    source: EventHubSource,
    partitions: u32,
    count: usize,
    fault: impl AsyncFnOnce(),
) -> u64 {
    for partition in 0..partitions {
        publish(emulator, partition, count, 100);
    }
    let readers = open_all(&source, partitions).await;
    let tasks: Vec<_> = readers
        .into_iter()
        .map(|mut reader| {
            tokio::spawn(async move {
                let events = read(&mut reader, count).await;
                reader.close().await.unwrap();
                events
            })
        })
        .collect();
    fault().await;
    for task in tasks {
        assert_complete(&task.await.unwrap(), 0, count);
    }
    let opened = source.connections_opened();
    source.close().await.unwrap();
    assert_no_connections(emulator).await;
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_events_of_four_partitions() {
    let emulator = emulator(4).await;
    let opened = read_all(&emulator, 4, 25_000).await;
    assert_eq!(opened, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_closed_by_the_service() {
    let emulator = emulator(4).await;
    emulator.faults().close_connection_after(HUB, Some(0), 1_500);
    emulator.faults().close_connection_after(HUB, None, 2_500);
    let opened = read_all(&emulator, 4, 3_000).await;
    assert!(opened >= 2, "{opened}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_reset() {
    let emulator = emulator(4).await;
    emulator.faults().reset_connection_after(HUB, Some(1), 1_000);
    emulator.faults().reset_connection_after(HUB, None, 2_000);
    let opened = read_all(&emulator, 4, 3_000).await;
    assert!(opened >= 2, "{opened}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_are_detached_leave_the_others_alone() {
    let emulator = emulator(4).await;
    for (after, condition) in
        [(100, condition::DETACH_FORCED), (900, condition::SERVER_BUSY), (1_700, condition::INTERNAL_ERROR)]
    {
        emulator.faults().detach_receiver_after(HUB, Some(2), after, condition);
    }
    emulator.faults().detach_receiver_after(HUB, Some(3), 500, "com.example:never-seen");
    // On a link that worked, even this is worth one more attempt: the token may just have run out.
    emulator.faults().detach_receiver_after(HUB, Some(3), 1_000, condition::UNAUTHORIZED);
    let opened = read_all(&emulator, 4, 3_000).await;
    assert_eq!(opened, 1, "a lost link costs no connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_service_is_asked_again() {
    let emulator = emulator(2).await;
    emulator.faults().refuse_management(1, condition::SERVER_BUSY);
    emulator.faults().refuse_attaches(2, condition::SERVER_BUSY);
    read_all(&emulator, 2, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_left_for_a_new_connection() {
    let emulator = emulator(2).await;
    let timeouts = Timeouts { idle: Duration::from_millis(600), ..Timeouts::default() };
    let source = builder(&emulator).timeouts(timeouts).build_source().unwrap();
    let opened = read_all_with(&emulator, source, 2, 5_000, async || {
        tokio::time::sleep(Duration::from_millis(30)).await;
        emulator.faults().hang(Duration::from_millis(1_500));
    })
    .await;
    assert!(opened >= 2, "{opened}");
}

#[tokio::test]
async fn a_reader_at_the_end_loses_nothing_that_arrives_in_the_gap() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 5, 10);
    let source = source(&emulator);
    let mut reader = source.open("0", StartPosition::Latest, 1).await.unwrap();
    assert!(reader.next(Duration::from_millis(20)).await.unwrap().is_empty());
    emulator.faults().reset_connections();
    // The reader is not asked while its connection is gone.
    tokio::time::sleep(Duration::from_millis(50)).await;
    publish(&emulator, 0, 3, 10);
    assert_eq!(numbers(&read(&mut reader, 3).await), [5, 6, 7]);
    close(&source, reader).await;
}

#[tokio::test]
async fn the_same_or_a_higher_epoch_displaces_and_a_lower_one_is_refused() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 500, 100);
    let (first, second) = (source(&emulator), source(&emulator));
    let mut old = first.open("0", StartPosition::Earliest, 10).await.unwrap();
    assert!(!old.next(Duration::from_secs(1)).await.unwrap().is_empty());
    let mut new = second.open("0", StartPosition::Earliest, 11).await.unwrap();
    let error = loop {
        match old.next(Duration::from_secs(1)).await {
            Ok(events) => assert!(!events.is_empty(), "displaced readers say so"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, SourceError::Displaced { context } if context.contains("partition 0")), "{error}");
    // It stays displaced: it does not take the partition back.
    assert!(matches!(old.next(Duration::from_secs(1)).await, Err(SourceError::Displaced { .. })));
    let refused = first.open("0", StartPosition::Earliest, 10).await;
    assert!(matches!(refused, Err(SourceError::Displaced { .. })));
    assert_complete(&read(&mut new, 500).await, 0, 500);
    close(&first, old).await;
    close(&second, new).await;
    assert_no_connections(&emulator).await;
}

#[tokio::test]
async fn a_reader_without_a_claim_displaces_nobody_and_gives_way() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 50, 100);
    let (first, second, third) = (source(&emulator), source(&emulator), source(&emulator));
    let mut one = first.open_shared("0", StartPosition::Earliest).await.unwrap();
    let mut other = second.open_shared("0", StartPosition::Sequence { number: 40, inclusive: true }).await.unwrap();
    assert_complete(&read(&mut one, 50).await, 0, 50);
    assert_complete(&read(&mut other, 10).await, 40, 10);
    let mut processor = third.open("0", StartPosition::Earliest, 1).await.unwrap();
    assert_complete(&read(&mut processor, 50).await, 0, 50);
    for reader in [&mut one, &mut other] {
        assert!(matches!(reader.next(Duration::from_secs(5)).await, Err(SourceError::Displaced { .. })));
    }
    let refused = first.open_shared("0", StartPosition::Earliest).await;
    assert!(matches!(refused, Err(SourceError::Displaced { .. })));
    // The hub says where it stands all the same.
    let status = first.status("0").await.unwrap();
    assert_eq!((status.begin, status.last, status.is_empty()), (0, 49, false));
    publish(&emulator, 0, 5, 100);
    assert_eq!(numbers(&read(&mut processor, 5).await), [50, 51, 52, 53, 54]);
    close(&first, one).await;
    close(&second, other).await;
    close(&third, processor).await;
}

#[tokio::test]
async fn a_displaced_reader_still_gives_what_it_has_or_nothing_but_never_wrong_events() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 50, 100);
    let source = source(&emulator);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    read(&mut reader, 50).await;
    assert_eq!(emulator.faults().steal(HUB, GROUP, 0).unwrap(), 1);
    assert!(matches!(reader.next(Duration::from_secs(2)).await, Err(SourceError::Displaced { .. })));
    close(&source, reader).await;
}

#[tokio::test]
async fn a_hub_that_is_rebuilt_ends_the_reader() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 50, 100);
    let source = source(&emulator);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    read(&mut reader, 50).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    emulator.faults().rebuild_hub(HUB).unwrap();
    publish(&emulator, 0, 3, 100);
    let error = reader.next(Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(&error, SourceError::Transient { detail, .. } if detail.contains("start a new run")), "{error}");
    assert!(reader.next(Duration::from_secs(1)).await.is_err());
    reader.close().await.unwrap();
    let mut reader = source.open("0", StartPosition::Earliest, 2).await.unwrap();
    assert_complete(&read(&mut reader, 3).await, 0, 3);
    close(&source, reader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_next_that_is_cancelled_loses_nothing() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 800, 70_000);
    let source = source(&emulator);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    emulator.faults().detach_receiver_after(HUB, Some(0), 300, condition::SERVER_BUSY);
    emulator.faults().reset_connection_after(HUB, Some(0), 550);
    let mut events: Vec<Event> = Vec::new();
    let mut cancelled = 0;
    let started = Instant::now();
    while events.len() < 800 {
        assert!(started.elapsed() < HANGS, "{} events", events.len());
        let limit = Duration::from_micros(started.elapsed().subsec_nanos() as u64 % 700);
        match tokio::time::timeout(limit, reader.next(Duration::from_secs(1))).await {
            Ok(more) => events.extend(more.unwrap()),
            Err(_) => cancelled += 1,
        }
    }
    assert!(cancelled > 5, "{cancelled}");
    assert_complete(&events, 0, 800);
    close(&source, reader).await;
}

#[tokio::test]
async fn a_reader_that_is_dropped_leaves_the_others_alone() {
    let emulator = emulator(2).await;
    publish(&emulator, 0, 5_000, 500);
    publish(&emulator, 1, 5_000, 100);
    let source = source(&emulator);
    for _ in 0..5 {
        let mut dropped = source.open("0", StartPosition::Earliest, 1).await.unwrap();
        dropped.next(Duration::from_secs(1)).await.unwrap();
        drop(dropped);
    }
    let mut reader = source.open("1", StartPosition::Earliest, 1).await.unwrap();
    assert_complete(&read(&mut reader, 5_000).await, 0, 5_000);
    assert_eq!(source.connections_opened(), 1);
    close(&source, reader).await;
    assert_no_connections(&emulator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_never_lasts_ends_within_the_retries_time_and_not_in_a_spin() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 10, 10);
    for _ in 0..500 {
        emulator.faults().detach_receiver_after(HUB, Some(0), 0, condition::INTERNAL_ERROR);
    }
    let retry = tributary_azure_eventhub::RetryPolicy {
        give_up_after: Duration::from_millis(700),
        first_pause: Duration::from_millis(40),
        ..Default::default()
    };
    let source = builder(&emulator).retry(retry).build_source().unwrap();
    let started = Instant::now();
    let error = match source.open("0", StartPosition::Earliest, 1).await {
        Err(error) => error,
        Ok(mut reader) => reader.next(Duration::from_secs(10)).await.unwrap_err(),
    };
    assert!(matches!(&error, SourceError::Transient { detail, .. } if detail.contains("gave up after")), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    source.close().await.unwrap();
}

#[tokio::test]
async fn closing_in_the_middle_of_a_stream_leaves_nothing_open() {
    let emulator = emulator(2).await;
    publish(&emulator, 0, 5_000, 2_000);
    publish(&emulator, 1, 5_000, 2_000);
    let source = source(&emulator);
    let mut readers = open_all(&source, 2).await;
    for reader in &mut readers {
        assert!(!reader.next(Duration::from_secs(1)).await.unwrap().is_empty());
    }
    // Give the rest of the window time to arrive: the sessions are full now.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    for reader in readers {
        reader.close().await.unwrap();
    }
    assert_eq!(emulator.connections(), 1);
    source.close().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_no_connections(&emulator).await;
    assert!(matches!(source.partitions().await, Err(SourceError::Fatal { .. })), "it is closed");
}

#[tokio::test]
async fn a_server_that_is_gone_ends_within_the_retries_time() {
    let emulator = emulator(1).await;
    let retry = tributary_azure_eventhub::RetryPolicy {
        give_up_after: Duration::from_millis(500),
        first_pause: Duration::from_millis(50),
        ..Default::default()
    };
    let source = builder(&emulator).retry(retry).build_source().unwrap();
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    emulator.shutdown().await;
    let started = Instant::now();
    let error = reader.next(Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(&error, SourceError::Transient { detail, .. } if detail.contains("gave up after")), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8));
    reader.close().await.unwrap();
    source.close().await.unwrap();
}
