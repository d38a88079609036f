//! The SDK's credentials for requests that the SDK does not make.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use tokio::sync::Mutex;

/// Asked anew this long before they end: longer than the attempts of one request, which all have the same, may take.
const BEFORE_THE_END: Duration = Duration::from_secs(120);
/// Kept for so long when they say no end, as files that people edit do.
const WITHOUT_AN_END: Duration = Duration::from_secs(900);
/// Kept for so long at least: a provider whose credentials are always about to end is not asked with every request.
const AT_LEAST: Duration = Duration::from_secs(5);
/// Longest that a provider may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whatever the SDK's configuration holds: a function's role, a profile, single sign-on, a container's or an instance's role,
/// a web identity, an assumed role of another account.
pub(super) struct SdkCredentials {
    provider: SharedCredentialsProvider,
    /// One request at a time asks; the others wait for its answer.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    credential: Arc<AwsCredential>,
    /// When to ask for others.
    until: SystemTime,
    /// When they are good for nothing.
    ends: Option<SystemTime>,
}

impl SdkCredentials {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, kept: Mutex::new(None) }
    }

    async fn ask(&self, now: SystemTime) -> Result<Kept> {
        let asked = tokio::time::timeout(PATIENCE, self.provider.provide_credentials()).await;
        let found = asked.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(PATIENCE))).map_err(failed)?;
        let ends = found.expiry();
        let until = match ends {
            Some(ends) => (ends - BEFORE_THE_END).max(now + AT_LEAST),
            None => now + WITHOUT_AN_END,
        };
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        Ok(Kept { credential, until, ends })
    }
}

impl fmt::Debug for SdkCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkCredentials").finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let now = SystemTime::now();
        let mut kept = self.kept.lock().await;
        if let Some(good) = kept.as_ref().filter(|kept| now < kept.until) {
            return Ok(Arc::clone(&good.credential));
        }
        match self.ask(now).await {
            Ok(found) => Ok(Arc::clone(&kept.insert(found).credential)),
            // Nobody answers, but what is kept is good for a while.
            Err(error) => match kept.as_ref().filter(|kept| kept.ends.is_none_or(|ends| now < ends)) {
                Some(good) => {
                    tracing::warn!("cannot renew credentials, those at hand are good for a while: {error}");
                    Ok(Arc::clone(&good.credential))
                }
                None => Err(error),
            },
        }
    }
}

/// A provider that does not answer may do so later; one that says no will not.
fn failed(error: CredentialsError) -> Error {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    let denied = match &error {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => true,
        CredentialsError::ProviderTimedOut(_) => false,
        _ => ["AccessDenied", "InvalidIdentityToken", "ExpiredToken"].iter().any(|code| text.contains(code)),
    };
    let source = format!("no credentials: {text}").into();
    if denied {
        Error::Unauthenticated { path: "credentials".to_owned(), source }
    } else {
        Error::Generic { store: "S3", source }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::future::ProvideCredentials as Provided;

    use super::*;

    /// Gives `answers` after another, counting in the key's name.
    #[derive(Debug)]
    struct Script {
        asked: Arc<AtomicU64>,
        ends_in: Option<Duration>,
        fails_after: u64,
    }

    impl ProvideCredentials for Script {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let ends = self.ends_in.map(|ends_in| SystemTime::now() + ends_in);
            Provided::ready(if number < self.fails_after {
                Ok(Credentials::new(format!("key-{number}"), "s3cr3t", None, ends, "script"))
            } else {
                Err(CredentialsError::provider_error("AccessDenied for sts:AssumeRole"))
            })
        }
    }

    async fn asked(ends_in: Option<Duration>, fails_after: u64, times: u32) -> (Vec<Result<String>>, u64) {
        let asked = Arc::new(AtomicU64::new(0));
        let script = Script { asked: Arc::clone(&asked), ends_in, fails_after };
        let credentials = SdkCredentials::new(SharedCredentialsProvider::new(script));
        assert!(!format!("{credentials:?}").contains("s3cr3t"));
        let mut keys = Vec::new();
        for _ in 0..times {
            keys.push(credentials.get_credential().await.map(|credential| credential.key_id.clone()));
            // As if its time were over, but not the credentials'.
            if let Some(kept) = credentials.kept.lock().await.as_mut().filter(|kept| kept.ends.is_some()) {
                kept.until = SystemTime::now();
            }
        }
        (keys, asked.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn they_are_kept_renewed_before_their_end_and_used_to_it() {
        let names = |keys: Vec<Result<String>>| keys.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        let (keys, times) = asked(None, 9, 3).await;
        assert_eq!((names(keys), times), (vec!["key-0".to_owned(); 3], 1));
        let hour = Some(Duration::from_secs(3_600));
        let (keys, _) = asked(hour, 9, 3).await;
        assert_eq!(names(keys), ["key-0", "key-1", "key-2"]);
        let (keys, times) = asked(hour, 1, 3).await;
        assert_eq!((names(keys), times), (vec!["key-0".to_owned(); 3], 3), "those at hand are good");
        let (keys, _) = asked(Some(Duration::ZERO), 1, 2).await;
        assert!(keys.last().unwrap().is_err(), "those at hand are over");
    }

    #[test]
    fn a_refusal_is_told_from_silence() {
        let not_loaded = failed(CredentialsError::not_loaded("nothing found"));
        assert!(
            matches!(&not_loaded, Error::Unauthenticated { .. }) && not_loaded.to_string().contains("nothing found")
        );
        let denied = failed(CredentialsError::provider_error("AccessDenied"));
        assert!(matches!(denied, Error::Unauthenticated { .. }));
        for silent in [CredentialsError::provider_timed_out(PATIENCE), CredentialsError::provider_error("no route")] {
            assert!(matches!(failed(silent), Error::Generic { .. }));
        }
    }
}
