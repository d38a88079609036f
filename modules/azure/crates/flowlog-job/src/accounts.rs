//! Storage accounts by configuration.

use std::str::FromStr;

use tributary_azure_blobs::Account;

/// Names of the variables that are read here.
pub mod variable {
    /// See [`super::AccountList`].
    pub const ACCOUNTS: &str = "AZURE_STORAGE_ACCOUNT";
    /// Containers beside Network Watcher's own, separated by commas.
    pub const CONTAINERS: &str = "AZURE_STORAGE_CONTAINERS";
}

/// Why a text names no storage accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {at} {why}")]
pub struct InvalidAccounts {
    /// Which one, from 1.
    pub at: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Storage accounts, separated by commas: `contoso`, of Azure's public cloud, or `contoso=https://contoso.blob.core.usgovcloudapi.net`
/// for another cloud or a private endpoint.
#[derive(Debug, Clone, Default)]
pub struct AccountList(pub Vec<Account>);

impl FromStr for AccountList {
    type Err = InvalidAccounts;

    fn from_str(text: &str) -> Result<Self, InvalidAccounts> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate();
        let accounts: Result<Vec<Account>, InvalidAccounts> = entries
            .map(|(index, entry)| {
                let account = match entry.split_once('=') {
                    None => Account::public(entry),
                    Some((name, endpoint)) => Account::at(name, endpoint),
                };
                account.map_err(|why| InvalidAccounts { at: index + 1, why })
            })
            .collect();
        accounts.map(Self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn accounts_of_every_cloud() {
        let AccountList(found) = "contoso, fabrikam=https://fabrikam.blob.core.usgovcloudapi.net ,".parse().unwrap();
        let names: Vec<(&str, &str)> =
            found.iter().map(|account| (account.name.as_str(), account.endpoint.as_str())).collect();
        let expected = [
            ("contoso", "https://contoso.blob.core.windows.net/"),
            ("fabrikam", "https://fabrikam.blob.core.usgovcloudapi.net/"),
        ];
        assert_eq!(names, expected);
        assert!("".parse::<AccountList>().unwrap().0.is_empty());
        for (text, says) in
            [("contoso,con_toso", "entry 2 is no storage account"), ("a1b=ftp://x", "entry 1 is no endpoint")]
        {
            let error = text.parse::<AccountList>().unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
