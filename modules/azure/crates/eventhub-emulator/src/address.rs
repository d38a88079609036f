//! What a link's address names.

use crate::auth::entity_path;

/// A node of the namespace. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Takes tokens.
    Cbs,
    /// Answers questions about hubs.
    Management,
    /// A hub: the service chooses the partition.
    Hub(String),
    /// A partition to send to.
    Partition { hub: String, partition: String },
    /// A partition to read in a consumer group.
    Consumer { hub: String, group: String, partition: String },
}

impl Node {
    /// The node of an address, in the bare form or as a URL. `None` for what no Event Hubs namespace has.
    pub(crate) fn parse(address: &str) -> Option<Self> {
        let path = entity_path(address);
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let own = str::to_owned;
        Some(match segments.as_slice() {
            ["$cbs"] => Self::Cbs,
            ["$management"] | [_, "$management"] => Self::Management,
            [hub] => Self::Hub(own(hub)),
            [hub, "partitions", partition] => Self::Partition { hub: own(hub), partition: own(partition) },
            [hub, "consumergroups", group, "partitions", partition] => {
                Self::Consumer { hub: own(hub), group: own(group), partition: own(partition) }
            }
            _ => return None,
        })
    }

    /// The path by which access is granted.
    pub(crate) fn path(&self) -> Vec<String> {
        match self {
            Self::Cbs => vec!["$cbs".to_owned()],
            Self::Management => vec!["$management".to_owned()],
            Self::Hub(hub) => vec![hub.clone()],
            Self::Partition { hub, partition } => vec![hub.clone(), "partitions".to_owned(), partition.clone()],
            Self::Consumer { hub, group, partition } => vec![
                hub.clone(),
                "consumergroups".to_owned(),
                group.clone(),
                "partitions".to_owned(),
                partition.clone(),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_client() {
        let consumer = Node::Consumer { hub: "hub".into(), group: "$default".into(), partition: "3".into() };
        assert_eq!(Node::parse("hub/ConsumerGroups/$Default/Partitions/3"), Some(consumer.clone()));
        assert_eq!(Node::parse("amqps://127.0.0.1:5672/Hub/consumergroups/$default/partitions/3/"), Some(consumer));
        assert_eq!(Node::parse("sb://ns/hub/"), Some(Node::Hub("hub".into())));
        assert_eq!(Node::parse("$cbs"), Some(Node::Cbs));
        assert_eq!(Node::parse("amqp://host/$management"), Some(Node::Management));
        assert_eq!(Node::parse("hub/$management"), Some(Node::Management));
        assert_eq!(Node::parse("a/b/c/d/e/f"), None);
        assert_eq!(Node::parse(""), None);
    }
}
