//! Azure Blob Storage over its REST API: a block list, a range, a listing; and, for writers on this machine, blocks.

use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine as _;
use bytes::Bytes;
use reqwest::{Certificate, Client, Method, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use tributary_aws::Backoff;
use tributary_azure_eventhub::Roots;
use tributary_azure_identity::{AccessTokens, Scope};
use tributary_telemetry::line::{one_line, with_causes};

use crate::state::bare;
use crate::{Account, Allowed, BlobError, BlobListing, BlobName, BlobStore, Block, BlockList, sign, xml};

const VERSION: &str = "2021-12-02";
const CONNECT: Duration = Duration::from_secs(5);
/// Longest that nothing may come while an answer is read.
const STALL: Duration = Duration::from_secs(30);
/// Longest that one request may take, its answer included.
const WHOLE: Duration = Duration::from_secs(120);
/// 50,000 blocks, the most that a blob has, are about 8 MB.
const MAX_LIST: usize = 32 * 1024 * 1024;
/// What an error's text has, at most.
const MAX_REFUSAL: usize = 16 * 1024;
const MAX_DETAIL: usize = 300;
const ROLE: &str = "give the application the role Storage Blob Data Reader on the storage account";

/// How requests prove who they are from.
#[derive(Debug, Clone)]
pub enum Access {
    /// A token of Microsoft Entra, by client secret or federated.
    Entra(AccessTokens),
    /// The account's key. For stores on this machine only.
    Key(SecretString),
}

/// The accounts of an [`Allowed`]. Requests go to their endpoints and nowhere else; redirects are not followed.
#[derive(Debug, Clone)]
pub struct BlobClient {
    allowed: Allowed,
    access: Access,
    http: Client,
    backoff: Backoff,
}

/// A blob of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The blob.
    pub name: BlobName,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Its length in bytes.
    pub length: u64,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Blobs, by name.
    pub blobs: Vec<Listed>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

struct Request<'r> {
    method: Method,
    url: Url,
    headers: Vec<(&'static str, String)>,
    if_match: Option<&'r str>,
    body: Bytes,
}

impl BlobClient {
    /// A client. Nothing is asked yet.
    ///
    /// # Errors
    /// TLS cannot be set up, or a key is given for an account that is not on this machine.
    pub fn new(allowed: Allowed, access: Access, roots: &Roots) -> Result<Self, BlobError> {
        let local = |account: &Account| {
            let host = account.endpoint.host_str().unwrap_or_default();
            host == "localhost"
                || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        if matches!(access, Access::Key(_)) && !allowed.accounts().all(local) {
            let detail = "an account key lets in to everything: it is taken for stores on this machine only, use Entra";
            return Err(BlobError::Refused(detail.to_owned()));
        }
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(STALL)
            .timeout(WHOLE)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")));
        if allowed.accounts().all(local) {
            builder = builder.no_proxy();
        }
        let tls = |error: reqwest::Error| {
            let detail = one_line(&with_causes(&error), MAX_DETAIL);
            BlobError::Refused(format!(
                "TLS for Blob Storage cannot be set up: {detail}: check the trusted roots (SSL_CERT_FILE)"
            ))
        };
        if let Roots::Only(certificates) = roots {
            let certificates: Result<Vec<_>, _> = certificates.iter().map(|der| Certificate::from_der(der)).collect();
            builder = builder.tls_certs_only(certificates.map_err(tls)?);
        }
        Ok(Self { allowed, access, http: builder.build().map_err(tls)?, backoff: Backoff::default() })
    }

    /// Which blobs it reads.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    fn account(&self, name: &str) -> Result<&Account, BlobError> {
        let unknown = || BlobError::Refused(format!("storage account {name:?} is not configured"));
        self.allowed.account(name).ok_or_else(unknown)
    }

    fn url(&self, account: &str, container: &str, path: &str) -> Result<Url, BlobError> {
        let mut url = self.account(account)?.endpoint.clone();
        let broken = |()| BlobError::Refused("the endpoint cannot have a path".to_owned());
        let mut segments = url.path_segments_mut().map_err(broken)?;
        segments.pop_if_empty().push(container);
        if !path.is_empty() {
            segments.extend(path.split('/'));
        }
        drop(segments);
        Ok(url)
    }

    /// Blobs of a container whose names begin with `prefix`, from `marker` on, at most 1,000.
    ///
    /// # Errors
    /// As of every request; [`BlobError::Gone`]: there is no such container.
    pub async fn list(
        &self,
        account: &str,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page, BlobError> {
        let mut url = self.url(account, container, "")?;
        url.query_pairs_mut().extend_pairs([("restype", "container"), ("comp", "list"), ("maxresults", "1000")]);
        if !prefix.is_empty() {
            url.query_pairs_mut().append_pair("prefix", prefix);
        }
        if let Some(marker) = marker {
            url.query_pairs_mut().append_pair("marker", marker);
        }
        let (_, body) = self.ask(account, get(url), MAX_LIST).await?;
        let page: xml::Listing = xml::parse(&body).ok_or_else(|| {
            BlobError::Refused(format!("storage account {account} gives a listing that cannot be read"))
        })?;
        let blobs = page.blobs.blob.into_iter().map(|blob| Listed {
            name: BlobName { account: account.to_owned(), container: container.to_owned(), path: blob.name },
            etag: bare(&blob.properties.etag).to_owned(),
            length: blob.properties.length,
        });
        Ok(Page { blobs: blobs.collect(), next: page.next_marker.filter(|next| !next.is_empty()) })
    }

    /// Makes a container, if it is not there. For stores on this machine.
    ///
    /// # Errors
    /// As of every request.
    pub async fn create_container(&self, account: &str, container: &str) -> Result<(), BlobError> {
        let mut url = self.url(account, container, "")?;
        url.query_pairs_mut().append_pair("restype", "container");
        let request = Request { method: Method::PUT, ..get(url) };
        match self.ask(account, request, MAX_REFUSAL).await {
            Err(BlobError::Refused(detail)) if detail.contains("409") => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Puts a block that the next list may name. For stores on this machine.
    ///
    /// # Errors
    /// As of every request.
    pub async fn put_block(&self, blob: &BlobName, id: &str, bytes: Bytes) -> Result<(), BlobError> {
        let mut url = self.url(&blob.account, &blob.container, &blob.path)?;
        url.query_pairs_mut().extend_pairs([("comp", "block"), ("blockid", id)]);
        let request = Request { method: Method::PUT, body: bytes, ..get(url) };
        self.ask(&blob.account, request, MAX_REFUSAL).await.map(|_| ())
    }

    /// Commits a block list; returns the new ETag. For stores on this machine.
    ///
    /// # Errors
    /// As of every request.
    pub async fn put_blocks(&self, blob: &BlobName, ids: &[&str]) -> Result<String, BlobError> {
        let mut url = self.url(&blob.account, &blob.container, &blob.path)?;
        url.query_pairs_mut().append_pair("comp", "blocklist");
        let blocks: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
        let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{blocks}</BlockList>");
        let request = Request { method: Method::PUT, body: body.into(), ..get(url) };
        let (answer, _) = self.ask(&blob.account, request, MAX_REFUSAL).await?;
        Ok(answer.etag)
    }

    /// Asks until there is an answer, the account says no, or it has been asked often enough.
    async fn ask(&self, account: &str, request: Request<'_>, most: usize) -> Result<(Answer, Vec<u8>), BlobError> {
        let mut backoff = self.backoff.clone();
        let mut renewed = false;
        loop {
            let (attempt, token) = self.attempt(account, &request, most).await?;
            let error = match attempt {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let (Failure::Unauthorized(_), Access::Entra(tokens), Some(token), false) =
                (&error, &self.access, token, renewed)
                && tokens.rejected(&Scope::STORAGE, &token).await
            {
                renewed = true;
                continue;
            }
            match error {
                Failure::Unauthorized(detail) => return Err(BlobError::Denied(detail)),
                Failure::Final(error) => return Err(error),
                Failure::Again(detail) => match backoff.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(BlobError::Transient(detail)),
                },
            }
        }
    }

    async fn attempt(
        &self,
        account: &str,
        request: &Request<'_>,
        most: usize,
    ) -> Result<(Result<(Answer, Vec<u8>), Failure>, Option<SecretString>), BlobError> {
        let mut headers = request.headers.clone();
        headers.push(("x-ms-date", date()?));
        headers.push(("x-ms-version", VERSION.to_owned()));
        headers.sort();
        let (authorization, token) = match &self.access {
            Access::Entra(tokens) => {
                let token = tokens.token(&Scope::STORAGE).await.map_err(|error| {
                    let text = error.to_string();
                    if error.is_transient() { BlobError::Transient(text) } else { BlobError::Denied(text) }
                })?;
                (SecretString::from(format!("Bearer {}", token.secret.expose_secret())), Some(token.secret))
            }
            Access::Key(key) => {
                let (method, if_match) = (request.method.as_str(), request.if_match.unwrap_or_default());
                let signed =
                    sign::authorization(account, key, method, &request.url, request.body.len(), if_match, &headers);
                (signed.ok_or_else(|| BlobError::Refused("the account key is no base64".to_owned()))?, None)
            }
        };
        let mut sending = self.http.request(request.method.clone(), request.url.clone());
        for (name, value) in &headers {
            sending = sending.header(*name, value);
        }
        if let Some(if_match) = request.if_match {
            sending = sending.header("if-match", if_match);
        }
        if request.method != Method::GET {
            sending = sending.header("content-length", request.body.len()).body(request.body.clone());
        }
        let sending = sending.header("authorization", authorization.expose_secret()).send();
        Ok((answer(account, sending.await, most).await, token))
    }
}

/// Now, as HTTP writes it.
fn date() -> Result<String, BlobError> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = DateTime::from_secs(i64::try_from(now).unwrap_or(i64::MAX));
    now.fmt(Format::HttpDate).map_err(|error| BlobError::Refused(format!("this machine's clock: {error}")))
}

fn get<'r>(url: Url) -> Request<'r> {
    Request { method: Method::GET, url, headers: Vec::new(), if_match: None, body: Bytes::new() }
}

/// What is wanted of an answer's head.
struct Answer {
    status: StatusCode,
    etag: String,
    blob_length: Option<u64>,
}

enum Failure {
    Unauthorized(String),
    Final(BlobError),
    Again(String),
}

async fn answer(account: &str, sent: reqwest::Result<Response>, most: usize) -> Result<(Answer, Vec<u8>), Failure> {
    let unreachable = |error: reqwest::Error| {
        let detail = one_line(&with_causes(&error.without_url()), MAX_DETAIL);
        Failure::Again(format!("storage account {account} does not answer: {detail}"))
    };
    let mut response = sent.map_err(unreachable)?;
    let status = response.status();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let head = Answer {
        status,
        etag: header("etag").map(|etag| bare(&etag).to_owned()).unwrap_or_default(),
        blob_length: header("x-ms-blob-content-length").and_then(|length| length.parse().ok()),
    };
    let code = header("x-ms-error-code").unwrap_or_default();
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(80).collect();
    let most = if status.is_success() { most } else { MAX_REFUSAL };
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Vec::with_capacity(expected.min(most));
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > most {
            if !status.is_success() {
                break;
            }
            let detail = format!("storage account {account} answered more than {most} bytes");
            return Err(Failure::Final(BlobError::Refused(detail)));
        }
        body.extend_from_slice(&chunk);
    }
    let said = format!("storage account {account} answers {} {code}", status.as_u16());
    match status.as_u16() {
        200..300 => Ok((head, body)),
        404 => Err(Failure::Final(BlobError::Gone)),
        412 | 416 => Err(Failure::Final(BlobError::Changed)),
        401 => Err(Failure::Unauthorized(format!("{said}: {ROLE}"))),
        403 => Err(Failure::Unauthorized(format!("{said}: {ROLE}, and let its firewall in who reads"))),
        408 | 429 | 500 | 502..=504 => Err(Failure::Again(said)),
        _ => Err(Failure::Final(BlobError::Refused(said))),
    }
}

#[async_trait]
impl BlobListing for BlobClient {
    async fn list(
        &self,
        account: &str,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<Page, BlobError> {
        Self::list(self, account, container, prefix, marker).await
    }
}

#[async_trait]
impl BlobStore for BlobClient {
    async fn blocks(&self, blob: &BlobName) -> Result<BlockList, BlobError> {
        let mut url = self.url(&blob.account, &blob.container, &blob.path)?;
        url.query_pairs_mut().extend_pairs([("comp", "blocklist"), ("blocklisttype", "committed")]);
        let (head, body) = self.ask(&blob.account, get(url), MAX_LIST).await?;
        let broken =
            || BlobError::Refused(format!("storage account {} gives a block list that cannot be read", blob.account));
        let list: xml::Blocks = xml::parse(&body).ok_or_else(broken)?;
        let mut blocks = Vec::with_capacity(list.committed.block.len());
        for xml::Block { name: id, size } in list.committed.block {
            base64::engine::general_purpose::STANDARD.decode(&id).map_err(|_| broken())?;
            blocks.push(Block { id, size });
        }
        let length = head.blob_length.unwrap_or_else(|| crate::blocks::length(&blocks));
        if head.etag.is_empty() {
            return Err(broken());
        }
        Ok(BlockList { etag: head.etag, length, blocks })
    }

    async fn read(&self, blob: &BlobName, offset: u64, length: u64, etag: &str) -> Result<Bytes, BlobError> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let url = self.url(&blob.account, &blob.container, &blob.path)?;
        let last = offset.saturating_add(length - 1);
        let quoted = format!("\"{etag}\"");
        let headers = vec![("x-ms-range", format!("bytes={offset}-{last}"))];
        let request = Request { headers, if_match: Some(&quoted), ..get(url) };
        let most = usize::try_from(length).unwrap_or(usize::MAX);
        let (head, body) = self.ask(&blob.account, request, most).await?;
        // A range that goes past the end is answered with what there is: the blob is shorter than its list said.
        if body.len() as u64 != length || (head.status != StatusCode::PARTIAL_CONTENT && offset > 0) {
            return Err(BlobError::Changed);
        }
        Ok(body.into())
    }
}
