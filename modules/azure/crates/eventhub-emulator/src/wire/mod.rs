//! AMQP 1.0 on the wire: frames, performatives, and the sections of a message.
//!
//! The types and their codec are those of `fe2o3-amqp-types` and `serde_amqp`. What is written here is what those
//! leave to a transport: cutting frames out of a byte stream, and finding the sections of a message without
//! decoding (or copying) the ones that the emulator does not look into.

pub(crate) mod frame;
pub(crate) mod message;
pub(crate) mod value;

/// The bytes are not AMQP 1.0. The text says what was expected.
#[derive(Debug, thiserror::Error)]
#[error("malformed AMQP data: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);
