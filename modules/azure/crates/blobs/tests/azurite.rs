//! The client on Azurite, by account key over loopback: a block list, ranges under a condition, a listing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use tributary_azure_blobs::{
    Access, Account, Allowed, BlobClient, BlobError, BlobName, BlobStore, Land, LandError, Limits, Part, Reader,
};
use tributary_azure_eventhub::Roots;
use tributary_ledger::MemoryLedger;
use tributary_test_servers::Azurite;

const ACCOUNT: &str = Azurite::ACCOUNT;
const CONTAINER: &str = "insights-logs-flowlogflowevent";

fn client_of(azurite: &Azurite, key: &str) -> BlobClient {
    let account = Account::at(Azurite::ACCOUNT, &azurite.endpoint()).unwrap();
    BlobClient::new(Allowed::flow_logs([account]), Access::Key(key.into()), &Roots::Native).unwrap()
}

fn id(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{text:0<33}"))
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

#[tokio::test]
async fn the_client_reads_what_a_writer_commits() {
    let Some(azurite) = Azurite::by_key() else { return };
    let client = client_of(&azurite, Azurite::KEY);
    let blob = BlobName {
        account: ACCOUNT.into(),
        container: CONTAINER.into(),
        path: "flowLogResourceID=/S_NETWORKWATCHERRG/N W&%41/y=2026/m=01/PT1H.json".into(),
    };
    assert_eq!(client.blocks(&blob).await, Err(BlobError::Gone));
    client.create_container(ACCOUNT, CONTAINER).await.unwrap();
    client.create_container(ACCOUNT, CONTAINER).await.unwrap();
    let (head, tail) = (id("A"), id("Z"));
    client.put_block(&blob, &head, "{\"records\":[".into()).await.unwrap();
    client.put_block(&blob, &tail, "]}".into()).await.unwrap();
    let texts = Arc::new(Texts::default());
    let reader = Reader::new(Arc::new(client.clone()), Arc::new(MemoryLedger::new()), texts.clone(), Limits::default());
    let mut ids = vec![head];
    let mut etags = Vec::new();
    for minute in 0..3 {
        let comma = if minute == 0 { "" } else { "," };
        let name = id(&format!("D{minute}"));
        client.put_block(&blob, &name, format!("{comma}{{\"n\":{minute}}}").into()).await.unwrap();
        ids.push(name);
        let list: Vec<&str> = ids.iter().map(String::as_str).chain([tail.as_str()]).collect();
        etags.push(client.put_blocks(&blob, &list).await.unwrap());
        let report = reader.catch_up(&blob, None).await.unwrap();
        assert_eq!((report.records, report.bytes), (1, if minute == 0 { 19 } else { 8 }));
    }
    assert_eq!(*texts.0.lock().unwrap(), ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"]);
    let list = client.blocks(&blob).await.unwrap();
    assert_eq!((list.length, list.blocks.len()), (37, 5));
    assert_eq!(etags.last(), Some(&list.etag));
    assert_eq!(client.read(&blob, 12, 7, &list.etag).await.unwrap(), "{\"n\":0}");
    assert_eq!(client.read(&blob, 12, 7, &etags[0]).await, Err(BlobError::Changed), "412");
    assert_eq!(client.read(&blob, 37, 5, &list.etag).await, Err(BlobError::Changed), "416");
    assert_eq!(client.read(&blob, 30, 50, &list.etag).await, Err(BlobError::Changed), "shorter than asked for");
    let page = client.list(ACCOUNT, CONTAINER, "flowLogResourceID=/S_", None).await.unwrap();
    assert_eq!((page.blobs.len(), page.next), (1, None));
    assert_eq!((&page.blobs[0].name, &page.blobs[0].etag, page.blobs[0].length), (&blob, &list.etag, 37));
    assert!(client.list(ACCOUNT, CONTAINER, "other", None).await.unwrap().blobs.is_empty());
    let wrong = client_of(&azurite, "b3RoZXI=").blocks(&blob).await;
    assert!(
        matches!(&wrong, Err(BlobError::Denied(detail)) if detail.contains("Storage Blob Data Reader")),
        "{wrong:?}"
    );
}
