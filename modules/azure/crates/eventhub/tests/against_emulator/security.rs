//! Who may read, over what, and what never shows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use tributary_azure_eventhub::{
    Credential, EventHubSource, Roots, Token, TokenError, TokenKind, TokenProvider, Transport,
};
use tributary_azure_eventhub_emulator::{DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator, HubConfig, condition};
use tributary_pipeline::{EventSource, SourceError, StartPosition};

use crate::{GROUP, HUB, assert_complete, assert_no_connections, builder, close, emulator, publish, read};

#[track_caller]
fn assert_fatal<T>(result: Result<T, SourceError>, says: &str, started: Instant) {
    let took = started.elapsed();
    match result {
        Err(SourceError::Denied { context, detail } | SourceError::Fatal { context, detail }) => {
            assert!(detail.contains(says), "{context}: {detail}");
            assert!(!detail.contains(DEFAULT_KEY), "{detail}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it worked"),
    }
    // Far below the time for retries.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_wrong_key_fails_at_once_and_says_what_to_check() {
    let emulator = emulator(1).await;
    for key in [("RootManageSharedAccessKey", "c4n4ry"), ("nobody", DEFAULT_KEY)] {
        let credential =
            Credential::Key { name: key.0.into(), key: SecretString::from(key.1), lifetime: Duration::from_secs(60) };
        let source = builder(&emulator).credential(credential).build_source().unwrap();
        let refused = source.partitions().await;
        assert!(refused.as_ref().is_err_and(SourceError::is_denied), "{refused:?}");
        assert_fatal(refused, "Listen claim", Instant::now());
        assert_fatal(source.open("0", StartPosition::Earliest, 1).await, "Listen claim", Instant::now());
        source.close().await.unwrap();
    }
    assert_no_connections(&emulator).await;
}

#[tokio::test]
async fn unknown_hubs_groups_and_partitions_fail_at_once() {
    let emulator = emulator(1).await;
    let source = builder(&emulator).hub("nothing").build_source().unwrap();
    let started = Instant::now();
    match source.partitions().await {
        Err(SourceError::Fatal { detail, .. }) => {
            assert!(detail.contains("check"), "{detail}")
        }
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    source.close().await.unwrap();
    // A refused attach is answered in two ways: with the terminus echoed, and with none.
    let hub = HubConfig::new(HUB, 1).consumer_group(GROUP);
    let strict = Emulator::builder().hub(hub).null_terminus_on_refusal().start().await.unwrap();
    for emulator in [&emulator, &strict] {
        let source = builder(emulator).consumer_group("nobody").build_source().unwrap();
        let started = Instant::now();
        assert_fatal(source.open("0", StartPosition::Earliest, 1).await, "names of hub, consumer group", started);
        assert_fatal(source.open("7", StartPosition::Earliest, 1).await, "no such partition", started);
        source.close().await.unwrap();
        assert_no_connections(emulator).await;
    }
}

#[tokio::test]
async fn a_token_that_is_refused_after_a_loss_is_fatal() {
    let emulator = emulator(1).await;
    publish(&emulator, 0, 10, 10);
    let source = builder(&emulator).build_source().unwrap();
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    read(&mut reader, 10).await;
    emulator.faults().refuse_tokens(5, condition::UNAUTHORIZED);
    emulator.faults().reset_connections();
    let started = Instant::now();
    assert_fatal(reader.next(Duration::from_secs(5)).await, "Listen claim", started);
    close(&source, reader).await;
}

/// Everything that is logged while `T` runs, whatever its level.
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
async fn keys_tokens_and_events_are_never_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The test's runtime has one thread: every task logs here.
    let _guard = tracing::subscriber::set_default(subscriber);
    let hub = HubConfig::new(HUB, 1).consumer_group(GROUP);
    let emulator = Emulator::builder().hub(hub).key("reader", "c4n4ry+key").start().await.unwrap();
    let sent = tributary_azure_eventhub_emulator::Event::new("c4n4ry body").property("p", "c4n4ry property");
    emulator.hub(HUB).unwrap().publish(0, sent).unwrap();
    let source = builder(&emulator).build_source().unwrap();
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    read(&mut reader, 1).await;
    emulator.faults().reset_connections();
    publish(&emulator, 0, 1, 10);
    read(&mut reader, 1).await;
    emulator.faults().refuse_tokens(1, condition::UNAUTHORIZED);
    emulator.faults().close_connections();
    let error = reader.next(Duration::from_secs(5)).await.unwrap_err();
    close(&source, reader).await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let shown = format!("{logged} {error} {error:?} {source:?}");
    assert!(logged.contains("link lost, attaching again"), "{logged}");
    for canary in ["c4n4ry", "sig=", "SharedAccessSignature"] {
        assert!(!shown.contains(canary), "{canary}: {shown}");
    }
}

#[tokio::test]
async fn tokens_are_renewed_before_they_expire() {
    let emulator =
        Emulator::builder().hub(HubConfig::new(HUB, 2).consumer_group(GROUP)).detach_on_expiry().start().await.unwrap();
    let credential = Credential::Key {
        name: DEFAULT_KEY_NAME.into(),
        key: SecretString::from(DEFAULT_KEY),
        lifetime: Duration::from_secs(4),
    };
    let source = builder(&emulator).credential(credential).build_source().unwrap();
    let mut busy = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    let mut idle = source.open("1", StartPosition::Earliest, 1).await.unwrap();
    let started = Instant::now();
    let mut events = Vec::new();
    while started.elapsed() < Duration::from_millis(6_500) {
        publish(&emulator, 0, 1, 10);
        events.extend(busy.next(Duration::from_millis(100)).await.unwrap());
    }
    // The other one was not asked in all this time; its token was renewed along with the first one's.
    publish(&emulator, 1, 1, 10);
    assert_complete(&read(&mut idle, 1).await, 0, 1);
    let count = events.len();
    assert_complete(&events, 0, count);
    assert!(count > 10, "{count}");
    assert_eq!(source.connections_opened(), 1);
    idle.close().await.unwrap();
    close(&source, busy).await;
}

/// Gives bearer tokens, as an identity provider would.
struct Bearer {
    asked: AtomicUsize,
    lifetime: Duration,
}

#[async_trait]
impl TokenProvider for Bearer {
    async fn token(&self, audience: &str) -> Result<Token, TokenError> {
        assert!(audience.starts_with("amqps://127.0.0.1/"), "{audience}");
        self.asked.fetch_add(1, Ordering::Relaxed);
        let expires_at = Some(SystemTime::now() + self.lifetime);
        Ok(Token { secret: SecretString::from("bearer-c4n4ry"), kind: TokenKind::Jwt, expires_at })
    }
}

#[tokio::test]
async fn a_provider_gives_tokens_and_is_asked_no_more_than_needed() {
    let emulator = Emulator::builder()
        .hub(HubConfig::new(HUB, 4).consumer_group(GROUP))
        .bearer_token("bearer-c4n4ry")
        .start()
        .await
        .unwrap();
    let provider = Arc::new(Bearer { asked: AtomicUsize::new(0), lifetime: Duration::from_secs(600) });
    let credential = Credential::Provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let source = builder(&emulator).credential(credential).build_source().unwrap();
    assert!(!format!("{source:?}").contains("c4n4ry"));
    for partition in ["0", "1", "2", "3"] {
        source.open(partition, StartPosition::Earliest, 1).await.unwrap().close().await.unwrap();
    }
    assert_eq!(provider.asked.load(Ordering::Relaxed), 1);
    source.close().await.unwrap();
}

struct Authority {
    root: CertificateDer<'static>,
    server: Arc<rustls::ServerConfig>,
}

/// A certificate authority of its own, and a server's configuration with a certificate for 127.0.0.1.
fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    Authority { root: issuer.der().clone(), server: Arc::new(server) }
}

fn secure_source(
    emulator: &Emulator,
    transport: Transport,
    port: u16,
    root: &CertificateDer<'static>,
) -> EventHubSource {
    builder(emulator)
        .tls(true)
        .transport(transport)
        .port(port)
        .roots(Roots::Only(vec![root.clone()]))
        .build_source()
        .unwrap()
}

async fn reads_a_thousand(emulator: &Emulator, source: EventHubSource) {
    publish(emulator, 0, 1_000, 3_000);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    assert_complete(&read(&mut reader, 1_000).await, 0, 1_000);
    close(&source, reader).await;
    assert_no_connections(emulator).await;
}

#[tokio::test]
async fn tls_with_a_trusted_root_and_not_without() {
    let (ours, theirs) = (authority(), authority());
    let hub = HubConfig::new(HUB, 1).consumer_group(GROUP);
    let emulator = Emulator::builder().hub(hub).listen_tls("127.0.0.1:0", ours.server).start().await.unwrap();
    let port = emulator.tls_address().unwrap().port();
    let stranger = secure_source(&emulator, Transport::Tcp, port, &theirs.root);
    assert_fatal(stranger.partitions().await, "certificate is refused", Instant::now());
    reads_a_thousand(&emulator, secure_source(&emulator, Transport::Tcp, port, &ours.root)).await;
}

#[tokio::test]
async fn websockets_with_and_without_tls() {
    let ours = authority();
    let hub = || HubConfig::new(HUB, 1).consumer_group(GROUP);
    let emulator =
        Emulator::builder().hub(hub()).listen_websocket_tls("127.0.0.1:0", ours.server).start().await.unwrap();
    let port = emulator.websocket_address().unwrap().port();
    reads_a_thousand(&emulator, secure_source(&emulator, Transport::WebSocket, port, &ours.root)).await;
    let emulator = Emulator::builder().hub(hub()).listen_websocket("127.0.0.1:0").start().await.unwrap();
    let plain = builder(&emulator).tls(false).transport(Transport::WebSocket).build_source().unwrap();
    reads_a_thousand(&emulator, plain).await;
}
