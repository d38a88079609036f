//! Large events and bounded memory.

use std::time::Duration;

use tributary_pipeline::{EventSource, StartPosition};

use crate::{assert_complete, builder, close, emulator, publish, read, source, text};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_the_largest_size() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 24, MIB - 1024);
    let source = source(&emulator);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    let events = read(&mut reader, 24).await;
    assert_complete(&events, 0, 24);
    assert!(events.iter().enumerate().all(|(number, event)| {
        text(event).len() == MIB - 1024 && text(event).starts_with(&format!("0/{number} "))
    }));
    close(&source, reader).await;
    assert_eq!(source.budget_used(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_pass_the_smallest_budget() {
    let emulator = emulator(4).await;
    publish(&emulator, 0, 20, MIB - 1024);
    let source = builder(&emulator).budget_bytes(1).build_source().unwrap();
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    assert_complete(&read(&mut reader, 20).await, 0, 20);
    close(&source, reader).await;
}

/// The sizes lie: small events first, so that much credit is granted, then the largest ones. Nobody reads on. What arrives
/// stays within the budget, because the session windows are full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_unread_stays_within_the_budget() {
    const BUDGET: usize = 24 * MIB;
    let emulator = emulator(2).await;
    let source = builder(&emulator).budget_bytes(BUDGET).build_source().unwrap();
    let mut readers = Vec::new();
    for partition in 0..2_u32 {
        publish(&emulator, partition, 2_000, 200);
        let mut reader = source.open(&partition.to_string(), StartPosition::Earliest, 1).await.unwrap();
        read(&mut reader, 2_000).await;
        readers.push(reader);
    }
    assert!(source.budget_used() <= BUDGET, "{}", source.budget_used());
    let before = source.bytes_received();
    for partition in 0..2 {
        publish(&emulator, partition, 20, MIB - 1024);
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let unread = source.bytes_received() - before;
    assert!(unread > 4 * MIB as u64, "the links are busy: {unread}");
    assert!(unread <= BUDGET as u64, "{unread}");
    // Sessions that are full do not hold up the connection: questions are answered, and every event arrives.
    for mut reader in readers {
        assert_eq!(reader.status().await.unwrap().last, 2_019);
        assert_complete(&read(&mut reader, 20).await, 2_000, 20);
        reader.close().await.unwrap();
    }
    source.close().await.unwrap();
}
