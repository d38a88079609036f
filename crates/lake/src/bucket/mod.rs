//! A place in an S3 bucket as an object store.

mod credentials;
mod examine;
mod store;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::header::IF_NONE_MATCH;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{ClientOptions, HeaderMap, HeaderValue, ObjectStore, RetryConfig};
use tributary_aws::{ConfigError, SdkConfig};

use credentials::SdkCredentials;
pub use examine::BucketUse;
use store::BucketStore;

/// Attempts of a request after its first, over the longest time that they may take: a store that is slow for longer is the
/// queue's affair, which delivers the message again.
const RETRIES: usize = 6;
const RETRYING: Duration = Duration::from_secs(60);

/// Why a text names no place in a bucket, or the place cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// The text is none.
    #[error("{0:?} is no place in a bucket: write s3://BUCKET or s3://BUCKET/PREFIX")]
    Invalid(String),
    /// The text is no key.
    #[error("{0:?} is no KMS key: write its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID")]
    Key(String),
    /// The endpoint would carry keys and data in the clear.
    #[error(transparent)]
    Endpoint(#[from] ConfigError),
    /// The settings do not fit together.
    #[error("cannot open {bucket}: {detail}; look at the AWS_ variables and the profile")]
    Settings {
        /// The bucket.
        bucket: String,
        /// What does not fit.
        detail: String,
    },
}

/// A bucket, or what lies below a prefix in it: `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    name: String,
    prefix: Path,
}

impl FromStr for Bucket {
    type Err = BucketError;

    fn from_str(text: &str) -> Result<Self, BucketError> {
        let invalid = || BucketError::Invalid(text.chars().take(200).collect());
        let rest = text.strip_prefix("s3://").ok_or_else(invalid)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // S3's own rule for names; what else could stand here would end up in the host or the path of a request.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        let named = (3..=63).contains(&name.len()) && name.bytes().all(plain) && !name.contains("..");
        // A slash at the end is how many write a prefix.
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        match Path::parse(prefix) {
            Ok(path) if named && path.as_ref() == prefix => Ok(Self { name: name.to_owned(), prefix: path }),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)?;
        if self.prefix.as_ref().is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl Bucket {
    /// Opens the place with a configuration's region, credentials and endpoint. Nothing is asked of S3 yet.
    ///
    /// Every put carries a SHA-256 checksum of its content, by which S3 refuses what was changed on the way, and large objects
    /// are sent in parts. Create-only puts ([`object_store::PutMode::Create`]) are S3's own, of large objects too.
    ///
    /// # Errors
    /// When the configuration has no region or no source of credentials, or the endpoint is plain HTTP and not on this machine.
    pub fn open(&self, config: &SdkConfig, options: &BucketOptions) -> Result<Arc<dyn ObjectStore>, BucketError> {
        Ok(Arc::new(self.store(config, options)?))
    }

    fn store(&self, config: &SdkConfig, options: &BucketOptions) -> Result<BucketStore, BucketError> {
        let settings = |detail: String| BucketError::Settings { bucket: self.to_string(), detail };
        let region = config.region().ok_or_else(|| settings(ConfigError::NoRegion.to_string()))?;
        let provider = config.credentials_provider().ok_or_else(|| settings("no source of credentials".to_owned()))?;
        let credentials = Arc::new(SdkCredentials::new(provider));
        let endpoint = tributary_aws::endpoint(config, "S3")?;
        // Only this machine's is plain.
        let plain = endpoint.as_ref().is_some_and(|endpoint| !endpoint.to_ascii_lowercase().starts_with("https:"));
        let build = |headers: HeaderMap| {
            let client = ClientOptions::new().with_allow_http(plain).with_default_headers(headers);
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(&self.name)
                .with_region(region.as_ref())
                .with_credentials(Arc::clone(&credentials) as _)
                .with_client_options(client)
                .with_checksum_algorithm(Checksum::SHA256)
                .with_retry(RetryConfig { max_retries: RETRIES, retry_timeout: RETRYING, ..RetryConfig::default() });
            if let Some(endpoint) = &endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            if let Some(key) = &options.kms_key {
                // With a bucket key, KMS is asked once in a while and not with every object.
                builder = builder.with_sse_kms_encryption(key.as_str()).with_bucket_key(true);
            }
            builder.build().map_err(|error| settings(error.to_string()))
        };
        let create = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("*"))]);
        Ok(BucketStore::new(self.clone(), build(HeaderMap::new())?, build(create)?))
    }
}

/// How new objects are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketOptions {
    /// The KMS key that encrypts them, with a bucket key; the bucket's own encryption without one.
    pub kms_key: Option<KmsKey>,
}

/// A KMS key by its ARN: of a key of another account nothing else is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKey(String);

impl KmsKey {
    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KmsKey {
    type Err = BucketError;

    fn from_str(text: &str) -> Result<Self, BucketError> {
        let mut parts = text.splitn(6, ':');
        let known = [parts.next(), parts.nth(1)] == [Some("arn"), Some("kms")];
        let placed = parts.by_ref().take(2).filter(|part| !part.is_empty()).count() == 2;
        let resource = parts.next().unwrap_or_default();
        let named = ["key/", "alias/"].iter().any(|kind| resource.strip_prefix(kind).is_some_and(|id| !id.is_empty()));
        if known && placed && named && text.len() <= 2_048 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BucketError::Key(text.chars().take(200).collect()))
        }
    }
}

#[cfg(test)]
mod tests;
