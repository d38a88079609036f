//! What shows nowhere: not in a log line of any crate at any level, not in an error, not in `Debug`.

use std::sync::{Arc, Mutex};

use secrecy::ExposeSecret;
use serde_json::json;
use tributary_azure_eventhub_emulator::DEFAULT_KEY_NAME;
use tributary_azure_identity::{AccessTokens, Scope};
use tributary_pipeline::{EventSource, StartPosition};

use crate::federation::federated_server;
use crate::hub::{
    close, credentials, federated, hub_application_secret, hub_emulator, key_secret, publish, read, source,
};
use crate::{APPLICATION, CANARY, Secrets, at_once, entra, entra_server, set};

/// Everything that is logged, whatever its level and whoever logs it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_shows() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The test's runtime has one thread: every task logs here.
    let _guard = tracing::subscriber::set_default(subscriber);
    let emulator = hub_emulator().await;
    let first = key_secret(&emulator);
    let (Some(secrets), Some(server)) = (Secrets::start(&first).await, entra_server(&["app~c4n4ry"])) else { return };
    let mut shown = String::new();

    // A key, rotated; an application in its place; a secret that Entra refuses and repeats in its refusal.
    let hub_credentials = credentials(&secrets, &server);
    let hub_source = source(&hub_credentials).await;
    let mut reader = hub_source.open("0", StartPosition::Earliest, 1).await.unwrap();
    emulator.replace_key(DEFAULT_KEY_NAME, "second-c4n4ry");
    secrets.put(&key_secret(&emulator)).await;
    emulator.faults().reset_connections();
    publish(&emulator, 10);
    read(&mut reader, 10).await;
    emulator.replace_key(DEFAULT_KEY_NAME, "nobody-has-it");
    secrets.put(&hub_application_secret(&emulator, "app~c4n4ry")).await;
    emulator.faults().reset_connections();
    publish(&emulator, 10);
    read(&mut reader, 10).await;
    shown += &format!("{hub_credentials:?} {:?} {hub_source:?} ", hub_credentials.hub().await.unwrap());
    close(&hub_source, reader).await;
    let stored = secrets.store();
    shown += &format!("{stored:?} {:?} ", stored.get().await.unwrap());
    secrets.put(&hub_application_secret(&emulator, "wrong~c4n4ry")).await;
    let tokens = AccessTokens::from_secret(secrets.store(), entra(&server));
    for state in
        [json!({}), json!({"next": [{"status": 400, "code": 1}]}), json!({"next": [{"status": 500, "code": 1}]})]
    {
        set(&server, &state);
        let fresh = AccessTokens::from_secret(secrets.store(), entra(&server));
        let error = fresh.token(&Scope::STORAGE).await.unwrap_err();
        shown += &format!("{error} {error:?} {fresh:?} {tokens:?} ");
    }
    secrets.put_text("{\"clientSecret\": \"c4n4ry\", \"connectionString\": c4n4ry").await;
    let error = secrets.store().get().await.unwrap_err();
    shown += &format!("{error} {error:?} ");

    // The role's token, taken and refused.
    let Some(server) = federated_server() else { return };
    let role_credentials = federated(&emulator, &server);
    let role_source = source(&role_credentials).await;
    role_source.partitions().await.unwrap();
    shown += &format!("{role_credentials:?} {role_source:?} ");
    role_source.close().await.unwrap();
    let tokens = AccessTokens::federated(crate::TENANT, APPLICATION, &at_once(&server), entra(&server));
    let token = tokens.token(&Scope::STORAGE).await.unwrap();
    shown += &format!("{token:?} ");
    set(&server, &json!({"applications": {APPLICATION: {}}, "next": [{"status": 400, "code": 1}]}));
    for scope in [Scope::EVENT_HUBS, Scope::new("https://storage.azure.com/.default")] {
        let fresh = AccessTokens::federated(crate::TENANT, APPLICATION, &at_once(&server), entra(&server));
        let error = fresh.token(&scope).await.unwrap_err();
        shown += &format!("{error} {error:?} {fresh:?}");
    }

    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    // It was listened to: what is the project's own, and what is not.
    for said in ["the token was refused, trying with another", "token of Microsoft Entra had", "TRACE", "hyper", "aws_"]
    {
        assert!(logged.contains(said), "{said}");
    }
    let signature = token.secret.expose_secret().rsplit('.').next().unwrap();
    for hidden in [CANARY, "sig=", "SharedAccessSignature", "eyJ", signature] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
        let lines: Vec<&str> = logged.lines().filter(|line| line.contains(hidden)).take(3).collect();
        assert!(lines.is_empty(), "{hidden}: {lines:#?}");
    }
}
