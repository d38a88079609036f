//! Attaching a link: what it names, whether it may, and what is answered.

use fe2o3_amqp_types::{
    definitions::{ReceiverSettleMode, Role, SenderSettleMode},
    messaging::{Source, Target, TargetArchetype},
    performatives::Attach,
    primitives::{Symbol, Value},
};

use super::{
    Engine,
    link::{Consumer, Link, LinkKind, Partial, Producer, Service},
    properties,
};
use crate::{
    address::Node,
    condition,
    error::Refusal,
    filter::Start,
    hub::Hub,
    partition::{Reader, ReaderInfo},
    wire::frame::put_performative,
};

/// Deliveries that a sender may send before it hears from us; renewed at the half.
pub(super) const CREDIT: u32 = 1000;

const EPOCH: &str = "com.microsoft:epoch";
const RECEIVER_NAME: &str = "com.microsoft:receiver-name";
/// How one of Microsoft's clients spells the receiver's name.
const RECEIVER_NAME_VARIANT: &str = "com.microsoft.com:receiver-name";
const RUNTIME_METRIC: &str = "com.microsoft:enable-receiver-runtime-metric";

impl Engine {
    pub(super) fn on_attach(&mut self, channel: u16, attach: Attach) {
        let handle = attach.handle.0;
        match self.sessions.get(&channel) {
            None => return,
            Some(session) if session.links.contains_key(&handle) => {
                let refusal = Refusal::new("amqp:session:handle-in-use", "the handle is in use");
                return self.close(&refusal);
            }
            Some(_) => {}
        }
        let opened = self.open_link(&attach);
        let refusal = opened.as_ref().err().cloned();
        let mut link = opened.unwrap_or_else(|_| Link::new(attach.name.clone(), LinkKind::Refused, Vec::new()));
        link.settled = attach.snd_settle_mode == SenderSettleMode::Settled;
        let receives = !link.is_ours() && refusal.is_none();
        if receives {
            link.credit = CREDIT;
        }
        let is_consumer = matches!(link.kind, LinkKind::Consumer(_));
        self.put_attach(channel, attach, refusal.is_some());
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        session.links.insert(handle, link);
        if receives {
            session.put_flow(&mut self.out, Some(handle), false);
        }
        if is_consumer {
            self.consumers.push((channel, handle));
        }
        if let Some(refusal) = refusal {
            self.detach(channel, handle, &refusal);
        }
        self.unpark();
    }

    /// Answers an attach. The terminus is echoed: the service leaves it as it was asked for.
    fn put_attach(&mut self, channel: u16, attach: Attach, refused: bool) {
        let limits = &self.namespace.limits;
        let hide = refused && limits.null_terminus_on_refusal;
        let sends = attach.role == Role::Receiver;
        let wanted = attach.desired_capabilities.map(|wanted| wanted.0).unwrap_or_default();
        let offered: Vec<Symbol> = wanted.into_iter().filter(|wanted| wanted.as_str() == RUNTIME_METRIC).collect();
        let target = attach.target.unwrap_or_else(|| Box::new(TargetArchetype::Target(Target::default())));
        let reply = Attach {
            name: attach.name,
            handle: attach.handle,
            role: if sends { Role::Sender } else { Role::Receiver },
            snd_settle_mode: attach.snd_settle_mode,
            // Never "second", even when asked for: a sender that asks for it would wait for a second settlement.
            rcv_settle_mode: ReceiverSettleMode::First,
            source: (!hide).then(|| attach.source.unwrap_or_else(|| Box::new(Source::default()))),
            target: (!hide).then_some(target),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: sends.then_some(0),
            max_message_size: Some(limits.max_message_size),
            offered_capabilities: (!offered.is_empty()).then(|| offered.into()),
            desired_capabilities: None,
            properties: Some(properties("com.microsoft:tracking-id", "tributary-emulator")),
        };
        put_performative(&mut self.out, channel, &reply, 14);
    }

    fn open_link(&self, attach: &Attach) -> Result<Link, Refusal> {
        let source = attach.source.as_ref().and_then(|source| source.address.as_deref());
        let target = match attach.target.as_deref() {
            Some(TargetArchetype::Target(target)) => target.address.as_deref(),
            _ => None,
        };
        let address = if attach.role == Role::Sender { target } else { source };
        let address = address.ok_or_else(|| Refusal::new(condition::NOT_ALLOWED, "the link names no address"))?;
        let unknown = || Refusal::new(condition::NOT_FOUND, format!("no entity has the address {address:?}"));
        let node = Node::parse(address).ok_or_else(unknown)?;
        let path = node.path();
        let (kind, path) = match (&node, &attach.role) {
            (Node::Cbs | Node::Management, role) => {
                let service = if node == Node::Cbs { Service::Cbs } else { Service::Management };
                if service == Service::Management && !self.grants.iter().any(|grant| grant.is_live(now())) {
                    return Err(unauthorized());
                }
                let kind = match role {
                    Role::Sender => LinkKind::Requests(service, Partial::default()),
                    Role::Receiver => LinkKind::Replies(service, target.map(str::to_owned)),
                };
                // Not bound to one token.
                (kind, Vec::new())
            }
            (Node::Hub(hub), Role::Sender) => {
                let producer = Producer { hub: self.admit(hub, &path)?, partition: None };
                (LinkKind::Producer(producer, Partial::default()), path)
            }
            (Node::Partition { hub, partition }, Role::Sender) => {
                let hub = self.admit(hub, &path)?;
                let producer = Producer { partition: Some(number_of(&hub, partition)?), hub };
                (LinkKind::Producer(producer, Partial::default()), path)
            }
            (Node::Consumer { hub, group, partition }, Role::Receiver) => {
                let hub = self.admit(hub, &path)?;
                (LinkKind::Consumer(self.open_consumer(hub, group, partition, attach)?), path)
            }
            _ => return Err(Refusal::new(condition::NOT_ALLOWED, "the address does not work in this direction")),
        };
        Ok(Link::new(attach.name.clone(), kind, path))
    }

    /// The hub, if the connection may use it.
    fn admit(&self, hub: &str, path: &[String]) -> Result<std::sync::Arc<Hub>, Refusal> {
        if let Some(refusal) = self.namespace.faults.refuse_attach() {
            return Err(refusal);
        }
        if !self.may_access(path) {
            return Err(unauthorized());
        }
        let missing = || Refusal::new(condition::NOT_FOUND, format!("the messaging entity {hub:?} could not be found"));
        self.namespace.hubs.get(hub).cloned().ok_or_else(missing)
    }

    fn open_consumer(
        &self,
        hub: std::sync::Arc<Hub>,
        group: &str,
        partition: &str,
        attach: &Attach,
    ) -> Result<Consumer, Refusal> {
        let Some(consumer_group) = hub.consumer_group(group).map(str::to_owned) else {
            let description = format!("hub {:?} has no consumer group {group:?}", hub.name);
            return Err(Refusal::new(condition::NOT_FOUND, description));
        };
        let number = number_of(&hub, partition)?;
        let partition = hub.partition(number).cloned().ok_or_else(|| no_partition(&hub, partition))?;
        let start = Start::from_filters(attach.source.as_ref().and_then(|source| source.filter.as_ref()))?;
        let property = |name: &str| attach.properties.as_ref().and_then(|map| map.get(&Symbol::from(name)));
        let epoch = property(EPOCH).map(epoch_of).transpose()?;
        let name = match property(RECEIVER_NAME).or_else(|| property(RECEIVER_NAME_VARIANT)) {
            Some(Value::String(name)) => Some(name.clone()),
            _ => None,
        };
        let wanted = attach.desired_capabilities.as_ref();
        let runtime_metric = wanted.is_some_and(|wanted| wanted.0.iter().any(|it| it.as_str() == RUNTIME_METRIC));
        let reader = Reader::new(ReaderInfo { consumer_group, epoch, name }, self.wake());
        // Before the attach: one that is refused displaces nobody.
        let next = partition.log().first_of(&start)?;
        partition.attach(reader.clone())?;
        Ok(Consumer { hub, number, partition, reader, next, runtime_metric })
    }
}

fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

fn unauthorized() -> Refusal {
    Refusal::new(condition::UNAUTHORIZED, "no valid token for this entity; put one to $cbs first")
}

fn number_of(hub: &Hub, partition: &str) -> Result<u32, Refusal> {
    let number = partition.parse().map_err(|_| no_partition(hub, partition))?;
    hub.partition(number).map(|_| number).ok_or_else(|| no_partition(hub, partition))
}

fn no_partition(hub: &Hub, partition: &str) -> Refusal {
    Refusal::new(condition::NOT_FOUND, format!("hub {:?} has no partition {partition:?}", hub.name))
}

fn epoch_of(value: &Value) -> Result<i64, Refusal> {
    let epoch = match value {
        Value::Long(epoch) => Some(*epoch),
        Value::Int(epoch) => Some(i64::from(*epoch)),
        Value::Uint(epoch) => Some(i64::from(*epoch)),
        Value::Ulong(epoch) => i64::try_from(*epoch).ok(),
        _ => None,
    };
    let malformed = || Refusal::new(condition::ARGUMENT_ERROR, "the epoch is not a number of at least 0");
    epoch.filter(|epoch| *epoch >= 0).ok_or_else(malformed)
}
