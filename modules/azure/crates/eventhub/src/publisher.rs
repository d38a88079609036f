//! A small publisher, for tests, demos and `tributary send`.

use std::collections::HashMap;
use std::sync::Arc;

use fe2o3_amqp::link::delivery::Sendable;
use fe2o3_amqp::{Sender, session::SessionHandle};
use fe2o3_amqp_types::messaging::{Batch, Data, Message, MessageAnnotations, Outcome};
use fe2o3_amqp_types::primitives::{Binary, Value};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tributary_pipeline::SourceError;

use crate::builder::EventHubBuilder;
use crate::connection::{Connector, Live};
use crate::encode::{EncodedEvent, PARTITION_KEY};
use crate::failure::Failure;
use crate::rpc::{unique, unless_ended};
use crate::timeouts::within;

/// Each data section of the message is one encoded message.
const BATCH_FORMAT: u32 = 0x8001_3700;
/// Largest message if the hub does not say.
const DEFAULT_MESSAGE_BYTES: usize = 1024 * 1024;
/// What the envelope around the sections takes at most, without the key.
const ENVELOPE_BYTES: usize = 512;

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Wherever the hub puts them; it goes round its partitions, batch by batch.
    Any,
    /// The partition that this key belongs to.
    Key(String),
    /// This partition.
    Partition(String),
}

/// An event to publish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The body, as one data section.
    pub body: Vec<u8>,
    /// Application properties.
    pub properties: Vec<(String, String)>,
}

impl OutgoingEvent {
    /// An event without properties.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), properties: Vec::new() }
    }
}

/// Publishes to one hub. Every batch is accepted by the hub before `send` returns; a batch whose acceptance is lost
/// with the connection is sent again, so an event may be there twice.
#[derive(Debug)]
pub struct EventHubPublisher {
    connector: Arc<Connector>,
    links: Mutex<HashMap<String, PublishLink>>,
}

impl EventHubPublisher {
    /// A builder; finish it with [`EventHubBuilder::build_publisher`].
    pub fn builder() -> EventHubBuilder {
        EventHubBuilder::new()
    }

    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, links: Mutex::default() }
    }

    /// Sends events in order, in as few batches as the hub's size limit allows; returns the number of batches.
    ///
    /// # Errors
    /// Fatal: the credential may not send, the hub is unknown, an event is larger than the hub takes. Transient: the
    /// hub could not be reached within the retries. What came before the failing batch is sent.
    pub async fn send(&self, destination: &Destination, events: &[OutgoingEvent]) -> Result<usize, SourceError> {
        let settings = self.connector.settings();
        let context = format!("publishing to hub {} of {}", settings.hub, settings.endpoint.host);
        let address = match destination {
            Destination::Partition(id) => format!("{}/Partitions/{id}", settings.hub),
            Destination::Any | Destination::Key(_) => settings.hub.clone(),
        };
        let key = match destination {
            Destination::Key(key) => Some(key.as_str()),
            _ => None,
        };
        let mut encoded: Vec<EncodedEvent> = events.iter().map(|event| EncodedEvent::new(event, key)).collect();
        let mut batches = 0;
        while !encoded.is_empty() {
            let (address, waiting) = (&address, &encoded);
            let attempt = |live: Arc<Live>| async move { self.send_first(&live, address, key, waiting).await };
            let sending = self.connector.retrying(None, attempt);
            let sent = sending.await.map_err(|failure| failure.in_context(&context))?;
            encoded.drain(..sent);
            batches += 1;
        }
        Ok(batches)
    }

    /// Sends as many as fit one message; returns how many.
    async fn send_first(
        &self,
        live: &Arc<Live>,
        address: &str,
        key: Option<&str>,
        events: &[EncodedEvent],
    ) -> Result<usize, Failure> {
        let mut links = self.links.lock().await;
        if links.get(address).is_none_or(|link| link.batches.is_closed()) {
            links.insert(address.to_owned(), PublishLink::open(live, address).await?);
        }
        let Some(link) = links.get(address) else { return Err(Failure::transient("no link to send on")) };
        let limit = link.max_message_size.saturating_sub(ENVELOPE_BYTES).saturating_sub(key.map_or(0, str::len));
        let mut bytes = 0_usize;
        let fitting = events.iter().take_while(|event| {
            bytes = bytes.saturating_add(event.section_size());
            bytes <= limit
        });
        let sections: Vec<Data> = fitting.map(|event| Data(Binary::from(event.bytes().to_vec()))).collect();
        let count = sections.len();
        if count == 0 {
            let size = events.first().map_or(0, EncodedEvent::section_size);
            return Err(Failure::fatal(format!(
                "an event of {size} bytes is larger than the {limit} that the hub takes: send smaller events"
            )));
        }
        let sent = link.send(sections, key).await;
        if sent.is_err() {
            links.remove(address);
        }
        sent.map(|()| count)
    }

    /// Detaches the links, ends their sessions and closes the connection, in order.
    ///
    /// # Errors
    /// The connection did not close in time.
    pub async fn close(&self) -> Result<(), SourceError> {
        for (_, link) in self.links.lock().await.drain() {
            link.close().await;
        }
        let context = format!("hub {}", self.connector.settings().hub);
        self.connector.close().await.map_err(|failure| failure.in_context(&context))
    }
}

struct BatchToSend {
    sections: Vec<Data>,
    key: Option<String>,
    reply: oneshot::Sender<Result<(), Failure>>,
}

/// A sender's task owns link and session, so that a cancelled caller leaves nothing half done.
#[derive(Debug)]
struct PublishLink {
    batches: mpsc::Sender<BatchToSend>,
    task: JoinHandle<()>,
    max_message_size: usize,
}

impl std::fmt::Debug for BatchToSend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BatchToSend")
    }
}

impl PublishLink {
    async fn open(live: &Arc<Live>, address: &str) -> Result<Self, Failure> {
        let (batches, queue) = mpsc::channel(4);
        let (ready, opened) = oneshot::channel();
        let task = tokio::spawn(run(Arc::clone(live), address.to_owned(), queue, ready));
        let max_message_size = opened.await.map_err(|_| Failure::transient("the sender was lost"))??;
        Ok(Self { batches, task, max_message_size })
    }

    async fn send(&self, sections: Vec<Data>, key: Option<&str>) -> Result<(), Failure> {
        let lost = || Failure::transient("the sender was lost");
        let (reply, answer) = oneshot::channel();
        let batch = BatchToSend { sections, key: key.map(str::to_owned), reply };
        self.batches.send(batch).await.map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?
    }

    async fn close(self) {
        drop(self.batches);
        let _ = self.task.await;
    }
}

async fn run(
    live: Arc<Live>,
    address: String,
    mut queue: mpsc::Receiver<BatchToSend>,
    ready: oneshot::Sender<Result<usize, Failure>>,
) {
    let timeouts = live.timeouts().clone();
    let (mut session, mut sender) = match attach(&live, &address).await {
        Ok(parts) => parts,
        Err(failure) => {
            let _ = ready.send(Err(failure));
            return;
        }
    };
    let largest = sender.max_message_size().and_then(|size| usize::try_from(size).ok());
    if ready.send(Ok(largest.unwrap_or(DEFAULT_MESSAGE_BYTES))).is_ok() {
        loop {
            // A pause between batches is also when tokens are renewed.
            let due = live.renewal_due();
            let batch = match due {
                None => queue.recv().await,
                Some(due) => match tokio::time::timeout_at(due, queue.recv()).await {
                    Ok(batch) => batch,
                    Err(_) => {
                        live.renew().await;
                        continue;
                    }
                },
            };
            let Some(batch) = batch else { break };
            let sending = within(timeouts.send, "sending a batch", send(&mut sender, batch.sections, batch.key));
            let accepted = unless_ended(&mut session, sending).await;
            let failed = accepted.is_err();
            let _ = batch.reply.send(accepted);
            if failed {
                break;
            }
        }
    }
    queue.close();
    live.forget(&address);
    let _ = within(timeouts.detach, "detaching", sender.close()).await;
    let _ = within(timeouts.end, "ending the session", session.end()).await;
}

async fn attach(live: &Arc<Live>, address: &str) -> Result<(SessionHandle<()>, Sender), Failure> {
    live.authorize(address).await?;
    live.hold(address);
    let mut session = match live.begin(64, 256).await {
        Ok(session) => session,
        Err(failure) => {
            live.forget(address);
            return Err(failure);
        }
    };
    let attaching = Sender::builder().name(unique("tributary-send")).target(address).attach(&mut session);
    let failure = match within(live.timeouts().attach, "attaching the sender", attaching).await {
        Ok(Ok(sender)) => return Ok((session, sender)),
        Ok(Err(error)) => error.into(),
        Err(failure) => failure,
    };
    live.forget(address);
    let _ = within(live.timeouts().end, "ending the session", session.end()).await;
    Err(failure)
}

async fn send(sender: &mut Sender, sections: Vec<Data>, key: Option<String>) -> Result<(), Failure> {
    let annotations = key.map(|key| MessageAnnotations::builder().insert(PARTITION_KEY, Value::String(key)).build());
    let message = Message {
        header: None,
        delivery_annotations: None,
        message_annotations: annotations,
        properties: None,
        application_properties: None,
        body: Batch::new(sections),
        footer: None,
    };
    let sendable = Sendable::builder().message(message).message_format(BATCH_FORMAT).build();
    match sender.send(sendable).await? {
        Outcome::Accepted(_) => Ok(()),
        Outcome::Rejected(rejected) => match rejected.error {
            Some(error) => Err(Failure::remote(&error)),
            None => Err(Failure::transient("the hub rejected a batch")),
        },
        _ => Err(Failure::transient("the hub did not accept a batch")),
    }
}
