//! Listening sockets: plain, TLS and WebSocket.

use std::{net::SocketAddr, sync::Arc};

use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{Error, connection, engine::Engine, faults::Remote, server::Namespace, websocket};

/// Microsoft's Python client reads TCP_MAXSEG back and sets it again. Over loopback the kernel reports 32,768 and then refuses
/// to set more than 32,767, so that the client fails to connect unless the listener asks for less.
const MAX_SEGMENT: u32 = 32_000;

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
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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
        Transport::Tls(tls) => match tls.0.accept(stream).await {
            Ok(stream) => serve(stream, socket, namespace).await,
            Err(error) => tracing::debug!(%error, "no TLS session"),
        },
        Transport::WebSocket(None) => match websocket::accept(stream).await {
            Ok(stream) => serve(stream, socket, namespace).await,
            Err(error) => tracing::debug!(%error, "no WebSocket"),
        },
        Transport::WebSocket(Some(tls)) => match tls.0.accept(stream).await {
            Ok(stream) => match websocket::accept(stream).await {
                Ok(stream) => serve(stream, socket, namespace).await,
                Err(error) => tracing::debug!(%error, "no WebSocket"),
            },
            Err(error) => tracing::debug!(%error, "no TLS session"),
        },
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
                && let Err(error) = socket.set_linger(Some(std::time::Duration::ZERO))
            {
                tracing::debug!(%error, "the socket is gone already");
            }
        }
    }
}
