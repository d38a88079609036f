//! TLS and WebSockets.

use std::sync::Arc;

use fe2o3_amqp::sasl_profile::SaslProfile;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest, http::HeaderValue};
use tributary_azure_eventhub_emulator::{Emulator, HubConfig};

use crate::client::{Client, Reading, SAS, sequences, within};

/// A server for `localhost`, and a client that trusts it.
fn tls() -> (Arc<ServerConfig>, TlsConnector) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(certified.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

/// Token, management and 500 events of 4 KB.
async fn works(mut client: Client, emulator: &Emulator) {
    let token = emulator.sas_token("hub", 60);
    assert_eq!(client.put_token(SAS, &token, "sb://localhost/hub").await.status, 202);
    assert_eq!(client.read_hub("hub").await.status, 200);
    let events = (0..500).map(|_| vec![b'x'; 4096].into());
    emulator.hub("hub").unwrap().publish_all(0, events).unwrap();
    let mut receiver = client.read(Reading::of("hub", 0)).await.unwrap();
    assert_eq!(sequences(&mut receiver, 500).await.last(), Some(&499));
    within(receiver.close()).await.unwrap();
    within(client.session.end()).await.unwrap();
    within(client.connection.close()).await.unwrap();
}

fn hub() -> HubConfig {
    HubConfig::new("hub", 1)
}

#[tokio::test]
async fn amqp_over_tls() {
    let (server, connector) = tls();
    let emulator = Emulator::builder().hub(hub()).listen_tls("127.0.0.1:0", server).start().await.unwrap();
    let address = emulator.tls_address().unwrap();
    assert!(!emulator.connection_string("hub").contains("UseDevelopmentEmulator"));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = within(connector.connect(name, stream)).await.unwrap();
    works(Client::over(stream, SaslProfile::Anonymous).await, &emulator).await;
    // Plain AMQP on the TLS port gets nowhere and harms nobody.
    let mut plain = TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"AMQP\x03\x01\x00\x00").await.unwrap();
    let mut rest = Vec::new();
    let _ = within(tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut rest)).await;
    emulator.shutdown().await;
}

fn websocket_request(url: &str, subprotocol: &'static str) -> tungstenite::handshake::client::Request {
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(subprotocol));
    request
}

#[tokio::test]
async fn amqp_over_websockets() {
    let emulator = Emulator::builder().hub(hub()).listen_websocket("127.0.0.1:0").start().await.unwrap();
    let address = emulator.websocket_address().unwrap();
    let url = format!("ws://{address}/$servicebus/websocket/");
    let connect = async |url: &str, subprotocol| {
        let stream = TcpStream::connect(address).await.unwrap();
        within(tokio_tungstenite::client_async(websocket_request(url, subprotocol), stream)).await
    };
    let (socket, response) = connect(&url, "AMQPWSB10").await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "AMQPWSB10");
    works(Client::over(bytes_of(socket), SaslProfile::Anonymous).await, &emulator).await;
    assert!(connect(&format!("ws://{address}/other"), "AMQPWSB10").await.is_err());
    assert!(connect(&url, "mqtt").await.is_err());
    emulator.shutdown().await;
}

#[tokio::test]
async fn amqp_over_websockets_over_tls() {
    let (server, connector) = tls();
    let emulator = Emulator::builder().hub(hub()).listen_websocket_tls("127.0.0.1:0", server).start().await.unwrap();
    let stream = TcpStream::connect(emulator.websocket_address().unwrap()).await.unwrap();
    let stream = within(connector.connect(ServerName::try_from("localhost").unwrap(), stream)).await.unwrap();
    let request = websocket_request("wss://localhost/$servicebus/websocket", "AMQPWSB10");
    let (socket, _) = within(tokio_tungstenite::client_async(request, stream)).await.unwrap();
    works(Client::over(bytes_of(socket), SaslProfile::Anonymous).await, &emulator).await;
    emulator.shutdown().await;
}

/// The client's end as a stream of bytes: two tasks copy between it and a pipe.
fn bytes_of<S>(socket: tokio_tungstenite::WebSocketStream<S>) -> tokio::io::DuplexStream
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (mut from_pipe, mut to_pipe) = tokio::io::split(far);
    let (mut to_socket, mut from_socket) = socket.split();
    tokio::spawn(async move {
        while let Some(Ok(message)) = from_socket.next().await {
            if to_pipe.write_all(&message.into_data()).await.is_err() {
                break;
            }
        }
    });
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(len @ 1..) = from_pipe.read(&mut buffer).await {
            let message = tungstenite::Message::binary(buffer[..len].to_vec());
            if to_socket.send(message).await.is_err() {
                break;
            }
        }
    });
    near
}
