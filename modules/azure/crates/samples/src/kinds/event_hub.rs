//! Event Hubs and Service Bus namespaces, whose fields stand at the top, in Pascal case, with a clock of their own.

use crate::json::{Json, object};
use crate::scene::{Scene, us_time};

/// One record; the marker is its activity id, or `relayId` where it has none.
pub(super) fn namespace(s: &mut Scene, marker: &str) -> Json {
    let (kind, stem) = s.rng.pick(&[
        ("Microsoft.EventHub/namespaces", "evhns-contoso"),
        ("Microsoft.ServiceBus/namespaces", "sbns-contoso"),
    ]);
    let namespace = s.resource_of(kind, stem);
    let id = s.loud(&namespace);
    let at = s.moment();
    let client = s.ipv4();
    match s.rng.below(10) {
        0..=2 => {
            let (name, status) = s.rng.pick(&[
                ("Create EventHub", "Succeeded"),
                ("Update Namespace", "Succeeded"),
                ("Delete EventHub", "Failed"),
                ("Retreive ConsumerGroup", "Succeeded"),
            ]);
            let facts = object! {
                "SubscriptionId" => namespace.subscription, "Namespace" => &namespace.name,
                "TrackingId" => format!("{marker}_G1"),
                "Via" => format!("https://{}.servicebus.windows.net/telemetry?api-version=2017-04", namespace.name),
            };
            object! {
                "ActivityId" => marker, "EventName" => name, "Status" => status,
                "Caller" => s.rng.pick(&["Portal", "ARM", "SDK"]), "Environment" => "PROD",
                "EventTimeString" => format!("{} +00:00", us_time(at)), "EventProperties" => facts.text(),
                "Region" => "West Europe", "ScaleUnit" => "PROD-XX1-001",
                "SubscriptionId" => namespace.subscription, "category" => "OperationalLogs", "resourceId" => id,
            }
        }
        3..=6 => {
            let (name, status) =
                s.rng.pick(&[("SendMessage", "Success"), ("ReceiveMessage", "Success"), ("ConnectionOpen", "Failure")]);
            let (kind, who) = s.rng.pick(&[
                ("SAS", "RootManageSharedAccessKey"),
                ("Azure Active Directory", "0a1b2c3d-0017-4000-8000-000000000001"),
            ]);
            object! {
                "ActivityId" => marker, "ActivityName" => name, "ResourceId" => format!("{id}/eventhubs/telemetry"),
                "Time" => format!("{} +00:00", us_time(at)),
                "Status" => status, "Protocol" => s.rng.pick(&["AMQP", "KAFKA", "HTTP"]), "AuthType" => kind,
                "AuthId" => who, "NetworkType" => "Public",
                "ClientIp" => client, "Count" => s.rng.between(1, 900), "Category" => "RuntimeAuditLogs",
            }
        }
        7 => object! {
            "TaskName" => "EventHubArchiveUserError", "ActivityId" => marker, "trackingId" => format!("{marker}_B7"),
            "resourceId" => id,
            "eventHub" => format!("{}:eventhub:telemetry~32766", namespace.name), "partitionId" => "1",
            "archiveStep" => "ArchiveFlushWriter",
            "startTime" => us_time(at), "failures" => 3, "durationInSeconds" => 125,
            "message" => "The container is gone.", "category" => "ArchiveLogs",
        },
        8 => object! {
            "relayId" => marker, "TrackingId" => s.rng.guid(), "Message" => "Throughput units raised from 1 to 2",
            "ResourceId" => id, "category" => "AutoScaleLogs", "time" => s.any_time(at),
        },
        _ => {
            let (action, reason) = s.rng.pick(&[
                ("Accept Connection", "A rule lets this address in."),
                ("Deny Connection", "No rule lets this address in."),
            ]);
            object! {
                "relayId" => marker, "SubscriptionId" => namespace.subscription, "NamespaceName" => &namespace.name,
                "IPAddress" => client, "Action" => action, "Reason" => reason,
                "Count" => s.rng.pick(&[Json::Int(1), Json::from("65")]), "ResourceId" => id, "time" => s.any_time(at),
                "Category" => if kind.starts_with("Microsoft.S") { "ServiceBusVNetConnectionEvent" } else { "EventHubVNetConnectionEvent" },
            }
        }
    }
}
