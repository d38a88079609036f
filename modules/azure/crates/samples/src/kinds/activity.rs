//! The Activity Log's administrative operations, as a diagnostic setting sends them.

use crate::json::{Json, list, object};
use crate::scene::{Person, Resource, Scene};

/// An operation with what its success answers; `action` is what follows the resource type.
#[rustfmt::skip]
const OPERATIONS: [(&str, &str, &str, &str); 16] = [
    ("Microsoft.Compute/virtualMachines", "write", "Created", "vm-till"),
    ("Microsoft.Compute/virtualMachines", "delete", "Accepted", "vm-till"),
    ("Microsoft.Compute/virtualMachines", "runCommand/action", "Accepted", "vm-jump"),
    ("Microsoft.Compute/virtualMachines", "restart/action", "OK", "vm-web"),
    ("Microsoft.Network/networkSecurityGroups", "write", "OK", "nsg-edge"),
    ("Microsoft.Network/networkSecurityGroups/securityRules", "write", "Created", "allow-any"),
    ("Microsoft.Network/networkSecurityGroups/securityRules", "delete", "NoContent", "allow-any"),
    ("Microsoft.Storage/storageAccounts", "listKeys/action", "OK", "stcontoso"),
    ("Microsoft.Storage/storageAccounts", "write", "OK", "stcontoso"),
    ("Microsoft.KeyVault/vaults", "accessPolicies/write", "OK", "kv-shop"),
    ("Microsoft.KeyVault/vaults", "delete", "OK", "kv-shop"),
    ("Microsoft.Authorization/roleAssignments", "write", "Created", "grant"),
    ("Microsoft.Authorization/roleAssignments", "delete", "OK", "grant"),
    ("Microsoft.Authorization/locks", "read", "OK", "keep"),
    ("Microsoft.Insights/diagnosticSettings", "delete", "OK", "to-hub"),
    ("Microsoft.Sql/servers", "firewallRules/write", "Created", "sql-orders"),
];

pub(super) const OBJECT_ID: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
pub(super) const TENANT_ID: &str = "http://schemas.microsoft.com/identity/claims/tenantid";
pub(super) const UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";

/// Records of one operation: its start, perhaps its acceptance, its end. Really they share one correlation id; here each
/// has its own marker there, and they share `properties.serviceRequestId`.
pub(crate) fn operation(s: &mut Scene, markers: &[String]) -> Vec<Json> {
    let (kind, action, code, stem) = s.rng.pick(&OPERATIONS);
    let resource = s.resource_of(kind, stem);
    let person = s.person();
    let request = s.rng.guid();
    let start = s.moment();
    let fails = s.rng.percent(12);
    let mut records = Vec::new();
    for (step, marker) in markers.iter().enumerate() {
        let last = step + 1 == markers.len();
        let (result, signature, status) = match (last, step) {
            (true, _) if fails => {
                let why = s.rng.pick(&["Conflict", "Forbidden", "BadRequest"]);
                (s.rng.pick(&["Failure", "Failed"]), format!("Failed.{why}"), why)
            }
            (true, _) => (s.rng.pick(&["Success", "Succeeded"]), format!("Succeeded.{code}"), code),
            (false, 0) => ("Start", "Started.".to_owned(), ""),
            _ => ("Accept", format!("Accepted.{code}"), "Accepted"),
        };
        let at = (start + i64::try_from(step).unwrap_or_default() * s.rng.between(100, 4_000)).min(s.base);
        let outcome = Outcome { result, signature, status, request: &request, at };
        let record = record(s, marker, &resource, action, &person, &outcome);
        records.push(record);
    }
    records
}

struct Outcome<'o> {
    result: &'static str,
    signature: String,
    status: &'static str,
    request: &'o str,
    at: i64,
}

fn record(s: &mut Scene, marker: &str, resource: &Resource, action: &str, person: &Person, o: &Outcome<'_>) -> Json {
    let id = s.loud(resource);
    let operation = format!("{}/{action}", resource.kind);
    let old = s.rng.percent(15);
    let verb = action.rsplit('/').next().unwrap_or_default();
    let category = match (old, verb) {
        (true, "write") => "Write",
        (true, "delete") => "Delete",
        (true, "action") => "Action",
        _ => s.rng.pick(&["Administrative", "Administrative", "Administrative", "administrative"]),
    };
    let identity = identity(s, resource, &operation, person);
    let properties = properties(s, resource, o);
    let duration = s.rng.between(0, 4_000);
    let caller = match s.rng.below(24) {
        0 => Json::Absent,
        1 => Json::from(""),
        2 => Json::from(format!("{}:{}", "203.0.113.9", s.rng.between(1_024, 65_535))),
        3 => Json::from("127.0.0.0/8"),
        4 => Json::from("::2001:db8:1:2:3:4:5:6:7"),
        5 => Json::from("<null>"),
        _ => Json::from(s.address()),
    };
    let level = if o.result.starts_with("Fail") { "Error" } else { "Information" };
    let mut record = object! {
        "RoleLocation" => s.rng.maybe(25, resource.region),
        "ReleaseVersion" => s.rng.maybe(15, "6.2026.1.1+example.release"),
        "time" => s.any_time(o.at),
        "resourceId" => id,
        "operationName" => if s.rng.percent(85) { operation.to_uppercase() } else { operation },
        "category" => category,
        "resultType" => o.result,
        "resultSignature" => s.optional(95, o.signature.clone()),
        "durationMs" => if s.rng.percent(60) { Json::from(duration.to_string()) } else { Json::from(duration) },
        "callerIpAddress" => caller,
        "correlationId" => marker,
        "identity" => identity,
        "level" => s.rng.pick(&[level, level, level, "Informational", "Warning", "Critical"]),
        "location" => s.rng.maybe(50, "global"),
        "tenantId" => s.optional(60, resource.tenant),
        "properties" => properties,
    };
    // Some exports write the level twice, as a word and as a number under another capital.
    if s.rng.percent(5) {
        record.push("Level", 4);
    }
    record
}

fn identity(s: &mut Scene, resource: &Resource, operation: &str, person: &Person) -> Json {
    let app = "0a1b2c3d-0005-4000-8000-000000000001";
    let service = s.rng.percent(30);
    let address = s.address();
    let at = s.moment() / 1_000;
    let claims = if service {
        object! {
            "aud" => "https://management.azure.com/", "iss" => format!("https://sts.windows.net/{}/", resource.tenant),
            "iat" => at.to_string(), "appid" => app, "appidacr" => "2", "idtyp" => "app", "ver" => "1.0",
            OBJECT_ID => &person.id, TENANT_ID => resource.tenant, "uti" => s.rng.hex(22), "xms_mirid" => s.rng.maybe(40, &*resource.id),
        }
    } else {
        object! {
            "aud" => "https://management.core.windows.net/", "iss" => format!("https://sts.windows.net/{}/", resource.tenant),
            "iat" => at.to_string(), "exp" => (at + 3_600).to_string(), "appid" => app, "ipaddr" => address, "name" => person.name,
            "http://schemas.microsoft.com/claims/authnmethodsreferences" => "pwd,mfa", "idtyp" => s.rng.maybe(50, "user"),
            OBJECT_ID => &person.id, TENANT_ID => resource.tenant, UPN => s.optional(92, person.upn.clone()),
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name" => s.rng.maybe(60, &*person.upn),
            "puid" => s.rng.maybe(50, "10032000EXAMPLE0"), "uti" => s.rng.hex(22), "wids" => s.rng.maybe(40, "62e90394-0000-4000-8000-000000000001"),
            "groups" => s.rng.maybe(10, "0a1b2c3d-0006-4000-8000-000000000001,0a1b2c3d-0006-4000-8000-000000000002"),
        }
    };
    let authorization = object! {
        "scope" => &resource.id, "action" => operation,
        "evidence" => object! {
            "role" => s.rng.pick(&["Contributor", "Owner", "Subscription Admin", "User Access Administrator"]),
            "roleAssignmentScope" => format!("/subscriptions/{}", resource.subscription),
            "roleAssignmentId" => s.rng.hex(32), "roleDefinitionId" => s.rng.hex(32), "principalId" => s.rng.hex(32),
            "principalType" => s.rng.pick(&["User", "ServicePrincipal", "Group"]),
        },
    };
    match s.rng.below(20) {
        0 => object! {},
        1 => Json::Absent,
        2 => object! { "claims" => claims },
        3 => Json::from(object! { "authorization" => authorization, "claims" => claims }.text()),
        _ => object! { "authorization" => authorization, "claims" => claims },
    }
}

fn properties(s: &mut Scene, resource: &Resource, o: &Outcome<'_>) -> Json {
    let request = object! {
        "location" => resource.region,
        "properties" => object! {
            "sku" => object! { "name" => "Standard_Example" },
            // Bodies carry secrets: what maps them must take them out.
            "osProfile" => s.rng.maybe(20, object! { "adminUsername" => "till", "adminPassword" => "not-a-real-password" }),
            "securityRules" => s.rng.maybe(50, list![object! { "name" => "open", "access" => "Allow", "sourceAddressPrefix" => "*", "destinationPortRange" => "22" }]),
        },
    };
    let response = object! { "error" => object! { "code" => o.status, "message" => "The resource is busy with another operation. Try again later." } };
    let fails = o.result.starts_with("Fail");
    let text = s.rng.percent(70);
    let body = |value: Json| if text { Json::from(value.text()) } else { value };
    let mut properties = object! {
        "entity" => &resource.id,
        "message" => if s.rng.percent(80) { format!("{}/example", resource.kind) } else { s.prose(200) },
        "hierarchy" => format!("{}/mg-contoso/mg-landing-zones/{}", resource.tenant, resource.subscription),
        "statusCode" => s.optional(if o.status.is_empty() { 0 } else { 92 }, o.status),
        "serviceRequestId" => s.optional(80, o.request),
        "eventCategory" => "Administrative",
        "requestbody" => if s.rng.percent(45) { body(request) } else { Json::Absent },
        "statusMessage" => if fails { body(response.clone()) } else { Json::Absent },
        "responseBody" => if s.rng.percent(15) { body(response) } else { Json::Absent },
    };
    match s.rng.below(20) {
        0 => Json::from(properties.text()),
        1 => Json::Absent,
        2 => {
            properties.push("activityLogAlertTarget", Json::texts(&[&resource.name]));
            properties
        }
        _ => properties,
    }
}

/// A grant of privileged access, whose operation is a human sentence.
pub(crate) fn elevation(s: &mut Scene, marker: &str) -> Json {
    let (subscription, tenant) = s.subscription();
    let person = s.person();
    let at = s.moment();
    object! {
        "time" => s.iso(at),
        "resourceId" => format!("/SUBSCRIPTIONS/{}/PROVIDERS/MS.PIM", subscription.to_uppercase()),
        "operationName" => s.rng.pick(&[
            "Add eligible member to role in PIM completed (permanent)", "Add member to role completed (PIM activation)",
            "Remove member from role (PIM activation expired)",
        ]),
        "category" => "Administrative",
        "resultType" => "Success",
        "resultSignature" => "Succeeded.",
        "durationMs" => 0,
        "correlationId" => marker,
        "identity" => s.rng.maybe(60, object! { "claims" => object! { UPN => &person.upn, OBJECT_ID => &person.id } }),
        "level" => "Information",
        "tenantId" => tenant,
        "properties" => object! {
            "eventCategory" => "Administrative", "SubjectName" => person.name, "SubscriptionID" => subscription, "TenantID" => tenant,
            "CallerInfo" => object! { "CallerName" => person.name, "CallerId" => &person.id }.text(),
        },
    }
}
