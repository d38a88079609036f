//! A partition: a log of events, and the readers that are attached to it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::SystemTime,
};

use tokio::sync::{Notify, watch};

use crate::{
    error::{Refusal, condition},
    event::{Incoming, StoredEvent, from_millis, to_millis},
    filter::Start,
    lock,
};

/// Readers without an epoch that a partition serves in one consumer group.
pub(crate) const MAX_READERS: usize = 5;

/// What a partition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionStats {
    /// The first sequence number that is still there; that of the next event when there is none.
    pub begin_sequence_number: i64,
    /// The sequence number of the last event ever enqueued; -1 before the first.
    pub last_sequence_number: i64,
    /// The offset of the last event ever enqueued; `"-1"` before the first.
    pub last_offset: String,
    /// When the last event was enqueued.
    pub last_enqueued_time: Option<SystemTime>,
    /// How many events were enqueued since the hub was created.
    pub enqueued: u64,
    /// How many events are still there.
    pub held: usize,
    /// How many bytes they take, encoded.
    pub held_bytes: usize,
}

/// A receiver that is attached to a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderInfo {
    /// Its consumer group, as configured.
    pub consumer_group: String,
    /// Its epoch (owner level); `None` for a reader that shares the partition.
    pub epoch: Option<i64>,
    /// The name that it gave itself.
    pub name: Option<String>,
}

/// A reader's end: what the partition tells the connection that serves it.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) info: ReaderInfo,
    /// Set once when the reader has lost its place.
    pub(crate) ended: OnceLock<Refusal>,
    wake: Arc<Notify>,
}

impl Reader {
    pub(crate) fn new(info: ReaderInfo, wake: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { info, ended: OnceLock::new(), wake })
    }

    fn end(&self, refusal: Refusal) {
        let _ = self.ended.set(refusal);
        self.wake.notify_one();
    }
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Partition {
    log: Mutex<Log>,
    readers: Mutex<Vec<Arc<Reader>>>,
    retention_bytes: Option<usize>,
    /// The sequence number of the last event, for whoever waits in process.
    last: watch::Sender<i64>,
}

/// The events of a partition.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: VecDeque<StoredEvent>,
    /// The next event's sequence number.
    pub(crate) next: i64,
    next_offset: i64,
    bytes: usize,
    /// Offset and time of the last event ever enqueued.
    last: Option<(i64, i64)>,
}

impl Log {
    /// The first sequence number that is still there.
    pub(crate) fn begin(&self) -> i64 {
        self.next - self.events.len() as i64
    }

    /// The offset of the last event ever enqueued.
    pub(crate) fn last_offset(&self) -> String {
        self.last.map_or_else(|| "-1".to_owned(), |(offset, _)| offset.to_string())
    }

    /// When the last event was enqueued, in ms; 0 before the first.
    pub(crate) fn last_enqueued_ms(&self) -> i64 {
        self.last.map_or(0, |(_, enqueued_ms)| enqueued_ms)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The event with this sequence number, or the first later one that is still there.
    pub(crate) fn at_or_after(&self, sequence_number: i64) -> Option<&StoredEvent> {
        let index = sequence_number.max(self.begin()) - self.begin();
        usize::try_from(index).ok().and_then(|index| self.events.get(index))
    }

    /// The sequence number that a receiver with this start sees first. What is no longer there starts at the first
    /// event that is. A position beyond the last event is refused, in the service's own words: the hub is another one
    /// than the position is from.
    pub(crate) fn first_of(&self, start: &Start) -> Result<i64, Refusal> {
        let beyond = |what: &str, value: i64, last: String| {
            let text = format!("The supplied {what} '{value}' is invalid. The last {what} in the system is '{last}'");
            Err(Refusal::new(condition::ARGUMENT_ERROR, text))
        };
        let index = match start {
            Start::Earliest => 0,
            Start::Latest => return Ok(self.next),
            Start::SequenceNumber { value, .. } if *value >= self.next => {
                return beyond("sequence number", *value, (self.next - 1).to_string());
            }
            Start::SequenceNumber { value, inclusive } => {
                return Ok(value.saturating_add(i64::from(!inclusive)).max(self.begin()));
            }
            Start::Offset { value, .. } if *value > self.last.map_or(-1, |(offset, _)| offset) => {
                return beyond("offset", *value, self.last_offset());
            }
            Start::Offset { value, inclusive } => {
                let value = value.saturating_add(i64::from(!inclusive));
                self.events.partition_point(|event| event.offset < value)
            }
            // Times need not grow when events are published with times of their own.
            Start::EnqueuedTime { value, inclusive } => {
                let value = value.saturating_add(i64::from(!inclusive));
                self.events.iter().position(|event| event.enqueued_ms >= value).unwrap_or(self.events.len())
            }
        };
        Ok(self.begin() + index as i64)
    }

    fn trim_front(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.len();
        }
    }
}

impl Partition {
    pub(crate) fn new(retention_bytes: Option<usize>) -> Self {
        Self { log: Mutex::default(), readers: Mutex::default(), retention_bytes, last: watch::Sender::new(-1) }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    /// Appends events, all of them before any reader sees one. Returns the last sequence number.
    pub(crate) fn append(&self, events: impl IntoIterator<Item = Incoming>) -> i64 {
        let now_ms = to_millis(SystemTime::now());
        let last = {
            let mut log = self.log();
            for event in events {
                // An empty event still moves the offset, else two events would share one.
                let size = event.len().max(1) as i64;
                let event = event.store(log.next, log.next_offset, now_ms);
                log.last = Some((event.offset, event.enqueued_ms));
                log.bytes += event.len();
                log.next += 1;
                log.next_offset += size;
                log.events.push_back(event);
            }
            if let Some(cap) = self.retention_bytes {
                while log.bytes > cap && log.events.len() > 1 {
                    log.trim_front();
                }
            }
            log.next - 1
        };
        self.last.send_replace(last);
        self.wake_readers();
        last
    }

    /// Drops every event before this sequence number, as if its retention had passed.
    pub(crate) fn expire_before(&self, sequence_number: i64) {
        let mut log = self.log();
        while !log.is_empty() && log.begin() < sequence_number {
            log.trim_front();
        }
    }

    /// Starts anew: no events, sequence numbers from 0, and no reader keeps its place.
    pub(crate) fn rebuild(&self) {
        *self.log() = Log::default();
        self.last.send_replace(-1);
        self.end_readers(&Refusal::new(condition::DETACH_FORCED, "the hub was deleted"), |_| true);
    }

    /// Attaches a reader, by the rules of epochs: a higher or equal epoch displaces all others in the group, and
    /// while a reader with an epoch is there, none without is let in.
    pub(crate) fn attach(&self, reader: Arc<Reader>) -> Result<(), Refusal> {
        let mut readers = lock(&self.readers);
        let group = reader.info.consumer_group.clone();
        let same_group = |other: &Arc<Reader>| other.info.consumer_group == group;
        let highest = readers.iter().filter(|other| same_group(other)).filter_map(|other| other.info.epoch).max();
        match (reader.info.epoch, highest) {
            (Some(epoch), Some(highest)) if epoch < highest => {
                return Err(Refusal::new(
                    condition::STOLEN,
                    format!("a receiver with epoch {highest} is attached; epoch {epoch} is lower"),
                ));
            }
            (None, Some(highest)) => {
                return Err(Refusal::new(
                    condition::STOLEN,
                    format!("a receiver with epoch {highest} is attached; one without an epoch is not let in"),
                ));
            }
            (None, None) if readers.iter().filter(|other| same_group(other)).count() >= MAX_READERS => {
                return Err(Refusal::new(
                    condition::RESOURCE_LIMIT_EXCEEDED,
                    format!("{MAX_READERS} receivers are attached to this partition in this consumer group"),
                ));
            }
            (None, None) => {}
            (Some(epoch), _) => {
                let refusal = Refusal::new(
                    condition::STOLEN,
                    format!("a receiver with epoch {epoch} took this partition in consumer group {group:?}"),
                );
                readers.retain(|other| {
                    let displaced = same_group(other);
                    if displaced {
                        other.end(refusal.clone());
                    }
                    !displaced
                });
            }
        }
        readers.push(reader);
        Ok(())
    }

    pub(crate) fn detach(&self, reader: &Arc<Reader>) {
        lock(&self.readers).retain(|other| !Arc::ptr_eq(other, reader));
    }

    /// Takes the place of every reader that `which` names. Returns how many there were.
    pub(crate) fn end_readers(&self, refusal: &Refusal, which: impl Fn(&ReaderInfo) -> bool) -> usize {
        let mut readers = lock(&self.readers);
        let before = readers.len();
        readers.retain(|reader| {
            let ended = which(&reader.info);
            if ended {
                reader.end(refusal.clone());
            }
            !ended
        });
        before - readers.len()
    }

    pub(crate) fn readers(&self) -> Vec<ReaderInfo> {
        lock(&self.readers).iter().map(|reader| reader.info.clone()).collect()
    }

    fn wake_readers(&self) {
        for reader in lock(&self.readers).iter() {
            reader.wake.notify_one();
        }
    }

    pub(crate) fn stats(&self) -> PartitionStats {
        let log = self.log();
        PartitionStats {
            begin_sequence_number: log.begin(),
            last_sequence_number: log.next - 1,
            last_offset: log.last_offset(),
            last_enqueued_time: log.last.map(|(_, enqueued_ms)| from_millis(enqueued_ms)),
            enqueued: log.next.unsigned_abs(),
            held: log.events.len(),
            held_bytes: log.bytes,
        }
    }

    pub(crate) fn events(&self) -> Vec<StoredEvent> {
        self.log().events.iter().cloned().collect()
    }

    pub(crate) fn watch_last(&self) -> watch::Receiver<i64> {
        self.last.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    fn reader(epoch: Option<i64>) -> Arc<Reader> {
        let info = ReaderInfo { consumer_group: "$Default".to_owned(), epoch, name: None };
        Reader::new(info, Arc::default())
    }

    fn filled(count: usize) -> Partition {
        let partition = Partition::new(None);
        partition.append((0..count).map(|n| Event::new(format!("event {n}")).encode()));
        partition
    }

    #[test]
    fn epochs_displace_refuse_and_shut_out() {
        let partition = Partition::new(None);
        let shared = reader(None);
        partition.attach(shared.clone()).unwrap();
        let five = reader(Some(5));
        partition.attach(five.clone()).unwrap();
        assert_eq!(shared.ended.get().unwrap().condition, condition::STOLEN);
        assert_eq!(partition.attach(reader(Some(4))).unwrap_err().condition, condition::STOLEN);
        assert_eq!(partition.attach(reader(None)).unwrap_err().condition, condition::STOLEN);
        assert!(five.ended.get().is_none());
        let equal = reader(Some(5));
        partition.attach(equal.clone()).unwrap();
        assert_eq!(five.ended.get().unwrap().condition, condition::STOLEN);
        partition.detach(&equal);
        partition.attach(reader(None)).unwrap();
        assert_eq!(partition.readers().len(), 1);
    }

    #[test]
    fn a_sixth_shared_reader_is_refused_in_its_group_only() {
        let partition = Partition::new(None);
        for _ in 0..MAX_READERS {
            partition.attach(reader(None)).unwrap();
        }
        assert_eq!(partition.attach(reader(None)).unwrap_err().condition, condition::RESOURCE_LIMIT_EXCEEDED);
        let info = ReaderInfo { consumer_group: "other".to_owned(), epoch: None, name: None };
        partition.attach(Reader::new(info, Arc::default())).unwrap();
    }

    #[test]
    fn starts_are_found() {
        let partition = filled(10);
        partition.expire_before(4);
        let log = partition.log();
        let offset_of = |n| log.at_or_after(n).unwrap().offset;
        let sequence = |value, inclusive| log.first_of(&Start::SequenceNumber { value, inclusive }).unwrap();
        let offset = |value, inclusive| log.first_of(&Start::Offset { value, inclusive }).unwrap();
        assert_eq!(log.first_of(&Start::Earliest).unwrap(), 4);
        assert_eq!(log.first_of(&Start::Latest).unwrap(), 10);
        assert_eq!((sequence(6, true), sequence(6, false)), (6, 7));
        assert_eq!((sequence(1, false), sequence(-1, false), sequence(9, false)), (4, 4, 10));
        assert_eq!((offset(offset_of(6), true), offset(offset_of(6), false)), (6, 7));
        assert_eq!((offset(-1, false), offset(offset_of(9), false)), (4, 10));
    }

    #[test]
    fn a_position_beyond_the_last_event_is_refused() {
        let refused = |partition: &Partition, start| {
            let refusal = partition.log().first_of(&start).unwrap_err();
            assert_eq!(refusal.condition, condition::ARGUMENT_ERROR);
            refusal.description
        };
        let sequence = |value| Start::SequenceNumber { value, inclusive: true };
        let text = refused(&filled(10), sequence(10));
        assert_eq!(text, "The supplied sequence number '10' is invalid. The last sequence number in the system is '9'");
        refused(&filled(10), Start::Offset { value: i64::MAX, inclusive: false });
        refused(&filled(0), sequence(0));
        assert_eq!(filled(0).log().first_of(&sequence(-1)).unwrap(), 0);
    }

    #[test]
    fn the_byte_cap_drops_the_oldest() {
        let partition = Partition::new(Some(1000));
        partition.append((0..20).map(|_| Event::new(vec![0; 100]).encode()));
        let stats = partition.stats();
        assert!(stats.held_bytes <= 1000 && stats.held > 1, "{stats:?}");
        assert_eq!(stats.last_sequence_number, 19);
        assert_eq!(stats.begin_sequence_number, 20 - stats.held as i64);
    }

    #[test]
    fn a_rebuilt_partition_starts_at_zero() {
        let partition = filled(3);
        let shared = reader(None);
        partition.attach(shared.clone()).unwrap();
        partition.rebuild();
        assert_eq!(shared.ended.get().unwrap().condition, condition::DETACH_FORCED);
        assert_eq!(partition.stats().last_sequence_number, -1);
        assert_eq!(partition.append([Event::new("again").encode()]), 0);
    }
}
