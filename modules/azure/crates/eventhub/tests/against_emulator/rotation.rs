//! Keys that are replaced while a hub is read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tributary_azure_eventhub::{
    Credential, Destination, EventHubSource, OutgoingEvent, Token, TokenError, TokenProvider,
};
use tributary_azure_eventhub_emulator::{DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator, HubConfig, condition};
use tributary_pipeline::{EventSource, PartitionReader, SourceError, StartPosition};

use crate::{GROUP, HUB, assert_complete, builder, close, emulator, publish, read};

/// Signs with the key that it last read, and reads it again when a token is refused.
struct Rotating {
    /// What a person stores.
    stored: Mutex<String>,
    /// What was read of it.
    read: Mutex<String>,
    lifetime: Duration,
    rejections: AtomicUsize,
}

impl Rotating {
    fn new(lifetime: Duration) -> Arc<Self> {
        let key = || Mutex::new(DEFAULT_KEY.to_owned());
        Arc::new(Self { stored: key(), read: key(), lifetime, rejections: AtomicUsize::new(0) })
    }

    /// A new key at the hub and in the store.
    fn rotate(&self, emulator: &Emulator, key: &str) {
        assert!(emulator.replace_key(DEFAULT_KEY_NAME, key));
        key.clone_into(&mut self.stored.lock().unwrap());
    }

    fn source(self: &Arc<Self>, emulator: &Emulator) -> EventHubSource {
        let credential = Credential::Provider(Arc::clone(self) as Arc<dyn TokenProvider>);
        builder(emulator).credential(credential).build_source().unwrap()
    }

    fn rejections(&self) -> usize {
        self.rejections.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl TokenProvider for Rotating {
    async fn token(&self, audience: &str) -> Result<Token, TokenError> {
        let key = SecretString::from(self.read.lock().unwrap().clone());
        let credential = Credential::Key { name: DEFAULT_KEY_NAME.into(), key, lifetime: self.lifetime };
        credential.token(audience, SystemTime::now()).await
    }

    async fn rejected(&self, token: &Token) -> bool {
        assert!(token.secret.expose_secret().starts_with("SharedAccessSignature "));
        self.rejections.fetch_add(1, Ordering::Relaxed);
        let stored = self.stored.lock().unwrap().clone();
        let changed = *self.read.lock().unwrap() != stored;
        *self.read.lock().unwrap() = stored;
        changed
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn readers_go_on_with_the_new_key_after_one_refusal() {
    let emulator = emulator(4).await;
    let provider = Rotating::new(HOUR);
    let source = provider.source(&emulator);
    let mut readers = Vec::new();
    for partition in 0..4 {
        publish(&emulator, partition, 50, 10);
        readers.push(source.open(&partition.to_string(), StartPosition::Earliest, 1).await.unwrap());
    }
    let mut events: Vec<_> = Vec::new();
    for reader in &mut readers {
        events.push(read(reader, 50).await);
    }
    provider.rotate(&emulator, "second-key");
    emulator.faults().reset_connections();
    (0..4).for_each(|partition| publish(&emulator, partition, 50, 10));
    let more = futures_util::future::join_all(readers.iter_mut().map(|reader| read(reader, 50))).await;
    for (events, more) in events.iter_mut().zip(more) {
        events.extend(more);
        assert_complete(events, 0, 100);
    }
    // All four were refused; the first of them brought the new key for all.
    assert_eq!(provider.rejections(), 1);
    for reader in readers {
        reader.close().await.unwrap();
    }
    source.close().await.unwrap();
}

#[tokio::test]
async fn questions_and_batches_are_repeated_with_the_new_key() {
    let emulator = emulator(1).await;
    let provider = Rotating::new(HOUR);
    let source = provider.source(&emulator);
    source.partitions().await.unwrap();
    provider.rotate(&emulator, "second-key");
    // On the same connection: the token stands in the question itself.
    assert_eq!(source.partitions().await.unwrap(), ["0"]);
    assert_eq!((provider.rejections(), source.connections_opened()), (1, 1));
    source.close().await.unwrap();

    let credential = Credential::Provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let publisher = builder(&emulator).credential(credential).build_publisher().unwrap();
    provider.rotate(&emulator, "third-key");
    publisher.send(&Destination::Any, &[OutgoingEvent::new("x")]).await.unwrap();
    assert_eq!(provider.rejections(), 2);
    publisher.close().await.unwrap();
}

#[tokio::test]
async fn a_renewal_takes_the_new_key_and_the_link_stays() {
    let hub = HubConfig::new(HUB, 1).consumer_group(GROUP);
    let emulator = Emulator::builder().hub(hub).detach_on_expiry().start().await.unwrap();
    let provider = Rotating::new(Duration::from_secs(4));
    let source = provider.source(&emulator);
    let mut reader = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    provider.rotate(&emulator, "second-key");
    let started = Instant::now();
    let mut events = Vec::new();
    while started.elapsed() < Duration::from_millis(5_500) {
        publish(&emulator, 0, 1, 10);
        events.extend(reader.next(Duration::from_millis(100)).await.unwrap());
    }
    let count = events.len();
    assert_complete(&events, 0, count);
    assert_eq!((provider.rejections(), source.connections_opened()), (1, 1));
    close(&source, reader).await;
}

/// A link that the service ends for its token right after it was attached, as one does whose token was revoked.
async fn attached_and_refused(provider: &Arc<Rotating>, emulator: &Emulator) -> Result<usize, SourceError> {
    let source = provider.source(emulator);
    publish(emulator, 0, 10, 10);
    let mut reader: Box<dyn PartitionReader> = source.open("0", StartPosition::Earliest, 1).await.unwrap();
    emulator.faults().detach_receiver_after(HUB, Some(0), 0, condition::UNAUTHORIZED);
    let mut events = reader.next(Duration::from_secs(5)).await;
    if matches!(&events, Ok(events) if events.is_empty()) {
        events = reader.next(Duration::from_secs(5)).await;
    }
    close(&source, reader).await;
    events.map(|events| events.len())
}

#[tokio::test]
async fn a_link_that_is_refused_at_once_is_attached_with_another_token() {
    let emulator = emulator(1).await;
    let provider = Rotating::new(HOUR);
    "second-key".clone_into(&mut provider.stored.lock().unwrap());
    assert!(emulator.replace_key(DEFAULT_KEY_NAME, DEFAULT_KEY));
    let refused = attached_and_refused(&provider, &emulator).await;
    // The key that was stored is not the hub's: it was asked for, tried, refused, and nothing else is there.
    assert!(
        matches!(&refused, Err(SourceError::Denied { detail, .. }) if detail.contains("Listen claim")),
        "{refused:?}"
    );
    assert_eq!(provider.rejections(), 2);
    provider.rotate(&emulator, "third-key");
    assert_eq!(attached_and_refused(&provider, &emulator).await.unwrap(), 20);
}
