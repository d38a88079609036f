//! The two nodes that answer requests: `$cbs` takes tokens, `$management` tells what a hub and a partition hold.

use std::time::SystemTime;

use fe2o3_amqp_types::primitives::{Array, OrderedMap, Timestamp, Value};

use crate::{
    auth::Grant,
    condition,
    error::Refusal,
    event::to_millis,
    hub::Hub,
    server::Namespace,
    wire::message::{Reply, Request},
};

impl Reply {
    fn ok(status: u16, body: Value) -> Self {
        Self { status, description: "OK".to_owned(), condition: None, body }
    }

    pub(crate) fn refused(status: u16, refusal: Refusal) -> Self {
        Self { status, description: refusal.description, condition: Some(refusal.condition), body: Value::Null }
    }

    fn error(status: u16, condition: &str, description: impl Into<String>) -> Self {
        Self::refused(status, Refusal::new(condition, description))
    }
}

/// Answers a request to `$cbs`, and returns what was granted.
pub(crate) fn put_token(namespace: &Namespace, request: &Request) -> (Reply, Option<Grant>) {
    if let Some(refusal) = namespace.faults.refuse_token() {
        return (Reply::refused(401, refusal), None);
    }
    if request.text("operation") != Some("put-token") {
        return (Reply::error(400, condition::NOT_ALLOWED, "the only operation of $cbs is put-token"), None);
    }
    let (Some(token_type), Some(audience)) = (request.text("type"), request.text("name")) else {
        return (Reply::error(400, condition::ARGUMENT_ERROR, "put-token needs a type and a name"), None);
    };
    let Value::String(token) = &request.body else {
        return (Reply::error(400, condition::ARGUMENT_ERROR, "the body of put-token is the token as a string"), None);
    };
    match namespace.authority.check(token_type, token, audience, SystemTime::now()) {
        Ok(grant) => (Reply::ok(202, Value::Null), Some(grant)),
        Err(error) => (Reply::error(401, condition::UNAUTHORIZED, error.to_string()), None),
    }
}

/// Answers a request to `$management`. `authenticated` is true on a connection that gave a key by SASL PLAIN.
pub(crate) fn manage(namespace: &Namespace, request: &Request, authenticated: bool) -> Reply {
    if let Some(refusal) = namespace.faults.refuse_management() {
        return Reply::refused(503, refusal);
    }
    if request.text("operation") != Some("READ") {
        return Reply::error(400, condition::NOT_ALLOWED, "the only operation of $management is READ");
    }
    let Some(name) = request.text("name") else {
        return Reply::error(400, condition::ARGUMENT_ERROR, "READ needs the name of a hub");
    };
    let token = request.text("security_token");
    if !authenticated {
        let Some(token) = token else {
            return Reply::error(401, condition::UNAUTHORIZED, "READ needs a security_token");
        };
        if let Err(error) = namespace.authority.check_security_token(token, name, SystemTime::now()) {
            return Reply::error(401, condition::UNAUTHORIZED, error.to_string());
        }
    }
    let Some(hub) = namespace.hubs.get(name) else {
        return Reply::error(404, condition::NOT_FOUND, format!("the messaging entity {name:?} could not be found"));
    };
    match request.text("type") {
        Some("com.microsoft:eventhub") => Reply::ok(200, describe_hub(hub)),
        Some("com.microsoft:partition") => {
            let partition = request.text("partition").unwrap_or_default();
            match describe_partition(hub, partition) {
                Some(description) => Reply::ok(200, description),
                None => Reply::error(404, condition::NOT_FOUND, format!("hub {name:?} has no partition {partition:?}")),
            }
        }
        _ => Reply::error(400, condition::ARGUMENT_ERROR, "READ needs the type of a hub or of a partition"),
    }
}

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let entries = entries.into_iter().map(|(name, value)| (Value::String(name.to_owned()), value));
    Value::Map(entries.collect::<OrderedMap<_, _>>())
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn timestamp(milliseconds: i64) -> Value {
    Value::Timestamp(Timestamp::from_milliseconds(milliseconds))
}

fn describe_hub(hub: &Hub) -> Value {
    let ids = (0..hub.partitions.len()).map(|number| Value::String(number.to_string())).collect();
    map([
        ("name", text(&hub.name)),
        ("type", text("com.microsoft:eventhub")),
        ("created_at", timestamp(hub.created_at_ms())),
        ("partition_count", Value::Int(hub.partitions.len() as i32)),
        ("partition_ids", Value::Array(Array(ids))),
        ("georeplication_factor", Value::Int(1)),
    ])
}

fn describe_partition(hub: &Hub, id: &str) -> Option<Value> {
    let partition = hub.partition(id.parse().ok()?)?;
    let log = partition.log();
    Some(map([
        ("name", text(&hub.name)),
        ("type", text("com.microsoft:partition")),
        ("partition", text(id)),
        ("begin_sequence_number", Value::Long(log.begin())),
        ("begin_sequence_number_epoch", Value::Long(0)),
        ("last_enqueued_sequence_number", Value::Long(log.next - 1)),
        ("last_enqueued_sequence_number_epoch", Value::Long(0)),
        ("last_enqueued_offset", Value::String(log.last_offset())),
        ("last_enqueued_time_utc", timestamp(log.last_enqueued_ms())),
        ("is_partition_empty", Value::Bool(log.is_empty())),
        ("runtime_info_retrieval_time_utc", timestamp(to_millis(SystemTime::now()))),
    ]))
}
