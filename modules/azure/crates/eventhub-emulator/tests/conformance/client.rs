//! A client of few lines on `fe2o3-amqp`, for what Microsoft's clients do not let a test do.

use std::time::Duration;

use fe2o3_amqp::{
    Connection, Receiver, Sender, Session,
    connection::ConnectionHandle,
    link::{LinkStateError, ReceiverAttachError, RecvError, receiver::CreditMode},
    sasl_profile::SaslProfile,
    session::SessionHandle,
};
use fe2o3_amqp_types::{
    definitions::{self, Fields, SenderSettleMode},
    messaging::{ApplicationProperties, Body, Message, Properties, Source, Target},
    primitives::{OrderedMap, SimpleValue, Symbol, Value},
};
use serde_amqp::{described::Described, descriptor::Descriptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tributary_azure_eventhub_emulator::Emulator;

pub(crate) const SAS: &str = "servicebus.windows.net:sastoken";
/// Nothing on one machine takes longer, unless it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A connection with one session.
pub(crate) struct Client {
    pub(crate) connection: ConnectionHandle<()>,
    pub(crate) session: SessionHandle<()>,
    token: String,
}

/// An answer of `$cbs` or `$management`.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) condition: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Value {
        let Value::Map(map) = &self.body else { panic!("no map: {self:?}") };
        map.get(&Value::String(name.to_owned())).cloned().unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    pub(crate) fn long(&self, name: &str) -> i64 {
        let Value::Long(value) = self.field(name) else { panic!("{name} is not a long: {self:?}") };
        value
    }
}

/// How a receiver attaches.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) address: String,
    pub(crate) filter: String,
    pub(crate) epoch: Option<i64>,
    pub(crate) credit: CreditMode,
    pub(crate) settled: bool,
}

impl Reading {
    pub(crate) fn of(hub: &str, partition: u32) -> Self {
        Self {
            address: format!("{hub}/ConsumerGroups/$Default/Partitions/{partition}"),
            filter: "amqp.annotation.x-opt-offset > '-1'".to_owned(),
            epoch: None,
            credit: CreditMode::Auto(300),
            settled: true,
        }
    }

    pub(crate) fn from(mut self, filter: &str) -> Self {
        self.filter = format!("amqp.annotation.{filter}");
        self
    }

    pub(crate) fn epoch(mut self, epoch: i64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    pub(crate) fn credit(mut self, credit: CreditMode) -> Self {
        self.credit = credit;
        self
    }
}

impl Client {
    /// Connects over plain TCP and puts a token for the hub.
    pub(crate) async fn connect(emulator: &Emulator, hub: &str) -> Self {
        let mut client = Self::open(emulator, SaslProfile::Anonymous).await;
        client.token = emulator.sas_token(hub, 3600);
        let token = client.token.clone();
        assert_eq!(client.put_token(SAS, &token, &format!("sb://test/{hub}")).await.status, 202);
        client
    }

    /// Connects without a token.
    pub(crate) async fn open(emulator: &Emulator, sasl: SaslProfile) -> Self {
        let stream = TcpStream::connect(emulator.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, sasl).await
    }

    /// Speaks AMQP over any stream.
    pub(crate) async fn over<S>(stream: S, sasl: SaslProfile) -> Self
    where
        S: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin + 'static,
    {
        let builder = Connection::builder().container_id("test").sasl_profile(sasl).max_frame_size(65536);
        let mut connection = within(builder.open_with_stream(stream)).await.unwrap();
        let session = within(Session::begin(&mut connection)).await.unwrap();
        Self { connection, session, token: String::new() }
    }

    /// Another session of the same connection: links end with their session.
    pub(crate) async fn session(&mut self) -> SessionHandle<()> {
        within(Session::begin(&mut self.connection)).await.unwrap()
    }

    pub(crate) async fn put_token(&mut self, kind: &str, token: &str, audience: &str) -> Answer {
        self.token = token.to_owned();
        let properties = [("operation", "put-token"), ("type", kind), ("name", audience)];
        self.call("$cbs", &properties, Value::String(token.to_owned())).await
    }

    pub(crate) async fn read_hub(&mut self, hub: &str) -> Answer {
        let token = self.token.clone();
        let properties =
            [("operation", "READ"), ("type", "com.microsoft:eventhub"), ("name", hub), ("security_token", &token)];
        self.call("$management", &properties, Value::Null).await
    }

    pub(crate) async fn read_partition(&mut self, hub: &str, partition: &str) -> Answer {
        let token = self.token.clone();
        let properties = [
            ("operation", "READ"),
            ("type", "com.microsoft:partition"),
            ("name", hub),
            ("partition", partition),
            ("security_token", &token),
        ];
        self.call("$management", &properties, Value::Null).await
    }

    /// One request on links of its own.
    pub(crate) async fn call(&mut self, node: &str, properties: &[(&str, &str)], body: Value) -> Answer {
        let mut sender = within(Sender::attach(&mut self.session, format!("{node}-out"), node)).await.unwrap();
        // Sent before the link for the answer is attached: the emulator must keep the answer.
        within(sender.send(request(properties, body, "answers"))).await.unwrap();
        let mut receiver = within(
            Receiver::builder()
                .name(format!("{node}-in"))
                .source(node)
                .target(Target::builder().address("answers").build())
                .attach(&mut self.session),
        )
        .await
        .unwrap();
        let answer = answer(&mut receiver).await;
        within(sender.close()).await.unwrap();
        within(receiver.close()).await.unwrap();
        answer
    }

    pub(crate) async fn read(&mut self, reading: Reading) -> Result<Receiver, ReceiverAttachError> {
        attach(&mut self.session, reading).await
    }

    pub(crate) async fn write(&mut self, address: &str) -> Sender {
        within(Sender::attach(&mut self.session, format!("to {address}"), address)).await.unwrap()
    }
}

pub(crate) async fn attach(session: &mut SessionHandle<()>, reading: Reading) -> Result<Receiver, ReceiverAttachError> {
    let selector = "apache.org:selector-filter:string";
    let filter =
        Described { descriptor: Descriptor::Name(Symbol::from(selector)), value: Value::String(reading.filter) };
    let filters = OrderedMap::from_iter([(Symbol::from(selector), Value::Described(Box::new(filter)))]);
    let mut properties = Fields::new();
    if let Some(epoch) = reading.epoch {
        properties.insert("com.microsoft:epoch".into(), Value::Long(epoch));
    }
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let name = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mode = if reading.settled { SenderSettleMode::Settled } else { SenderSettleMode::Unsettled };
    within(
        Receiver::builder()
            .name(format!("reader-{name}"))
            .source(Source::builder().address(reading.address).filter(filters).build())
            .properties(properties)
            .sender_settle_mode(mode)
            .auto_accept(true)
            .credit_mode(reading.credit)
            .attach(session),
    )
    .await
}

pub(crate) fn request(properties: &[(&str, &str)], body: Value, reply_to: &str) -> Message<Body<Value>> {
    let properties =
        properties.iter().map(|(name, value)| ((*name).to_owned(), SimpleValue::from((*value).to_owned())));
    Message::builder()
        .properties(Properties::builder().message_id("request".to_owned()).reply_to(reply_to.to_owned()).build())
        .application_properties(ApplicationProperties(properties.collect()))
        .body(Body::Value(fe2o3_amqp_types::messaging::AmqpValue(body)))
        .build()
}

pub(crate) async fn answer(receiver: &mut Receiver) -> Answer {
    let delivery = within(receiver.recv::<Body<Value>>()).await.unwrap();
    let message = delivery.into_message();
    let properties = message.application_properties.unwrap().0;
    let Some(SimpleValue::Int(status)) = properties.get("status-code") else { panic!("{properties:?}") };
    let condition = match properties.get("error-condition") {
        Some(SimpleValue::Symbol(condition)) => Some(condition.0.clone()),
        _ => None,
    };
    let Body::Value(body) = message.body else { panic!("no value") };
    Answer { status: *status, condition, body: body.0 }
}

/// One event: its sequence number and its message.
pub(crate) async fn next(receiver: &mut Receiver) -> Result<(i64, Message<Body<Value>>), RecvError> {
    let message = within(receiver.recv::<Body<Value>>()).await?.into_message();
    let annotations = message.message_annotations.as_ref().unwrap();
    let Some(Value::Long(sequence)) = annotations.0.get(&Symbol::from("x-opt-sequence-number") as &dyn AnnotationKey)
    else {
        panic!("no sequence number: {annotations:?}")
    };
    Ok((*sequence, message))
}
use fe2o3_amqp_types::messaging::annotations::AnnotationKey;

/// The sequence numbers of the next `count` events.
pub(crate) async fn sequences(receiver: &mut Receiver, count: usize) -> Vec<i64> {
    let mut sequences = Vec::new();
    while sequences.len() < count {
        sequences.push(next(receiver).await.unwrap().0);
    }
    sequences
}

/// Whether nothing comes for a while.
pub(crate) async fn is_silent(receiver: &mut Receiver) -> bool {
    timeout(Duration::from_millis(200), receiver.recv::<Body<Value>>()).await.is_err()
}

/// The condition of the error with which the peer ended a link.
pub(crate) async fn ended(receiver: &mut Receiver) -> String {
    loop {
        match next(receiver).await {
            Ok(_) => {}
            Err(RecvError::LinkStateError(
                LinkStateError::RemoteClosedWithError(error) | LinkStateError::RemoteDetachedWithError(error),
            )) => return condition_of(&error),
            Err(other) => return format!("{other:?}"),
        }
    }
}

/// The condition with which an attach was refused: at once, or right after the attach.
pub(crate) async fn refused(attached: Result<Receiver, ReceiverAttachError>) -> String {
    match attached {
        Ok(mut receiver) => ended(&mut receiver).await,
        Err(ReceiverAttachError::RemoteClosedWithError(error)) => condition_of(&error),
        Err(other) => format!("{other:?}"),
    }
}

pub(crate) fn condition_of(error: &definitions::Error) -> String {
    let encoded = serde_amqp::to_vec(&error.condition).unwrap();
    serde_amqp::from_slice::<Symbol>(&encoded).unwrap().0
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.expect("hangs")
}
