//! The hub that commands talk to: flags, and how they become an address and a credential.

use std::convert::Infallible;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tributary_azure_eventhub::{ConnectionString, EventHubBuilder, EventHubSource, RetryPolicy, Transport};
use tributary_azure_identity::{Entra, Hub, HubAddress, HubCredentials, HubSettings, variable};
use tributary_pipeline::SourceError;

use crate::failure::Failure;
use crate::storage::IdentityArgs;

/// The group that every hub has.
const DEFAULT_GROUP: &str = "$Default";

/// Who a command is at the hub.
pub(crate) enum Identity {
    /// What a connection string says.
    Text(Hub),
    /// What is stored or attested elsewhere.
    Stored(HubCredentials),
}

/// How a hub is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// AMQP over TLS, port 5671 (plain for a local emulator)
    Amqp,
    /// AMQP over WebSockets, port 443
    Websocket,
}

impl Way {
    /// As the client names it.
    pub(crate) fn transport(self) -> Transport {
        match self {
            Self::Amqp => Transport::Tcp,
            Self::Websocket => Transport::WebSocket,
        }
    }
}

/// Flags that name a hub, and who this is there.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct HubArgs {
    /// Connection string of the hub or its namespace; the variable keeps it out of the list of processes
    #[arg(long, env = "EVENTHUB_CONNECTION_STRING", hide_env_values = true, value_name = "TEXT", value_parser = secret, help_heading = "Hub")]
    connection_string: Option<SecretString>,
    /// Name or ARN of a secret in AWS Secrets Manager that names the hub and holds its credentials; rotation is followed
    #[arg(long, env = variable::CREDENTIALS_SECRET, value_name = "NAME", help_heading = "Hub")]
    credentials_secret: Option<String>,
    /// Namespace of the hub, when federated
    #[arg(long, env = variable::NAMESPACE, value_name = "HOST", help_heading = "Hub")]
    namespace: Option<String>,
    /// Name of the hub, when federated or where the connection string has no EntityPath
    #[arg(long, env = variable::HUB, value_name = "NAME", help_heading = "Hub")]
    hub: Option<String>,
    #[command(flatten)]
    pub(crate) who: IdentityArgs,
}

#[allow(clippy::unnecessary_wraps)]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

impl HubArgs {
    /// The hub that is meant, to be read in `group` if that is given.
    ///
    /// # Errors
    /// When none is named or more than one, or the secret cannot be read.
    pub(crate) async fn hub(&self, group: Option<&str>) -> Result<Hub, Failure> {
        let identity = self.identity(group).await?;
        self.named(identity, group).await
    }

    /// Who this is at the hub; no secret is read yet.
    async fn identity(&self, group: Option<&str>) -> Result<Identity, Failure> {
        // A variable that is set to nothing is not set.
        let federated = self.who.is_federated();
        let secret = self.credentials_secret.as_ref().filter(|name| !name.trim().is_empty());
        let connection_string = self.connection_string.as_ref().filter(|text| !text.expose_secret().trim().is_empty());
        match (connection_string, secret) {
            (Some(text), None) if !federated => Ok(Identity::Text(self.by_connection_string(text)?)),
            (Some(_), _) => Err(Failure::Usage(format!(
                "a connection string and another way to be let in: keep one of EVENTHUB_CONNECTION_STRING, {} and {}",
                variable::CREDENTIALS_SECRET,
                variable::AUTHENTICATION
            ))),
            (None, None) if !federated => Err(Failure::Usage(format!(
                "no connection string: set EVENTHUB_CONNECTION_STRING or give --connection-string, --credentials-secret ({}) or \
                 --authentication federated; `tributary emulator` prints one for local work",
                variable::CREDENTIALS_SECRET
            ))),
            (None, _) => Ok(Identity::Stored(self.credentials(group).await?)),
        }
    }

    /// The hub that an identity is for.
    async fn named(&self, identity: Identity, group: Option<&str>) -> Result<Hub, Failure> {
        let mut hub = match identity {
            Identity::Text(hub) => hub,
            Identity::Stored(credentials) => {
                let hub = credentials.hub().await.map_err(|error| Failure::Backend(error.to_string()))?;
                match &self.hub {
                    Some(given) if !given.eq_ignore_ascii_case(&hub.hub) => {
                        return Err(Failure::Usage(format!(
                            "the secret is for hub {:?}, not {given:?}: leave --hub ({}) out or name another secret",
                            hub.hub,
                            variable::HUB
                        )));
                    }
                    _ => hub,
                }
            }
        };
        if let Some(group) = group {
            group.clone_into(&mut hub.consumer_group);
        }
        Ok(hub)
    }

    async fn credentials(&self, group: Option<&str>) -> Result<HubCredentials, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let settings = HubSettings::from_variables(|name| match name {
            variable::CREDENTIALS_SECRET => self.credentials_secret.clone(),
            variable::AUTHENTICATION => self.who.authentication.clone(),
            variable::TENANT => self.who.tenant_id.clone(),
            variable::CLIENT => self.who.client_id.clone(),
            variable::NAMESPACE => self.namespace.clone(),
            variable::HUB => self.hub.clone(),
            variable::CONSUMER_GROUP => Some(group.unwrap_or(DEFAULT_GROUP).to_owned()),
            _ => None,
        });
        let settings = settings.map_err(|error| usage(&error))?;
        let entra = Entra::from_environment().map_err(|error| usage(&error))?;
        let config = tributary_aws::load(None).await.map_err(|error| usage(&error))?;
        HubCredentials::new(settings, &config, entra).map_err(|error| usage(&error))
    }

    fn by_connection_string(&self, text: &SecretString) -> Result<Hub, Failure> {
        let parsed = ConnectionString::parse(text.expose_secret());
        let parsed = parsed.map_err(|error| Failure::Usage(error.to_string()))?;
        let hub = match (&parsed.entity_path, &self.hub) {
            (Some(own), Some(given)) if !own.eq_ignore_ascii_case(given) => {
                return Err(Failure::Usage(format!(
                    "the connection string is for hub {own:?}, not {given:?}: leave --hub out or take the namespace's \
                     connection string"
                )));
            }
            (Some(own), _) => own.clone(),
            (None, Some(given)) => given.clone(),
            (None, None) => {
                return Err(Failure::Usage(
                    "the connection string is the namespace's and names no hub: add --hub NAME".to_owned(),
                ));
            }
        };
        let (address, consumer_group) = (HubAddress::of(&parsed), DEFAULT_GROUP.to_owned());
        Ok(Hub { address, hub, consumer_group, credential: parsed.secret.into() })
    }
}

/// Flags of a command that is a client of a hub for a while.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    hub: HubArgs,
    /// Seconds to go on trying when the hub cannot be reached or is busy
    #[arg(long, default_value_t = 15, value_name = "S", help_heading = "Hub")]
    retry_for: u64,
}

impl ClientArgs {
    /// A client's builder with namespace, hub, group and credential set.
    ///
    /// # Errors
    /// As [`HubArgs::hub`].
    pub(crate) async fn builder(&self, group: Option<&str>) -> Result<EventHubBuilder, Failure> {
        Ok(self.patient(self.hub.hub(group).await?.builder()))
    }

    /// Somebody waits at a terminal: gives up sooner than a service would.
    fn patient(&self, builder: EventHubBuilder) -> EventHubBuilder {
        let give_up_after = Duration::from_secs(self.retry_for);
        builder.retry(RetryPolicy { give_up_after, ..RetryPolicy::default() })
    }
}

/// Flags of an operator's command that reads a hub beside its processor.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BesideArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The processor's consumer group: the one whose positions are meant; that of the secret, or $Default
    #[arg(long, env = "EVENTHUB_CONSUMER_GROUP", value_name = "NAME", help_heading = "Hub")]
    consumer_group: Option<String>,
    /// Consumer group to read events in, without a claim; the processor's when not given, where one that is reading refuses it
    #[arg(long, value_name = "NAME", help_heading = "Hub")]
    read_group: Option<String>,
}

impl BesideArgs {
    /// Who this is in Azure.
    pub(crate) fn who(&self) -> &IdentityArgs {
        &self.client.hub.who
    }

    /// Who this is at the hub; no secret is read yet.
    pub(crate) async fn identity(&self) -> Result<Identity, Failure> {
        self.client.hub.identity(self.consumer_group.as_deref()).await
    }

    /// A builder of the hub that an identity is for, as the reading group sees it.
    pub(crate) async fn builder(&self, identity: Identity) -> Result<EventHubBuilder, Failure> {
        let hub = self.client.hub.named(identity, self.consumer_group.as_deref()).await?;
        let group = self.read_group.as_ref().unwrap_or(&hub.consumer_group);
        Ok(self.client.patient(hub.builder()).consumer_group(group))
    }

    /// The hub as the reading group sees it, and the processor's group. Nothing is connected yet.
    ///
    /// # Errors
    /// As [`HubArgs::hub`].
    pub(crate) async fn source(&self, name: &str) -> Result<(EventHubSource, String), Failure> {
        let hub = self.client.hub.hub(self.consumer_group.as_deref()).await?;
        let group = self.read_group.as_ref().unwrap_or(&hub.consumer_group);
        let builder = self.client.patient(hub.builder()).consumer_group(group).receiver_name(name);
        let source = builder.build_source().map_err(|error| Failure::Usage(error.to_string()))?;
        Ok((source, hub.consumer_group))
    }

    /// What a source's error means to an operator.
    pub(crate) fn failure(&self, error: SourceError) -> Failure {
        match error {
            SourceError::Displaced { context } => Failure::Backend(format!(
                "{context}: the processor reads in that group, and a reader beside it is not let in; name another consumer \
                 group of the hub with --read-group, or try again when it rests"
            )),
            other => Failure::Backend(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(arguments: HubArgs) -> Result<String, String> {
        assert!(!format!("{arguments:?}").contains("secret-key"));
        match arguments.hub(None).await {
            Ok(hub) => {
                assert!(!format!("{hub:?}").contains("secret-key"));
                Ok(format!("{} {}", hub.hub, hub.consumer_group))
            }
            Err(Failure::Usage(text)) => Err(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn connection(text: Option<&str>, hub: Option<&str>) -> HubArgs {
        HubArgs { connection_string: text.map(SecretString::from), hub: hub.map(str::to_owned), ..HubArgs::default() }
    }

    #[tokio::test]
    async fn the_hub_comes_from_the_string_or_the_flag() {
        let namespace =
            "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=secret-key";
        let hub = format!("{namespace};EntityPath=logs");
        assert_eq!(resolved(connection(Some(&hub), None)).await.as_deref(), Ok("logs $Default"));
        assert_eq!(resolved(connection(Some(&hub), Some("LOGS"))).await.as_deref(), Ok("logs $Default"));
        assert_eq!(resolved(connection(Some(namespace), Some("other"))).await.as_deref(), Ok("other $Default"));
        for (text, flag, says) in [
            (None, None, "EVENTHUB_CONNECTION_STRING"),
            (Some(namespace), None, "--hub NAME"),
            (Some(hub.as_str()), Some("other"), "\"other\""),
            (Some("nonsense"), None, "part 1"),
        ] {
            let error = resolved(connection(text, flag)).await.err().unwrap();
            assert!(error.contains(says) && !error.contains("secret-key"), "{error}");
        }
        let hub = connection(Some(&hub), None).hub(Some("own")).await.unwrap();
        assert_eq!(hub.consumer_group, "own");
    }

    #[tokio::test]
    async fn one_way_to_be_let_in_and_all_that_it_needs() {
        let some = |text: &str| Some(text.to_owned());
        let who = |how: &str| IdentityArgs { authentication: some(how), ..IdentityArgs::default() };
        let federated = || HubArgs { who: who("federated"), ..HubArgs::default() };
        let both = HubArgs { connection_string: Some(SecretString::from("secret-key")), ..federated() };
        let error = resolved(both).await.unwrap_err();
        assert!(error.contains("keep one of EVENTHUB_CONNECTION_STRING, AZURE_CREDENTIALS_SECRET_NAME"), "{error}");
        assert!(resolved(federated()).await.unwrap_err().starts_with("AZURE_TENANT_ID is not set"));
        let typo = HubArgs { who: who("federatd"), ..HubArgs::default() };
        assert!(resolved(typo).await.unwrap_err().starts_with("AZURE_AUTHENTICATION is neither"));
        let tenant = HubArgs { who: IdentityArgs { tenant_id: some("a/b"), ..who("federated") }, ..HubArgs::default() };
        assert!(resolved(tenant).await.unwrap_err().starts_with("AZURE_TENANT_ID is no tenant"));
    }
}
