//! Functions on ministack: made, fed by queues and schedules, and looked into, as a deployment has them.
//!
//! Its functions are native processes. The package is one line of shell that starts the program where it lies, so that no test
//! packs hundreds of megabytes of a debug build.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Server, python};

/// ministack's account.
const ACCOUNT: &str = "000000000000";

/// A function to make.
#[derive(Debug, Clone)]
pub struct Lambda<'a> {
    /// Its name.
    pub name: &'a str,
    /// The handler's name.
    pub handler: &'a str,
    /// What to start.
    pub program: &'a Path,
    /// Memory, in MB: what it is told, as nothing limits it here.
    pub memory_mb: u32,
    /// Longest invocation, in seconds.
    pub timeout_s: u32,
    /// Its environment.
    pub environment: &'a [(String, String)],
}

impl Server {
    /// Makes a function. What fails in an asynchronous invocation is not tried again.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn lambda(&self, lambda: &Lambda<'_>) {
        let environment: serde_json::Map<String, Value> =
            lambda.environment.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let function = json!({"FunctionName": lambda.name, "Runtime": "provided.al2023", "Handler": lambda.handler,
            "Role": format!("arn:aws:iam::{ACCOUNT}:role/{}", lambda.name), "Code": {"ZipFile": package(lambda.program)},
            "MemorySize": lambda.memory_mb, "Timeout": lambda.timeout_s, "Environment": {"Variables": environment}});
        self.rest("POST", "/2015-03-31/functions", &function);
        let once = json!({"MaximumRetryAttempts": 0});
        self.rest("PUT", &format!("/2019-09-25/functions/{}/event-invoke-config", lambda.name), &once);
    }

    /// Invokes a function and waits; its response, or its error.
    ///
    /// # Errors
    /// What the function answers when it fails.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn invoke(&self, name: &str, event: &Value) -> Result<Value, Value> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let (head, body) = self.rest("POST", &path, event);
        let answer = serde_json::from_str(&body).unwrap_or_default();
        if head.to_ascii_lowercase().contains("x-amz-function-error:") { Err(answer) } else { Ok(answer) }
    }

    /// Feeds a function from a queue, with partial batch responses.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn event_source(&self, queue: &str, function: &str, batch_size: u32, concurrency: u32) {
        let queue = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}");
        let mapping = json!({"EventSourceArn": queue, "FunctionName": function, "BatchSize": batch_size,
            "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": {"MaximumConcurrency": concurrency}});
        self.rest("POST", "/2015-03-31/event-source-mappings/", &mapping);
    }

    /// Invokes a function every minute, the first time in a minute.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn every_minute(&self, function: &str) {
        let rule = json!({"Name": function, "ScheduleExpression": "rate(1 minute)", "State": "ENABLED"});
        self.target("AWSEvents.PutRule", &rule);
        let arn = format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{function}");
        self.target("AWSEvents.PutTargets", &json!({"Rule": function, "Targets": [{"Id": "function", "Arn": arn}]}));
    }

    /// The sum of one of Lambda's own metrics of a function, such as `Errors`.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn lambda_metric(&self, metric: &str, function: &str) -> f64 {
        let query = json!({"Namespace": "AWS/Lambda", "MetricName": metric, "Period": 86_400, "Statistics": ["Sum"],
            "Dimensions": [{"Name": "FunctionName", "Value": function}],
            "StartTime": 1_600_000_000, "EndTime": 4_000_000_000_u32});
        let found = self.target("GraniteServiceVersion20100801.GetMetricStatistics", &query);
        found["Datapoints"].as_array().unwrap().iter().filter_map(|point| point["Sum"].as_f64()).sum()
    }

    /// Every line that a function wrote.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn lambda_log(&self, function: &str) -> String {
        let (mut log, mut token) = (String::new(), Value::Null);
        loop {
            let mut query = json!({"logGroupName": format!("/aws/lambda/{function}"), "limit": 10_000});
            if !token.is_null() {
                query["nextToken"] = token;
            }
            let mut page = self.target("Logs_20140328.FilterLogEvents", &query);
            for event in page["events"].as_array().unwrap() {
                log.push_str(event["message"].as_str().unwrap().trim_end());
                log.push('\n');
            }
            token = page["nextToken"].take();
            if token.is_null() {
                return log;
            }
        }
    }

    fn rest(&self, method: &str, path: &str, body: &Value) -> (String, String) {
        let (head, answer) = self.exchange(method, path, "content-type: application/json\r\n", &body.to_string());
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {head}\n{answer}");
        (head, answer)
    }

    fn target(&self, target: &str, body: &Value) -> Value {
        let headers = format!("content-type: application/x-amz-json-1.1\r\nx-amz-target: {target}\r\n");
        let (head, answer) = self.exchange("POST", "/", &headers, &body.to_string());
        assert!(head.starts_with("HTTP/1.1 200"), "{target}: {head}\n{answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    }
}

/// A package whose `bootstrap` starts the program, in base64.
fn package(program: &Path) -> String {
    let folder = std::env::temp_dir().join(format!("tributary-package-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (bootstrap, package) = (folder.join("bootstrap"), folder.join("package.zip"));
    let mut file = std::fs::File::create(&bootstrap).unwrap();
    writeln!(file, "#!/bin/sh\nexec '{}'", program.display()).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(file);
    let mut zip = Command::new(python("ministack's functions").expect("ministack runs by it"));
    assert!(zip.args(["-m", "zipfile", "-c"]).args([&package, &bootstrap]).status().unwrap().success());
    let text = STANDARD.encode(std::fs::read(&package).unwrap());
    std::fs::remove_dir_all(&folder).unwrap();
    text
}
