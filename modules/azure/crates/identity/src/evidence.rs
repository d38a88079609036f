//! What an Entra application proves itself with.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::contents::{ClientSecret, Content};
use crate::error::IdentityError;
use crate::federation::AwsRole;
use crate::store::SecretStore;

/// An application's proof, for one request.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    pub(crate) tenant: String,
    pub(crate) client: String,
    /// The client secret, or the assertion.
    pub(crate) secret: SecretString,
    pub(crate) proof: Proof,
    /// Version of the secret that it is from.
    pub(crate) version: Option<String>,
}

/// What kind of proof it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A client secret from a secret of this name.
    Stored { secret: String },
    /// A token of the AWS role.
    Assertion,
}

/// An application.
#[async_trait]
pub(crate) trait Application: Send + Sync {
    /// What it is, for `Debug`.
    fn what(&self) -> String;

    async fn evidence(&self) -> Result<Evidence, IdentityError>;

    /// What was from this version of the secret was refused: whether there is anything else now.
    async fn changed(&self, version: Option<&str>) -> bool;
}

#[async_trait]
impl<T: Content> Application for SecretStore<T> {
    fn what(&self) -> String {
        format!("secret {}", self.name())
    }

    async fn evidence(&self) -> Result<Evidence, IdentityError> {
        let stored = self.get().await?;
        let name = self.name();
        match stored.content.client() {
            Some(ClientSecret { tenant, client, secret }) => Ok(Evidence {
                tenant: tenant.clone(),
                client: client.clone(),
                secret: secret.clone(),
                proof: Proof::Stored { secret: name.to_owned() },
                version: Some(stored.version.clone()),
            }),
            None => Err(IdentityError::NoApplication { secret: name.to_owned() }),
        }
    }

    async fn changed(&self, version: Option<&str>) -> bool {
        match version {
            Some(version) => self.replaced(version).await,
            None => false,
        }
    }
}

/// An application that trusts the AWS role.
pub(crate) struct Federated {
    pub(crate) tenant: String,
    pub(crate) client: String,
    pub(crate) role: AwsRole,
}

#[async_trait]
impl Application for Federated {
    fn what(&self) -> String {
        format!("application {}, federated", self.client)
    }

    async fn evidence(&self) -> Result<Evidence, IdentityError> {
        Ok(Evidence {
            tenant: self.tenant.clone(),
            client: self.client.clone(),
            secret: self.role.assertion().await?,
            proof: Proof::Assertion,
            version: None,
        })
    }

    async fn changed(&self, _: Option<&str>) -> bool {
        false
    }
}
