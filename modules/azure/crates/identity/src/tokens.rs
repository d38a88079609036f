//! Access tokens by scope, kept and renewed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tributary_aws::SdkConfig;

use crate::cache::{Cached, Fetch, Fetched};
use crate::contents::Content;
use crate::entra::Entra;
use crate::error::IdentityError;
use crate::evidence::{Application, Federated};
use crate::federation::AwsRole;
use crate::store::SecretStore;

/// A token that lives as long as usual (an hour or more) is renewed so long before its end, if not before.
const SOONER: Duration = Duration::from_secs(300);
/// A token that was issued within this and is refused is not refused for its age.
const YOUNG: Duration = Duration::from_secs(60);

/// What a token lets into.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(std::borrow::Cow<'static, str>);

impl Scope {
    /// Azure Event Hubs, in every cloud.
    pub const EVENT_HUBS: Self = Self(std::borrow::Cow::Borrowed("https://eventhubs.azure.net/.default"));
    /// Azure Storage, in every cloud.
    pub const STORAGE: Self = Self(std::borrow::Cow::Borrowed("https://storage.azure.com/.default"));

    /// Another service's: its resource with `/.default`.
    pub fn new(scope: impl Into<String>) -> Self {
        Self(std::borrow::Cow::Owned(scope.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A bearer token. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// Its text.
    pub secret: SecretString,
    /// When it was asked for.
    pub issued_at: SystemTime,
    /// When it ends.
    pub expires_at: SystemTime,
}

impl AccessToken {
    /// After three quarters of its life, and five minutes before its end if that leaves it half of its life.
    fn renew_at(&self) -> SystemTime {
        let life = self.expires_at.duration_since(self.issued_at).unwrap_or_default();
        let sooner = life.saturating_sub(SOONER);
        let after = life.mul_f64(0.75);
        let after = if sooner >= life / 2 { after.min(sooner) } else { after };
        self.issued_at.checked_add(after).unwrap_or(self.issued_at)
    }
}

/// Tokens of one Entra application, one per scope: asked for when first needed, renewed before they end, shared by all who ask at
/// the same time. A renewal that fails leaves the token in use for as long as it is valid.
#[derive(Clone)]
pub struct AccessTokens {
    shared: Arc<Shared>,
    scopes: Arc<Mutex<HashMap<Scope, Arc<Cached<Asking>>>>>,
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessTokens({})", self.shared.application.what())
    }
}

struct Shared {
    application: Box<dyn Application>,
    entra: Entra,
}

impl AccessTokens {
    /// Those of the application whose secret is in `store`, whatever it is at the time.
    pub fn from_secret<T: Content>(store: SecretStore<T>, entra: Entra) -> Self {
        Self::new(Box::new(store), entra)
    }

    /// Those of the application that trusts the AWS role that this runs in.
    pub fn federated(tenant: impl Into<String>, client: impl Into<String>, config: &SdkConfig, entra: Entra) -> Self {
        let role = AwsRole::new(config);
        Self::new(Box::new(Federated { tenant: tenant.into(), client: client.into(), role }), entra)
    }

    fn new(application: Box<dyn Application>, entra: Entra) -> Self {
        Self { shared: Arc::new(Shared { application, entra }), scopes: Arc::default() }
    }

    fn cached(&self, scope: &Scope) -> Arc<Cached<Asking>> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = scopes.get(scope) {
            return Arc::clone(cached);
        }
        let asking = Asking { shared: Arc::clone(&self.shared), scope: scope.clone() };
        let cached = Arc::new(Cached::new(asking));
        scopes.insert(scope.clone(), Arc::clone(&cached));
        cached
    }

    /// A token for `scope` that is valid now.
    ///
    /// # Errors
    /// The secret or the role's token cannot be had, or Entra refuses or cannot be reached.
    pub async fn token(&self, scope: &Scope) -> Result<AccessToken, IdentityError> {
        Ok(self.cached(scope).get().await?.token)
    }

    /// A service refused `token`, one of [`token`](Self::token)'s for `scope`: whether that gives another one now. It does when
    /// the secret was changed, or when the token is no longer young; else the service does not let this application in.
    pub async fn rejected(&self, scope: &Scope, token: &SecretString) -> bool {
        let cached = self.cached(scope);
        let same = |issued: &Issued| issued.token.secret.expose_secret() == token.expose_secret();
        let issued = match cached.at_hand() {
            Some(issued) if same(&issued) => issued,
            _ => return true,
        };
        let old = SystemTime::now().duration_since(issued.token.issued_at).is_ok_and(|age| age >= YOUNG);
        let another = self.shared.application.changed(issued.version.as_deref()).await || old;
        if another {
            cached.refuse(same);
        }
        another
    }
}

/// A token, and the version of the secret that it was had with.
#[derive(Clone)]
struct Issued {
    token: AccessToken,
    version: Option<String>,
}

/// Asking for one scope's token.
struct Asking {
    shared: Arc<Shared>,
    scope: Scope,
}

#[async_trait]
impl Fetch for Asking {
    type Value = Issued;
    type Error = IdentityError;

    async fn fetch(&self) -> Result<Fetched<Issued>, IdentityError> {
        let Shared { application, entra } = self.shared.as_ref();
        let mut evidence = application.evidence().await?;
        let mut asked = entra.token(&evidence, &self.scope).await;
        if let Err(error) = &asked
            && !error.transient
            && application.changed(evidence.version.as_deref()).await
        {
            // What Entra refuses may have been changed a moment ago.
            evidence = application.evidence().await?;
            asked = entra.token(&evidence, &self.scope).await;
        }
        let token = asked?;
        tracing::debug!(scope = self.scope.as_str(), "token of Microsoft Entra had");
        let (renew_at, over_at) = (token.renew_at(), Some(token.expires_at));
        Ok(Fetched { value: Issued { token, version: evidence.version }, renew_at, over_at })
    }

    fn is_transient(error: &IdentityError) -> bool {
        error.is_transient()
    }

    fn serves_on(_: &IdentityError) -> bool {
        true
    }

    fn what(&self) -> String {
        format!("token for {}", self.scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_in_time_whatever_its_life() {
        let now = SystemTime::now();
        let seconds = Duration::from_secs;
        for (life, after) in
            [(3600, 2700), (86_400, 64_800), (1200, 900), (900, 600), (600, 300), (599, 449), (60, 45), (4, 3)]
        {
            let token =
                AccessToken { secret: SecretString::from("x"), issued_at: now, expires_at: now + seconds(life) };
            let due = token.renew_at().duration_since(now).unwrap();
            assert_eq!(due.as_secs(), after, "{life}");
        }
    }
}
