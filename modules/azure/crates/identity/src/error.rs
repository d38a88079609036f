//! Why there is no credential.

use tributary_azure_eventhub::TokenError;

use crate::federation::FederationError;
use crate::refusal::EntraError;
use crate::store::SecretError;

/// Why there is no token or signature, in one line that says what to do; no secret is in it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The AWS role's own token cannot be had.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// Entra refuses, or cannot be reached.
    #[error(transparent)]
    Entra(#[from] EntraError),
    /// The secret lets in by a connection string where an application is needed.
    #[error(
        "secret {secret} holds no application: it needs tenantId, clientId and clientSecret, and no connectionString"
    )]
    NoApplication {
        /// The secret.
        secret: String,
    },
    /// The secret names another hub than it did when the source was made.
    #[error("secret {secret} names another hub than the one that is read ({read}): start anew to read the other")]
    OtherHub {
        /// The secret.
        secret: String,
        /// Namespace and hub that are read.
        read: String,
    },
}

impl IdentityError {
    /// Whether a later attempt may succeed by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Secret(error) => error.is_transient(),
            Self::Federation(error) => error.is_transient(),
            Self::Entra(error) => error.transient,
            Self::NoApplication { .. } | Self::OtherHub { .. } => false,
        }
    }

    /// Whether AWS denied a call, or Entra the identity (metric `AccessDenied`).
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Secret(SecretError::Aws { error, .. }) | Self::Federation(FederationError::Aws { error, .. }) => {
                error.is_denied()
            }
            Self::Federation(FederationError::Disabled) => true,
            Self::Entra(error) => !error.transient,
            _ => false,
        }
    }
}

impl From<IdentityError> for TokenError {
    fn from(error: IdentityError) -> Self {
        match error.is_transient() {
            true => Self::Transient(error.to_string()),
            false if error.is_denied() => Self::Denied(error.to_string()),
            false => Self::Fatal(error.to_string()),
        }
    }
}
