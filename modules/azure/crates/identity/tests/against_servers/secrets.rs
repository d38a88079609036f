//! Secrets that change, go, and are not what they should be.

use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret;
use serde_json::json;
use tributary_azure_identity::{EventHubSecret, SecretError, SecretStore};
use tributary_test_servers::Server;

use crate::{NAME, Secrets, application_secret, at_once};

fn client_secret(stored: &EventHubSecret) -> &str {
    use tributary_azure_identity::Content as _;
    stored.client().unwrap().secret.expose_secret()
}

#[tokio::test]
async fn a_secret_is_read_once_until_its_life_is_over_or_it_is_refused() {
    let Some(secrets) = Secrets::start(&application_secret("first")).await else { return };
    let store = secrets.store();
    let first = store.get().await.unwrap();
    assert_eq!(client_secret(&first.content), "first");
    let age = first.age(SystemTime::now()).unwrap();
    assert!(age < Duration::from_secs(60), "{age:?}");
    secrets.put(&application_secret("second")).await;
    assert_eq!(client_secret(&store.get().await.unwrap().content), "first");
    assert!(store.replaced(&first.version).await);
    let second = store.get().await.unwrap();
    assert_eq!(client_secret(&second.content), "second");
    assert_ne!(first.version, second.version);
    // Whoever was refused with the first is late: the second is not given up for it.
    secrets.put(&application_secret("third")).await;
    store.invalidate(&first.version);
    assert!(store.replaced(&first.version).await);
    assert_eq!(client_secret(&store.get().await.unwrap().content), "second");
    // Refused, and nothing else is there: said at once for a while.
    assert!(store.replaced(&second.version).await);
    let third = store.get().await.unwrap();
    assert!(!store.replaced(&third.version).await && !store.replaced(&third.version).await);

    let short: SecretStore<EventHubSecret> =
        SecretStore::with_life(&secrets.config(), NAME, Duration::from_millis(50)).unwrap();
    assert_eq!(client_secret(&short.get().await.unwrap().content), "third");
    secrets.put(&application_secret("fourth")).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(client_secret(&short.get().await.unwrap().content), "fourth");
}

#[tokio::test]
async fn while_secrets_manager_is_away_the_old_value_serves_unless_it_was_refused() {
    let Some(secrets) = Secrets::start(&application_secret("first")).await else { return };
    let store: SecretStore<EventHubSecret> =
        SecretStore::with_life(&secrets.config(), NAME, Duration::from_millis(1)).unwrap();
    let first = store.get().await.unwrap();
    drop(secrets);
    assert_eq!(store.get().await.unwrap().version, first.version);
    // There may be another: whoever asks learns why it cannot be told.
    assert!(store.replaced(&first.version).await);
    let error = store.get().await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("secretsmanager:GetSecretValue"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_mends_it() {
    let placeholder = application_secret("PLACEHOLDER");
    let Some(secrets) = Secrets::start(&placeholder).await else { return };
    let error = secrets.store().get().await.unwrap_err();
    let text = error.to_string();
    let command = "aws secretsmanager put-secret-value --secret-id tributary/hub --secret-string file://secret.json";
    assert!(!error.is_transient() && text.contains(command) && text.contains("clientSecret"), "{text}");
    for (stored, says) in
        [("c4n4ry".to_owned(), "line 1"), (json!({"tenantId": "c4n4ry"}).to_string(), "consumerGroup")]
    {
        secrets.put_text(&stored).await;
        let text = secrets.store().get().await.unwrap_err().to_string();
        assert!(text.contains(says) && text.contains(command) && !text.contains("c4n4ry"), "{text}");
    }
    let unknown: SecretStore<EventHubSecret> = SecretStore::new(&secrets.config(), "tributary/none").unwrap();
    let error = unknown.get().await.unwrap_err();
    assert!(matches!(&error, SecretError::Aws { error, .. } if error.code == "ResourceNotFoundException"));
    assert!(error.to_string().contains("check the name and that it is in this region"), "{error}");
    for name in ["", "a b", "a\nb", "a;b"] {
        let made: Result<SecretStore<EventHubSecret>, _> = SecretStore::new(&secrets.config(), name);
        assert!(matches!(made, Err(SecretError::Name(_))), "{name:?}");
    }
    // No server at all.
    let nowhere = at_once(&secrets.server).to_builder().endpoint_url("http://127.0.0.1:9").build();
    let store: SecretStore<EventHubSecret> = SecretStore::new(&nowhere, NAME).unwrap();
    assert!(store.get().await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_crowd_reads_once() {
    // A server that counts: the token endpoint knows no secrets, but it answers every call, and says how often.
    let Some(server) = Server::entra(None) else { return };
    let store: SecretStore<EventHubSecret> = SecretStore::new(&at_once(&server), NAME).unwrap();
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get().await.map(drop).map_err(|error| error.to_string()) })
        })
        .collect();
    for asking in asking {
        assert!(asking.await.unwrap().unwrap_err().contains("secret tributary/hub"));
    }
    assert_eq!(crate::counted(&server, "assertions"), 1);
}
