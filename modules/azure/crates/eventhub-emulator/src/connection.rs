//! The input and output of one connection: bytes in, [`Engine`], bytes out.
//!
//! One task serves a connection. It reads and writes at the same time, so that neither side can block the other, and
//! fills the output from the partitions only while the output is short: a peer that does not read costs a bounded
//! amount of memory.

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, sleep_until},
};

use crate::engine::Engine;

/// Deliveries are added to the output until it is this long. A quarter of a MiB is some 70 events of 3.6 KB: enough for
/// one large write, little enough to stay in a core's cache.
pub(crate) const OUTPUT_TARGET: usize = 256 * 1024;
/// Above this nothing is read either: the peer sends requests and does not read the answers.
const OUTPUT_LIMIT: usize = 4 * 1024 * 1024;
const READ_CHUNK: usize = 64 * 1024;
const FOREVER: Duration = Duration::from_secs(3600);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By close frames, or by the peer going away.
    Orderly,
    /// A fault asked for a reset.
    Reset,
}

/// Serves a connection until it ends.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, mut engine: Engine) -> End {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut input = BytesMut::with_capacity(READ_CHUNK);
    let mut output = Output::default();
    let wake = engine.wake();
    loop {
        engine.obey();
        if engine.is_reset() {
            return End::Reset;
        }
        if engine.is_given_up() {
            return End::Orderly;
        }
        if let Some(until) = engine.hang_until() {
            tokio::select! {
                () = sleep_until(until) => {}
                () = wake.notified() => {}
            }
            continue;
        }
        let more = engine.pump(output.len());
        let delay = engine.delay();
        output.take(engine.output(), delay);
        let flushed = output.is_empty();
        if engine.is_closed() && flushed {
            // The peer may be gone already; the end is the same.
            let _ = writer.shutdown().await;
            return End::Orderly;
        }
        let timer = engine.deadline().into_iter().chain(output.due()).min();
        let timer = timer.unwrap_or_else(|| Instant::now() + FOREVER);
        let readable = !engine.is_closed() && output.len() < OUTPUT_LIMIT;
        input.reserve(READ_CHUNK);
        tokio::select! {
            read = reader.read_buf(&mut input), if readable => match read {
                Ok(0) | Err(_) => return End::Orderly,
                Ok(_) => engine.receive(&mut input),
            },
            written = output.write(&mut writer), if output.is_ready() => if written.is_err() {
                return End::Orderly;
            },
            () = wake.notified() => {}
            () = sleep_until(timer) => engine.tick(),
            () = std::future::ready(()), if more => {}
        }
    }
}

/// What is to be written, and when.
#[derive(Debug, Default)]
struct Output {
    /// Being written.
    ready: BytesMut,
    /// Held back by a fault, with the time at which each piece may go.
    delayed: VecDeque<(Instant, BytesMut)>,
    /// TLS and WebSockets buffer: what was written is on its way only after a flush.
    unflushed: bool,
}

impl Output {
    fn len(&self) -> usize {
        self.ready.len() + self.delayed.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.delayed.is_empty() && !self.unflushed
    }

    fn is_ready(&self) -> bool {
        !self.ready.is_empty() || self.unflushed
    }

    fn due(&self) -> Option<Instant> {
        self.delayed.front().map(|(due, _)| *due)
    }

    /// Takes over what the engine wrote.
    fn take(&mut self, written: &mut BytesMut, delay: Duration) {
        let now = Instant::now();
        if !written.is_empty() {
            if delay.is_zero() && self.delayed.is_empty() {
                if self.ready.is_empty() {
                    std::mem::swap(&mut self.ready, written);
                } else {
                    self.ready.extend_from_slice(written);
                    written.clear();
                }
            } else {
                self.delayed.push_back((now + delay, std::mem::take(written)));
            }
        }
        while let Some((_, bytes)) = self.delayed.pop_front_if(|(due, _)| *due <= now) {
            self.ready.extend_from_slice(&bytes);
        }
    }

    /// Writes a piece, or flushes. Nothing is lost when it is dropped before it ends.
    async fn write<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> std::io::Result<()> {
        if self.ready.is_empty() {
            writer.flush().await?;
            self.unflushed = false;
            return Ok(());
        }
        if writer.write_buf(&mut self.ready).await? == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        self.unflushed = true;
        Ok(())
    }
}
