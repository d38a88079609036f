//! `tributary run` to Security Hub and CloudTrail Lake, on servers that judge every request.

use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_test_servers::Server;

use super::{Hub, stderr};

const CHANNEL: &str = "arn:aws:cloudtrail:eu-west-1:123456789012:channel/01234567-89ab-cdef-0123-456789abcdef";

/// A hub with events, and servers that a run finds by the variables of their services.
struct Stage {
    hub: Hub,
    model: Server,
    moto: Server,
    folder: TempDir,
}

impl Stage {
    fn start() -> Option<Self> {
        let (model, moto) = (Server::model()?, Server::moto()?);
        let hub = Hub::start("1");
        let sent = hub.run(&["send", "--samples", "80", "--seed", "5", "--json"]);
        assert!(sent.status.success(), "{}", stderr(&sent));
        Some(Self { hub, model, moto, folder: TempDir::new().unwrap() })
    }

    /// Runs once, with everything local in memory, and returns exit code, summary and what was said.
    fn run(&self, variables: &[(&str, &str)], flags: &[&str]) -> (Option<i32>, Value, String) {
        let mut command = self.hub.command(&["run", "--once", "--json", "--ledger", "memory:", "--queue", "memory:"]);
        self.moto.settings(&mut command);
        command.env("AWS_ENDPOINT_URL_SECURITYHUB", self.model.endpoint());
        command.env("AWS_ENDPOINT_URL_CLOUDTRAIL_DATA", self.model.endpoint());
        command.args(["--staging", "memory:", "--lake", "memory:", "--quarantine", "memory:"]).args(flags);
        let output = command.envs(variables.iter().copied()).current_dir(self.folder.path()).output().unwrap();
        let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), said, stderr(&output))
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.model.get("/_state")).unwrap()
    }
}

#[test]
fn a_run_delivers_nothing_that_it_was_not_asked_to() {
    let Some(stage) = Stage::start() else { return };
    let (code, said, text) = stage.run(&[("CLOUDTRAIL_ENABLED", "false"), ("CLOUDTRAIL_CHANNEL_ARN", CHANNEL)], &[]);
    assert!(matches!(code, Some(0 | 3)), "{text}");
    assert_eq!((&said["findings"], &said["imported"], &said["trail"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(stage.state()["calls"], json!([]));
}

#[test]
fn a_run_imports_findings_by_a_role_and_sends_trail_events() {
    let Some(stage) = Stage::start() else { return };
    let variables = [
        ("ASFF_SQS_QUEUE", "memory:"),
        ("SECURITY_HUB_ACCOUNT_ID", "123456789012"),
        ("SECURITY_HUB_REGION", "eu-west-3"),
        ("SECURITY_HUB_ROLE_ARN", "arn:aws:iam::123456789012:role/importer"),
        ("CLOUDTRAIL_ENABLED", "true"),
        ("CLOUDTRAIL_CHANNEL_ARN", CHANNEL),
    ];
    let (code, said, text) = stage.run(&variables, &["--security-hub"]);
    assert!(matches!(code, Some(0 | 3)), "{text}");
    assert!(said["findings"].as_u64().unwrap() > 3, "{said}");
    assert_eq!((&said["imported"], &said["trail"]), (&said["findings"], &said["mapped"]));
    let state = stage.state();
    let calls = state["calls"].as_array().unwrap();
    for call in calls {
        assert_eq!((&call["status"], &call["failed"]), (&json!(200), &json!({})), "{call}");
        let imports = call["operation"] == "BatchImportFindings";
        assert_eq!(call["region"], if imports { "eu-west-3" } else { "eu-west-1" });
        assert_eq!(call["token"], imports, "the role is Security Hub's alone");
    }
    assert_eq!(state["auditEvents"].as_object().unwrap().len() as u64, said["mapped"].as_u64().unwrap());
}

#[test]
fn what_a_service_says_is_the_end_of_the_run() {
    let Some(stage) = Stage::start() else { return };
    stage.model.post("/_faults", r#"{"disabled": true}"#);
    let hub = ["--findings-queue", "memory:", "--security-hub-account", "123456789012", "--security-hub"];
    let (code, _, text) = stage.run(&[], &hub);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("enable Security Hub in us-east-1"), "{text}");
}

#[test]
fn what_is_missing_is_named() {
    let Some(stage) = Stage::start() else { return };
    for (flags, names) in [
        (&["--cloudtrail"][..], "CLOUDTRAIL_CHANNEL_ARN"),
        (&["--cloudtrail-channel", "x"], "arn:aws:cloudtrail:REGION"),
        (&["--security-hub"], "--findings-queue"),
        (&["--findings-queue", "memory:"], "--security-hub-account"),
        (&["--findings-queue", "memory:", "--security-hub-account", "12"], "is no aws account"),
    ] {
        let (code, _, text) = stage.run(&[], flags);
        assert_eq!(code, Some(2), "{flags:?}: {text}");
        assert!(text.contains(names), "{flags:?}: {text}");
    }
}
