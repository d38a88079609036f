//! The sections of an encoded message, found without decoding them.

use bytes::{BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::{
    messaging::{ApplicationProperties, MessageId, Properties},
    primitives::{OrderedMap, SimpleValue, Value},
};

use super::{
    Malformed,
    value::{binary, descriptor, value_len},
};

/// The message format of a batch: every data section is one encoded message.
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;

/// Descriptor codes of the sections.
pub(crate) mod section {
    pub(crate) const HEADER: u64 = 0x70;
    pub(crate) const DELIVERY_ANNOTATIONS: u64 = 0x71;
    pub(crate) const MESSAGE_ANNOTATIONS: u64 = 0x72;
    pub(crate) const PROPERTIES: u64 = 0x73;
    pub(crate) const APPLICATION_PROPERTIES: u64 = 0x74;
    pub(crate) const DATA: u64 = 0x75;
    pub(crate) const AMQP_SEQUENCE: u64 = 0x76;
    pub(crate) const AMQP_VALUE: u64 = 0x77;
    pub(crate) const FOOTER: u64 = 0x78;
}

/// One section of a message.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Which section it is.
    pub(crate) code: u64,
    /// The whole section, descriptor included.
    pub(crate) whole: Bytes,
    /// The described value alone.
    pub(crate) value: Bytes,
}

/// Cuts an encoded message into its sections.
pub(crate) fn sections(message: &Bytes) -> Result<Vec<Section>, Malformed> {
    let mut rest = message.clone();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let whole = rest.split_to(value_len(&rest)?);
        let (code, start) = descriptor(&whole)?;
        if !(section::HEADER..=section::FOOTER).contains(&code) {
            return Err(Malformed("a message holds something that is not a section"));
        }
        found.push(Section { code, value: whole.slice(start..), whole });
    }
    Ok(found)
}

/// The bytes of a data section.
pub(crate) fn data(section: &Section) -> Result<Bytes, Malformed> {
    Ok(section.value.slice(binary(&section.value)?))
}

/// A request to `$cbs` or `$management`.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// What the answer refers to.
    pub(crate) message_id: Option<MessageId>,
    /// Where the answer goes.
    pub(crate) reply_to: Option<String>,
    properties: OrderedMap<String, SimpleValue>,
    /// The `amqp-value` body.
    pub(crate) body: Value,
}

impl Request {
    /// Decodes a request.
    pub(crate) fn decode(message: &Bytes) -> Result<Self, Malformed> {
        let mut request = Self::default();
        for section in sections(message)? {
            match section.code {
                section::PROPERTIES => {
                    let properties: Properties = serde_amqp::from_slice(&section.whole)
                        .map_err(|_| Malformed("the properties of a request cannot be decoded"))?;
                    request.message_id = properties.message_id;
                    request.reply_to = properties.reply_to;
                }
                section::APPLICATION_PROPERTIES => {
                    let properties: ApplicationProperties = serde_amqp::from_slice(&section.whole)
                        .map_err(|_| Malformed("the application properties of a request cannot be decoded"))?;
                    request.properties = properties.0;
                }
                section::AMQP_VALUE => {
                    request.body = serde_amqp::from_slice(&section.value)
                        .map_err(|_| Malformed("the body of a request cannot be decoded"))?;
                }
                _ => {}
            }
        }
        Ok(request)
    }

    /// An application property that is a string or a symbol.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.properties.get(name) {
            Some(SimpleValue::String(text)) => Some(text),
            Some(SimpleValue::Symbol(symbol)) => Some(symbol.as_str()),
            _ => None,
        }
    }
}

/// An answer of `$cbs` or `$management`.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) description: String,
    /// The error condition, for a status that is not a success.
    pub(crate) condition: Option<String>,
    pub(crate) body: Value,
}

impl Reply {
    /// Encodes the answer to the request with this message id.
    pub(crate) fn encode(&self, correlation_id: Option<MessageId>) -> Bytes {
        let mut out = BytesMut::new();
        let properties = Properties { correlation_id, ..Properties::default() };
        let mut map = OrderedMap::new();
        map.insert("status-code".to_owned(), SimpleValue::Int(i32::from(self.status)));
        map.insert("status-description".to_owned(), SimpleValue::String(self.description.clone()));
        if let Some(condition) = &self.condition {
            map.insert("error-condition".to_owned(), SimpleValue::Symbol(condition.as_str().into()));
        }
        put_section(&mut out, &properties);
        put_section(&mut out, &ApplicationProperties(map));
        out.put_slice(&[0x00, 0x53, section::AMQP_VALUE as u8]);
        put_section(&mut out, &self.body);
        out.freeze()
    }
}

/// Appends something encoded.
pub(crate) fn put_section<T: serde::Serialize>(out: &mut BytesMut, section: &T) {
    match serde_amqp::to_vec(section) {
        Ok(encoded) => out.put_slice(&encoded),
        Err(error) => tracing::error!(%error, "a message section could not be encoded and was left out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_three_sections() {
        let reply = Reply {
            status: 404,
            description: "no such hub".to_owned(),
            condition: Some("amqp:not-found".to_owned()),
            body: Value::Null,
        };
        let encoded = reply.encode(Some(MessageId::String("m1".to_owned())));
        let codes: Vec<u64> = sections(&encoded).unwrap().iter().map(|section| section.code).collect();
        assert_eq!(codes, [section::PROPERTIES, section::APPLICATION_PROPERTIES, section::AMQP_VALUE]);
    }

    #[test]
    fn garbage_is_not_a_message() {
        assert!(sections(&Bytes::from_static(b"{\"records\":[]}")).is_err());
        assert!(sections(&Bytes::from_static(&[0x00, 0x53, 0x99, 0x40])).is_err());
        assert!(sections(&Bytes::from_static(&[0x00, 0x53, 0x75, 0xb0, 0, 0, 1, 0])).is_err());
    }
}
