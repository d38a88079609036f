//! Tuples of many records as columns of numbers, in the order of their coming.

use super::address::{Addresses, Reach};
use super::texts::{ABSENT, Texts};
use crate::parse::record::{Head, Refusal, Shared, Sink};
use crate::parse::tuple::{Decision, Form, Tuple};
use crate::place::{self, PathHints};

/// What a flow did. Numbers of OCSF's `activity_id` and `action_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) activity: i64,
    /// The activity's name: OCSF's, or the source's word for what OCSF has no name for.
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Unknown = 0,
    Allowed = 1,
    Denied = 2,
}

pub(crate) const OPEN: i64 = 1;
pub(crate) const CLOSE: i64 = 2;
pub(crate) const REFUSE: i64 = 5;
pub(crate) const TRAFFIC: i64 = 6;
pub(crate) const OTHER: i64 = 99;

/// What the source has words for: these have codes before anything comes, so that nothing crowds them out. What was dropped comes
/// [`IF_DROPPED`] behind what was not.
const STATES: [(i64, &str, Verdict); 7] = [
    (OPEN, "Open", Verdict::Allowed),
    (TRAFFIC, "Traffic", Verdict::Allowed),
    (CLOSE, "Close", Verdict::Allowed),
    (REFUSE, "Refuse", Verdict::Denied),
    (OPEN, "Open", Verdict::Denied),
    (TRAFFIC, "Traffic", Verdict::Denied),
    (CLOSE, "Close", Verdict::Denied),
];
const REFUSED: u8 = 3;
const IF_DROPPED: u8 = 4;
/// The same for encryption, what comes most first. Those of [`DROPPED`] say that the packet was dropped.
const ENCRYPTIONS: [&str; 9] = [
    "NX",
    "X",
    "",
    "NX_HW_NOT_SUPPORTED",
    "NX_LOCAL_DST",
    "NX_FALLBACK",
    "NX_SW_NOT_READY",
    "NX_NOT_ACCEPTED",
    "NX_NOT_SUPPORTED",
];
const DROPPED: std::ops::Range<u8> = 6..9;

/// Most different states, and most different words for encryption, of one object: codes have a byte.
const MAX_WORDS: usize = 200;
/// As many from which on no further record comes into an object: a record has at least the other half.
const ENOUGH_WORDS: usize = 100;

/// What the tuples of one rule share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    /// Index of the record.
    pub(crate) record: u32,
    /// Codes of texts.
    pub(crate) rule: u32,
    pub(crate) acl: u32,
    pub(crate) mac: u32,
}

/// What the tuples of one record share. Codes are those of texts.
#[derive(Debug, Clone)]
pub(crate) struct RecordInfo {
    pub(crate) uid: [u8; 26],
    /// Lower-case GUID.
    pub(crate) subscription: u32,
    pub(crate) region: u32,
    /// The record's own time in milliseconds.
    pub(crate) logged: Option<i64>,
    /// What its tuples' times are held against.
    pub(crate) reference: i64,
    pub(crate) category: u32,
    pub(crate) flow_log: u32,
    pub(crate) version: u32,
    pub(crate) network: u32,
    pub(crate) subnet: u32,
    pub(crate) interface: u32,
    pub(crate) interface_name: u32,
    /// Paths and texts for `unmapped`, by path.
    pub(crate) extras: Vec<(u32, u32)>,
    mac: u32,
    acl: u32,
}

/// Flags of a tuple.
pub(crate) const OUTBOUND: u8 = 1;
pub(crate) const NO_SOURCE_PORT: u8 = 2;
pub(crate) const NO_DESTINATION_PORT: u8 = 4;
pub(crate) const V6: u8 = 8;
/// Two bits: how far the flow reaches.
pub(crate) const REACH_SHIFT: u8 = 4;

/// A tuple that cannot be taken, with its place in its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadTuple {
    pub(crate) fault: &'static str,
    pub(crate) flow: u32,
    pub(crate) group: u32,
    /// Its place among all tuples of the record.
    pub(crate) number: u32,
    pub(crate) raw: Vec<u8>,
}

/// A record within a record that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRecord {
    pub(crate) refusal: Refusal,
    /// Its index among those of each record around it, the outermost's first.
    pub(crate) place: Vec<u32>,
    pub(crate) raw: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) time: Vec<i64>,
    pub(crate) source: Vec<u32>,
    pub(crate) destination: Vec<u32>,
    pub(crate) source_port: Vec<u16>,
    pub(crate) destination_port: Vec<u16>,
    pub(crate) protocol: Vec<u8>,
    pub(crate) flags: Vec<u8>,
    pub(crate) state: Vec<u8>,
    pub(crate) encryption: Vec<u8>,
    pub(crate) counters: [Vec<u64>; 4],
    pub(crate) context: Vec<u32>,
    /// Among all tuples of the record.
    pub(crate) number: Vec<u32>,
    pub(crate) addresses: Addresses,
    pub(crate) texts: Texts,
    pub(crate) contexts: Vec<Context>,
    pub(crate) records: Vec<RecordInfo>,
    pub(crate) states: Vec<State>,
    pub(crate) encryptions: Vec<String>,
    pub(crate) bad: Vec<BadTuple>,
    pub(crate) refused: Vec<BadRecord>,
    current: Current,
}

impl Default for Rows {
    fn default() -> Self {
        let states = STATES.map(|(activity, name, verdict)| State { activity, name: name.to_owned(), verdict });
        Self {
            time: Vec::new(),
            source: Vec::new(),
            destination: Vec::new(),
            source_port: Vec::new(),
            destination_port: Vec::new(),
            protocol: Vec::new(),
            flags: Vec::new(),
            state: Vec::new(),
            encryption: Vec::new(),
            counters: Default::default(),
            context: Vec::new(),
            number: Vec::new(),
            addresses: Addresses::default(),
            texts: Texts::default(),
            contexts: Vec::new(),
            records: Vec::new(),
            states: states.into(),
            encryptions: ENCRYPTIONS.map(str::to_owned).into(),
            bad: Vec::new(),
            refused: Vec::new(),
            current: Current::default(),
        }
    }
}

/// The record that is being read.
#[derive(Debug, Default)]
struct Current {
    uid: [u8; 26],
    hints: PathHints,
    received: i64,
    number: u32,
    flow: u32,
    group: u32,
    context: u32,
}

/// How much there was before a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    rows: usize,
    contexts: usize,
    records: usize,
    bad: usize,
    refused: usize,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// A record with this beginning of its tuples' ids follows.
    pub(crate) fn begin(&mut self, uid: [u8; 26], hints: &PathHints, received: i64) -> Mark {
        self.current = Current { uid, hints: hints.clone(), received, ..Current::default() };
        self.mark()
    }

    /// Whether so many new words were met that the next record had better come into another object.
    pub(crate) fn is_crowded(&self) -> bool {
        self.states.len().max(self.encryptions.len()) >= ENOUGH_WORDS
    }

    /// Forgets everything; keeps the memory of columns.
    pub(crate) fn clear(&mut self) {
        self.back(Mark { rows: 0, contexts: 0, records: 0, bad: 0, refused: 0 });
        self.addresses.clear();
        self.texts.clear();
        self.states.truncate(STATES.len());
        self.encryptions.truncate(ENCRYPTIONS.len());
    }

    fn refuse(&mut self, fault: &'static str, raw: Vec<u8>) {
        let Current { flow, group, number, .. } = self.current;
        self.current.number = number.saturating_add(1);
        self.bad.push(BadTuple { fault, flow: flow.saturating_sub(1), group: group.saturating_sub(1), number, raw });
    }

    fn state(&mut self, tuple: &Tuple<'_>, dropped: bool) -> Option<u8> {
        let code = match (tuple.decision, tuple.state) {
            (Decision::Denied, _) | (Decision::None, b"D") => return Some(REFUSED),
            (_, b"B") | (Decision::Allowed, b"") => 0,
            (_, b"C") => 1,
            (_, b"E") => 2,
            _ => return self.other_state(tuple, dropped),
        };
        Some(if dropped { code + IF_DROPPED } else { code })
    }

    #[cold]
    fn other_state(&mut self, tuple: &Tuple<'_>, dropped: bool) -> Option<u8> {
        let verdict = match tuple.decision {
            _ if dropped => Verdict::Denied,
            Decision::Allowed => Verdict::Allowed,
            _ => Verdict::Unknown,
        };
        let same =
            |known: &State| known.activity == OTHER && known.verdict == verdict && known.name.as_bytes() == tuple.state;
        if let Some(found) = self.states.iter().position(same) {
            return u8::try_from(found).ok();
        }
        if self.states.len() >= MAX_WORDS {
            return None;
        }
        let name = String::from_utf8_lossy(tuple.state).into_owned();
        self.states.push(State { activity: OTHER, name, verdict });
        u8::try_from(self.states.len() - 1).ok()
    }

    fn encryption(&mut self, word: &[u8]) -> Option<u8> {
        if let Some(found) = self.encryptions.iter().position(|known| known.as_bytes() == word) {
            return u8::try_from(found).ok();
        }
        if self.encryptions.len() >= MAX_WORDS {
            return None;
        }
        self.encryptions.push(String::from_utf8_lossy(word).into_owned());
        u8::try_from(self.encryptions.len() - 1).ok()
    }
}

impl Sink for Rows {
    type Mark = Mark;

    fn mark(&self) -> Mark {
        Mark {
            rows: self.time.len(),
            contexts: self.contexts.len(),
            records: self.records.len(),
            bad: self.bad.len(),
            refused: self.refused.len(),
        }
    }

    fn back(&mut self, mark: Mark) {
        self.time.truncate(mark.rows);
        self.source.truncate(mark.rows);
        self.destination.truncate(mark.rows);
        self.source_port.truncate(mark.rows);
        self.destination_port.truncate(mark.rows);
        self.protocol.truncate(mark.rows);
        self.flags.truncate(mark.rows);
        self.state.truncate(mark.rows);
        self.encryption.truncate(mark.rows);
        self.counters.iter_mut().for_each(|counter| counter.truncate(mark.rows));
        self.context.truncate(mark.rows);
        self.number.truncate(mark.rows);
        self.contexts.truncate(mark.contexts);
        self.records.truncate(mark.records);
        self.bad.truncate(mark.bad);
        self.refused.truncate(mark.refused);
    }

    fn refused(&mut self, place: &[u32], refusal: Refusal, raw: &[u8]) {
        self.refused.push(BadRecord { refusal, place: place.to_vec(), raw: raw.to_vec() });
    }

    fn head(&mut self, head: &Head<'_>, form: Form) {
        let texts = &mut self.texts;
        let hints = &self.current.hints;
        let logged = head.time.as_deref().and_then(tributary_mapping::parse_timestamp);
        let owner = [&head.target, &head.flow_log, &head.resource].into_iter().flatten();
        let subscription = owner.filter_map(|id| place::subscription(id)).next().map(str::to_ascii_lowercase);
        let subscription = subscription.or_else(|| hints.subscription.clone());
        let region = head.flow_log.as_deref().and_then(place::region).or_else(|| hints.region.clone());
        let target = head.target.as_deref().or(head.resource.as_deref().filter(|_| form == Form::Network));
        let place = target.map(place::target).unwrap_or_default();
        let mut extras: Vec<(u32, u32)> = Vec::new();
        let mut extra = |texts: &mut Texts, path: &str, text: &str| extras.push((texts.code(path), texts.code(text)));
        for (path, text) in head.extras.iter().filter(|(_, text)| !text.is_empty()) {
            extra(texts, path, text);
        }
        if place == place::Target::default()
            && let Some(id) = head.target.as_deref()
        {
            extra(texts, "targetResourceID", id);
        }
        // An id that says what the target says already is no more than that.
        if let Some(id) = head.resource.as_deref()
            && form == Form::Network
            && head.target.as_deref().is_some_and(|target| !target.eq_ignore_ascii_case(id))
        {
            extra(texts, "resourceId", id);
        }
        let category = head.category.as_deref().unwrap_or(match form {
            Form::Network => "FlowLogFlowEvent",
            Form::Group => "NetworkSecurityGroupFlowEvent",
        });
        let info = RecordInfo {
            uid: self.current.uid,
            subscription: texts.optional(subscription.as_deref()),
            region: texts.optional(region.as_deref()),
            logged,
            reference: hints.hour.or(logged).unwrap_or(self.current.received),
            category: texts.code(category),
            flow_log: texts.optional(head.flow_log.as_deref()),
            version: texts.optional(head.version.as_deref()),
            network: texts.optional(place.network),
            subnet: texts.optional(place.subnet),
            interface: texts.optional(place.interface.map(|(id, _)| id)),
            interface_name: texts.optional(place.interface.map(|(_, name)| name)),
            mac: mac(head.mac.as_deref().unwrap_or_default()).map_or(ABSENT, |mac| texts.code(&mac)),
            acl: texts.optional(head.resource.as_deref().filter(|_| form == Form::Group)),
            extras,
        };
        self.records.push(info);
    }

    fn version(&mut self, text: &str) {
        let code = self.texts.code(text);
        if let Some(info) = self.records.last_mut() {
            info.version = code;
        }
    }

    fn open(&mut self) -> usize {
        let record = self.records.len().saturating_sub(1);
        let (mac, acl) = self.records.get(record).map_or((ABSENT, ABSENT), |info| (info.mac, info.acl));
        self.contexts.push(Context { record: u32::try_from(record).unwrap_or(u32::MAX), rule: ABSENT, acl, mac });
        let opened = self.contexts.len() - 1;
        self.current.context = u32::try_from(opened).unwrap_or(u32::MAX);
        opened
    }

    fn describe(&mut self, opened: usize, of: Shared, text: &str) {
        let code = match of {
            Shared::Mac => mac(text).map(|mac| self.texts.code(&mac)),
            _ => Some(self.texts.code(text)),
        };
        if let (Some(context), Some(code)) = (self.contexts.get_mut(opened), code) {
            match of {
                Shared::Rule => context.rule = code,
                Shared::Acl => context.acl = code,
                Shared::Mac => context.mac = code,
            }
        }
    }

    fn opened(&self) -> usize {
        self.contexts.len()
    }

    fn tuple(&mut self, tuple: &Tuple<'_>, raw: &[u8]) {
        let encryption = self.encryption(tuple.encryption);
        let state = encryption.and_then(|code| self.state(tuple, DROPPED.contains(&code)));
        let (Some(state), Some(encryption)) = (state, encryption) else {
            let fault = "the record has more than 100 unknown states or words for encryption";
            return self.refuse(fault, raw.to_vec());
        };
        let source = self.addresses.code(tuple.source);
        let destination = self.addresses.code(tuple.destination);
        let reach = match (self.addresses.reach(source), self.addresses.reach(destination)) {
            (Reach::Loopback, Reach::Loopback) => 1,
            (Reach::Global, _) | (_, Reach::Global) => 3,
            _ => 2,
        };
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag(tuple.outbound, OUTBOUND)
            | flag(tuple.source_port.is_none(), NO_SOURCE_PORT)
            | flag(tuple.destination_port.is_none(), NO_DESTINATION_PORT)
            | flag(self.addresses.version(source) == 6, V6)
            | reach << REACH_SHIFT;
        self.time.push(tuple.time);
        self.source.push(source);
        self.destination.push(destination);
        self.source_port.push(tuple.source_port.unwrap_or_default());
        self.destination_port.push(tuple.destination_port.unwrap_or_default());
        self.protocol.push(tuple.protocol);
        self.flags.push(flags);
        self.state.push(state);
        self.encryption.push(encryption);
        self.counters.iter_mut().zip(tuple.counters).for_each(|(column, counter)| column.push(counter));
        self.context.push(self.current.context);
        self.number.push(self.current.number);
        self.current.number = self.current.number.saturating_add(1);
    }

    fn bad(&mut self, fault: &'static str, raw: &[u8]) {
        self.refuse(fault, raw.to_vec());
    }

    fn flow(&mut self) {
        self.current.flow = self.current.flow.saturating_add(1);
        self.current.group = 0;
    }

    fn flow_group(&mut self) {
        self.current.group = self.current.group.saturating_add(1);
    }
}

/// A MAC in OCSF's form; `None` for what is none.
fn mac(text: &str) -> Option<String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b':' | b'-')).collect();
    if digits.len() != 12 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = digits.chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_uppercase());
    Some(pairs.collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_in_one_form() {
        for text in ["000d3a35aB73", "00-0d-3a-35-ab-73", "00:0D:3A:35:AB:73"] {
            assert_eq!(mac(text).as_deref(), Some("00:0D:3A:35:AB:73"));
        }
        for text in ["", "000d3a35aB7", "000d3a35aB7g", "000d3a35aB7é"] {
            assert_eq!(mac(text), None);
        }
    }
}
