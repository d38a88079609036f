//! Deliveries: from the partitions to the receivers, as far as credit, window and output allow.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};

use super::{Engine, Stage, link::LinkKind};
use crate::{
    connection::OUTPUT_TARGET,
    error::Refusal,
    event::{described_map, to_millis},
    faults::AfterDeliveries,
    partition::Log,
    wire::{
        frame::{Delivery, frames_of, put_transfer},
        message::section,
        value::PutValue,
    },
};

/// One receiver gets at most this many events before the next one has its turn.
const TURN: u64 = 64;

/// What became of one receiver's turn.
enum Turn {
    /// Nothing more to send, or it may not be sent now.
    Idle,
    /// It could have more.
    More,
    /// Its link ends.
    Detach(Refusal),
    /// Its connection ends.
    Close(Refusal),
    Reset,
}

impl Engine {
    /// Adds deliveries until the output, of which `waiting` bytes are not written yet, is long enough. Returns whether
    /// there is more to add as soon as the output is shorter.
    pub(crate) fn pump(&mut self, waiting: usize) -> bool {
        if self.stage != Stage::Running {
            return false;
        }
        let consumers = self.consumers.clone();
        let mut more = false;
        for index in 0..consumers.len() {
            if waiting + self.out.len() >= OUTPUT_TARGET {
                // The peer's reading goes first: being written wakes this task again.
                return false;
            }
            let Some((channel, handle)) = consumers.get((self.turn + index) % consumers.len()).copied() else { break };
            match self.serve_consumer(channel, handle, waiting) {
                Turn::Idle => {}
                Turn::More => more = true,
                Turn::Detach(refusal) => self.detach(channel, handle, &refusal),
                Turn::Close(refusal) => {
                    self.close(&refusal);
                    return false;
                }
                Turn::Reset => {
                    self.stage = Stage::Reset;
                    return false;
                }
            }
        }
        self.turn = self.turn.wrapping_add(1);
        more
    }

    fn serve_consumer(&mut self, channel: u16, handle: u32, waiting: usize) -> Turn {
        let Some(session) = self.sessions.get_mut(&channel) else { return Turn::Idle };
        let (largest_window, mut window) = (session.largest_window, session.remote_window);
        let Some(link) = session.links.get_mut(&handle) else { return Turn::Idle };
        let LinkKind::Consumer(consumer) = &mut link.kind else { return Turn::Idle };
        if let Some(refusal) = consumer.reader.ended.get() {
            return Turn::Detach(refusal.clone());
        }
        let faults = &self.namespace.faults;
        let allowed = faults.allowance(&consumer.hub.name, consumer.number).unwrap_or(u64::MAX).min(TURN);
        let mut sent = 0;
        let mut caught_up = false;
        {
            let log = consumer.partition.log();
            let delivery_annotations = if consumer.runtime_metric { runtime_metric(&log) } else { Bytes::new() };
            while sent < allowed && link.credit > 0 && waiting + self.out.len() < OUTPUT_TARGET {
                let Some(event) = log.at_or_after(consumer.next) else {
                    caught_up = true;
                    break;
                };
                let needed = frames_of(event.len() + delivery_annotations.len(), self.max_frame_size);
                // A message that needs more than the peer's whole window would wait for ever.
                if window < needed.min(largest_window) {
                    break;
                }
                let delivery =
                    Delivery { channel, handle, delivery_id: session.next_outgoing_id, settled: link.settled };
                let pieces = event.pieces(&delivery_annotations);
                let frames = put_transfer(&mut self.out, delivery, self.max_frame_size, &pieces);
                session.next_outgoing_id = session.next_outgoing_id.wrapping_add(frames);
                window = window.saturating_sub(frames);
                link.delivery_count = link.delivery_count.wrapping_add(1);
                link.credit -= 1;
                consumer.next = event.sequence_number + 1;
                sent += 1;
            }
        }
        session.remote_window = window;
        match faults.delivered(&consumer.hub.name, consumer.number, sent) {
            Some(AfterDeliveries::Detach(refusal)) => return Turn::Detach(refusal),
            Some(AfterDeliveries::Close(refusal)) => return Turn::Close(refusal),
            Some(AfterDeliveries::Reset) => return Turn::Reset,
            None => {}
        }
        if link.drain && (caught_up || link.credit == 0) {
            // Nothing is left to send: the rest of the credit is given back.
            link.delivery_count = link.delivery_count.wrapping_add(link.credit);
            link.credit = 0;
            link.drain = false;
            session.put_flow(&mut self.out, Some(handle), true);
        }
        if sent == TURN { Turn::More } else { Turn::Idle }
    }
}

/// What a receiver asked to know with each delivery: the partition's last event.
fn runtime_metric(log: &Log) -> Bytes {
    let mut items = BytesMut::with_capacity(160);
    items.put_amqp_symbol("last_enqueued_sequence_number");
    items.put_amqp_long(log.next - 1);
    items.put_amqp_symbol("last_enqueued_offset");
    items.put_amqp_string(&log.last_offset());
    items.put_amqp_symbol("last_enqueued_time_utc");
    items.put_amqp_timestamp(log.last_enqueued_ms());
    items.put_amqp_symbol("runtime_info_retrieval_time_utc");
    items.put_amqp_timestamp(to_millis(SystemTime::now()));
    described_map(section::DELIVERY_ANNOTATIONS, 8, &items)
}
