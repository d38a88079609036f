//! What went wrong, sorted by what to do about it.
//!
//! The AMQP library reports through a dozen error types; all end here as one [`Failure`], sorted by the AMQP
//! condition where there is one. What is unknown is worth another attempt.

use std::time::Duration;

use fe2o3_amqp::connection::{ConnectionStopReason, OpenError};
use fe2o3_amqp::link::{
    DetachError, IllegalLinkStateError, LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError,
    SessionStopReason,
};
use fe2o3_amqp::session::BeginError;
use fe2o3_amqp_types::definitions::{self, ErrorCondition};
use fe2o3_amqp_types::primitives::Symbol;
use tributary_pipeline::SourceError;

use crate::connection::TokenNumber;
use crate::credential::TokenError;

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Another reader has the partition.
    Displaced,
    /// Try again.
    Transient,
    /// Try again, but later: the service is busy.
    Busy,
    /// A person must act.
    Fatal,
}

/// A failure with its class.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) detail: String,
    /// A deadline passed: the connection may be dead without knowing it.
    pub(crate) timed_out: bool,
    /// The hub under this name is another one than before.
    pub(crate) hub_was_rebuilt: bool,
    /// The service does not accept the token: another one may help.
    pub(crate) unauthorized: bool,
    /// Whoever gives tokens was denied what it needs.
    pub(crate) denied: bool,
    /// Which token that was, where it is known.
    pub(crate) token: Option<TokenNumber>,
}

impl Failure {
    fn new(class: Class, detail: impl Into<String>) -> Self {
        Self {
            class,
            detail: detail.into(),
            timed_out: false,
            hub_was_rebuilt: false,
            unauthorized: false,
            denied: false,
            token: None,
        }
    }

    pub(crate) fn transient(detail: impl Into<String>) -> Self {
        Self::new(Class::Transient, detail)
    }

    pub(crate) fn fatal(detail: impl Into<String>) -> Self {
        Self::new(Class::Fatal, detail)
    }

    #[cfg(test)]
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self::new(Class::Busy, detail)
    }

    pub(crate) fn timed_out(what: &str, limit: Duration) -> Self {
        let detail = format!("{what} took longer than {limit:?}");
        Self { timed_out: true, ..Self::transient(detail) }
    }

    pub(crate) fn rebuilt() -> Self {
        let detail = "the hub was deleted and created again while it was read: start a new run";
        Self { hub_was_rebuilt: true, ..Self::transient(detail) }
    }

    /// The same failure, of what was done with this token.
    pub(crate) fn of_token(mut self, token: TokenNumber) -> Self {
        self.token.get_or_insert(token);
        self
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.class == Class::Busy
    }

    pub(crate) fn is_worth_a_retry(&self) -> bool {
        matches!(self.class, Class::Transient | Class::Busy) && !self.hub_was_rebuilt
    }

    /// The last failure of several attempts.
    pub(crate) fn after(mut self, attempts: u32, elapsed: Duration) -> Self {
        self.detail = format!("{} (gave up after {attempts} attempts in {:.1} s)", self.detail, elapsed.as_secs_f64());
        self
    }

    /// As the pipeline sees it.
    pub(crate) fn in_context(self, context: &str) -> SourceError {
        let context = context.to_owned();
        match self.class {
            Class::Displaced => SourceError::Displaced { context },
            Class::Transient | Class::Busy => SourceError::Transient { context, detail: self.detail },
            Class::Fatal if self.unauthorized || self.denied => SourceError::Denied { context, detail: self.detail },
            Class::Fatal => SourceError::Fatal { context, detail: self.detail },
        }
    }

    /// The peer's error, by its condition.
    pub(crate) fn remote(error: &definitions::Error) -> Self {
        Self::condition(&condition_text(&error.condition), error.description.as_deref().unwrap_or_default())
    }

    /// An AMQP condition with the peer's words.
    pub(crate) fn condition(condition: &str, description: &str) -> Self {
        let said = said(description);
        match condition {
            "amqp:link:stolen" => Self::new(Class::Displaced, format!("displaced{said}")),
            "com.microsoft:server-busy" => Self::new(Class::Busy, format!("the service is busy ({condition}){said}")),
            "amqp:unauthorized-access" | "com.microsoft:auth-failed" => Self::unauthorized(condition, description),
            "amqp:not-found" => Self::not_found(condition, description),
            "com.microsoft:entity-disabled" => {
                Self::fatal(format!("the hub is disabled ({condition}): set its status to Active{said}"))
            }
            "com.microsoft:argument-error" | "com.microsoft:argument-out-of-range" => Self::fatal(format!(
                "the service refuses the request ({condition}): is the position beyond the partition's last event, \
                 or the partition unknown?{said}"
            )),
            "amqp:link:message-size-exceeded" => Self::fatal(format!(
                "the message is larger than the hub takes ({condition}): send smaller events{said}"
            )),
            _ => Self::transient(format!("the service ended it with {condition}{said}")),
        }
    }

    pub(crate) fn unauthorized(condition: &str, description: &str) -> Self {
        let failure = Self::fatal(format!(
            "not authorised ({condition}): check the policy's name and key and that it has the Listen claim (Send to \
             publish), or give the identity the role 'Azure Event Hubs Data Receiver' on the hub{}",
            said(description)
        ));
        Self { unauthorized: true, ..failure }
    }

    pub(crate) fn not_found(condition: &str, description: &str) -> Self {
        Self::fatal(format!(
            "not found ({condition}): check the names of hub, consumer group and partition{}",
            said(description)
        ))
    }
}

/// The peer's words, cut and without anything that looks like a token.
fn said(description: &str) -> String {
    if description.is_empty() {
        return String::new();
    }
    let words: Vec<&str> = description
        .split_whitespace()
        .map(|word| if word.contains("sig=") || word.starts_with("eyJ") { "REDACTED" } else { word })
        .collect();
    format!("; it says: {}", words.join(" ").chars().take(400).collect::<String>())
}

fn condition_text(condition: &ErrorCondition) -> String {
    let symbol = match condition {
        ErrorCondition::AmqpError(error) => Symbol::from(error),
        ErrorCondition::ConnectionError(error) => Symbol::from(error),
        ErrorCondition::SessionError(error) => Symbol::from(error),
        ErrorCondition::LinkError(error) => Symbol::from(error),
        ErrorCondition::Custom(symbol) => symbol.clone(),
    };
    symbol.0
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(reason)) => Self::fatal(format!(
                "the server's certificate is refused ({reason}): check the host name and the trusted roots, and that no \
                 proxy intercepts TLS"
            )),
            _ => Self::transient(format!("{error}: check the namespace's name, DNS and that the port is open")),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Transient(detail) => Self::transient(format!("no token: {detail}")),
            TokenError::Fatal(detail) => Self::fatal(format!("no token: {detail}")),
            TokenError::Denied(detail) => Self { denied: true, ..Self::fatal(format!("no token: {detail}")) },
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io(error) => error.into(),
            OpenError::RemoteClosedWithError(error) => Self::remote(&error),
            OpenError::SaslError { code, .. } => Self::fatal(format!(
                "the server refuses SASL ANONYMOUS (outcome {code:?}): is this an Event Hubs namespace?"
            )),
            OpenError::ProtocolHeaderMismatch(_) => Self::fatal(
                "the server does not speak AMQP 1.0: check host and port, and whether it expects TLS or WebSockets",
            ),
            other => Self::transient(format!("cannot open the connection: {other}")),
        }
    }
}

impl From<BeginError> for Failure {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::RemoteEndedWithError(error) => Self::remote(&error),
            BeginError::ConnectionStopped(reason) => reason.into(),
            other => Self::transient(format!("cannot begin a session: {other}")),
        }
    }
}

impl From<ConnectionStopReason> for Failure {
    fn from(reason: ConnectionStopReason) -> Self {
        match reason {
            ConnectionStopReason::RemoteClosedWithError(error) => Self::remote(&error),
            ConnectionStopReason::ClosedWithError(error) => {
                Self::transient(format!("the connection failed: {}", condition_text(&error.condition)))
            }
            ConnectionStopReason::Closed | ConnectionStopReason::RemoteClosed => {
                Self::transient("the connection was lost")
            }
        }
    }
}

impl From<SessionStopReason> for Failure {
    fn from(reason: SessionStopReason) -> Self {
        match reason {
            SessionStopReason::RemoteEndedWithError(error) => Self::remote(&error),
            SessionStopReason::ConnectionStopped(reason) => reason.into(),
            SessionStopReason::EndedWithError(error) => {
                Self::transient(format!("the session failed: {}", condition_text(&error.condition)))
            }
            SessionStopReason::Ended | SessionStopReason::RemoteEnded => Self::transient("the session ended"),
        }
    }
}

impl From<LinkStateError> for Failure {
    fn from(error: LinkStateError) -> Self {
        match error {
            LinkStateError::RemoteDetachedWithError(error) | LinkStateError::RemoteClosedWithError(error) => {
                Self::remote(&error)
            }
            LinkStateError::SessionStopped(reason) => reason.into(),
            other => Self::transient(format!("the link was lost: {other}")),
        }
    }
}

impl From<IllegalLinkStateError> for Failure {
    fn from(error: IllegalLinkStateError) -> Self {
        LinkStateError::from(error).into()
    }
}

impl From<DetachError> for Failure {
    fn from(error: DetachError) -> Self {
        LinkStateError::from(error).into()
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::LinkStateError(error) => error.into(),
            // Never the decoder's own text: it may quote the event.
            other => Self::transient(format!("the link broke the protocol: {}", recv_error_name(&other))),
        }
    }
}

fn recv_error_name(error: &RecvError) -> &'static str {
    match error {
        RecvError::LinkStateError(_) => "link state",
        RecvError::TransferLimitExceeded => "more events than credit",
        RecvError::DeliveryIdIsNone | RecvError::DeliveryTagIsNone => "a transfer without id or tag",
        RecvError::MessageDecode(_) => "a message that cannot be decoded",
        RecvError::MessageSizeExceeded(_) => "a message larger than agreed",
        _ => "inconsistent transfers",
    }
}

impl From<ReceiverAttachError> for Failure {
    fn from(error: ReceiverAttachError) -> Self {
        match error {
            ReceiverAttachError::RemoteClosedWithError(error) => Self::remote(&error),
            ReceiverAttachError::SessionStopped(reason) => reason.into(),
            ReceiverAttachError::DesiredFilterNotSupported(_) => {
                Self::fatal("the server does not support the start position's filter: is this an Event Hubs namespace?")
            }
            other => Self::transient(format!("cannot attach the receiver: {other}")),
        }
    }
}

impl From<SenderAttachError> for Failure {
    fn from(error: SenderAttachError) -> Self {
        match error {
            SenderAttachError::RemoteClosedWithError(error) => Self::remote(&error),
            SenderAttachError::SessionStopped(reason) => reason.into(),
            other => Self::transient(format!("cannot attach the sender: {other}")),
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::LinkStateError(error) => error.into(),
            SendError::Detached(error) => error.into(),
            SendError::MessageSizeExceeded(size) => Self::fatal(format!(
                "a message of {} bytes is larger than the {} that the hub takes: send smaller events",
                size.size, size.max_size
            )),
            other => Self::transient(format!("cannot send: {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_sorted_by_what_to_do() {
        for (condition, class) in [
            ("amqp:link:stolen", Class::Displaced),
            ("com.microsoft:server-busy", Class::Busy),
            ("com.microsoft:timeout", Class::Transient),
            ("com.microsoft:operation-cancelled", Class::Transient),
            ("com.microsoft:container-close", Class::Transient),
            ("amqp:internal-error", Class::Transient),
            ("amqp:link:detach-forced", Class::Transient),
            ("amqp:connection:forced", Class::Transient),
            ("amqp:resource-limit-exceeded", Class::Transient),
            ("amqp:unauthorized-access", Class::Fatal),
            ("com.microsoft:auth-failed", Class::Fatal),
            ("amqp:not-found", Class::Fatal),
            ("com.microsoft:entity-disabled", Class::Fatal),
            ("com.microsoft:argument-error", Class::Fatal),
            ("com.microsoft:argument-out-of-range", Class::Fatal),
            ("com.example:never-seen", Class::Transient),
        ] {
            let error = definitions::Error::new(
                ErrorCondition::Custom(Symbol::from(condition)),
                Some("the words".to_owned()),
                None,
            );
            let failure = Failure::remote(&error);
            assert_eq!(failure.class, class, "{condition}");
            assert!(failure.detail.contains("the words"));
        }
    }

    #[test]
    fn conditions_known_to_the_library_keep_their_names() {
        let error = definitions::Error::new(definitions::LinkError::Stolen, None, None);
        assert_eq!(Failure::remote(&error).class, Class::Displaced);
        let error = definitions::Error::new(definitions::AmqpError::NotFound, None, None);
        assert!(Failure::remote(&error).detail.starts_with("not found (amqp:not-found)"));
        let error = definitions::Error::new(definitions::ConnectionError::ConnectionForced, None, None);
        assert!(Failure::remote(&error).detail.contains("amqp:connection:forced"));
    }

    #[test]
    fn the_peers_words_cannot_carry_a_token_into_a_log() {
        let failure = Failure::condition("amqp:unauthorized-access", "bad sr=a&sig=c4n4ry&se=1 and eyJc4n4ry.b.c here");
        assert!(!failure.detail.contains("c4n4ry"), "{}", failure.detail);
        assert!(failure.detail.ends_with("bad REDACTED and REDACTED here"));
    }

    #[test]
    fn a_refused_certificate_is_fatal_and_a_refused_connection_is_not() {
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let failure = Failure::from(std::io::Error::new(std::io::ErrorKind::InvalidData, certificate));
        assert_eq!(failure.class, Class::Fatal);
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(failure.class, Class::Transient);
    }
}
