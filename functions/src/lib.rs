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

use tributary_aws::SdkConfig;

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
}

impl From<EnvironmentError> for Failed {
    fn from(error: EnvironmentError) -> Self {
        Self(error.to_string())
    }
}
