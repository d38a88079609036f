//! An Event Hubs namespace in process, for local work and tests.
//!
//! ```
//! use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig, condition};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::builder().hub(HubConfig::new("defender", 4).consumer_group("tributary")).start().await?;
//! let hub = emulator.hub("defender")?;
//! hub.publish(0, Event::new(r#"{"records":[]}"#).property("source", "test"))?;
//! println!("{}", emulator.connection_string("defender")); // for any Event Hubs client
//!
//! emulator.faults().detach_receiver_after("defender", Some(0), 100, condition::SERVER_BUSY);
//! emulator.shutdown().await;
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # What it imitates
//!
//! The part of the service that a client sees over AMQP 1.0: SASL (`MSSBCBS`, `PLAIN`, `ANONYMOUS`, `EXTERNAL`), tokens
//! put to `$cbs` and really checked (shared access and JWT: signature, expiry, audience), `$management` reads of hubs and
//! partitions, senders to a hub and to a partition (single messages and batches, round robin and by key), receivers from
//! every kind of position, epochs, the limit of five readers, delivery annotations with the partition's last event, and the
//! error conditions of all this. Over plain TCP, TLS, and WebSockets.
//!
//! Its behaviour is derived from Microsoft's clients, which are under the MIT licence, from public documentation, and
//! from what those clients were seen to send and to need. Microsoft's own emulator was neither used nor looked into.
//! The clients for Python and JavaScript run on it unmodified: `tests/conformance/peers.rs`.
//!
//! # What it does not imitate
//!
//! Storage beyond memory, retention by time, capture, schema registry, Kafka, throughput units and quotas, rights of a
//! key (any key may do everything), roles of an Entra token (one of a trusted issuer may do everything), geo-replication,
//! idempotent producers, link redirects, transactions. A message that needs more frames than a peer's whole session
//! window is sent regardless of the window.
//!
//! A position beyond the last event is refused with `com.microsoft:argument-error`, as users of the service report it.
//! Answers of which nothing is known are guesses: an empty partition reports -1 as its last sequence number and offset,
//! and 1970 as its last time; one from which everything expired begins at the number that comes next.
//!
//! # How it is built
//!
//! One task serves a connection: it reads, hands the bytes to an engine that knows no input and output, and writes what
//! that appends. The types and the codec of AMQP are those of `fe2o3-amqp-types`; framing, sessions and links are
//! written here. The library's own acceptor (0.18.4) carried a prototype that served the same clients. It was given up
//! because it panics on a frame shorter than its header, encodes every message anew for every reader, and because the
//! project's own client is built on that library: two ends of one library agree on its mistakes.
//!
//! Measured on two cores, client (`fe2o3-amqp`) and emulator in one process over loopback: about 240,000 settled events
//! of 3.6 KB a second, 8 us of CPU each for both ends (`cargo bench -p tributary-azure-eventhub-emulator`).

mod address;
mod auth;
mod connection;
mod engine;
mod error;
mod event;
mod faults;
mod filter;
mod hub;
mod jwt;
mod key_hash;
mod listener;
mod nodes;
mod partition;
mod server;
mod websocket;
mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use error::{Error, condition};
pub use event::{Body, Event, StoredEvent};
pub use faults::Faults;
pub use fe2o3_amqp_types::primitives::{SimpleValue, Value};
pub use hub::{DEFAULT_CONSUMER_GROUP, HubConfig, HubHandle, PartitionHandle};
pub use jwt::JwtIssuer;
pub use partition::{PartitionStats, ReaderInfo};
pub use server::{DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator, EmulatorBuilder};

/// Locks a mutex. A task that panicked while it held one ends its own connection, not the emulator.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
