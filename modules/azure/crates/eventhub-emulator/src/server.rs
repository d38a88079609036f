//! The emulator: its builder, its listeners, its end.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    Error, Faults, HubConfig, HubHandle,
    auth::{Authority, sign},
    condition,
    error::Refusal,
    event::{from_millis, to_millis},
    faults::{Command, FaultState},
    hub::Hubs,
    jwt::JwtIssuer,
    listener::{self, Transport},
};

/// The key name when none is configured, that of Microsoft's own emulator.
pub const DEFAULT_KEY_NAME: &str = "RootManageSharedAccessKey";
/// The key when none is configured, that of Microsoft's own emulator.
pub const DEFAULT_KEY: &str = "SAS_KEY_VALUE";

/// How long `shutdown` waits for the peers to answer a close.
const GOODBYE: Duration = Duration::from_secs(1);

/// Everything that the connections of one emulator share.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) hubs: Hubs,
    pub(crate) authority: Authority,
    pub(crate) faults: FaultState,
    pub(crate) limits: Limits,
}

/// What the emulator announces and enforces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest frame that is accepted, in bytes.
    pub(crate) max_frame_size: u32,
    /// The largest message or batch that is accepted, in bytes.
    pub(crate) max_message_size: u64,
    /// A connection that is silent for longer is closed.
    pub(crate) idle_timeout: Duration,
    /// Links whose token has expired are detached; else expiry counts only when a link is attached.
    pub(crate) detach_on_expiry: bool,
    /// A refused attach has no source and target, as the standard wants it.
    pub(crate) null_terminus_on_refusal: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_size: 65536,
            max_message_size: 1024 * 1024,
            idle_timeout: Duration::from_secs(240),
            detach_on_expiry: false,
            null_terminus_on_refusal: false,
        }
    }
}

impl Namespace {
    pub(crate) fn hub(&self, name: &str) -> Result<HubHandle, Error> {
        match self.hubs.get(name) {
            Some(hub) => Ok(HubHandle { hub: hub.clone() }),
            None => Err(Error::NoSuchHub { hub: name.to_owned() }),
        }
    }
}

/// Configures an [`Emulator`].
#[derive(Debug, Default)]
pub struct EmulatorBuilder {
    hubs: Vec<HubConfig>,
    keys: Vec<(String, String)>,
    bearer_tokens: Vec<String>,
    issuers: Vec<JwtIssuer>,
    plain: Option<String>,
    tls: Option<(String, Arc<rustls::ServerConfig>)>,
    websocket: Option<(String, Option<Arc<rustls::ServerConfig>>)>,
    limits: Limits,
}

impl EmulatorBuilder {
    /// Adds a hub.
    #[must_use]
    pub fn hub(mut self, hub: HubConfig) -> Self {
        self.hubs.push(hub);
        self
    }

    /// Adds a shared access key for the whole namespace. Without any, there is one with [`DEFAULT_KEY_NAME`] and
    /// [`DEFAULT_KEY`].
    #[must_use]
    pub fn key(mut self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.keys.push((name.into(), key.into()));
        self
    }

    /// Accepts this very text as a bearer token (type `jwt`) for every entity. It is compared, not parsed.
    #[must_use]
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.bearer_tokens.push(token.into());
        self
    }

    /// Accepts the bearer tokens of this issuer (type `jwt`) for every entity, until they expire.
    #[must_use]
    pub fn jwt_issuer(mut self, issuer: JwtIssuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Listens for plain AMQP on `host:port`; port 0 takes a free one. This is the default, on `127.0.0.1:0`, when
    /// no listener is configured.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.plain = Some(address.into());
        self
    }

    /// Listens for AMQP over TLS.
    #[must_use]
    pub fn listen_tls(mut self, address: impl Into<String>, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some((address.into(), config));
        self
    }

    /// Listens for AMQP over WebSockets (`ws://`), path `/$servicebus/websocket/`, subprotocol `AMQPWSB10`.
    #[must_use]
    pub fn listen_websocket(mut self, address: impl Into<String>) -> Self {
        self.websocket = Some((address.into(), None));
        self
    }

    /// Listens for AMQP over WebSockets over TLS (`wss://`).
    #[must_use]
    pub fn listen_websocket_tls(mut self, address: impl Into<String>, config: Arc<rustls::ServerConfig>) -> Self {
        self.websocket = Some((address.into(), Some(config)));
        self
    }

    /// The largest message or batch that is accepted, in bytes. 1 MiB unless set.
    #[must_use]
    pub fn max_message_size(mut self, bytes: u64) -> Self {
        self.limits.max_message_size = bytes;
        self
    }

    /// The largest frame that is accepted, in bytes, at least 512. 65,536 unless set.
    #[must_use]
    pub fn max_frame_size(mut self, bytes: u32) -> Self {
        self.limits.max_frame_size = bytes.max(crate::wire::frame::MIN_MAX_FRAME_SIZE);
        self
    }

    /// How long a connection may be silent before it is closed. Half of it is announced to the peers, which then send
    /// empty frames that often. 240 s unless set.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// Also detaches links whose token expires while they are attached. Without it, an expired token only keeps new
    /// links from being attached.
    #[must_use]
    pub fn detach_on_expiry(mut self) -> Self {
        self.limits.detach_on_expiry = true;
        self
    }

    /// Answers a refused attach without source and target before the detach, as the standard wants it. Without it, they
    /// are echoed, because Microsoft's Python client loses the error otherwise.
    #[must_use]
    pub fn null_terminus_on_refusal(mut self) -> Self {
        self.limits.null_terminus_on_refusal = true;
        self
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// A hub is invalid, or an address cannot be listened on.
    pub async fn start(mut self) -> Result<Emulator, Error> {
        if self.keys.is_empty() {
            self.keys.push((DEFAULT_KEY_NAME.to_owned(), DEFAULT_KEY.to_owned()));
        }
        if self.plain.is_none() && self.tls.is_none() && self.websocket.is_none() {
            self.plain = Some("127.0.0.1:0".to_owned());
        }
        let namespace = Arc::new(Namespace {
            hubs: Hubs::new(self.hubs)?,
            authority: Authority::new(self.keys, self.bearer_tokens, self.issuers),
            faults: FaultState::default(),
            limits: self.limits,
        });
        let (stop, stopped) = watch::channel(false);
        let mut emulator = Emulator { namespace, address: None, tls: None, websocket: None, stop, tasks: Vec::new() };
        if let Some(address) = self.plain {
            emulator.address = Some(emulator.listen(&address, Transport::Plain, &stopped).await?);
        }
        if let Some((address, config)) = self.tls {
            emulator.tls = Some(emulator.listen(&address, Transport::Tls(config.into()), &stopped).await?);
        }
        if let Some((address, config)) = self.websocket {
            let transport = Transport::WebSocket(config.map(Into::into));
            emulator.websocket = Some(emulator.listen(&address, transport, &stopped).await?);
        }
        Ok(emulator)
    }
}

/// A running Event Hubs namespace. Dropping it ends it at once; [`shutdown`](Self::shutdown) says goodbye first.
#[derive(Debug)]
pub struct Emulator {
    namespace: Arc<Namespace>,
    address: Option<SocketAddr>,
    tls: Option<SocketAddr>,
    websocket: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Emulator {
    /// A builder without hubs, keys and listeners.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    async fn listen(
        &mut self,
        address: &str,
        transport: Transport,
        stopped: &watch::Receiver<bool>,
    ) -> Result<SocketAddr, Error> {
        let listener = listener::bind(address).await?;
        let address = listener.local_addr().map_err(|source| Error::Address { address: address.to_owned(), source })?;
        let task = listener::run(listener, transport, self.namespace.clone(), stopped.clone());
        self.tasks.push(tokio::spawn(task));
        Ok(address)
    }

    /// The address of the first listener: plain AMQP when there is one, else TLS, else WebSockets.
    pub fn address(&self) -> SocketAddr {
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        self.address.or(self.tls).or(self.websocket).unwrap_or(unspecified)
    }

    /// The address of the TLS listener.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls
    }

    /// The address of the WebSocket listener.
    pub fn websocket_address(&self) -> Option<SocketAddr> {
        self.websocket
    }

    /// A connection string for a hub, with the first key. `UseDevelopmentEmulator=true` makes Microsoft's clients speak
    /// plain AMQP; it is left out when there is no plain listener.
    pub fn connection_string(&self, hub: &str) -> String {
        let (name, key) = self.first_key();
        let development = if self.address.is_some() { "UseDevelopmentEmulator=true;" } else { "" };
        let mut address = self.address();
        if address.ip().is_unspecified() {
            // Listening everywhere is no address to connect to.
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!(
            "Endpoint=sb://{address};SharedAccessKeyName={name};SharedAccessKey={key};{development}EntityPath={hub}"
        )
    }

    /// A shared access token for a hub, signed with the first key. A negative time is past: the token is expired.
    pub fn sas_token(&self, hub: &str, valid_seconds: i64) -> String {
        let (name, key) = self.first_key();
        let now_ms = to_millis(SystemTime::now());
        let expires = from_millis(now_ms.saturating_add(valid_seconds.saturating_mul(1000)));
        sign(&format!("sb://{}/{hub}", self.address()), &name, &key, expires)
    }

    fn first_key(&self) -> (String, String) {
        let first = self.namespace.authority.first_key();
        first.unwrap_or_else(|| (DEFAULT_KEY_NAME.to_owned(), DEFAULT_KEY.to_owned()))
    }

    /// Gives a shared access key another value: tokens that the old one signed are refused from now on. Links that are
    /// attached stay attached until their token expires. False when no key has this name.
    pub fn replace_key(&self, name: &str, key: impl Into<String>) -> bool {
        self.namespace.authority.replace_key(name, key.into())
    }

    /// A hub.
    ///
    /// # Errors
    /// No hub has this name.
    pub fn hub(&self, name: &str) -> Result<HubHandle, Error> {
        self.namespace.hub(name)
    }

    /// The names of all hubs, in no order.
    pub fn hub_names(&self) -> Vec<String> {
        self.namespace.hubs.names().map(str::to_owned).collect()
    }

    /// What can go wrong, on demand.
    pub fn faults(&self) -> Faults {
        Faults { namespace: self.namespace.clone() }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.namespace.faults.connections().len()
    }

    /// Closes every connection with `amqp:connection:forced`, waits a second at most for the peers to answer, and
    /// stops.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let goodbye = Command::Close(Refusal::new(condition::CONNECTION_FORCED, "the emulator shuts down"));
        for connection in self.namespace.faults.connections() {
            connection.command(goodbye.clone());
        }
        let tasks: Vec<_> = self.tasks.iter_mut().collect();
        // What has not ended by then is aborted by the drop.
        let _ = tokio::time::timeout(GOODBYE, futures_util::future::join_all(tasks)).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
