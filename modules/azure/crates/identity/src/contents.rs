//! What the secrets hold, by contract, and why one that holds something else is refused.

use std::fmt;

use secrecy::SecretString;
use serde_json::{Map, Value};
use tributary_azure_eventhub::{ConnectionString, ConnectionStringError};

use crate::address::{HubAddress, check_client, check_name, check_tenant};

/// What stands in a template until a person has stored a real value.
const PLACEHOLDER: &str = "PLACEHOLDER";

/// Why a secret's content is refused. Nothing of its values is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// It is bytes.
    #[error("it is binary: store JSON text")]
    Binary,
    /// It is no JSON object.
    #[error("it is no JSON object (line {line}, column {column}): store {{\"key\": \"value\", …}}")]
    NotJson {
        /// Line of the first mistake, from 1.
        line: usize,
        /// Column of the first mistake.
        column: usize,
    },
    /// Keys are missing or empty.
    #[error("it has no {}: it needs {needs}", keys.join(", "))]
    Missing {
        /// Which.
        keys: Vec<&'static str>,
        /// What a whole secret has.
        needs: &'static str,
    },
    /// A value is no text.
    #[error("its {0} is no text")]
    NotText(&'static str),
    /// A value is still the template's.
    #[error("its {0} still says PLACEHOLDER: store the real value")]
    Placeholder(&'static str),
    /// A value cannot be what it should.
    #[error("its {key} {why}")]
    Malformed {
        /// Which.
        key: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The connection string is none.
    #[error("its connectionString cannot be used: {0}")]
    ConnectionString(ConnectionStringError),
    /// Two values name different things.
    #[error("its {key} and its connectionString name different ones: make them agree")]
    Disagree {
        /// Which.
        key: &'static str,
    },
}

/// What a kind of secret holds.
pub trait Content: Clone + fmt::Debug + Send + Sync + 'static {
    /// What is read from the secret's JSON object. Keys that are not known are left alone.
    ///
    /// # Errors
    /// Keys are missing or hold what they cannot.
    fn read(fields: Fields) -> Result<Self, ContentError>;

    /// The application that it lets in, if it holds one.
    fn client(&self) -> Option<&ClientSecret>;
}

/// An Entra application with its secret.
#[derive(Debug, Clone)]
pub struct ClientSecret {
    /// The tenant: a GUID or a domain.
    pub tenant: String,
    /// The application's (client) id.
    pub client: String,
    /// The secret's value.
    pub secret: SecretString,
}

/// How the hub's secret lets in.
#[derive(Debug, Clone)]
pub enum HubAccess {
    /// A shared access policy.
    ConnectionString(ConnectionString),
    /// An Entra application.
    Client(ClientSecret),
}

/// The Event Hub secret: `{"eventHubNamespace","eventHubName","consumerGroup"}` with `connectionString`, or with
/// `{"tenantId","clientId","clientSecret"}`. With both, the connection string counts.
#[derive(Debug, Clone)]
pub struct EventHubSecret {
    /// Where the namespace is.
    pub address: HubAddress,
    /// Name of the hub.
    pub hub: String,
    /// Consumer group.
    pub consumer_group: String,
    /// How it lets in.
    pub access: HubAccess,
}

/// The flow log secret: `{"tenantId","clientId","clientSecret","subscriptionId","storageAccountName",
/// "storageAccountResourceId"}`.
#[derive(Debug, Clone)]
pub struct FlowLogSecret {
    /// The application that reads the blobs.
    pub client: ClientSecret,
    /// The subscription that the storage account is in.
    pub subscription: String,
    /// The storage account's name.
    pub storage_account: String,
    /// The storage account's resource id.
    pub storage_account_resource: String,
}

const EVENT_HUB: &str = "eventHubNamespace, eventHubName, consumerGroup, and either connectionString or tenantId, clientId and \
                         clientSecret";
const FLOW_LOG: &str =
    "tenantId, clientId, clientSecret, subscriptionId, storageAccountName and storageAccountResourceId";

/// A secret's JSON object, read key by key; what is missing is collected. `Debug` shows the keys' number only.
pub struct Fields {
    values: Map<String, Value>,
    missing: Vec<&'static str>,
    needs: &'static str,
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({})", self.values.len())
    }
}

impl Fields {
    /// The object that `text` is.
    pub(crate) fn parse(text: &str) -> Result<Self, ContentError> {
        let place = |line, column| ContentError::NotJson { line, column };
        // serde_json's own words may quote a value.
        let value: Value = serde_json::from_str(text).map_err(|error| place(error.line(), error.column()))?;
        match value {
            Value::Object(values) => Ok(Self { values, missing: Vec::new(), needs: "" }),
            _ => Err(place(1, 1)),
        }
    }

    /// The text of a key; empty is as good as missing.
    fn optional(&mut self, key: &'static str) -> Result<Option<String>, ContentError> {
        let text = match self.values.remove(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(_) => return Err(ContentError::NotText(key)),
        };
        if text.to_ascii_uppercase().contains(PLACEHOLDER) {
            return Err(ContentError::Placeholder(key));
        }
        let trimmed = text.trim();
        Ok((!trimmed.is_empty()).then(|| trimmed.to_owned()))
    }

    fn text(&mut self, key: &'static str) -> Result<String, ContentError> {
        let text = self.optional(key)?;
        if text.is_none() {
            self.missing.push(key);
        }
        Ok(text.unwrap_or_default())
    }

    fn client(&mut self) -> Result<ClientSecret, ContentError> {
        let [tenant, client] = [self.text("tenantId")?, self.text("clientId")?];
        let secret = SecretString::from(self.text("clientSecret")?);
        self.complete()?;
        let malformed = |key, why| ContentError::Malformed { key, why };
        check_tenant(&tenant).map_err(|why| malformed("tenantId", why))?;
        check_client(&client).map_err(|why| malformed("clientId", why))?;
        Ok(ClientSecret { tenant, client, secret })
    }

    fn complete(&mut self) -> Result<(), ContentError> {
        let keys = std::mem::take(&mut self.missing);
        if keys.is_empty() { Ok(()) } else { Err(ContentError::Missing { keys, needs: self.needs }) }
    }
}

impl Content for EventHubSecret {
    fn read(mut fields: Fields) -> Result<Self, ContentError> {
        fields.needs = EVENT_HUB;
        let [namespace, hub, consumer_group] =
            [fields.text("eventHubNamespace")?, fields.text("eventHubName")?, fields.text("consumerGroup")?];
        let access = match fields.optional("connectionString")? {
            Some(text) => {
                fields.complete()?;
                let parsed = ConnectionString::parse(&text).map_err(ContentError::ConnectionString)?;
                HubAccess::ConnectionString(parsed)
            }
            None => HubAccess::Client(fields.client()?),
        };
        let malformed = |key, why| ContentError::Malformed { key, why };
        let mut address = HubAddress::parse(&namespace).map_err(|why| malformed("eventHubNamespace", why))?;
        check_name(&hub).map_err(|why| malformed("eventHubName", why))?;
        check_name(&consumer_group).map_err(|why| malformed("consumerGroup", why))?;
        if let HubAccess::ConnectionString(connection) = &access {
            if connection.host != address.host {
                return Err(ContentError::Disagree { key: "eventHubNamespace" });
            }
            if connection.entity_path.as_ref().is_some_and(|own| !own.eq_ignore_ascii_case(&hub)) {
                return Err(ContentError::Disagree { key: "eventHubName" });
            }
            address = HubAddress::of(connection);
        }
        Ok(Self { address, hub, consumer_group, access })
    }

    fn client(&self) -> Option<&ClientSecret> {
        match &self.access {
            HubAccess::Client(client) => Some(client),
            HubAccess::ConnectionString(_) => None,
        }
    }
}

impl Content for FlowLogSecret {
    fn read(mut fields: Fields) -> Result<Self, ContentError> {
        fields.needs = FLOW_LOG;
        let [subscription, storage_account, storage_account_resource] = [
            fields.text("subscriptionId")?,
            fields.text("storageAccountName")?,
            fields.text("storageAccountResourceId")?,
        ];
        let client = fields.client()?;
        let fits = (3..=24).contains(&storage_account.len())
            && storage_account.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !fits {
            let why = "is no storage account's name: 3 to 24 lower-case letters and digits";
            return Err(ContentError::Malformed { key: "storageAccountName", why });
        }
        Ok(Self { client, subscription, storage_account, storage_account_resource })
    }

    fn client(&self) -> Option<&ClientSecret> {
        Some(&self.client)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    const CONNECTION: &str = "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=listen;\
                              SharedAccessKey=c4n4ry+key/=;EntityPath=Defender";
    const GUID: &str = "11111111-2222-3333-4444-555555555555";

    fn hub(value: &Value) -> Result<EventHubSecret, ContentError> {
        let secret = Fields::parse(&value.to_string()).and_then(EventHubSecret::read);
        assert!(!format!("{secret:?}").contains("c4n4ry"), "{secret:?}");
        if let Err(error) = &secret {
            assert!(!error.to_string().contains("c4n4ry"), "{error}");
        }
        secret
    }

    fn sas() -> Value {
        json!({"eventHubNamespace": "contoso", "eventHubName": "defender", "consumerGroup": "$Default",
               "connectionString": CONNECTION, "owner": "somebody", "rotated": 3})
    }

    fn client() -> Value {
        json!({"eventHubNamespace": "Contoso.servicebus.windows.net", "eventHubName": "defender", "consumerGroup": "g",
               "tenantId": GUID, "clientId": GUID, "clientSecret": " c4n4ry~secret\n"})
    }

    #[test]
    fn both_kinds_of_hub_secret_are_read_and_unknown_keys_left_alone() {
        let secret = hub(&sas()).unwrap();
        assert_eq!((secret.address.host.as_str(), secret.hub.as_str()), ("contoso.servicebus.windows.net", "defender"));
        assert!(matches!(secret.access, HubAccess::ConnectionString(_)) && secret.client().is_none());
        let secret = hub(&client()).unwrap();
        assert_eq!(secret.client().unwrap().secret.expose_secret(), "c4n4ry~secret");
        assert_eq!(secret.address.host, "contoso.servicebus.windows.net");
        // What a template left in the other kind's keys is nobody's business.
        let mut both = sas();
        both["clientSecret"] = json!("PLACEHOLDER");
        assert!(hub(&both).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named_and_never_shown() {
        let with = |mut value: Value, key: &str, to: Value| {
            value[key] = to;
            hub(&value).unwrap_err().to_string()
        };
        for (value, key, to, says) in [
            (sas(), "consumerGroup", json!(""), "no consumerGroup: it needs eventHubNamespace, eventHubName"),
            (client(), "clientSecret", Value::Null, "no clientSecret"),
            (client(), "clientSecret", json!(["c4n4ry"]), "clientSecret is no text"),
            (sas(), "connectionString", json!("c4n4ry placeholder"), "connectionString still says PLACEHOLDER"),
            (client(), "clientSecret", json!("PLACEHOLDER"), "clientSecret still says PLACEHOLDER"),
            (sas(), "connectionString", json!("c4n4ry"), "part 1"),
            (sas(), "eventHubNamespace", json!("other"), "eventHubNamespace and its connectionString"),
            (sas(), "eventHubName", json!("other"), "eventHubName and its connectionString"),
            (client(), "eventHubNamespace", json!("c4n4ry/x"), "eventHubNamespace"),
            (client(), "eventHubName", json!("a/c4n4ry"), "eventHubName"),
            (client(), "tenantId", json!("c4n4ry/../x"), "tenantId"),
            (client(), "clientId", json!("c4n4ry~secret"), "clientId"),
        ] {
            let error = with(value, key, to);
            assert!(error.contains(says), "{key}: {error}");
        }
        let error = hub(&json!({"eventHubName": "h"})).unwrap_err().to_string();
        assert!(error.contains("no eventHubNamespace, consumerGroup, tenantId, clientId, clientSecret:"), "{error}");
        for text in ["", "c4n4ry", "{\"a\": c4n4ry", "[1]", "\"c4n4ry\""] {
            let error = Fields::parse(text).unwrap_err();
            assert!(matches!(error, ContentError::NotJson { .. }) && !error.to_string().contains("c4n4ry"), "{error}");
        }
    }

    #[test]
    fn a_flow_log_secret_is_read() {
        let value = json!({"tenantId": GUID, "clientId": GUID, "clientSecret": "c4n4ry", "subscriptionId": GUID,
                           "storageAccountName": "flows01", "storageAccountResourceId": "/subscriptions/x"});
        let secret = Fields::parse(&value.to_string()).and_then(FlowLogSecret::read).unwrap();
        assert_eq!(secret.storage_account, "flows01");
        assert!(!format!("{secret:?}").contains("c4n4ry"));
        let error = Fields::parse("{}").and_then(FlowLogSecret::read).unwrap_err().to_string();
        for key in
            ["tenantId", "clientId", "clientSecret", "subscriptionId", "storageAccountName", "storageAccountResourceId"]
        {
            assert_eq!(error.matches(key).count(), 2, "{key}: {error}");
        }
    }
}
