//! A secret in AWS Secrets Manager, kept for minutes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_smithy_types::timeout::TimeoutConfig;
use tributary_aws::{AwsError, SdkConfig};

use crate::cache::{Cached, Fetch, Fetched};
use crate::contents::{Content, ContentError, Fields};

/// How long a secret is kept unless set otherwise: rotation is seen that soon even if nothing is refused.
pub const DEFAULT_SECRET_LIFE: Duration = Duration::from_secs(300);

/// Longest reading, retries included: whoever waits for a token gives up soon after.
const READING: Duration = Duration::from_secs(10);
/// A version that was read anew after a refusal and came back is not read anew at the next refusals for so long.
const CONFIRMED: Duration = Duration::from_secs(2);

/// Why there is no secret. Nothing of its content is in it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The name is none.
    #[error("{0:?} is no secret's name or ARN: letters, digits and '/', '_', '+', '=', '.', '@', '-' are possible")]
    Name(String),
    /// Secrets Manager did not give it.
    #[error("secret {name}: {error}{advice}")]
    Aws {
        /// The secret.
        name: String,
        /// What Secrets Manager or the network said.
        error: AwsError,
        /// What else to do.
        advice: &'static str,
    },
    /// It holds what it should not.
    #[error(
        "secret {name}: {error}; write the whole into a file and run: aws secretsmanager put-secret-value --secret-id {name} \
         --secret-string file://secret.json"
    )]
    Content {
        /// The secret.
        name: String,
        /// What is wrong.
        error: ContentError,
    },
}

impl SecretError {
    /// Whether a later attempt may succeed by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Aws { error, .. } if error.is_transient())
    }
}

/// A secret as it was stored.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    /// What it holds.
    pub content: T,
    /// Id of this version: another one after every change.
    pub version: String,
    /// When this version was stored.
    pub created: Option<SystemTime>,
}

impl<T> Stored<T> {
    /// How long ago this version was stored, as far as is known.
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.created?).ok()
    }
}

/// One secret. It is read when it is first needed and again when its life is over, or at once when it was refused; whoever
/// needs it at the same time shares one reading. When a reading fails for the moment, the old value serves on unless it
/// was refused.
#[derive(Clone)]
pub struct SecretStore<T: Content> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: Content> {
    cached: Cached<Reading<T>>,
    /// The version that came back when it was read anew, and when.
    confirmed: Mutex<Option<(String, SystemTime)>>,
}

impl<T: Content> std::fmt::Debug for SecretStore<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecretStore").field(&self.name()).finish()
    }
}

struct Reading<T> {
    client: aws_sdk_secretsmanager::Client,
    name: String,
    life: Duration,
    content: std::marker::PhantomData<fn() -> T>,
}

#[async_trait]
impl<T: Content> Fetch for Reading<T> {
    type Value = Arc<Stored<T>>;
    type Error = SecretError;

    async fn fetch(&self) -> Result<Fetched<Arc<Stored<T>>>, SecretError> {
        let stored = self.read().await?;
        let renew_at = SystemTime::now() + self.life;
        Ok(Fetched { value: Arc::new(stored), renew_at, over_at: None })
    }

    fn is_transient(error: &SecretError) -> bool {
        error.is_transient()
    }

    fn serves_on(error: &SecretError) -> bool {
        error.is_transient()
    }

    fn what(&self) -> String {
        format!("secret {}", self.name)
    }
}

impl<T: Content> Reading<T> {
    async fn read(&self) -> Result<Stored<T>, SecretError> {
        let answer = self.client.get_secret_value().secret_id(&self.name).send().await;
        let answer = answer.map_err(|error| {
            let error = AwsError::of("secretsmanager:GetSecretValue", &error);
            let advice = advice(&error);
            SecretError::Aws { name: self.name.clone(), error, advice }
        })?;
        let refused = |error| SecretError::Content { name: self.name.clone(), error };
        let text = answer.secret_string().ok_or_else(|| refused(ContentError::Binary))?;
        let content = Fields::parse(text).and_then(T::read).map_err(refused)?;
        let created = answer.created_date().and_then(|date| SystemTime::try_from(*date).ok());
        Ok(Stored { content, version: answer.version_id().unwrap_or_default().to_owned(), created })
    }
}

fn advice(error: &AwsError) -> &'static str {
    match error.code.as_str() {
        "ResourceNotFoundException" => "; check the name and that it is in this region and account",
        "InvalidRequestException" => "; is it marked for deletion? aws secretsmanager restore-secret --secret-id NAME",
        "DecryptionFailure" => "; grant kms:Decrypt on the secret's key to the role that runs this",
        _ => "",
    }
}

impl<T: Content> SecretStore<T> {
    /// The secret of this name or ARN. Nothing is read yet.
    ///
    /// # Errors
    /// The name is none.
    pub fn new(config: &SdkConfig, name: &str) -> Result<Self, SecretError> {
        Self::with_life(config, name, DEFAULT_SECRET_LIFE)
    }

    /// The same, kept for `life`.
    ///
    /// # Errors
    /// The name is none.
    pub fn with_life(config: &SdkConfig, name: &str, life: Duration) -> Result<Self, SecretError> {
        let fits = (1..=2048).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&byte));
        if !fits {
            return Err(SecretError::Name(name.chars().take(100).collect()));
        }
        let settings = aws_sdk_secretsmanager::config::Builder::from(config).timeout_config(bounded(config, READING));
        let client = aws_sdk_secretsmanager::Client::from_conf(settings.build());
        let reading = Reading { client, name: name.to_owned(), life, content: std::marker::PhantomData };
        Ok(Self { shared: Arc::new(Shared { cached: Cached::new(reading), confirmed: Mutex::default() }) })
    }

    /// Its name or ARN.
    pub fn name(&self) -> &str {
        &self.shared.cached.source().name
    }

    /// The secret.
    ///
    /// # Errors
    /// It cannot be read, or holds what it should not.
    pub async fn get(&self) -> Result<Arc<Stored<T>>, SecretError> {
        self.shared.cached.get().await
    }

    /// What `version` holds was refused where it was used: the next [`get`](Self::get) reads the secret anew. Without
    /// effect when a later version is at hand.
    pub fn invalidate(&self, version: &str) {
        self.shared.cached.refuse(|stored| stored.version == version);
    }

    /// As [`invalidate`](Self::invalidate), and reads it anew; whether the next [`get`](Self::get) gives anything else: another
    /// version, or the reason why there is none.
    pub async fn replaced(&self, version: &str) -> bool {
        let confirmed = || self.shared.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let just_now = |at: SystemTime| now.duration_since(at).is_ok_and(|since| since < CONFIRMED);
        if confirmed().as_ref().is_some_and(|(known, at)| known == version && just_now(*at)) {
            return false;
        }
        self.invalidate(version);
        match self.get().await {
            Ok(stored) if stored.version == version => {
                *confirmed() = Some((version.to_owned(), SystemTime::now()));
                false
            }
            _ => true,
        }
    }
}

/// The configuration's timeouts, and one for a call with all its retries.
pub(crate) fn bounded(config: &SdkConfig, whole: Duration) -> TimeoutConfig {
    let timeouts = config.timeout_config().cloned().unwrap_or_else(|| TimeoutConfig::builder().build());
    timeouts.into_builder().operation_timeout(whole).build()
}
