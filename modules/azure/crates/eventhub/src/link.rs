//! A partition's receiver link with its session: attached with zero credit, closed in order.

use std::sync::Arc;

use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp_types::definitions::{Fields, SenderSettleMode};
use fe2o3_amqp_types::messaging::{Body as AmqpBody, Source};
use fe2o3_amqp_types::primitives::{Symbol, Value};
use futures_util::FutureExt;
use tributary_pipeline::StartPosition;

use crate::budget::Share;
use crate::connection::{Live, TokenNumber};
use crate::failure::Failure;
use crate::filter::filter;
use crate::rpc::unique;
use crate::timeouts::{Timeouts, within};

/// What a link is attached to.
#[derive(Debug, Clone)]
pub(crate) struct LinkSpec {
    pub(crate) address: String,
    pub(crate) receiver_name: String,
    /// `None` for a reader that claims nothing.
    pub(crate) epoch: Option<i64>,
    pub(crate) share: Share,
}

/// An attached receiver. Dropping it closes it in order in the background: the library's own drop would end the
/// session while the peer still sends, which costs the whole connection (six of six runs).
#[derive(Debug)]
pub(crate) struct PartitionLink {
    parts: Option<(SessionHandle<()>, Receiver)>,
    pub(crate) live: Arc<Live>,
    address: String,
    /// What it was attached with.
    pub(crate) token: TokenNumber,
}

impl PartitionLink {
    /// Authorises the address, begins a session of its own and attaches with zero credit.
    ///
    /// Must run in a task that is not cancelled.
    pub(crate) async fn attach(live: &Arc<Live>, spec: &LinkSpec, start: &StartPosition) -> Result<Self, Failure> {
        let token = live.authorize(&spec.address).await?;
        live.hold(&spec.address);
        // Room for every frame of the window and for what else a session is told: it never holds up the connection.
        let buffer = spec.share.window.saturating_mul(2).saturating_add(64);
        let mut session = match live.begin(spec.share.window, buffer).await {
            Ok(session) => session,
            Err(failure) => {
                live.forget(&spec.address);
                return Err(failure);
            }
        };
        match Self::attach_receiver(&mut session, live.timeouts(), spec, start).await {
            Ok(receiver) => {
                let parts = Some((session, receiver));
                Ok(Self { parts, live: Arc::clone(live), address: spec.address.clone(), token })
            }
            Err(failure) => {
                live.forget(&spec.address);
                let _ = within(live.timeouts().end, "ending the session", session.end()).await;
                Err(failure.of_token(token))
            }
        }
    }

    async fn attach_receiver(
        session: &mut SessionHandle<()>,
        timeouts: &Timeouts,
        spec: &LinkSpec,
        start: &StartPosition,
    ) -> Result<Receiver, Failure> {
        let source = Source::builder().address(spec.address.clone()).filter(filter(start)?).build();
        let mut properties = Fields::new();
        if let Some(epoch) = spec.epoch {
            properties.insert(Symbol::from("com.microsoft:epoch"), Value::Long(epoch));
        }
        properties.insert(Symbol::from("com.microsoft:receiver-name"), Value::String(spec.receiver_name.clone()));
        let mut builder = Receiver::builder()
            .name(unique(&spec.receiver_name))
            .source(source)
            .properties(properties)
            .add_desired_capabilities("com.microsoft:enable-receiver-runtime-metric")
            // Settled by the sender: a disposition for every event would cost half of the CPU.
            .sender_settle_mode(SenderSettleMode::Settled)
            // Deliveries that are not settled all the same are accepted in one go after they were collected, and
            // credit is granted by hand: so nothing is awaited between taking a delivery and keeping it.
            .auto_accept(false)
            .credit_mode(CreditMode::Manual);
        builder.buffer_size = spec.share.window;
        Ok(within(timeouts.attach, "attaching the receiver", builder.attach(session)).await??)
    }

    pub(crate) fn receiver(&mut self) -> Result<&mut Receiver, Failure> {
        match self.parts.as_mut() {
            Some((_, receiver)) => Ok(receiver),
            None => Err(Failure::transient("the link was closed")),
        }
    }

    /// Fails when the peer has ended the link already.
    ///
    /// The service answers an attach that it refuses with an attach, and ends it with the reason right after: only an
    /// answer to a later question shows that the link stands.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.receiver()?.recv::<AmqpBody<Value>>().now_or_never() {
            None => Ok(()),
            Some(Err(error)) => Err(Failure::from(error).of_token(self.token)),
            Some(Ok(_)) => Err(Failure::transient("an event came before any credit was granted")),
        }
    }

    /// Detaches the receiver and ends the session; runs to its end even when the caller is cancelled.
    pub(crate) async fn close(mut self) {
        if let Some(task) = self.start_closing() {
            let _ = task.await;
        }
    }

    fn start_closing(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        let (mut session, receiver) = self.parts.take()?;
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        self.live.forget(&self.address);
        let live = Arc::clone(&self.live);
        Some(runtime.spawn(async move {
            let timeouts = live.timeouts();
            // Both ends may be gone already; what they answer changes nothing.
            let _ = within(timeouts.detach, "detaching", receiver.close()).await;
            let _ = within(timeouts.end, "ending the session", session.end()).await;
        }))
    }
}

impl Drop for PartitionLink {
    fn drop(&mut self) {
        drop(self.start_closing());
    }
}
