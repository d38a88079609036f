//! A WebSocket's binary messages as a byte stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Message borders carry no meaning: AMQP frames may span messages or share one.
#[derive(Debug)]
pub(crate) struct WebSocketIo<S> {
    socket: WebSocketStream<S>,
    /// What is left of the message being read.
    message: Bytes,
}

impl<S> WebSocketIo<S> {
    pub(crate) fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, message: Bytes::new() }
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let this = &mut *self;
            if !this.message.is_empty() {
                let now = this.message.split_to(this.message.len().min(buf.remaining()));
                buf.put_slice(&now);
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut this.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => this.message = bytes,
                // The library answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a text message on an AMQP WebSocket",
                    )));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io_error)?;
        Pin::new(&mut self.socket).start_send(Message::Binary(Bytes::copy_from_slice(buf))).map_err(io_error)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(io_error)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn pair() -> (WebSocketIo<tokio::io::DuplexStream>, WebSocketStream<tokio::io::DuplexStream>) {
        let (client, server) = tokio::io::duplex(1024);
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        (WebSocketIo::new(client), WebSocketStream::from_raw_socket(server, Role::Server, None).await)
    }

    #[tokio::test]
    async fn messages_become_bytes_whatever_their_borders() {
        let (mut io, mut peer) = pair().await;
        tokio::spawn(async move {
            for bytes in [&b"AM"[..], b"", b"QP\0", b"\x01\x00\x00rest"] {
                peer.send(Message::Binary(bytes.to_vec().into())).await.unwrap();
                peer.send(Message::Ping(Vec::new().into())).await.unwrap();
            }
            peer.close(None).await.unwrap();
            while let Some(Ok(_)) = peer.next().await {}
        });
        let mut header = [0; 8];
        io.read_exact(&mut header).await.unwrap();
        assert_eq!(&header, b"AMQP\0\x01\0\0");
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"rest");
    }

    #[tokio::test]
    async fn what_is_written_arrives_and_text_is_refused() {
        let (mut io, mut peer) = pair().await;
        io.write_all(b"hello").await.unwrap();
        io.flush().await.unwrap();
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::Binary(b"hello".to_vec().into()));
        peer.send(Message::text("no")).await.unwrap();
        assert_eq!(io.read(&mut [0; 4]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
