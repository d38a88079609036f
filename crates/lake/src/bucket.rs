//! A place in an S3 bucket as an object store.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;

/// Why a text names no place in a bucket, or the place cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// The text is none.
    #[error("{0:?} is no place in a bucket: write s3://BUCKET or s3://BUCKET/PREFIX")]
    Invalid(String),
    /// The endpoint would carry keys and data in the clear.
    #[error(
        "the endpoint {0} is neither https nor on this machine: set AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL) to https"
    )]
    Clear(String),
    /// The environment's settings do not fit together.
    #[error("cannot open {bucket}: {detail}; look at the AWS_ variables")]
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
    /// Opens the place with what the environment says of region, endpoint (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`) and
    /// credentials: static keys, a web identity, a container's or an instance's role. Nothing is asked of S3 yet.
    ///
    /// # Errors
    /// When the settings do not fit together, or the endpoint is plain HTTP and not on this machine.
    pub fn open(&self) -> Result<Arc<dyn ObjectStore>, BucketError> {
        let builder = AmazonS3Builder::from_env();
        let set = |key| builder.get_config_value(&key).filter(|endpoint| !endpoint.is_empty());
        let endpoint = set(AmazonS3ConfigKey::S3Endpoint).or_else(|| set(AmazonS3ConfigKey::Endpoint));
        let clear = allowed_in_the_clear(endpoint.as_deref())?;
        let store = builder.with_bucket_name(&self.name).with_allow_http(clear).build();
        let store =
            store.map_err(|error| BucketError::Settings { bucket: self.to_string(), detail: error.to_string() })?;
        Ok(if self.prefix.as_ref().is_empty() {
            Arc::new(store)
        } else {
            Arc::new(PrefixStore::new(store, self.prefix.clone()))
        })
    }
}

/// Whether the endpoint is plain HTTP on this machine, which is how local servers are reached.
fn allowed_in_the_clear(endpoint: Option<&str>) -> Result<bool, BucketError> {
    let Some(endpoint) = endpoint else { return Ok(false) };
    let Some((scheme, rest)) = endpoint.split_once("://") else { return Err(BucketError::Clear(endpoint.to_owned())) };
    if scheme.eq_ignore_ascii_case("https") {
        return Ok(false);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    // `user@host` would make another host of what looks like this machine.
    let local = local && scheme.eq_ignore_ascii_case("http") && !authority.contains('@');
    if local { Ok(true) } else { Err(BucketError::Clear(endpoint.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for (endpoint, clear) in [
            (None, false),
            (Some("https://s3.eu-west-1.amazonaws.com"), false),
            (Some("http://127.0.0.1:4566"), true),
            (Some("http://localhost/"), true),
            (Some("HTTP://[::1]:9000/x"), true),
        ] {
            assert_eq!(allowed_in_the_clear(endpoint), Ok(clear), "{endpoint:?}");
        }
        for endpoint in [
            "http://minio:9000",
            "http://10.0.0.1",
            "http://localhost@example.org",
            "127.0.0.1:4566",
            "ftp://127.0.0.1",
        ] {
            assert!(matches!(allowed_in_the_clear(Some(endpoint)), Err(BucketError::Clear(_))), "{endpoint}");
        }
    }
}
