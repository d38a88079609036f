//! Where a receiver starts: the selector filter of its source.

use fe2o3_amqp_types::{
    messaging::FilterSet,
    primitives::{Symbol, Value},
};

use crate::error::{Refusal, condition};

/// The filter's key, and its descriptor when that is a symbol. Its numeric form is 0x0000_468c_0000_0004: both are in
/// use, and neither is looked at, because the key says the same.
const SELECTOR: &str = "apache.org:selector-filter:string";

/// A start position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The first event that is still there.
    Earliest,
    /// What is enqueued after the attach.
    Latest,
    /// A sequence number.
    SequenceNumber { value: i64, inclusive: bool },
    /// An offset. This emulator's offsets are numbers; a client must not rely on it.
    Offset { value: i64, inclusive: bool },
    /// A time in ms since 1970.
    EnqueuedTime { value: i64, inclusive: bool },
}

impl Start {
    /// The start that a filter set asks for. Without one, reading starts at the first event.
    pub(crate) fn from_filters(filters: Option<&FilterSet>) -> Result<Self, Refusal> {
        let Some(filter) = filters.and_then(|filters| filters.get(&Symbol::from(SELECTOR))) else {
            return Ok(Self::Earliest);
        };
        let text = match filter {
            Value::Described(described) => match &described.value {
                Value::String(text) => text,
                _ => return Err(malformed("it is not a string")),
            },
            Value::String(text) => text,
            _ => return Err(malformed("it is not a string")),
        };
        Self::parse(text)
    }

    /// Parses `amqp.annotation.x-opt-… >[=] 'value'`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let (name, rest) = text.split_once('>').ok_or_else(|| malformed("it has no comparison with > or >="))?;
        let name = name.trim().strip_prefix("amqp.annotation.").ok_or_else(|| malformed("it names no annotation"))?;
        let (inclusive, rest) = match rest.strip_prefix('=') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let value = rest.trim();
        let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
        let number = || value.parse::<i64>().map_err(|_| malformed("its value is not a number"));
        match name {
            "x-opt-offset" if value == "@latest" => Ok(Self::Latest),
            "x-opt-offset" if value == "-1" => Ok(Self::Earliest),
            "x-opt-offset" => Ok(Self::Offset { value: number()?, inclusive }),
            "x-opt-sequence-number" => Ok(Self::SequenceNumber { value: number()?, inclusive }),
            "x-opt-enqueued-time" => Ok(Self::EnqueuedTime { value: number()?, inclusive }),
            _ => Err(malformed("its annotation is not one that receivers start by")),
        }
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(condition::ARGUMENT_ERROR, format!("the selector filter cannot be understood: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_clients() {
        let parse = |text| Start::parse(text).unwrap();
        assert_eq!(parse("amqp.annotation.x-opt-offset > '-1'"), Start::Earliest);
        assert_eq!(parse("amqp.annotation.x-opt-offset > '@latest'"), Start::Latest);
        assert_eq!(parse("amqp.annotation.x-opt-offset >= '120'"), Start::Offset { value: 120, inclusive: true });
        let sequence = Start::SequenceNumber { value: 7, inclusive: false };
        assert_eq!(parse("amqp.annotation.x-opt-sequence-number > '7'"), sequence);
        assert_eq!(parse("amqp.annotation.x-opt-sequence-number>7"), sequence);
        let time = Start::EnqueuedTime { value: 1_700_000_000_000, inclusive: false };
        assert_eq!(parse("amqp.annotation.x-opt-enqueued-time > '1700000000000'"), time);
    }

    #[test]
    fn other_filters_are_argument_errors() {
        for text in ["", "x-opt-offset > '1'", "amqp.annotation.x-opt-offset < '1'", "amqp.annotation.color > 'red'"] {
            assert_eq!(Start::parse(text).unwrap_err().condition, condition::ARGUMENT_ERROR, "{text}");
        }
        assert!(Start::parse("amqp.annotation.x-opt-offset > 'segment:12'").is_err());
    }
}
