//! A message as a batch.

use std::borrow::Cow;
use std::fmt;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::foreign::{self, Foreign};
use super::{
    CLAIM, EnvelopeError, IDENTITY, MAX_EVENTS_BYTES, MAX_MESSAGE_BYTES, SCHEMA, ZSTD_BASE64, is_base64_object,
};
use crate::{Batch, Body, Event, Offset, SequenceNumber, SourceRef, TimestampMs};

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

    /// The key of the object that holds the events.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The batch, from the object's bytes.
    ///
    /// # Errors
    /// When the bytes are not those that the message names, or not a batch's events.
    pub fn open(self, bytes: &[u8]) -> Result<Batch, EnvelopeError> {
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if !self.key.ends_with(&digest) {
            return Err(damaged("the claim's content does not have the digest in its key"));
        }
        with_events(self.batch, self.count, &decompress(bytes)?)
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
    let text = || serde_json::from_str::<String>(wire.events.get()).map_err(|error| unreadable("events", &error));
    match &*wire.encoding {
        IDENTITY => with_events(batch, wire.count, wire.events.get()).map(Decoded::Batch),
        ZSTD_BASE64 => {
            let bytes = STANDARD.decode(text()?).map_err(|_| damaged("its events are no base64"))?;
            with_events(batch, wire.count, &decompress(&bytes)?).map(Decoded::Batch)
        }
        CLAIM => Ok(Decoded::Claim(Claim { batch, count: wire.count, key: text()? })),
        _ => Err(damaged("its encoding is none of identity, zstd+base64, s3")),
    }
}

/// The text of an object's member `schema`.
fn schema_of(message: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Probe<'m> {
        #[serde(borrow)]
        schema: Option<&'m RawValue>,
    }
    let looks_like_one = message.trim_start().starts_with('{') && message.contains("\"schema\"");
    let probe: Probe<'_> = looks_like_one.then(|| serde_json::from_str(message).ok()).flatten()?;
    serde_json::from_str(probe.schema?.get()).ok()
}

fn with_events(mut batch: Batch, count: usize, list: &str) -> Result<Batch, EnvelopeError> {
    let events: Vec<WireEvent<'_>> = serde_json::from_str(list).map_err(|error| unreadable("events", &error))?;
    if events.len() != count {
        return Err(damaged("it does not hold as many events as it says"));
    }
    let mut next = batch.first.0;
    for event in events {
        if event.sequence_number < next || event.sequence_number > batch.last.0 {
            return Err(damaged("its sequence numbers do not rise within its range"));
        }
        next = event.sequence_number.saturating_add(1);
        batch.events.push(Event {
            sequence_number: SequenceNumber(event.sequence_number),
            offset: Offset::new(event.offset),
            enqueued_time: event.enqueued_time,
            partition_key: event.partition_key,
            properties: event.properties.0,
            body: body(event.body.get())?,
        });
    }
    Ok(batch)
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
    if is_base64_object(raw) {
        let bytes: Bytes<'_> = serde_json::from_str(raw).map_err(|error| unreadable("a body", &error))?;
        let bytes = STANDARD.decode(bytes.base64.as_bytes()).map_err(|_| damaged("a body is no base64"))?;
        return Ok(Body::from_bytes(bytes));
    }
    Ok(Body::Text(raw.to_owned()))
}

/// Decompresses at most [`MAX_EVENTS_BYTES`] bytes, whatever the sender claims.
fn decompress(bytes: &[u8]) -> Result<String, EnvelopeError> {
    let fail = |_| damaged("its events do not decompress");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(fail)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(fail)?;
    let mut text = String::new();
    let limit = MAX_EVENTS_BYTES as u64 + 1;
    decoder.take(limit).read_to_string(&mut text).map_err(fail)?;
    if text.len() > MAX_EVENTS_BYTES {
        return Err(EnvelopeError::TooLarge { what: "the batch", limit: MAX_EVENTS_BYTES });
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
