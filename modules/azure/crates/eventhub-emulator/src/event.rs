//! Events: what is published, and how a partition keeps it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::{
    messaging::{ApplicationProperties, MessageAnnotations, Properties},
    primitives::{OrderedMap, SimpleValue, Symbol, Value},
};

use crate::wire::{
    Malformed,
    message::{self, Section, put_section, section},
    value::PutValue,
};

const PARTITION_KEY: &str = "x-opt-partition-key";

/// An event to publish in process, without a connection.
///
/// ```
/// use tributary_azure_eventhub_emulator::Event;
/// let event = Event::new(r#"{"records":[]}"#).property("source", "test").partition_key("vm-1");
/// # let _ = event;
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    body: Body,
    properties: Vec<(String, SimpleValue)>,
    content_type: Option<String>,
    partition_key: Option<String>,
    enqueued: Option<SystemTime>,
}

/// The body section of an event. A hub keeps the variant that it was sent.
#[derive(Clone, Debug)]
pub enum Body {
    /// One or more data sections: what nearly every sender uses.
    Data(Vec<Bytes>),
    /// One typed value.
    Value(Value),
    /// A list of typed values.
    Sequence(Vec<Value>),
}

impl Event {
    /// An event whose body is one data section.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self::with_body(Body::Data(vec![body.into()]))
    }

    /// An event with any kind of body.
    pub fn with_body(body: Body) -> Self {
        Self { body, properties: Vec::new(), content_type: None, partition_key: None, enqueued: None }
    }

    /// Adds an application property.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<SimpleValue>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// Sets the content type in the message's properties.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Sets the partition key. [`HubHandle::send`](crate::HubHandle::send) chooses the partition by it.
    #[must_use]
    pub fn partition_key(mut self, key: impl Into<String>) -> Self {
        self.partition_key = Some(key.into());
        self
    }

    /// Sets the time of enqueueing, which otherwise is now. Milliseconds are kept.
    #[must_use]
    pub fn enqueued_at(mut self, time: SystemTime) -> Self {
        self.enqueued = Some(time);
        self
    }

    pub(crate) fn key(&self) -> Option<&str> {
        self.partition_key.as_deref()
    }

    /// Encodes the event once. A single data section is kept beside its head, not copied.
    pub(crate) fn encode(self) -> Incoming {
        let mut head = BytesMut::new();
        if let Some(content_type) = self.content_type {
            let properties = Properties { content_type: Some(Symbol(content_type)), ..Properties::default() };
            put_section(&mut head, &properties);
        }
        if !self.properties.is_empty() {
            let properties: OrderedMap<_, _> = self.properties.into_iter().collect();
            put_section(&mut head, &ApplicationProperties(properties));
        }
        let mut body = Bytes::new();
        match self.body {
            Body::Data(sections) => {
                let last = sections.len().saturating_sub(1);
                for (index, data) in sections.into_iter().enumerate() {
                    head.put_slice(&[0x00, 0x53, section::DATA as u8, 0xb0]);
                    head.put_u32(data.len() as u32);
                    if index == last {
                        body = data;
                    } else {
                        head.put_slice(&data);
                    }
                }
            }
            Body::Value(value) => {
                head.put_slice(&[0x00, 0x53, section::AMQP_VALUE as u8]);
                put_section(&mut head, &value);
            }
            Body::Sequence(values) => {
                head.put_slice(&[0x00, 0x53, section::AMQP_SEQUENCE as u8]);
                put_section(&mut head, &Value::List(values));
            }
        }
        Incoming {
            header: Bytes::new(),
            annotations: OrderedMap::new(),
            content: [head.freeze(), body],
            partition_key: self.partition_key,
            enqueued_ms: self.enqueued.map(to_millis),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Event {
    fn from(body: T) -> Self {
        Self::new(body)
    }
}

/// A message that has no place in a partition yet.
#[derive(Debug)]
pub(crate) struct Incoming {
    header: Bytes,
    annotations: OrderedMap<String, Value>,
    content: [Bytes; 2],
    pub(crate) partition_key: Option<String>,
    enqueued_ms: Option<i64>,
}

impl Incoming {
    /// Takes a message as it was sent: what follows the annotations is kept byte for byte, and not copied.
    pub(crate) fn from_message(message: &Bytes, sections: &[Section]) -> Result<Self, Malformed> {
        let mut incoming = Self {
            header: Bytes::new(),
            annotations: OrderedMap::new(),
            content: [Bytes::new(), Bytes::new()],
            partition_key: None,
            enqueued_ms: None,
        };
        let mut start = 0;
        for section in sections {
            match section.code {
                section::HEADER => incoming.header = section.whole.clone(),
                section::DELIVERY_ANNOTATIONS => {}
                section::MESSAGE_ANNOTATIONS => incoming.take_annotations(section)?,
                _ => break,
            }
            start += section.whole.len();
        }
        incoming.content = [message.slice(start..), Bytes::new()];
        Ok(incoming)
    }

    /// Annotations that the service itself sets are not taken from a sender, except for the partition key.
    fn take_annotations(&mut self, section: &Section) -> Result<(), Malformed> {
        for (name, value) in annotations(section)? {
            if name == PARTITION_KEY {
                if let Value::String(key) = value {
                    self.partition_key = Some(key);
                }
            } else if !name.starts_with("x-opt-") {
                self.annotations.insert(name, value);
            }
        }
        Ok(())
    }

    /// The size that counts against the size limit and the byte cap.
    pub(crate) fn len(&self) -> usize {
        self.header.len() + self.content.iter().map(Bytes::len).sum::<usize>()
    }

    /// Gives the message its place in a partition.
    pub(crate) fn store(self, sequence_number: i64, offset: i64, now_ms: i64) -> StoredEvent {
        let enqueued_ms = self.enqueued_ms.unwrap_or(now_ms);
        let offset_text = offset.to_string();
        let mut items = BytesMut::with_capacity(128);
        items.put_amqp_symbol("x-opt-sequence-number");
        items.put_amqp_long(sequence_number);
        items.put_amqp_symbol("x-opt-offset");
        items.put_amqp_string(&offset_text);
        items.put_amqp_symbol("x-opt-enqueued-time");
        items.put_amqp_timestamp(enqueued_ms);
        let mut count = 6;
        if let Some(key) = &self.partition_key {
            items.put_amqp_symbol(PARTITION_KEY);
            items.put_amqp_string(key);
            count += 2;
        }
        for (name, value) in self.annotations {
            put_section(&mut items, &Symbol(name));
            put_section(&mut items, &value);
            count += 2;
        }
        let annotations = described_map(section::MESSAGE_ANNOTATIONS, count, &items);
        StoredEvent {
            sequence_number,
            offset,
            enqueued_ms,
            partition_key: self.partition_key,
            header: self.header,
            annotations,
            content: self.content,
        }
    }
}

/// The partition key in a message's or an envelope's annotations.
pub(crate) fn partition_key(sections: &[Section]) -> Result<Option<String>, Malformed> {
    for section in sections.iter().filter(|section| section.code == section::MESSAGE_ANNOTATIONS) {
        for (name, value) in annotations(section)? {
            if let (PARTITION_KEY, Value::String(key)) = (name.as_str(), value) {
                return Ok(Some(key));
            }
        }
    }
    Ok(None)
}

fn annotations(section: &Section) -> Result<Vec<(String, Value)>, Malformed> {
    let map: Value = serde_amqp::from_slice(&section.value)
        .map_err(|_| Malformed("the annotations of a message cannot be decoded"))?;
    let Value::Map(map) = map else { return Err(Malformed("the annotations of a message are not a map")) };
    Ok(map
        .into_inner()
        .into_iter()
        .filter_map(|(name, value)| match name {
            Value::Symbol(Symbol(name)) | Value::String(name) => Some((name, value)),
            _ => None,
        })
        .collect())
}

/// A described map of `count` keys and values.
pub(crate) fn described_map(code: u64, count: u32, items: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(items.len() + 12);
    out.put_slice(&[0x00, 0x53, code as u8, 0xd1]);
    out.put_u32((items.len() + 4) as u32);
    out.put_u32(count);
    out.put_slice(items);
    out.freeze()
}

/// An event in its partition, encoded as it is delivered.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub(crate) sequence_number: i64,
    pub(crate) offset: i64,
    pub(crate) enqueued_ms: i64,
    partition_key: Option<String>,
    header: Bytes,
    annotations: Bytes,
    content: [Bytes; 2],
}

impl StoredEvent {
    /// Its place in the partition: consecutive from 0.
    pub fn sequence_number(&self) -> i64 {
        self.sequence_number
    }

    /// Its offset. Offsets grow with every event, by the event's size, so that nobody takes one for a sequence number.
    pub fn offset(&self) -> String {
        self.offset.to_string()
    }

    /// When it was enqueued.
    pub fn enqueued_time(&self) -> SystemTime {
        from_millis(self.enqueued_ms)
    }

    /// The key that it was sent with.
    pub fn partition_key(&self) -> Option<&str> {
        self.partition_key.as_deref()
    }

    /// The data sections of the body, joined; nothing for another kind of body.
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for section in self.content_sections().iter().filter(|section| section.code == section::DATA) {
            if let Ok(data) = message::data(section) {
                body.extend_from_slice(&data);
            }
        }
        body
    }

    /// The application properties.
    pub fn properties(&self) -> OrderedMap<String, SimpleValue> {
        self.content_sections()
            .iter()
            .find(|section| section.code == section::APPLICATION_PROPERTIES)
            .and_then(|section| serde_amqp::from_slice::<ApplicationProperties>(&section.whole).ok())
            .map(|properties| properties.0)
            .unwrap_or_default()
    }

    /// The message annotations, as delivered.
    pub fn annotations(&self) -> Option<MessageAnnotations> {
        serde_amqp::from_slice(&self.annotations).ok()
    }

    fn content_sections(&self) -> Vec<Section> {
        message::sections(&Bytes::from(self.content.concat())).unwrap_or_default()
    }

    /// The encoded message in pieces, with `delivery_annotations` at their place (empty for none).
    pub(crate) fn pieces<'a>(&'a self, delivery_annotations: &'a [u8]) -> [&'a [u8]; 5] {
        let [head, body] = &self.content;
        [&self.header, delivery_annotations, &self.annotations, head, body]
    }

    /// The encoded size.
    pub(crate) fn len(&self) -> usize {
        self.header.len() + self.annotations.len() + self.content.iter().map(Bytes::len).sum::<usize>()
    }
}

/// Milliseconds since 1970, the resolution of the protocol. A time before 1970 is negative.
pub(crate) fn to_millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    }
}

pub(crate) fn from_millis(milliseconds: i64) -> SystemTime {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    if milliseconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}
