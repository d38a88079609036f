//! Where blobs are, and by whom they are read.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tributary_azure_blobs::{Access, Account, Allowed, BlobClient, BlobError, BlobListing};
use tributary_azure_eventhub::Roots;
use tributary_azure_identity::{FlowLogCredentials, IdentityError};

use crate::accounts::AccountList;

/// Why no blob can be read now.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There is no client.
    #[error(transparent)]
    Client(#[from] BlobError),
    /// Nothing says which storage account it is.
    #[error("no storage account is named: set AZURE_STORAGE_ACCOUNT, or name one in the flow log secret")]
    NoAccount,
    /// The secret names no storage account.
    #[error("the flow log secret's storageAccountName {0}")]
    Account(&'static str),
}

impl StorageError {
    /// Whether AWS or Entra denied it (metric `AccessDenied`).
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Identity(error) if error.is_denied())
    }
}

/// Blobs as they may be read now.
#[derive(Clone)]
pub struct Stores {
    /// Which.
    pub allowed: Allowed,
    /// Where.
    pub blobs: Arc<dyn BlobListing>,
}

/// Says where blobs are each time before some are read: a secret may name another account by then.
#[async_trait]
pub trait Storage: Send + Sync {
    /// As it is now.
    ///
    /// # Errors
    /// When there is no identity, or no account.
    async fn now(&self) -> Result<Stores, StorageError>;
}

/// The same store every time.
pub struct FixedStorage(pub Stores);

#[async_trait]
impl Storage for FixedStorage {
    async fn now(&self) -> Result<Stores, StorageError> {
        Ok(self.0.clone())
    }
}

/// Storage accounts of Azure, by an Entra application: those that are configured, and the one that the secret names.
pub struct AzureStorage {
    credentials: FlowLogCredentials,
    accounts: Vec<Account>,
    containers: Vec<String>,
    /// The client, and the secret's account that it was made for.
    made: Mutex<Option<(Option<String>, Stores)>>,
}

impl AzureStorage {
    /// Nothing is asked for yet. `containers` come beside Network Watcher's own.
    pub fn new(credentials: FlowLogCredentials, AccountList(accounts): AccountList, containers: Vec<String>) -> Self {
        Self { credentials, accounts, containers, made: Mutex::default() }
    }

    /// Who this is.
    pub fn credentials(&self) -> &FlowLogCredentials {
        &self.credentials
    }

    fn make(&self, secrets: Option<&str>) -> Result<Stores, StorageError> {
        let mut accounts = self.accounts.clone();
        // A configured account of that name says where it is.
        if let Some(name) = secrets
            && !accounts.iter().any(|account| account.name.eq_ignore_ascii_case(name))
        {
            accounts.push(Account::public(name).map_err(StorageError::Account)?);
        }
        if accounts.is_empty() {
            return Err(StorageError::NoAccount);
        }
        let mut allowed = Allowed::flow_logs(accounts);
        for container in &self.containers {
            allowed = allowed.with_container(container);
        }
        let access = Access::Entra(self.credentials.tokens().clone());
        let client = BlobClient::new(allowed.clone(), access, &Roots::Native)?;
        Ok(Stores { allowed, blobs: Arc::new(client) })
    }
}

#[async_trait]
impl Storage for AzureStorage {
    async fn now(&self) -> Result<Stores, StorageError> {
        let account = self.credentials.storage_account().await?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, stores)) = made.as_ref()
            && *known == account
        {
            return Ok(stores.clone());
        }
        let stores = self.make(account.as_deref())?;
        *made = Some((account, stores.clone()));
        Ok(stores)
    }
}
