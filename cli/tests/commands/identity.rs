//! A hub whose credentials lie in Secrets Manager, and one that knows the AWS role.

use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig, JwtIssuer};
use tributary_test_servers::Server;

use super::{stderr, stdout, tributary};

const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const APPLICATION: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const ISSUER: &str = "https://22222222-2222-2222-2222-222222222222.tokens.sts.global.api.aws";
const ROLE: &str = "arn:aws:iam::123456789012:role/tributary-processor";

/// A hub in this process with a few events, that trusts the token endpoint.
struct World {
    runtime: tokio::runtime::Runtime,
    emulator: Emulator,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let issuer = format!("https://sts.windows.net/{TENANT}/");
        let issuer = JwtIssuer::new(issuer, "https://eventhubs.azure.net", "entra-key");
        let hub = HubConfig::new("defender", 1).consumer_group("tributary");
        let emulator = runtime.block_on(Emulator::builder().hub(hub).jwt_issuer(issuer).start()).unwrap();
        let events = (0..3).map(|number| Event::new(format!("{{\"number\":{number}}}")));
        emulator.hub("defender").unwrap().publish_all(0, events.collect::<Vec<_>>()).unwrap();
        Self { runtime, emulator }
    }

    fn namespace(&self) -> String {
        format!("amqp://{}", self.emulator.address())
    }

    fn store(&self, aws: &Server, name: &str, secret: &Value) {
        let client = aws_sdk_secretsmanager::Client::new(&aws.config());
        let creating = client.create_secret().name(name).secret_string(secret.to_string()).send();
        self.runtime.block_on(creating).unwrap();
    }
}

fn receive(with: impl FnOnce(&mut Command)) -> Result<Vec<String>, (i32, String)> {
    let mut command = tributary();
    command.args(["receive", "--bodies", "--count", "3", "--wait", "20", "--retry-for", "5"]);
    with(&mut command);
    let output = command.output().unwrap();
    assert!(!stderr(&output).contains("c4n4ry"), "{}", stderr(&output));
    match output.status.code() {
        Some(0) => Ok(stdout(&output).lines().map(str::to_owned).collect()),
        code => Err((code.unwrap_or(-1), stderr(&output))),
    }
}

fn bodies() -> Vec<String> {
    (0..3).map(|number| format!("{{\"number\":{number}}}")).collect()
}

#[test]
fn a_hub_by_its_secret() {
    let (Some(aws), Some(entra)) = (Server::moto(), Server::entra(None)) else { return };
    let world = World::new();
    entra.post("/control", &json!({"applications": {APPLICATION: {"secrets": ["c4n4ry"]}}}).to_string());
    let names = json!({"eventHubNamespace": "127.0.0.1", "eventHubName": "defender", "consumerGroup": "tributary"});
    let mut key = names.clone();
    key["connectionString"] = json!(world.emulator.connection_string("defender"));
    world.store(&aws, "key", &key);
    let mut application = names.clone();
    for (name, value) in
        [("eventHubNamespace", world.namespace().as_str()), ("tenantId", TENANT), ("clientId", APPLICATION)]
    {
        application[name] = json!(value);
    }
    application["clientSecret"] = json!("c4n4ry");
    world.store(&aws, "application", &application);
    application["clientSecret"] = json!("PLACEHOLDER");
    world.store(&aws, "placeholder", &application);
    for secret in ["key", "application"] {
        let read = receive(|command| {
            aws.settings(command).args(["--credentials-secret", secret]).env("AZURE_AUTHORITY_HOST", entra.endpoint());
        });
        assert_eq!(read, Ok(bodies()), "{secret}");
    }
    let (code, said) = receive(|command| {
        aws.settings(command).env("AZURE_CREDENTIALS_SECRET_NAME", "placeholder");
    })
    .unwrap_err();
    let command = "aws secretsmanager put-secret-value --secret-id placeholder --secret-string file://secret.json";
    assert!(code == 4 && said.contains(command), "{code} {said}");
    let (code, said) = receive(|command| {
        aws.settings(command).args(["--credentials-secret", "key", "--hub", "other"]);
    })
    .unwrap_err();
    assert!(code == 2 && said.contains("the secret is for hub \"defender\""), "{code} {said}");

    // Sent by one and read by the other, through the whole way.
    let folder = TempDir::new().unwrap();
    let mut send = aws
        .settings(&mut tributary())
        .args(["send", "--samples", "20"])
        .env("AZURE_CREDENTIALS_SECRET_NAME", "key")
        .output();
    let sent = send.as_mut().unwrap();
    assert!(sent.status.success(), "{}", stderr(sent));
    let mut run = tributary();
    aws.settings(&mut run).args(["run", "--once", "--json"]).env("AZURE_CREDENTIALS_SECRET_NAME", "application");
    let output = run
        .env("AZURE_AUTHORITY_HOST", entra.endpoint())
        .env("LOGGING_LEVEL", "DEBUG")
        .current_dir(&folder)
        .output()
        .unwrap();
    let summary: Value = serde_json::from_str(stdout(&output).lines().last().unwrap()).unwrap();
    assert!(summary["events"] == 23 && summary["failed"] == 0, "{summary} {}", stderr(&output));
    assert!(!stderr(&output).contains("c4n4ry") && !stderr(&output).contains("eyJ"), "{}", stderr(&output));
}

#[test]
fn a_hub_by_the_role_alone_over_tls() {
    let folder = TempDir::new().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let [root, leaf, private] = ["root.pem", "leaf.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&root, issuer.pem()).unwrap();
    std::fs::write(&leaf, certificate.pem()).unwrap();
    std::fs::write(&private, key.serialize_pem()).unwrap();
    let Some(entra) = Server::entra(Some((&leaf, &private))) else { return };
    let federated = json!({"issuer": ISSUER, "subject": ROLE, "audience": "api://AzureADTokenExchange"});
    let trust =
        |application: Value| entra.post("/control", &json!({"applications": {APPLICATION: application}}).to_string());
    trust(json!({"federated": federated}));
    let asked: Value = serde_json::from_str(&entra.get("/control")).unwrap();
    let https = asked["https"].as_str().unwrap();
    let world = World::new();
    let namespace = world.namespace();
    let federated = |command: &mut Command| {
        entra.settings(command).env("AZURE_AUTHORITY_HOST", https);
        command.args(["--authentication", "federated", "--tenant-id", TENANT, "--client-id", APPLICATION]);
        command.args(["--namespace", &namespace, "--hub", "defender", "--consumer-group", "tributary"]);
    };
    let read = receive(|command| {
        federated(command);
        command.env("SSL_CERT_FILE", &root);
    });
    assert_eq!(read, Ok(bodies()));
    let (_, said) = receive(federated).unwrap_err();
    assert!(said.contains("certificate of 127.0.0.1 is refused") && said.contains("SSL_CERT_FILE"), "{said}");
    trust(json!({}));
    let (_, said) = receive(|command| {
        federated(command);
        command.env("SSL_CERT_FILE", &root);
    })
    .unwrap_err();
    assert!(said.contains("AADSTS70021") && said.contains(ISSUER) && said.contains(ROLE), "{said}");
    let (code, said) = receive(|command| {
        entra.settings(command).env("AZURE_AUTHENTICATION", "federated");
    })
    .unwrap_err();
    assert!(code == 2 && said.contains("AZURE_TENANT_ID is not set"), "{said}");
}
