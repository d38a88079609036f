//! AMQP messages as events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fe2o3_amqp_types::messaging::annotations::OwnedKey;
use fe2o3_amqp_types::messaging::{Body as AmqpBody, Message};
use fe2o3_amqp_types::primitives::{SimpleValue, Value};
use serde_json::Value as Json;
use tributary_batch::{Body, Event, Offset, SequenceNumber};

/// Depth below which nested AMQP values are cut, so that a hostile value cannot exhaust the stack.
const MAX_DEPTH: usize = 32;

/// Application property of an event that stands for one that could not be decoded.
pub const UNDECODABLE_PROPERTY: &str = "tributary-undecodable";

/// A message as an event; `None` when it carries no sequence number, and so has no place in a partition.
pub(crate) fn event_of(message: Message<AmqpBody<Value>>) -> Option<Event> {
    let mut sequence_number = None;
    let mut offset = None;
    let mut enqueued_time = 0;
    let mut partition_key = None;
    for (key, value) in message.message_annotations.map(|annotations| annotations.0).unwrap_or_default() {
        let OwnedKey::Symbol(key) = key else { continue };
        match key.as_str() {
            "x-opt-sequence-number" => sequence_number = integer(&value),
            "x-opt-offset" => offset = Some(text_of(value)),
            "x-opt-enqueued-time" => enqueued_time = integer(&value).unwrap_or_default(),
            "x-opt-partition-key" => partition_key = Some(text_of(value)),
            _ => {}
        }
    }
    let properties = message
        .application_properties
        .map(|properties| properties.0.into_iter().map(|(name, value)| (name, simple_text(value))).collect())
        .unwrap_or_default();
    Some(Event {
        sequence_number: SequenceNumber(sequence_number?),
        offset: Offset::new(offset.unwrap_or_default()),
        enqueued_time,
        partition_key,
        properties,
        body: body_of(message.body),
    })
}

/// Stands for an event whose message could not be decoded, so that its place is not lost.
pub(crate) fn undecodable(sequence_number: i64, near: &Event) -> Event {
    Event {
        sequence_number: SequenceNumber(sequence_number),
        offset: near.offset.clone(),
        enqueued_time: near.enqueued_time,
        partition_key: None,
        properties: vec![(UNDECODABLE_PROPERTY.into(), "true".into())],
        body: Body::Text(
            "the hub's message could not be decoded as an AMQP message; its content is not available".into(),
        ),
    }
}

/// Data sections are joined; a text or binary value is the body itself; any other value is written as JSON.
fn body_of(body: AmqpBody<Value>) -> Body {
    match body {
        AmqpBody::Data(sections) => {
            let mut sections = sections.into_iter().map(|data| data.0.into_vec());
            let mut bytes = sections.next().unwrap_or_default();
            for section in sections {
                bytes.extend_from_slice(&section);
            }
            Body::from_bytes(bytes)
        }
        AmqpBody::Value(value) => match value.0 {
            Value::String(text) => Body::Text(text),
            Value::Binary(bytes) => Body::from_bytes(bytes.into_vec()),
            Value::Null => Body::Text(String::new()),
            other => Body::Text(json_of(other, 0).to_string()),
        },
        AmqpBody::Sequence(sections) => {
            let items = sections.into_iter().flat_map(|sequence| sequence.0).map(|item| json_of(item, 0));
            Body::Text(Json::Array(items.collect()).to_string())
        }
        AmqpBody::Empty => Body::Text(String::new()),
    }
}

pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Long(number) => Some(*number),
        Value::Ulong(number) => i64::try_from(*number).ok(),
        Value::Int(number) => Some(i64::from(*number)),
        Value::Uint(number) => Some(i64::from(*number)),
        Value::Short(number) => Some(i64::from(*number)),
        Value::Ushort(number) => Some(i64::from(*number)),
        Value::Byte(number) => Some(i64::from(*number)),
        Value::Ubyte(number) => Some(i64::from(*number)),
        Value::Timestamp(time) => Some(time.milliseconds()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

pub(crate) fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Symbol(symbol) => symbol.0,
        Value::Char(character) => character.to_string(),
        Value::Uuid(uuid) => uuid_text(uuid.as_inner()),
        Value::Binary(bytes) => match String::from_utf8(bytes.into_vec()) {
            Ok(text) => text,
            Err(error) => STANDARD.encode(error.as_bytes()),
        },
        Value::Null => String::new(),
        other => match json_of(other, 0) {
            Json::String(text) => text,
            json => json.to_string(),
        },
    }
}

fn simple_text(value: SimpleValue) -> String {
    text_of(Value::from(value))
}

/// An AMQP value as JSON: numbers as numbers, times as RFC 3339-free milliseconds, binary as base64.
fn json_of(value: Value, depth: usize) -> Json {
    if depth > MAX_DEPTH {
        return Json::Null;
    }
    let deeper = depth.saturating_add(1);
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(value),
        Value::Float(value) => serde_json::Number::from_f64(f64::from(value.0)).map_or(Json::Null, Json::Number),
        Value::Double(value) => serde_json::Number::from_f64(value.0).map_or(Json::Null, Json::Number),
        Value::Ulong(number) => Json::from(number),
        Value::Binary(bytes) => Json::String(STANDARD.encode(bytes.as_slice())),
        Value::String(text) => Json::String(text),
        Value::Symbol(symbol) => Json::String(symbol.0),
        Value::Char(character) => Json::String(character.to_string()),
        Value::Uuid(uuid) => Json::String(uuid_text(uuid.as_inner())),
        Value::List(items) => Json::Array(items.into_iter().map(|item| json_of(item, deeper)).collect()),
        Value::Array(items) => Json::Array(items.0.into_iter().map(|item| json_of(item, deeper)).collect()),
        Value::Map(map) => {
            Json::Object(map.into_iter().map(|(key, value)| (text_key(key, deeper), json_of(value, deeper))).collect())
        }
        Value::Described(described) => json_of(described.value, deeper),
        other => match integer(&other) {
            Some(number) => Json::from(number),
            // Decimals have no JSON form that keeps them.
            None => Json::String(other.to_string()),
        },
    }
}

fn text_key(key: Value, depth: usize) -> String {
    match json_of(key, depth) {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::messaging::{
        AmqpSequence, AmqpValue, ApplicationProperties, Batch, Data, MessageAnnotations,
    };
    use fe2o3_amqp_types::primitives::{Binary, OrderedMap, Symbol, Timestamp, Uuid};

    use super::*;

    fn message(body: AmqpBody<Value>) -> Message<AmqpBody<Value>> {
        Message {
            header: None,
            delivery_annotations: None,
            message_annotations: Some(
                MessageAnnotations::builder()
                    .insert("x-opt-sequence-number", Value::Long(42))
                    .insert("x-opt-offset", Value::String("0:9:7".into()))
                    .insert("x-opt-enqueued-time", Value::Timestamp(Timestamp::from_milliseconds(1_767_225_600_123)))
                    .insert("x-opt-partition-key", Value::String("vm-7".into()))
                    .insert("x-opt-other", Value::Null)
                    .build(),
            ),
            properties: None,
            application_properties: Some(
                ApplicationProperties::builder()
                    .insert("text", "a")
                    .insert("number", 7_i32)
                    .insert("flag", true)
                    .insert("id", SimpleValue::Uuid(Uuid::from([0x1f; 16])))
                    .insert("nothing", SimpleValue::Null)
                    .build(),
            ),
            body,
            footer: None,
        }
    }

    fn data(sections: &[&[u8]]) -> AmqpBody<Value> {
        AmqpBody::Data(Batch::new(sections.iter().map(|bytes| Data(Binary::from(bytes.to_vec()))).collect::<Vec<_>>()))
    }

    fn body(body: AmqpBody<Value>) -> Body {
        event_of(message(body)).unwrap().body
    }

    fn text(text: &str) -> Body {
        Body::Text(text.into())
    }

    #[test]
    fn annotations_and_properties_become_fields() {
        let event = event_of(message(data(&[b"{}"]))).unwrap();
        assert_eq!((event.sequence_number.0, event.offset.as_str()), (42, "0:9:7"));
        assert_eq!(event.enqueued_time, 1_767_225_600_123);
        assert_eq!(event.partition_key.as_deref(), Some("vm-7"));
        let properties: Vec<(&str, &str)> =
            event.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let uuid = "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f";
        assert_eq!(properties, [("text", "a"), ("number", "7"), ("flag", "true"), ("id", uuid), ("nothing", "")]);
    }

    #[test]
    fn a_message_without_a_place_is_no_event() {
        let mut message = message(data(&[b"x"]));
        message.message_annotations = None;
        assert!(event_of(message).is_none());
    }

    #[test]
    fn data_sections_are_joined() {
        assert_eq!(body(data(&[b"{\"a\"", b":", b"1}"])), text("{\"a\":1}"));
        assert_eq!(body(data(&[b"\xff\xfe"])), Body::Binary(vec![0xff, 0xfe]));
        assert_eq!(body(data(&[])), text(""));
        assert_eq!(body(AmqpBody::Empty), text(""));
    }

    #[test]
    fn texts_and_binaries_are_the_body_and_other_values_are_json() {
        let value = |value: Value| body(AmqpBody::Value(AmqpValue(value)));
        assert_eq!(value(Value::String("{}".into())), text("{}"));
        assert_eq!(value(Value::Binary(Binary::from(b"{}".to_vec()))), text("{}"));
        assert_eq!(value(Value::Null), text(""));
        let mut map = OrderedMap::new();
        map.insert(Value::Symbol(Symbol::from("a")), Value::List(vec![Value::Int(1), Value::Bool(true), Value::Null]));
        map.insert(Value::Uint(3), Value::Double(1.5.into()));
        map.insert(Value::String("nan".into()), Value::Double(f64::NAN.into()));
        assert_eq!(value(Value::Map(map)), text(r#"{"3":1.5,"a":[1,true,null],"nan":null}"#));
        let rows = vec![AmqpSequence(vec![Value::Int(1)]), AmqpSequence(vec![Value::String("b".into())])];
        assert_eq!(body(AmqpBody::Sequence(Batch::new(rows))), text(r#"[1,"b"]"#));
    }

    /// What the library's decoder refuses, though a publisher may be able to send it; some of it even panics the decoder in
    /// a debug build. The reader keeps the place of such an event and goes on.
    #[test]
    fn some_messages_cannot_be_decoded() {
        use fe2o3_amqp_types::messaging::message::DecodeIntoMessage;
        let decodes = |bytes: &'static [u8]| {
            std::panic::catch_unwind(|| {
                let reader = serde_amqp::read::SliceReader::new(bytes);
                AmqpBody::<Value>::decode_message_from_reader(reader).is_ok()
            })
        };
        assert!(decodes(b"\x00\x53\x74\xc1\x07\x02\xa1\x01a\xa1\x01b\x00\x53\x75\xa0\x01x").unwrap());
        // An application property whose value is an empty list, then one whose list has a size that cannot be.
        assert!(!decodes(b"\x00\x53\x74\xc1\x07\x02\xa1\x01a\xc0\x01\x00\x00\x53\x75\xa0\x01x").unwrap_or(false));
        assert!(!decodes(b"\x00\x53\x74\xc1\x06\x02\xa1\x01a\xc0\x00\x00\x53\x75\xa0\x01x").unwrap_or(false));
    }

    #[test]
    fn depth_is_cut() {
        let mut value = Value::Int(1);
        for _ in 0..5_000 {
            value = Value::List(vec![value]);
        }
        let Body::Text(json) = body(AmqpBody::Value(AmqpValue(value))) else { panic!("text") };
        assert!(json.len() < 100 && json.contains("null"));
    }
}
