//! A batch as a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::document::is_embeddable;
use super::{CLAIM, EnvelopeError, IDENTITY, MAX_MESSAGE_BYTES, Order, SCHEMA, ZSTD_BASE64, events_cap};
use crate::{Batch, BatchId, Body, Event, SourceRef};

/// Below this many bytes compressing does not pay.
const SMALL: usize = 4 * 1024;
/// Messages live for minutes: the cheapest level.
const ZSTD_LEVEL: i32 = 1;

/// A batch, ready for the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoded {
    /// It fits a message.
    Inline(String),
    /// It does not: put the claim first, then send the message that names it.
    Claim {
        /// `claims/{batch-id}-{sha256 of the bytes}`
        key: String,
        /// The list of events as JSON, compressed with zstd.
        bytes: Vec<u8>,
        /// The message.
        message: String,
    },
}

impl Encoded {
    /// The message to send, either way.
    pub fn message(&self) -> &str {
        match self {
            Self::Inline(message) | Self::Claim { message, .. } => message,
        }
    }
}

/// Makes the message of a batch. The same batch always gives the same message.
///
/// # Errors
/// When its events do not ascend within `first..=last`, when they are larger than [`super::MAX_EVENTS_BYTES`] as JSON, or
/// when the compressor fails.
pub fn encode(batch: &Batch) -> Result<Encoded, EnvelopeError> {
    let list = list(batch)?;
    if list.len() <= SMALL && !list.contains(REFUSED) {
        return message(batch, IDENTITY, &list).map(Encoded::Inline);
    }
    let bytes = zstd::bulk::compress(list.as_bytes(), ZSTD_LEVEL)
        .map_err(|error| EnvelopeError::Compress(error.to_string()))?;
    drop(list);
    // Four characters for three bytes: what cannot fit is not worth encoding.
    if bytes.len() / 3 * 4 < MAX_MESSAGE_BYTES {
        let text = message(batch, ZSTD_BASE64, &format!("\"{}\"", STANDARD.encode(&bytes)))?;
        if text.len() <= MAX_MESSAGE_BYTES {
            return Ok(Encoded::Inline(text));
        }
    }
    let key = claim_key(&batch.id(), &bytes);
    let message = message(batch, CLAIM, &format!("\"{key}\""))?;
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(EnvelopeError::TooLarge { what: "the message's header", limit: MAX_MESSAGE_BYTES });
    }
    Ok(Encoded::Claim { key, bytes, message })
}

/// `claims/{batch-id}-{sha256 of the bytes}`
pub(super) fn claim_key(id: &BatchId, bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(format!("claims/{id}-"), |mut key, byte| {
        let _ = write!(key, "{byte:02x}"); // a String takes every write
        key
    })
}

/// Characters that SQS takes in no message, beside the control characters, which JSON escapes.
const REFUSED: [char; 2] = ['\u{fffe}', '\u{ffff}'];

#[derive(Serialize)]
struct Header<'b> {
    schema: &'static str,
    module: &'b str,
    source: &'b SourceRef,
    first: i64,
    last: i64,
    count: usize,
    encoding: &'static str,
}

fn message(batch: &Batch, encoding: &'static str, events: &str) -> Result<String, EnvelopeError> {
    let header = Header {
        schema: SCHEMA,
        module: &batch.module,
        source: &batch.source,
        first: batch.first.0,
        last: batch.last.0,
        count: batch.events.len(),
        encoding,
    };
    let mut text = serde_json::to_string(&header).map_err(|error| json(&error))?;
    if text.contains(REFUSED) {
        text = text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    text.pop();
    text.reserve_exact(events.len() + 16);
    text.push_str(",\"events\":");
    text.push_str(events);
    text.push('}');
    Ok(text)
}

/// The list of events as JSON. Checked here, because a message that the reader refuses ends among the dead letters.
fn list(batch: &Batch) -> Result<String, EnvelopeError> {
    let count = batch.events.len();
    let (first, last) = (batch.first, batch.last);
    let invalid = |detail: &str| EnvelopeError::Invalid(format!("range {first}..={last}: {detail}"));
    let mut order = Order::new(first, last, count).ok_or_else(|| invalid("it cannot hold that many events"))?;
    let cap = events_cap(count);
    let mut list = Vec::with_capacity(batch.events.iter().map(|event| event.size() + 128).sum());
    list.push(b'[');
    for (index, event) in batch.events.iter().enumerate() {
        if !order.take(event.sequence_number) {
            return Err(invalid(&format!("event {} is outside of it or out of order", event.sequence_number)));
        }
        if index > 0 {
            list.push(b',');
        }
        write_event(event, &mut list).map_err(|error| json(&error))?;
        if list.len() >= cap {
            return Err(EnvelopeError::TooLarge { what: "the batch", limit: cap });
        }
    }
    list.push(b']');
    text(list)
}

/// One event as it stands in a batch's list of events. Line breaks in it are white space between a document's values.
///
/// # Errors
/// Never for events as a hub gives them.
pub fn event_json(event: &Event) -> Result<String, EnvelopeError> {
    let mut out = Vec::with_capacity(event.size() + 128);
    write_event(event, &mut out).map_err(|error| json(&error))?;
    text(out)
}

/// Every piece was text; looking again costs a hundredth of writing it.
fn text(out: Vec<u8>) -> Result<String, EnvelopeError> {
    String::from_utf8(out).map_err(|error| EnvelopeError::Invalid(error.utf8_error().to_string()))
}

/// Control characters come out escaped, so that a message holds none that a queue refuses.
fn write_event(event: &Event, out: &mut Vec<u8>) -> serde_json::Result<()> {
    out.extend_from_slice(b"{\"sequenceNumber\":");
    serde_json::to_writer(&mut *out, &event.sequence_number)?;
    out.extend_from_slice(b",\"offset\":");
    serde_json::to_writer(&mut *out, &event.offset)?;
    out.extend_from_slice(b",\"enqueuedTime\":");
    serde_json::to_writer(&mut *out, &event.enqueued_time)?;
    out.extend_from_slice(b",\"partitionKey\":");
    serde_json::to_writer(&mut *out, &event.partition_key)?;
    out.extend_from_slice(b",\"properties\":{");
    for (index, (name, value)) in event.properties.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, name)?;
        out.push(b':');
        serde_json::to_writer(&mut *out, value)?;
    }
    out.extend_from_slice(b"},\"body\":");
    match &event.body {
        Body::Text(text) if is_embeddable(text) => out.extend_from_slice(text.as_bytes()),
        Body::Text(text) => serde_json::to_writer(&mut *out, text)?,
        Body::Binary(bytes) => {
            out.extend_from_slice(b"{\"base64\":\"");
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.extend_from_slice(b"\"}");
        }
    }
    out.push(b'}');
    Ok(())
}

fn json(error: &serde_json::Error) -> EnvelopeError {
    EnvelopeError::Invalid(format!("cannot be written as json ({:?})", error.classify()))
}
