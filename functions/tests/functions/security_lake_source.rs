//! The custom resource, against a server that judges every request by AWS's own service model.

use std::sync::Arc;

use serde_json::{Value, json};
use tributary_test_servers::{Proxy, SETTINGS, Server};

use super::calls::Calls;
use super::process::Function;

fn properties(classes: &[&str]) -> Value {
    json!({"SourcePrefix": "azure-", "OcsfVersion": "1.3.0", "EventClasses": classes,
        "CrawlerRoleArn": "arn:aws:iam::123456789012:role/tributary-crawler", "PrincipalAccountId": "123456789012",
        "ExternalId": "tributary-external-id"})
}

fn started(server: &Server, calls: &Arc<Calls>) -> Function {
    let (handler, calls) = ("security-lake-source", Arc::clone(calls));
    let proxy = Proxy::start(server, move |asked| {
        calls.note(handler, asked);
        None
    });
    let mut variables = SETTINGS.to_vec();
    variables.push(("AWS_ENDPOINT_URL", proxy.endpoint()));
    Function::start(handler, &variables).behind(vec![proxy])
}

/// Names of the sources that the server has.
fn sources(server: &Server) -> Vec<String> {
    let state: Value = serde_json::from_str(&server.get("/_state")).unwrap();
    let mut names: Vec<String> = state["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["sourceName"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_stack_is_made_changed_and_removed() {
    let Some(server) = Server::model() else { return };
    // A new source is not ready at once, and a change keeps others out for a while.
    server.post("/_faults", r#"{"ready_ms": 700, "busy_ms": 300}"#);
    let calls = Arc::default();
    let mut function = started(&server, &calls);
    let create = json!({"RequestType": "Create", "ResourceProperties": properties(&["2004", "6003"])});
    let made = function.invoke(&create);
    assert_eq!(made["PhysicalResourceId"], "azure-sources");
    let listed: Value = serde_json::from_str(made["Data"]["Sources"].as_str().unwrap()).unwrap();
    assert_eq!(listed.as_object().unwrap().len(), 2);
    let location = listed["2004"].as_str().unwrap();
    assert!(location.contains("ext/azure-detection"), "{location}");
    assert_eq!(made["Data"]["Location2004"], location);
    assert!(made["Data"]["WriterRoleArn6003"].as_str().unwrap().starts_with("arn:aws:iam::"));
    // Again: nothing changes.
    assert_eq!(function.invoke(&create), made);
    assert_eq!(sources(&server), ["azure-api", "azure-detection"]);

    let update = json!({"RequestType": "Update", "PhysicalResourceId": "azure-sources",
        "ResourceProperties": properties(&["2004", "4001"]), "OldResourceProperties": properties(&["2004", "6003"])});
    let updated = function.invoke(&update);
    assert_eq!(
        (&updated["PhysicalResourceId"], &updated["Data"]["Location2004"]),
        (&json!("azure-sources"), &json!(location))
    );
    assert_eq!(sources(&server), ["azure-detection", "azure-network"]);

    let delete = json!({"RequestType": "Delete", "PhysicalResourceId": "azure-sources", "ResourceProperties": properties(&["2004", "4001"])});
    function.invoke(&delete);
    function.invoke(&delete);
    assert!(sources(&server).is_empty());
    assert_eq!(calls.undeclared(), Vec::<String>::new());
    calls.assert_needed(&[
        "security-lake-source securitylake:CreateCustomLogSource * (always)",
        "security-lake-source securitylake:DeleteCustomLogSource * (always)",
        "security-lake-source securitylake:ListLogSources * (always)",
    ]);
}

#[test]
fn what_fails_fails_the_resource_and_says_why() {
    let Some(server) = Server::model() else { return };
    let mut function = started(&server, &Arc::default());
    for (properties, says) in [
        (json!({"SourcePrefix": "azure-"}), "EventClasses"),
        (properties(&["9999"]), "9999"),
        (json!({"SourcePrefix": "azure-", "OcsfVersion": "1.9.0", "EventClasses": ["2004"]}), "OcsfVersion"),
    ] {
        let message = function.fails(&json!({"RequestType": "Create", "ResourceProperties": properties}));
        assert!(message.contains(says), "{message}");
    }
    server.post("/_faults", r#"{"deny": true}"#);
    let create = json!({"RequestType": "Create", "ResourceProperties": properties(&["2004"])});
    let message = function.fails(&create);
    assert!(message.contains("securitylake:") && message.contains("AccessDeniedException"), "{message}");
    server.post("/_faults", r#"{"deny": null, "no_lake": true}"#);
    let message = function.fails(&create);
    assert!(message.contains("securitylake:ListLogSources"), "{message}");
    let (_, log) = function.end();
    assert!(log.contains("\"request_id\":\"00000000-0000-4000-8000-000000000001\""), "{log}");
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
}
