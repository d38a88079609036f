//! Messages that somebody else put into the queue: a bare event, a list, `{"records":[…]}`, lines of JSON, or the
//! single-event envelope `{"event_data","event_metadata","processing_metadata"}` of an older tool.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::BatchId;

/// A message without envelope, named by its content (protocol rule 10): the same content is one batch, however often it is
/// sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The batch's name.
    pub id: BatchId,
    /// The queue's name of the message: where the records say that they come from.
    pub message_id: String,
    /// The event.
    pub event: ForeignEvent,
}

/// An event that no hub numbered, or whose number is hearsay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignEvent {
    /// The body, to be unwrapped like any other.
    pub body: String,
    /// When the hub accepted it, as the sender wrote it.
    pub enqueued_time: Option<String>,
}

/// Reads a message that is no envelope of ours. Total.
pub(super) fn read(message: &str, message_id: &str) -> Foreign {
    let id = BatchId::for_content(message.as_bytes());
    let event = single(message).unwrap_or_else(|| ForeignEvent { body: message.to_owned(), enqueued_time: None });
    Foreign { id, message_id: message_id.to_owned(), event }
}

/// The event in a single-event envelope.
fn single(message: &str) -> Option<ForeignEvent> {
    #[derive(Deserialize)]
    struct Envelope<'m> {
        #[serde(borrow)]
        event_data: &'m RawValue,
        #[serde(borrow)]
        event_metadata: Option<&'m RawValue>,
        processing_metadata: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Metadata {
        enqueued_time: Option<Value>,
    }
    if !message.contains("\"event_data\"") {
        return None;
    }
    let envelope: Envelope<'_> = serde_json::from_str(message).ok()?;
    // Alone the name proves nothing: a record may have a member that is called so, and others beside it.
    if envelope.event_metadata.is_none() && envelope.processing_metadata.is_none() {
        return None;
    }
    let metadata = envelope.event_metadata.and_then(|raw| serde_json::from_str::<Metadata>(raw.get()).ok());
    let enqueued_time = match metadata.and_then(|metadata| metadata.enqueued_time) {
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    // A body that was no document is text in a string.
    let raw = envelope.event_data.get();
    let body = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
    Some(ForeignEvent { body, enqueued_time })
}
