//! Putting a client together.

use std::sync::Arc;

use crate::budget::{ByteBudget, DEFAULT_BUDGET_BYTES};
use crate::connection::{Connector, Settings};
use crate::connection_string::{ConnectionString, ConnectionStringError};
use crate::credential::Credential;
use crate::publisher::EventHubPublisher;
use crate::source::EventHubSource;
use crate::timeouts::{RetryPolicy, Timeouts};
use crate::transport::{Endpoint, Roots, Transport, default_port, tls_config};

/// Why a client cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The connection string is not one.
    #[error(transparent)]
    ConnectionString(#[from] ConnectionStringError),
    /// Something that has no default was not given.
    #[error("no {what} is given: {advice}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Where to give it.
        advice: &'static str,
    },
    /// A name that cannot be part of an AMQP address.
    #[error("the {what} {name:?} is no name: letters, digits and '$', '-', '_', '.', '~' are possible")]
    Name {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
}

/// Collects what a source or a publisher needs. Setters never fail; what is wrong comes up when it is built.
#[derive(Debug, Clone)]
pub struct EventHubBuilder {
    namespace: Option<String>,
    port: Option<u16>,
    hub: Option<String>,
    consumer_group: String,
    credential: Option<Credential>,
    transport: Transport,
    tls: bool,
    roots: Roots,
    budget_bytes: usize,
    timeouts: Timeouts,
    retry: RetryPolicy,
    receiver_name: String,
}

impl Default for EventHubBuilder {
    fn default() -> Self {
        Self {
            namespace: None,
            port: None,
            hub: None,
            consumer_group: "$Default".into(),
            credential: None,
            transport: Transport::default(),
            tls: true,
            roots: Roots::default(),
            budget_bytes: DEFAULT_BUDGET_BYTES,
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            receiver_name: "tributary".into(),
        }
    }
}

impl EventHubBuilder {
    /// A builder with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Namespace, port, hub (if the string names one), credential and TLS from a connection string.
    ///
    /// # Errors
    /// The text is no connection string.
    pub fn connection_string(self, text: &str) -> Result<Self, BuildError> {
        let parsed = ConnectionString::parse(text)?;
        Ok(Self {
            namespace: Some(parsed.host),
            port: parsed.port,
            hub: parsed.entity_path.or(self.hub),
            credential: Some(parsed.secret.into()),
            tls: !parsed.development_emulator,
            ..self
        })
    }

    /// Host name of the namespace, such as `contoso.servicebus.windows.net`.
    pub fn namespace(mut self, host: impl Into<String>) -> Self {
        self.namespace = Some(host.into().to_ascii_lowercase());
        self
    }

    /// Port, if it is not the transport's own.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Name of the hub.
    pub fn hub(mut self, hub: impl Into<String>) -> Self {
        self.hub = Some(hub.into());
        self
    }

    /// Consumer group, `$Default` if not set.
    pub fn consumer_group(mut self, name: impl Into<String>) -> Self {
        self.consumer_group = name.into();
        self
    }

    /// Who the client is.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// TCP (the default) or WebSocket.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Whether to use TLS: yes, unless the connection string is an emulator's.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Whom to trust: what the operating system trusts, if not set.
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// Bytes that all partitions of a source hold at most, 64 MiB if not set; see [`crate::DEFAULT_BUDGET_BYTES`] and
    /// [`crate::LEAST_SHARE`].
    pub fn budget_bytes(mut self, bytes: usize) -> Self {
        self.budget_bytes = bytes;
        self
    }

    /// Deadlines.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Retries.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// What the service calls the readers when it says who took a partition; `tributary` if not set.
    pub fn receiver_name(mut self, name: impl Into<String>) -> Self {
        self.receiver_name = name.into();
        self
    }

    /// A source. Nothing is connected yet.
    ///
    /// # Errors
    /// Something is missing or no name, or TLS finds no roots.
    pub fn build_source(self) -> Result<EventHubSource, BuildError> {
        check_name("consumer group", &self.consumer_group)?;
        let (group, name) = (self.consumer_group.clone(), self.receiver_name.clone());
        let budget = ByteBudget::new(self.budget_bytes);
        Ok(EventHubSource::new(self.connector()?, group, name, budget))
    }

    /// A publisher. Nothing is connected yet.
    ///
    /// # Errors
    /// Something is missing or no name, or TLS finds no roots.
    pub fn build_publisher(self) -> Result<EventHubPublisher, BuildError> {
        Ok(EventHubPublisher::new(self.connector()?))
    }

    pub(crate) fn connector(self) -> Result<Arc<Connector>, BuildError> {
        let missing = |what, advice| BuildError::Missing { what, advice };
        let host = self.namespace.ok_or(missing("namespace", "use a connection string, or name the host"))?;
        let hub = self.hub.ok_or(missing("hub", "name it, or use a connection string with EntityPath"))?;
        let credential =
            self.credential.ok_or(missing("credential", "use a connection string, or a token provider"))?;
        check_name("hub", &hub)?;
        let tls = if self.tls { Some(tls_config(&self.roots).map_err(BuildError::Tls)?) } else { None };
        let port = self.port.unwrap_or_else(|| default_port(self.transport, self.tls));
        let endpoint = Endpoint { host, port, transport: self.transport, tls };
        let settings = Settings::new(endpoint, hub, credential, self.timeouts, self.retry);
        Ok(Arc::new(Connector::new(Arc::new(settings))))
    }
}

/// Names become parts of addresses: a `/` or a space in one would address something else.
fn check_name(what: &'static str, name: &str) -> Result<(), BuildError> {
    let fits = !name.is_empty()
        && name.len() <= 260
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'-' | b'_' | b'.' | b'~'));
    if fits { Ok(()) } else { Err(BuildError::Name { what, name: name.chars().take(100).collect() }) }
}

#[cfg(test)]
mod tests {
    use tributary_pipeline::EventSource;

    use super::*;

    const TEXT: &str =
        "Endpoint=sb://localhost:5672;SharedAccessKeyName=a;SharedAccessKey=c4n4ry;UseDevelopmentEmulator=true";

    #[test]
    fn a_connection_string_is_enough_but_for_the_hub() {
        let builder = EventHubBuilder::new().connection_string(TEXT).unwrap();
        let error = builder.clone().build_source().unwrap_err();
        assert!(error.to_string().contains("EntityPath"), "{error}");
        let source = builder.hub("defender").build_source().unwrap();
        assert_eq!(source.hub().namespace, "localhost");
        assert_eq!(source.hub().consumer_group, "$Default");
        assert!(!format!("{source:?}").contains("c4n4ry"), "{source:?}");
    }

    #[test]
    fn names_that_would_address_something_else_are_refused() {
        for hub in ["", "a/b", "a b", "é", "a?b"] {
            let built = EventHubBuilder::new().connection_string(TEXT).unwrap().hub(hub).build_publisher();
            assert!(matches!(built, Err(BuildError::Name { what: "hub", .. })), "{hub:?}");
        }
        let built = EventHubBuilder::new().connection_string(TEXT).unwrap().hub("a").consumer_group("x/y");
        assert!(matches!(built.build_source(), Err(BuildError::Name { what: "consumer group", .. })));
    }
}
