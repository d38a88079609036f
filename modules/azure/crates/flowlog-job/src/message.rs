//! Messages of the flow log queue.

use serde::Deserialize;
use tributary_azure_blobs::Notice;

const SCHEMA: &str = "tributary.blobs/1";

/// Why a message has no notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotNotifications {
    /// It is not JSON, or lacks what it must have.
    #[error("a message of {0} bytes is no {SCHEMA}: only the transformer sends to the flow log queue")]
    Malformed(usize),
    /// It is of another schema.
    #[error("a message is of another schema than {SCHEMA}: start the version that knows it")]
    OtherSchema,
}

/// `{"schema":"tributary.blobs/1","notifications":[{"url","eTag"?,"sequencer"?,…}]}`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifications(pub Vec<Notice>);

#[derive(Deserialize)]
struct Message {
    schema: String,
    notifications: Vec<Notice>,
}

impl Notifications {
    /// Reads a message's body, which no queue takes above 1 MiB.
    ///
    /// # Errors
    /// When it holds none.
    pub fn read(body: &str) -> Result<Self, NotNotifications> {
        let message: Message = serde_json::from_str(body).map_err(|_| NotNotifications::Malformed(body.len()))?;
        match message.schema == SCHEMA {
            true => Ok(Self(message.notifications)),
            false => Err(NotNotifications::OtherSchema),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_the_transformer_sends_and_nothing_else() {
        let body = r#"{"schema":"tributary.blobs/1","notifications":[{"id":"1","url":"https://a/b/c","eTag":"0x8D","contentLength":5,
            "eventTime":"2026-01-01T00:00:00Z","sequencer":"0a"},{"url":"https://a/b/d"}]}"#;
        let Notifications(found) = Notifications::read(body).unwrap();
        assert_eq!((found.len(), found[0].e_tag.as_deref(), found[1].sequencer.as_deref()), (2, Some("0x8D"), None));
        let malformed = |body: &str| assert!(matches!(Notifications::read(body), Err(NotNotifications::Malformed(_))));
        malformed("canary");
        malformed("{}");
        malformed(r#"{"schema":"tributary.blobs/1","notifications":[{"eTag":"x"}]}"#);
        let other = Notifications::read(r#"{"schema":"tributary.blobs/2","notifications":[]}"#);
        assert_eq!(other, Err(NotNotifications::OtherSchema));
        assert!(!Notifications::read("canary").unwrap_err().to_string().contains("canary"));
    }
}
