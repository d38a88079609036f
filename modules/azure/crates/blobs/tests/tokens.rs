//! Blobs by tokens of Microsoft Entra: on Azurite over TLS, by client secret and federated, and on a store that lets nobody in.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use base64::Engine as _;
use rustls_pki_types::CertificateDer;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tributary_azure_blobs::{
    Access, Account, Allowed, BlobClient, BlobError, BlobName, BlobStore as _, FLOW_LOG_CONTAINERS, Land, LandError,
    Limits, Part, ReadError, Reader,
};
use tributary_azure_eventhub::Roots;
use tributary_azure_identity::{AccessTokens, Entra, FlowLogSecret, Scope, SecretStore, TOKEN_EXCHANGE_AUDIENCE};
use tributary_ledger::MemoryLedger;
use tributary_test_servers::{Authority, Azurite, Server};

const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const APPLICATION: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const SECRET: &str = "tributary/flow-logs";
const ISSUER: &str = "https://22222222-2222-2222-2222-222222222222.tokens.sts.global.api.aws";
const ROLE: &str = "arn:aws:iam::123456789012:role/tributary-processor";
const REMEDY: &str = "give the application the role Storage Blob Data Reader on the storage account";

/// Secrets Manager with the flow log secret, and the token endpoint.
struct Identity {
    secrets: Server,
    client: Client,
    entra: Server,
}

fn secret(client_secret: &str) -> String {
    json!({"tenantId": TENANT, "clientId": APPLICATION, "clientSecret": client_secret, "subscriptionId": TENANT,
           "storageAccountName": Azurite::ACCOUNT, "storageAccountResourceId": "/subscriptions/x"})
    .to_string()
}

impl Identity {
    async fn start(stored: &str) -> Option<Self> {
        let (secrets, entra) = (Server::moto()?, Server::entra(None)?);
        let client = Client::new(&secrets.config());
        client.create_secret().name(SECRET).secret_string(secret(stored)).send().await.unwrap();
        let identity = Self { secrets, client, entra };
        identity.knows(&json!({"secrets": [stored]}));
        Some(identity)
    }

    /// What Entra knows of the application.
    fn knows(&self, application: &Value) {
        self.set(&json!({"applications": {APPLICATION: application}}));
    }

    fn set(&self, state: &Value) {
        self.entra.post("/control", &state.to_string());
    }

    fn issued(&self) -> u64 {
        let counts: Value = serde_json::from_str(&self.entra.get("/control")).unwrap();
        counts["issued"].as_u64().unwrap()
    }

    async fn rotate(&self, to: &str) {
        self.client.put_secret_value().secret_id(SECRET).secret_string(secret(to)).send().await.unwrap();
    }

    fn by_secret(&self) -> AccessTokens {
        let store = SecretStore::<FlowLogSecret>::new(&self.secrets.config(), SECRET).unwrap();
        AccessTokens::from_secret(store, self.asked())
    }

    fn federated(&self) -> AccessTokens {
        AccessTokens::federated(TENANT, APPLICATION, &self.entra.config(), self.asked())
    }

    fn asked(&self) -> Entra {
        Entra::new(self.entra.endpoint(), &Roots::Native).unwrap()
    }
}

fn client_of(endpoint: &str, tokens: AccessTokens, authority: Option<&Authority>) -> BlobClient {
    let account = Account::at(Azurite::ACCOUNT, endpoint).unwrap();
    let roots =
        authority.map_or(Roots::Native, |authority| Roots::Only(vec![CertificateDer::from(authority.der.clone())]));
    BlobClient::new(Allowed::flow_logs([account]), Access::Entra(tokens), &roots).unwrap()
}

fn blob() -> BlobName {
    let (account, container) = (Azurite::ACCOUNT.to_owned(), FLOW_LOG_CONTAINERS[0].to_owned());
    BlobName { account, container, path: "flowLogResourceID=/S_NETWORKWATCHERRG/N W/PT1H.json".into() }
}

/// A blob that grows by a block at a time.
struct Growing {
    client: BlobClient,
    ids: Vec<String>,
}

fn id(kind: char, number: usize) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{kind}{number:0>32}"))
}

impl Growing {
    async fn start(client: BlobClient) -> Self {
        client.create_container(Azurite::ACCOUNT, FLOW_LOG_CONTAINERS[0]).await.unwrap();
        client.put_block(&blob(), &id('A', 0), "{\"records\":[".into()).await.unwrap();
        client.put_block(&blob(), &id('Z', 0), "]}".into()).await.unwrap();
        Self { client, ids: vec![id('A', 0)] }
    }

    async fn minute(&mut self) {
        let number = self.ids.len();
        let comma = if number > 1 { "," } else { "" };
        self.client.put_block(&blob(), &id('D', number), format!("{comma}{{\"n\":{number}}}").into()).await.unwrap();
        self.ids.push(id('D', number));
        let tail = id('Z', 0);
        let list: Vec<&str> = self.ids.iter().map(String::as_str).chain([tail.as_str()]).collect();
        self.client.put_blocks(&blob(), &list).await.unwrap();
    }
}

#[derive(Default)]
struct Texts(Mutex<Vec<String>>);

#[async_trait]
impl Land for Texts {
    async fn land(&self, part: &Part<'_>) -> Result<(), LandError> {
        let texts = part.records.iter().map(|record| String::from_utf8_lossy(record.bytes).into_owned());
        self.0.lock().unwrap().extend(texts);
        Ok(())
    }
}

fn reader(client: &BlobClient) -> (Reader, Arc<Texts>) {
    let texts = Arc::new(Texts::default());
    let ledger = Arc::new(MemoryLedger::new());
    (Reader::new(Arc::new(client.clone()), ledger, texts.clone(), Limits::default()), texts)
}

#[tokio::test]
async fn by_a_client_secret_that_is_rotated_while_the_blob_grows() {
    let Some(azurite) = Azurite::by_token() else { return };
    let Some(identity) = Identity::start("old").await else { return };
    let (endpoint, tokens) = (azurite.endpoint(), identity.by_secret());
    let client = client_of(&endpoint, tokens.clone(), azurite.authority.as_ref());
    // Who writes has tokens of its own.
    let mut growing = Growing::start(client_of(&endpoint, identity.by_secret(), azurite.authority.as_ref())).await;
    growing.minute().await;
    let (reader, texts) = reader(&client);
    identity.set(&json!({"life": 3}));
    assert_eq!(reader.catch_up(&blob(), None).await.unwrap().records, 1);
    let first = tokens.token(&Scope::STORAGE).await.unwrap();

    // The old secret is gone and its token over: until the new one is there, nothing is read, and nothing is lost.
    identity.set(&json!({"life": 3600, "applications": {APPLICATION: {"secrets": ["new"], "expired": ["old"]}}}));
    growing.minute().await;
    let left = first.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_secs(2)).await;
    let refused = reader.catch_up(&blob(), None).await.unwrap_err();
    assert!(refused.is_denied(), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("expired") && text.contains(SECRET) && !text.contains("eyJ"), "{text}");
    identity.rotate("new").await;
    let started = Instant::now();
    let report = loop {
        match reader.catch_up(&blob(), None).await {
            Ok(report) => break report,
            Err(error) => assert!(error.is_denied() && started.elapsed() < Duration::from_secs(60), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(report.records, 1);
    growing.minute().await;
    reader.catch_up(&blob(), None).await.unwrap();
    assert_eq!(*texts.0.lock().unwrap(), ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
}

#[tokio::test]
async fn federated_and_only_over_tls_to_whom_is_trusted() {
    let Some(azurite) = Azurite::by_token() else { return };
    let Some(identity) = Identity::start("none").await else { return };
    let trusted = json!({"issuer": ISSUER, "subject": ROLE, "audience": TOKEN_EXCHANGE_AUDIENCE});
    identity.knows(&json!({"federated": trusted}));
    let endpoint = azurite.endpoint();
    let client = client_of(&endpoint, identity.federated(), azurite.authority.as_ref());
    let mut growing = Growing::start(client.clone()).await;
    growing.minute().await;
    let (reader, texts) = reader(&client);
    reader.catch_up(&blob(), None).await.unwrap();
    growing.minute().await;
    reader.catch_up(&blob(), None).await.unwrap();
    assert_eq!(*texts.0.lock().unwrap(), ["{\"n\":1}", "{\"n\":2}"]);
    assert_eq!(identity.issued(), 1, "one token for all of it");

    let stranger = client_of(&endpoint, identity.federated(), Some(&Authority::new()));
    let error = stranger.blocks(&blob()).await.unwrap_err();
    assert!(matches!(&error, BlobError::Transient(detail) if detail.contains("certificate")), "{error:?}");
    // A role that Entra does not trust is denied, with what to enter there.
    identity
        .knows(&json!({"federated": {"issuer": ISSUER, "subject": "another", "audience": TOKEN_EXCHANGE_AUDIENCE}}));
    let other = client_of(&endpoint, identity.federated(), azurite.authority.as_ref());
    let error = other.blocks(&blob()).await.unwrap_err();
    assert!(matches!(&error, BlobError::Denied(detail) if detail.contains(ROLE)), "{error:?}");
}

/// A store that refuses the tokens that it is told to, and otherwise has one empty blob.
struct Refusing {
    endpoint: String,
    refused: Arc<Mutex<BTreeSet<String>>>,
    answer: Arc<Mutex<&'static str>>,
}

impl Refusing {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/{}", listener.local_addr().unwrap(), Azurite::ACCOUNT);
        let refused: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let answer = Arc::new(Mutex::new("401 no\r\nx-ms-error-code: InvalidAuthenticationInfo"));
        let (known, says) = (refused.clone(), answer.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (known, says) = (known.clone(), says.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    let head = String::from_utf8(head).unwrap();
                    let token =
                        head.split_once("Bearer ").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap();
                    let status = match known.lock().unwrap().contains(token) {
                        true => *says.lock().unwrap(),
                        false => "200 OK\r\netag: \"0x1\"",
                    };
                    let body = "<BlockList><CommittedBlocks /></BlockList>";
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                });
            }
        });
        Self { endpoint, refused, answer }
    }
}

#[tokio::test]
async fn a_token_that_the_store_refuses_is_given_up_when_the_secret_was_rotated() {
    let store = Refusing::start().await;
    let Some(identity) = Identity::start("old").await else { return };
    identity.knows(&json!({"secrets": ["old", "new"]}));
    let tokens = identity.by_secret();
    let client = client_of(&store.endpoint, tokens.clone(), None);
    client.blocks(&blob()).await.unwrap();
    let first = tokens.token(&Scope::STORAGE).await.unwrap().secret.expose_secret().to_owned();
    store.refused.lock().unwrap().insert(first.clone());
    for (answer, says) in [
        ("401 no\r\nx-ms-error-code: InvalidAuthenticationInfo", "401 InvalidAuthenticationInfo"),
        ("403 no\r\nx-ms-error-code: AuthorizationPermissionMismatch", "403 AuthorizationPermissionMismatch"),
        ("403 no\r\nx-ms-error-code: AuthorizationFailure<script>", "let its firewall in"),
    ] {
        *store.answer.lock().unwrap() = answer;
        let (reader, _) = reader(&client);
        let error = reader.catch_up(&blob(), None).await.unwrap_err();
        let text = error.to_string();
        assert!(error.is_denied() && matches!(error, ReadError::Blob { .. }), "{text}");
        assert!(text.contains(REMEDY) && text.contains(says), "{text}");
        assert!(!text.contains(&first) && !text.contains('<'), "{text}");
    }
    assert_eq!(identity.issued(), 1, "a young token of the same secret is not replaced by another like it");

    identity.rotate("new").await;
    let started = Instant::now();
    while let Err(error) = client.blocks(&blob()).await {
        assert!(matches!(error, BlobError::Denied(_)) && started.elapsed() < Duration::from_secs(60), "{error:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(identity.issued(), 2);
    assert_ne!(tokens.token(&Scope::STORAGE).await.unwrap().secret.expose_secret(), first);
}
