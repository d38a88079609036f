//! The credential of an Event Hub that follows rotation.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tributary_aws::SdkConfig;
use tributary_azure_eventhub::{Credential, EventHubBuilder, Token, TokenError, TokenKind, TokenProvider};

use crate::address::HubAddress;
use crate::contents::{EventHubSecret, HubAccess};
use crate::entra::Entra;
use crate::error::IdentityError;
use crate::federation::AwsRole;
use crate::settings::HubSettings;
use crate::store::{SecretError, SecretStore};
use crate::tokens::{AccessTokens, Scope};

/// Which hub it is and how to be let in.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Where the namespace is.
    pub address: HubAddress,
    /// Name of the hub.
    pub hub: String,
    /// Consumer group.
    pub consumer_group: String,
    /// Follows rotation: after a refusal, the next token or signature comes from a secret that was read anew.
    pub credential: Credential,
}

impl Hub {
    /// A client's builder with all of it set.
    pub fn builder(&self) -> EventHubBuilder {
        let HubAddress { host, port, tls } = &self.address;
        let builder = EventHubBuilder::new()
            .namespace(host)
            .tls(*tls)
            .hub(&self.hub)
            .consumer_group(&self.consumer_group)
            .credential(self.credential.clone());
        match port {
            Some(port) => builder.port(*port),
            None => builder,
        }
    }
}

/// The credentials of an Event Hub, by [`HubSettings`].
#[derive(Debug, Clone)]
pub struct HubCredentials {
    pub(crate) way: Way,
}

#[derive(Debug, Clone)]
pub(crate) enum Way {
    Secret { store: SecretStore<EventHubSecret>, tokens: AccessTokens },
    Federated { hub: Hub, tokens: AccessTokens, role: AwsRole },
}

impl HubCredentials {
    /// Nothing is read or asked for yet.
    ///
    /// # Errors
    /// The secret's name is none.
    pub fn new(settings: HubSettings, config: &SdkConfig, entra: Entra) -> Result<Self, SecretError> {
        let way = match settings {
            HubSettings::Secret { name } => Way::secret(SecretStore::new(config, &name)?, entra),
            HubSettings::Federated { tenant, client, address, hub, consumer_group } => {
                let tokens = AccessTokens::federated(tenant, client, config, entra);
                let credential = Credential::Provider(Arc::new(RoleTokens { tokens: tokens.clone() }));
                let hub = Hub { address, hub, consumer_group, credential };
                Way::Federated { hub, tokens, role: AwsRole::new(config) }
            }
        };
        Ok(Self { way })
    }

    /// Those in a secret that is kept by the caller.
    pub fn from_store(store: SecretStore<EventHubSecret>, entra: Entra) -> Self {
        Self { way: Way::secret(store, entra) }
    }

    /// Which hub it is now, and the credential for it. A secret that names another hub later gives this credential's holder an
    /// error: what lives long may ask again now and then and start anew.
    ///
    /// # Errors
    /// The secret cannot be read or holds what it should not.
    pub async fn hub(&self) -> Result<Hub, IdentityError> {
        match &self.way {
            Way::Federated { hub, .. } => Ok(hub.clone()),
            Way::Secret { store, tokens } => {
                let EventHubSecret { address, hub, consumer_group, .. } = store.get().await?.content.clone();
                let provider = SecretTokens {
                    store: store.clone(),
                    tokens: tokens.clone(),
                    address: address.clone(),
                    hub: hub.clone(),
                    signed: Mutex::default(),
                };
                let credential = Credential::Provider(Arc::new(provider));
                Ok(Hub { address, hub, consumer_group, credential })
            }
        }
    }

    /// How long ago the secret was stored, if there is one that says so.
    ///
    /// # Errors
    /// As [`Self::hub`].
    pub async fn secret_age(&self) -> Result<Option<Duration>, IdentityError> {
        match &self.way {
            Way::Federated { .. } => Ok(None),
            Way::Secret { store, .. } => Ok(store.get().await?.age(SystemTime::now())),
        }
    }
}

impl Way {
    fn secret(store: SecretStore<EventHubSecret>, entra: Entra) -> Self {
        let tokens = AccessTokens::from_secret(store.clone(), entra);
        Self::Secret { store, tokens }
    }
}

async fn bearer(tokens: &AccessTokens) -> Result<Token, IdentityError> {
    let token = tokens.token(&Scope::EVENT_HUBS).await?;
    Ok(Token { secret: token.secret, kind: TokenKind::Jwt, expires_at: Some(token.expires_at) })
}

/// Tokens of the application that trusts the AWS role.
struct RoleTokens {
    tokens: AccessTokens,
}

#[async_trait]
impl TokenProvider for RoleTokens {
    async fn token(&self, _audience: &str) -> Result<Token, TokenError> {
        Ok(bearer(&self.tokens).await?)
    }

    async fn rejected(&self, token: &Token) -> bool {
        self.tokens.rejected(&Scope::EVENT_HUBS, &token.secret).await
    }
}

/// What the secret gives at the time: a signature by the policy's key, or a token of the application.
struct SecretTokens {
    store: SecretStore<EventHubSecret>,
    tokens: AccessTokens,
    /// The hub that is read.
    address: HubAddress,
    hub: String,
    /// The last signature, and the version that its key is from.
    signed: Mutex<Option<(SecretString, String)>>,
}

impl SecretTokens {
    /// A signature by the key at hand; `None` when the secret holds an application.
    async fn sign(&self, audience: &str) -> Result<Option<Token>, TokenError> {
        let stored = self.store.get().await.map_err(IdentityError::from)?;
        let EventHubSecret { address, hub, access, .. } = &stored.content;
        if *address != self.address || !hub.eq_ignore_ascii_case(&self.hub) {
            let read = format!("{} of {}", self.hub, self.address.host);
            return Err(IdentityError::OtherHub { secret: self.store.name().to_owned(), read }.into());
        }
        let HubAccess::ConnectionString(connection) = access else { return Ok(None) };
        let token = Credential::from(connection.secret.clone()).token(audience, SystemTime::now()).await?;
        *self.signed() = Some((token.secret.clone(), stored.version.clone()));
        Ok(Some(token))
    }

    /// As [`Self::sign`]; a ready signature that ran out is looked up anew.
    async fn sign_now(&self, audience: &str) -> Result<Option<Token>, TokenError> {
        match self.sign(audience).await {
            Err(error @ (TokenError::Fatal(_) | TokenError::Denied(_))) => match self.store.get().await {
                Ok(stored) if self.store.replaced(&stored.version).await => self.sign(audience).await,
                _ => Err(error),
            },
            signed => signed,
        }
    }

    fn signed(&self) -> std::sync::MutexGuard<'_, Option<(SecretString, String)>> {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenProvider for SecretTokens {
    async fn token(&self, audience: &str) -> Result<Token, TokenError> {
        match self.sign_now(audience).await? {
            Some(token) => Ok(token),
            None => Ok(bearer(&self.tokens).await?),
        }
    }

    async fn rejected(&self, token: &Token) -> bool {
        if token.kind == TokenKind::Jwt {
            return self.tokens.rejected(&Scope::EVENT_HUBS, &token.secret).await;
        }
        let version = match &*self.signed() {
            Some((signed, version)) if signed.expose_secret() == token.secret.expose_secret() => version.clone(),
            _ => return true,
        };
        self.store.replaced(&version).await
    }
}
