//! Accounts and groups that Entra's provisioning service keeps in other systems.

use crate::json::{Json, list, object};
use crate::scene::Scene;

/// One change; the marker is its change id.
pub(super) fn provisioning(s: &mut Scene, marker: &str) -> Json {
    let tenant = s.tenant();
    let person = s.person();
    let at = s.moment();
    let exported = (at + s.rng.between(0, 900_000)).min(s.base);
    let user = s.rng.percent(70);
    let (action, word) = s.rng.pick(&[
        ("create", "Create"),
        ("update", "Update"),
        ("disable", "Update"),
        ("delete", "Delete"),
        ("other", "Other"),
    ]);
    let (status, number, result) = s.rng.pick(&[
        ("success", 0, "Success"),
        ("success", 0, "Success"),
        ("failure", 1, "Failure"),
        ("skipped", 2, "Skipped"),
    ]);
    let (kind, scim, name) = if user { ("User", "User", person.name) } else { ("Group", "Group", "sg-night-shift") };
    let error = object! { "errorCode" => "DuplicateTargetEntries", "reason" => "The other system holds two of this name.", "recommendedAction" => Json::Null };
    let details = object! {
        "id" => &person.id, "odatatype" => kind, "DisplayName" => name,
        "UserPrincipalName" => if user { Json::from(&person.upn) } else { Json::Absent },
    };
    let principal = "0a1b2c3d-0014-4000-8000-000000000001";
    let properties = object! {
        "id" => s.rng.guid(), "activityDateTime" => s.iso(at), "tenantId" => tenant,
        "jobId" => "ContosoSCIM.0a1b2c3d-0014-4000-8000-000000000002",
        "cycleId" => s.rng.guid(), "changeId" => marker, "action" => word, "provisioningAction" => action,
        "durationInMilliseconds" => s.rng.between(40, 4_000),
        // Within, names begin with a capital.
        "servicePrincipal" => object! { "Id" => principal, "Name" => "Till Business" },
        "sourceSystem" => object! { "Id" => s.rng.guid(), "Name" => "Microsoft Entra ID", "details" => object! {} },
        "targetSystem" => object! {
            "Id" => s.rng.guid(), "Name" => "Till",
            "details" => object! {
                "ApplicationId" => "0a1b2c3d-0014-4000-8000-000000000003", "ServicePrincipalId" => principal,
                "ServicePrincipalDisplayName" => "Till Business",
            },
        },
        "initiatedBy" => object! { "Type" => "system", "Id" => "", "Name" => "Azure AD Provisioning Service" },
        "sourceIdentity" => object! {
            "identityType" => kind, "Id" => &person.id, "Name" => name, "details" => details,
        },
        "targetIdentity" => object! {
            "identityType" => format!("urn:ietf:params:scim:schemas:core:2.0:{scim}"),
            "Id" => s.optional(90, "till:AAAB"), "Name" => "", "details" => object! {},
        },
        "provisioningStatusInfo" => object! {
            "Status" => status, "errorInformation" => if status == "failure" { error } else { Json::Null },
        },
        "statusInfo" => object! { "Status" => number },
        "provisioningSteps" => list![
            object! {
                "name" => "EntryImport", "provisioningStepType" => 0, "status" => 0,
                "description" => "Received the change from Microsoft Entra ID", "details" => object! {},
            },
            object! {
                "name" => "EntryExport", "provisioningStepType" => 5, "status" => number,
                "description" => format!("{kind} was to be changed ({action}) in Till: {status}"),
                "details" => if status == "skipped" { object! { "SkipReason" => "NotEffectivelyEntitled" } } else { object! {} },
            },
        ],
        "modifiedProperties" => list![object! { "displayName" => "active", "oldValue" => Json::Null, "newValue" => "True" }],
    };
    object! {
        "time" => s.any_time(exported),
        "resourceId" => format!("/tenants/{tenant}/providers/Microsoft.aadiam"),
        "operationName" => "Provisioning activity", "operationVersion" => "1.0", "category" => "ProvisioningLogs",
        "tenantId" => s.optional(95, tenant), "resultType" => result, "durationMs" => 828,
        "correlationId" => s.rng.guid(),
        "identity" => s.rng.guid(), "Level" => 4,
        "properties" => if s.rng.percent(95) { properties } else { Json::from(properties.text()) },
    }
}
