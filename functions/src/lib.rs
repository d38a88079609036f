//! The Lambda functions: one binary, the handler's name chooses the job.
//!
//! A handler reads its settings from the [`Environment`], builds a job of `tributary-pipeline` over AWS's back ends, and runs it
//! for each [`Invocation`]. What the jobs need of AWS is declared in [`permissions`], once, and generated from there.
//!
//! A missing or malformed setting ends the cold start with a message that names it. An invocation that failed fails: alarms on
//! Lambda's own error metric see it.

pub mod environment;
pub mod generated;
pub mod handlers;
mod invocation;
pub mod permissions;
pub mod sqs_event;

pub use environment::{Environment, EnvironmentError};
pub use handlers::Handler;
pub use invocation::{Failed, Invocation, Job, serve};

use std::sync::Arc;

use object_store::ObjectStore;
use tributary_aws::SdkConfig;
use tributary_lake::{Bucket, BucketOptions};
use tributary_ledger::DynamoLedger;
use tributary_queue::{SqsAddress, SqsQueue};

/// What a cold start has: the settings, and AWS's configuration when it is first asked for.
#[derive(Debug)]
pub struct Start {
    /// The settings.
    pub environment: Environment,
}

impl Start {
    /// The integration's instance id.
    ///
    /// # Errors
    /// When it could not stand in a path.
    pub fn module(&self) -> Result<String, EnvironmentError> {
        const EXPECTED: &str = "1 to 64 letters, digits, '-' and '_', such as azure";
        let module = self.environment.text("MODULE_ID").unwrap_or("azure");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=64).contains(&module.len()) || !module.bytes().all(plain) {
            return Err(Environment::malformed("MODULE_ID", EXPECTED, module));
        }
        Ok(module.to_owned())
    }

    /// Region, credentials and endpoints of every client.
    ///
    /// # Errors
    /// When there is no region, or an endpoint would be spoken to in the clear.
    pub async fn aws(&self) -> Result<SdkConfig, Failed> {
        tributary_aws::load(None).await.map_err(|error| Failed(error.to_string()))
    }

    /// The ledger's table.
    ///
    /// # Errors
    /// When none is named.
    pub fn ledger_table(&self) -> Result<&str, EnvironmentError> {
        // The older name is still in use.
        let older = self.environment.text("DYNAMODB_TABLE_NAME");
        match self.environment.text("CHECKPOINT_TABLE_NAME").or(older) {
            Some(table) => Ok(table),
            None => self.environment.required("CHECKPOINT_TABLE_NAME", "the name of the ledger's table"),
        }
    }

    /// The ledger, whose items end by the attribute that the table's time to live is on.
    ///
    /// # Errors
    /// When no table is named, or the attribute is one of the ledger's own.
    pub fn ledger(&self, aws: &SdkConfig) -> Result<DynamoLedger, Failed> {
        let ledger = DynamoLedger::new(aws, self.ledger_table()?);
        match self.environment.text("CHECKPOINT_TTL_ATTRIBUTE") {
            None => Ok(ledger),
            Some(name) => {
                ledger.ttl_attribute(name).map_err(|error| Failed(format!("CHECKPOINT_TTL_ATTRIBUTE: {error}")))
            }
        }
    }

    /// The queue that a variable names.
    ///
    /// # Errors
    /// When it names none, or a name of a queue that the service does not know.
    pub async fn queue(&self, aws: &SdkConfig, variable: &'static str) -> Result<Arc<SqsQueue>, Failed> {
        const EXPECTED: &str =
            "the URL of a queue, such as https://sqs.eu-west-1.amazonaws.com/111122223333/event-queue";
        let address: SqsAddress = self.environment.required_as(variable, EXPECTED)?;
        let queue = SqsQueue::open(aws, &address).await.map_err(|error| Failed(format!("{variable}: {error}")))?;
        Ok(Arc::new(queue))
    }

    /// The bucket that a variable names, encrypted as the bucket itself says.
    ///
    /// # Errors
    /// When it names none.
    pub fn bucket(&self, aws: &SdkConfig, variable: &'static str) -> Result<Arc<dyn ObjectStore>, Failed> {
        self.bucket_with(aws, variable, &BucketOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Self::bucket`].
    pub fn bucket_with(
        &self,
        aws: &SdkConfig,
        variable: &'static str,
        options: &BucketOptions,
    ) -> Result<Arc<dyn ObjectStore>, Failed> {
        const EXPECTED: &str = "a bucket's name, or s3://BUCKET/PREFIX";
        let name = self.environment.required(variable, EXPECTED)?;
        let uri = if name.starts_with("s3://") { name.to_owned() } else { format!("s3://{name}") };
        let bucket: Bucket = uri.parse().map_err(|_| Environment::malformed(variable, EXPECTED, name))?;
        bucket.open(aws, options).map_err(|error| Failed(format!("{variable}: {error}")))
    }
}

impl From<EnvironmentError> for Failed {
    fn from(error: EnvironmentError) -> Self {
        Self(error.to_string())
    }
}
