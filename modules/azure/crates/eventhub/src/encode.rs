//! The inner messages of a batch, encoded by hand: annotations, application properties, one data section.

use crate::publisher::OutgoingEvent;

pub(crate) const PARTITION_KEY: &str = "x-opt-partition-key";

const MESSAGE_ANNOTATIONS: u8 = 0x72;
const APPLICATION_PROPERTIES: u8 = 0x74;
const DATA: u8 = 0x75;
/// Descriptor, format code and a length of four bytes.
const SECTION_HEADER: usize = 8;

/// An event as the bytes of an AMQP message.
#[derive(Debug)]
pub(crate) struct EncodedEvent(Vec<u8>);

impl EncodedEvent {
    pub(crate) fn new(event: &OutgoingEvent, partition_key: Option<&str>) -> Self {
        let mut out = Vec::with_capacity(event.body.len().saturating_add(128));
        if let Some(key) = partition_key {
            let mut pairs = Vec::new();
            put_symbol(&mut pairs, PARTITION_KEY);
            put_string(&mut pairs, key);
            put_map(&mut out, MESSAGE_ANNOTATIONS, 1, &pairs);
        }
        if !event.properties.is_empty() {
            let mut pairs = Vec::new();
            for (name, value) in &event.properties {
                put_string(&mut pairs, name);
                put_string(&mut pairs, value);
            }
            put_map(&mut out, APPLICATION_PROPERTIES, event.properties.len(), &pairs);
        }
        out.extend_from_slice(&[0x00, 0x53, DATA, 0xb0]);
        put_length(&mut out, event.body.len());
        out.extend_from_slice(&event.body);
        Self(out)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes that it takes as a data section of the batch.
    pub(crate) fn section_size(&self) -> usize {
        self.0.len().saturating_add(SECTION_HEADER)
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // Nothing of four gibibytes passes the size limit of a hub.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.push(0xb1);
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_symbol(out: &mut Vec<u8>, text: &str) {
    out.push(0xb3);
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_map(out: &mut Vec<u8>, section: u8, pairs: usize, encoded: &[u8]) {
    out.extend_from_slice(&[0x00, 0x53, section, 0xd1]);
    put_length(out, encoded.len().saturating_add(4));
    put_length(out, pairs.saturating_mul(2));
    out.extend_from_slice(encoded);
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::messaging::message::DecodeIntoMessage;
    use fe2o3_amqp_types::messaging::{Body, Message};
    use fe2o3_amqp_types::primitives::{SimpleValue, Value};

    use super::*;

    fn decode(event: &EncodedEvent) -> Message<Body<Value>> {
        let reader = serde_amqp::read::SliceReader::new(event.bytes());
        Body::<Value>::decode_message_from_reader(reader).unwrap()
    }

    #[test]
    fn another_decoder_reads_what_is_encoded() {
        let event = OutgoingEvent {
            body: vec![7; 300],
            properties: vec![("a".into(), "é".repeat(200)), ("b".into(), String::new())],
        };
        let message = decode(&EncodedEvent::new(&event, Some("key")));
        let annotations = message.message_annotations.unwrap();
        let first = annotations.0.values().next();
        assert_eq!(first, Some(&Value::String("key".into())));
        let properties = message.application_properties.unwrap();
        assert_eq!(properties.0.get("a"), Some(&SimpleValue::String("é".repeat(200))));
        assert_eq!(properties.0.len(), 2);
        let Body::Data(data) = message.body else { panic!("data") };
        assert_eq!(data[0].0.as_slice(), &[7; 300]);
    }

    #[test]
    fn an_empty_event_is_a_message_too() {
        let message = decode(&EncodedEvent::new(&OutgoingEvent::default(), None));
        assert!(message.message_annotations.is_none() && message.application_properties.is_none());
    }
}
