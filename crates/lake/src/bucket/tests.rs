//! Names, and on servers that are not ours.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStoreExt, PutPayload};
use tributary_aws::Backoff;
use tributary_test_servers::{Asked, Fault, Proxy, Server};

use super::*;
use crate::store::{create, read};

const LAKE: &str = "a-lake";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd";
const MEBIBYTE: usize = 1024 * 1024;

fn bucket(prefix: &str) -> Bucket {
    format!("s3://{LAKE}/{prefix}").parse().unwrap()
}

/// Every promise at a place of its own.
async fn conforms(server: Server) {
    server.bucket(LAKE);
    let made = AtomicU32::new(0);
    crate::conformance::all(|| {
        let place = bucket(&format!("place-{}", made.fetch_add(1, Ordering::Relaxed)));
        Arc::new(place.store(&server.config(), &BucketOptions::default()).unwrap())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_moto() {
    let Some(server) = Server::moto() else { return };
    conforms(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_ministack() {
    let Some(server) = Server::ministack() else { return };
    conforms(server).await;
}

/// The headers of everything that is asked.
fn watched(server: &Server) -> (Proxy, Arc<Mutex<Vec<Asked>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    let proxy = Proxy::start(server, move |request| {
        asked.lock().unwrap().push(Asked { body: Vec::new(), ..request.clone() });
        None
    });
    (proxy, seen)
}

#[tokio::test]
async fn puts_carry_a_checksum_and_the_key_and_those_that_create_say_so() {
    let Some(server) = Server::moto() else { return };
    server.bucket(LAKE);
    let (proxy, seen) = watched(&server);
    let options = BucketOptions { kms_key: Some(KEY.parse().unwrap()) };
    let store = bucket("x").store(&proxy.config(), &options).unwrap().cut_at(6 * MEBIBYTE, 5 * MEBIBYTE);
    assert!(create(&store, "put", "small", "hello".into()).await.unwrap());
    let large = PutPayload::from(vec![7; 12 * MEBIBYTE]);
    assert!(create(&store, "put", "large", large.clone()).await.unwrap());
    store.put(&Path::from("large"), large.clone()).await.unwrap();
    let header = |asked: &Asked, name: &str| asked.headers.get(name).cloned().unwrap_or_default();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let named = |operation: &str| seen.iter().filter(|asked| asked.operation == operation).collect::<Vec<_>>();
    for asked in named("PUT").into_iter().chain(named("POST uploads")) {
        assert_eq!(header(asked, "x-amz-server-side-encryption"), "aws:kms", "{asked:?}");
        assert_eq!(header(asked, "x-amz-server-side-encryption-aws-kms-key-id"), KEY);
        assert_eq!(header(asked, "x-amz-server-side-encryption-bucket-key-enabled"), "true");
    }
    // The SHA-256 of "hello", in base64.
    assert_eq!(header(named("PUT")[0], "x-amz-checksum-sha256"), "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    assert_eq!(header(named("PUT")[0], "if-none-match"), "*");
    let parts = named("PUT partNumber uploadId");
    assert_eq!(parts.len(), 6, "12 MiB in parts of 5, twice");
    assert!(parts.iter().all(|asked| header(asked, "x-amz-checksum-sha256").len() == 44));
    let completions: Vec<String> =
        named("POST uploadId").into_iter().map(|asked| header(asked, "if-none-match")).collect();
    assert_eq!(completions, ["*", ""], "created, then replaced");
    let signed = named("POST uploadId").into_iter().map(|asked| header(asked, "authorization")).next().unwrap();
    assert!(signed.contains("if-none-match"), "a header that S3 must heed is signed: {signed}");
}

/// By writers of which so many are at work at once.
async fn large_objects_are_created_once(server: Server, at_once: usize) {
    server.bucket(LAKE);
    let (proxy, seen) = watched(&server);
    let store = bucket("x").store(&proxy.config(), &BucketOptions::default()).unwrap();
    let store = store.cut_at(6 * MEBIBYTE, 5 * MEBIBYTE);
    let content = |byte| PutPayload::from(vec![byte; 6 * MEBIBYTE + 1]);
    let put = |byte| create(&store, "put", "large", content(byte));
    let puts = stream::iter([put(1), put(2), put(3)]).buffered(at_once);
    let created: Vec<bool> = puts.try_collect().await.unwrap();
    assert_eq!(created.iter().filter(|created| **created).count(), 1, "one of three writers wins");
    let winner = created.iter().position(|created| *created).unwrap();
    let stored = read(&store, "read", "large", u64::MAX).await.unwrap().unwrap();
    assert!(stored.len() == 6 * MEBIBYTE + 1 && stored.iter().all(|byte| usize::from(*byte) == winner + 1));
    assert!(!create(&store, "put", "large", "small".into()).await.unwrap(), "whatever its size");
    let aborted = seen.lock().unwrap().iter().filter(|asked| asked.operation == "DELETE uploadId").count();
    assert_eq!(aborted, 2, "the others left nothing behind");
}

#[tokio::test]
async fn large_objects_are_created_once_on_moto() {
    let Some(server) = Server::moto() else { return };
    // It looks for the object before it completes an upload, without a lock.
    large_objects_are_created_once(server, 1).await;
}

#[tokio::test]
async fn large_objects_are_created_once_on_ministack() {
    let Some(server) = Server::ministack() else { return };
    large_objects_are_created_once(server, 3).await;
}

fn conflict() -> Fault {
    let body = "<Error><Code>ConditionalRequestConflict</Code><Message>a concurrent request</Message></Error>";
    Fault::Answer(409, body.to_owned())
}

/// 409: another writer is at work on the name, and may yet fail.
#[tokio::test]
async fn a_conflict_is_tried_again_and_is_never_an_object_that_exists() {
    let Some(server) = Server::moto() else { return };
    server.bucket(LAKE);
    let (puts, forever) = (AtomicU32::new(0), Arc::new(AtomicBool::new(false)));
    let always = Arc::clone(&forever);
    // The first two puts, and the first completion.
    let proxy = Proxy::start(&server, move |asked| {
        let creates = asked.headers.contains_key("if-none-match");
        let first = || puts.fetch_add(1, Ordering::SeqCst) < 3;
        (creates && (first() || always.load(Ordering::SeqCst))).then(conflict)
    });
    let mut store = bucket("x").store(&proxy.config(), &BucketOptions::default()).unwrap();
    store = store.cut_at(6 * MEBIBYTE, 5 * MEBIBYTE).wait(Backoff::new(
        3,
        Duration::from_millis(1),
        Duration::from_millis(4),
    ));
    assert!(create(&store, "put", "small", "a".into()).await.unwrap());
    assert!(create(&store, "put", "large", vec![0; 7 * MEBIBYTE].into()).await.unwrap());
    forever.store(true, Ordering::SeqCst);
    let error = create(&store, "put", "never", "a".into()).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("another write of it is not finished"), "{error}");
    assert_eq!(read(&store, "read", "never", 9).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_missing_or_denied_is_named_with_its_place() {
    let Some(server) = Server::moto() else { return };
    let nowhere: Bucket = "s3://nowhere/x".parse().unwrap();
    let store = nowhere.store(&server.config(), &BucketOptions::default()).unwrap();
    // "There is no such claim" would be a batch that nobody looks for any more.
    for error in [
        read(&store, "read", "claims/a", 9).await.unwrap_err(),
        create(&store, "stage", "claims/a", "a".into()).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains("claims/a in s3://nowhere/x") && text.contains("NoSuchBucket"), "{text}");
    }
    let denied = Proxy::start(&server, |_| Some(Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>".into())));
    let store = bucket("x").store(&denied.config(), &BucketOptions::default()).unwrap();
    let error = create(&store, "stage", "a", "a".into()).await.unwrap_err();
    assert!(error.is_denied() && error.to_string().contains("s3://a-lake/x"), "{error}");
    let nobody = server.config().to_builder().credentials_provider(SharedCredentialsProvider::new(Nobody)).build();
    let store = bucket("x").store(&nobody, &BucketOptions::default()).unwrap();
    let error = create(&store, "stage", "a", "a".into()).await.unwrap_err();
    assert!(error.is_denied() && error.to_string().contains("no credentials"), "{error}");
}

#[derive(Debug)]
struct Nobody;

impl aws_credential_types::provider::ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let nothing = aws_credential_types::provider::error::CredentialsError::not_loaded("nothing found");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(nothing))
    }
}

#[tokio::test]
async fn a_writer_role_of_another_account_writes() {
    let Some(server) = Server::moto() else { return };
    server.bucket(LAKE);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    let proxy = Proxy::start(&server, move |request| {
        asked.lock().unwrap().push(request.clone());
        None
    });
    let role = "arn:aws:iam::210987654321:role/writer";
    let config = tributary_aws::assume(&proxy.config(), role, Some("an-external-id"), None).await.unwrap();
    let store = bucket("x").store(&config, &BucketOptions::default()).unwrap();
    for key in ["a", "b"] {
        assert!(create(&store, "publish", key, "a".into()).await.unwrap());
    }
    let seen = seen.lock().unwrap();
    let assumed: Vec<String> = seen
        .iter()
        .filter(|asked| asked.operation == "POST")
        .map(|asked| String::from_utf8(asked.body.clone()).unwrap())
        .collect();
    assert_eq!(assumed.len(), 1, "assumed once, and kept: {assumed:?}");
    assert!(assumed[0].contains("AssumeRole") && assumed[0].contains("ExternalId=an-external-id"), "{}", assumed[0]);
    let puts: Vec<&Asked> = seen.iter().filter(|asked| asked.operation == "PUT").collect();
    assert_eq!(puts.len(), 2);
    for put in puts {
        assert!(put.headers.contains_key("x-amz-security-token"));
        assert!(!put.headers["authorization"].contains("Credential=test/"), "{:?}", put.headers);
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let keys = SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test"));
    let config = || SdkConfig::builder().region(aws_region("eu-west-1")).credentials_provider(keys.clone());
    let open = |config: SdkConfig| bucket("x").open(&config, &BucketOptions::default()).map(drop);
    assert_eq!(open(config().build()), Ok(()));
    let clear = open(config().endpoint_url("http://192.0.2.1:9000").build()).unwrap_err().to_string();
    assert!(clear.contains("http://192.0.2.1:9000") && clear.contains("neither https nor on this machine"), "{clear}");
    let nowhere = open(SdkConfig::builder().credentials_provider(keys.clone()).build()).unwrap_err().to_string();
    assert!(nowhere.contains("no AWS region") && nowhere.contains("s3://a-lake/x"), "{nowhere}");
    let nobody = open(SdkConfig::builder().region(aws_region("eu-west-1")).build()).unwrap_err().to_string();
    assert!(nobody.contains("no source of credentials"), "{nobody}");
}

fn aws_region(name: &'static str) -> aws_types::region::Region {
    aws_types::region::Region::from_static(name)
}

#[test]
fn a_key_is_named_by_its_arn() {
    for arn in [KEY, "arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/lake"] {
        assert_eq!(arn.parse::<KmsKey>().map(|key| key.as_str().to_owned()), Ok(arn.to_owned()));
    }
    for text in [
        "",
        "1234abcd",
        "alias/lake",
        "arn:aws:kms:::key/1",
        "arn:aws:kms:r:1:key/",
        "arn:aws:iam::1:role/x",
        "arn:aws:kms:r:1:key/a b",
    ] {
        let error = text.parse::<KmsKey>().unwrap_err();
        assert!(error.to_string().contains("write its ARN"), "{text}: {error}");
    }
}

#[test]
fn a_place_in_a_bucket_is_read_as_it_is_written() {
    for (text, shown) in [
        ("s3://a-lake", "s3://a-lake"),
        ("s3://a-lake/", "s3://a-lake"),
        ("s3://a-lake/maps/of.2026", "s3://a-lake/maps/of.2026"),
        ("s3://a-lake/maps/", "s3://a-lake/maps"),
    ] {
        assert_eq!(text.parse::<Bucket>().map(|bucket| bucket.to_string()), Ok(shown.to_owned()), "{text}");
    }
    for text in [
        "",
        "a-lake",
        "s3:",
        "s3://",
        "s3://ab",
        "s3://A-lake",
        "s3://a@b.c/x",
        "s3://a..b",
        "s3://abc//x",
        "s3://abc/../x",
    ] {
        assert!(matches!(text.parse::<Bucket>(), Err(BucketError::Invalid(_))), "{text}");
    }
}
