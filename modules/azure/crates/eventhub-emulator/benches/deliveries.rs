//! How many events of 3.6 KB the emulator delivers over loopback to a client on `fe2o3-amqp`, settled, from four
//! partitions.
//!
//! Client and emulator share this process, so the CPU time is that of both. `cargo bench -p
//! tributary-azure-eventhub-emulator`.
#![allow(clippy::unwrap_used, reason = "a bench that fails may stop")]

use std::time::Instant;

use fe2o3_amqp::{Connection, Receiver, Session, link::receiver::CreditMode, sasl_profile::SaslProfile};
use fe2o3_amqp_types::{definitions::SenderSettleMode, messaging::Body, primitives::Value};
use tributary_azure_eventhub_emulator::{DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator, Event, HubConfig};

const PARTITIONS: u32 = 4;
const EVENTS: usize = 25_000;
const SIZE: usize = 3_600;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let emulator = Emulator::builder().hub(HubConfig::new("hub", PARTITIONS)).start().await.unwrap();
    let body = bytes::Bytes::from(vec![b'x'; SIZE]);
    let start = Instant::now();
    for partition in 0..PARTITIONS {
        let events = (0..EVENTS).map(|_| Event::new(body.clone()).property("source", "bench"));
        emulator.hub("hub").unwrap().publish_all(partition, events).unwrap();
    }
    let total = EVENTS * PARTITIONS as usize;
    report("published in process", total, start, 0.0);

    let (start, cpu) = (Instant::now(), cpu_seconds());
    let readers: Vec<_> = (0..PARTITIONS).map(|partition| tokio::spawn(read(emulator.address(), partition))).collect();
    for reader in readers {
        reader.await.unwrap();
    }
    report("delivered", total, start, cpu_seconds() - cpu);
    emulator.shutdown().await;
}

async fn read(address: std::net::SocketAddr, partition: u32) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let sasl = SaslProfile::Plain { username: DEFAULT_KEY_NAME.to_owned(), password: DEFAULT_KEY.to_owned() };
    let builder = Connection::builder().container_id("bench").sasl_profile(sasl).max_frame_size(65536);
    let mut connection = builder.open_with_stream(stream).await.unwrap();
    let mut session = Session::begin(&mut connection).await.unwrap();
    let mut receiver = Receiver::builder()
        .name("bench")
        .source(format!("hub/ConsumerGroups/$Default/Partitions/{partition}"))
        .sender_settle_mode(SenderSettleMode::Settled)
        .auto_accept(true)
        .credit_mode(CreditMode::Auto(1000))
        .attach(&mut session)
        .await
        .unwrap();
    for _ in 0..EVENTS {
        receiver.recv::<Body<Value>>().await.unwrap();
    }
    receiver.close().await.unwrap();
    session.end().await.unwrap();
    connection.close().await.unwrap();
}

fn report(what: &str, events: usize, start: Instant, cpu: f64) {
    let seconds = start.elapsed().as_secs_f64();
    let each = cpu * 1e6 / events as f64;
    println!("{what}: {events} events in {seconds:.2} s, {:.0}/s, {each:.1} us of CPU each", events as f64 / seconds);
}

/// User and system time of this process. Ticks are 10 ms on Linux; elsewhere it stays at 0.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
