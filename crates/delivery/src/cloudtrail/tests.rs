//! Against the model-driven server, which judges every request by botocore's model and the user guide.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tributary_test_servers::{REGION, Server};

use super::*;
use crate::conformance::{self, Subject};
use crate::send::{Patience, Sent, send};

const ACCOUNT: &str = "123456789012";
const CHANNEL: &str = "channel/01234567-89ab-cdef-0123-456789abcdef";
const PATIENCE: Patience =
    Patience { attempts: 5, first: Duration::from_millis(20), longest: Duration::from_millis(100) };

fn event(id: &str, account: &str, padding: usize) -> Entry {
    let most = |at: usize| padding.saturating_sub(at).min(95_000);
    let document = json!({
        "version": "1.3.0", "userIdentity": {"type": "User", "principalId": "someone"}, "eventSource": "test",
        "eventName": "test", "eventTime": "2026-02-03T10:13:15Z", "UID": id, "recipientAccountId": account,
        "requestParameters": {"padding": "x".repeat(most(0))}, "responseElements": {"padding": "x".repeat(most(95_000))},
        "additionalEventData": {"padding": "x".repeat(padding.saturating_sub(190_000))},
    });
    Entry::new(id, document.to_string())
}

fn channel(region: &str, resource: &str) -> ChannelArn {
    format!("arn:aws:cloudtrail:{region}:{ACCOUNT}:{resource}").parse().unwrap()
}

struct Subjected {
    server: Arc<Server>,
    lake: CloudTrailLake,
}

impl Subjected {
    fn start() -> Option<Self> {
        Some(Self::on(Arc::new(Server::model()?)))
    }

    /// Empty, on a server that is there already.
    fn on(server: Arc<Server>) -> Self {
        server.post("/_reset", "");
        let lake = CloudTrailLake::new(&server.config(), channel(REGION, CHANNEL));
        Self { server, lake }
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.server.get("/_state")).unwrap()
    }

    fn faults(&self, faults: &Value) {
        self.server.post("/_faults", &faults.to_string());
    }

    fn calls(&self) -> usize {
        self.state()["calls"].as_array().unwrap().len()
    }
}

#[async_trait]
impl Subject for Subjected {
    fn sink(&self) -> &dyn Sink {
        &self.lake
    }

    fn entry(&self, id: &str, padding: usize) -> Entry {
        event(id, ACCOUNT, padding)
    }

    async fn stored(&self) -> Vec<String> {
        let ids: BTreeSet<String> = self.state()["auditEvents"].as_object().unwrap().keys().cloned().collect();
        ids.into_iter().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let Some(server) = Server::model().map(Arc::new) else { return };
    conformance::all(async || Subjected::on(Arc::clone(&server))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_events_alone_are_sent_again() {
    let Some(it) = Subjected::start() else { return };
    it.faults(
        &json!({"reject": {"b": "FieldTooLong", "c": "InternalFailure", "d": "Throttling"}, "times": {"c": 2, "d": 1}}),
    );
    let events: Vec<Entry> = ["a", "b", "c", "d"].iter().map(|id| event(id, ACCOUNT, 0)).collect();
    let Sent { answers, failure } = send(&it.lake, &events, PATIENCE).await;
    assert_eq!(failure, None);
    let refused = Answer::Refused("FieldTooLong".to_owned());
    assert_eq!(answers, [Answer::Accepted, refused, Answer::Accepted, Answer::Accepted]);
    let state = it.state();
    let entries: Vec<u64> =
        state["calls"].as_array().unwrap().iter().map(|call| call["entries"].as_u64().unwrap()).collect();
    assert_eq!(entries, [4, 2, 1]);
    assert!(state["auditEvents"]["a"]["eventDataChecksum"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_waited_for() {
    let Some(it) = Subjected::start() else { return };
    for fault in ["throttle", "errors", "cut"] {
        it.server.post("/_reset", "");
        it.faults(&json!({fault: 2}));
        let Sent { answers, failure } = send(&it.lake, &[event("a", ACCOUNT, 0)], PATIENCE).await;
        assert_eq!((answers, failure), (vec![Answer::Accepted], None), "{fault}");
        assert_eq!(it.calls(), 3, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_takes_no_new_customers_says_so() {
    let Some(it) = Subjected::start() else { return };
    it.faults(&json!({"closed": true}));
    let sent = send(&it.lake, &[event("a", ACCOUNT, 0)], PATIENCE).await;
    let error = sent.failure.unwrap();
    assert_eq!(error.failure, Failure::Misconfigured);
    let text = error.to_string();
    for words in [OPERATION, "2026-05-31", "CLOUDTRAIL_ENABLED=false", "Security Lake", "CloudWatch"] {
        assert!(text.contains(words), "{text}");
    }
    it.faults(&json!({"closed": null, "reject": {"a": "AccountNotSubscribed"}}));
    let sent = send(&it.lake, &[event("a", ACCOUNT, 0), event("b", ACCOUNT, 0)], PATIENCE).await;
    let error = sent.failure.unwrap();
    assert!(error.failure == Failure::Misconfigured && error.to_string().contains("2026-05-31"), "{error}");
    assert_eq!(it.calls(), 2, "no call is wasted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_deployment_is_said_of_the_call() {
    let Some(it) = Subjected::start() else { return };
    let failure = async |lake: &CloudTrailLake, event: &Entry| lake.put(&[event]).await.unwrap_err();
    let ours = event("a", ACCOUNT, 0);
    let gone =
        CloudTrailLake::new(&it.server.config(), channel(REGION, "channel/00000000-0000-4000-8000-00000000dead"));
    let error = failure(&gone, &ours).await;
    assert!(
        error.to_string().contains("CLOUDTRAIL_CHANNEL_ARN") && error.to_string().contains("2026-05-31"),
        "{error}"
    );
    let odd = CloudTrailLake::new(&it.server.config(), channel(REGION, "channel/x"));
    let error = failure(&odd, &ours).await;
    assert_eq!((error.code.as_str(), error.failure), ("InvalidChannelARN", Failure::Misconfigured), "{error}");
    let error = failure(&it.lake, &event("a", "210987654321", 0)).await;
    assert_eq!((error.code.as_str(), error.failure), ("InvalidRecipient", Failure::Misconfigured), "{error}");
    it.faults(&json!({"deny": true}));
    let error = failure(&it.lake, &ours).await;
    assert_eq!((error.code.as_str(), error.failure), ("AccessDeniedException", Failure::Denied), "{error}");
    // The channel's region is where it is sent, whatever the configuration's is.
    it.faults(&json!({"deny": null}));
    let elsewhere = CloudTrailLake::new(&it.server.config(), channel("ap-southeast-2", CHANNEL));
    assert_eq!(elsewhere.put(&[&ours]).await, Ok(vec![Answer::Accepted]));
}

#[test]
fn a_channel_is_named_by_its_arn() {
    let arn = channel("us-gov-west-1", CHANNEL);
    assert_eq!((arn.region(), arn.account()), ("us-gov-west-1", ACCOUNT));
    for text in [
        "",
        "01234567-89ab-cdef-0123-456789abcdef",
        "arn:aws:cloudtrail:us-east-1:1234:channel/x",
        "arn:aws:cloudtrail:us-east-1:123456789012:trail/x",
        "arn:aws:cloudtrail:us-east-1:123456789012:channel/",
        "arn:aws:cloudtrail::123456789012:channel/x",
        "arn:aws:cloudtrail:us-east-1:123456789012:channel/x?y",
        "arn:aws:securityhub:us-east-1:123456789012:channel/x",
    ] {
        let error = text.parse::<ChannelArn>().unwrap_err();
        assert!(error.to_string().contains("arn:aws:cloudtrail:REGION"), "{error}");
    }
}
