//! S3 with what [`object_store`] leaves open: large objects that are created and never replaced, conflicts that are no
//! success, and errors that name the bucket.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tributary_aws::Backoff;

use super::Bucket;

/// Objects over this many bytes are sent in parts: one request of 30 s carries it over 9 Mbit/s. A batch's are far smaller.
const LARGE: usize = 32 * 1024 * 1024;
/// Bytes of a part: few requests, and one that fails is no great loss.
const PART: usize = 16 * 1024 * 1024;
/// Parts that are sent at once.
const CONCURRENT_PARTS: usize = 4;

/// A place in a bucket.
///
/// What S3 promises of a create-only put, in one request (`PutObject`) or in parts (`CompleteMultipartUpload`), both with
/// `If-None-Match: *`: of many writers of one name the first to *finish* wins, and it is refused to the others (412), who
/// have then nothing written. A writer may also be told to come back (409), while another's write or deletion is not
/// finished: nothing is known of whether there will be an object, so that is tried again and never taken for "it exists".
/// A put that ended without an answer may have been done: the next one is refused by what it wrote itself.
///
/// Parts of an upload that was neither completed nor aborted, because the process died, stay until the bucket's lifecycle
/// removes them (`AbortIncompleteMultipartUpload`); they are no object and nobody sees them.
pub(super) struct BucketStore {
    name: Bucket,
    place: PrefixStore<AmazonS3>,
    pub(super) s3: AmazonS3,
    /// The same, but everything that it sends says `If-None-Match: *`: `object_store` completes an upload in no other way
    /// without replacing what is there.
    create: AmazonS3,
    large: usize,
    part: usize,
    backoff: Backoff,
}

impl BucketStore {
    /// `create` must be `s3` with the header of a create-only request on all requests.
    pub(super) fn new(name: Bucket, s3: AmazonS3, create: AmazonS3) -> Self {
        let place = PrefixStore::new(s3.clone(), name.prefix.clone());
        Self { name, place, s3, create, large: LARGE, part: PART, backoff: Backoff::default() }
    }

    /// For tests: objects over `large` bytes are large, and their parts have `part` bytes.
    #[cfg(test)]
    pub(super) fn cut_at(self, large: usize, part: usize) -> Self {
        Self { large, part, ..self }
    }

    /// For tests: how long a conflict is waited for.
    #[cfg(test)]
    pub(super) fn wait(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// One attempt.
    async fn put(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if payload.content_length() <= self.large || matches!(options.mode, PutMode::Update(_)) {
            return self.place.put_opts(location, payload, options).await;
        }
        let path: Path = self.name.prefix.parts().chain(location.parts()).collect();
        let PutOptions { mode, tags, attributes, extensions } = options;
        let id = self.s3.create_multipart_opts(&path, PutMultipartOptions { tags, attributes, extensions }).await?;
        let upload = async {
            let parts = parts(&payload, self.part).into_iter().enumerate();
            let put = |(index, part)| self.s3.put_part(&path, &id, index, part);
            let sent = stream::iter(parts.map(put).collect::<Vec<_>>()).buffered(CONCURRENT_PARTS);
            let sent = sent.try_collect().await?;
            let store = if mode == PutMode::Create { &self.create } else { &self.s3 };
            store.complete_multipart(&path, &id, sent).await
        };
        match upload.await {
            Ok(put) => Ok(put),
            Err(error) => {
                if let Err(error) = self.s3.abort_multipart(&path, &id).await {
                    tracing::debug!("cannot abort the upload of {path} in {}: {error}", self.name);
                }
                Err(match error {
                    Error::Precondition { .. } => {
                        Error::AlreadyExists { path: location.to_string(), source: Box::new(error) }
                    }
                    error => error,
                })
            }
        }
    }
}

/// The payload in parts, without copying it.
fn parts(payload: &PutPayload, size: usize) -> Vec<PutPayload> {
    let (mut parts, mut part, mut room) = (Vec::new(), Vec::<Bytes>::new(), size);
    for chunk in payload {
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            let taken = rest.split_to(rest.len().min(room));
            room -= taken.len();
            part.push(taken);
            if room == 0 {
                parts.push(part.drain(..).collect());
                room = size;
            }
        }
    }
    if !part.is_empty() {
        parts.push(part.into_iter().collect());
    }
    parts
}

/// Whether S3 said 409: `object_store` says the same of it as of 412, but for where it comes from.
fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { source, .. } if !source.is::<Error>())
}

/// A bucket that is not there is no object that is not there.
fn missing_bucket(error: Error) -> Error {
    match error {
        Error::NotFound { source, .. } if source.to_string().contains("NoSuchBucket") => {
            Error::Generic { store: "S3", source }
        }
        error => error,
    }
}

impl fmt::Display for BucketStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Debug for BucketStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketStore").field(&self.name).finish()
    }
}

#[async_trait]
impl ObjectStore for BucketStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut backoff = self.backoff.clone();
        loop {
            let put = self.put(location, payload.clone(), options.clone()).await.map_err(missing_bucket);
            let error = match put {
                Err(error) if is_conflict(&error) => error,
                put => return put,
            };
            let Some(wait) = backoff.next() else {
                let source = format!("another write of it is not finished: {error}").into();
                return Err(Error::Generic { store: "S3", source });
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.place.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.place.get_opts(location, options).await.map_err(missing_bucket)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.place.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.place.list(prefix).map_err(missing_bucket).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.place.list_with_offset(prefix, offset).map_err(missing_bucket).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.place.list_with_delimiter(prefix).await.map_err(missing_bucket)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.place.copy_opts(from, to, options).await.map_err(missing_bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_without_regard_to_chunks() {
        let chunks = ["ab", "", "cdefghij", "k"].map(|text| Bytes::from_static(text.as_bytes()));
        let payload: PutPayload = chunks.into_iter().collect();
        for (size, lengths) in [(4, vec![4, 4, 3]), (11, vec![11]), (12, vec![11]), (1, vec![1; 11])] {
            let parts = parts(&payload, size);
            assert_eq!(parts.iter().map(PutPayload::content_length).collect::<Vec<_>>(), lengths);
            let bytes: Vec<u8> = parts.iter().flatten().flatten().copied().collect();
            assert_eq!(bytes, b"abcdefghijk");
        }
        assert!(parts(&PutPayload::new(), 4).is_empty());
    }
}
