//! Where changed mapping files lie.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tributary_aws::{ConfigError, SdkConfig};
use tributary_lake::{Bucket, BucketOptions};

use super::MappingsRefused;

/// A text that names no place for mapping files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place for mapping files: write a folder, file:FOLDER or s3://BUCKET/PREFIX")]
pub struct InvalidMappingsUri(String);

/// A folder (`DIR`, `file:DIR`, `file:///DIR`) or a place in a bucket (`s3://BUCKET/PREFIX`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingsUri {
    /// A folder.
    Folder(PathBuf),
    /// A bucket, or a prefix in it.
    Bucket(Bucket),
}

impl FromStr for MappingsUri {
    type Err = InvalidMappingsUri;

    fn from_str(text: &str) -> Result<Self, InvalidMappingsUri> {
        let invalid = || InvalidMappingsUri(text.chars().take(200).collect());
        let folder = match text.split_once(':') {
            None => text,
            Some(("file", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            Some(("s3", _)) => return text.parse().map(Self::Bucket).map_err(|_| invalid()),
            Some(_) => "",
        };
        if folder.is_empty() { Err(invalid()) } else { Ok(Self::Folder(folder.into())) }
    }
}

impl fmt::Display for MappingsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "file:{}", path.display()),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl MappingsUri {
    /// The place as a store, a bucket with what AWS's configuration came to. A folder that is not there is not made: the
    /// files that should lie in it are what is missing.
    pub(super) fn open(&self, aws: &Result<SdkConfig, ConfigError>) -> Result<Arc<dyn ObjectStore>, MappingsRefused> {
        match self {
            Self::Folder(path) => match LocalFileSystem::new_with_prefix(path) {
                Ok(store) => Ok(Arc::new(store)),
                Err(error) => Err(MappingsRefused::Folder(error.to_string())),
            },
            Self::Bucket(bucket) => {
                let aws = aws.as_ref().map_err(|error| MappingsRefused::Aws(error.clone()))?;
                Ok(bucket.open(aws, &BucketOptions::default())?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_or_a_bucket() {
        for (text, shown) in [
            ("maps", "file:maps"),
            ("/etc/maps", "file:/etc/maps"),
            ("file:maps", "file:maps"),
            ("file:///etc/maps", "file:/etc/maps"),
            ("s3://some-bucket/maps/", "s3://some-bucket/maps"),
        ] {
            assert_eq!(text.parse::<MappingsUri>().map(|uri| uri.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in ["", "file:", "file://", "s3:maps", "s3://", "https://example.org/maps", "memory:", "sqlite:x"] {
            let error = text.parse::<MappingsUri>().unwrap_err().to_string();
            assert!(error.contains("s3://BUCKET/PREFIX"), "{text}: {error}");
        }
    }
}
