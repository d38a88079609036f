//! A batch as a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    CLAIM, EnvelopeError, IDENTITY, MAX_EMBEDDED_DEPTH, MAX_EVENTS_BYTES, MAX_MESSAGE_BYTES, SCHEMA, ZSTD_BASE64,
    is_base64_object,
};
use crate::{Batch, Body, Event, SourceRef};

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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'b, E> {
    schema: &'static str,
    module: &'b str,
    source: &'b SourceRef,
    first: i64,
    last: i64,
    count: usize,
    encoding: &'static str,
    events: E,
}

/// Makes the message of a batch. The same batch always gives the same message.
///
/// # Errors
/// When its events are larger than [`MAX_EVENTS_BYTES`] as JSON, or the compressor fails.
pub fn encode(batch: &Batch) -> Result<Encoded, EnvelopeError> {
    let mut list = String::with_capacity(batch.events.iter().map(|event| event.size() + 192).sum());
    list.push('[');
    for (index, event) in batch.events.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        write_event(event, &mut list)?;
    }
    list.push(']');
    if list.len() > MAX_EVENTS_BYTES {
        return Err(EnvelopeError::TooLarge { what: "the batch", limit: MAX_EVENTS_BYTES });
    }
    if list.len() <= SMALL && !list.chars().any(is_refused) {
        let events = RawValue::from_string(list).map_err(|error| json(&error))?;
        return message(batch, IDENTITY, &events).map(Encoded::Inline);
    }
    let bytes = zstd::bulk::compress(list.as_bytes(), ZSTD_LEVEL)
        .map_err(|error| EnvelopeError::Compress(error.to_string()))?;
    // Four characters for three bytes, and room for the header.
    if bytes.len() / 3 * 4 < MAX_MESSAGE_BYTES {
        let text = message(batch, ZSTD_BASE64, STANDARD.encode(&bytes))?;
        if text.len() <= MAX_MESSAGE_BYTES {
            return Ok(Encoded::Inline(text));
        }
    }
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let key = format!("claims/{}-{digest}", batch.id());
    let message = message(batch, CLAIM, &key)?;
    Ok(Encoded::Claim { key, bytes, message })
}

/// Characters that SQS takes in no message.
fn is_refused(c: char) -> bool {
    matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn message(batch: &Batch, encoding: &'static str, events: impl Serialize) -> Result<String, EnvelopeError> {
    let header = Header {
        schema: SCHEMA,
        module: &batch.module,
        source: &batch.source,
        first: batch.first.0,
        last: batch.last.0,
        count: batch.events.len(),
        encoding,
        events,
    };
    serde_json::to_string(&header).map_err(|error| json(&error))
}

fn write_event(event: &Event, out: &mut String) -> Result<(), EnvelopeError> {
    use std::fmt::Write as _;
    let _ = write!(out, "{{\"sequenceNumber\":{},\"offset\":", event.sequence_number.0);
    write_text(event.offset.as_str(), out)?;
    let _ = write!(out, ",\"enqueuedTime\":{},\"partitionKey\":", event.enqueued_time);
    match &event.partition_key {
        Some(key) => write_text(key, out)?,
        None => out.push_str("null"),
    }
    out.push_str(",\"properties\":{");
    for (index, (name, value)) in event.properties.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(name, out)?;
        out.push(':');
        write_text(value, out)?;
    }
    out.push_str("},\"body\":");
    match &event.body {
        Body::Text(text) if is_embeddable(text) => out.push_str(text),
        Body::Text(text) => write_text(text, out)?,
        Body::Binary(bytes) => {
            out.push_str("{\"base64\":\"");
            STANDARD.encode_string(bytes, out);
            out.push_str("\"}");
        }
    }
    out.push('}');
    Ok(())
}

fn write_text(text: &str, out: &mut String) -> Result<(), EnvelopeError> {
    // Every control character is escaped, so that a message holds none that a queue refuses.
    let quoted = serde_json::to_string(text).map_err(|error| json(&error))?;
    out.push_str(&quoted);
    Ok(())
}

/// Whether a text may stand in the list as it is: a JSON document that nobody can take for something else.
fn is_embeddable(text: &str) -> bool {
    if !text.starts_with(|c: char| matches!(c, '{' | '[' | '-' | '0'..='9' | 't' | 'f' | 'n'))
        || is_base64_object(text)
        || depth(text) > MAX_EMBEDDED_DEPTH
    {
        return false;
    }
    // White space around a document would be lost.
    serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get().len() == text.len())
}

/// The nesting of a document; of other text, some number.
fn depth(text: &str) -> usize {
    let (mut depth, mut most, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                most = most.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

fn json(error: &serde_json::Error) -> EnvelopeError {
    EnvelopeError::Damaged(format!("cannot be written as json ({:?})", error.classify()))
}
