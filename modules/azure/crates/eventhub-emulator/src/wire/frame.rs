//! Frames: an eight byte header, a performative, and for a transfer a piece of a message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::{
    Malformed,
    value::{PutValue, descriptor, value_len},
};

/// The first eight bytes of a connection that will speak SASL.
pub(crate) const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
/// The first eight bytes of a connection, or of what follows SASL.
pub(crate) const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// The smallest max-frame-size that a peer may announce.
pub(crate) const MIN_MAX_FRAME_SIZE: u32 = 512;

/// A frame type byte.
const TYPE_AMQP: u8 = 0;
const TYPE_SASL: u8 = 1;

/// Descriptor codes of the performatives.
pub(crate) mod code {
    pub(crate) const OPEN: u64 = 0x10;
    pub(crate) const BEGIN: u64 = 0x11;
    pub(crate) const ATTACH: u64 = 0x12;
    pub(crate) const FLOW: u64 = 0x13;
    pub(crate) const TRANSFER: u64 = 0x14;
    pub(crate) const DISPOSITION: u64 = 0x15;
    pub(crate) const DETACH: u64 = 0x16;
    pub(crate) const END: u64 = 0x17;
    pub(crate) const CLOSE: u64 = 0x18;
    pub(crate) const SASL_INIT: u64 = 0x41;
}

/// One frame of the peer.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) channel: u16,
    pub(crate) sasl: bool,
    /// `None` in an empty frame, which only says that the peer is alive.
    pub(crate) body: Option<Body>,
}

/// What a frame carries.
#[derive(Debug)]
pub(crate) struct Body {
    /// The performative's descriptor code.
    pub(crate) code: u64,
    /// The encoded performative.
    pub(crate) performative: Bytes,
    /// What follows it: a piece of a message.
    pub(crate) payload: Bytes,
}

impl Body {
    /// Decodes the performative.
    pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Malformed> {
        serde_amqp::from_slice(&self.performative).map_err(|_| Malformed("a performative cannot be decoded"))
    }
}

/// Cuts the next whole frame from `input`, or returns `None` when more bytes are needed.
///
/// Sizes are checked before anything is read: a frame shorter than its header or longer than `max_frame_size`
/// ends the connection, it never panics and never makes the buffer grow.
pub(crate) fn next_frame(input: &mut BytesMut, max_frame_size: u32) -> Result<Option<Frame>, Malformed> {
    let Some(header) = input.get(..8).and_then(|header| <[u8; 8]>::try_from(header).ok()) else { return Ok(None) };
    let [s0, s1, s2, s3, data_offset, frame_type, c0, c1] = header;
    let size = u32::from_be_bytes([s0, s1, s2, s3]);
    let data_offset = usize::from(data_offset) * 4;
    if size > max_frame_size {
        return Err(Malformed("a frame is longer than the announced max-frame-size"));
    }
    let size = size as usize;
    if size < 8 || data_offset < 8 || data_offset > size {
        return Err(Malformed("a frame is shorter than its header"));
    }
    if input.len() < size {
        return Ok(None);
    }
    let mut frame = input.split_to(size).freeze();
    frame.advance(data_offset);
    let sasl = match frame_type {
        TYPE_AMQP => false,
        TYPE_SASL => true,
        _ => return Err(Malformed("a frame is neither of AMQP nor of SASL")),
    };
    let body = if frame.is_empty() {
        None
    } else {
        let performative = frame.split_to(value_len(&frame)?);
        let (code, _) = descriptor(&performative)?;
        Some(Body { code, performative, payload: frame })
    };
    Ok(Some(Frame { channel: u16::from_be_bytes([c0, c1]), sasl, body }))
}

/// Appends a frame whose body `write` adds.
fn put_frame(out: &mut BytesMut, frame_type: u8, channel: u16, write: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(&[2, frame_type]);
    out.put_u16(channel);
    write(out);
    let size = (out.len() - start) as u32;
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&size.to_be_bytes());
    }
}

/// Appends an empty frame: a sign of life.
pub(crate) fn put_heartbeat(out: &mut BytesMut) {
    put_frame(out, TYPE_AMQP, 0, |_| {});
}

/// Appends a performative with all of its fields.
///
/// The codec leaves trailing nulls out, as the standard allows. Microsoft's Python client reads fields by index
/// and fails on a short list, so the list is filled up to `fields`.
pub(crate) fn put_performative<T: Serialize>(out: &mut BytesMut, channel: u16, performative: &T, fields: u32) {
    let Some(encoded) = encode(performative) else { return };
    put_frame(out, TYPE_AMQP, channel, |out| put_padded(out, &encoded, fields));
}

/// Appends a SASL performative.
pub(crate) fn put_sasl<T: Serialize>(out: &mut BytesMut, performative: &T) {
    let Some(encoded) = encode(performative) else { return };
    put_frame(out, TYPE_SASL, 0, |out| out.put_slice(&encoded));
}

fn encode<T: Serialize>(performative: &T) -> Option<Vec<u8>> {
    match serde_amqp::to_vec(performative) {
        Ok(encoded) => Some(encoded),
        Err(error) => {
            tracing::error!(%error, "a performative could not be encoded and was not sent");
            None
        }
    }
}

fn put_padded(out: &mut BytesMut, encoded: &[u8], fields: u32) {
    let parts = match encoded {
        [0x00, 0x53, code, 0x45] => Some((*code, 0, &[][..])),
        [0x00, 0x53, code, 0xc0, _, count, items @ ..] => Some((*code, u32::from(*count), items)),
        [0x00, 0x53, code, 0xd0, _, _, _, _, a, b, c, d, items @ ..] => {
            Some((*code, u32::from_be_bytes([*a, *b, *c, *d]), items))
        }
        _ => None,
    };
    match parts {
        Some((code, count, items)) if count < fields => {
            let missing = (fields - count) as usize;
            out.put_slice(&[0x00, 0x53, code, 0xd0]);
            out.put_u32((4 + items.len() + missing) as u32);
            out.put_u32(fields);
            out.put_slice(items);
            out.put_bytes(0x40, missing);
        }
        _ => out.put_slice(encoded),
    }
}

/// What a transfer frame says about the delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) channel: u16,
    pub(crate) handle: u32,
    pub(crate) delivery_id: u32,
    pub(crate) settled: bool,
}

/// Appends a message as one transfer, or as several when it does not fit one frame of `max_frame_size`.
/// Returns the number of frames: each of them uses one unit of the session's window.
pub(crate) fn put_transfer(out: &mut BytesMut, delivery: Delivery, max_frame_size: usize, parts: &[&[u8]]) -> u32 {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let room = payload_room(max_frame_size);
    if total <= room {
        put_frame(out, TYPE_AMQP, delivery.channel, |out| {
            put_transfer_performative(out, delivery, false);
            parts.iter().for_each(|part| out.put_slice(part));
        });
        return 1;
    }
    let message = parts.concat();
    let mut pieces = message.chunks(room).peekable();
    let mut frames = 0;
    while let Some(piece) = pieces.next() {
        let more = pieces.peek().is_some();
        put_frame(out, TYPE_AMQP, delivery.channel, |out| {
            put_transfer_performative(out, delivery, more);
            out.put_slice(piece);
        });
        frames += 1;
    }
    frames
}

/// The number of frames that a message of `len` bytes takes.
pub(crate) fn frames_of(len: usize, max_frame_size: usize) -> u32 {
    len.div_ceil(payload_room(max_frame_size)).max(1) as u32
}

/// 64 bytes are more than a frame header and the longest transfer performative that is written here.
fn payload_room(max_frame_size: usize) -> usize {
    max_frame_size.max(MIN_MAX_FRAME_SIZE as usize) - 64
}

/// The eleven fields of a transfer, all present: see [`put_performative`]. `batchable` is true because the Python
/// client finds the payload by the position of the last field.
fn put_transfer_performative(out: &mut BytesMut, delivery: Delivery, more: bool) {
    out.put_slice(&[0x00, 0x53, code::TRANSFER as u8, 0xc0, 0, 11]);
    let start = out.len() - 1;
    out.put_amqp_uint(delivery.handle);
    out.put_amqp_uint(delivery.delivery_id);
    out.put_slice(&[0xa0, 4]);
    out.put_u32(delivery.delivery_id);
    out.put_amqp_uint(0);
    out.put_u8(if delivery.settled { 0x41 } else { 0x42 });
    out.put_u8(if more { 0x41 } else { 0x42 });
    // rcv-settle-mode, state: null; resume, aborted: false; batchable: true.
    out.put_slice(&[0x40, 0x40, 0x42, 0x42, 0x41]);
    let size = (out.len() - start) as u8;
    if let Some(field) = out.get_mut(start - 1) {
        *field = size;
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::performatives::{Detach, Transfer};

    use super::*;

    #[test]
    fn a_performative_is_filled_up_and_reads_back() {
        let mut out = BytesMut::new();
        let detach = Detach { handle: 7.into(), closed: true, error: None };
        put_performative(&mut out, 3, &detach, 3);
        let frame = next_frame(&mut out, 65536).unwrap().unwrap();
        assert_eq!(frame.channel, 3);
        let body = frame.body.unwrap();
        assert_eq!(body.code, code::DETACH);
        assert_eq!(body.performative[8..12], [0, 0, 0, 3], "all three fields are there");
        assert_eq!(body.decode::<Detach>().unwrap(), detach);
        assert!(out.is_empty());
    }

    #[test]
    fn a_long_message_is_cut_and_joins_again() {
        let message: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
        let mut out = BytesMut::new();
        let delivery = Delivery { channel: 1, handle: 300, delivery_id: 70_000, settled: false };
        let frames = put_transfer(&mut out, delivery, 1024, &[&message[..100], &message[100..]]);
        assert_eq!(frames, frames_of(5000, 1024));
        let mut joined = Vec::new();
        for n in 1..=frames {
            let body = next_frame(&mut out, 1024).unwrap().unwrap().body.unwrap();
            let transfer: Transfer = body.decode().unwrap();
            assert_eq!((transfer.handle.0, transfer.delivery_id), (300, Some(70_000)));
            assert_eq!(transfer.more, n < frames);
            assert!(transfer.batchable);
            joined.extend_from_slice(&body.payload);
        }
        assert_eq!(joined, message);
    }

    #[test]
    fn broken_frames_are_errors() {
        let shorter_than_header = [0, 0, 0, 4, 2, 0, 0, 0];
        let offset_past_end = [0, 0, 0, 8, 3, 0, 0, 0];
        let too_long = [0, 1, 0, 1, 2, 0, 0, 0];
        let unknown_type = [0, 0, 0, 8, 2, 9, 0, 0];
        let value_past_end = [0, 0, 0, 12, 2, 0, 0, 0, 0x00, 0x53, 0x10, 0xc0];
        for bytes in [&shorter_than_header[..], &offset_past_end, &too_long, &unknown_type, &value_past_end] {
            assert!(next_frame(&mut BytesMut::from(bytes), 65536).is_err(), "{bytes:?}");
        }
        assert!(next_frame(&mut BytesMut::from(&[0, 0, 0][..]), 65536).unwrap().is_none());
    }
}
