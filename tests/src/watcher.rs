//! A writer that behaves like Network Watcher: an hour's blob grows by a block each minute, between its head and its tail, and each
//! commit is announced.

use base64::Engine as _;
use tributary_azure_blobs::{Account, BlobClient, BlobName, FLOW_LOG_CONTAINERS};
use tributary_azure_flowlogs::generate;
use tributary_azure_samples::BlobWritten;

/// One blob that is being written.
pub struct Watcher {
    client: BlobClient,
    account: Account,
    /// The blob.
    pub blob: BlobName,
    blocks: Vec<String>,
    minutes: std::vec::IntoIter<String>,
    beside: Option<String>,
    /// Bytes of the blob by now.
    pub length: u64,
}

fn hour_folder(time: i64) -> String {
    let (year, month, day) = tributary_ocsf::civil_from_days(time.div_euclid(86_400_000));
    format!("/y={year:04}/m={month:02}/d={day:02}/h={:02}/", time.rem_euclid(86_400_000) / 3_600_000)
}

fn id(kind: char, number: usize) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{kind}{number:0>32}"))
}

impl Watcher {
    /// The blob of the hour of `time` (milliseconds since 1970-01-01T00:00:00Z) and of interface `number`, of so many tuples in 60
    /// minutes. Its container must be there.
    pub fn new(client: BlobClient, account: &Account, time: i64, number: u8, tuples: u64) -> Self {
        let mac = format!("000D3A2B4C{number:02X}");
        let path =
            generate::name().replace("000D3A2B4C5D", &mac).replace("/y=2026/m=03/d=02/h=12/", &hour_folder(time));
        let blob = BlobName { account: account.name.clone(), container: FLOW_LOG_CONTAINERS[0].to_owned(), path };
        let start = time - time.rem_euclid(3_600_000);
        let blocks: Vec<String> = generate::Hour { seed: u64::from(number), tuples, start, mac }.blocks().collect();
        let minutes: Vec<String> = blocks[1..blocks.len() - 1].to_vec();
        let (account, minutes) = (account.clone(), minutes.into_iter());
        Self { client, account, blob, blocks: Vec::new(), minutes, beside: None, length: 0 }
    }

    /// Another record that the next minute has behind its own.
    pub fn beside(&mut self, record: &str) {
        self.beside = Some(record.to_owned());
    }

    /// Commits the next minute; its announcement, or nothing when the hour is over.
    pub async fn minute(&mut self, sequencer: u64) -> Option<BlobWritten> {
        let mut block = self.minutes.next()?;
        if let Some(record) = self.beside.take() {
            block = format!("{block},{record}");
        }
        let tail = id('Z', 0);
        if self.blocks.is_empty() {
            let head = id('A', 0);
            self.put(&head, "{\"records\":[".to_owned()).await;
            self.put(&tail, "]}".to_owned()).await;
            self.blocks.push(head);
        }
        let name = id('D', self.blocks.len());
        self.put(&name, block).await;
        self.blocks.push(name);
        let list: Vec<&str> = self.blocks.iter().map(String::as_str).chain([tail.as_str()]).collect();
        let etag = self.client.put_blocks(&self.blob, &list).await.unwrap();
        let BlobName { account, container, path } = &self.blob;
        // As Azure announces it: the address percent-encoded here and there.
        let encoded = path.replace('=', "%3D");
        Some(BlobWritten {
            account: account.clone(),
            container: container.clone(),
            path: path.clone(),
            url: format!(
                "{}{container}/{}",
                self.account.endpoint,
                if sequencer.is_multiple_of(3) { &encoded } else { path }
            ),
            etag,
            length: self.length,
            sequencer,
        })
    }

    /// Writes the whole blob anew with the minutes so far, in one block of another name. The next minute comes behind it.
    pub async fn rewrite(&mut self) {
        let list = self.client.clone();
        let (head, tail) = (id('A', 0), id('Z', 0));
        let stored = tributary_azure_blobs::BlobStore::blocks(&list, &self.blob).await.unwrap();
        let from = 12;
        let bytes =
            tributary_azure_blobs::BlobStore::read(&list, &self.blob, from, stored.length - from - 2, &stored.etag);
        let text = String::from_utf8(bytes.await.unwrap().to_vec()).unwrap();
        self.put(&head, "{\"records\":[".to_owned()).await;
        self.put(&tail, "]}".to_owned()).await;
        let name = id('R', self.blocks.len());
        self.put(&name, text).await;
        self.client.put_blocks(&self.blob, &[&head, &name, &tail]).await.unwrap();
        self.blocks = vec![head, name];
    }

    async fn put(&mut self, id: &str, text: String) {
        self.length += text.len() as u64;
        self.client.put_block(&self.blob, id, text.into()).await.unwrap();
    }
}
