//! What the peer sends: events, batches of events, and requests.

use bytes::Bytes;
use fe2o3_amqp_types::{
    definitions::{Error, Role},
    messaging::{Accepted, DeliveryState, Rejected},
    performatives::{Disposition, Transfer},
};

use super::{
    Engine,
    attach::CREDIT,
    link::{LinkKind, Partial, Producer, Service},
};
use crate::{
    condition,
    error::Refusal,
    event::{self, Incoming},
    wire::{
        Malformed,
        frame::put_performative,
        message::{self, BATCH_FORMAT, section},
    },
};

/// A whole delivery, and what is to be done with it.
enum Complete {
    Request(Service, Bytes),
    Events(Producer, u32, Bytes),
}

impl Engine {
    pub(super) fn on_transfer(&mut self, channel: u16, transfer: Transfer, payload: Bytes) {
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        session.next_incoming_id = session.next_incoming_id.wrapping_add(1);
        let handle = transfer.handle.0;
        let max_message_size = self.namespace.limits.max_message_size;
        let Some(link) = session.links.get_mut(&handle) else {
            return self
                .close(&Refusal::new("amqp:session:unattached-handle", "a transfer on a handle without a link"));
        };
        if link.detaching {
            return;
        }
        let (LinkKind::Requests(_, partial) | LinkKind::Producer(_, partial)) = &mut link.kind else {
            return self.detach(channel, handle, &Refusal::new(condition::NOT_ALLOWED, "this link is for receiving"));
        };
        if transfer.aborted {
            *partial = Partial::default();
            return;
        }
        if partial.delivery_id.is_none() {
            partial.delivery_id = transfer.delivery_id;
            partial.format = transfer.message_format.unwrap_or(0);
        }
        partial.settled |= transfer.settled.unwrap_or(false);
        if (partial.payload.len() + payload.len()) as u64 > max_message_size {
            *partial = Partial::default();
            let description = format!("the message is larger than {max_message_size} bytes");
            return self.detach(channel, handle, &Refusal::new(condition::MESSAGE_SIZE_EXCEEDED, description));
        }
        if transfer.more {
            return partial.payload.extend_from_slice(&payload);
        }
        let partial = std::mem::take(partial);
        // A message in one frame is not copied.
        let message = if partial.payload.is_empty() {
            payload
        } else {
            let mut joined = partial.payload;
            joined.extend_from_slice(&payload);
            joined.freeze()
        };
        let complete = match &link.kind {
            LinkKind::Requests(service, _) => Complete::Request(*service, message),
            LinkKind::Producer(producer, _) => Complete::Events(producer.clone(), partial.format, message),
            _ => return,
        };
        link.delivery_count = link.delivery_count.wrapping_add(1);
        link.credit = link.credit.saturating_sub(1);
        if link.credit <= CREDIT / 2 {
            link.credit = CREDIT;
            session.put_flow(&mut self.out, Some(handle), false);
        }
        let outcome = match complete {
            Complete::Request(service, message) => self.on_request(channel, service, &message),
            Complete::Events(producer, format, message) => enqueue(&producer, format, &message),
        };
        if let (Some(delivery_id), false) = (partial.delivery_id, partial.settled) {
            self.settle(channel, delivery_id, outcome);
        }
    }

    fn settle(&mut self, channel: u16, delivery_id: u32, outcome: Result<(), Malformed>) {
        let state = match outcome {
            Ok(()) => DeliveryState::Accepted(Accepted {}),
            Err(malformed) => {
                let refusal = Refusal::new(condition::DECODE_ERROR, malformed.to_string());
                let error: Option<Error> = Some(refusal.to_amqp());
                DeliveryState::Rejected(Rejected { error })
            }
        };
        let disposition = Disposition {
            role: Role::Receiver,
            first: delivery_id,
            last: Some(delivery_id),
            settled: true,
            state: Some(state),
            batchable: false,
        };
        put_performative(&mut self.out, channel, &disposition, 6);
    }
}

/// Appends a message, or every message of a batch, to one partition. All of a batch or nothing.
fn enqueue(producer: &Producer, format: u32, message: &Bytes) -> Result<(), Malformed> {
    let sections = message::sections(message)?;
    let (events, key) = if format == BATCH_FORMAT {
        let key = event::partition_key(&sections)?;
        let mut events = Vec::new();
        for section in sections.iter().filter(|section| section.code == section::DATA) {
            let inner = message::data(section)?;
            let mut event = Incoming::from_message(&inner, &message::sections(&inner)?)?;
            event.partition_key = event.partition_key.or_else(|| key.clone());
            events.push(event);
        }
        let key = key.or_else(|| events.first().and_then(|event| event.partition_key.clone()));
        (events, key)
    } else {
        let event = Incoming::from_message(message, &sections)?;
        let key = event.partition_key.clone();
        (vec![event], key)
    };
    let number = producer.partition.unwrap_or_else(|| producer.hub.place(key.as_deref()));
    if let Some(partition) = producer.hub.partition(number) {
        partition.append(events);
    }
    Ok(())
}
