//! Notifications of flow log blobs: `{"schema":"tributary.blobs/1","notifications":[…]}`, at least once.

use tributary_queue::{Queue, QueueError};

/// Longest message in bytes: one worker's share, far below what a queue takes.
const MAX_MESSAGE: usize = 64 * 1024;

/// Sends notifications, each a JSON object as text, in as few messages as their size allows.
pub(super) async fn send(queue: &dyn Queue, notifications: impl Iterator<Item = &str>) -> Result<(), QueueError> {
    queue.send_all(&messages(notifications)).await
}

fn messages<'n>(notifications: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let mut open: Option<String> = None;
    for notification in notifications {
        let full = open.as_ref().is_some_and(|text| text.len() + notification.len() > MAX_MESSAGE);
        if full {
            messages.extend(open.take().map(|text| text + "]}"));
        }
        match &mut open {
            Some(text) => {
                text.push(',');
                text.push_str(notification);
            }
            None => open = Some(format!(r#"{{"schema":"tributary.blobs/1","notifications":[{notification}"#)),
        }
    }
    messages.extend(open.map(|text| text + "]}"));
    messages
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_notification_stands_in_one_message() {
        let notifications: Vec<String> =
            (0..1_000).map(|id| format!(r#"{{"id":{id},"url":"{}"}}"#, "u".repeat(300))).collect();
        let messages = messages(notifications.iter().map(String::as_str));
        assert!(messages.len() > 1 && messages.iter().all(|message| message.len() <= MAX_MESSAGE + 2));
        let ids: Vec<u64> = messages
            .iter()
            .flat_map(|message| {
                let message: serde_json::Value = serde_json::from_str(message).unwrap();
                assert_eq!(message["schema"], "tributary.blobs/1");
                message["notifications"].as_array().unwrap().clone()
            })
            .map(|notification| notification["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, (0..1_000).collect::<Vec<u64>>());
        assert!(super::messages(std::iter::empty()).is_empty());
    }
}
