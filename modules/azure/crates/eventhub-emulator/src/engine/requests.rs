//! Requests to `$cbs` and `$management`, and the way of their answers.
//!
//! A client opens two links, one to send requests and one to receive answers, and may send a request before the second
//! is attached or has credit. An answer that has no link yet is therefore kept until it has one.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Engine,
    link::{LinkKind, Service},
};
use crate::{
    condition,
    error::Refusal,
    nodes,
    wire::{
        Malformed,
        frame::{Delivery, put_transfer},
        message::Request,
    },
};

/// How long an answer waits for the very link that its request names, before any link of its session will do. Clients
/// that name none are served at once.
const REPLY_TO_WAIT: Duration = Duration::from_millis(500);

/// Answers that one connection may leave waiting.
const MAX_PARKED: usize = 1000;

/// An answer that waits for its link.
#[derive(Debug)]
pub(crate) struct Parked {
    channel: u16,
    service: Service,
    reply_to: Option<String>,
    message: Bytes,
    /// Until when only the named link will do.
    pub(crate) until: Instant,
}

impl Engine {
    pub(super) fn on_request(&mut self, channel: u16, service: Service, message: &Bytes) -> Result<(), Malformed> {
        let request = Request::decode(message)?;
        if self.parked.len() >= MAX_PARKED {
            let refusal = Refusal::new(condition::RESOURCE_LIMIT_EXCEEDED, "too many answers have no link to go to");
            self.close(&refusal);
            return Ok(());
        }
        let reply = match service {
            Service::Cbs => {
                let (reply, grant) = nodes::put_token(&self.namespace, &request);
                if let Some(grant) = grant {
                    let now = std::time::SystemTime::now();
                    self.grants.retain(|held| held.is_live(now) || held.expires().is_none());
                    self.grants.push(grant);
                }
                reply
            }
            Service::Management => nodes::manage(&self.namespace, &request, self.is_authenticated()),
        };
        tracing::debug!(?service, status = reply.status, description = %reply.description, "request answered");
        self.parked.push(Parked {
            channel,
            service,
            message: reply.encode(request.message_id),
            reply_to: request.reply_to,
            until: Instant::now() + REPLY_TO_WAIT,
        });
        self.unpark();
        Ok(())
    }

    /// Sends the answers that have a link with credit, in order.
    pub(super) fn unpark(&mut self) {
        let now = Instant::now();
        for parked in std::mem::take(&mut self.parked) {
            let Some((channel, handle)) = self.reply_link(&parked, now) else {
                // With its own link late, it now waits for any.
                let until = if parked.until <= now { now + REPLY_TO_WAIT } else { parked.until };
                self.parked.push(Parked { until, reply_to: parked.reply_to.filter(|_| parked.until > now), ..parked });
                continue;
            };
            let Some(session) = self.sessions.get_mut(&channel) else { continue };
            let Some(link) = session.links.get_mut(&handle) else { continue };
            let delivery = Delivery { channel, handle, delivery_id: session.next_outgoing_id, settled: link.settled };
            let frames = put_transfer(&mut self.out, delivery, self.max_frame_size, &[&parked.message]);
            session.next_outgoing_id = session.next_outgoing_id.wrapping_add(frames);
            session.remote_window = session.remote_window.saturating_sub(frames);
            link.credit = link.credit.saturating_sub(1);
            link.delivery_count = link.delivery_count.wrapping_add(1);
        }
    }

    /// The link for an answer: the one whose address or name the request gave as reply-to, else the last that was
    /// attached in the request's session, else the last of the connection.
    fn reply_link(&self, parked: &Parked, now: Instant) -> Option<(u16, u32)> {
        let mut in_session = None;
        let mut anywhere = None;
        for (channel, session) in &self.sessions {
            for (handle, link) in session.links.iter().filter(|(_, link)| !link.detaching) {
                let LinkKind::Replies(service, address) = &link.kind else { continue };
                if *service != parked.service {
                    continue;
                }
                let ready = (link.credit > 0 && session.remote_window > 0).then_some((*channel, *handle));
                if let Some(reply_to) = &parked.reply_to
                    && (address.as_ref() == Some(reply_to) || link.name == *reply_to)
                {
                    return ready;
                }
                if *channel == parked.channel {
                    in_session = ready.or(in_session);
                }
                anywhere = ready.or(anywhere);
            }
        }
        if parked.reply_to.is_some() && now < parked.until {
            return None;
        }
        in_session.or(anywhere)
    }
}
