//! One partition's turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};
use tributary_batch::{Batch, Event, MAX_BATCH_BYTES, Packer, SequenceNumber, SourceRef};
use tributary_ledger::{Lease, Plan, Planned, Policy, ProtocolError, Sent};
use tributary_queue::QueueOutbox;
use tributary_telemetry::Metric;

use super::Poll;
use super::report::{PartitionReport, PartitionState};
use crate::message::message_of;
use crate::source::{HubRef, PartitionReader, PartitionStatus, SourceError, StartPosition};

/// Longest wait for events before the lease and the hub are looked at again.
const WAIT: Duration = Duration::from_secs(2);
/// Attempts to put one batch into the queue within a run.
const SEND_ATTEMPTS: u32 = 4;
/// Pause before the second attempt; it doubles.
const SEND_PAUSE: Duration = Duration::from_millis(200);

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("{0}")]
    Late(String),
    #[error("{detail}")]
    Send { detail: String, denied: bool },
}

impl Stopped {
    /// Whether a permission is missing (metric `AccessDenied`): of the hub, the ledger, the queue or the claims.
    fn is_denied(&self) -> bool {
        match self {
            Self::Source(error) => error.is_denied(),
            Self::Protocol(ProtocolError::Ledger(error)) => error.denied,
            Self::Protocol(_) | Self::Late(_) => false,
            Self::Send { denied, .. } => *denied,
        }
    }

    fn state(&self) -> PartitionState {
        match self {
            Self::Source(SourceError::Displaced { .. }) | Self::Protocol(ProtocolError::Displaced { .. }) => {
                PartitionState::Displaced
            }
            Self::Source(SourceError::Fatal { .. } | SourceError::Denied { .. }) => {
                PartitionState::Failed { detail: self.to_string(), fatal: true }
            }
            _ => PartitionState::Failed { detail: self.to_string(), fatal: false },
        }
    }
}

pub(super) async fn run(job: &Poll, partition: String, policy: Policy, deadline: Instant) -> PartitionReport {
    let hub = job.source.hub();
    let mut turn = Turn { job, hub, partition, deadline, report: None, lost: 0, events: 0, batches: 0 };
    let state = match turn.lease_and_work(policy).await {
        Ok(state) => state,
        Err(stopped) => {
            if stopped.is_denied() {
                job.metrics.count(Metric::AccessDenied, 1);
            }
            stopped.state()
        }
    };
    match &state {
        PartitionState::Failed { detail, fatal: true } => error!(partition = %turn.partition, "{detail}"),
        PartitionState::Failed { detail, .. } => {
            warn!(partition = %turn.partition, "{detail}; the next run goes on from the last commit")
        }
        PartitionState::Displaced => info!(partition = %turn.partition, "displaced: another worker has the partition"),
        PartitionState::Held => debug!(partition = %turn.partition, "held by another worker"),
        PartitionState::Done => {}
    }
    let (position, lag) = turn.report.unwrap_or((None, None));
    if let Some(lag) = lag {
        job.metrics.record(Metric::PartitionLag, &turn.partition, lag);
    }
    let Turn { partition, events, batches, lost, .. } = turn;
    PartitionReport { partition, state, events, batches, lost, position, lag }
}

struct Turn<'r> {
    job: &'r Poll,
    hub: HubRef,
    partition: String,
    deadline: Instant,
    /// Position and lag, once they are known.
    report: Option<(Option<i64>, Option<u64>)>,
    events: u64,
    batches: u64,
    lost: u64,
}

impl Turn<'_> {
    async fn lease_and_work(&mut self, policy: Policy) -> Result<PartitionState, Stopped> {
        if self.is_over() {
            return Err(Stopped::Late("the run's time was used up before this partition's turn".to_owned()));
        }
        let (job, request) = (self.job, self.job.lease_request(policy));
        let (key, ledger) = (job.key(&self.partition), Arc::clone(&job.ledger));
        let Some(mut lease) = Lease::take(ledger, key, &request).await.map_err(ProtocolError::from)? else {
            return Ok(PartitionState::Held);
        };
        // Rule 1: the lease, then the receiver without credit, then where the hub stands, then credit.
        let (mut reader, status) = self.attach(&mut lease).await?;
        let worked = self.work(&mut lease, reader.as_mut(), &status).await;
        let position = lease.item().position.as_ref().map(|position| position.sequence_number.0);
        let behind = status.last.saturating_sub(position.unwrap_or(status.begin.saturating_sub(1)));
        let lag = if status.is_empty() { 0 } else { u64::try_from(behind).unwrap_or(0) };
        self.report = Some((position, Some(lag)));
        if let Err(error) = reader.close().await {
            debug!(partition = %self.partition, "closing the receiver: {error}");
        }
        worked?;
        // One that shares is seen by the others between its runs.
        if !job.config.share {
            lease.release(job.clock.now()).await?;
        }
        Ok(PartitionState::Done)
    }

    /// Attaches the receiver and compares the hub's incarnation with the stored one (rule 4).
    async fn attach(&self, lease: &mut Lease) -> Result<(Box<dyn PartitionReader>, PartitionStatus), Stopped> {
        let item = lease.item();
        let start = match (&item.plan, &item.position) {
            (Some(plan), _) => StartPosition::Sequence { number: plan.first.0, inclusive: true },
            (None, Some(position)) => StartPosition::after(position),
            (None, None) => self.job.config.initial_position.clone(),
        };
        let stored = item.plan.is_some() || item.position.is_some();
        let (reader, status) = match self.open(lease, start).await {
            Ok(opened) => opened,
            Err(SourceError::Fatal { context, detail }) if stored => {
                // A hub refuses a position that it has not reached: it may be another hub than before.
                let (reader, status) = self.open(lease, StartPosition::Earliest).await?;
                let above =
                    lease.item().position.as_ref().is_some_and(|position| position.sequence_number.0 > status.last);
                if lease.item().incarnation == Some(status.incarnation) && !above {
                    let _ = reader.close().await;
                    return Err(SourceError::Fatal { context, detail }.into());
                }
                (reader, status)
            }
            Err(error) => return Err(error.into()),
        };
        let known = lease.item().incarnation;
        if known == Some(status.incarnation) {
            if let Some(position) =
                lease.item().position.as_ref().filter(|position| position.sequence_number.0 > status.last)
            {
                error!(partition = %self.partition, position = position.sequence_number.0, last = status.last,
                    "the stored position lies above the hub's last event: if the hub was restored, set the position by hand");
            }
            return Ok((reader, status));
        }
        // What a lost plan held may have been sent already: in doubt it is counted.
        let lost = known.and(lease.item().plan.as_ref()).map_or(0, |plan| size(plan.first, plan.last));
        if let Err(error) = lease.set_incarnation(status.incarnation, lost, self.job.clock.now()).await {
            let _ = reader.close().await;
            return Err(error.into());
        }
        if known.is_none() {
            return Ok((reader, status));
        }
        self.job.metrics.count(Metric::EventsLost, lost);
        error!(partition = %self.partition, lost, "the hub was rebuilt: reading it from the initial position");
        let _ = reader.close().await;
        let (reader, now) = self.open(lease, self.job.config.initial_position.clone()).await?;
        if now.incarnation != status.incarnation {
            let _ = reader.close().await;
            let context = format!("partition {}", self.partition);
            return Err(SourceError::Transient { context, detail: "the hub is being rebuilt now".to_owned() }.into());
        }
        Ok((reader, now))
    }

    async fn open(
        &self,
        lease: &Lease,
        start: StartPosition,
    ) -> Result<(Box<dyn PartitionReader>, PartitionStatus), SourceError> {
        let mut reader = self.job.source.open(&self.partition, start, lease.item().epoch).await?;
        match reader.status().await {
            Ok(status) => Ok((reader, status)),
            Err(error) => {
                let _ = reader.close().await;
                Err(error)
            }
        }
    }

    async fn work(
        &mut self,
        lease: &mut Lease,
        reader: &mut dyn PartitionReader,
        status: &PartitionStatus,
    ) -> Result<(), Stopped> {
        let mut waiting = Vec::new();
        if let Some(planned) = lease.open_plan() {
            waiting = self.replay(lease, planned, reader, status).await?;
        }
        let mut flow = Flow {
            packer: Packer::with_limits(self.job.config.batch_events, MAX_BATCH_BYTES),
            sent: None,
            next: lease.item().position.as_ref().map(|position| position.sequence_number.next()),
            source: self.source_ref(status),
        };
        let read = self.read(lease, reader, status, &mut flow, waiting).await;
        // What is in the queue is committed whatever ended the reading; a displaced owner's write is refused by itself.
        if let Some(sent) = flow.sent.take() {
            lease.commit(sent, None, self.job.clock.now()).await?;
        }
        read
    }

    /// Sends the range that an earlier owner planned, under its own batch id, as far as the hub still has it (rule 6).
    /// Returns what was received beyond it.
    async fn replay(
        &mut self,
        lease: &mut Lease,
        planned: Planned,
        reader: &mut dyn PartitionReader,
        status: &PartitionStatus,
    ) -> Result<Vec<Event>, Stopped> {
        let plan = planned.plan().clone();
        info!(partition = %self.partition, first = plan.first.0, last = plan.last.0, "replaying an open plan");
        let (mut events, mut beyond) = (Vec::new(), Vec::new());
        let mut gone = status.begin > plan.last.0;
        while !gone && beyond.is_empty() && events.last().is_none_or(|event: &Event| event.sequence_number < plan.last)
        {
            let received = reader.next(self.wait()).await?;
            if received.is_empty() {
                if self.is_over() {
                    return Err(Stopped::Late(
                        "the run's time was used up before an open plan was read again".to_owned(),
                    ));
                }
                gone = reader.status().await?.begin > plan.last.0;
                lease.refresh(self.job.clock.now()).await?;
            }
            self.job.metrics.count(Metric::EventsReceived, received.len() as u64);
            for event in received {
                let seen = events.last().map_or(plan.first.0 - 1, |event: &Event| event.sequence_number.0);
                match event.sequence_number {
                    number if number > plan.last => beyond.push(event),
                    number if number.0 > seen => events.push(event),
                    _ => {}
                }
            }
        }
        let missing = size(plan.first, plan.last).saturating_sub(events.len() as u64);
        let now = self.job.clock.now();
        self.count_lost(missing);
        if events.is_empty() {
            let enqueued = status.last_enqueued_time.unwrap_or(now);
            lease.skip(planned, enqueued, now).await?;
            return Ok(beyond);
        }
        let source = self.source_ref(status);
        let sent = self.send(planned.missing(missing), source, events).await?;
        lease.commit(sent, None, self.job.clock.now()).await?;
        Ok(beyond)
    }

    /// Receives, packs and delivers until the last event that was there at the start, or the deadline.
    async fn read(
        &mut self,
        lease: &mut Lease,
        reader: &mut dyn PartitionReader,
        status: &PartitionStatus,
        flow: &mut Flow,
        waiting: Vec<Event>,
    ) -> Result<(), Stopped> {
        let mut seen = flow.next.map_or(i64::MIN, |next| next.0 - 1);
        let mut waiting = Some(waiting);
        let renew = self.job.config.lease / 2;
        let mut written = Instant::now();
        if seen == i64::MIN && self.job.config.initial_position == StartPosition::Latest {
            // Nothing of what was there is wanted.
            seen = status.last;
        }
        loop {
            let received = match waiting.take() {
                Some(events) => events,
                None if status.is_empty() || seen >= status.last || self.is_over() => break,
                None => {
                    let received = reader.next(self.wait()).await?;
                    self.job.metrics.count(Metric::EventsReceived, received.len() as u64);
                    if received.is_empty() && self.trimmed(reader, status).await? {
                        break;
                    }
                    received
                }
            };
            if let (true, Some(event)) = (self.events == 0, received.first()) {
                let age = self.job.clock.now().saturating_sub(event.enqueued_time).max(0) / 1_000;
                self.job.metrics.record(Metric::OldestEventAgeSeconds, "", u64::try_from(age).unwrap_or(0));
            }
            for event in received {
                if event.sequence_number.0 <= seen {
                    continue;
                }
                seen = event.sequence_number.0;
                if let Some(events) = flow.packer.push(event) {
                    self.deliver(lease, flow, events).await?;
                    written = Instant::now();
                }
            }
            if written.elapsed() >= renew {
                lease.refresh(self.job.clock.now()).await?;
                written = Instant::now();
            }
        }
        match flow.packer.take() {
            Some(events) => self.deliver(lease, flow, events).await,
            None => Ok(()),
        }
    }

    /// Whether what this run still waits for is gone from the hub.
    async fn trimmed(&self, reader: &mut dyn PartitionReader, status: &PartitionStatus) -> Result<bool, Stopped> {
        let now = reader.status().await?;
        Ok(now.is_empty() || now.begin > status.last || now.incarnation != status.incarnation)
    }

    /// Rules 3 and 5: commits the batch before and plans this one in one write, then sends it.
    async fn deliver(&mut self, lease: &mut Lease, flow: &mut Flow, events: Vec<Event>) -> Result<(), Stopped> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        let plan = Plan { first: first.sequence_number, last: last.sequence_number, last_offset: last.offset.clone() };
        let expected = flow.next.unwrap_or(plan.first);
        let lost = size(expected, plan.last).saturating_sub(events.len() as u64);
        flow.next = Some(plan.last.next());
        let now = self.job.clock.now();
        let planned = match flow.sent.take() {
            None => lease.plan(plan, lost, now).await?,
            Some(sent) => match lease.commit(sent, Some((plan, lost)), now).await? {
                Some(planned) => planned,
                None => return Ok(()),
            },
        };
        self.count_lost(lost);
        flow.sent = Some(self.send(planned, flow.source.clone(), events).await?);
        Ok(())
    }

    /// Puts a planned batch into the queue, as often as needed. The plan stays when this fails.
    async fn send(&mut self, planned: Planned, source: SourceRef, events: Vec<Event>) -> Result<Sent, Stopped> {
        let plan = planned.plan();
        let count = events.len() as u64;
        let enqueued = events.last().map_or(0, |event| event.enqueued_time);
        let batch =
            Batch { module: self.job.config.module.clone(), source, first: plan.first, last: plan.last, events };
        let id = batch.id();
        let message = message_of(batch, &self.job.staging)
            .await
            .map_err(|error| Stopped::Send { denied: error.denied, detail: error.detail })?;
        let outbox = QueueOutbox::new(self.job.queue.as_ref());
        let (mut planned, mut pause) = (planned, SEND_PAUSE);
        for attempt in 1.. {
            match planned.send(&outbox, &id, &message, enqueued).await {
                Ok(sent) => {
                    info!(partition = %self.partition, batch = %id, events = count, bytes = message.len(), "batch sent");
                    self.job.metrics.count(Metric::BatchesSent, 1);
                    self.job.metrics.count(Metric::EventsForwarded, count);
                    self.events += count;
                    self.batches += 1;
                    return Ok(sent);
                }
                Err((_, error)) if attempt == SEND_ATTEMPTS => {
                    self.job.metrics.count(Metric::DeliveryErrors, 1);
                    return Err(Stopped::Send { denied: error.denied, detail: error.to_string() });
                }
                Err((same, error)) => {
                    warn!(partition = %self.partition, batch = %id, attempt, "{error}; trying again");
                    tokio::time::sleep(pause).await;
                    (planned, pause) = (same, pause * 2);
                }
            }
        }
        Err(Stopped::Send { detail: format!("batch {id} was not sent"), denied: false })
    }

    fn source_ref(&self, status: &PartitionStatus) -> SourceRef {
        SourceRef {
            namespace: self.hub.namespace.clone(),
            hub: self.hub.hub.clone(),
            consumer_group: self.hub.consumer_group.clone(),
            partition: self.partition.clone(),
            incarnation: status.incarnation,
        }
    }

    fn count_lost(&mut self, lost: u64) {
        if lost > 0 {
            self.lost += lost;
            self.job.metrics.count(Metric::EventsLost, lost);
            error!(partition = %self.partition, lost, "the hub dropped events before they could be read: raise its retention or poll more often");
        }
    }

    /// Whether this turn's time is up.
    fn is_over(&self) -> bool {
        self.job.stop.is_set() || Instant::now() >= self.deadline
    }

    fn wait(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).min(WAIT)
    }
}

/// What moves through one turn.
struct Flow {
    packer: Packer,
    /// The batch that is in the queue and not yet committed.
    sent: Option<Sent>,
    /// The sequence number that comes next; `None` before the first event of a new partition.
    next: Option<SequenceNumber>,
    source: SourceRef,
}

/// Numbers from `first` to `last`.
fn size(first: SequenceNumber, last: SequenceNumber) -> u64 {
    u64::try_from(last.0.saturating_sub(first.0).saturating_add(1)).unwrap_or(0)
}
