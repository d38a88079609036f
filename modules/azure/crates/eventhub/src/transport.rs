//! The stream under AMQP: TCP without delay, TLS on it, a WebSocket on that.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::failure::Failure;
use crate::timeouts::{Timeouts, within};
use crate::websocket::WebSocketIo;

/// How AMQP reaches the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// AMQP on its own port: 5671 with TLS, 5672 without.
    #[default]
    Tcp,
    /// AMQP in a WebSocket: port 443 with TLS, 80 without. Passes most firewalls and proxies.
    WebSocket,
}

/// Whom to trust.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// What the operating system trusts.
    #[default]
    Native,
    /// These certificates (DER), and nothing else.
    Only(Vec<CertificateDer<'static>>),
}

/// Path and subprotocol are the service's.
const WEBSOCKET_PATH: &str = "/$servicebus/websocket/";
const WEBSOCKET_PROTOCOL: &str = "AMQPWSB10";

/// The AMQP library reads eight kibibytes at a time: without a larger buffer below it, that is a system call every four
/// events of two kibibytes.
const READ_BUFFER: usize = 128 * 1024;

/// Where and how to connect.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) transport: Transport,
    /// `None`: no TLS, for a server on this machine.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}:{}, {:?}, tls: {})", self.host, self.port, self.transport, self.tls.is_some())
    }
}

/// The port if none is given.
pub(crate) fn default_port(transport: Transport, tls: bool) -> u16 {
    match (transport, tls) {
        (Transport::Tcp, true) => 5671,
        (Transport::Tcp, false) => 5672,
        (Transport::WebSocket, true) => 443,
        (Transport::WebSocket, false) => 80,
    }
}

/// TLS as this client speaks it: rustls with the provider that the rest of the program uses.
pub(crate) fn tls_config(roots: &Roots) -> Result<Arc<ClientConfig>, String> {
    let mut store = rustls::RootCertStore::empty();
    match roots {
        Roots::Native => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                return Err(
                    "no trusted root certificate on this machine: install ca-certificates, or give roots".into()
                );
            }
        }
        Roots::Only(certificates) => {
            for certificate in certificates {
                store
                    .add(certificate.clone())
                    .map_err(|error| format!("a given root certificate is unusable: {error}"))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be configured: {error}"))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What AMQP runs on.
pub(crate) trait Io: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Io for T {}

/// Opens the stream. `read` counts the bytes that arrive on it, as AMQP sees them.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    timeouts: &Timeouts,
    read: Arc<AtomicU64>,
) -> Result<Box<dyn Io>, Failure> {
    let address = (endpoint.host.as_str(), endpoint.port);
    let tcp = within(timeouts.connect, "connecting", TcpStream::connect(address)).await??;
    // Without this, every question and answer of AMQP waits for a delayed acknowledgement (45 ms each, measured).
    tcp.set_nodelay(true)?;
    let tcp = BufReader::with_capacity(READ_BUFFER, tcp);
    let stream: Box<dyn Io> = match &endpoint.tls {
        None => Box::new(tcp),
        Some(config) => {
            let name = ServerName::try_from(endpoint.host.clone())
                .map_err(|_| Failure::fatal("the namespace is no host name: check the connection string's Endpoint"))?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
            Box::new(within(timeouts.handshake, "the TLS handshake", connector.connect(name, tcp)).await??)
        }
    };
    let stream = match endpoint.transport {
        Transport::Tcp => stream,
        Transport::WebSocket => {
            within(timeouts.handshake, "the WebSocket upgrade", upgrade(endpoint, stream)).await??
        }
    };
    Ok(Box::new(Counted { stream, read }))
}

async fn upgrade(endpoint: &Endpoint, stream: Box<dyn Io>) -> Result<Box<dyn Io>, Failure> {
    let scheme = if endpoint.tls.is_some() { "wss" } else { "ws" };
    let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
    let uri: Uri = format!("{scheme}://{host}:{}{WEBSOCKET_PATH}", endpoint.port)
        .parse()
        .map_err(|_| Failure::fatal("the namespace is no host name: check the connection string's Endpoint"))?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(WEBSOCKET_PROTOCOL);
    let mut config = WebSocketConfig::default();
    // A server may put several AMQP frames of 64 KiB into one message; four mebibytes are more than any does.
    config.max_message_size = Some(4 * 1024 * 1024);
    config.max_frame_size = Some(4 * 1024 * 1024);
    let (socket, _response) =
        tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await.map_err(|error| {
            Failure::transient(format!("the WebSocket upgrade was refused ({error}): check host, port and proxies"))
        })?;
    Ok(Box::new(WebSocketIo::new(socket)))
}

/// Counts what is read.
#[derive(Debug)]
struct Counted {
    stream: Box<dyn Io>,
    read: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let arrived = buf.filled().len().saturating_sub(before);
        self.read.fetch_add(arrived as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
