//! Whether the queue is what the jobs need.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use tributary_batch::TimestampMs;
use tributary_telemetry::Check;

use super::{ATTRIBUTES, SqsQueue};
use crate::{MAX_MESSAGE_BYTES, MAX_RECEIVE, QueueError};

type Attributes = HashMap<QueueAttributeName, String>;

const NAMES: [QueueAttributeName; 6] = [
    QueueAttributeName::VisibilityTimeout,
    QueueAttributeName::MaximumMessageSize,
    QueueAttributeName::MessageRetentionPeriod,
    QueueAttributeName::RedrivePolicy,
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
];
/// Lambda's advice: so many times the function's timeout, for retries when it is throttled.
const TIMES: u64 = 6;
/// A dead letter this close to its end is told of.
const SOON: u64 = 3 * 24 * 3_600;

impl SqsQueue {
    /// Looks at the queue and its dead letters, under names that begin with `what`. `function_timeout` is the one of the
    /// function that receives; without, a worker does, which extends what it works on. Nothing is changed, but that dead
    /// letters, up to ten of which are looked at for their age, count one receive more.
    pub async fn examine(&self, what: &str, function_timeout: Option<Duration>, now: TimestampMs) -> Vec<Check> {
        let queue = format!("{what}: queue");
        let attributes = match self.attributes("look", &NAMES).await {
            Ok(attributes) => attributes,
            Err(error) => {
                let remedy = match &error {
                    QueueError::Denied { .. } => {
                        format!("grant {ATTRIBUTES} on the queue to whoever runs this, and see that it has credentials")
                    }
                    _ => format!(
                        "name another region, account or queue, or make it: aws sqs create-queue --queue-name {} \
                         --attributes MaximumMessageSize={MAX_MESSAGE_BYTES}",
                        self.name
                    ),
                };
                let text = error.to_string();
                return vec![Check::failed(queue, text.split("; ").next().unwrap_or_default(), remedy)];
            }
        };
        let mut checks = vec![self.size(&queue, &attributes)];
        checks.extend(function_timeout.map(|timeout| self.visibility(what, &attributes, timeout)));
        checks.extend(self.letters(what, now).await);
        checks
    }

    fn size(&self, name: &str, attributes: &Attributes) -> Check {
        let count = |name| number(attributes, &name).unwrap_or_default();
        let waiting = count(QueueAttributeName::ApproximateNumberOfMessages);
        let hidden = count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible);
        let found = format!("{}, {waiting} messages waiting, {hidden} in flight", self.name);
        match number(attributes, &QueueAttributeName::MaximumMessageSize) {
            Some(size) if size < MAX_MESSAGE_BYTES as u64 => Check::failed(
                name,
                format!("{found}; it takes messages of {size} bytes, not {MAX_MESSAGE_BYTES}"),
                self.set("MaximumMessageSize", MAX_MESSAGE_BYTES as u64),
            ),
            _ => Check::ok(name, found),
        }
    }

    fn visibility(&self, what: &str, attributes: &Attributes, timeout: Duration) -> Check {
        let (name, least) = (format!("{what}: visibility timeout"), TIMES * timeout.as_secs());
        match number(attributes, &QueueAttributeName::VisibilityTimeout) {
            Some(set) if set < timeout.as_secs() => Check::failed(
                name,
                format!(
                    "{set} s, less than the function's {} s: messages come again while they are worked on",
                    timeout.as_secs()
                ),
                self.set("VisibilityTimeout", least),
            ),
            Some(set) if set < least => Check::warning(
                name,
                format!("{set} s, less than {TIMES} times the function's {} s", timeout.as_secs()),
                self.set("VisibilityTimeout", least),
            ),
            Some(set) => Check::ok(name, format!("{set} s")),
            None => Check::skipped(name, "the queue does not say"),
        }
    }

    fn set(&self, attribute: &str, value: u64) -> String {
        format!("aws sqs set-queue-attributes --queue-url {} --attributes {attribute}={value}", self.url)
    }

    async fn letters(&self, what: &str, now: TimestampMs) -> Vec<Check> {
        let name = format!("{what}: dead letters");
        let dead = match self.clone().with_dead_letters().await {
            Ok(queue) => queue.dead,
            Err(error) => {
                return vec![Check::failed(
                    name,
                    error.to_string(),
                    "set the queue's RedrivePolicy to a standard queue",
                )];
            }
        };
        let Some(dead) = dead else {
            let remedy = format!(
                "make a queue {name}-dead, then aws sqs set-queue-attributes --queue-url {} --attributes RedrivePolicy=\
                 '{{\"deadLetterTargetArn\":\"ARN\",\"maxReceiveCount\":\"5\"}}'",
                self.url,
                name = self.name
            );
            return vec![Check::failed(
                name,
                "the queue has none: a message that always fails is tried until it expires",
                remedy,
            )];
        };
        let attributes = match dead.attributes("look", &NAMES).await {
            Ok(attributes) => attributes,
            Err(error) => {
                let remedy = format!("make the queue {}, or grant {ATTRIBUTES} on it to whoever runs this", dead.name);
                let text = error.to_string();
                return vec![Check::failed(name, text.split("; ").next().unwrap_or_default(), remedy)];
            }
        };
        let count = |name| number(&attributes, &name).unwrap_or_default();
        let letters = count(QueueAttributeName::ApproximateNumberOfMessages)
            + count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible);
        if letters == 0 {
            return vec![Check::ok(name, format!("{}, none", dead.name))];
        }
        let kept = number(&attributes, &QueueAttributeName::MessageRetentionPeriod);
        let oldest =
            dead.oldest().await.map(|sent| u64::try_from(now.saturating_sub(sent).max(0) / 1_000).unwrap_or(0));
        let mut found = format!("{letters} in {}", dead.name);
        if let Some(age) = oldest {
            found.push_str(&format!(", the oldest of those looked at is {} old", span(age)));
        }
        if let (Some(kept), Some(age)) = (kept, oldest)
            && age + SOON > kept
        {
            found.push_str(&format!("; the queue drops them at {}", span(kept)));
        }
        vec![Check::warning(name, found, "mend the cause, then bring them back: tributary redrive")]
    }

    /// When the oldest of up to ten messages was sent. They are not hidden.
    async fn oldest(&self) -> Option<TimestampMs> {
        let max = i32::try_from(MAX_RECEIVE).ok()?;
        let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(max);
        let receive = receive.visibility_timeout(0).wait_time_seconds(1);
        let receive = receive.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let messages = receive.send().await.ok()?.messages.unwrap_or_default();
        let sent = |message: &aws_sdk_sqs::types::Message| {
            message.attributes()?.get(&MessageSystemAttributeName::SentTimestamp)?.parse::<TimestampMs>().ok()
        };
        messages.iter().filter_map(sent).min()
    }
}

fn number(attributes: &Attributes, name: &QueueAttributeName) -> Option<u64> {
    attributes.get(name)?.parse().ok()
}

/// Seconds in their largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
