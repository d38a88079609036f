//! Items as a table holds them: the contract's attributes at the top level, under `pk` and `sk`.
//!
//! The shape is that of [`Item`]'s serde form, which the other backends store as text, so that there is one definition.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};

use crate::{Expected, Item};

/// The table's keys.
pub(super) const PK: &str = "pk";
/// The table's keys.
pub(super) const SK: &str = "sk";
/// The sort key of a partition's item. Others have other items in the same table.
pub(super) const POSITION: &str = "position";
/// What the contract calls the attribute by which the table drops items.
pub(super) const TTL: &str = "ttl";
/// What a TTL attribute of another name must not be called.
pub(super) const TAKEN: [&str; 14] = [
    PK,
    SK,
    "epoch",
    "owner",
    "leaseExpiresAt",
    "sequenceNumber",
    "offset",
    "enqueuedTime",
    "incarnation",
    "plan",
    "lost",
    "updatedAt",
    "version",
    "state",
];

/// The attributes of the table's item.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// The key of a partition's item.
pub(super) fn key(partition: &str) -> [(String, AttributeValue); 2] {
    [(PK.to_owned(), AttributeValue::S(partition.to_owned())), (SK.to_owned(), AttributeValue::S(POSITION.to_owned()))]
}

/// An item with its key, the time to live under `ttl_attribute`.
pub(super) fn attributes(partition: &str, item: &Item, ttl_attribute: &str) -> Result<Attributes, serde_json::Error> {
    let mut attributes: Attributes = key(partition).into();
    if let Value::Object(members) = serde_json::to_value(item)? {
        for (name, value) in members {
            let name = if name == TTL { ttl_attribute.to_owned() } else { name };
            attributes.insert(name, to_attribute(value));
        }
    }
    Ok(attributes)
}

/// The item that these attributes are. Attributes that are none of the contract's are passed over.
pub(super) fn item(attributes: &Attributes, ttl_attribute: &str) -> Result<Item, serde_json::Error> {
    let mut members: Map<String, Value> = attributes
        .iter()
        .filter(|(name, _)| TAKEN.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), to_json(value)))
        .collect();
    if let Some(ttl) = attributes.get(ttl_attribute) {
        members.insert(TTL.to_owned(), to_json(ttl));
    }
    serde_json::from_value(Value::Object(members))
}

fn to_attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(to_attribute).collect()),
        Value::Object(members) => {
            AttributeValue::M(members.into_iter().map(|(name, value)| (name, to_attribute(value))).collect())
        }
    }
}

/// What an item never holds becomes null, which its reader refuses where it matters. Depth is bounded: the contract's items
/// have one map, whose members are plain.
fn to_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::M(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        value => plain(value),
    }
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(text) => {
            let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
            whole.map_or_else(|_| Value::String(text.clone()), Value::Number)
        }
        AttributeValue::Bool(value) => Value::Bool(*value),
        _ => Value::Null,
    }
}

/// A condition with its names and values: every name is a placeholder, as `owner`, `offset` and `ttl` are reserved words.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) expression: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Attributes,
}

impl Condition {
    /// That there is no item.
    pub(super) fn no_item() -> Self {
        let mut condition = Self::default();
        condition.names.insert("#pk".to_owned(), PK.to_owned());
        condition.expression = "attribute_not_exists(#pk)".to_owned();
        condition
    }

    /// That everything expected still stands in the item; without an item nothing does.
    pub(super) fn stands(expected: &Expected) -> Self {
        let mut condition = Self::default();
        condition.equal("owner", Some(AttributeValue::S(expected.owner.clone())));
        condition.equal("epoch", Some(number(expected.epoch)));
        condition.equal("sequenceNumber", expected.sequence_number.map(|sequence| number(sequence.0)));
        match expected.plan {
            Some((first, last)) => {
                condition.equal("plan.first", Some(number(first.0)));
                condition.equal("plan.last", Some(number(last.0)));
            }
            None => condition.equal("plan", None),
        }
        condition.equal("incarnation", expected.incarnation.map(number));
        condition.equal("lost", Some(number(expected.lost)));
        condition
    }

    /// That the item is as it was read, its lease's end included: a refresh in between keeps a lease that was about to end.
    pub(super) fn unchanged(item: &Item) -> Self {
        let mut condition = Self::stands(&item.expected());
        condition.equal("leaseExpiresAt", Some(number(item.lease_expires_at)));
        condition
    }

    /// Adds that the attribute at `path` has this value, or that there is none. A null, which some people's tools write, is
    /// none.
    fn equal(&mut self, path: &str, value: Option<AttributeValue>) {
        let mut name = String::new();
        for part in path.split('.') {
            let placeholder = format!("#{part}");
            name = if name.is_empty() { placeholder.clone() } else { format!("{name}.{placeholder}") };
            self.names.insert(placeholder, part.to_owned());
        }
        let variable = format!(":{}", path.replace('.', "_"));
        let test = match value {
            Some(value) => {
                self.values.insert(variable.clone(), value);
                format!("{name} = {variable}")
            }
            None => {
                self.values.insert(":null".to_owned(), AttributeValue::Null(true));
                format!("(attribute_not_exists({name}) OR {name} = :null)")
            }
        };
        if !self.expression.is_empty() {
            self.expression.push_str(" AND ");
        }
        self.expression.push_str(&test);
    }
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use tributary_batch::{Offset, Position, SequenceNumber};

    use super::*;
    use crate::Plan;

    fn whole() -> Item {
        Item {
            position: Some(Position {
                sequence_number: SequenceNumber(41),
                offset: Offset::new("4294967296"),
                enqueued_time: 1_767_225_599_000,
            }),
            incarnation: Some(1_700_000_000_000),
            plan: Some(Plan { first: SequenceNumber(42), last: SequenceNumber(99), last_offset: Offset::new("o") }),
            lost: u64::MAX,
            ttl: 1_767_830_400,
            ..Item::empty()
        }
    }

    #[test]
    fn an_item_comes_back_whatever_the_ttl_attribute() {
        for ttl in [TTL, "expiresAt"] {
            for one in [whole(), Item::empty()] {
                let stored = attributes("ns#hub#group#0", &one, ttl).unwrap();
                assert_eq!(stored.get(ttl), Some(&number(one.ttl)));
                assert_eq!(item(&stored, ttl).unwrap(), one);
            }
        }
    }

    #[test]
    fn attributes_of_others_and_nulls_are_passed_over_and_broken_ones_refused() {
        let mut stored = attributes("p", &Item { plan: None, ..whole() }, TTL).unwrap();
        stored.insert("note".to_owned(), AttributeValue::L(vec![]));
        stored.insert("plan".to_owned(), AttributeValue::Null(true));
        assert_eq!(item(&stored, TTL).unwrap().plan, None);
        for (name, broken) in [
            ("epoch", AttributeValue::S("x".into())),
            ("offset", number(1)),
            ("lost", number("1.5")),
            ("lost", number(-1)),
        ] {
            let stored = stored.iter().map(|(name, value)| (name.clone(), value.clone()));
            let stored = stored.chain([(name.to_owned(), broken)]).collect();
            assert!(item(&stored, TTL).is_err(), "{name}");
        }
    }

    #[test]
    fn every_name_of_a_condition_is_a_placeholder() {
        for expected in [whole().expected(), Item::empty().expected()] {
            let condition = Condition::stands(&expected);
            let words = condition.expression.split([' ', '(', ')', '.']).filter(|word| !word.is_empty());
            for word in words.filter(|word| !["AND", "OR", "=", "attribute_not_exists"].contains(word)) {
                assert!(word.starts_with(['#', ':']), "{word} of {}", condition.expression);
                assert!(condition.names.contains_key(word) || condition.values.contains_key(word), "{word}");
            }
        }
    }
}
