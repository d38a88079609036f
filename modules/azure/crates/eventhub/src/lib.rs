//! A thin Event Hubs consumer and publisher on AMQP 1.0.
//!
//! [`EventHubSource`] implements the pipeline's `EventSource`: it reads a hub partition by partition, each with an epoch,
//! from any start position, and goes on by itself right after the last event it collected when a link, a session or the
//! connection is lost. [`EventHubPublisher`] sends batches. Both are put together by [`EventHubBuilder`].
//!
//! The AMQP protocol itself is `fe2o3-amqp`'s; this crate is what Event Hubs adds to it, and the care that the library
//! needs:
//!
//! | module | what it knows |
//! |---|---|
//! | `connection_string`, `credential` | who the client is; signing and keeping tokens |
//! | `transport`, `websocket` | the stream: TCP without delay, rustls, WebSocket |
//! | `connection` | one shared connection, its tokens (`$cbs`), its questions (`$management`), its replacement |
//! | `rpc`, `management` | questions and answers on a pair of links |
//! | `link`, `filter`, `attach` | a receiver that attaches with zero credit at a start position, and closes in order |
//! | `reader`, `budget`, `event` | credit under one byte budget, collecting, recovery; messages as events |
//! | `publisher`, `encode` | batches |
//! | `failure`, `timeouts` | what to do about what went wrong; a deadline for every await |
//!
//! # What the library does not forgive
//!
//! - A link or session that is *dropped* while the peer still sends costs the whole connection. So links are closed in
//!   order (`close`, or a background task when dropped), and whatever may be cancelled runs in a task of its own.
//! - Its automatic credit is renewed by dispositions, which settled deliveries do not have. Credit is granted by hand.
//! - A peer's broken frame can panic its tasks. A dead task reads here as a lost connection; do not build with
//!   `panic = "abort"`.
//! - It does not reconnect, and has no deadlines. Both are here.
//!
//! # Memory
//!
//! See [`DEFAULT_BUDGET_BYTES`]: credit is granted by expected size from one budget for all partitions, and the AMQP
//! session window bounds what arrives whatever the sizes turn out to be.

mod attach;
mod budget;
mod builder;
mod connection;
mod connection_string;
mod credential;
mod encode;
mod event;
mod failure;
mod filter;
mod link;
mod management;
mod publisher;
mod reader;
mod rpc;
mod source;
mod timeouts;
mod transport;
mod websocket;

pub use budget::{DEFAULT_BUDGET_BYTES, LEAST_SHARE};
pub use builder::{BuildError, EventHubBuilder};
pub use connection_string::{ConnectionSecret, ConnectionString, ConnectionStringError};
pub use credential::{Credential, DEFAULT_TOKEN_LIFETIME, Token, TokenError, TokenKind, TokenProvider};
pub use event::UNDECODABLE_PROPERTY;
pub use management::{HubProperties, PartitionProperties};
pub use publisher::{Destination, EventHubPublisher, OutgoingEvent};
pub use source::EventHubSource;
pub use timeouts::{RetryPolicy, Timeouts};
pub use transport::{Roots, Transport};
