//! The credential of flow logs' storage that follows rotation.

use std::time::{Duration, SystemTime};

use tributary_aws::SdkConfig;

use crate::contents::FlowLogSecret;
use crate::entra::Entra;
use crate::error::IdentityError;
use crate::settings::FlowLogSettings;
use crate::store::{SecretError, SecretStore};
use crate::tokens::AccessTokens;

/// The credentials of the storage that flow logs are in, by [`FlowLogSettings`].
#[derive(Debug, Clone)]
pub struct FlowLogCredentials {
    tokens: AccessTokens,
    store: Option<SecretStore<FlowLogSecret>>,
}

impl FlowLogCredentials {
    /// Nothing is read or asked for yet.
    ///
    /// # Errors
    /// The secret's name is none.
    pub fn new(settings: FlowLogSettings, config: &SdkConfig, entra: Entra) -> Result<Self, SecretError> {
        Ok(match settings {
            FlowLogSettings::Secret { name } => Self::from_store(SecretStore::new(config, &name)?, entra),
            FlowLogSettings::Federated { tenant, client } => {
                Self { tokens: AccessTokens::federated(tenant, client, config, entra), store: None }
            }
        })
    }

    /// Those in a secret that is kept by the caller.
    pub fn from_store(store: SecretStore<FlowLogSecret>, entra: Entra) -> Self {
        Self { tokens: AccessTokens::from_secret(store.clone(), entra), store: Some(store) }
    }

    /// Tokens of the application.
    pub fn tokens(&self) -> &AccessTokens {
        &self.tokens
    }

    pub(crate) fn store(&self) -> Option<&SecretStore<FlowLogSecret>> {
        self.store.as_ref()
    }

    /// The storage account that the secret names now; `None` where there is no secret.
    ///
    /// # Errors
    /// The secret cannot be read or holds what it should not.
    pub async fn storage_account(&self) -> Result<Option<String>, IdentityError> {
        match &self.store {
            None => Ok(None),
            Some(store) => Ok(Some(store.get().await?.content.storage_account.clone())),
        }
    }

    /// How long ago the secret was stored, if there is one that says so.
    ///
    /// # Errors
    /// As [`Self::storage_account`].
    pub async fn secret_age(&self) -> Result<Option<Duration>, IdentityError> {
        match &self.store {
            None => Ok(None),
            Some(store) => Ok(store.get().await?.age(SystemTime::now())),
        }
    }
}
