//! What mapping a body takes and gives.

use tributary_ocsf::{Object, ShapeId};

/// What a deployment may choose.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Put the whole source record, redacted, into `raw_data`.
    pub raw_data: bool,
}

/// Where a body came from: names its records, and lends a time to those that have none.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'b> {
    /// `{source digest}-{partition}-{sequence number}`; the record's index is appended to make `metadata.uid`.
    pub uid: &'b str,
    /// When the hub accepted the event, in milliseconds.
    pub enqueued_time: Option<i64>,
}

/// Why a record is not mapped. The list is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The text is no JSON.
    NotJson,
    /// JSON, but no log record: a metric, a bare scalar.
    NotALog,
    /// A piece of a larger document.
    Fragment,
    /// No mapping file claims the record.
    UnknownKind,
    /// The event would lack an attribute that OCSF requires.
    MissingRequired,
    /// The event would break another rule of OCSF.
    Invalid,
    /// Larger than a lake object can carry.
    TooLarge,
    /// Nested too deep.
    TooDeep,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::NotJson,
        Self::NotALog,
        Self::Fragment,
        Self::UnknownKind,
        Self::MissingRequired,
        Self::Invalid,
        Self::TooLarge,
        Self::TooDeep,
    ];

    /// The name that quarantine and metrics carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not-json",
            Self::NotALog => "not-a-log",
            Self::Fragment => "fragment",
            Self::UnknownKind => "unknown-kind",
            Self::MissingRequired => "missing-required",
            Self::Invalid => "invalid",
            Self::TooLarge => "too-large",
            Self::TooDeep => "too-deep",
        }
    }
}

/// A record that became an event.
#[derive(Debug, Clone, Copy)]
pub struct Mapped<'b> {
    /// Its kind.
    pub kind: &'b str,
    /// Its class.
    pub class: ShapeId,
    /// The event.
    pub event: Object<'b>,
    /// The event's `time`, in milliseconds.
    pub time: i64,
    /// `cloud.account.uid`, as the source wrote it.
    pub account: Option<&'b str>,
    /// The record's category where no map but the general one is for it.
    pub general: Option<&'b str>,
    /// Whether a finding goes to Security Hub: not when it repeats another kind's.
    pub security_hub: bool,
}

/// A record that is no event of its own but a message for another part of the product.
#[derive(Debug, Clone, Copy)]
pub struct Routed<'b> {
    /// The rule of the module that says so.
    pub rule: &'b str,
    /// The message as JSON.
    pub message: &'b str,
    /// The record, whole and redacted.
    pub raw: &'b str,
    /// Its index in its event.
    pub index: usize,
}

impl<'b> Routed<'b> {
    /// What becomes of it where nobody takes its message: nothing is lost, and quarantine says what is missing.
    pub fn refused(&self) -> Refused<'b> {
        let detail = format!("a notification for {}, and no queue is configured that takes it", self.rule);
        Refused { reason: Reason::UnknownKind, detail, kind: None, raw: self.raw, index: self.index }
    }
}

/// A record that a rule of the module leaves out: a handshake of the transport, no telemetry.
#[derive(Debug, Clone, Copy)]
pub struct Skipped<'b> {
    /// The rule.
    pub rule: &'b str,
    /// Its index in its event.
    pub index: usize,
}

/// A record that did not.
#[derive(Debug, Clone)]
pub struct Refused<'b> {
    /// Why.
    pub reason: Reason,
    /// More of it, without content of the record beyond its kind's name.
    pub detail: String,
    /// Its kind, where that was found.
    pub kind: Option<&'b str>,
    /// The record, whole and redacted.
    pub raw: &'b str,
    /// Its index in its event.
    pub index: usize,
}

/// What became of a record.
#[derive(Debug, Clone)]
pub enum Outcome<'b> {
    /// An event.
    Mapped(Mapped<'b>),
    /// Quarantine.
    Refused(Refused<'b>),
    /// A message for another part of the product.
    Routed(Routed<'b>),
    /// Counted and left out.
    Skipped(Skipped<'b>),
}
