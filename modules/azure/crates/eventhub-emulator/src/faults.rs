//! Faults: what goes wrong in production, on demand.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{Error, condition, error::Refusal, lock, server::Namespace};

/// What a connection is told to do from outside.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Close with this error.
    Close(Refusal),
    /// Reset the TCP connection, without a word.
    Reset,
}

/// The outside's hold on one connection.
#[derive(Debug, Default)]
pub(crate) struct Remote {
    pub(crate) wake: Arc<Notify>,
    command: Mutex<Option<Command>>,
}

impl Remote {
    pub(crate) fn command(&self, command: Command) {
        *lock(&self.command) = Some(command);
        self.wake.notify_one();
    }

    pub(crate) fn take_command(&self) -> Option<Command> {
        lock(&self.command).take()
    }
}

/// What happens to a receiver after some deliveries.
#[derive(Clone, Debug)]
pub(crate) enum AfterDeliveries {
    Detach(Refusal),
    Close(Refusal),
    Reset,
}

#[derive(Debug)]
struct DeliveryFault {
    hub: String,
    partition: Option<u32>,
    remaining: u64,
    then: AfterDeliveries,
}

/// Requests to refuse, and with what.
#[derive(Debug, Default)]
struct Refusals(Vec<(u64, Refusal)>);

impl Refusals {
    fn take(&mut self) -> Option<Refusal> {
        let (remaining, refusal) = self.0.first_mut()?;
        *remaining = remaining.saturating_sub(1);
        if *remaining == 0 { Some(self.0.remove(0).1) } else { Some(refusal.clone()) }
    }
}

/// The state of every fault.
#[derive(Debug, Default)]
pub(crate) struct FaultState {
    /// How many delivery faults wait: receivers look at the list only when there are any.
    armed: AtomicUsize,
    deliveries: Mutex<Vec<DeliveryFault>>,
    attaches: Mutex<Refusals>,
    management: Mutex<Refusals>,
    tokens: Mutex<Refusals>,
    delay: Mutex<Duration>,
    hang_until: Mutex<Option<Instant>>,
    connections: Mutex<Vec<Weak<Remote>>>,
}

impl FaultState {
    pub(crate) fn register(&self, remote: &Arc<Remote>) {
        let mut connections = lock(&self.connections);
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(remote));
    }

    /// Every open connection.
    pub(crate) fn connections(&self) -> Vec<Arc<Remote>> {
        lock(&self.connections).iter().filter_map(Weak::upgrade).collect()
    }

    /// How many deliveries a receiver may make before a fault strikes.
    pub(crate) fn allowance(&self, hub: &str, partition: u32) -> Option<u64> {
        if self.armed.load(Ordering::Acquire) == 0 {
            return None;
        }
        let deliveries = lock(&self.deliveries);
        deliveries.iter().filter(|fault| fault.is_for(hub, partition)).map(|fault| fault.remaining).min()
    }

    /// Counts deliveries, and returns the fault that is due after them.
    pub(crate) fn delivered(&self, hub: &str, partition: u32, count: u64) -> Option<AfterDeliveries> {
        if self.armed.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut deliveries = lock(&self.deliveries);
        for fault in deliveries.iter_mut().filter(|fault| fault.is_for(hub, partition)) {
            fault.remaining = fault.remaining.saturating_sub(count);
        }
        let due = deliveries.iter().position(|fault| fault.is_for(hub, partition) && fault.remaining == 0)?;
        let fault = deliveries.remove(due);
        self.armed.store(deliveries.len(), Ordering::Release);
        Some(fault.then)
    }

    pub(crate) fn refuse_attach(&self) -> Option<Refusal> {
        lock(&self.attaches).take()
    }

    pub(crate) fn refuse_management(&self) -> Option<Refusal> {
        lock(&self.management).take()
    }

    pub(crate) fn refuse_token(&self) -> Option<Refusal> {
        lock(&self.tokens).take()
    }

    pub(crate) fn delay(&self) -> Duration {
        *lock(&self.delay)
    }

    /// Until when nothing is read or written.
    pub(crate) fn hang_until(&self) -> Option<Instant> {
        (*lock(&self.hang_until)).filter(|until| *until > Instant::now())
    }
}

impl DeliveryFault {
    fn is_for(&self, hub: &str, partition: u32) -> bool {
        self.hub.eq_ignore_ascii_case(hub) && self.partition.is_none_or(|wanted| wanted == partition)
    }
}

/// Makes things go wrong. Every method returns at once; what it asks for happens on the connections' own tasks.
///
/// Counted faults ("after N deliveries", "the next N") are used up by the events that they count, in the order in
/// which they were asked for.
#[derive(Clone, Debug)]
pub struct Faults {
    pub(crate) namespace: Arc<Namespace>,
}

impl Faults {
    fn state(&self) -> &FaultState {
        &self.namespace.faults
    }

    /// Closes every open connection with `amqp:connection:forced`. Returns how many there were.
    pub fn close_connections(&self) -> usize {
        self.close_connections_with(condition::CONNECTION_FORCED)
    }

    /// Closes every open connection with this error condition. Returns how many there were.
    pub fn close_connections_with(&self, condition: impl Into<String>) -> usize {
        self.command_all(&Command::Close(Refusal::new(condition, "the connection was closed by a fault")))
    }

    /// Drops every open connection without a close frame: the peer sees a TCP reset. Returns how many there were.
    pub fn reset_connections(&self) -> usize {
        self.command_all(&Command::Reset)
    }

    fn command_all(&self, command: &Command) -> usize {
        let connections = self.state().connections();
        connections.iter().for_each(|connection| connection.command(command.clone()));
        connections.len()
    }

    /// Detaches one receiver of the hub (of one partition, or of any) with this error condition, after this many more
    /// deliveries; with 0 it is the next that is attached or served.
    pub fn detach_receiver_after(
        &self,
        hub: &str,
        partition: Option<u32>,
        deliveries: u64,
        condition: impl Into<String>,
    ) {
        let refusal = Refusal::new(condition, "the link was detached by a fault");
        self.after_deliveries(hub, partition, deliveries, AfterDeliveries::Detach(refusal));
    }

    /// Closes the connection of the receiver that makes the last of this many more deliveries, with
    /// `amqp:connection:forced`.
    pub fn close_connection_after(&self, hub: &str, partition: Option<u32>, deliveries: u64) {
        let refusal = Refusal::new(condition::CONNECTION_FORCED, "the connection was closed by a fault");
        self.after_deliveries(hub, partition, deliveries, AfterDeliveries::Close(refusal));
    }

    /// Resets the TCP connection of the receiver that makes the last of this many more deliveries. What was written
    /// and not yet received is lost with it.
    pub fn reset_connection_after(&self, hub: &str, partition: Option<u32>, deliveries: u64) {
        self.after_deliveries(hub, partition, deliveries, AfterDeliveries::Reset);
    }

    fn after_deliveries(&self, hub: &str, partition: Option<u32>, remaining: u64, then: AfterDeliveries) {
        let mut deliveries = lock(&self.state().deliveries);
        deliveries.push(DeliveryFault { hub: hub.to_owned(), partition, remaining, then });
        self.state().armed.store(deliveries.len(), Ordering::Release);
        drop(deliveries);
        self.state().connections().iter().for_each(|connection| connection.wake.notify_one());
    }

    /// Delays everything that is sent (replies, deliveries, dispositions) by this long, from now on. Zero ends it.
    pub fn delay(&self, delay: Duration) {
        *lock(&self.state().delay) = delay;
    }

    /// Reads and writes nothing for this long, on open and on new connections: the peer waits.
    pub fn hang(&self, duration: Duration) {
        *lock(&self.state().hang_until) = Some(Instant::now() + duration);
        self.state().connections().iter().for_each(|connection| connection.wake.notify_one());
    }

    /// Refuses the next `count` attaches of receivers and senders (not those of `$cbs` and `$management`) with this
    /// error condition, for example [`condition::SERVER_BUSY`].
    pub fn refuse_attaches(&self, count: u64, condition: impl Into<String>) {
        refuse(&self.state().attaches, count, condition);
    }

    /// Answers the next `count` management requests with status 503 and this error condition.
    pub fn refuse_management(&self, count: u64, condition: impl Into<String>) {
        refuse(&self.state().management, count, condition);
    }

    /// Answers the next `count` `put-token` requests with status 401 and this error condition.
    pub fn refuse_tokens(&self, count: u64, condition: impl Into<String>) {
        refuse(&self.state().tokens, count, condition);
    }

    /// Displaces every reader of a partition in a consumer group, as a reader with a higher epoch does: their links end
    /// with `amqp:link:stolen`. Returns how many there were.
    ///
    /// # Errors
    /// No such hub or partition.
    pub fn steal(&self, hub: &str, consumer_group: &str, partition: u32) -> Result<usize, Error> {
        let handle = self.namespace.hub(hub)?;
        let refusal = Refusal::new(condition::STOLEN, "a receiver with a higher epoch took this partition");
        let partition = handle.hub.partition(partition).ok_or_else(|| Error::NoSuchPartition {
            hub: hub.to_owned(),
            partition,
            count: handle.partition_count(),
        })?;
        Ok(partition.end_readers(&refusal, |reader| reader.consumer_group.eq_ignore_ascii_case(consumer_group)))
    }

    /// Drops the events of a partition before this sequence number, as if their retention had passed. A receiver that
    /// has not read them goes on with the first that is left.
    ///
    /// # Errors
    /// No such hub or partition.
    pub fn expire_before(&self, hub: &str, partition: u32, sequence_number: i64) -> Result<(), Error> {
        let handle = self.namespace.hub(hub)?;
        let partition = handle.hub.partition(partition).ok_or_else(|| Error::NoSuchPartition {
            hub: hub.to_owned(),
            partition,
            count: handle.partition_count(),
        })?;
        partition.expire_before(sequence_number);
        Ok(())
    }

    /// Deletes a hub and creates it anew under its name: no events, sequence numbers and offsets from 0, a later
    /// `created_at`. Attached receivers are detached with `amqp:link:detach-forced`.
    ///
    /// # Errors
    /// No such hub.
    pub fn rebuild_hub(&self, hub: &str) -> Result<(), Error> {
        self.namespace.hub(hub)?.hub.rebuild();
        Ok(())
    }
}

fn refuse(refusals: &Mutex<Refusals>, count: u64, condition: impl Into<String>) {
    if count > 0 {
        lock(refusals).0.push((count, Refusal::new(condition, "the request was refused by a fault")));
    }
}
