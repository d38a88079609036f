//! Against the model-driven server, which judges every request by botocore's model and verifies its signature.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tributary_test_servers::{REGION, Server};

use super::*;
use crate::conformance::{self, Subject};
use crate::send::{Patience, Sent, send};

const ACCOUNT: &str = "123456789012";
const PATIENCE: Patience =
    Patience { attempts: 5, first: Duration::from_millis(20), longest: Duration::from_millis(100) };

fn finding(id: &str, region: &str, padding: usize) -> Entry {
    // Values have at most 1,023 characters, a resource 50 of them.
    let resource = |at: usize, size: usize| {
        let other: serde_json::Map<String, Value> = (0..size.div_ceil(1_000))
            .map(|n| (format!("key{n}"), json!("x".repeat(1_000.min(size - n * 1_000)))))
            .collect();
        let details = if other.is_empty() { json!({}) } else { json!({"Other": other}) };
        json!({"Type": "Other", "Id": format!("{id}/{at}"), "Details": details})
    };
    let resources: Vec<Value> =
        (0..=padding / 50_000).map(|at| resource(at, padding.saturating_sub(at * 50_000).min(50_000))).collect();
    let document = json!({
        "SchemaVersion": "2018-10-08", "Id": id, "GeneratorId": "test", "AwsAccountId": ACCOUNT,
        "ProductArn": format!("arn:aws:securityhub:{region}:{ACCOUNT}:product/{ACCOUNT}/default"),
        "Types": ["Unusual Behaviors/Test"], "Severity": {"Label": "LOW"}, "Title": "test", "Description": "test",
        "CreatedAt": "2026-02-03T10:13:15Z", "UpdatedAt": "2026-02-03T10:13:15Z", "Resources": resources,
    });
    Entry::new(id, document.to_string())
}

fn findings(ids: &[&str]) -> Vec<Entry> {
    ids.iter().map(|id| finding(id, REGION, 0)).collect()
}

struct Subjected {
    server: Arc<Server>,
    hub: SecurityHub,
}

impl Subjected {
    fn start() -> Option<Self> {
        Some(Self::on(Arc::new(Server::model()?)))
    }

    /// Empty, on a server that is there already.
    fn on(server: Arc<Server>) -> Self {
        server.post("/_reset", "");
        let hub = SecurityHub::new(&server.config()).unwrap();
        Self { server, hub }
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.server.get("/_state")).unwrap()
    }

    fn faults(&self, faults: &Value) {
        self.server.post("/_faults", &faults.to_string());
    }

    /// Status and how many findings, of every call.
    fn calls(&self) -> Vec<(u64, u64)> {
        let state = self.state();
        let calls = state["calls"].as_array().unwrap().iter();
        calls.map(|call| (call["status"].as_u64().unwrap(), call["entries"].as_u64().unwrap_or_default())).collect()
    }
}

#[async_trait]
impl Subject for Subjected {
    fn sink(&self) -> &dyn Sink {
        &self.hub
    }

    fn entry(&self, id: &str, padding: usize) -> Entry {
        finding(id, REGION, padding)
    }

    async fn stored(&self) -> Vec<String> {
        let ids: BTreeSet<String> = self.state()["findings"].as_object().unwrap().keys().cloned().collect();
        ids.into_iter().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let Some(server) = Server::model().map(Arc::new) else { return };
    conformance::all(async || Subjected::on(Arc::clone(&server))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_is_rejected_keeps_no_other_from_arriving() {
    let Some(it) = Subjected::start() else { return };
    it.faults(&json!({"reject": {"b": "InvalidInput", "c": "InternalError", "d": "ThrottlingException"},
        "times": {"c": 2, "d": 1}}));
    let Sent { answers, failure } = send(&it.hub, &findings(&["a", "b", "c", "d", "e"]), PATIENCE).await;
    assert_eq!(failure, None);
    let refused = Answer::Refused("InvalidInput".to_owned());
    assert_eq!(answers, [Answer::Accepted, refused, Answer::Accepted, Answer::Accepted, Answer::Accepted]);
    assert_eq!(it.stored().await, ["a", "c", "d", "e"]);
    assert_eq!(it.calls(), [(200, 5), (200, 2), (200, 1)], "failed findings alone are sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_the_model_refuses_is_refused_alone() {
    let Some(it) = Subjected::start() else { return };
    let mut all = findings(&["a", "b", "c"]);
    let mut wrong: Value = serde_json::from_str(all[1].document()).unwrap();
    wrong["Severity"]["Label"] = json!("WRONG");
    all[1] = Entry::new("b", wrong.to_string());
    // This one makes the whole request unreadable for the service.
    wrong["Id"] = json!(7);
    all.push(Entry::new("d", wrong.to_string()));
    let Sent { answers, failure } = send(&it.hub, &all, PATIENCE).await;
    assert_eq!(failure, None);
    assert_eq!(answers[0], Answer::Accepted);
    assert_eq!(answers[1], Answer::Refused("InvalidInput".to_owned()));
    assert_eq!(answers[2], Answer::Accepted);
    assert_eq!(answers[3], Answer::Refused("InvalidInputException".to_owned()));
    assert_eq!(it.stored().await, ["a", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_waited_for() {
    let Some(it) = Subjected::start() else { return };
    for (fault, status) in [("throttle", 429), ("errors", 500), ("cut", 200)] {
        it.server.post("/_reset", "");
        it.faults(&json!({fault: 2}));
        let Sent { answers, failure } = send(&it.hub, &findings(&["a", "b"]), PATIENCE).await;
        assert_eq!((answers, failure), (vec![Answer::Accepted; 2], None), "{fault}");
        assert_eq!(it.stored().await, ["a", "b"], "{fault}");
        let statuses: Vec<u64> = it.calls().into_iter().map(|(status, _)| status).collect();
        assert_eq!(statuses, [status, status, 200], "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_says_what_to_do() {
    let Some(it) = Subjected::start() else { return };
    for (fault, failure, says) in
        [("deny", Failure::Denied, "grant it"), ("disabled", Failure::Denied, "enable Security Hub in us-east-1")]
    {
        it.server.post("/_reset", "");
        it.faults(&json!({fault: true}));
        let sent = send(&it.hub, &findings(&["a"]), PATIENCE).await;
        let error = sent.failure.unwrap();
        assert_eq!(error.failure, failure, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(OPERATION) && text.contains(says), "{text}");
        assert!(matches!(&sent.answers[..], [Answer::Again(_)]));
        assert_eq!(it.calls().len(), 1, "no call is wasted");
    }
    it.server.post("/_reset", "");
    it.faults(&json!({"throttle": 100}));
    let sent = send(&it.hub, &findings(&["a"]), PATIENCE).await;
    assert_eq!(sent.failure.unwrap().failure, Failure::Unavailable);
    assert_eq!(it.calls().len(), 5);
}

/// The server refuses the eleventh call of a second, and the thirty-first at once.
#[tokio::test(flavor = "multi_thread")]
async fn workers_keep_the_rate_together() {
    let Some(it) = Subjected::start() else { return };
    let started = Instant::now();
    let worker = async |name: &str| {
        for number in 0..14 {
            let entry = finding(&format!("{name}-{number}"), REGION, 0);
            assert_eq!(it.hub.clone().put(&[&entry]).await, Ok(vec![Answer::Accepted]));
        }
    };
    tokio::join!(worker("a"), worker("b"), worker("c"));
    assert_eq!(it.stored().await.len(), 42);
    assert!(started.elapsed() >= Duration::from_millis(1_100), "42 calls took {:?}", started.elapsed());
}

/// A central account's role, by STS, and another region: the signature is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_another_account_is_assumed() {
    let (Some(it), Some(moto)) = (Subjected::start(), Server::moto()) else { return };
    let role = format!("arn:aws:iam::{ACCOUNT}:role/importer");
    let assumed = tributary_aws::assume(&moto.config(), &role, None, Some("eu-west-3")).await.unwrap();
    let hub = SecurityHub::new(&assumed.to_builder().endpoint_url(it.server.endpoint()).build()).unwrap();
    let entry = finding("a", "eu-west-3", 0);
    assert_eq!(hub.put(&[&entry]).await, Ok(vec![Answer::Accepted]));
    let state = it.state();
    let call = &state["calls"][0];
    assert_eq!((&call["region"], &call["token"]), (&json!("eu-west-3"), &json!(true)));
    assert!(call["accessKey"].as_str().unwrap().starts_with("ASIA"), "{call}");
    assert!(SecurityHub::open(&moto.config(), Some("nobody"), None).await.is_err());
}
