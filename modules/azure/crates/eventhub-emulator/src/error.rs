//! Error conditions on the wire, and the errors of the emulator's own API.

use fe2o3_amqp_types::{
    definitions::{self, ErrorCondition},
    primitives::Symbol,
};

/// Error conditions of AMQP and of the service, as they go over the wire.
pub mod condition {
    /// The entity does not exist.
    pub const NOT_FOUND: &str = "amqp:not-found";
    /// No token, an expired one, or one for something else.
    pub const UNAUTHORIZED: &str = "amqp:unauthorized-access";
    /// The address or an option makes no sense.
    pub const NOT_ALLOWED: &str = "amqp:not-allowed";
    /// The service failed; try again.
    pub const INTERNAL_ERROR: &str = "amqp:internal-error";
    /// Too many readers, or too idle.
    pub const RESOURCE_LIMIT_EXCEEDED: &str = "amqp:resource-limit-exceeded";
    /// The bytes cannot be decoded.
    pub const DECODE_ERROR: &str = "amqp:decode-error";
    /// A reader with a higher or equal epoch took the partition.
    pub const STOLEN: &str = "amqp:link:stolen";
    /// The service moved the link's end, or the link was idle for long.
    pub const DETACH_FORCED: &str = "amqp:link:detach-forced";
    /// The message is larger than the link allows.
    pub const MESSAGE_SIZE_EXCEEDED: &str = "amqp:link:message-size-exceeded";
    /// The service closes the connection.
    pub const CONNECTION_FORCED: &str = "amqp:connection:forced";
    /// Frames that do not follow the protocol.
    pub const FRAMING_ERROR: &str = "amqp:connection:framing-error";
    /// Throttled: wait some seconds.
    pub const SERVER_BUSY: &str = "com.microsoft:server-busy";
    /// The service took too long.
    pub const TIMEOUT: &str = "com.microsoft:timeout";
    /// The service gave the operation up.
    pub const OPERATION_CANCELLED: &str = "com.microsoft:operation-cancelled";
    /// The container that served the link closes.
    pub const CONTAINER_CLOSE: &str = "com.microsoft:container-close";
    /// The hub is disabled.
    pub const ENTITY_DISABLED: &str = "com.microsoft:entity-disabled";
    /// A filter or property cannot be understood.
    pub const ARGUMENT_ERROR: &str = "com.microsoft:argument-error";
    /// A position outside what the partition holds.
    pub const ARGUMENT_OUT_OF_RANGE: &str = "com.microsoft:argument-out-of-range";
}

/// An AMQP error that a link, a connection or an answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) condition: String,
    pub(crate) description: String,
}

impl Refusal {
    pub(crate) fn new(condition: impl Into<String>, description: impl Into<String>) -> Self {
        Self { condition: condition.into(), description: description.into() }
    }

    pub(crate) fn to_amqp(&self) -> definitions::Error {
        definitions::Error {
            condition: ErrorCondition::Custom(Symbol(self.condition.clone())),
            description: Some(self.description.clone()),
            info: None,
        }
    }
}

/// Why the emulator did not start, or a handle was not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address to listen on is not `host:port`, or its name does not resolve.
    #[error("cannot resolve the address {address:?} to listen on; give it as host:port")]
    Address {
        /// The address as given.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The socket cannot be bound.
    #[error("cannot listen on {address}; choose a free port, or 0 for any")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No hub has this name.
    #[error("no hub {hub:?} in this emulator; add it to the builder")]
    NoSuchHub {
        /// The name asked for.
        hub: String,
    },
    /// No partition has this number.
    #[error("hub {hub:?} has no partition {partition}; it has {count}")]
    NoSuchPartition {
        /// The hub.
        hub: String,
        /// The number asked for.
        partition: u32,
        /// How many there are.
        count: u32,
    },
    /// Two hubs share a name, or one has no partition.
    #[error("hub {hub:?} cannot be created: {reason}")]
    InvalidHub {
        /// The hub.
        hub: String,
        /// What is wrong.
        reason: &'static str,
    },
}
