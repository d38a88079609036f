//! What the functions really asked of AWS, as IAM would judge it, against what is declared.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::Value;
use tributary_functions::permissions;
use tributary_test_servers::Asked;

use super::stack::{BUCKETS, FLOW_LOG_SECRET, SECRET};

/// A handler, an operation, the name of a resource and the path below it: as in `permissions.json`.
type Call = (&'static str, String, &'static str, String);

/// Calls of a deployment's functions.
#[derive(Default)]
pub(crate) struct Calls(Mutex<BTreeSet<Call>>);

impl Calls {
    /// Notes a request that a handler made.
    pub(crate) fn note(&self, handler: &'static str, asked: &Asked) {
        let (operation, resource, path) = judged(asked);
        self.0.lock().unwrap().insert((handler, operation, resource, path));
    }

    /// Calls that no declaration allows.
    pub(crate) fn undeclared(&self) -> Vec<String> {
        let declared = declared();
        let calls = self.0.lock().unwrap();
        let allowed = |call: &&Call| !declared.iter().any(|permission| permission.allows(call));
        calls.iter().filter(allowed).map(|call| format!("{call:?}")).collect()
    }

    /// Fails unless these declarations, as [`unused`](Self::unused) writes them, were needed: the list of what a run does not
    /// need names them as another test's.
    pub(crate) fn assert_needed(&self, declarations: &[&str]) {
        let unused = self.unused();
        for declaration in declarations {
            assert!(declared().iter().any(|permission| permission.shown() == *declaration), "{declaration}: no such");
            assert!(!unused.iter().any(|shown| shown == declaration), "{declaration}: no call needed it");
        }
    }

    /// Declarations that no call needed, but those that AWS makes use of by itself: `handler operation resource/path (when)`.
    pub(crate) fn unused(&self) -> Vec<String> {
        let calls = self.0.lock().unwrap();
        let unused = |permission: &Declared| !permission.indirect && !calls.iter().any(|call| permission.allows(call));
        declared().iter().filter(|permission| unused(permission)).map(Declared::shown).collect()
    }
}

/// An entry of `permissions.json`, which the roles are made from.
struct Declared {
    handler: String,
    operation: String,
    resource: String,
    path: Option<String>,
    when: String,
    indirect: bool,
}

impl Declared {
    fn allows(&self, (handler, operation, resource, path): &Call) -> bool {
        let below = match self.path.as_deref() {
            None => path.is_empty(),
            Some(pattern) => match pattern.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => path == pattern,
            },
        };
        self.handler == *handler && self.operation == *operation && self.resource == *resource && below
    }

    fn shown(&self) -> String {
        let path = self.path.as_deref().map_or_else(String::new, |path| format!("/{path}"));
        format!("{} {} {}{path} ({})", self.handler, self.operation, self.resource, self.when)
    }
}

fn declared() -> Vec<Declared> {
    let page: Value = serde_json::from_str(&permissions::json()).unwrap();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let mut all = Vec::new();
    for (handler, entries) in page["handlers"].as_object().unwrap() {
        for entry in entries.as_array().unwrap() {
            all.push(Declared {
                handler: handler.clone(),
                operation: text(entry, "operation"),
                resource: text(entry, "resource"),
                path: entry["path"].as_str().map(str::to_owned),
                when: text(entry, "when"),
                indirect: entry["indirect"].as_bool().unwrap(),
            });
        }
    }
    all
}

/// The IAM action of a request, the deployment's name of the resource, and the path below it.
fn judged(asked: &Asked) -> (String, &'static str, String) {
    let target = asked.headers.get("x-amz-target").map(String::as_str).unwrap_or_default();
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    // IAM knows a batch by the single operation's name.
    let single = |operation: &str| operation.strip_suffix("Batch").unwrap_or(operation).to_owned();
    let (method, url) = asked.line.split_once(' ').unwrap();
    if let Some(operation) = target.strip_prefix("AmazonSQS.") {
        let url = text("QueueUrl");
        let queue = match url.rsplit('/').next().unwrap() {
            "events" => "eventQueue",
            "findings" => "findingsQueue",
            "flow-logs" => "flowLogQueue",
            "events-dead" => "deadLetterQueue",
            _ => "another queue",
        };
        (format!("sqs:{}", single(operation)), queue, String::new())
    } else if let Some(operation) = target.strip_prefix("DynamoDB_20120810.") {
        let table = if text("TableName") == "positions" { "ledgerTable" } else { "another table" };
        (format!("dynamodb:{operation}"), table, String::new())
    } else if let Some(operation) = target.strip_prefix("secretsmanager.") {
        let secret = match text("SecretId").as_str() {
            SECRET => "hubSecret",
            FLOW_LOG_SECRET => "flowLogSecret",
            _ => "another secret",
        };
        (format!("secretsmanager:{operation}"), secret, String::new())
    } else if let Some(action) = asked.body.strip_prefix(b"Action=") {
        let action = action.split(|byte| *byte == b'&').next().unwrap();
        (format!("sts:{}", String::from_utf8_lossy(action)), "*", String::new())
    } else if url == "/findings/import" {
        ("securityhub:BatchImportFindings".to_owned(), "securityHubProduct", String::new())
    } else if url.starts_with("/PutAuditEvents") {
        ("cloudtrail-data:PutAuditEvents".to_owned(), "trailChannel", String::new())
    } else if let Some(path) = url.strip_prefix("/v1/datalake/logsources/") {
        let operation = match (method, path.split('?').next().unwrap()) {
            ("POST", "custom") => "CreateCustomLogSource",
            ("DELETE", _) => "DeleteCustomLogSource",
            ("POST", "list") => "ListLogSources",
            _ => "another operation",
        };
        (format!("securitylake:{operation}"), "*", String::new())
    } else {
        object(method, url)
    }
}

/// The same of S3.
fn object(method: &str, url: &str) -> (String, &'static str, String) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let resource = match BUCKETS.iter().position(|name| *name == bucket) {
        Some(0) => "stagingBucket",
        Some(1) => "lakeBucket",
        Some(2) => "quarantineBucket",
        _ if bucket == "tributary-mappings" => "mappings",
        _ => "another bucket",
    };
    let upload = query.contains("upload");
    let operation = match method {
        "GET" if key.is_empty() => "ListBucket",
        "GET" | "HEAD" => "GetObject",
        "PUT" => "PutObject",
        "POST" if upload => "PutObject",
        "DELETE" if upload => "AbortMultipartUpload",
        "DELETE" => "DeleteObject",
        _ => "another operation",
    };
    (format!("s3:{operation}"), resource, key.to_owned())
}
