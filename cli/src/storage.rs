//! The storage that flow logs are in: flags, and how they become a client.

use std::convert::Infallible;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tributary_azure_blobs::{Access, Allowed, BlobClient};
use tributary_azure_eventhub::Roots;
use tributary_azure_flowlog_job::accounts::variable as storage;
use tributary_azure_flowlog_job::{AccountList, AzureStorage, FixedStorage, Storage, Stores};
use tributary_azure_identity::{Entra, FlowLogCredentials, FlowLogSettings, variable};

use crate::aws::Aws;
use crate::failure::Failure;

/// Flags that name storage accounts, and who this is there.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct StorageArgs {
    /// Storage accounts that flow logs are in, separated by commas: NAME, or NAME=ENDPOINT in another cloud or behind a private endpoint
    #[arg(long, env = storage::ACCOUNTS, value_name = "ACCOUNTS", help_heading = "Flow logs")]
    storage_account: Option<AccountList>,
    /// Containers beside Network Watcher's two, separated by commas
    #[arg(long, env = storage::CONTAINERS, value_name = "NAMES", value_delimiter = ',', help_heading = "Flow logs")]
    storage_containers: Vec<String>,
    /// Key of the account, for a store on this machine only; the variable keeps it out of the list of processes
    #[arg(long, env = "AZURE_STORAGE_KEY", hide_env_values = true, value_name = "TEXT", value_parser = secret, help_heading = "Flow logs")]
    storage_key: Option<SecretString>,
    /// Name or ARN of a secret in AWS Secrets Manager with the application that reads flow logs, and its storage account
    #[arg(long, env = variable::FLOW_LOGS_SECRET, value_name = "NAME", help_heading = "Flow logs")]
    flow_logs_secret: Option<String>,
}

#[allow(clippy::unnecessary_wraps)]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// Flags that say who this is in Azure, where no secret does.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct IdentityArgs {
    /// `federated`: as the AWS role that this runs in, by an Entra application that trusts it; needs no secret
    #[arg(long, env = variable::AUTHENTICATION, value_name = "HOW", help_heading = "Who this is in Azure")]
    pub(crate) authentication: Option<String>,
    /// Entra tenant of that application
    #[arg(long, env = variable::TENANT, value_name = "ID", help_heading = "Who this is in Azure")]
    pub(crate) tenant_id: Option<String>,
    /// Client id of that application
    #[arg(long, env = variable::CLIENT, value_name = "ID", help_heading = "Who this is in Azure")]
    pub(crate) client_id: Option<String>,
}

impl IdentityArgs {
    /// Whether the AWS role's own token is meant.
    pub(crate) fn is_federated(&self) -> bool {
        self.authentication.as_deref().is_some_and(|how| !matches!(how.trim(), "" | "secret"))
    }
}

impl StorageArgs {
    fn key(&self) -> Option<&SecretString> {
        self.storage_key.as_ref().filter(|key| !key.expose_secret().trim().is_empty())
    }

    fn secret(&self) -> Option<&str> {
        self.flow_logs_secret.as_deref().map(str::trim).filter(|name| !name.is_empty())
    }

    fn accounts(&self) -> AccountList {
        self.storage_account.clone().unwrap_or_default()
    }

    /// Whether any storage is meant.
    pub(crate) fn any(&self) -> bool {
        !self.accounts().0.is_empty() || self.secret().is_some()
    }

    /// Where blobs are.
    pub(crate) async fn open(&self, identity: &IdentityArgs, aws: &Aws) -> Result<Arc<dyn Storage>, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let containers: Vec<String> =
            self.storage_containers.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        if let Some(key) = self.key() {
            let mut allowed = Allowed::flow_logs(self.accounts().0);
            for container in containers {
                allowed = allowed.with_container(container);
            }
            let client = BlobClient::new(allowed.clone(), Access::Key(key.clone()), &Roots::Native);
            let blobs = Arc::new(client.map_err(|error| usage(&error))?);
            return Ok(Arc::new(FixedStorage(Stores { allowed, blobs })));
        }
        let credentials = self.credentials(identity, aws).await?;
        let Some(credentials) = credentials else {
            return Err(Failure::Usage(format!(
                "nothing says who reads flow logs: give --flow-logs-secret ({}) or --authentication federated, or for a store on \
                 this machine AZURE_STORAGE_KEY",
                variable::FLOW_LOGS_SECRET
            )));
        };
        Ok(Arc::new(AzureStorage::new(credentials, self.accounts(), containers)))
    }

    /// Who reads, where it is no key and somebody is said.
    pub(crate) async fn credentials(
        &self,
        identity: &IdentityArgs,
        aws: &Aws,
    ) -> Result<Option<FlowLogCredentials>, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        if self.key().is_some() || (self.secret().is_none() && !identity.is_federated()) {
            return Ok(None);
        }
        let settings = FlowLogSettings::from_variables(|name| match name {
            variable::FLOW_LOGS_SECRET => self.secret().map(str::to_owned),
            variable::AUTHENTICATION => identity.authentication.clone(),
            variable::TENANT => identity.tenant_id.clone(),
            variable::CLIENT => identity.client_id.clone(),
            _ => None,
        });
        let entra = Entra::from_environment().map_err(|error| usage(&error))?;
        let settings = settings.map_err(|error| usage(&error))?;
        FlowLogCredentials::new(settings, aws.config().await?, entra).map(Some).map_err(|error| usage(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failed(args: StorageArgs, identity: IdentityArgs) -> String {
        assert!(!format!("{args:?}").contains("c4n4ry"));
        let Err(Failure::Usage(text)) = args.open(&identity, &Aws::default()).await else { panic!("it opens") };
        text
    }

    #[tokio::test]
    async fn who_reads_is_said_in_one_way_and_a_key_opens_this_machine_only() {
        let accounts = |text: &str| Some(text.parse::<AccountList>().unwrap());
        let nobody = StorageArgs { storage_account: accounts("contoso"), ..StorageArgs::default() };
        assert!(nobody.any() && !StorageArgs::default().any());
        assert!(failed(nobody.clone(), IdentityArgs::default()).await.contains("--flow-logs-secret"));
        let federated = IdentityArgs { authentication: Some("federated".to_owned()), ..IdentityArgs::default() };
        assert!(failed(nobody.clone(), federated).await.starts_with("AZURE_TENANT_ID is not set"));
        let key = StorageArgs { storage_key: Some(SecretString::from("c4n4ry")), ..nobody };
        assert!(failed(key.clone(), IdentityArgs::default()).await.contains("this machine only"));
        let here = StorageArgs { storage_account: accounts("contoso=http://127.0.0.1:1/contoso"), ..key };
        let stores = here.open(&IdentityArgs::default(), &Aws::default()).await.unwrap().now().await.unwrap();
        assert_eq!(stores.allowed.accounts().count(), 1);
    }
}
