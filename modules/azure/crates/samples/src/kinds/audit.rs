//! Changes in the Entra directory; between them they come out as four classes.

use crate::json::{Json, list, object};
use crate::scene::{Person, Scene};

/// What an activity changes, first target first.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    User,
    Group,
    Role,
    App,
    Principal,
    Policy,
}

/// Category, activity, operation type, service, targets.
type Activity = (&'static str, &'static str, &'static str, &'static str, &'static [Target]);

#[rustfmt::skip]
const ACTIVITIES: [Activity; 22] = [
    ("UserManagement", "Add user", "Add", "Core Directory", &[Target::User]),
    ("UserManagement", "Delete user", "Delete", "Core Directory", &[Target::User]),
    ("UserManagement", "Update user", "Update", "Core Directory", &[Target::User]),
    ("UserManagement", "Disable account", "Update", "Core Directory", &[Target::User]),
    ("UserManagement", "Enable account", "Update", "Core Directory", &[Target::User]),
    ("UserManagement", "Reset user password", "Update", "Core Directory", &[Target::User]),
    ("UserManagement", "Change user password", "Update", "Core Directory", &[Target::User]),
    ("UserManagement", "Invite external user", "Add", "Invited Users", &[Target::User]),
    ("GroupManagement", "Add member to group", "Assign", "Core Directory", &[Target::User, Target::Group]),
    ("GroupManagement", "Remove member from group", "Unassign", "Core Directory", &[Target::User, Target::Group]),
    ("GroupManagement", "Add group", "Add", "Core Directory", &[Target::Group]),
    ("GroupManagement", "Delete group", "Delete", "Core Directory", &[Target::Group]),
    ("RoleManagement", "Add member to role", "Assign", "Core Directory", &[Target::User, Target::Role]),
    ("RoleManagement", "Remove member from role", "Unassign", "Core Directory", &[Target::User, Target::Role]),
    ("RoleManagement", "Add member to role in PIM completed (permanent)", "Update", "PIM", &[Target::Role, Target::User]),
    ("RoleManagement", "Update role", "Update", "Core Directory", &[Target::Role]),
    ("ApplicationManagement", "Add service principal", "Add", "Core Directory", &[Target::Principal]),
    ("ApplicationManagement", "Update application \u{2013} Certificates and secrets management", "Update", "Core Directory", &[Target::App]),
    ("ApplicationManagement", "Consent to application", "Assign", "Core Directory", &[Target::Principal, Target::App]),
    ("Policy", "Update conditional access policy", "Update", "Conditional Access", &[Target::Policy]),
    ("DirectoryManagement", "Set Company Information", "Update", "Core Directory", &[]),
    ("Authentication", "User registered security info", "Other", "Authentication Methods", &[Target::User]),
];

/// One change; the marker is its correlation id.
pub(crate) fn audit(s: &mut Scene, marker: &str) -> Json {
    let (category, activity, operation, service, targets) = s.rng.pick(&ACTIVITIES);
    let tenant = s.tenant();
    let person = s.person();
    let at = s.moment();
    let exported = (at + s.rng.between(0, 900_000)).min(s.base);
    let mut resources = Vec::new();
    for target in targets {
        resources.push(resource(s, *target));
    }
    let initiated = initiator(s, &person);
    let mut details = Vec::new();
    for (key, value) in s.rng.some(
        &[
            ("User-Agent", "Mozilla/5.0 (example)"),
            ("TemplateId", "0a1b2c3d-000a-4000-8000-000000000001"),
            ("Justification", "ticket 4711: \"on call\""),
            ("StartTime", "2026-03-01T08:00:00.0000000Z"),
            ("ipaddr", "203.0.113.5"),
        ],
        3,
    ) {
        details.push(object! { "key" => key, "value" => value });
    }
    let properties = object! {
        "id" => format!("Directory_{}_{:05}", s.rng.guid(), s.rng.below(100_000)),
        "category" => category,
        "correlationId" => s.rng.maybe(96, marker),
        "result" => s.rng.pick(&["success", "success", "success", "failure", "timeout"]),
        "resultReason" => s.optional(40, "The quota of objects has been reached."),
        "activityDisplayName" => activity,
        "activityDateTime" => s.iso(at),
        "loggedByService" => service,
        "operationType" => operation,
        "userAgent" => s.optional(10, "python-requests/2.99"),
        "initiatedBy" => initiated,
        "targetResources" => if resources.is_empty() { s.optional(50, list![]) } else { Json::List(resources) },
        "additionalDetails" => s.optional(85, Json::List(details)),
    };
    let caller = match s.rng.below(10) {
        0..=3 => Json::Absent,
        4 => Json::from("<null>"),
        5 => Json::from("::2001:db8:1:2:3:4:5:6:7"),
        _ => Json::from(s.address()),
    };
    object! {
        "time" => s.any_time(exported),
        "resourceId" => format!("/tenants/{tenant}/providers/Microsoft.aadiam"),
        "operationName" => activity,
        "operationVersion" => "1.0",
        "category" => s.rng.pick(&["AuditLogs", "AuditLogs", "AuditLogs", "auditlogs"]),
        "tenantId" => s.optional(97, tenant),
        "resultSignature" => "None",
        "durationMs" => 0,
        "callerIpAddress" => caller,
        "correlationId" => marker,
        "identity" => s.optional(60, person.name),
        "Level" => if s.rng.percent(70) { Json::Int(4) } else { Json::from("4") },
        "properties" => if s.rng.percent(96) { properties } else { Json::from(properties.text()) },
    }
}

fn initiator(s: &mut Scene, person: &Person) -> Json {
    let user = object! {
        "id" => &person.id, "displayName" => s.optional(70, person.name), "userPrincipalName" => &person.upn,
        "ipAddress" => s.address(), "roles" => list![],
    };
    let app = object! {
        "appId" => s.optional(60, "0a1b2c3d-000b-4000-8000-000000000001"), "displayName" => "Contoso provisioning",
        "servicePrincipalId" => "0a1b2c3d-000b-4000-8000-000000000002", "servicePrincipalName" => Json::Null,
    };
    match s.rng.below(20) {
        0 => object! { "user" => Json::Null, "app" => Json::Null },
        1 => object! {},
        2..=5 => object! { "app" => app },
        6 => object! { "user" => Json::Null, "app" => app },
        _ => object! { "user" => user },
    }
}

fn resource(s: &mut Scene, target: Target) -> Json {
    let person = s.person();
    let (kind, name) = match target {
        Target::User => ("User", person.name),
        Target::Group => ("Group", "sg-till-admins"),
        Target::Role => ("Role", "Global Administrator"),
        Target::App => ("Application", "Contoso Orders"),
        Target::Principal => ("ServicePrincipal", "Contoso Orders"),
        Target::Policy => ("Policy", "Require MFA \u{2013} all"),
    };
    // Old and new values are JSON inside a text.
    let mut changes = Vec::new();
    for (field, old, new) in s.rng.some(
        &[
            ("AccountEnabled", "[true]", "[false]"),
            ("Role.DisplayName", "", "\"Global Administrator\""),
            ("Group.ObjectID", "", "\"0a1b2c3d-000c-4000-8000-000000000001\""),
            ("Included Updated Properties", "", "\"AccountEnabled, DisplayName\""),
            ("KeyDescription", "[]", "[\"[KeyIdentifier=x,KeyType=Password,KeyUsage=Verify,DisplayName=ci]\"]"),
        ],
        2,
    ) {
        changes.push(object! {
            "displayName" => field, "oldValue" => if old.is_empty() { Json::Null } else { Json::from(old) }, "newValue" => new,
        });
    }
    object! {
        "id" => s.rng.guid(),
        "displayName" => if target == Target::User { s.optional(50, name) } else { s.optional(95, name) },
        "type" => kind,
        "userPrincipalName" => if target == Target::User { s.optional(85, person.upn) } else { Json::Absent },
        "groupType" => if target == Target::Group { s.optional(70, "unknownFutureValue") } else { Json::Absent },
        "modifiedProperties" => changes,
        "administrativeUnits" => list![],
    }
}
