//! Peers that break the protocol end their own connection and nothing else.

use fe2o3_amqp_types::{
    definitions::Handle,
    messaging::{Source, Target, TargetArchetype},
    performatives::{Attach, Begin, Open, Transfer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tributary_azure_eventhub_emulator::{Emulator, HubConfig, condition};

use crate::client::{Client, within};

const HEADER: &[u8] = b"AMQP\x00\x01\x00\x00";
const SASL_HEADER: &[u8] = b"AMQP\x03\x01\x00\x00";

async fn emulator() -> Emulator {
    Emulator::builder().hub(HubConfig::new("hub", 1)).key("root", "secret").start().await.unwrap()
}

fn frame<T: serde::Serialize>(channel: u8, performative: &T, payload: &[u8]) -> Vec<u8> {
    let body = serde_amqp::to_vec(performative).unwrap();
    let size = (8 + body.len() + payload.len()) as u32;
    [&size.to_be_bytes()[..], &[2, 0, 0, channel], &body, payload].concat()
}

fn open() -> Vec<u8> {
    let open = Open {
        container_id: "hostile".into(),
        hostname: None,
        max_frame_size: 65536.into(),
        channel_max: 10.into(),
        idle_time_out: None,
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    frame(0, &open, &[])
}

fn begin() -> Vec<u8> {
    let begin = Begin {
        remote_channel: None,
        next_outgoing_id: 0,
        incoming_window: 100,
        outgoing_window: 100,
        handle_max: Handle(10),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    frame(1, &begin, &[])
}

fn attach(target: &str) -> Vec<u8> {
    let attach = Attach {
        name: "to-hub".into(),
        handle: Handle(0),
        role: fe2o3_amqp_types::definitions::Role::Sender,
        snd_settle_mode: Default::default(),
        rcv_settle_mode: Default::default(),
        source: Some(Box::new(Source::default())),
        target: Some(Box::new(TargetArchetype::Target(Target::builder().address(target).build()))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: Some(0),
        max_message_size: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    };
    frame(1, &attach, &[])
}

fn transfer(more: bool, payload: &[u8]) -> Vec<u8> {
    let transfer = Transfer {
        handle: Handle(0),
        delivery_id: Some(0),
        delivery_tag: Some(vec![0].into()),
        message_format: Some(0),
        settled: Some(false),
        more,
        rcv_settle_mode: None,
        state: None,
        resume: false,
        aborted: false,
        batchable: false,
    };
    frame(1, &transfer, payload)
}

/// SASL PLAIN with the key.
fn plain() -> Vec<u8> {
    let response = b"\0root\0secret";
    let mut list = vec![0xa3, 5];
    list.extend_from_slice(b"PLAIN");
    list.extend_from_slice(&[0xa0, response.len() as u8]);
    list.extend_from_slice(response);
    let mut body = vec![0x00, 0x53, 0x41, 0xc0, list.len() as u8 + 1, 2];
    body.extend_from_slice(&list);
    let size = (8 + body.len()) as u32;
    [SASL_HEADER, &size.to_be_bytes(), &[2, 1, 0, 0], &body, HEADER].concat()
}

/// Everything that the emulator sends until it closes, or is silent for long.
async fn talk(emulator: &Emulator, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    // The emulator may be gone before all is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    answer
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn broken_peers_end_alone() {
    let emulator = emulator().await;
    let mut bystander = Client::connect(&emulator, "hub").await;
    let short_frame = [0, 0, 0, 4, 2, 0, 0, 0];
    let huge_frame = [0x7f, 0xff, 0xff, 0xff, 2, 0, 0, 0];
    let broken_list = [0, 0, 0, 16, 2, 0, 0, 0, 0x00, 0x53, 0x10, 0xc0, 200, 200, 0, 0];
    let unknown_performative = [0, 0, 0, 12, 2, 0, 0, 0, 0x00, 0x53, 0x66, 0x45];
    for broken in [&short_frame[..], &huge_frame, &broken_list, &unknown_performative] {
        for start in [HEADER.to_vec(), SASL_HEADER.to_vec(), [HEADER, &open()].concat()] {
            talk(&emulator, &[&start, broken].concat()).await;
            assert_eq!(bystander.read_hub("hub").await.status, 200);
        }
    }
    let framing = talk(&emulator, &[HEADER, &open(), &short_frame].concat()).await;
    assert!(contains(&framing, condition::FRAMING_ERROR));
    // Another protocol is answered with the header of this one.
    assert_eq!(talk(&emulator, b"GET / HTTP/1.1\r\n\r\n").await, SASL_HEADER);
    assert_eq!(emulator.connections(), 1);
}

#[tokio::test]
async fn a_message_longer_than_the_limit_ends_its_link() {
    let emulator = emulator().await;
    let mut bytes = [plain(), open(), begin(), attach("hub/Partitions/0")].concat();
    for _ in 0..20 {
        bytes.extend(transfer(true, &[0x40; 60_000]));
    }
    // A close, so that the talk ends.
    bytes.extend([0, 0, 0, 12, 2, 0, 0, 0, 0x00, 0x53, 0x18, 0x45]);
    let answer = talk(&emulator, &bytes).await;
    assert!(contains(&answer, condition::MESSAGE_SIZE_EXCEEDED));
    assert_eq!(emulator.hub("hub").unwrap().partition(0).unwrap().stats().enqueued, 0);
}

#[tokio::test]
async fn what_is_no_message_is_rejected_and_not_stored() {
    let emulator = emulator().await;
    let close = vec![0, 0, 0, 12, 2, 0, 0, 0, 0x00, 0x53, 0x18, 0x45];
    let bytes = [plain(), open(), begin(), attach("hub"), transfer(false, b"{\"records\":[]}"), close].concat();
    let answer = talk(&emulator, &bytes).await;
    assert!(contains(&answer, condition::DECODE_ERROR));
    assert_eq!(emulator.hub("hub").unwrap().partition(0).unwrap().stats().enqueued, 0);
}

#[tokio::test]
async fn a_transfer_without_a_link_ends_the_connection() {
    let emulator = emulator().await;
    let answer = talk(&emulator, &[plain(), open(), begin(), transfer(false, b"x")].concat()).await;
    assert!(contains(&answer, "amqp:session:unattached-handle"));
}
