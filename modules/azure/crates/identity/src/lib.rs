//! Who the clients of Azure are.
//!
//! Three ways to prove it, one thing to hold: [`HubCredentials`] gives an Event Hub's name and a credential for it, by
//! [`HubSettings`], that is by variables:
//!
//! | way | what is stored | what the hub sees |
//! |---|---|---|
//! | a secret with a connection string | a shared access policy's key | signatures, made here |
//! | a secret with an Entra application | a client secret | tokens of Microsoft Entra |
//! | federated | nothing | tokens of Microsoft Entra, had with the AWS role's own token |
//!
//! All follow rotation without a restart. A secret is read again every few minutes, and at once when what it gave was refused, by
//! Entra or by the hub; its old value serves on while Secrets Manager cannot be reached. Tokens are shared by all who ask at the
//! same time and renewed before they end.
//!
//! [`FlowLogCredentials`] are the same for the storage of flow logs, which knows applications only. [`AccessTokens`] are the
//! tokens alone, by [`Scope`]: for Event Hubs, and for Blob Storage.
//!
//! # What never shows
//!
//! Keys, client secrets, assertions, signatures and tokens are [`secrecy::SecretString`]s, and no error repeats what a secret
//! holds or what the other side said of it.
//!
//! # Permissions
//!
//! `secretsmanager:GetSecretValue` (and `kms:Decrypt` where the secret has a key of its own), or `sts:GetWebIdentityToken`.

mod address;
mod cache;
mod contents;
mod entra;
mod error;
mod evidence;
mod examine;
mod federation;
mod flow_logs;
mod hub;
mod refusal;
mod settings;
mod store;
mod tokens;

pub use address::HubAddress;
pub use contents::{ClientSecret, Content, ContentError, EventHubSecret, Fields, FlowLogSecret, HubAccess};
pub use entra::{AuthorityError, Entra, PUBLIC_AUTHORITY};
pub use error::IdentityError;
pub use federation::{FederationError, TOKEN_EXCHANGE_AUDIENCE};
pub use flow_logs::FlowLogCredentials;
pub use hub::{Hub, HubCredentials};
pub use refusal::EntraError;
pub use settings::{FlowLogSettings, HubSettings, SettingsError, variable};
pub use store::{DEFAULT_SECRET_LIFE, SecretError, SecretStore, Stored};
pub use tokens::{AccessToken, AccessTokens, Scope};
