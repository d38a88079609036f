//! What the hub says of itself and of its partitions.

use fe2o3_amqp_types::primitives::{OrderedMap, Value};

use crate::event::{integer, text_of};
use crate::failure::Failure;
use crate::rpc::{Answer, Question};

/// A hub's properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubProperties {
    /// Its name, as the service spells it.
    pub name: String,
    /// When it was created, in milliseconds: another time means another hub under the same name.
    pub created_at: i64,
    /// Ids of its partitions, in order.
    pub partitions: Vec<String>,
}

/// A partition's properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionProperties {
    /// Sequence number of the oldest event that is still there.
    pub begin: i64,
    /// Sequence number of the newest event, -1 if there never was one.
    pub last: i64,
    /// Offset of the newest event; opaque.
    pub last_offset: String,
    /// When the newest event was accepted, in milliseconds.
    pub last_enqueued_time: Option<i64>,
    /// Whether the partition holds no event.
    pub empty: bool,
}

const READ: &str = "READ";

pub(crate) fn hub_question(hub: &str, token: String) -> Question {
    let properties = vec![
        ("operation", READ.into()),
        ("name", hub.into()),
        ("type", "com.microsoft:eventhub".into()),
        ("security_token", token),
    ];
    Question { properties, value: Value::Null }
}

pub(crate) fn partition_question(hub: &str, partition: &str, token: String) -> Question {
    let properties = vec![
        ("operation", READ.into()),
        ("name", hub.into()),
        ("type", "com.microsoft:partition".into()),
        ("partition", partition.into()),
        ("security_token", token),
    ];
    Question { properties, value: Value::Null }
}

/// Checks the status of an answer.
pub(crate) fn accepted(answer: Answer) -> Result<Value, Failure> {
    match answer.status {
        200..=299 => Ok(answer.value),
        401 | 403 => Err(Failure::unauthorized(&answer.status.to_string(), &answer.description)),
        404 => Err(Failure::not_found("404", &answer.description)),
        429 | 503 => Err(Failure::condition("com.microsoft:server-busy", &answer.description)),
        400 => Err(Failure::condition("com.microsoft:argument-error", &answer.description)),
        status => Err(Failure::condition(&format!("status {status}"), &answer.description)),
    }
}

struct Fields(OrderedMap<Value, Value>);

impl Fields {
    fn of(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Map(map) => Ok(Self(map)),
            _ => Err(Failure::transient("the service answered without properties")),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.swap_remove(&Value::String(name.into()))
    }

    fn integer(&mut self, name: &str) -> Result<i64, Failure> {
        self.take(name)
            .as_ref()
            .and_then(integer)
            .ok_or_else(|| Failure::transient(format!("the service answered without {name}")))
    }
}

pub(crate) fn hub_properties(value: Value) -> Result<HubProperties, Failure> {
    let mut fields = Fields::of(value)?;
    let partitions = match fields.take("partition_ids") {
        Some(Value::Array(ids)) => ids.0.into_iter().map(text_of).collect(),
        Some(Value::List(ids)) => ids.into_iter().map(text_of).collect(),
        _ => return Err(Failure::transient("the service answered without partition_ids")),
    };
    Ok(HubProperties {
        name: fields.take("name").map(text_of).unwrap_or_default(),
        created_at: fields.integer("created_at")?,
        partitions,
    })
}

pub(crate) fn partition_properties(value: Value) -> Result<PartitionProperties, Failure> {
    let mut fields = Fields::of(value)?;
    Ok(PartitionProperties {
        begin: fields.integer("begin_sequence_number")?,
        last: fields.integer("last_enqueued_sequence_number")?,
        last_offset: fields.take("last_enqueued_offset").map(text_of).unwrap_or_default(),
        // A partition that never held an event answers with the beginning of time, or of .NET's.
        last_enqueued_time: fields.take("last_enqueued_time_utc").as_ref().and_then(integer).filter(|time| *time > 0),
        empty: matches!(fields.take("is_partition_empty"), Some(Value::Bool(true))),
    })
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::primitives::{Array, Timestamp};

    use super::*;
    use crate::failure::Class;

    fn map(entries: Vec<(&str, Value)>) -> Value {
        let mut map = OrderedMap::new();
        for (name, value) in entries {
            map.insert(Value::String(name.into()), value);
        }
        Value::Map(map)
    }

    #[test]
    fn properties_are_read_in_either_shape() {
        let ids = vec![Value::String("0".into()), Value::String("1".into())];
        for ids in [Value::Array(Array(ids.clone())), Value::List(ids)] {
            let value = map(vec![
                ("name", Value::String("defender".into())),
                ("created_at", Value::Timestamp(Timestamp::from_milliseconds(5))),
                ("partition_ids", ids),
            ]);
            let hub = hub_properties(value).unwrap();
            assert_eq!((hub.created_at, hub.partitions), (5, vec!["0".to_owned(), "1".to_owned()]));
        }
        let value = map(vec![
            ("begin_sequence_number", Value::Long(3)),
            ("last_enqueued_sequence_number", Value::Long(9)),
            ("last_enqueued_offset", Value::String("o".into())),
            ("last_enqueued_time_utc", Value::Timestamp(Timestamp::from_milliseconds(-62_135_596_800_000))),
            ("is_partition_empty", Value::Bool(false)),
        ]);
        let partition = partition_properties(value).unwrap();
        assert_eq!((partition.begin, partition.last, partition.last_enqueued_time), (3, 9, None));
    }

    #[test]
    fn a_strange_answer_is_a_failure() {
        assert!(hub_properties(Value::Null).is_err());
        assert!(hub_properties(map(vec![])).is_err());
        assert!(partition_properties(map(vec![("begin_sequence_number", Value::String("x".into()))])).is_err());
    }

    #[test]
    fn statuses_are_sorted() {
        let answer = |status| Answer { status, description: String::new(), value: Value::Null };
        assert!(accepted(answer(202)).is_ok());
        for (status, class) in [(401, Class::Fatal), (404, Class::Fatal), (503, Class::Busy), (500, Class::Transient)] {
            assert_eq!(accepted(answer(status)).unwrap_err().class, class);
        }
    }
}
