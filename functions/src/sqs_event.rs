//! What Lambda hands over from a queue, and the partial batch response that it takes.

use serde_json::{Value, json};

use crate::Failed;

/// A message of an SQS event.
#[derive(Clone, PartialEq, Eq)]
pub struct SqsRecord {
    /// Names it in the response.
    pub message_id: String,
    /// What was sent.
    pub body: String,
    /// How often it was received, this time included; 0 when the event does not say.
    pub receive_count: u32,
}

/// The messages of an SQS event; `None` when the event is of another kind.
///
/// # Errors
/// When it is an SQS event with a record that lacks its id or its body.
pub fn records(event: &mut Value) -> Result<Option<Vec<SqsRecord>>, Failed> {
    let Some(Value::Array(records)) = event.get_mut("Records").map(Value::take) else { return Ok(None) };
    let read = |mut record: Value| {
        let mut text = |name: &str| match record.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(Failed(format!("a record of the event has no text at {name}: expected an SQS event"))),
        };
        let (message_id, body) = (text("messageId")?, text("body")?);
        let count = record.pointer("/attributes/ApproximateReceiveCount").and_then(Value::as_str);
        let receive_count = count.and_then(|count| count.parse().ok()).unwrap_or(0);
        Ok(SqsRecord { message_id, body, receive_count })
    };
    records.into_iter().map(read).collect::<Result<Vec<_>, _>>().map(Some)
}

/// The response that keeps these messages in the queue.
pub fn response(failed: &[String]) -> Value {
    let items: Vec<Value> = failed.iter().map(|id| json!({"itemIdentifier": id})).collect();
    json!({"batchItemFailures": items})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_event_is_read_and_answered() {
        let record = json!({"messageId": "m1", "body": "{}", "attributes": {"ApproximateReceiveCount": "3"}});
        let mut event = json!({"Records": [record, {"messageId": "m2", "body": "x"}]});
        let read = records(&mut event).unwrap().unwrap();
        assert_eq!(
            read.iter().map(|record| (record.message_id.as_str(), record.receive_count)).collect::<Vec<_>>(),
            [("m1", 3), ("m2", 0)]
        );
        assert_eq!(response(&["m2".to_owned()]), json!({"batchItemFailures": [{"itemIdentifier": "m2"}]}));
        assert_eq!(response(&[]), json!({"batchItemFailures": []}));
        assert!(records(&mut json!({"queueUrl": "x"})).unwrap().is_none());
        assert!(records(&mut json!({"Records": [{"body": "x"}]})).is_err());
    }
}
