//! Who this is at the hub, by variables.

use crate::address::{HubAddress, check_client, check_name, check_tenant};

/// Names of the variables that are read here.
pub mod variable {
    /// Name or ARN of the Event Hub secret.
    pub const CREDENTIALS_SECRET: &str = "AZURE_CREDENTIALS_SECRET_NAME";
    /// `secret` (or nothing), or `federated`.
    pub const AUTHENTICATION: &str = "AZURE_AUTHENTICATION";
    /// The Entra tenant, when federated.
    pub const TENANT: &str = "AZURE_TENANT_ID";
    /// The Entra application, when federated.
    pub const CLIENT: &str = "AZURE_CLIENT_ID";
    /// The namespace, when federated.
    pub const NAMESPACE: &str = "EVENTHUB_NAMESPACE";
    /// The hub, when federated.
    pub const HUB: &str = "EVENTHUB_NAME";
    /// The consumer group, when federated.
    pub const CONSUMER_GROUP: &str = "EVENTHUB_CONSUMER_GROUP";
    /// Name or ARN of the flow log secret.
    pub const FLOW_LOGS_SECRET: &str = "AZURE_FLOWLOGS_SECRET_NAME";
}

/// Why variables cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// One that is needed is not set.
    #[error("{variable} is not set: {advice}")]
    Missing {
        /// Which.
        variable: &'static str,
        /// What it is.
        advice: &'static str,
    },
    /// One holds what it cannot.
    #[error("{variable} {why}")]
    Malformed {
        /// Which.
        variable: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}

/// How this proves who it is, and at which hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubSettings {
    /// By a secret, which also names the hub.
    Secret {
        /// Its name or ARN.
        name: String,
    },
    /// By the AWS role that this runs in.
    Federated {
        /// Tenant of the application that trusts the role.
        tenant: String,
        /// The application.
        client: String,
        /// Where the namespace is.
        address: HubAddress,
        /// The hub.
        hub: String,
        /// The consumer group.
        consumer_group: String,
    },
}

impl HubSettings {
    /// What the variables say; `get` looks one up. With `AZURE_AUTHENTICATION=federated` a secret's name is not looked at.
    ///
    /// # Errors
    /// The first variable that is missing or malformed.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let needed = |variable, advice| read(&get, variable).ok_or(SettingsError::Missing { variable, advice });
        let malformed = |variable, why| SettingsError::Malformed { variable, why };
        match read(&get, variable::AUTHENTICATION).as_deref() {
            None | Some("secret") => {
                let advice = "name the secret with the Event Hub's credentials, or set AZURE_AUTHENTICATION=federated";
                Ok(Self::Secret { name: needed(variable::CREDENTIALS_SECRET, advice)? })
            }
            Some("federated") => {
                let (tenant, client) = application(&get)?;
                let address = needed(variable::NAMESPACE, "the namespace, such as contoso.servicebus.windows.net")?;
                let address = HubAddress::parse(&address).map_err(|why| malformed(variable::NAMESPACE, why))?;
                let hub = needed(variable::HUB, "the hub to read")?;
                check_name(&hub).map_err(|why| malformed(variable::HUB, why))?;
                let consumer_group =
                    needed(variable::CONSUMER_GROUP, "the consumer group that is this reader's alone")?;
                check_name(&consumer_group).map_err(|why| malformed(variable::CONSUMER_GROUP, why))?;
                Ok(Self::Federated { tenant, client, address, hub, consumer_group })
            }
            Some(_) => Err(malformed(variable::AUTHENTICATION, "is neither secret nor federated")),
        }
    }
}

/// A variable that is set to something.
fn read(get: &impl Fn(&str) -> Option<String>, variable: &str) -> Option<String> {
    get(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Tenant and client of the application that trusts the AWS role.
fn application(get: &impl Fn(&str) -> Option<String>) -> Result<(String, String), SettingsError> {
    let needed = |variable, advice| read(get, variable).ok_or(SettingsError::Missing { variable, advice });
    let malformed = |variable, why| SettingsError::Malformed { variable, why };
    let tenant = needed(variable::TENANT, "the Entra tenant of the application that trusts this role")?;
    check_tenant(&tenant).map_err(|why| malformed(variable::TENANT, why))?;
    let client = needed(variable::CLIENT, "the Entra application that trusts this role")?;
    check_client(&client).map_err(|why| malformed(variable::CLIENT, why))?;
    Ok((tenant, client))
}

/// How this proves who it is to the store of flow logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowLogSettings {
    /// By a secret, which also names the storage account.
    Secret {
        /// Its name or ARN.
        name: String,
    },
    /// By the AWS role that this runs in.
    Federated {
        /// Tenant of the application that trusts the role.
        tenant: String,
        /// The application.
        client: String,
    },
}

impl FlowLogSettings {
    /// What the variables say; `get` looks one up. With `AZURE_AUTHENTICATION=federated` a secret's name is not looked at.
    ///
    /// # Errors
    /// The first variable that is missing or malformed.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        match read(&get, variable::AUTHENTICATION).as_deref() {
            None | Some("secret") => {
                let (variable, advice) = (
                    variable::FLOW_LOGS_SECRET,
                    "name the secret with the storage account's credentials, or set AZURE_AUTHENTICATION=federated",
                );
                let name = read(&get, variable).ok_or(SettingsError::Missing { variable, advice })?;
                Ok(Self::Secret { name })
            }
            Some("federated") => {
                let (tenant, client) = application(&get)?;
                Ok(Self::Federated { tenant, client })
            }
            Some(_) => Err(SettingsError::Malformed {
                variable: variable::AUTHENTICATION,
                why: "is neither secret nor federated",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "11111111-2222-3333-4444-555555555555";
    const FEDERATED: [(&str, &str); 6] = [
        ("AZURE_AUTHENTICATION", "federated"),
        ("AZURE_TENANT_ID", GUID),
        ("AZURE_CLIENT_ID", GUID),
        ("EVENTHUB_NAMESPACE", "contoso"),
        ("EVENTHUB_NAME", "defender"),
        ("EVENTHUB_CONSUMER_GROUP", "tributary"),
    ];

    fn settings(variables: &[(&str, &str)]) -> Result<HubSettings, String> {
        let get =
            |name: &str| variables.iter().rfind(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        HubSettings::from_variables(get).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_or_a_federated_application() {
        let secret = [("AZURE_CREDENTIALS_SECRET_NAME", " tributary/hub "), ("AZURE_AUTHENTICATION", "")];
        assert_eq!(settings(&secret), Ok(HubSettings::Secret { name: "tributary/hub".into() }));
        let mut federated = FEDERATED.to_vec();
        federated.push(("AZURE_CREDENTIALS_SECRET_NAME", "left over"));
        let Ok(HubSettings::Federated { address, hub, .. }) = settings(&federated) else { panic!() };
        assert_eq!((address.host.as_str(), hub.as_str()), ("contoso.servicebus.windows.net", "defender"));
    }

    #[test]
    fn flow_logs_by_a_secret_of_their_own_or_the_same_application() {
        let settings = |variables: &[(&str, &str)]| {
            let get =
                |name: &str| variables.iter().rfind(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            FlowLogSettings::from_variables(get).map_err(|error| error.to_string())
        };
        let secret = FlowLogSettings::Secret { name: "flows".into() };
        assert_eq!(settings(&[("AZURE_FLOWLOGS_SECRET_NAME", "flows ")]), Ok(secret));
        let federated = FlowLogSettings::Federated { tenant: GUID.into(), client: GUID.into() };
        assert_eq!(settings(&FEDERATED[..3]), Ok(federated));
        assert!(settings(&[]).unwrap_err().starts_with("AZURE_FLOWLOGS_SECRET_NAME is not set"));
        assert!(settings(&FEDERATED[..1]).unwrap_err().starts_with("AZURE_TENANT_ID is not set"));
        assert!(settings(&[("AZURE_AUTHENTICATION", "key")]).unwrap_err().contains("neither"));
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        assert!(settings(&[]).unwrap_err().starts_with("AZURE_CREDENTIALS_SECRET_NAME is not set"));
        let typo = settings(&[("AZURE_AUTHENTICATION", "Federated?")]).unwrap_err();
        assert_eq!(typo, "AZURE_AUTHENTICATION is neither secret nor federated");
        for (name, _) in &FEDERATED[1..] {
            let missing: Vec<_> = FEDERATED.iter().copied().filter(|(known, _)| known != name).collect();
            let error = settings(&missing).unwrap_err();
            assert!(error.starts_with(&format!("{name} is not set: ")), "{error}");
            let mut malformed = FEDERATED.to_vec();
            malformed.push((name, "c4n4ry/../"));
            let error = settings(&malformed).unwrap_err();
            assert!(error.starts_with(&format!("{name} is no ")) && !error.contains("c4n4ry"), "{error}");
        }
    }
}
