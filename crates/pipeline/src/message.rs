//! A batch as the message that is sent.

use tributary_batch::Batch;
use tributary_batch::envelope::{self, Encoded};
use tributary_lake::Staging;

/// The batch's message; what does not fit one is put into staging first.
///
/// # Errors
/// What failed, as text.
pub(crate) async fn message_of(batch: Batch, staging: &Staging) -> Result<String, String> {
    let id = batch.id();
    let encoded = tokio::task::spawn_blocking(move || envelope::encode(&batch)).await;
    let encoded = encoded.map_err(|error| format!("packing batch {id}: {error}"))?;
    match encoded.map_err(|error| format!("packing batch {id}: {error}"))? {
        Encoded::Inline(message) => Ok(message),
        Encoded::Claim { key, bytes, message } => {
            staging.put_claim(&key, bytes.into()).await.map_err(|error| error.to_string())?;
            Ok(message)
        }
    }
}
