//! Entra ID Protection: identities at risk, and the detections behind that.

use crate::json::{Json, list, object};
use crate::scene::{Scene, us_time};

/// States with the detail that goes with each for a user and for an application.
const STATES: [(&str, &str, &str); 6] = [
    ("atRisk", "none", "none"),
    ("atRisk", "none", "none"),
    ("confirmedCompromised", "adminConfirmedUserCompromised", "adminConfirmedServicePrincipalCompromised"),
    ("remediated", "userPerformedSecuredPasswordChange", "none"),
    ("dismissed", "adminDismissedAllRiskForUser", "adminDismissedAllRiskForServicePrincipal"),
    ("confirmedSafe", "aiConfirmedSigninSafe", "none"),
];
const LEVELS: [&str; 6] = ["low", "medium", "high", "high", "none", "hidden"];

/// Whom the record is about.
enum Identity {
    User,
    Application,
}

/// The envelope: its time is in another form than those within.
fn envelope(
    s: &mut Scene,
    category: &str,
    operation: &str,
    name: &str,
    marker: &str,
    at: i64,
    properties: Json,
) -> Json {
    let tenant = s.tenant();
    let exported = (at + s.rng.between(0, 3_600_000)).min(s.base);
    object! {
        "time" => if s.rng.percent(80) { us_time(exported) } else { s.iso(exported) },
        "resourceId" => format!("/tenants/{tenant}/providers/microsoft.aadiam"),
        "operationName" => operation, "operationVersion" => "1.0", "category" => category,
        "tenantId" => s.optional(95, tenant), "resultSignature" => "None", "durationMs" => 0,
        "callerIpAddress" => s.rng.maybe(30, "<null>"),
        "correlationId" => marker, "identity" => name.to_lowercase(), "Level" => 4,
        "location" => s.rng.maybe(70, "weu"),
        "properties" => if s.rng.percent(95) { properties } else { Json::from(properties.text()) },
    }
}

/// A user at risk; the marker is the user's id.
pub(super) fn risky_user(s: &mut Scene, marker: &str) -> Json {
    let person = s.person();
    let (state, detail, _) = s.rng.pick(&STATES);
    let at = s.moment();
    let properties = object! {
        "id" => marker, "userDisplayName" => person.name, "userPrincipalName" => &person.upn,
        "riskLastUpdatedDateTime" => s.iso(at),
        "riskState" => state, "riskDetail" => detail, "riskLevel" => s.rng.pick(&LEVELS),
        "isGuest" => s.rng.maybe(60, false),
        "isDeleted" => false, "isProcessing" => false,
    };
    envelope(s, "RiskyUsers", "Risky user", person.name, marker, at, properties)
}

/// An application at risk; the marker is its service principal's id.
pub(super) fn risky_service_principal(s: &mut Scene, marker: &str) -> Json {
    let (state, _, detail) = s.rng.pick(&STATES);
    let at = s.moment();
    let properties = object! {
        "id" => marker, "appId" => "0a1b2c3d-0013-4000-8000-000000000001", "displayName" => "till-deploy",
        "servicePrincipalType" => "Application",
        "isEnabled" => state != "confirmedCompromised", "isProcessing" => false, "riskLastUpdatedDateTime" => s.iso(at),
        "riskState" => state, "riskDetail" => detail, "riskLevel" => s.rng.pick(&LEVELS),
    };
    envelope(s, "RiskyServicePrincipals", "Risky service principal", "till-deploy", marker, at, properties)
}

/// A detection about a user; the marker is its id, which really is 64 hex digits as often.
pub(super) fn user_event(s: &mut Scene, marker: &str) -> Json {
    let person = s.person();
    let (kind, timing) = s.rng.pick(&[
        ("anonymizedIPAddress", "realtime"),
        ("unfamiliarFeatures", "realtime"),
        ("passwordSpray", "offline"),
        ("leakedCredentials", "offline"),
        ("impossibleTravel", "offline"),
    ]);
    let (at, mut properties) = event(s, marker, kind, timing, &Identity::User);
    properties.push("userId", &person.id);
    properties.push("userDisplayName", person.name);
    properties.push("userPrincipalName", &person.upn);
    properties.push("userType", "member");
    envelope(s, "UserRiskEvents", "User Risk Detection", person.name, marker, at, properties)
}

/// A detection about an application; the marker is its id.
pub(super) fn service_principal_event(s: &mut Scene, marker: &str) -> Json {
    let kind = s.rng.pick(&[
        "leakedCredentials",
        "suspiciousSignins",
        "adminConfirmedServicePrincipalCompromised",
        "anomalousServicePrincipalActivity",
    ]);
    let (at, mut properties) = event(s, marker, kind, "offline", &Identity::Application);
    properties.push("servicePrincipalId", "0a1b2c3d-0013-4000-8000-000000000002");
    properties.push("servicePrincipalDisplayName", "till-deploy");
    properties.push("appId", "0a1b2c3d-0013-4000-8000-000000000001");
    properties.push("keyIds", s.optional(70, list!["0a1b2c3d-0013-4000-8000-000000000003"]));
    envelope(s, "ServicePrincipalRiskEvents", "Service Principal Risk Detection", "till-deploy", marker, at, properties)
}

fn event(s: &mut Scene, marker: &str, kind: &str, timing: &str, about: &Identity) -> (i64, Json) {
    let (state, user_detail, app_detail) = s.rng.pick(&STATES);
    let updated = s.moment();
    let detected = updated - s.rng.between(0, 3_600_000);
    let (city, region, country, latitude, longitude) = s.place();
    let (address, request, correlation) = (s.address(), s.rng.guid(), s.rng.guid());
    let place = object! {
        "city" => city, "state" => region, "countryOrRegion" => country,
        "geoCoordinates" => object! { "altitude" => 0, "latitude" => latitude, "longitude" => longitude },
    };
    let info = list![
        object! { "Key" => "userAgent", "Value" => "Mozilla/5.0 (example)" },
        object! { "Key" => "alertUrl", "Value" => Json::Null },
        object! { "Key" => "mitreTechniques", "Value" => "T1090.003,T1078" },
    ];
    let properties = object! {
        "id" => marker, "requestId" => s.optional(70, request), "correlationId" => correlation, "riskType" => kind,
        "riskEventType" => kind,
        "riskState" => state, "riskLevel" => s.rng.pick(&LEVELS),
        "riskDetail" => match about { Identity::User => user_detail, Identity::Application => app_detail },
        "source" => "IdentityProtection", "detectionTimingType" => timing,
        "activity" => s.rng.pick(&["signin", "user"]),
        "ipAddress" => s.optional(80, address), "location" => s.optional(80, place),
        "activityDateTime" => s.iso(detected - 60_000), "detectedDateTime" => s.iso(detected),
        "lastUpdatedDateTime" => s.iso(updated),
        "additionalInfo" => info.text(), "tokenIssuerType" => "AzureAD",
    };
    (updated, properties)
}
