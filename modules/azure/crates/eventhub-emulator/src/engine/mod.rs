//! The protocol of one connection, without input and output: frames in, frames out.
//!
//! [`Engine::receive`] takes what was read, [`Engine::pump`] adds what can be delivered, and both append frames to one
//! output buffer. Everything is called from the connection's own task, so that nothing here waits and nothing needs a
//! lock but the partitions and the faults, which connections share.

mod attach;
mod deliver;
mod link;
mod requests;
mod session;
mod transfer;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Buf, BytesMut};
use fe2o3_amqp_types::{
    definitions,
    performatives::{Attach, Begin, Close, Detach, Disposition, End, Flow, Open},
    primitives::{Array, OrderedMap, Symbol, Value},
    sasl::{SaslCode, SaslInit, SaslMechanisms, SaslOutcome},
};
use tokio::{sync::Notify, time::Instant};

use self::{requests::Parked, session::Session};
use crate::{
    auth::Grant,
    condition,
    error::Refusal,
    faults::{Command, Remote},
    server::Namespace,
    wire::{
        Malformed,
        frame::{self, AMQP_HEADER, Frame, MIN_MAX_FRAME_SIZE, SASL_HEADER, code},
    },
};

/// In the order in which a client should prefer them.
const MECHANISMS: [&str; 4] = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"];
/// Announced on open: channels are numbered up to this.
const CHANNEL_MAX: u16 = 4999;
/// How long the answer to a close is waited for.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first header is awaited.
    Header,
    /// The SASL mechanism is awaited.
    Sasl,
    /// The header after SASL is awaited.
    HeaderAfterSasl,
    /// The open frame is awaited.
    Open,
    Running,
    /// Our close is sent, the peer's is awaited.
    Closing,
    /// Nothing more is read; what is in the output still goes out.
    Closed,
    /// The connection is to be reset.
    Reset,
}

/// One connection's state.
pub(crate) struct Engine {
    namespace: Arc<Namespace>,
    remote: Arc<Remote>,
    stage: Stage,
    out: BytesMut,
    /// The largest frame that the peer takes.
    max_frame_size: usize,
    /// An empty frame is sent this often; half of what the peer asked for.
    heartbeat: Option<Duration>,
    last_sent: Instant,
    last_received: Instant,
    close_by: Option<Instant>,
    grants: Vec<Grant>,
    sessions: BTreeMap<u16, Session>,
    parked: Vec<Parked>,
    /// The receivers of this connection, as (channel, handle), in the order of attaching.
    consumers: Vec<(u16, u32)>,
    /// Which of them goes first next time.
    turn: usize,
}

impl Engine {
    pub(crate) fn new(namespace: Arc<Namespace>, remote: Arc<Remote>) -> Self {
        let now = Instant::now();
        Self {
            namespace,
            remote,
            stage: Stage::Header,
            out: BytesMut::new(),
            max_frame_size: MIN_MAX_FRAME_SIZE as usize,
            heartbeat: None,
            last_sent: now,
            last_received: now,
            close_by: None,
            grants: Vec::new(),
            sessions: BTreeMap::new(),
            parked: Vec::new(),
            consumers: Vec::new(),
            turn: 0,
        }
    }

    /// What wakes this connection from outside.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        self.remote.wake.clone()
    }

    pub(crate) fn output(&mut self) -> &mut BytesMut {
        if !self.out.is_empty() {
            self.last_sent = Instant::now();
        }
        &mut self.out
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Whether the peer had its time to answer a close, or to read what was still to be written.
    pub(crate) fn is_given_up(&self) -> bool {
        self.close_by.is_some_and(|by| by <= Instant::now())
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.stage == Stage::Reset
    }

    pub(crate) fn delay(&self) -> Duration {
        self.namespace.faults.delay()
    }

    pub(crate) fn hang_until(&self) -> Option<Instant> {
        self.namespace.faults.hang_until()
    }

    /// Does what a fault, or the emulator's end, commands.
    pub(crate) fn obey(&mut self) {
        match self.remote.take_command() {
            Some(Command::Close(refusal)) => self.close(&refusal),
            Some(Command::Reset) => self.stage = Stage::Reset,
            None => {}
        }
    }

    /// When [`tick`](Self::tick) is to be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if matches!(self.stage, Stage::Closing | Stage::Closed) {
            return self.close_by;
        }
        let idle = self.last_received + self.namespace.limits.idle_timeout;
        let heartbeat = self.heartbeat.map(|every| self.last_sent + every);
        let parked = self.parked.iter().map(|parked| parked.until).min();
        let expiry = self.next_expiry();
        [Some(idle), heartbeat, parked, expiry].into_iter().flatten().min()
    }

    /// Does what is due by time.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        if matches!(self.stage, Stage::Closing | Stage::Closed) {
            return;
        }
        if self.last_received + self.namespace.limits.idle_timeout <= now {
            self.close(&Refusal::new(condition::RESOURCE_LIMIT_EXCEEDED, "the connection was idle for too long"));
        }
        if self.stage == Stage::Running && self.heartbeat.is_some_and(|every| self.last_sent + every <= now) {
            frame::put_heartbeat(&mut self.out);
        }
        self.unpark();
        self.detach_expired();
    }

    /// Takes what was read.
    pub(crate) fn receive(&mut self, input: &mut BytesMut) {
        self.last_received = Instant::now();
        if let Err(malformed) = self.try_receive(input) {
            tracing::debug!(%malformed, "the peer broke the protocol");
            input.clear();
            match self.stage {
                Stage::Running | Stage::Open => {
                    self.close(&Refusal::new(condition::FRAMING_ERROR, malformed.to_string()));
                    // Whatever comes next cannot be told apart.
                    self.finish();
                }
                _ => self.finish(),
            }
        }
    }

    fn try_receive(&mut self, input: &mut BytesMut) -> Result<(), Malformed> {
        loop {
            match self.stage {
                Stage::Header | Stage::HeaderAfterSasl => {
                    let Some(header) = input.get(..8) else { return Ok(()) };
                    let header: [u8; 8] = header.try_into().map_err(|_| Malformed("a header has eight bytes"))?;
                    input.advance(8);
                    self.on_header(header);
                }
                Stage::Closed | Stage::Reset => {
                    input.clear();
                    return Ok(());
                }
                _ => match frame::next_frame(input, self.namespace.limits.max_frame_size)? {
                    Some(frame) => self.on_frame(frame)?,
                    None => return Ok(()),
                },
            }
        }
    }

    fn on_header(&mut self, header: [u8; 8]) {
        match (header, self.stage) {
            (SASL_HEADER, Stage::Header) => {
                self.out.extend_from_slice(&SASL_HEADER);
                let mechanisms = MECHANISMS.iter().copied().map(Symbol::from).collect();
                frame::put_sasl(&mut self.out, &SaslMechanisms { sasl_server_mechanisms: Array(mechanisms) });
                self.stage = Stage::Sasl;
            }
            (AMQP_HEADER, _) => {
                self.out.extend_from_slice(&AMQP_HEADER);
                self.stage = Stage::Open;
            }
            // The standard: answer with what is spoken here, and close.
            _ => {
                self.out.extend_from_slice(&SASL_HEADER);
                self.finish();
            }
        }
    }

    fn on_frame(&mut self, frame: Frame) -> Result<(), Malformed> {
        let Some(body) = &frame.body else { return Ok(()) };
        let channel = frame.channel;
        match (self.stage, body.code) {
            (Stage::Sasl, code::SASL_INIT) if frame.sasl => self.on_sasl_init(&body.decode()?),
            (_, _) if frame.sasl => return Err(Malformed("a SASL frame where none is due")),
            (Stage::Open, code::OPEN) => self.on_open(&body.decode()?),
            (Stage::Closing, code::CLOSE) => self.finish(),
            (Stage::Closing, _) => {}
            (Stage::Open | Stage::Running, code::CLOSE) => {
                frame::put_performative(&mut self.out, 0, &Close { error: None }, 1);
                self.end_all();
                self.finish();
            }
            (Stage::Running, code::BEGIN) => self.on_begin(channel, &body.decode::<Begin>()?),
            (Stage::Running, code::ATTACH) => self.on_attach(channel, body.decode::<Attach>()?),
            (Stage::Running, code::FLOW) => self.on_flow(channel, &body.decode::<Flow>()?),
            (Stage::Running, code::TRANSFER) => self.on_transfer(channel, body.decode()?, body.payload.clone()),
            (Stage::Running, code::DISPOSITION) => self.on_disposition(channel, &body.decode::<Disposition>()?),
            (Stage::Running, code::DETACH) => self.on_detach(channel, &body.decode::<Detach>()?),
            (Stage::Running, code::END) => self.on_end(channel, &body.decode::<End>()?),
            _ => return Err(Malformed("a frame where it is not due")),
        }
        Ok(())
    }

    fn on_sasl_init(&mut self, init: &SaslInit) {
        let code = match init.mechanism.as_str() {
            "PLAIN" => match init.initial_response.as_ref().and_then(|response| plain(response)) {
                Some((name, key)) if self.namespace.authority.is_key(&name, &key) => {
                    self.grants.push(Grant::namespace());
                    SaslCode::Ok
                }
                _ => SaslCode::Auth,
            },
            // These give no identity: access is granted by tokens.
            mechanism if MECHANISMS.contains(&mechanism) => SaslCode::Ok,
            _ => SaslCode::Auth,
        };
        match code {
            SaslCode::Ok => self.stage = Stage::HeaderAfterSasl,
            _ => self.finish(),
        }
        frame::put_sasl(&mut self.out, &SaslOutcome { code, additional_data: None });
    }

    fn on_open(&mut self, open: &Open) {
        self.max_frame_size = open.max_frame_size.0.max(MIN_MAX_FRAME_SIZE) as usize;
        // A frame longer than ours would only make the output lumpy.
        self.max_frame_size = self.max_frame_size.min(1024 * 1024);
        self.heartbeat = open
            .idle_time_out
            .filter(|milliseconds| *milliseconds > 0)
            .map(|milliseconds| Duration::from_millis(u64::from(milliseconds) / 2).max(Duration::from_millis(10)));
        let limits = &self.namespace.limits;
        let reply = Open {
            container_id: "tributary-emulator".to_owned(),
            hostname: None,
            max_frame_size: limits.max_frame_size.into(),
            channel_max: CHANNEL_MAX.into(),
            // Half of it, as the standard advises: a peer may send its sign of life just in time.
            idle_time_out: u32::try_from(limits.idle_timeout.as_millis() / 2).ok(),
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: Some(properties("product", "tributary event hubs emulator")),
        };
        frame::put_performative(&mut self.out, 0, &reply, 10);
        self.stage = Stage::Running;
    }

    /// Nothing more is read. What is in the output still goes out, if the peer reads it in time.
    fn finish(&mut self) {
        self.stage = Stage::Closed;
        self.close_by.get_or_insert_with(|| Instant::now() + CLOSE_WAIT);
    }

    /// Closes the connection with an error. The peer has a second to answer.
    fn close(&mut self, refusal: &Refusal) {
        match self.stage {
            Stage::Running | Stage::Open => {
                if self.stage == Stage::Open {
                    // A close must follow an open.
                    self.on_open(&Open::from_container("unknown"));
                }
                frame::put_performative(&mut self.out, 0, &Close { error: Some(refusal.to_amqp()) }, 1);
                self.end_all();
                self.stage = Stage::Closing;
                self.close_by = Some(Instant::now() + CLOSE_WAIT);
            }
            Stage::Closing | Stage::Closed | Stage::Reset => {}
            Stage::Header | Stage::Sasl | Stage::HeaderAfterSasl => self.finish(),
        }
    }

    /// Whether a live token of this connection covers an entity.
    fn may_access(&self, path: &[String]) -> bool {
        let now = SystemTime::now();
        self.grants.iter().any(|grant| grant.covers(path, now))
    }

    /// Whether this connection gave a key by SASL, so that it needs no tokens.
    fn is_authenticated(&self) -> bool {
        self.grants.contains(&Grant::namespace())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end_all();
    }
}

trait FromContainer {
    fn from_container(name: &str) -> Self;
}

impl FromContainer for Open {
    fn from_container(name: &str) -> Self {
        Self {
            container_id: name.to_owned(),
            hostname: None,
            max_frame_size: MIN_MAX_FRAME_SIZE.into(),
            channel_max: CHANNEL_MAX.into(),
            idle_time_out: None,
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }
}

/// A non-empty map of properties: with it, no list of fields ends before its last one.
fn properties(name: &str, value: &str) -> definitions::Fields {
    OrderedMap::from_iter([(Symbol::from(name), Value::String(value.to_owned()))])
}

/// User name and password of SASL PLAIN: `[authorization] NUL user NUL password`.
fn plain(response: &[u8]) -> Option<(String, String)> {
    let mut fields = response.split(|byte| *byte == 0).skip(1);
    let mut next = || fields.next().and_then(|field| String::from_utf8(field.to_vec()).ok());
    Some((next()?, next()?))
}
