//! Reading one partition: credit, collecting, and going on after a loss.
//!
//! A reader is a small state machine. Attaching, with all its retries, is a task of its own ([`crate::attach`]), so a `next`
//! that is cancelled cancels no half-made link; what was collected stays in the reader until a `next` returns it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::RecvError;
use fe2o3_amqp::link::delivery::{Delivery, DeliveryInfo};
use fe2o3_amqp_types::messaging::Body as AmqpBody;
use fe2o3_amqp_types::primitives::Value;
use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
use tributary_batch::Event;
use tributary_pipeline::{PartitionReader, PartitionStatus, SourceError, StartPosition};

use crate::attach::{Attached, Attaching, Attachment};
use crate::budget::{Reservation, Share, SizeEstimate};
use crate::connection::{Live, TokenNumber};
use crate::event::{event_of, undecodable};
use crate::failure::{Class, Failure};
use crate::link::PartitionLink;

/// Most events that one `next` returns.
const MAX_COLLECTED_EVENTS: usize = 1000;
/// A link that lived so long was a good one, even if nothing came.
const LONG_LIVED: Duration = Duration::from_secs(30);
/// How often a peer is reminded of the window when the window is tight.
const NUDGE: Duration = Duration::from_millis(200);

/// Links that were lost one after the other before they delivered anything.
#[derive(Debug, Default)]
struct Barren {
    losses: u32,
    since: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Attached(Box<PartitionLink>),
    Attaching(Attaching),
    /// The last attempt failed; the next `next` starts over.
    Lost,
    /// As `Lost`, but the failure is still to be returned.
    Failed(Failure),
    /// Another reader has the partition, or the hub is another one: final.
    Ended(Failure),
}

/// A partition's reader.
#[derive(Debug)]
pub(crate) struct Reader {
    attachment: Attachment,
    /// The hub's creation time when the reader was opened.
    incarnation: i64,
    state: State,
    /// When the link was attached, and whether it has delivered anything.
    attached_at: Instant,
    delivered: bool,
    barren: Barren,
    /// Where reading goes on after a loss: the start, then right after the last collected event.
    resume: StartPosition,
    last: Option<i64>,
    collected: Vec<Event>,
    collected_bytes: usize,
    /// Deliveries that the sender did not settle and that were collected.
    unsettled: Vec<DeliveryInfo>,
    /// Messages that could not be decoded since the last event: their places follow from the next event.
    undecodable: i64,
    size: SizeEstimate,
    credit_target: usize,
    under_way: Reservation,
    held: Reservation,
}

impl Reader {
    pub(crate) fn new(
        attachment: Attachment,
        attached: Attached,
        start: StartPosition,
        under_way: Reservation,
        held: Reservation,
    ) -> Self {
        Self {
            attachment,
            incarnation: attached.incarnation,
            state: State::Attached(Box::new(attached.link)),
            attached_at: Instant::now(),
            delivered: false,
            barren: Barren::default(),
            resume: start,
            last: None,
            collected: Vec::new(),
            collected_bytes: 0,
            unsettled: Vec::new(),
            undecodable: 0,
            size: SizeEstimate::default(),
            credit_target: 0,
            under_way,
            held,
        }
    }

    fn share(&self) -> Share {
        self.attachment.spec.share
    }

    fn error(&self, failure: Failure) -> SourceError {
        failure.in_context(&self.attachment.context)
    }

    fn take(&mut self) -> Vec<Event> {
        self.collected_bytes = 0;
        self.held.set(0);
        std::mem::take(&mut self.collected)
    }

    /// Keeps an event; what was collected before is not collected again.
    fn keep(&mut self, event: Event) {
        let number = event.sequence_number.0;
        if self.last.is_some_and(|last| number <= last) {
            tracing::debug!(context = self.attachment.context, number, "event was read before, skipped");
            return;
        }
        let expected = self.last.map(|last| last.saturating_add(1));
        for missing in (1..=self.undecodable.min(1000)).rev() {
            let place = number.saturating_sub(missing);
            if expected.is_none_or(|expected| place >= expected) {
                self.collected.push(undecodable(place, &event));
            }
        }
        let gap = expected.map_or(0, |expected| number.saturating_sub(expected).saturating_sub(self.undecodable));
        if gap > 0 {
            tracing::warn!(context = self.attachment.context, number, gap, "events are missing before this one");
        }
        self.undecodable = 0;
        self.last = Some(number);
        self.resume = StartPosition::Sequence { number, inclusive: false };
        let size = event.size();
        self.size.observe(size);
        self.collected_bytes = self.collected_bytes.saturating_add(size);
        self.held.set(self.collected_bytes);
        self.collected.push(event);
    }

    /// Grants credit when less than half of the last grant is left.
    async fn top_up(&mut self, nudge: bool) -> Result<(), Failure> {
        let share = self.share();
        let State::Attached(link) = &mut self.state else { return Ok(()) };
        let receiver = link.receiver()?;
        // Granted and not yet taken: under way, in the session, or in the link's queue.
        let outstanding = usize::try_from(receiver.credit()).unwrap_or(usize::MAX);
        let size = self.size.expected();
        self.under_way.set(outstanding.saturating_mul(size));
        let mut credit = outstanding;
        if outstanding.saturating_mul(2) <= self.credit_target {
            // Every event takes at least one frame: more credit than frames would be of no use.
            let want = share.window.saturating_mul(2).saturating_sub(outstanding);
            credit = credit.saturating_add(self.under_way.grow(want, size));
            if credit == 0 && self.collected.is_empty() {
                self.under_way.set(size);
                credit = 1;
            }
        }
        if credit > outstanding || nudge {
            self.credit_target = credit;
            receiver.set_credit(u32::try_from(credit).unwrap_or(u32::MAX)).await?;
        }
        Ok(())
    }

    /// Collects until something is there or `deadline` passes.
    async fn fill(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.renew().await;
        self.top_up(false).await?;
        while self.collected.is_empty() {
            let mut until = deadline;
            if let State::Attached(link) = &self.state {
                until = link.live.renewal_due().map_or(until, |due| until.min(due));
            }
            if self.share().is_tight() {
                until = until.min(Instant::now() + NUDGE);
            }
            if self.receive(until).await? {
                self.receive_what_is_there().await?;
            } else if Instant::now() >= deadline {
                return Ok(());
            } else {
                self.renew().await;
                let nudge = self.share().is_tight();
                self.top_up(nudge).await?;
            }
        }
        self.settle().await?;
        // What is returned now is the caller's: its bytes are free for the credit that keeps the link busy.
        self.held.set(0);
        self.top_up(false).await
    }

    /// Takes one delivery; false when none came until then.
    async fn receive(&mut self, until: Instant) -> Result<bool, Failure> {
        let State::Attached(link) = &mut self.state else { return Ok(false) };
        let receiver = link.receiver()?;
        match timeout_at(until, receive(receiver)).await {
            Ok(delivery) => {
                self.accept(delivery)?;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    /// Takes what has arrived already, up to what one `next` returns.
    async fn receive_what_is_there(&mut self) -> Result<(), Failure> {
        let limit = self.share().collected;
        while self.collected.len() < MAX_COLLECTED_EVENTS && self.collected_bytes < limit {
            let State::Attached(link) = &mut self.state else { return Ok(()) };
            let receiver = link.receiver()?;
            match receive(receiver).now_or_never() {
                Some(delivery) => self.accept(delivery)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn accept(&mut self, received: Received) -> Result<(), Failure> {
        match received {
            Ok(Ok(delivery)) => {
                self.delivered = true;
                let (info, message) = delivery.into_parts();
                self.unsettled.push(info);
                match event_of(message) {
                    Some(event) => self.keep(event),
                    None => self.undecodable = self.undecodable.saturating_add(1),
                }
                Ok(())
            }
            Err(_) | Ok(Err(RecvError::MessageDecode(_))) => {
                self.undecodable = self.undecodable.saturating_add(1);
                tracing::warn!(context = self.attachment.context, "a message could not be decoded, its place is kept");
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// Accepts what the sender did not settle: one frame for a run of deliveries, none for settled ones.
    async fn settle(&mut self) -> Result<(), Failure> {
        let State::Attached(link) = &mut self.state else { return Ok(()) };
        let receiver = link.receiver()?;
        let infos = std::mem::take(&mut self.unsettled);
        Ok(receiver.accept_all(infos).await?)
    }

    async fn renew(&mut self) {
        if let State::Attached(link) = &self.state
            && link.live.renewal_due().is_some_and(|due| due <= Instant::now())
        {
            link.live.renew().await;
        }
    }

    /// The link is gone: start over right after the last collected event, unless another reader has the partition.
    fn lose(&mut self, failure: Failure) {
        self.unsettled.clear();
        self.undecodable = 0;
        self.credit_target = 0;
        self.under_way.set(0);
        if failure.class == Class::Displaced {
            self.state = State::Ended(failure);
            return;
        }
        let refused = match &self.state {
            State::Attached(link) if failure.unauthorized => Some(link.token),
            _ => None,
        };
        let retry = &self.attachment.connector.settings().retry;
        let mut pause = if failure.is_busy() { retry.pause(0, &failure) } else { Duration::ZERO };
        if self.delivered || self.attached_at.elapsed() >= LONG_LIVED {
            self.barren = Barren::default();
        } else {
            // Attached and lost at once, perhaps again and again: the limits of retries hold here too.
            let since = *self.barren.since.get_or_insert(self.attached_at);
            pause = retry.pause(self.barren.losses, &failure);
            // A key may be replaced at any time: the first refusal is answered with another token.
            let hopeless = failure.class == Class::Fatal && !(refused.is_some() && self.barren.losses == 0);
            self.barren.losses = self.barren.losses.saturating_add(1);
            if hopeless || since.elapsed().saturating_add(pause) > retry.give_up_after {
                let losses = std::mem::take(&mut self.barren).losses;
                self.state = State::Failed(failure.after(losses, since.elapsed()));
                return;
            }
        }
        tracing::info!(context = self.attachment.context, detail = failure.detail, "link lost, attaching again");
        // What looks final on a link that worked (a token that ran out) is judged by the next attempt.
        self.attach(pause, refused);
    }

    fn attach(&mut self, pause: Duration, refused: Option<TokenNumber>) {
        let attaching = self.attachment.start(self.resume.clone(), Some(self.incarnation), pause, refused);
        self.state = State::Attaching(attaching);
    }
}

/// A delivery, an error of the link, or a panic of the decoder.
type Received = Result<Result<Delivery<AmqpBody<Value>>, RecvError>, Box<dyn std::any::Any + Send>>;

/// The next delivery. Cancelling loses none: nothing is awaited after it was taken.
async fn receive(receiver: &mut Receiver) -> Received {
    // The delivery is decoded in here. A message that the decoder panics on has left the link by then and leaves it in
    // order: no lock is held, credit is counted.
    AssertUnwindSafe(receiver.recv()).catch_unwind().await
}

#[async_trait]
impl PartitionReader for Reader {
    async fn status(&mut self) -> Result<PartitionStatus, SourceError> {
        let (connector, partition) = (&self.attachment.connector, &self.attachment.partition);
        let read = connector.retrying(None, |live: Arc<Live>| async move {
            let hub = live.hub_properties().await?;
            Ok((hub, live.partition_properties(partition).await?))
        });
        let (hub, partition) = read.await.map_err(|failure| self.error(failure))?;
        Ok(PartitionStatus {
            incarnation: hub.created_at,
            begin: partition.begin,
            last: partition.last,
            last_enqueued_time: partition.last_enqueued_time,
        })
    }

    async fn next(&mut self, wait: Duration) -> Result<Vec<Event>, SourceError> {
        let now = Instant::now();
        let deadline = now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600));
        loop {
            match &mut self.state {
                State::Ended(failure) => {
                    let failure = failure.clone();
                    return if self.collected.is_empty() { Err(self.error(failure)) } else { Ok(self.take()) };
                }
                State::Lost => self.attach(Duration::ZERO, None),
                State::Failed(failure) => {
                    let failure = failure.clone();
                    if !self.collected.is_empty() {
                        return Ok(self.take());
                    }
                    self.state = State::Lost;
                    return Err(self.error(failure));
                }
                State::Attaching(attaching) => {
                    if !self.collected.is_empty() {
                        return Ok(self.take());
                    }
                    match timeout_at(deadline, attaching.link()).await {
                        // It goes on in the background.
                        Err(_) => return Ok(Vec::new()),
                        Ok(Ok(attached)) => {
                            self.attached_at = Instant::now();
                            self.delivered = false;
                            self.state = State::Attached(Box::new(attached.link));
                        }
                        Ok(Err(failure)) => {
                            let ended = failure.class == Class::Displaced || failure.hub_was_rebuilt;
                            self.state = if ended { State::Ended(failure.clone()) } else { State::Lost };
                            return Err(self.error(failure));
                        }
                    }
                }
                State::Attached(_) => match self.fill(deadline).await {
                    Ok(()) => return Ok(self.take()),
                    Err(failure) => self.lose(failure),
                },
            }
        }
    }

    async fn close(self: Box<Self>) -> Result<(), SourceError> {
        if let State::Attached(link) = self.state {
            link.close().await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tributary_batch::{Body, Offset, SequenceNumber};

    use super::*;
    use crate::budget::ByteBudget;
    use crate::builder::EventHubBuilder;
    use crate::event::UNDECODABLE_PROPERTY;
    use crate::link::LinkSpec;

    /// A reader without a link.
    fn reader(budget: &ByteBudget) -> Reader {
        let text =
            "Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;EntityPath=h";
        let connector = EventHubBuilder::new().connection_string(text).unwrap().connector().unwrap();
        let spec = LinkSpec {
            address: "h/ConsumerGroups/g/Partitions/0".into(),
            receiver_name: "r".into(),
            epoch: Some(1),
            share: budget.share(1),
        };
        Reader {
            attachment: Attachment { connector, spec, partition: "0".into(), context: "partition 0".into() },
            incarnation: 1,
            state: State::Lost,
            attached_at: Instant::now(),
            delivered: false,
            barren: Barren::default(),
            resume: StartPosition::Earliest,
            last: None,
            collected: Vec::new(),
            collected_bytes: 0,
            unsettled: Vec::new(),
            undecodable: 0,
            size: SizeEstimate::default(),
            credit_target: 0,
            under_way: budget.reservation(),
            held: budget.reservation(),
        }
    }

    fn event(number: i64) -> Event {
        Event {
            sequence_number: SequenceNumber(number),
            offset: Offset::new(number.to_string()),
            enqueued_time: 5,
            partition_key: None,
            properties: Vec::new(),
            body: Body::Text("x".repeat(1000)),
        }
    }

    fn numbers(events: &[Event]) -> Vec<i64> {
        events.iter().map(|event| event.sequence_number.0).collect()
    }

    #[test]
    fn what_was_collected_is_held_in_the_budget_and_resumed_after() {
        let budget = ByteBudget::new(1 << 26);
        let mut reader = reader(&budget);
        reader.keep(event(7));
        reader.keep(event(8));
        reader.keep(event(8));
        reader.keep(event(3));
        assert!(budget.used() >= 2000 && budget.used() < 3000, "{}", budget.used());
        assert_eq!(reader.resume, StartPosition::Sequence { number: 8, inclusive: false });
        assert_eq!(numbers(&reader.take()), [7, 8]);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_event_that_cannot_be_decoded_keeps_its_place() {
        let budget = ByteBudget::new(1 << 26);
        let mut reader = reader(&budget);
        reader.keep(event(7));
        reader.undecodable = 2;
        reader.keep(event(10));
        reader.keep(event(11));
        let events = reader.take();
        assert_eq!(numbers(&events), [7, 8, 9, 10, 11]);
        let marked: Vec<bool> =
            events.iter().map(|event| event.properties.iter().any(|(name, _)| name == UNDECODABLE_PROPERTY)).collect();
        assert_eq!(marked, [false, true, true, false, false]);
    }

    #[tokio::test]
    async fn dropping_a_reader_gives_its_bytes_back() {
        let budget = ByteBudget::new(1 << 26);
        let mut held = reader(&budget);
        held.keep(event(7));
        held.under_way.set(5_000);
        assert!(budget.used() > 6_000);
        drop(held);
        assert_eq!(budget.used(), 0);
    }
}
