//! Questions and answers on a pair of links: `$cbs` and `$management`.
//!
//! One task owns the session and both links, so a caller that is cancelled leaves nothing half done. An answer is
//! matched with its question by correlation id. After a failure or a deadline the pair is thrown away, and the next
//! question opens another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fe2o3_amqp::link::delivery::Sendable;
use fe2o3_amqp::session::{self, SessionHandle};
use fe2o3_amqp::{Receiver, Sender};
use fe2o3_amqp_types::messaging::{
    AmqpValue, ApplicationProperties, Body as AmqpBody, Message, MessageId, Properties, Target,
};
use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::connection::Live;
use crate::event::{integer, text_of};
use crate::failure::Failure;
use crate::timeouts::{Timeouts, within};

/// A question: its application properties and its value.
pub(crate) struct Question {
    pub(crate) properties: Vec<(&'static str, String)>,
    pub(crate) value: Value,
}

/// An answer: status and value.
pub(crate) struct Answer {
    pub(crate) status: i64,
    pub(crate) description: String,
    pub(crate) value: Value,
}

struct Call {
    question: Question,
    reply: oneshot::Sender<Result<Answer, Failure>>,
}

/// The caller's end of the task.
#[derive(Debug)]
pub(crate) struct Rpc {
    calls: mpsc::Sender<Call>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A question may carry a token.
        f.write_str("Call")
    }
}

/// Links are named uniquely in the process; the container id makes them unique at the service.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Rpc {
    /// Opens a pair of links on `node` and starts the task.
    pub(crate) async fn open(live: &Arc<Live>, node: &'static str) -> Result<Self, Failure> {
        let (calls, queue) = mpsc::channel(16);
        let (ready, opened) = oneshot::channel();
        // All of it happens in the task: a cancelled caller leaves no half-begun session behind.
        let task = tokio::spawn(run(Arc::clone(live), node, queue, ready));
        match opened.await {
            Ok(Ok(())) => Ok(Self { calls, task }),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::transient(format!("the links of {node} were lost"))),
        }
    }

    /// Whether the pair is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    pub(crate) async fn call(&self, question: Question) -> Result<Answer, Failure> {
        let lost = || Failure::transient("the links for questions were lost");
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call { question, reply }).await.map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?
    }

    /// Closes the links and ends the session, in order.
    pub(crate) async fn close(self) {
        drop(self.calls);
        // The task bounds each of its own steps.
        let _ = self.task.await;
    }
}

struct Pair {
    sender: Sender,
    receiver: Receiver,
    reply_to: String,
}

async fn attach(session: &mut SessionHandle<()>, node: &str, timeouts: &Timeouts) -> Result<Pair, Failure> {
    let reply_to = unique(&format!("{}-reply", node.trim_start_matches('$')));
    let receiver = Receiver::builder()
        .name(reply_to.clone())
        .source(node)
        .target(Target::builder().address(reply_to.clone()).build())
        .auto_accept(true)
        .attach(session);
    let receiver = within(timeouts.attach, "attaching the answers' link", receiver).await??;
    let sender = Sender::builder().name(unique(node.trim_start_matches('$'))).target(node).attach(session);
    let sender = match within(timeouts.attach, "attaching the questions' link", sender).await {
        Ok(Ok(sender)) => sender,
        Ok(Err(error)) => {
            let _ = within(timeouts.detach, "detaching", receiver.close()).await;
            return Err(error.into());
        }
        Err(failure) => {
            let _ = within(timeouts.detach, "detaching", receiver.close()).await;
            return Err(failure);
        }
    };
    Ok(Pair { sender, receiver, reply_to })
}

async fn run(
    live: Arc<Live>,
    node: &'static str,
    mut queue: mpsc::Receiver<Call>,
    ready: oneshot::Sender<Result<(), Failure>>,
) {
    let timeouts = live.timeouts().clone();
    let begun = live.begin(64, 256).await;
    // The connection holds this task's other end: it must not hold the connection.
    drop(live);
    let mut session = match begun {
        Ok(session) => session,
        Err(failure) => {
            let _ = ready.send(Err(failure));
            return;
        }
    };
    match attach(&mut session, node, &timeouts).await {
        Err(failure) => {
            let _ = ready.send(Err(failure));
        }
        Ok(mut pair) => {
            if ready.send(Ok(())).is_ok() {
                serve(&mut pair, &mut session, &timeouts, &mut queue).await;
            }
            // From here on callers see that the pair is gone.
            queue.close();
            let _ = within(timeouts.detach, "detaching", pair.sender.close()).await;
            let _ = within(timeouts.detach, "detaching", pair.receiver.close()).await;
        }
    }
    let _ = within(timeouts.end, "ending the session", session.end()).await;
}

/// Until the callers are gone, or a question fails, or the peer detaches.
async fn serve(
    pair: &mut Pair,
    session: &mut SessionHandle<()>,
    timeouts: &Timeouts,
    queue: &mut mpsc::Receiver<Call>,
) {
    loop {
        let call = tokio::select! {
            call = queue.recv() => call,
            // Nothing is expected now: a late answer is dropped, a detach ends the pair.
            answer = pair.receiver.recv::<AmqpBody<Value>>() => match answer {
                Ok(_) => continue,
                Err(_) => return,
            },
        };
        let Some(call) = call else { return };
        let asking = within(timeouts.management, "an answer", ask(pair, call.question));
        let answer = unless_ended(session, asking).await;
        let failed = answer.is_err();
        let _ = call.reply.send(answer);
        if failed {
            return;
        }
    }
}

/// Runs `work` until the session ends: a delivery whose connection is lost would wait for its outcome for ever.
pub(crate) async fn unless_ended<T>(
    session: &mut SessionHandle<()>,
    work: impl Future<Output = Result<Result<T, Failure>, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        done = work => done?,
        ended = session.on_end() => Err(match ended {
            Err(session::Error::RemoteEndedWithError(error)) => Failure::remote(&error),
            _ => Failure::transient("the connection was lost"),
        }),
    }
}

async fn ask(pair: &mut Pair, question: Question) -> Result<Answer, Failure> {
    let id = unique("question");
    let mut properties = OrderedMap::new();
    for (name, value) in question.properties {
        properties.insert(name.to_owned(), SimpleValue::String(value));
    }
    let message = Message {
        header: None,
        delivery_annotations: None,
        message_annotations: None,
        properties: Some(
            Properties::builder().message_id(MessageId::String(id.clone())).reply_to(pair.reply_to.clone()).build(),
        ),
        application_properties: Some(ApplicationProperties(properties)),
        body: AmqpValue(question.value),
        footer: None,
    };
    let outcome = pair.sender.send(Sendable::builder().message(message).build()).await?;
    if !outcome.is_accepted() {
        return Err(Failure::transient("the service did not take the question"));
    }
    loop {
        let message = pair.receiver.recv::<AmqpBody<Value>>().await?.into_message();
        let correlation = message.properties.and_then(|properties| properties.correlation_id);
        if matches!(&correlation, Some(MessageId::String(correlation)) if *correlation != id) {
            continue;
        }
        let mut status = None;
        let mut description = String::new();
        for (name, value) in message.application_properties.map(|properties| properties.0).unwrap_or_default() {
            // `$cbs` and `$management` spell these in several ways.
            match name.to_ascii_lowercase().replace('_', "-").as_str() {
                "status-code" | "statuscode" => status = integer(&Value::from(value)),
                "status-description" | "statusdescription" => description = text_of(Value::from(value)),
                _ => {}
            }
        }
        let status = status.ok_or_else(|| Failure::transient("an answer without a status"))?;
        let value = match message.body {
            AmqpBody::Value(value) => value.0,
            _ => Value::Null,
        };
        return Ok(Answer { status, description, value });
    }
}
