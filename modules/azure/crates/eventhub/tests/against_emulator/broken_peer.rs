//! A peer that breaks the protocol: the AMQP library panics on frames shorter than their header, which must cost no
//! more than the connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tributary_azure_eventhub::RetryPolicy;
use tributary_pipeline::{EventSource, SourceError, StartPosition};

use crate::{assert_complete, builder, close, emulator, publish, read};

/// A frame that claims four bytes: its size field alone.
const SHORT_FRAME: [u8; 4] = [0, 0, 0, 4];

/// Forwards to `server`; says a short frame to the client whenever it is told to.
async fn saboteur(server: SocketAddr, sabotage: Arc<Notify>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            let sabotage = Arc::clone(&sabotage);
            tokio::spawn(async move {
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let up = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    tokio::select! {
                        read = from_server.read(&mut buffer) => match read {
                            Ok(count) if count > 0 => to_client.write_all(&buffer[..count]).await.unwrap(),
                            _ => break,
                        },
                        () = sabotage.notified() => to_client.write_all(&SHORT_FRAME).await.unwrap(),
                    }
                }
                up.abort();
            });
        }
    });
    port
}

#[tokio::test]
async fn a_short_frame_on_an_open_connection_costs_no_more_than_the_connection() {
    let emulator = emulator(1).await;
    let sabotage = Arc::new(Notify::new());
    let port = saboteur(emulator.address(), Arc::clone(&sabotage)).await;
    let source = builder(&emulator).port(port).build_source().unwrap();
    publish(&emulator, 0, 100, 100);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    assert_complete(&read(&mut reader, 100).await, 0, 100);
    sabotage.notify_one();
    tokio::time::sleep(Duration::from_millis(50)).await;
    publish(&emulator, 0, 100, 100);
    assert_complete(&read(&mut reader, 100).await, 100, 100);
    assert_eq!(source.connections_opened(), 2);
    close(&source, reader).await;
}

#[tokio::test]
async fn a_short_frame_while_opening_is_a_failed_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut header = [0; 8];
            stream.read_exact(&mut header).await.unwrap();
            stream.write_all(&header).await.unwrap();
            stream.write_all(&SHORT_FRAME).await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let emulator = emulator(1).await;
    let retry = RetryPolicy { give_up_after: Duration::from_millis(200), ..RetryPolicy::default() };
    let source = builder(&emulator).port(port).retry(retry).build_source().unwrap();
    let error = source.partitions().await.unwrap_err();
    assert!(matches!(&error, SourceError::Transient { detail, .. } if detail.contains("gave up after")), "{error}");
    source.close().await.unwrap();
    peer.abort();
}
