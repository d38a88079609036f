//! Secrets, tokens and hubs against servers that speak their protocols: moto, a token endpoint, the emulator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod federation;
mod hub;
mod hygiene;
mod secrets;
mod tokens;

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_smithy_types::retry::RetryConfig;
use serde_json::{Value, json};
use tributary_aws::SdkConfig;
use tributary_azure_eventhub::Roots;
use tributary_azure_identity::{Entra, EventHubSecret, SecretStore};
use tributary_test_servers::Server;

/// What the token endpoint knows unless told otherwise.
pub(crate) const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub(crate) const APPLICATION: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
pub(crate) const NAME: &str = "tributary/hub";
pub(crate) const HUB: &str = "defender";
pub(crate) const GROUP: &str = "tributary";
/// What shows nowhere.
pub(crate) const CANARY: &str = "c4n4ry";

/// Secrets Manager with one secret.
pub(crate) struct Secrets {
    pub(crate) server: Server,
    client: Client,
}

impl Secrets {
    pub(crate) async fn start(first: &Value) -> Option<Self> {
        let server = Server::moto()?;
        let client = Client::new(&server.config());
        client.create_secret().name(NAME).secret_string(first.to_string()).send().await.unwrap();
        Some(Self { server, client })
    }

    /// What a person does to rotate it.
    pub(crate) async fn put(&self, value: &Value) {
        self.put_text(&value.to_string()).await;
    }

    pub(crate) async fn put_text(&self, text: &str) {
        self.client.put_secret_value().secret_id(NAME).secret_string(text).send().await.unwrap();
    }

    /// Without retries: what fails, fails at once.
    pub(crate) fn config(&self) -> SdkConfig {
        at_once(&self.server)
    }

    pub(crate) fn store(&self) -> SecretStore<EventHubSecret> {
        SecretStore::new(&self.config(), NAME).unwrap()
    }
}

pub(crate) fn at_once(server: &Server) -> SdkConfig {
    server.config().to_builder().retry_config(RetryConfig::disabled()).build()
}

/// A hub secret with an application.
pub(crate) fn application_secret(client_secret: &str) -> Value {
    json!({"eventHubNamespace": "contoso", "eventHubName": HUB, "consumerGroup": GROUP,
           "tenantId": TENANT, "clientId": APPLICATION, "clientSecret": client_secret})
}

/// The token endpoint, which knows the application with these secrets.
pub(crate) fn entra_server(secrets: &[&str]) -> Option<Server> {
    let server = Server::entra(None)?;
    set(&server, &json!({"applications": {APPLICATION: {"secrets": secrets}}}));
    Some(server)
}

pub(crate) fn set(server: &Server, state: &Value) {
    server.post("/control", &state.to_string());
}

/// What a server counted.
pub(crate) fn counted(server: &Server, what: &str) -> u64 {
    let counts: Value = serde_json::from_str(&server.get("/control")).unwrap();
    counts[what].as_u64().unwrap()
}

pub(crate) fn entra(server: &Server) -> Entra {
    Entra::new(server.endpoint(), &Roots::Native).unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it comes to that");
}
