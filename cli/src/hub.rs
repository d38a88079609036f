//! The hub that `send` and `receive` talk to: flags, and how they become an address.

use std::convert::Infallible;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tributary_azure_eventhub::{ConnectionString, EventHubBuilder, EventHubSource, RetryPolicy};
use tributary_pipeline::SourceError;

use crate::failure::Failure;

/// Flags that name a hub.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Hub")]
pub(crate) struct HubArgs {
    /// Connection string of the hub or its namespace; the variable keeps it out of the list of processes
    #[arg(long, env = "EVENTHUB_CONNECTION_STRING", hide_env_values = true, value_name = "TEXT", value_parser = secret)]
    connection_string: Option<SecretString>,
    /// Name of the hub, where the connection string has no EntityPath
    #[arg(long, env = "EVENTHUB_NAME", value_name = "NAME")]
    hub: Option<String>,
}

#[allow(clippy::unnecessary_wraps)]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

impl HubArgs {
    /// The connection string, with the hub that is meant.
    ///
    /// # Errors
    /// When there is none, it is none, or it names no hub or another one.
    pub(crate) fn resolve(&self) -> Result<(ConnectionString, String), Failure> {
        let Some(text) = &self.connection_string else {
            return Err(Failure::Usage(
                "no connection string: set EVENTHUB_CONNECTION_STRING or give --connection-string; `tributary emulator` \
                 prints one for local work"
                    .to_owned(),
            ));
        };
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
        Ok((parsed, hub))
    }
}

/// Flags of a command that is a client of a hub for a while.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Hub")]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    hub: HubArgs,
    /// Seconds to go on trying when the hub cannot be reached or is busy
    #[arg(long, default_value_t = 15, value_name = "S")]
    retry_for: u64,
}

impl ClientArgs {
    /// A client's builder with namespace, hub and credential set.
    ///
    /// # Errors
    /// As [`HubArgs::resolve`].
    pub(crate) fn builder(&self) -> Result<EventHubBuilder, Failure> {
        let (connection, hub) = self.hub.resolve()?;
        // Somebody waits at a terminal: give up sooner than a service would.
        let retry = RetryPolicy { give_up_after: Duration::from_secs(self.retry_for), ..RetryPolicy::default() };
        let mut builder = EventHubBuilder::new()
            .namespace(connection.host)
            .hub(hub)
            .credential(connection.secret.into())
            .tls(!connection.development_emulator)
            .retry(retry);
        if let Some(port) = connection.port {
            builder = builder.port(port);
        }
        Ok(builder)
    }
}

/// Flags of an operator's command that reads a hub beside its processor.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Hub")]
pub(crate) struct BesideArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The processor's consumer group: the one whose positions are meant
    #[arg(long, env = "EVENTHUB_CONSUMER_GROUP", default_value = "$Default", value_name = "NAME")]
    pub(crate) consumer_group: String,
    /// Consumer group to read events in, without a claim; the processor's when not given, where one that is reading refuses it
    #[arg(long, value_name = "NAME")]
    read_group: Option<String>,
}

impl BesideArgs {
    /// The hub as the reading group sees it. Nothing is connected yet.
    ///
    /// # Errors
    /// As [`HubArgs::resolve`].
    pub(crate) fn source(&self, name: &str) -> Result<EventHubSource, Failure> {
        let group = self.read_group.as_ref().unwrap_or(&self.consumer_group);
        let source = self.client.builder()?.consumer_group(group).receiver_name(name).build_source();
        source.map_err(|error| Failure::Usage(error.to_string()))
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

    fn resolved(text: Option<&str>, hub: Option<&str>) -> Result<String, String> {
        let arguments = HubArgs { connection_string: text.map(SecretString::from), hub: hub.map(str::to_owned) };
        assert!(!format!("{arguments:?}").contains("secret-key"));
        match arguments.resolve() {
            Ok((_, hub)) => Ok(hub),
            Err(Failure::Usage(text)) => Err(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_hub_comes_from_the_string_or_the_flag() {
        let namespace =
            "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=secret-key";
        let hub = format!("{namespace};EntityPath=logs");
        assert_eq!(resolved(Some(&hub), None).as_deref(), Ok("logs"));
        assert_eq!(resolved(Some(&hub), Some("LOGS")).as_deref(), Ok("logs"));
        assert_eq!(resolved(Some(namespace), Some("other")).as_deref(), Ok("other"));
        for (text, flag, says) in [
            (None, None, "EVENTHUB_CONNECTION_STRING"),
            (Some(namespace), None, "--hub NAME"),
            (Some(hub.as_str()), Some("other"), "\"other\""),
            (Some("nonsense"), None, "part 1"),
        ] {
            let error = resolved(text, flag).err().unwrap();
            assert!(error.contains(says) && !error.contains("secret-key"), "{error}");
        }
    }
}
