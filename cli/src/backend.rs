//! Back ends by URL: `memory:`, `sqlite:FILE`, `file:FOLDER`, and on AWS `dynamodb:TABLE`, `sqs:QUEUE`, `s3://BUCKET/PREFIX`.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use tributary_batch::TimestampMs;
use tributary_lake::{Bucket, BucketError, BucketUse, Durability, LocalStore};
use tributary_ledger::{Cursors, DynamoLedger, Ledger, MemoryLedger, SqliteLedger};
use tributary_queue::{InvalidSqsAddress, MemoryQueue, Queue, RedrivePolicy, SqliteQueue, SqsAddress, SqsQueue};

use tributary_pipeline::{Subject, examine_file, examine_folder};
use tributary_telemetry::Check;

use crate::aws::{Aws, LakeArgs};
use crate::failure::Failure;

const LEDGERS: &str = "sqlite:FILE, dynamodb:TABLE or memory:";
const QUEUES: &str = "sqlite:FILE, sqs:QUEUE or memory:";
const STORES: &str = "file:FOLDER, s3://BUCKET or memory:";

/// Where something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Gone with the process.
    Memory,
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A folder.
    Folder(PathBuf),
    /// A bucket, or a prefix in it.
    Bucket(Bucket),
    /// A table of DynamoDB, with the name of its TTL attribute where that is another than the ledger's.
    Table { name: String, ttl_attribute: Option<String> },
    /// A queue of SQS.
    Queue(SqsAddress),
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let path = || {
            // `file:///data/lake` and `file:data/lake` are both in use.
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() {
                Err(format!("{text:?} names no path: write {scheme}:PATH"))
            } else {
                Ok(PathBuf::from(path))
            }
        };
        match scheme {
            "memory" => Ok(Self::Memory),
            "sqlite" => Ok(Self::Sqlite(path()?)),
            "file" => Ok(Self::Folder(path()?)),
            "s3" => text.parse().map(Self::Bucket).map_err(|error: BucketError| error.to_string()),
            // The variables of the functions name queues by their URL alone.
            "https" | "http" => text.parse().map(Self::Queue).map_err(|error: InvalidSqsAddress| error.to_string()),
            "sqs" => rest.parse().map(Self::Queue).map_err(|error: InvalidSqsAddress| error.to_string()),
            "dynamodb" => table(rest).ok_or_else(|| {
                format!("{text:?} names no table: write dynamodb:TABLE, or dynamodb:TABLE?ttl=ATTRIBUTE")
            }),
            _ => Err(format!(
                "{text:?} is no back end: use sqlite:FILE, file:FOLDER, dynamodb:TABLE, sqs:QUEUE, s3://BUCKET or memory:"
            )),
        }
    }
}

/// `NAME` or `NAME?ttl=ATTRIBUTE`.
fn table(text: &str) -> Option<Backend> {
    let (name, ttl_attribute) = match text.split_once('?') {
        Some((name, query)) => (name, Some(query.strip_prefix("ttl=").filter(|ttl| !ttl.is_empty())?.to_owned())),
        None => (text, None),
    };
    // Names and ARNs.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b':' | b'/');
    let named = (3..=1_024).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('/');
    named.then(|| Backend::Table { name: name.to_owned(), ttl_attribute })
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Folder(path) => write!(f, "file:{}", path.display()),
            Self::Bucket(bucket) => bucket.fmt(f),
            Self::Table { name, ttl_attribute: None } => write!(f, "dynamodb:{name}"),
            Self::Table { name, ttl_attribute: Some(ttl) } => write!(f, "dynamodb:{name}?ttl={ttl}"),
            Self::Queue(address) => write!(f, "sqs:{address}"),
        }
    }
}

impl Backend {
    /// Opens a ledger.
    pub(crate) async fn ledger(&self, aws: &Aws) -> Result<Arc<dyn Ledger>, Failure> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryLedger::new())),
            Self::Sqlite(path) => Ok(Arc::new(SqliteLedger::open(parent(path)?).map_err(backend)?)),
            Self::Table { name, ttl_attribute } => {
                Ok(Arc::new(table_ledger(name, ttl_attribute.as_deref(), aws).await?))
            }
            _ => Err(self.unfit("a ledger", LEDGERS)),
        }
    }

    /// Opens a ledger's cursors.
    pub(crate) async fn cursors(&self, aws: &Aws) -> Result<Arc<dyn Cursors>, Failure> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryLedger::new())),
            Self::Sqlite(path) => Ok(Arc::new(SqliteLedger::open(parent(path)?).map_err(backend)?)),
            Self::Table { name, ttl_attribute } => {
                Ok(Arc::new(table_ledger(name, ttl_attribute.as_deref(), aws).await?))
            }
            _ => Err(self.unfit("a ledger", LEDGERS)),
        }
    }

    /// Opens a queue, of this name where a place holds several. It knows its dead letters.
    pub(crate) async fn queue(&self, name: &str, aws: &Aws) -> Result<Arc<dyn Queue>, Failure> {
        let policy = RedrivePolicy::default();
        match self {
            Self::Memory => Ok(Arc::new(MemoryQueue::new(policy))),
            Self::Sqlite(path) => Ok(Arc::new(SqliteQueue::open(parent(path)?, name, policy).map_err(backend)?)),
            Self::Queue(address) => {
                let queue = SqsQueue::open(aws.config().await?, address).await.map_err(backend)?;
                Ok(Arc::new(queue.with_dead_letters().await.map_err(backend)?))
            }
            _ => Err(self.unfit("a queue", QUEUES)),
        }
    }

    /// Opens a store of objects.
    pub(crate) async fn store(&self, aws: &Aws) -> Result<Arc<dyn ObjectStore>, Failure> {
        self.lake(&LakeArgs::default(), aws).await
    }

    /// Opens a store that is written in the way that `args` say.
    pub(crate) async fn lake(&self, args: &LakeArgs, aws: &Aws) -> Result<Arc<dyn ObjectStore>, Failure> {
        match self {
            Self::Bucket(bucket) => {
                let (config, options) = args.resolve(aws).await?;
                bucket.open(&config, &options).map_err(|error| Failure::Usage(error.to_string()))
            }
            _ if args.any() => {
                Err(Failure::Usage(format!("{self} has no role and no KMS key: use s3://BUCKET with them")))
            }
            Self::Memory => Ok(Arc::new(InMemory::new())),
            Self::Folder(path) => {
                // The message that would bring an object back is deleted once it is written.
                let store = LocalStore::open(path, Durability::Flushed);
                Ok(Arc::new(store.map_err(|error| Failure::file("open", path, &error))?))
            }
            _ => Err(self.unfit("objects", STORES)),
        }
    }

    /// Whether it is a service of AWS.
    pub(crate) fn is_on_aws(&self) -> bool {
        matches!(self, Self::Bucket(_) | Self::Table { .. } | Self::Queue(_))
    }

    /// Looks at a ledger.
    pub(crate) async fn examine_ledger(&self, aws: &Aws) -> Result<Subject, Failure> {
        match self {
            Self::Table { name, ttl_attribute } => {
                if aws.config().await.is_err() {
                    return Ok(nobody("ledger"));
                }
                let ledger = table_ledger(name, ttl_attribute.as_deref(), aws).await?;
                Ok(Subject::new("ledger", async move { ledger.examine().await }))
            }
            Self::Memory | Self::Sqlite(_) => Ok(self.examine_here("ledger")),
            _ => Err(self.unfit("a ledger", LEDGERS)),
        }
    }

    /// Looks at a queue. `timeout` is that of the function that receives.
    pub(crate) async fn examine_queue(
        &self,
        name: &'static str,
        aws: &Aws,
        timeout: Option<Duration>,
        now: TimestampMs,
    ) -> Result<Subject, Failure> {
        match self {
            Self::Queue(address) => {
                let Ok(config) = aws.config().await else { return Ok(nobody(name)) };
                let (config, address) = (config.clone(), address.clone());
                Ok(Subject::new(name, async move {
                    match SqsQueue::open(&config, &address).await {
                        Ok(queue) => queue.examine(name, timeout, now).await,
                        Err(error) => {
                            let remedy =
                                "make the queue, or name its URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME";
                            vec![Check::failed_with(format!("{name}: queue"), error, remedy)]
                        }
                    }
                }))
            }
            Self::Memory | Self::Sqlite(_) => Ok(self.examine_here(name)),
            _ => Err(self.unfit("a queue", QUEUES)),
        }
    }

    /// Looks at a place of objects.
    pub(crate) async fn examine_objects(
        &self,
        name: &'static str,
        args: &LakeArgs,
        aws: &Aws,
        used: BucketUse,
    ) -> Result<Subject, Failure> {
        match self {
            Self::Bucket(bucket) => {
                if aws.config().await.is_err() {
                    return Ok(nobody(name));
                }
                let ((config, options), bucket) = (args.resolve(aws).await?, bucket.clone());
                Ok(Subject::new(name, async move { bucket.examine(&config, &options, &used).await }))
            }
            Self::Memory | Self::Folder(_) => Ok(self.examine_here(name)),
            _ => Err(self.unfit("objects", STORES)),
        }
    }

    fn examine_here(&self, name: &'static str) -> Subject {
        let place = self.clone();
        let look = async move {
            vec![match &place {
                Self::Sqlite(path) => examine_file(name, path),
                Self::Folder(path) => examine_folder(name, path),
                _ => Check::warning(name, "in memory: gone with the process", "name a place that lasts"),
            }]
        };
        Subject::new(name, look)
    }

    fn unfit(&self, what: &str, instead: &str) -> Failure {
        Failure::Usage(format!("{self} cannot hold {what}: use {instead}"))
    }
}

/// Without AWS's configuration nothing there can be looked at.
fn nobody(name: &'static str) -> Subject {
    Subject::new(name, async move { vec![Check::skipped(name, "AWS's configuration cannot be used")] })
}

async fn table_ledger(name: &str, ttl_attribute: Option<&str>, aws: &Aws) -> Result<DynamoLedger, Failure> {
    let ledger = DynamoLedger::new(aws.config().await?, name);
    match ttl_attribute {
        Some(ttl) => ledger.ttl_attribute(ttl).map_err(|error| Failure::Usage(error.to_string())),
        None => Ok(ledger),
    }
}

/// The path, after its folder was made.
fn parent(path: &Path) -> Result<&Path, Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
    }
    Ok(path)
}

fn backend(error: impl std::fmt::Display) -> Failure {
    Failure::Backend(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!("memory:".parse(), Ok(Backend::Memory));
        assert_eq!("sqlite:a/b.db".parse(), Ok(Backend::Sqlite("a/b.db".into())));
        assert_eq!("file:///data/lake".parse(), Ok(Backend::Folder("/data/lake".into())));
        assert_eq!("s3://lake/a/".parse::<Backend>().map(|backend| backend.to_string()), Ok("s3://lake/a".to_owned()));
        assert_eq!("file:lake".parse::<Backend>().map(|backend| backend.to_string()), Ok("file:lake".to_owned()));
        for text in [
            "dynamodb:tributary-checkpoints",
            "dynamodb:arn:aws:dynamodb:eu-west-1:123456789012:table/t?ttl=expiresAt",
            "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/events",
            "sqs:events",
        ] {
            assert_eq!(text.parse::<Backend>().map(|backend| backend.to_string()), Ok(text.to_owned()));
        }
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/events";
        assert_eq!(url.parse::<Backend>(), format!("sqs:{url}").parse());
        for text in [
            "",
            "lake",
            "sqlite:",
            "file://",
            "s3:bucket",
            "http://x",
            "dynamodb:",
            "dynamodb://table",
            "dynamodb:table?x=y",
            "dynamodb:table?ttl=",
            "sqs:",
            "sqs:a.fifo",
        ] {
            let error = text.parse::<Backend>().unwrap_err();
            let helps = ["sqlite:FILE", "PATH", "s3://BUCKET", "dynamodb:TABLE", "its ARN or its name", "standard one"];
            assert!(helps.iter().any(|right| error.contains(right)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_back_end_is_told_what_it_cannot_hold() {
        let aws = Aws::default();
        let backend = |text: &str| text.parse::<Backend>().unwrap();
        for (failure, instead) in [
            (backend("sqs:events").ledger(&aws).await.err(), LEDGERS),
            (backend("dynamodb:table").queue("events", &aws).await.err(), QUEUES),
            (backend("sqlite:x.db").store(&aws).await.err(), STORES),
        ] {
            let failure = failure.unwrap();
            assert!(failure.text().contains(instead), "{}", failure.text());
        }
    }
}
