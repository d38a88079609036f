//! One AMQP connection, shared by a source's readers, and its replacement when it is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Connection, Session};
use fe2o3_amqp_types::primitives::Value;
use secrecy::ExposeSecret;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

use crate::budget::FRAME_BYTES;
use crate::credential::{Credential, Token};
use crate::failure::Failure;
use crate::management::{
    HubProperties, PartitionProperties, accepted, hub_properties, hub_question, partition_properties,
    partition_question,
};
use crate::rpc::{Question, Rpc, unique};
use crate::timeouts::{RetryPolicy, Timeouts, within};
use crate::transport::{Endpoint, dial};

/// What every connection of a source is made from.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) hub: String,
    pub(crate) credential: Credential,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    /// Tokens are kept until three quarters of their life are over.
    token: Mutex<Option<Kept>>,
    /// How many tokens were had.
    tokens: AtomicU64,
    /// Bytes that arrived on all connections.
    pub(crate) wire_bytes: Arc<AtomicU64>,
}

/// Tells one token from the next.
pub(crate) type TokenNumber = u64;

/// A token in use.
#[derive(Debug, Clone)]
struct Kept {
    token: Token,
    /// When the next one is due.
    fresh_until: Instant,
    number: TokenNumber,
}

impl Kept {
    /// Not due, and not expired by the wall clock either: it goes on while a process is suspended, this one's may not.
    fn is_fresh(&self) -> bool {
        Instant::now() < self.fresh_until && self.token.expires_at.is_none_or(|expires| SystemTime::now() < expires)
    }
}

impl Settings {
    pub(crate) fn new(
        endpoint: Endpoint,
        hub: String,
        credential: Credential,
        timeouts: Timeouts,
        retry: RetryPolicy,
    ) -> Self {
        let wire_bytes = Arc::new(AtomicU64::new(0));
        let tokens = AtomicU64::new(0);
        Self { endpoint, hub, credential, timeouts, retry, token: Mutex::new(None), tokens, wire_bytes }
    }

    /// The resource that tokens are for: the hub.
    fn audience(&self) -> String {
        format!("amqps://{}/{}", self.endpoint.host, self.hub)
    }

    /// A token that is fresh.
    async fn token(&self) -> Result<Kept, Failure> {
        let mut kept = self.token.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh()) {
            return Ok(kept.clone());
        }
        let now = SystemTime::now();
        let token = self.credential.token(&self.audience(), now).await?;
        let life = match token.expires_at {
            Some(expires_at) => expires_at.duration_since(now).unwrap_or_default(),
            None => Duration::from_secs(24 * 3600),
        };
        // A token that is as good as expired is not asked for in a spin.
        let fresh_until = Instant::now() + life.mul_f64(0.75).max(Duration::from_secs(1));
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        Ok(kept.insert(Kept { token, fresh_until, number }).clone())
    }

    /// The service refused a token, the one in use if it is not known which. Whether there is another one, which
    /// whoever was refused along with others may have brought about already.
    pub(crate) async fn replace_token(&self, refused: Option<TokenNumber>) -> bool {
        let replacing = async {
            let mut kept = self.token.lock().await;
            let Some(current) = kept.as_ref() else { return true };
            if refused.is_some_and(|refused| refused != current.number) {
                return true;
            }
            let another = self.credential.rejected(&current.token).await;
            if another {
                tracing::info!("the token was refused, trying with another");
                *kept = None;
            }
            another
        };
        within(self.timeouts.authorize, "getting another token", replacing).await.unwrap_or(false)
    }
}

/// A connection that was opened.
#[derive(Debug)]
pub(crate) struct Live {
    settings: Arc<Settings>,
    handle: Mutex<ConnectionHandle<()>>,
    cbs: Mutex<Option<Rpc>>,
    management: Mutex<Option<Rpc>>,
    /// Link addresses that were authorised.
    grants: SyncMutex<HashMap<String, Grant>>,
}

/// An address that a token was presented for.
#[derive(Debug)]
struct Grant {
    /// When the token is to be renewed.
    due: Instant,
    /// How many links use it; without any it is not renewed.
    links: usize,
}

impl Live {
    async fn open(settings: Arc<Settings>) -> Result<Self, Failure> {
        let timeouts = &settings.timeouts;
        let stream = dial(&settings.endpoint, timeouts, Arc::clone(&settings.wire_bytes)).await?;
        let container = format!("{}-{:x}", unique("tributary"), std::process::id());
        let opening = Connection::builder()
            .container_id(container)
            .hostname(settings.endpoint.host.as_str())
            .sasl_hostname(settings.endpoint.host.as_str())
            .max_frame_size(FRAME_BYTES as u32)
            .channel_max(1023_u16)
            .idle_time_out(u32::try_from(timeouts.idle.as_millis()).unwrap_or(u32::MAX))
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(stream);
        let handle = within(timeouts.open, "opening the connection", opening).await??;
        Ok(Self {
            handle: Mutex::new(handle),
            cbs: Mutex::new(None),
            management: Mutex::new(None),
            grants: SyncMutex::new(HashMap::new()),
            settings,
        })
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.settings.timeouts
    }

    async fn is_closed(&self) -> bool {
        self.handle.lock().await.is_closed()
    }

    /// Begins a session that takes `window` frames, with room for `buffer` of all kinds: as long as the buffer is
    /// larger than the window, a session that is not read never holds up the connection.
    pub(crate) async fn begin(&self, window: usize, buffer: usize) -> Result<SessionHandle<()>, Failure> {
        let mut handle = self.handle.lock().await;
        let session = Session::builder()
            .incoming_window(u32::try_from(window).unwrap_or(u32::MAX))
            .buffer_size(buffer)
            .begin(&mut handle);
        Ok(within(self.timeouts().begin, "beginning a session", session).await??)
    }

    /// Presents a token for a link's address; returns which.
    pub(crate) async fn authorize(self: &Arc<Self>, address: &str) -> Result<TokenNumber, Failure> {
        let limit = self.timeouts().authorize;
        within(limit, "presenting a token", self.put_token(address)).await?
    }

    async fn put_token(self: &Arc<Self>, address: &str) -> Result<TokenNumber, Failure> {
        let Kept { token, fresh_until, number } = self.settings.token().await?;
        let name = format!("amqps://{}/{address}", self.settings.endpoint.host);
        let question = Question {
            properties: vec![("operation", "put-token".into()), ("type", token.kind.as_str().into()), ("name", name)],
            value: Value::String(token.secret.expose_secret().to_owned()),
        };
        let mut cbs = self.cbs.lock().await;
        let answer = ask(self, &mut cbs, "$cbs", question).await?;
        accepted(answer).map_err(|failure| failure.of_token(number))?;
        self.grants()
            .entry(address.to_owned())
            .and_modify(|grant| grant.due = fresh_until)
            .or_insert(Grant { due: fresh_until, links: 0 });
        Ok(number)
    }

    fn grants(&self) -> std::sync::MutexGuard<'_, HashMap<String, Grant>> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link uses the address: its token is renewed by [`Live::renew`] until [`Live::forget`].
    pub(crate) fn hold(&self, address: &str) {
        if let Some(grant) = self.grants().get_mut(address) {
            grant.links = grant.links.saturating_add(1);
        }
    }

    /// A link uses the address no more.
    pub(crate) fn forget(&self, address: &str) {
        let mut grants = self.grants();
        if let Some(grant) = grants.get_mut(address) {
            grant.links = grant.links.saturating_sub(1);
            if grant.links == 0 {
                grants.remove(address);
            }
        }
    }

    /// The token that was presented is worth nothing any more: the next is presented for every address.
    fn expire_grants(&self) {
        let now = Instant::now();
        self.grants().values_mut().for_each(|grant| grant.due = now);
    }

    /// When the next token of a link is to be renewed.
    pub(crate) fn renewal_due(&self) -> Option<Instant> {
        self.grants().values().filter(|grant| grant.links > 0).map(|grant| grant.due).min()
    }

    /// Renews the tokens that are due, of all links. What fails is tried again soon; when it goes on failing, the
    /// service detaches the link and the reader's recovery says why.
    pub(crate) async fn renew(self: &Arc<Self>) {
        let now = Instant::now();
        let mut due = Vec::new();
        for (address, grant) in self.grants().iter_mut() {
            if grant.links > 0 && grant.due <= now {
                // Claimed before the first await: two readers do not renew the same one. A failure waits this long.
                grant.due = now + self.timeouts().authorize.min(Duration::from_secs(5));
                due.push(address.clone());
            }
        }
        for address in due {
            let mut renewed = self.authorize(&address).await;
            if let Err(failure) = &renewed
                && failure.unauthorized
                && self.settings.replace_token(failure.token).await
            {
                renewed = self.authorize(&address).await;
            }
            match renewed {
                Ok(_) => tracing::debug!(address, "token renewed"),
                Err(failure) => tracing::warn!(address, detail = failure.detail, "token not renewed, will try again"),
            }
        }
    }

    pub(crate) async fn hub_properties(self: &Arc<Self>) -> Result<HubProperties, Failure> {
        let (token, number) = self.management_token().await?;
        let answer = self.manage(hub_question(&self.settings.hub, token)).await;
        hub_properties(answer.map_err(|failure| failure.of_token(number))?)
    }

    pub(crate) async fn partition_properties(
        self: &Arc<Self>,
        partition: &str,
    ) -> Result<PartitionProperties, Failure> {
        let (token, number) = self.management_token().await?;
        let answer = self.manage(partition_question(&self.settings.hub, partition, token)).await;
        partition_properties(answer.map_err(|failure| failure.of_token(number))?)
    }

    async fn management_token(&self) -> Result<(String, TokenNumber), Failure> {
        let kept = within(self.timeouts().authorize, "getting a token", self.settings.token()).await??;
        Ok((kept.token.secret.expose_secret().to_owned(), kept.number))
    }

    async fn manage(self: &Arc<Self>, question: Question) -> Result<Value, Failure> {
        let address = format!("{}/$management", self.settings.hub);
        let fresh = self.grants().get(&address).is_some_and(|grant| Instant::now() < grant.due);
        if !fresh {
            self.authorize(&address).await?;
        }
        let mut management = self.management.lock().await;
        let answer = ask(self, &mut management, "$management", question).await?;
        accepted(answer)
    }

    /// Closes in order: links and sessions of questions, then the connection. Readers must be closed before.
    async fn close(&self) -> Result<(), Failure> {
        let management = self.management.lock().await.take();
        let cbs = self.cbs.lock().await.take();
        for rpc in [management, cbs].into_iter().flatten() {
            rpc.close().await;
        }
        let mut handle = self.handle.lock().await;
        if handle.is_closed() {
            return Ok(());
        }
        // What the peer says at the end no longer matters, only that it said something.
        let _ = within(self.timeouts().close, "closing the connection", handle.close()).await?;
        Ok(())
    }
}

/// Asks on the pair in `slot`, opening one if there is none.
async fn ask(
    live: &Arc<Live>,
    slot: &mut Option<Rpc>,
    node: &'static str,
    question: Question,
) -> Result<crate::rpc::Answer, Failure> {
    if slot.as_ref().is_none_or(Rpc::is_closed) {
        *slot = Some(Rpc::open(live, node).await?);
    }
    match slot.as_ref() {
        Some(rpc) => rpc.call(question).await,
        None => Err(Failure::transient(format!("no links to {node}"))),
    }
}

/// Gives out the connection and opens another when it is gone.
#[derive(Debug)]
pub(crate) struct Connector {
    settings: Arc<Settings>,
    slot: Mutex<Slot>,
    opened: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    current: Option<Arc<Live>>,
    /// Connections that are no longer given out but that links may still use.
    retired: Vec<Weak<Live>>,
    closed: bool,
}

impl Connector {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, slot: Mutex::default(), opened: AtomicU64::new(0) }
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// How many connections were opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// The connection; callers that come while it is being opened wait for the same one.
    pub(crate) async fn live(&self) -> Result<Arc<Live>, Failure> {
        let mut slot = self.slot.lock().await;
        if slot.closed {
            return Err(Failure::fatal("the source was closed: open another"));
        }
        if let Some(live) = &slot.current {
            if !live.is_closed().await {
                return Ok(Arc::clone(live));
            }
            slot.current = None;
        }
        // In a task of its own: a broken frame during the opening panics the library, and that is no more than a failed
        // attempt.
        let opening = tokio::spawn(Live::open(Arc::clone(&self.settings)));
        let opened = opening.await.map_err(|_| Failure::transient("the server broke the protocol while opening"))?;
        let live = Arc::new(opened?);
        self.opened.fetch_add(1, Ordering::Relaxed);
        slot.current = Some(Arc::clone(&live));
        Ok(live)
    }

    /// A deadline passed on this connection: do not give it out again. Links that work on it may go on.
    pub(crate) async fn suspect(&self, live: &Arc<Live>) {
        let mut slot = self.slot.lock().await;
        if slot.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, live)) {
            slot.current = None;
            slot.retired.retain(|retired| retired.strong_count() > 0);
            slot.retired.push(Arc::downgrade(live));
        }
    }

    /// Closes every connection; no other is opened.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        let (current, retired) = {
            let mut slot = self.slot.lock().await;
            slot.closed = true;
            (slot.current.take(), std::mem::take(&mut slot.retired))
        };
        for live in retired.iter().filter_map(Weak::upgrade) {
            // It was given up already; only try not to leave it open.
            let _ = live.close().await;
        }
        match current {
            Some(live) => live.close().await,
            None => Ok(()),
        }
    }

    /// Runs `attempt` on the connection until it succeeds, fails for good, or the time for retries is over. A token
    /// that is refused is replaced once, if there is another.
    ///
    /// Once `keep` is closed no further attempt is made; one that is under way is not cut.
    pub(crate) async fn retrying<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        mut keep: Option<oneshot::Receiver<()>>,
        mut attempt: impl FnMut(Arc<Live>) -> F,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let mut tries = 0_u32;
        let mut replaced = false;
        loop {
            let failure = match self.live().await {
                Ok(live) => match attempt(Arc::clone(&live)).await {
                    Ok(value) => return Ok(value),
                    Err(failure) => {
                        if failure.timed_out {
                            self.suspect(&live).await;
                        }
                        if failure.unauthorized && !replaced && self.settings.replace_token(failure.token).await {
                            replaced = true;
                            live.expire_grants();
                            continue;
                        }
                        failure
                    }
                },
                Err(failure) => failure,
            };
            if !failure.is_worth_a_retry() {
                return Err(failure);
            }
            let pause = self.settings.retry.pause(tries, &failure);
            tries = tries.saturating_add(1);
            if started.elapsed().saturating_add(pause) > self.settings.retry.give_up_after {
                return Err(failure.after(tries, started.elapsed()));
            }
            tracing::debug!(tries, ?pause, detail = failure.detail, "trying again");
            match keep.as_mut() {
                None => tokio::time::sleep(pause).await,
                Some(keep) => {
                    if tokio::time::timeout(pause, keep).await.is_ok() {
                        return Err(failure);
                    }
                }
            }
        }
    }
}
