//! A batch as the message that is sent.

use tributary_batch::Batch;
use tributary_batch::envelope::{self, Encoded};
use tributary_lake::Staging;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct NoMessage {
    pub(crate) detail: String,
    /// Whether staging may not be written.
    pub(crate) denied: bool,
}

impl NoMessage {
    fn new(detail: impl ToString) -> Self {
        Self { detail: detail.to_string(), denied: false }
    }
}

/// The batch's message; what does not fit one is put into staging first.
///
/// # Errors
/// What failed.
pub(crate) async fn message_of(batch: Batch, staging: &Staging) -> Result<String, NoMessage> {
    let id = batch.id();
    let encoded = tokio::task::spawn_blocking(move || envelope::encode(&batch)).await;
    let encoded = encoded.map_err(|error| NoMessage::new(format!("packing batch {id}: {error}")))?;
    match encoded.map_err(|error| NoMessage::new(format!("packing batch {id}: {error}")))? {
        Encoded::Inline(message) => Ok(message),
        Encoded::Claim { key, bytes, message } => {
            staging
                .put_claim(&key, bytes.into())
                .await
                .map_err(|error| NoMessage { denied: error.is_denied(), ..NoMessage::new(error) })?;
            Ok(message)
        }
    }
}
