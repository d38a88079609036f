//! Ten messages a call.

use aws_sdk_sqs::types::{BatchResultErrorEntry, DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use tributary_aws::AwsError;

use super::{DELETE, SEND, SqsQueue, is_stale};
use crate::{MAX_MESSAGE_BYTES, QueueError, Receipt};

/// Most entries of a call.
pub(super) const MAX_ENTRIES: usize = 10;

/// Cuts bodies into calls: so many entries, so many bytes in all.
pub(super) fn calls(bodies: &[String]) -> Vec<Vec<&str>> {
    let mut calls: Vec<Vec<&str>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        match calls.last_mut() {
            Some(call) if call.len() < MAX_ENTRIES && bytes + body.len() <= MAX_MESSAGE_BYTES => call.push(body),
            _ => {
                calls.push(vec![body]);
                bytes = 0;
            }
        }
        bytes += body.len();
    }
    calls
}

impl SqsQueue {
    /// Sends what one call takes; entries that failed and may succeed later alone again.
    pub(super) async fn send_call(&self, mut left: Vec<&str>) -> Result<(), QueueError> {
        let mut backoff = self.backoff.clone();
        while !left.is_empty() {
            let entries = left.iter().enumerate().map(|(index, body)| {
                SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(*body).build()
            });
            let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| self.failed("send", error))?;
            let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let answer = match call.send().await {
                Ok(answer) => answer,
                Err(error) => {
                    self.wait("send", &mut backoff, AwsError::of(SEND, &error)).await?;
                    continue;
                }
            };
            let sent = answer.successful().iter().map(|entry| entry.id());
            keep_rest(&mut left, sent);
            if !left.is_empty() {
                let error = worst(SEND, answer.failed());
                self.wait_for_entries("send", &mut backoff, error).await?;
            }
        }
        Ok(())
    }

    /// Deletes what one call takes, in the same way.
    pub(super) async fn delete_call(&self, mut left: Vec<&Receipt>) -> Result<(), QueueError> {
        let mut backoff = self.backoff.clone();
        while !left.is_empty() {
            let entries = left.iter().enumerate().map(|(index, receipt)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(receipt.as_str()).build()
            });
            let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| self.failed("delete", error))?;
            let call = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let answer = match call.send().await {
                Ok(answer) => answer,
                Err(error) => {
                    self.wait("delete", &mut backoff, AwsError::of(DELETE, &error)).await?;
                    continue;
                }
            };
            let (gone, failed): (Vec<_>, Vec<_>) =
                answer.failed().iter().cloned().partition(|entry| is_stale(&entry_error(DELETE, entry)));
            let deleted = answer.successful().iter().map(|entry| entry.id());
            keep_rest(&mut left, deleted.chain(gone.iter().map(|entry| entry.id())));
            if !left.is_empty() {
                let error = worst(DELETE, &failed);
                self.wait_for_entries("delete", &mut backoff, error).await?;
            }
        }
        Ok(())
    }
}

/// Takes out the entries of these ids, which are their indexes.
fn keep_rest<'i, T>(left: &mut Vec<T>, done: impl Iterator<Item = &'i str>) {
    let done: Vec<usize> = done.filter_map(|id| id.parse().ok()).collect();
    let mut index = 0..;
    left.retain(|_| index.next().is_none_or(|index| !done.contains(&index)));
}

/// The failed entry that no other attempt mends, else the first. An answer that says nothing of an entry is the service's
/// fault.
fn worst(operation: &'static str, failed: &[BatchResultErrorEntry]) -> AwsError {
    let errors = failed.iter().map(|entry| entry_error(operation, entry));
    let silent = || AwsError::answered(operation, 500, "", "the answer leaves messages out");
    errors.min_by_key(AwsError::is_transient).unwrap_or_else(silent)
}

fn entry_error(operation: &'static str, entry: &BatchResultErrorEntry) -> AwsError {
    let status = if entry.sender_fault() { 400 } else { 500 };
    AwsError::answered(operation, status, entry.code(), entry.message().unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_cut_at_ten_entries_and_a_mebibyte() {
        let lengths = |sizes: &[usize]| -> Vec<usize> {
            let bodies: Vec<String> = sizes.iter().map(|size| "a".repeat(*size)).collect();
            let calls = calls(&bodies);
            assert_eq!(calls.concat(), bodies, "nothing is left out, and the order stays");
            calls.iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[1; 21]), [10, 10, 1]);
        let half = MAX_MESSAGE_BYTES / 2;
        assert_eq!(lengths(&[half, half, half + 1, half, 1, MAX_MESSAGE_BYTES]), [2, 1, 2, 1]);
    }

    #[test]
    fn what_was_done_is_not_done_again() {
        let mut left = vec!["a", "b", "c", "d"];
        keep_rest(&mut left, ["2", "0", "nonsense", "9"].into_iter());
        assert_eq!(left, ["b", "d"]);
    }
}
