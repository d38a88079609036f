//! Listening sockets: plain, TLS and WebSocket.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{Error, connection, engine::Engine, faults::Remote, server::Namespace, websocket};

/// Microsoft's Python client reads TCP_MAXSEG back and sets it again. Over loopback the kernel reports 32,768 and then
/// refuses to set more than 32,767, so that the client fails to connect unless the listener asks for less.
const MAX_SEGMENT: u32 = 32_000;
/// A peer that has not finished the handshake below AMQP by then is cut off.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What is spoken below AMQP.
#[derive(Clone)]
pub(crate) enum Transport {
    Plain,
    Tls(TlsConfig),
    WebSocket(Option<TlsConfig>),
}

/// A TLS configuration that accepts connections.
#[derive(Clone)]
pub(crate) struct TlsConfig(TlsAcceptor);

impl From<Arc<ServerConfig>> for TlsConfig {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(TlsAcceptor::from(config))
    }
}

/// Binds `host:port`.
pub(crate) async fn bind(address: &str) -> Result<TcpListener, Error> {
    let unresolved = |source| Error::Address { address: address.to_owned(), source };
    let resolved = tokio::net::lookup_host(address).await.map_err(unresolved)?.next();
    let resolved = resolved.ok_or_else(|| unresolved(std::io::ErrorKind::NotFound.into()))?;
    listening_socket(resolved).map_err(|source| Error::Listen { address: resolved, source })
}

fn listening_socket(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    {
        socket.set_reuse_address(true)?;
        socket.set_tcp_mss(MAX_SEGMENT)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections until told to stop, then waits for those that are open. Dropped, it drops them.
pub(crate) async fn run(
    listener: TcpListener,
    transport: Transport,
    namespace: Arc<Namespace>,
    mut stopped: watch::Receiver<bool>,
) {
    // A set: when this task is aborted, so are the connections. One that panics ends alone.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    tracing::debug!(%peer, "connection accepted");
                    connections.spawn(accept(stream, transport.clone(), namespace.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(ended) = connections.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a connection's task failed");
            },
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(stream: TcpStream, transport: Transport, namespace: Arc<Namespace>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the socket is gone already");
        return;
    }
    // A second handle, by which a fault can make the close of the first a reset.
    let socket = SockRef::from(&stream).try_clone().ok();
    match transport {
        Transport::Plain => serve(stream, socket, namespace).await,
        Transport::Tls(tls) => {
            if let Some(stream) = handshake("TLS", tls.0.accept(stream)).await {
                serve(stream, socket, namespace).await;
            }
        }
        Transport::WebSocket(None) => {
            if let Some(stream) = handshake("WebSocket", websocket::accept(stream)).await {
                serve(stream, socket, namespace).await;
            }
        }
        Transport::WebSocket(Some(tls)) => {
            let upgraded = async { Ok::<_, BoxError>(websocket::accept(tls.0.accept(stream).await?).await?) };
            if let Some(stream) = handshake("TLS and WebSocket", upgraded).await {
                serve(stream, socket, namespace).await;
            }
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of a handshake that succeeds in time.
async fn handshake<T, E: std::fmt::Display>(what: &str, attempt: impl Future<Output = Result<T, E>>) -> Option<T> {
    match timeout(HANDSHAKE, attempt).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "{what} handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("{what} handshake took too long");
            None
        }
    }
}

async fn serve<S>(stream: S, socket: Option<Socket>, namespace: Arc<Namespace>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let remote = Arc::new(Remote::default());
    namespace.faults.register(&remote);
    let engine = Engine::new(namespace, remote);
    match connection::serve(stream, engine).await {
        connection::End::Orderly => {}
        connection::End::Reset => {
            if let Some(socket) = socket
                && let Err(error) = socket.set_linger(Some(Duration::ZERO))
            {
                tracing::debug!(%error, "the socket is gone already");
            }
        }
    }
}
