//! A thin Event Hubs consumer and publisher on AMQP 1.0.
#![allow(dead_code)]

mod budget;
mod connection_string;
mod credential;
mod event;
mod failure;
mod filter;
mod timeouts;

pub use connection_string::{ConnectionSecret, ConnectionString, ConnectionStringError};
pub use credential::{Credential, DEFAULT_TOKEN_LIFETIME, Token, TokenError, TokenKind, TokenProvider};
pub use timeouts::{RetryPolicy, Timeouts};
