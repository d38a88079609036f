//! Tokens of Microsoft Entra by a client secret.

use std::time::{Duration, Instant, SystemTime};

use rustls_pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tributary_azure_eventhub::Roots;
use tributary_azure_identity::{AccessTokens, Entra, IdentityError, Scope};
use tributary_test_servers::{Authority, Server};

use crate::{APPLICATION, Secrets, TENANT, application_secret, counted, entra, entra_server, set, until};

async fn pair(stored: &str, known: &[&str]) -> Option<(Secrets, Server, AccessTokens)> {
    let secrets = Secrets::start(&application_secret(stored)).await?;
    let server = entra_server(known)?;
    let tokens = AccessTokens::from_secret(secrets.store(), entra(&server));
    Some((secrets, server, tokens))
}

fn refused(result: Result<tributary_azure_identity::AccessToken, IdentityError>) -> (bool, String) {
    let error = result.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c4n4ry"), "{error:?}");
    (error.is_transient(), error.to_string())
}

#[tokio::test]
async fn one_token_a_scope_for_all_who_ask() {
    let Some((_secrets, server, tokens)) = pair("right", &["right"]).await else { return };
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let tokens = tokens.clone();
            tokio::spawn(
                async move { tokens.token(&Scope::EVENT_HUBS).await.unwrap().secret.expose_secret().to_owned() },
            )
        })
        .collect();
    let mut seen = Vec::new();
    for asking in asking {
        seen.push(asking.await.unwrap());
    }
    seen.dedup();
    assert_eq!((seen.len(), counted(&server, "tokens")), (1, 1));
    let storage = tokens.token(&Scope::STORAGE).await.unwrap();
    assert_ne!(storage.secret.expose_secret(), seen[0]);
    assert!(storage.expires_at > SystemTime::now() + Duration::from_secs(3500));
    assert_eq!(counted(&server, "tokens"), 2);
    let counts: Value = serde_json::from_str(&server.get("/control")).unwrap();
    assert_eq!(counts["scopes"], json!([Scope::EVENT_HUBS.as_str(), Scope::STORAGE.as_str()]));
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_serves_while_that_fails() {
    let Some((_secrets, server, tokens)) = pair("right", &["right"]).await else { return };
    set(&server, &json!({"life": 4}));
    let first = tokens.token(&Scope::EVENT_HUBS).await.unwrap();
    assert_eq!(tokens.token(&Scope::EVENT_HUBS).await.unwrap().issued_at, first.issued_at);
    set(&server, &json!({"life": 3600, "next": [{"status": 503}]}));
    let due = first.issued_at + Duration::from_secs(3);
    until(|| SystemTime::now() > due).await;
    let meanwhile = tokens.token(&Scope::EVENT_HUBS).await.unwrap();
    assert_eq!(meanwhile.secret.expose_secret(), first.secret.expose_secret());
    assert_eq!(counted(&server, "tokens"), 2);
    // It is over: whatever failed a moment ago, another is asked for.
    until(|| SystemTime::now() > first.expires_at).await;
    let second = tokens.token(&Scope::EVENT_HUBS).await.unwrap();
    assert_ne!(second.secret.expose_secret(), first.secret.expose_secret());
    assert_eq!(counted(&server, "tokens"), 3);
}

#[tokio::test]
async fn a_secret_that_was_rotated_is_read_anew_when_entra_refuses_the_old() {
    let Some((secrets, server, tokens)) = pair("old", &["old"]).await else { return };
    tokens.token(&Scope::EVENT_HUBS).await.unwrap();
    secrets.put(&application_secret("new")).await;
    set(&server, &json!({"applications": {APPLICATION: {"secrets": ["new"], "expired": ["old"]}}}));
    // Another scope: the old secret is at hand, is refused, and the new one is asked with.
    tokens.token(&Scope::STORAGE).await.unwrap();
    assert_eq!(counted(&server, "tokens"), 3);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let Some((_secrets, server, tokens)) = pair("c4n4ry", &["other"]).await else { return };
    let (transient, text) = refused(tokens.token(&Scope::EVENT_HUBS).await);
    assert!(!transient && text.contains("AADSTS7000215") && text.contains("--secret-id tributary/hub"), "{text}");
    // The same answer without asking again: not one question a partition.
    refused(tokens.token(&Scope::EVENT_HUBS).await);
    assert_eq!(counted(&server, "tokens"), 1);
    for (state, says, is_transient) in [
        (json!({"applications": {APPLICATION: {"expired": ["c4n4ry"]}}}), "has expired", false),
        (json!({"applications": {}}), "has no application", false),
        (json!({"tenant": "another"}), "there is no tenant", false),
        (json!({"tenant": TENANT, "next": [{"status": 400, "code": 50196}]}), "asked too often", true),
        (json!({"next": [{"status": 429}]}), "answered 429", true),
        (json!({"next": [{"status": 500, "code": 1}]}), "answered 500", true),
        (json!({"next": [{"status": 403, "code": 12345}]}), "AADSTS12345", false),
        (json!({"next": [{"kind": "redirect"}]}), "sends elsewhere (307)", false),
        (json!({"next": [{"kind": "huge"}]}), "more than 65536 bytes", false),
        (json!({"next": [{"kind": "html"}]}), "is AZURE_AUTHORITY_HOST right?", false),
        (json!({"next": [{"kind": "cut"}]}), "cannot be reached", true),
    ] {
        set(&server, &state);
        let scope = Scope::EVENT_HUBS;
        let fresh = AccessTokens::from_secret(_secrets.store(), entra(&server));
        let (transient, text) = refused(fresh.token(&scope).await);
        assert!(text.contains(says) && transient == is_transient, "{says}: {text}");
    }
    let unknown = AccessTokens::from_secret(_secrets.store(), entra(&server));
    assert!(refused(unknown.token(&Scope::new("https://other/.default")).await).1.contains("AADSTS"));
}

#[tokio::test]
async fn a_refused_token_is_given_up_when_there_is_a_reason() {
    let Some((secrets, server, tokens)) = pair("old", &["old", "new"]).await else { return };
    let scope = Scope::EVENT_HUBS;
    let first = tokens.token(&scope).await.unwrap();
    // Young, and of a secret that is still the same: the service lets this application in no more than before.
    assert!(!tokens.rejected(&scope, &first.secret).await);
    assert_eq!(counted(&server, "tokens"), 1);
    secrets.put(&application_secret("new")).await;
    // Just looked at; a little later it is looked at again.
    let started = Instant::now();
    while !tokens.rejected(&scope, &first.secret).await {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let second = tokens.token(&scope).await.unwrap();
    assert_ne!(second.secret.expose_secret(), first.secret.expose_secret());
    // Another is there already.
    assert!(tokens.rejected(&scope, &first.secret).await);
    assert!(tokens.rejected(&scope, &SecretString::from("whatever")).await);
    assert_eq!(counted(&server, "tokens"), 2);
}

#[tokio::test]
async fn over_tls_to_whom_is_trusted_only() {
    let Some(secrets) = Secrets::start(&application_secret("c4n4ry")).await else { return };
    let authority = Authority::new();
    let root = CertificateDer::from(authority.der.clone());
    let Some(server) = Server::entra(Some((&authority.certificate(), &authority.key()))) else { return };
    set(&server, &json!({"applications": {APPLICATION: {"secrets": ["c4n4ry"]}}}));
    let counts: Value = serde_json::from_str(&server.get("/control")).unwrap();
    let https = counts["https"].as_str().unwrap();
    let trusting = Entra::new(https, &Roots::Only(vec![root])).unwrap();
    AccessTokens::from_secret(secrets.store(), trusting).token(&Scope::STORAGE).await.unwrap();
    let other = CertificateDer::from(Authority::new().der);
    let stranger = Entra::new(https, &Roots::Only(vec![other])).unwrap();
    let (transient, text) = refused(AccessTokens::from_secret(secrets.store(), stranger).token(&Scope::STORAGE).await);
    assert!(!transient && text.contains("certificate of 127.0.0.1 is refused"), "{text}");
    assert_eq!(counted(&server, "tokens"), 1);
}
