//! Event Grid, in its own schema or as CloudEvents: what became of resources, vaults' objects and blobs, the notifications
//! of flow log blobs, and the question that a new endpoint is asked.

use super::activity::{OBJECT_ID, TENANT_ID, UPN};
use crate::json::{Json, object};
use crate::scene::Scene;

/// An event in one of both schemas.
fn notification(s: &mut Scene, topic: &str, subject: &str, name: &str, id: &str, data: Json) -> Json {
    let at = s.moment();
    if s.rng.percent(65) {
        object! {
            "topic" => topic, "subject" => subject, "eventType" => name, "id" => id, "data" => data,
            "dataVersion" => s.rng.pick(&["", "1", "2"]),
            "metadataVersion" => "1", "eventTime" => s.iso(at),
        }
    } else {
        object! { "source" => topic, "subject" => subject, "type" => name, "time" => s.iso(at), "id" => id, "specversion" => "1.0", "data" => data }
    }
}

/// An operation on a resource, whose correlation id is the marker; or a vault's object, with the marker in `relayId`.
pub(super) fn resource_or_vault(s: &mut Scene, marker: &str) -> Json {
    let id = s.rng.guid();
    if s.rng.percent(60) { resource(s, marker, &id) } else { vault(s, marker, &id) }
}

fn resource(s: &mut Scene, marker: &str, id: &str) -> Json {
    let machine = s.resource_of("Microsoft.Compute/virtualMachines", "vm-till");
    let person = s.person();
    let (name, action, status, method) = s.rng.pick(&[
        ("Microsoft.Resources.ResourceWriteSuccess", "write", "Succeeded", "PUT"),
        ("Microsoft.Resources.ResourceWriteFailure", "write", "Failed", "PUT"),
        ("Microsoft.Resources.ResourceDeleteSuccess", "delete", "Succeeded", "DELETE"),
        ("Microsoft.Resources.ResourceDeleteCancel", "delete", "Canceled", "DELETE"),
        ("Microsoft.Resources.ResourceActionSuccess", "start/action", "Succeeded", "POST"),
    ]);
    let operation = format!("{}/{action}", machine.kind);
    let authorization = object! {
        "scope" => &machine.id, "action" => &operation,
        "evidence" => object! {
            "role" => "Contributor", "roleDefinitionId" => s.rng.hex(32), "principalId" => &person.id,
            "principalType" => "User",
        },
    };
    let claims = object! {
        OBJECT_ID => &person.id, UPN => &person.upn, TENANT_ID => machine.tenant, "name" => person.name,
        "appid" => "0a1b2c3d-0005-4000-8000-000000000001", "ipaddr" => s.ipv4(), "uti" => s.rng.hex(22),
    };
    let text = s.rng.percent(15);
    let data = object! {
        "authorization" => if text { Json::from(authorization.text()) } else { authorization },
        "claims" => if text { Json::from(claims.text()) } else { claims },
        "correlationId" => marker, "resourceProvider" => "Microsoft.Compute", "resourceUri" => &machine.id,
        "operationName" => operation, "status" => status,
        "subscriptionId" => machine.subscription, "tenantId" => machine.tenant,
        "httpRequest" => object! {
            "clientRequestId" => s.rng.guid(), "clientIpAddress" => s.ipv4(), "method" => method,
            "url" => format!("https://management.azure.com{}?api-version=2024-03-01", machine.id),
        },
    };
    notification(s, &format!("/subscriptions/{}", machine.subscription), &machine.id, name, id, data)
}

fn vault(s: &mut Scene, marker: &str, id: &str) -> Json {
    let vault = s.resource_of("Microsoft.KeyVault/vaults", "kv-shop");
    let (name, kind, folder, object) = s.rng.pick(&[
        ("Microsoft.KeyVault.SecretNewVersionCreated", "Secret", "secrets", "db-password"),
        ("Microsoft.KeyVault.SecretNearExpiry", "Secret", "secrets", "db-password"),
        ("Microsoft.KeyVault.KeyExpired", "Key", "keys", "signing"),
        ("Microsoft.KeyVault.CertificateNewVersionCreated", "Certificate", "certificates", "shop"),
    ]);
    let version = s.rng.hex(32);
    let data = object! {
        "Id" => format!("https://{}.vault.azure.net/{folder}/{object}/{version}", vault.name),
        "VaultName" => &vault.name, "ObjectType" => kind,
        // One form has a blank behind the name.
        s.rng.pick(&["ObjectName", "ObjectName", "ObjectName "]) => object, "Version" => version, "NBF" => "1772355000", "EXP" => 1_803_891_000,
    };
    let data = if s.rng.percent(10) { Json::from(data.text()) } else { data };
    let mut record = notification(s, &vault.id, object, name, id, data);
    record.push("relayId", marker);
    record
}

/// A blob that was written, deleted or renamed; the marker is the request's id.
pub(super) fn blob(s: &mut Scene, marker: &str) -> Json {
    let account = s.resource_named("Microsoft.Storage/storageAccounts", "stcontosodata".to_owned());
    let (name, api, path) = s.rng.pick(&[
        ("Microsoft.Storage.BlobCreated", "PutBlob", "invoices/2026/a%20b.pdf"),
        ("Microsoft.Storage.BlobCreated", "PutBlockList", "exports/day.bin"),
        ("Microsoft.Storage.BlobCreated", "CreateFile", "lake/raw/a.parquet"),
        ("Microsoft.Storage.BlobDeleted", "DeleteBlob", "exports/old.bin"),
        ("Microsoft.Storage.BlobTierChanged", "SetBlobTier", "exports/old.bin"),
        ("Microsoft.Storage.BlobRenamed", "RenameFile", "lake/raw/new.parquet"),
        ("Microsoft.Storage.DirectoryDeleted", "DeleteDirectory", "lake/raw"),
    ]);
    let renamed = name.ends_with("Renamed");
    let url = format!("https://{}.blob.core.windows.net/{path}", account.name);
    let data = object! {
        "api" => api, "clientRequestId" => s.rng.guid(), "requestId" => marker,
        "eTag" => s.rng.pick(&["0x8DE000000000001", "\"0x8DE000000000001\""]),
        "contentType" => "application/octet-stream",
        "contentLength" => if api == "CreateFile" { 0 } else { s.rng.between(1, 900_000) }, "blobType" => "BlockBlob",
        "url" => if renamed { Json::Absent } else { Json::from(&url) },
        "sourceUrl" => if renamed { Json::from(format!("{url}.old")) } else { Json::Absent },
        "destinationUrl" => if renamed { Json::from(url) } else { Json::Absent },
        "identity" => s.rng.maybe(15, "local-partner"),
        "sequencer" => s.rng.hex(48), "storageDiagnostics" => object! { "batchId" => s.rng.guid() },
    };
    let (container, blob) = path.split_once('/').unwrap_or((path, ""));
    let id = s.rng.guid();
    notification(s, &account.id, &format!("/blobServices/default/containers/{container}/blobs/{blob}"), name, &id, data)
}

/// A flow log blob that grew; the marker is the event's id.
pub(crate) fn flow_log(s: &mut Scene, marker: &str) -> Json {
    let account = s.resource_named("Microsoft.Storage/storageAccounts", "stcontosoflows".to_owned());
    let subscription = account.subscription.to_uppercase();
    let (day, hour, card) = (1 + s.rng.below(28), s.rng.below(24), 1 + s.rng.below(9));
    let file = format!("y=2026/m=02/d={day:02}/h={hour:02}/m=00/macAddress=00224871C20{card}/PT1H.json");
    let (container, path) = if s.rng.percent(80) {
        (
            "insights-logs-flowlogflowevent",
            format!("flowLogResourceID=/{subscription}_NETWORKWATCHERRG/NETWORKWATCHER_WESTEUROPE_FLOWS/{file}"),
        )
    } else {
        (
            "insights-logs-networksecuritygroupflowevent",
            format!(
                "resourceId=/SUBSCRIPTIONS/{subscription}/RESOURCEGROUPS/NET/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/NSG-EDGE/{file}"
            ),
        )
    };
    let data = object! {
        "api" => "PutBlockList", "requestId" => s.rng.guid(),
        "eTag" => format!("0x8DE{}", s.rng.hex(12).to_uppercase()), "contentType" => "application/octet-stream",
        "contentLength" => s.rng.between(4_000, 900_000), "blobType" => "BlockBlob",
        "url" => format!("https://{}.blob.core.windows.net/{container}/{path}", account.name),
        "sequencer" => s.rng.hex(48), "storageDiagnostics" => object! { "batchId" => s.rng.guid() },
    };
    notification(
        s,
        &account.id,
        &format!("/blobServices/default/containers/{container}/blobs/{path}"),
        "Microsoft.Storage.BlobCreated",
        marker,
        data,
    )
}

/// A commit of a blob, as Event Grid tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobWritten {
    /// The storage account's name.
    pub account: String,
    /// The container.
    pub container: String,
    /// The blob's name.
    pub path: String,
    /// Its address.
    pub url: String,
    /// Its ETag.
    pub etag: String,
    /// Its length in bytes.
    pub length: u64,
    /// Of two commits the later has the greater.
    pub sequencer: u64,
}

impl BlobWritten {
    /// The event: a CloudEvent 1.0 for every even sequencer, else one of Event Grid's own schema.
    pub fn event(&self, time: &str) -> String {
        let data = object! {
            "api" => "PutBlockList", "requestId" => "0a1b2c3d-0000-4000-8000-00000000000a", "eTag" => &self.etag,
            "contentType" => "application/octet-stream", "contentLength" => i64::try_from(self.length).unwrap_or(i64::MAX), "blobType" => "BlockBlob",
            "url" => &self.url, "sequencer" => format!("{:048x}", self.sequencer),
        };
        let subject = format!("/blobServices/default/containers/{}/blobs/{}", self.container, self.path);
        let topic = format!(
            "/subscriptions/0a1b2c3d-0000-4000-8000-000000000001/resourceGroups/flows/providers/Microsoft.Storage/storageAccounts/{}",
            self.account
        );
        let id = format!("0a1b2c3d-0000-4000-8000-{:012x}", self.sequencer);
        let event = if self.sequencer.is_multiple_of(2) {
            object! {
                "source" => topic, "subject" => subject, "type" => "Microsoft.Storage.BlobCreated", "time" => time,
                "id" => id, "specversion" => "1.0", "data" => data,
            }
        } else {
            object! {
                "topic" => topic, "subject" => subject, "eventType" => "Microsoft.Storage.BlobCreated", "id" => id,
                "data" => data, "dataVersion" => "", "metadataVersion" => "1", "eventTime" => time,
            }
        };
        event.text()
    }
}

/// The question to a new endpoint; the marker is its id.
pub(crate) fn handshake(s: &mut Scene, marker: &str) -> Json {
    let (subscription, _) = s.subscription();
    let name = s.rng.pick(&[
        "Microsoft.EventGrid.SubscriptionValidationEvent",
        "Microsoft.EventGrid.SubscriptionValidationEvent",
        "Microsoft.EventGrid.SubscriptionDeletedEvent",
    ]);
    let data = object! { "validationCode" => s.rng.guid().to_uppercase(), "validationUrl" => s.rng.maybe(50, "https://rp-westeurope.contoso.example:553/eventsubscriptions/x/validate") };
    notification(s, &format!("/subscriptions/{subscription}"), "", name, marker, data)
}
