//! A message as a batch.

use std::borrow::Cow;
use std::fmt;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::encode::claim_key;
use super::foreign::{self, Foreign};
use super::{CLAIM, EnvelopeError, IDENTITY, MAX_MESSAGE_BYTES, Order, SCHEMA, ZSTD_BASE64, events_cap};
use crate::{Batch, Body, Event, MAX_BATCH_EVENTS, Offset, SequenceNumber, SourceRef, TimestampMs};

/// Largest window that the decompressor makes room for: 16 MiB.
const WINDOW_LOG_MAX: u32 = 24;

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A batch.
    Batch(Batch),
    /// A batch whose events lie in the staging store.
    Claim(Claim),
    /// A body without an envelope.
    Foreign(Foreign),
}

/// A batch whose events must be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    batch: Batch,
    count: usize,
    key: String,
}

impl Claim {
    /// The batch, still without its events.
    pub fn header(&self) -> &Batch {
        &self.batch
    }

    /// The key of the object that holds the events: always `claims/{batch-id}-{64 hex digits}` of this very batch.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The batch, from the object's bytes.
    ///
    /// # Errors
    /// When the bytes are not those that the message names, or not a batch's events.
    pub fn open(self, bytes: &[u8]) -> Result<Batch, EnvelopeError> {
        if self.key != claim_key(&self.batch.id(), bytes) {
            return Err(damaged("the claim's content does not have the digest in its key"));
        }
        with_events(self.batch, self.count, &decompress(bytes, events_cap(self.count))?)
    }
}

#[derive(Deserialize)]
struct Wire<'m> {
    #[serde(borrow)]
    module: Cow<'m, str>,
    source: SourceRef,
    first: i64,
    last: i64,
    count: usize,
    #[serde(borrow)]
    encoding: Cow<'m, str>,
    #[serde(borrow)]
    events: &'m RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEvent<'m> {
    sequence_number: i64,
    offset: String,
    enqueued_time: TimestampMs,
    partition_key: Option<String>,
    #[serde(default)]
    properties: Pairs,
    #[serde(borrow)]
    body: &'m RawValue,
}

/// Members in order, also when a name comes twice.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Reads a message. What is no envelope is foreign input, never an error; `message_id` names it.
///
/// # Errors
/// When the message says that it is an envelope, and is damaged or of another version, or when it is too large.
pub fn decode(message: &str, message_id: &str) -> Result<Decoded, EnvelopeError> {
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(EnvelopeError::TooLarge { what: "the message", limit: MAX_MESSAGE_BYTES });
    }
    match schema_of(message) {
        Some(schema) if schema == SCHEMA => {}
        Some(schema) if schema.starts_with("tributary.") => {
            return Err(EnvelopeError::Schema(schema.chars().take(64).collect()));
        }
        _ => return Ok(Decoded::Foreign(foreign::read(message, message_id))),
    }
    let wire: Wire<'_> = serde_json::from_str(message).map_err(|error| unreadable("header", &error))?;
    let batch = Batch {
        module: wire.module.into_owned(),
        source: wire.source,
        first: SequenceNumber(wire.first),
        last: SequenceNumber(wire.last),
        events: Vec::new(),
    };
    order(&batch, wire.count)?;
    let text = || serde_json::from_str::<Text<'_>>(wire.events.get()).map_err(|error| unreadable("events", &error));
    match &*wire.encoding {
        IDENTITY => with_events(batch, wire.count, wire.events.get()).map(Decoded::Batch),
        ZSTD_BASE64 => {
            let bytes = STANDARD.decode(text()?.0.as_bytes()).map_err(|_| damaged("its events are no base64"))?;
            with_events(batch, wire.count, &decompress(&bytes, events_cap(wire.count))?).map(Decoded::Batch)
        }
        CLAIM => {
            let key = text()?.0.into_owned();
            // A key of another form would let a message point anywhere in the store.
            let digest = key.strip_prefix(&format!("claims/{}-", batch.id()));
            let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if !digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(lower_hex)) {
                return Err(damaged("the key of its claim is not that of its batch"));
            }
            Ok(Decoded::Claim(Claim { batch, count: wire.count, key }))
        }
        _ => Err(damaged("its encoding is none of identity, zstd+base64, s3")),
    }
}

/// A text that is borrowed from the message where it can be.
#[derive(Deserialize)]
struct Text<'m>(#[serde(borrow)] Cow<'m, str>);

/// The text of an object's first member `schema`. Looks no further, so that what follows may be damaged: it is an envelope
/// by its word.
fn schema_of(message: &str) -> Option<Cow<'_, str>> {
    struct Probe<'s, 'm>(&'s mut Option<&'m RawValue>);
    impl<'m> Visitor<'m> for Probe<'_, 'm> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'m>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<Text<'m>>()? {
                if name.0 == "schema" {
                    *self.0 = Some(map.next_value()?);
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut found = None;
    // Fails when it stopped before the object's end, which is the aim, and for what is no object.
    let _ = serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(message), Probe(&mut found));
    serde_json::from_str::<Text<'_>>(found?.get()).ok().map(|text| text.0)
}

fn order(batch: &Batch, count: usize) -> Result<Order, EnvelopeError> {
    Order::new(batch.first, batch.last, count).ok_or_else(|| damaged("its range cannot hold as many events as it says"))
}

fn with_events(mut batch: Batch, count: usize, list: &str) -> Result<Batch, EnvelopeError> {
    let order = order(&batch, count)?;
    // The count is hearsay until the events were seen.
    batch.events.reserve_exact(count.min(MAX_BATCH_EVENTS));
    let mut failure = None;
    let events = Events { events: &mut batch.events, count, order, failure: &mut failure };
    let mut reader = serde_json::Deserializer::from_str(list);
    let read = events.deserialize(&mut reader).and_then(|()| reader.end());
    match (failure, read) {
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Err(unreadable("events", &error)),
        (None, Ok(())) => Ok(batch),
    }
}

/// Reads the list event by event and stops at the first that does not fit.
struct Events<'e> {
    events: &'e mut Vec<Event>,
    count: usize,
    order: Order,
    failure: &'e mut Option<EnvelopeError>,
}

impl<'de> DeserializeSeed<'de> for Events<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Events<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(event) = list.next_element::<WireEvent<'de>>()? {
            if let Err(failure) = self.add(event) {
                *self.failure = Some(failure);
                return Err(A::Error::custom("refused"));
            }
        }
        if self.events.len() < self.count {
            *self.failure = Some(damaged("it holds fewer events than it says"));
        }
        Ok(())
    }
}

impl Events<'_> {
    fn add(&mut self, event: WireEvent<'_>) -> Result<(), EnvelopeError> {
        if self.events.len() >= self.count {
            return Err(damaged("it holds more events than it says"));
        }
        let sequence_number = SequenceNumber(event.sequence_number);
        if !self.order.take(sequence_number) {
            return Err(damaged("its sequence numbers do not rise within its range"));
        }
        self.events.push(Event {
            sequence_number,
            offset: Offset::new(event.offset),
            enqueued_time: event.enqueued_time,
            partition_key: event.partition_key,
            properties: event.properties.0,
            body: body(event.body.get())?,
        });
        Ok(())
    }
}

fn body(raw: &str) -> Result<Body, EnvelopeError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bytes<'m> {
        #[serde(borrow)]
        base64: Cow<'m, str>,
    }
    if raw.starts_with('"') {
        return serde_json::from_str(raw).map(Body::Text).map_err(|error| unreadable("a body", &error));
    }
    // Other writers may embed a document that merely resembles bytes.
    if begins_with_base64(raw)
        && let Ok(bytes) = serde_json::from_str::<Bytes<'_>>(raw)
    {
        let bytes = STANDARD.decode(bytes.base64.as_bytes()).map_err(|_| damaged("a body is no base64"))?;
        return Ok(Body::from_bytes(bytes));
    }
    Ok(Body::Text(raw.to_owned()))
}

/// Whether a document is an object whose first name is written `base64`.
fn begins_with_base64(raw: &str) -> bool {
    let white = [' ', '\t', '\n', '\r'];
    raw.strip_prefix('{').is_some_and(|rest| rest.trim_start_matches(white).starts_with("\"base64\""))
}

/// Decompresses at most `cap` bytes, whatever the sender claims.
fn decompress(bytes: &[u8], cap: usize) -> Result<String, EnvelopeError> {
    let fail = |_| damaged("its events do not decompress");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(fail)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(fail)?;
    let mut text = String::new();
    decoder.take(cap as u64 + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() > cap {
        return Err(EnvelopeError::TooLarge { what: "the batch", limit: cap });
    }
    Ok(text)
}

fn damaged(detail: &str) -> EnvelopeError {
    EnvelopeError::Damaged(detail.to_owned())
}

/// Names the place but not the text there.
fn unreadable(what: &str, error: &serde_json::Error) -> EnvelopeError {
    EnvelopeError::Damaged(format!("{what}, line {} column {}", error.line(), error.column()))
}
