//! Whether flow logs may be read.

use tributary_azure_blobs::BlobError;
use tributary_telemetry::Check;

use crate::storage::Storage;

/// Lists the first blobs of each container of each account; nothing is read.
pub async fn examine_storage(storage: &dyn Storage) -> Vec<Check> {
    let stores = match storage.now().await {
        Ok(stores) => stores,
        Err(error) => {
            return vec![Check::failed_with(
                "flow logs: storage",
                error,
                "name the account: AZURE_STORAGE_ACCOUNT, or the flow log secret's storageAccountName",
            )];
        }
    };
    let mut checks = Vec::new();
    for account in stores.allowed.accounts() {
        let mut containers = 0;
        for container in stores.allowed.containers() {
            let name = format!("flow logs: {}/{container}", account.name);
            match stores.blobs.list(&account.name, container, "", None).await {
                Ok(page) => {
                    containers += 1;
                    let more = if page.next.is_some() { " and more" } else { "" };
                    checks.push(Check::ok(name, format!("{}{more} blobs may be listed", page.blobs.len())));
                }
                Err(BlobError::Gone) => checks.push(Check::skipped(name, "there is no such container")),
                Err(error) => {
                    containers += 1;
                    let remedy = "az role assignment create --assignee CLIENT_ID --role \"Storage Blob Data Reader\" --scope STORAGE_ACCOUNT_ID, and let the account's firewall in who reads";
                    checks.push(Check::failed_with(name, error, remedy));
                }
            }
        }
        if containers == 0 {
            checks.push(Check::warning(
                format!("flow logs: {}", account.name),
                "it has no container of flow logs: none was written yet, or they go to another account",
                "look at the flow log: az network watcher flow-log list --location REGION",
            ));
        }
    }
    checks
}
