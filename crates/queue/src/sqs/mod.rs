//! The queue of a deployment on AWS.

mod address;
mod batch;
mod examine;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use tokio::time::Instant;
use tributary_aws::{AwsError, Backoff, Kind, SdkConfig};

use crate::{Counts, MAX_RECEIVE, Message, Queue, QueueError, Receipt, check_body};

pub use address::{InvalidSqsAddress, SqsAddress};

// Operations as permissions name them: those of one message are those of ten.
const SEND: &str = "sqs:SendMessage";
const RECEIVE: &str = "sqs:ReceiveMessage";
const EXTEND: &str = "sqs:ChangeMessageVisibility";
const DELETE: &str = "sqs:DeleteMessage";
const ATTRIBUTES: &str = "sqs:GetQueueAttributes";
const URL: &str = "sqs:GetQueueUrl";

/// Longest that the service lets one receive wait.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Longest that a message can be hidden, in seconds.
const LONGEST_VISIBILITY: u64 = 43_200;

/// A standard queue of SQS. It must take messages of 1 MiB (`MaximumMessageSize`; a new queue may be set to less).
///
/// Times are whole seconds there: a visibility or a wait is rounded up. A receive that waits is a long poll, a longer wait
/// than 20 s several of them; one that does not may miss messages that are there. Counts are approximate and some
/// seconds behind; messages that the queue delays count as in flight. When messages are given up is the queue's own
/// redrive policy.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
    name: Arc<str>,
    dead: Option<Arc<SqsQueue>>,
    backoff: Backoff,
}

impl SqsQueue {
    /// Opens a queue; where its address is not its URL, the service is asked for that. Its dead letters are not known
    /// ([`SqsQueue::with_dead_letters`]).
    ///
    /// # Errors
    /// [`QueueError::Backend`] when the service knows no such queue, or denies.
    pub async fn open(config: &SdkConfig, address: &SqsAddress) -> Result<Self, QueueError> {
        let mut settings = aws_sdk_sqs::config::Builder::from(config);
        if let Some(region) = address.region() {
            settings = settings.region(aws_sdk_sqs::config::Region::new(region.to_owned()));
        }
        let client = Client::from_conf(settings.build());
        let (url, name) = (address.url().unwrap_or_default().to_owned(), address.name().into());
        let mut queue = Self { client, url, name, dead: None, backoff: Backoff::default() };
        if address.url().is_none() {
            let mut backoff = queue.backoff.clone();
            queue.url = loop {
                let ask = queue.client.get_queue_url().queue_name(address.name());
                let ask = ask.set_queue_owner_aws_account_id(address.account().map(str::to_owned));
                match ask.send().await {
                    Ok(answer) => break answer.queue_url.unwrap_or_default(),
                    Err(error) => queue.wait("open", &mut backoff, AwsError::of(URL, &error)).await?,
                }
            };
        }
        Ok(queue)
    }

    /// The same queue, after asking it which queue takes its dead letters, if one does.
    ///
    /// # Errors
    /// [`QueueError::Backend`], also when the redrive policy names no queue that can be used.
    pub async fn with_dead_letters(self) -> Result<Self, QueueError> {
        let policy = self.attributes("open", &[QueueAttributeName::RedrivePolicy]).await?.into_iter().next();
        let Some((_, policy)) = policy else { return Ok(self) };
        let target = serde_json::from_str::<Redrive>(&policy).ok();
        let target = target.and_then(|policy| policy.dead_letter_target_arn.parse::<SqsAddress>().ok());
        // Account and region are the queue's own: the service allows no other.
        let (Some(target), Some((place, _))) = (target, self.url.rsplit_once('/')) else {
            return Err(self.failed("open", "its redrive policy names no standard queue: set deadLetterTargetArn anew"));
        };
        let (url, name) = (format!("{place}/{}", target.name()), target.name().into());
        let dead = Self { url, name, dead: None, client: self.client.clone(), backoff: self.backoff.clone() };
        Ok(Self { dead: Some(Arc::new(dead)), ..self })
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Those of the attributes that the queue has.
    async fn attributes(
        &self,
        operation: &'static str,
        names: &[QueueAttributeName],
    ) -> Result<std::collections::HashMap<QueueAttributeName, String>, QueueError> {
        let mut backoff = self.backoff.clone();
        loop {
            let ask = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
            match ask.send().await {
                Ok(answer) => return Ok(answer.attributes.unwrap_or_default()),
                Err(error) => self.wait(operation, &mut backoff, AwsError::of(ATTRIBUTES, &error)).await?,
            }
        }
    }

    /// Sets for how long a message is hidden from now.
    async fn hide(&self, operation: &'static str, receipt: &Receipt, seconds: i32) -> Result<(), QueueError> {
        let mut backoff = self.backoff.clone();
        loop {
            let change = self.client.change_message_visibility().queue_url(&self.url);
            match change.receipt_handle(receipt.as_str()).visibility_timeout(seconds).send().await {
                Ok(_) => return Ok(()),
                Err(error) => self.wait(operation, &mut backoff, AwsError::of(EXTEND, &error)).await?,
            }
        }
    }

    fn failed(&self, operation: &'static str, detail: impl ToString) -> QueueError {
        QueueError::Backend { operation, queue: self.name.to_string(), detail: detail.to_string() }
    }

    /// Waits when it is throttled, which the SDK tried to outwait before; an error when it stays so, and every other one.
    async fn wait(&self, operation: &'static str, backoff: &mut Backoff, error: AwsError) -> Result<(), QueueError> {
        if error.kind == Kind::Throttled
            && let Some(wait) = backoff.next()
        {
            tokio::time::sleep(wait).await;
            return Ok(());
        }
        Err(self.refused(operation, &error))
    }

    /// Waits when entries of a call may succeed later: the SDK takes such a call for done.
    async fn wait_for_entries(
        &self,
        operation: &'static str,
        backoff: &mut Backoff,
        error: AwsError,
    ) -> Result<(), QueueError> {
        match backoff.next().filter(|_| error.is_transient()) {
            Some(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            None => Err(self.refused(operation, &error)),
        }
    }

    fn refused(&self, operation: &'static str, error: &AwsError) -> QueueError {
        if is_stale(error) {
            return QueueError::Stale { queue: self.name.to_string() };
        }
        let is = |code| is(error, code);
        let next = if is("QueueDoesNotExist") || is("NonExistentQueue") {
            ": make it, or name another region, account or queue"
        } else if is("InvalidParameterValue") && operation == "send" && error.detail.contains("bytes") {
            ": set the queue's MaximumMessageSize to 1048576"
        } else {
            ""
        };
        let detail = format!("{error}{next}");
        match error.is_denied() {
            true => QueueError::Denied { operation, queue: self.name.to_string(), detail },
            false => self.failed(operation, detail),
        }
    }
}

/// Whether the code is this one; the service has a longer form of some.
fn is(error: &AwsError, code: &str) -> bool {
    error.code.rsplit('.').next() == Some(code)
}

/// Whether a receipt holds nothing any more. One that is over and one that never was are the same to the service.
fn is_stale(error: &AwsError) -> bool {
    let invalid = is(error, "InvalidParameterValue") && error.detail.contains("ReceiptHandle");
    invalid || is(error, "MessageNotInflight") || is(error, "ReceiptHandleIsInvalid")
}

/// The redrive policy, as far as it matters here.
#[derive(serde::Deserialize)]
struct Redrive {
    #[serde(rename = "deadLetterTargetArn")]
    dead_letter_target_arn: String,
}

/// In whole seconds, never less than it is.
fn seconds(duration: Duration, most: u64) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole.min(most)).unwrap_or(i32::MAX)
}

fn message(message: aws_sdk_sqs::types::Message) -> Message {
    let attribute = |name| message.attributes.as_ref().and_then(|attributes| attributes.get(&name));
    let receive_count = attribute(MessageSystemAttributeName::ApproximateReceiveCount);
    Message {
        receive_count: receive_count.and_then(|count| count.parse().ok()).unwrap_or(1),
        sent_at: attribute(MessageSystemAttributeName::SentTimestamp).and_then(|time| time.parse().ok()),
        id: message.message_id.unwrap_or_default(),
        receipt: Receipt::new(message.receipt_handle.unwrap_or_default()),
        body: message.body.unwrap_or_default(),
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, body: &str) -> Result<(), QueueError> {
        check_body(body)?;
        let mut backoff = self.backoff.clone();
        loop {
            match self.client.send_message().queue_url(&self.url).message_body(body).send().await {
                Ok(_) => return Ok(()),
                Err(error) => self.wait("send", &mut backoff, AwsError::of(SEND, &error)).await?,
            }
        }
    }

    async fn send_all(&self, bodies: &[String]) -> Result<(), QueueError> {
        bodies.iter().try_for_each(|body| check_body(body))?;
        for call in batch::calls(bodies) {
            self.send_call(call).await?;
        }
        Ok(())
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let max = i32::try_from(max.min(MAX_RECEIVE)).unwrap_or_default();
        if max == 0 {
            return Ok(Vec::new());
        }
        let (started, mut backoff) = (Instant::now(), self.backoff.clone());
        loop {
            let left = wait.saturating_sub(started.elapsed());
            let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(max);
            let receive = receive
                .visibility_timeout(seconds(visibility, LONGEST_VISIBILITY))
                .wait_time_seconds(seconds(left, LONGEST_WAIT.as_secs()))
                .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
            let messages = match receive.send().await {
                Ok(answer) => answer.messages.unwrap_or_default(),
                Err(error) => {
                    self.wait("receive", &mut backoff, AwsError::of(RECEIVE, &error)).await?;
                    continue;
                }
            };
            if !messages.is_empty() || wait <= started.elapsed() {
                return Ok(messages.into_iter().map(message).collect());
            }
        }
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        self.hide("extend", receipt, seconds(visibility, LONGEST_VISIBILITY)).await
    }

    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        match self.hide("release", receipt, 0).await {
            Err(QueueError::Stale { .. }) => Ok(()),
            released => released,
        }
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let mut backoff = self.backoff.clone();
        loop {
            let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt.as_str());
            match delete.send().await {
                Ok(_) => return Ok(()),
                Err(error) => match self.wait("delete", &mut backoff, AwsError::of(DELETE, &error)).await {
                    Err(QueueError::Stale { .. }) => return Ok(()),
                    waited => waited?,
                },
            }
        }
    }

    async fn delete_all(&self, receipts: &[Receipt]) -> Result<(), QueueError> {
        for call in receipts.chunks(batch::MAX_ENTRIES) {
            self.delete_call(call.iter().collect()).await?;
        }
        Ok(())
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        use QueueAttributeName as Name;
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let attributes = self.attributes("count", &names).await?;
        let count = |name: &Name| attributes.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let [visible, hidden, delayed] = names.each_ref().map(count);
        let dead = match &self.dead {
            Some(dead) => dead.counts().await?,
            None => Counts::default(),
        };
        Ok(Counts { visible, in_flight: hidden + delayed, dead: dead.visible + dead.in_flight })
    }

    fn dead_letter_queue(&self) -> Option<Arc<dyn Queue>> {
        self.dead.clone().map(|dead| dead as Arc<dyn Queue>)
    }
}
