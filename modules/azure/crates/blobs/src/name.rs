//! Which blob a notification names, and whether it is one that we read.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde::Deserialize;
use tributary_ledger::{CursorKey, CursorKeyError};

/// Where Network Watcher puts flow logs of networks and of security groups.
pub const FLOW_LOG_CONTAINERS: [&str; 2] =
    ["insights-logs-flowlogflowevent", "insights-logs-networksecuritygroupflowevent"];

/// Longest blob name, in characters, that the service takes.
const MAX_PATH: usize = 1_024;

/// A blob that we read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName {
    /// The storage account, lower case.
    pub account: String,
    /// The container.
    pub container: String,
    /// The blob's name, decoded.
    pub path: String,
}

impl BlobName {
    /// The name of its cursor.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn cursor(&self) -> Result<CursorKey, CursorKeyError> {
        CursorKey::new(&self.account, &self.container, &self.path)
    }
}

impl std::fmt::Display for BlobName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.container, self.path)
    }
}

/// A notification of `tributary.blobs/1`: a blob was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The blob's address.
    pub url: String,
    /// Its ETag at that time, with or without quotes.
    #[serde(default)]
    pub e_tag: Option<String>,
    /// Hexadecimal; of two notifications of one blob the later has the greater.
    #[serde(default)]
    pub sequencer: Option<String>,
}

impl Notice {
    /// Where it comes among those of its blob; `None` when it does not say.
    pub fn order(&self) -> Option<String> {
        self.sequencer.as_deref().and_then(crate::state::padded)
    }
}

/// Why a notification's blob is not read. The notification stays in its queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no address of a blob.
    #[error("a notification's url is no blob's address ({0})")]
    Address(&'static str),
    /// It is in another account.
    #[error(
        "a blob at {0:?} is in no storage account that is configured: add the account, or let its notifications not come here"
    )]
    Account(String),
    /// It is in another container.
    #[error("a blob in container {0:?} is no flow log's: add the container, or filter its notifications by subject")]
    Container(String),
}

/// A storage account and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, lower case.
    pub name: String,
    /// Its blob endpoint; its path, if any, ends with a slash.
    pub endpoint: Url,
}

impl Account {
    /// An account of Azure's public cloud.
    ///
    /// # Errors
    /// When the text is no account's name.
    pub fn public(name: &str) -> Result<Self, &'static str> {
        Self::at(name, &format!("https://{}.blob.core.windows.net/", name.trim().to_ascii_lowercase()))
    }

    /// An account at an endpoint: another cloud's, or (also without TLS) this machine's.
    ///
    /// # Errors
    /// When the text is no account's name, or the endpoint no address that a token may be sent to.
    pub fn at(name: &str, endpoint: &str) -> Result<Self, &'static str> {
        const ENDPOINT: &str = "is no endpoint: write https://host/, such as https://contoso.blob.core.windows.net/";
        let name = name.trim().to_ascii_lowercase();
        if !(3..=24).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err("is no storage account: write its name, 3 to 24 letters and digits");
        }
        tributary_aws::checked_endpoint("endpoint", endpoint).map_err(|_| ENDPOINT)?;
        let mut endpoint = Url::parse(endpoint.trim()).map_err(|_| ENDPOINT)?;
        let bare = endpoint.username().is_empty() && endpoint.password().is_none() && endpoint.has_host();
        if !bare || endpoint.query().is_some() || endpoint.fragment().is_some() {
            return Err(ENDPOINT);
        }
        if !endpoint.path().ends_with('/') {
            let path = format!("{}/", endpoint.path());
            endpoint.set_path(&path);
        }
        Ok(Self { name, endpoint })
    }

    /// Whether `url` is below this account's endpoint. Accounts with a hierarchical namespace announce some writes under
    /// their other host, `.dfs.`.
    fn path_of<'u>(&self, url: &'u Url) -> Option<&'u str> {
        let host = self.endpoint.host_str()?;
        let asked = url.host_str()?;
        let same = asked == host || asked.replacen(".dfs.", ".blob.", 1) == host;
        let port = url.port_or_known_default() == self.endpoint.port_or_known_default();
        if !same || !port || url.scheme() != self.endpoint.scheme() || !url.username().is_empty() {
            return None;
        }
        url.path().strip_prefix(self.endpoint.path())
    }
}

/// The blobs that may be read: those of these accounts and containers.
#[derive(Debug, Clone)]
pub struct Allowed {
    accounts: BTreeMap<String, Account>,
    containers: BTreeSet<String>,
}

impl Allowed {
    /// Flow logs of these accounts.
    pub fn flow_logs(accounts: impl IntoIterator<Item = Account>) -> Self {
        let accounts = accounts.into_iter().map(|account| (account.name.clone(), account)).collect();
        Self { accounts, containers: FLOW_LOG_CONTAINERS.map(str::to_owned).into() }
    }

    /// Blobs of another container, too.
    #[must_use]
    pub fn with_container(mut self, container: impl Into<String>) -> Self {
        self.containers.insert(container.into());
        self
    }

    /// The accounts, by name.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The containers.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.containers.iter().map(String::as_str)
    }

    /// The account of a name.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// The blob at a notification's address.
    ///
    /// # Errors
    /// When it is none of those that may be read.
    pub fn blob(&self, url: &str) -> Result<BlobName, Refusal> {
        let url = Url::parse(url).map_err(|_| Refusal::Address("it cannot be parsed"))?;
        let found = self.accounts.values().find_map(|account| Some((account, account.path_of(&url)?)));
        let Some((account, path)) = found else {
            let host: String = url.host_str().unwrap_or_default().chars().take(100).collect();
            return Err(Refusal::Account(host));
        };
        let (container, path) = path.split_once('/').ok_or(Refusal::Address("it has no blob's name"))?;
        let container = decoded(container)?;
        let path = decoded(path)?;
        if !self.containers.contains(&container) {
            return Err(Refusal::Container(container.chars().take(63).collect()));
        }
        check_path(&path)?;
        Ok(BlobName { account: account.name.clone(), container, path })
    }
}

/// A name that stands in an address as itself: no segment that a parser would take for a step.
fn check_path(path: &str) -> Result<(), Refusal> {
    if path.is_empty() || path.chars().count() > MAX_PATH {
        return Err(Refusal::Address("its blob's name is empty or longer than 1,024 characters"));
    }
    if path.chars().any(char::is_control) || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Refusal::Address("its blob's name has control characters or steps in it"));
    }
    Ok(())
}

/// Percent-decoding; what is no escape stands for itself.
fn decoded(text: &str) -> Result<String, Refusal> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| Refusal::Address("it is not UTF-8"))?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn allowed() -> Allowed {
        Allowed::flow_logs([Account::public("Contoso").unwrap()])
    }

    const ROOT: &str = "https://contoso.blob.core.windows.net/insights-logs-flowlogflowevent";

    #[test]
    fn a_flow_log_blob_by_every_spelling_of_its_address() {
        let path = "flowLogResourceID=/S_NETWORKWATCHERRG/N W/y=2026/m=01/PT1H.json";
        for url in [
            format!("{ROOT}/flowLogResourceID=/S_NETWORKWATCHERRG/N%20W/y=2026/m=01/PT1H.json"),
            format!("{ROOT}/flowLogResourceID%3D/S_NETWORKWATCHERRG/N%20W%2fy%3d2026/m=01/PT1H.json?sig=x"),
            format!("{ROOT}/flowLogResourceID=/S_NETWORKWATCHERRG/N%20W/y=2026/m=01/PT1H.json")
                .replacen(".blob.", ".dfs.", 1),
            format!("{ROOT}/flowLogResourceID=/S_NETWORKWATCHERRG/N%20W/y=2026/m=01/PT1H.json")
                .replacen("contoso", "CONTOSO", 1),
        ] {
            assert_eq!(allowed().blob(&url).unwrap().path, path, "{url}");
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_by_name() {
        let refused = |url: &str| allowed().blob(url).unwrap_err();
        for url in [
            "https://evil.example/insights-logs-flowlogflowevent/a",
            "https://contoso.blob.core.windows.net.evil.example/insights-logs-flowlogflowevent/a",
            "https://contoso.blob.core.windows.net@evil.example/insights-logs-flowlogflowevent/a",
            "https://x@contoso.blob.core.windows.net/insights-logs-flowlogflowevent/a",
            "https://contoso.blob.core.windows.net:8443/insights-logs-flowlogflowevent/a",
            "http://contoso.blob.core.windows.net/insights-logs-flowlogflowevent/a",
            "https://fabrikam.blob.core.windows.net/insights-logs-flowlogflowevent/a",
        ] {
            assert!(matches!(refused(url), Refusal::Account(_)), "{url}");
        }
        assert!(matches!(refused("https://contoso.blob.core.windows.net/other/a"), Refusal::Container(_)));
        for path in ["", "/", "/a%2f..%2fb", "/%ff", "/a%0ab"] {
            assert!(matches!(refused(&format!("{ROOT}{path}")), Refusal::Address(_)), "{path}");
        }
        assert!(matches!(refused("nothing"), Refusal::Address(_)));
    }

    #[test]
    fn endpoints_that_no_token_may_go_to() {
        for endpoint in
            ["http://contoso.blob.core.windows.net/", "https://u:p@host/", "https://host/?a", "ftp://host", "host"]
        {
            assert!(Account::at("contoso", endpoint).is_err(), "{endpoint}");
        }
        assert_eq!(
            Account::at("devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1").unwrap().endpoint.path(),
            "/devstoreaccount1/"
        );
        for name in ["a", "con toso", "contoso.blob", "evil/"] {
            assert!(Account::public(name).is_err(), "{name}");
        }
    }
}
