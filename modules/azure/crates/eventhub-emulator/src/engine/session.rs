//! Sessions: windows, flow, and the frames that end things.

use std::collections::BTreeMap;

use bytes::BytesMut;
use fe2o3_amqp_types::{
    definitions::{Handle, Role},
    performatives::{Begin, Detach, Disposition, End, Flow},
};

use super::{Engine, link::Link, properties};
use crate::{
    condition,
    error::Refusal,
    wire::frame::{self, put_performative},
};

/// So large that the peer never waits for it: every flow of ours renews it.
const INCOMING_WINDOW: u32 = i32::MAX as u32;
const HANDLE_MAX: u32 = 8191;

/// One session. Our channel has the same number as the peer's.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) channel: u16,
    /// The transfer id that the peer's next transfer frame has.
    pub(crate) next_incoming_id: u32,
    /// The transfer id of our next transfer frame.
    pub(crate) next_outgoing_id: u32,
    /// How many transfer frames the peer still takes.
    pub(crate) remote_window: u32,
    /// The largest window that the peer ever announced.
    pub(crate) largest_window: u32,
    pub(crate) links: BTreeMap<u32, Link>,
}

impl Session {
    /// Appends a flow: of a link, or of the session alone.
    pub(crate) fn put_flow(&self, out: &mut BytesMut, handle: Option<u32>, echo_drain: bool) {
        let link = handle.and_then(|handle| self.links.get(&handle));
        let flow = Flow {
            next_incoming_id: Some(self.next_incoming_id),
            incoming_window: INCOMING_WINDOW,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: INCOMING_WINDOW,
            handle: link.and(handle).map(Handle),
            delivery_count: link.map(|link| link.delivery_count),
            link_credit: link.map(|link| link.credit),
            available: link.map(|_| 0),
            drain: echo_drain,
            echo: false,
            properties: None,
        };
        put_performative(out, self.channel, &flow, 11);
    }
}

impl Engine {
    pub(super) fn on_begin(&mut self, channel: u16, begin: &Begin) {
        let session = Session {
            channel,
            next_incoming_id: begin.next_outgoing_id,
            next_outgoing_id: 0,
            remote_window: begin.incoming_window,
            largest_window: begin.incoming_window,
            links: BTreeMap::new(),
        };
        let reply = Begin {
            remote_channel: Some(channel),
            next_outgoing_id: session.next_outgoing_id,
            incoming_window: INCOMING_WINDOW,
            outgoing_window: INCOMING_WINDOW,
            handle_max: Handle(HANDLE_MAX),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: Some(properties("product", "tributary event hubs emulator")),
        };
        put_performative(&mut self.out, channel, &reply, 8);
        if let Some(replaced) = self.sessions.insert(channel, session) {
            replaced.links.values().for_each(Link::release);
        }
    }

    pub(super) fn on_flow(&mut self, channel: u16, flow: &Flow) {
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        let seen = flow.next_incoming_id.unwrap_or(0);
        let in_flight = session.next_outgoing_id.wrapping_sub(seen);
        session.remote_window = flow.incoming_window.saturating_sub(in_flight);
        session.largest_window = session.largest_window.max(flow.incoming_window);
        session.next_incoming_id = flow.next_outgoing_id;
        let handle = flow.handle.as_ref().map(|handle| handle.0);
        let Some(link) = handle.and_then(|handle| session.links.get_mut(&handle)) else {
            if flow.echo {
                session.put_flow(&mut self.out, None, false);
            }
            return;
        };
        if link.detaching {
            return;
        }
        if link.is_ours() {
            let credit = flow.link_credit.unwrap_or(0);
            let limit = flow.delivery_count.unwrap_or(0).wrapping_add(credit);
            // Deliveries on their way count against what was granted before they arrived.
            let left = limit.wrapping_sub(link.delivery_count);
            link.credit = if left > credit { 0 } else { left };
            link.drain = flow.drain;
        }
        if flow.echo && !flow.drain {
            session.put_flow(&mut self.out, handle, false);
        }
        self.unpark();
    }

    pub(super) fn on_disposition(&mut self, channel: u16, disposition: &Disposition) {
        // A receiver in mode "second" settles only after the sender has.
        if disposition.role == Role::Receiver && !disposition.settled && self.sessions.contains_key(&channel) {
            let reply = Disposition { role: Role::Sender, settled: true, ..disposition.clone() };
            put_performative(&mut self.out, channel, &reply, 6);
        }
    }

    pub(super) fn on_detach(&mut self, channel: u16, detach: &Detach) {
        let handle = detach.handle.0;
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        let Some(link) = session.links.remove(&handle) else { return };
        link.release();
        self.consumers.retain(|consumer| *consumer != (channel, handle));
        if !link.detaching {
            let reply = Detach { handle: Handle(handle), closed: detach.closed, error: None };
            put_performative(&mut self.out, channel, &reply, 3);
        }
    }

    pub(super) fn on_end(&mut self, channel: u16, _: &End) {
        if let Some(session) = self.sessions.remove(&channel) {
            session.links.values().for_each(Link::release);
            self.consumers.retain(|(on, _)| *on != channel);
            put_performative(&mut self.out, channel, &End { error: None }, 1);
        }
    }

    /// Detaches a link for good, with an error.
    pub(super) fn detach(&mut self, channel: u16, handle: u32, refusal: &Refusal) {
        let Some(link) = self.sessions.get_mut(&channel).and_then(|session| session.links.get_mut(&handle)) else {
            return;
        };
        if link.detaching {
            return;
        }
        tracing::debug!(link = %link.name, condition = %refusal.condition, "link detached");
        link.release();
        link.detaching = true;
        self.consumers.retain(|consumer| *consumer != (channel, handle));
        let detach = Detach { handle: Handle(handle), closed: true, error: Some(refusal.to_amqp()) };
        frame::put_performative(&mut self.out, channel, &detach, 3);
    }

    /// When the next link loses its token, if that matters.
    pub(super) fn next_expiry(&self) -> Option<tokio::time::Instant> {
        if !self.namespace.limits.detach_on_expiry {
            return None;
        }
        let now = std::time::SystemTime::now();
        let next = self.grants.iter().filter_map(|grant| grant.expires()).filter(|expires| *expires > now).min()?;
        Some(tokio::time::Instant::now() + next.duration_since(now).ok()?)
    }

    /// Detaches the links whose token has expired, if that is wanted.
    pub(super) fn detach_expired(&mut self) {
        if !self.namespace.limits.detach_on_expiry || self.grants.is_empty() {
            return;
        }
        let links = self
            .sessions
            .iter()
            .flat_map(|(channel, session)| session.links.iter().map(move |(handle, link)| (*channel, *handle, link)));
        let expired: Vec<(u16, u32)> = links
            .filter(|(_, _, link)| !link.detaching && !link.path.is_empty() && !self.may_access(&link.path))
            .map(|(channel, handle, _)| (channel, handle))
            .collect();
        let refusal = Refusal::new(condition::UNAUTHORIZED, "the link's token has expired");
        expired.into_iter().for_each(|(channel, handle)| self.detach(channel, handle, &refusal));
    }

    /// Forgets every session: the connection ends.
    pub(super) fn end_all(&mut self) {
        for session in std::mem::take(&mut self.sessions).values() {
            session.links.values().for_each(Link::release);
        }
        self.consumers.clear();
        self.parked.clear();
    }
}
