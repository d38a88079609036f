//! Requests to data: storage accounts, key vaults, databases.

use super::activity::{OBJECT_ID, UPN};
use crate::json::{Json, list, object};
use crate::scene::{Person, Scene};

/// Service, category, operation, status code and text, and what follows the account in the object's key.
#[rustfmt::skip]
const REQUESTS: [(&str, &str, &str, i64, &str, &str); 14] = [
    ("blob", "StorageRead", "GetBlob", 200, "Success", "/invoices/2026/a%20b.pdf"),
    ("blob", "StorageRead", "GetBlob", 403, "AuthorizationPermissionMismatch", "/hr/salaries.csv"),
    ("blob", "StorageRead", "GetBlobProperties", 404, "BlobNotFound", "/invoices/gone.pdf"),
    ("blob", "StorageRead", "ListBlobs", 200, "Success", "/invoices"),
    ("blob", "StorageWrite", "PutBlob", 201, "Success", "/exports/day.bin"),
    ("blob", "StorageWrite", "PutBlockList", 201, "Success", "/exports/day.bin"),
    ("blob", "StorageDelete", "DeleteBlob", 202, "Success", "/exports/old.bin"),
    ("blob", "StorageDelete", "DeleteContainer", 202, "Success", "/exports"),
    ("file", "StorageRead", "GetFile", 206, "Success", "/finance/q1/plan.xlsx"),
    ("file", "StorageWrite", "CreateDirectory", 201, "Success", "/finance/q2"),
    ("queue", "StorageWrite", "PutMessage", 201, "Success", "/orders/messages"),
    ("queue", "StorageRead", "GetMessages", 200, "Success", "/orders/messages"),
    ("table", "StorageRead", "QueryEntities", 200, "Success", "/Customers"),
    ("table", "StorageWrite", "InsertEntity", 204, "Success", "/Customers"),
];

/// A request to storage; the marker is its correlation id. A few have lost their category to a relay.
pub(super) fn storage(s: &mut Scene, marker: &str) -> Json {
    let (service, category, operation, code, status, path) = s.rng.pick(&REQUESTS);
    let account = format!("stcontoso{:02}", s.rng.below(40));
    let account = s.resource_named("Microsoft.Storage/storageAccounts", account);
    let person = s.person();
    let at = s.moment();
    // A signature must be taken out of whatever keeps the URL.
    let query = s.rng.pick(&[
        "",
        "",
        "?comp=list&restype=container",
        "?sv=2024-11-04&sp=r&sig=not-a-real-signature%3D&se=2030-01-01",
    ]);
    let caller = s.ipv4();
    let caller = if s.rng.percent(85) { format!("{caller}:{}", s.port()) } else { caller };
    let segment = s.rng.pick(&["Services/default", "Services/default", "services/default"]);
    let identity = identity(s, &person, account.tenant, code);
    let properties = object! {
        "accountName" => &account.name, "serviceType" => service, "objectKey" => format!("/{}{path}", account.name),
        "userAgentHeader" => s.optional(90, "contoso-sync/3.1"), "etag" => s.rng.maybe(50, "\"0x8DE000000000001\""),
        "lastModifiedTime" => s.rng.maybe(50, "2026/02/27 11:12:13.1234567"),
        "tlsVersion" => s.rng.pick(&["TLS 1.2", "TLS 1.3"]),
        "metricResponseType" => match code { 403 => "AuthorizationError", 404 => "ClientOtherError", _ => "Success" },
        "serverLatencyMs" => s.rng.between(1, 90), "requestHeaderSize" => 412,
        "responseBodySize" => s.rng.between(0, 90_000),
        "contentLengthHeader" => 0, "clientRequestId" => s.rng.maybe(70, "0a1b2c3d-0016-4000-8000-000000000001"),
    };
    object! {
        "time" => s.any_time(at), "resourceId" => format!("{}/{service}{segment}", account.id),
        "category" => s.rng.maybe(94, category), "operationName" => operation, "operationVersion" => "2024-11-04",
        "schemaVersion" => "1.0",
        "statusCode" => if s.rng.percent(90) { Json::Int(code) } else { Json::from(code.to_string()) },
        "statusText" => status,
        "durationMs" => s.rng.between(1, 900), "callerIpAddress" => caller, "correlationId" => marker,
        "identity" => identity,
        "location" => account.region, "properties" => properties, "protocol" => "HTTPS",
        "uri" => format!("https://{}.{service}.core.windows.net{path}{query}", account.name),
        "resourceType" => format!("Microsoft.Storage/storageAccounts/{service}Services"),
        "tenantId" => s.rng.maybe(50, account.tenant),
    }
}

/// How the caller proved itself: a directory's token, a signature, a key, or nothing.
fn identity(s: &mut Scene, person: &Person, tenant: &str, code: i64) -> Json {
    match s.rng.below(10) {
        0 => object! { "type" => "Anonymous" },
        1..=2 => {
            object! { "type" => "SAS", "tokenHash" => format!("key1({}),SasSignature({})", s.rng.hex(16), s.rng.hex(16)) }
        }
        3..=4 => object! { "type" => "AccountKey", "tokenHash" => format!("key1({})", s.rng.hex(32)) },
        _ => object! {
            "type" => "OAuth", "tokenHash" => s.rng.hex(32),
            "authorization" => list![object! {
                "action" => "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
                "roleAssignmentId" => s.rng.guid(), "roleDefinitionId" => s.rng.guid(), "type" => "RBAC",
                "reason" => "Policy",
                "principals" => list![object! { "id" => &person.id, "type" => "User" }],
                "result" => if code == 403 { "Denied" } else { "Granted" },
            }],
            "requester" => object! {
                "appId" => "0a1b2c3d-0016-4000-8000-000000000002", "audience" => "https://storage.azure.com/",
                "objectId" => &person.id,
                "tenantId" => tenant, "tokenIssuer" => format!("https://sts.windows.net/{tenant}/"),
                "upn" => s.rng.maybe(80, &*person.upn),
            },
        },
    }
}

/// Operation, HTTP status, signature, and the path that was asked for.
const VAULT: [(&str, i64, &str, &str); 10] = [
    ("SecretGet", 200, "OK", "/secrets/db-password/0123456789abcdef"),
    ("SecretGet", 403, "Forbidden", "/secrets/db-password"),
    ("SecretGet", 404, "Not Found", "/secrets/gone"),
    ("SecretList", 200, "OK", "/secrets"),
    ("SecretSet", 200, "OK", "/secrets/api-token/0123456789abcdef"),
    ("KeySign", 200, "OK", "/keys/signing/0123456789abcdef/sign"),
    ("KeyDelete", 200, "OK", "/keys/signing"),
    ("CertificateImport", 200, "OK", "/certificates/shop/import"),
    ("Authentication", 401, "Unauthorized", "/secrets/db-password"),
    ("VaultGet", 200, "OK", ""),
];

/// A request to a vault, which says Success even of a refusal; the marker is its correlation id.
pub(super) fn key_vault(s: &mut Scene, marker: &str) -> Json {
    let vault = s.resource_of("Microsoft.KeyVault/vaults", "kv-shop");
    let (operation, code, signature, path) = s.rng.pick(&VAULT);
    let person = s.person();
    let at = s.moment();
    let id = s.loud(&vault);
    let url = format!("https://{}.vault.azure.net{path}", vault.name);
    if s.rng.percent(6) {
        return object! {
            "time" => s.any_time(at), "resourceId" => id, "operationName" => "SecretSet",
            "category" => "AzurePolicyEvaluationDetails", "correlationId" => marker,
            "resultType" => "Success", "resultSignature" => "OK", "durationMs" => 4,
            "properties" => object! {
                "objectName" => "db-password", "objectType" => "Secret", "isComplianceCheck" => false,
                "evaluationDetails" => list![object! { "effect" => "audit", "policyAssignmentId" => format!("/subscriptions/{}/providers/Microsoft.Authorization/policyAssignments/secrets-expire", vault.subscription) }],
            },
        };
    }
    let claims = match s.rng.below(3) {
        0 => {
            object! { OBJECT_ID => &person.id, UPN => &person.upn, "appid" => "0a1b2c3d-0016-4000-8000-000000000003", "idtyp" => "user", "ipaddr" => s.ipv4() }
        }
        1 => object! { OBJECT_ID => &person.id, "appid" => "0a1b2c3d-0016-4000-8000-000000000004", "idtyp" => "app" },
        _ => object! {
            OBJECT_ID => &person.id, "appid" => "0a1b2c3d-0016-4000-8000-000000000005",
            "xms_mirid" => format!("/subscriptions/{}/resourcegroups/{}/providers/Microsoft.Compute/virtualMachines/vm-app-01", vault.subscription, vault.group),
        },
    };
    let caller = s.ipv4();
    object! {
        "time" => s.any_time(at), "resourceId" => id, "operationName" => operation, "operationVersion" => "7.4",
        "category" => "AuditEvent",
        "resultType" => "Success", "resultSignature" => signature,
        "resultDescription" => if code < 400 { Json::from("") } else { s.optional(60, "The caller may not do this.") },
        "durationMs" => s.rng.between(1, 200).to_string(), "callerIpAddress" => s.optional(92, caller),
        "correlationId" => marker,
        "identity" => if code == 401 { object! {} } else { object! { "claim" => claims } },
        "properties" => object! {
            "clientInfo" => "contoso-payroll/2.0", "httpStatusCode" => code,
            "requestUri" => format!("{url}?api-version=7.4"),
            "id" => if code < 400 && !path.is_empty() { Json::from(url) } else { Json::Absent },
            "isRbacAuthorized" => s.rng.maybe(30, code < 400), "tlsVersion" => s.rng.maybe(30, "TLS1_3"),
        },
    }
}

/// Action with its id, whether it worked, and the statement.
const ACTIONS: [(&str, &str, bool, &str); 9] = [
    ("DATABASE AUTHENTICATION SUCCEEDED", "DBAS", true, ""),
    ("DATABASE AUTHENTICATION FAILED", "DBAF", false, ""),
    ("DATABASE LOGOUT", "DAGL", true, ""),
    ("BATCH COMPLETED", "BCM", true, "SELECT TOP 100 * FROM dbo.Customers WHERE Region = @r"),
    ("BATCH COMPLETED", "BCM", false, "UPDATE dbo.Orders SET Paid = 1 WHERE Id = 7 OR '1'='1'"),
    ("RPC COMPLETED", "RCM", true, "INSERT INTO dbo.Orders (Id) VALUES (@id)"),
    ("SELECT", "SL", true, "SELECT Name FROM dbo.Customers"),
    ("CREATE", "CR", true, "CREATE LOGIN contractor WITH PASSWORD = '******'"),
    ("DROP MEMBER", "DPRL", true, "ALTER ROLE db_owner DROP MEMBER contractor"),
];

/// One record of the audit; the marker is its sequence group.
pub(super) fn sql(s: &mut Scene, marker: &str) -> Json {
    let server = s.resource_of("Microsoft.Sql/servers", "sql-orders");
    let (action, id, succeeded, statement) = s.rng.pick(&ACTIONS);
    let at = s.moment();
    let object = if action == "SELECT" { "Customers" } else { "" };
    let caller = s.ipv4();
    let event_time = s.iso(at);
    let properties = object! {
        "event_time" => &event_time, "action_id" => id, "action_name" => action,
        "succeeded" => if succeeded { "true" } else { "false" },
        "sequence_group_id" => marker, "sequence_number" => 1, "audit_schema_version" => 1,
        "session_id" => s.rng.between(50, 400),
        "statement" => statement, "object_name" => object, "schema_name" => if object.is_empty() { "" } else { "dbo" },
        "object_id" => if object.is_empty() { 0 } else { 245_575_913 },
        "class_type" => if object.is_empty() { "DB" } else { "U" },
        "class_type_description" => if object.is_empty() { "DATABASE" } else { "TABLE" },
        "additional_information" => if id == "DBAF" { "<login_information><error_code>18456</error_code><error_state>8</error_state></login_information>" } else { "" },
        "database_name" => "orders", "server_instance_name" => &server.name, "client_ip" => s.optional(90, caller),
        "host_name" => s.rng.maybe(70, "WS-0042"),
        "application_name" => s.rng.pick(&["Contoso Orders", "sqlcmd", "Core Microsoft SqlClient Data Provider"]),
        "server_principal_name" => s.rng.pick(&["app_login", "sa", "ada@contoso.example"]),
        "server_principal_sid" => format!("0x{}", s.rng.hex(32)), "database_principal_name" => "dbo",
        "session_server_principal_name" => "app_login",
        "affected_rows" => s.rng.between(0, 9), "response_rows" => s.rng.between(0, 900),
        "duration_milliseconds" => s.rng.between(0, 900), "is_column_permission" => "false",
        "connection_id" => s.rng.guid(), "permission_bitmask" => "0x00000000000000000000000000000000",
        "transaction_id" => 0,
    };
    object! {
        "originalEventTimestamp" => event_time, "time" => s.any_time(at),
        "resourceId" => format!("{}/DATABASES/ORDERS", Scene::shout(&server.id)),
        "category" => s.rng.pick(&["SQLSecurityAuditEvents", "SQLSecurityAuditEvents", "DevOpsOperationsAudit"]),
        "operationName" => "AuditEvent", "ResourceGroup" => server.group, "SubscriptionId" => server.subscription,
        "LogicalServerName" => &server.name,
        "properties" => properties,
    }
}
