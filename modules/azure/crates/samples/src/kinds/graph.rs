//! Calls to Microsoft Graph, by people through an application or by the application itself.

use crate::json::{Json, object};
use crate::scene::Scene;

/// One call; the marker is its correlation id, which is the request's too.
pub(super) fn graph(s: &mut Scene, marker: &str) -> Json {
    let (tenant, person) = (s.tenant(), s.person());
    let at = s.moment();
    let (method, version, path, code) = s.rng.pick(&[
        ("GET", "v1.0", "/me/messages?$select=subject&$top=50", 200),
        ("GET", "v1.0", "/users/0a1b2c3d-0002-4000-8000-000000000003/photos/48x48/$value", 404),
        ("GET", "v1.0", "/directoryRoles", 429),
        ("POST", "beta", "/identity/conditionalAccess/policies", 201),
        ("PATCH", "v1.0", "/applications/0a1b2c3d-0015-4000-8000-000000000002", 204),
        ("PUT", "v1.0", "/drives/x/root:/till.txt:/content", 403),
        ("DELETE", "v1.0", "/groups/0a1b2c3d-0015-4000-8000-000000000003/members/1/$ref", 204),
    ]);
    let delegated = s.rng.percent(60);
    // The unit is no millisecond: such a call would have taken minutes.
    let duration = s.rng.between(1_000_000, 17_000_000);
    let address = s.address();
    let region = s.rng.pick(&["West Europe", "North Europe", "Sweden Central"]);
    let empty = s.rng.pick(&[Json::Null, Json::from("")]);
    let properties = object! {
        "timeGenerated" => s.iso(at), "tokenIssuedAt" => s.iso(at - 300_000), "apiVersion" => version,
        "requestMethod" => method,
        "requestUri" => format!("https://graph.microsoft.com/{version}{path}"), "responseStatusCode" => code,
        "responseSizeBytes" => s.rng.between(0, 90_000),
        "requestId" => marker, "operationId" => marker, "clientRequestId" => s.rng.guid(), "durationMs" => duration,
        "location" => region,
        "appId" => "0a1b2c3d-0015-4000-8000-000000000001", "clientAuthMethod" => if delegated { "0" } else { "2" },
        "ipAddress" => &address, "userAgent" => s.optional(80, "python-requests/2.99"), "tenantId" => tenant,
        "userId" => if delegated { Json::from(&person.id) } else { empty.clone() },
        "servicePrincipalId" => if delegated { empty.clone() } else { Json::from("0a1b2c3d-0013-4000-8000-000000000002") },
        "scopes" => if delegated { Json::from("openid profile User.Read") } else { empty.clone() },
        "roles" => if delegated { empty } else { Json::from("User.Read.All Mail.Read") },
        "identityProvider" => s.optional(40, format!("https://sts.windows.net/{tenant}/")),
        "signInActivityId" => s.rng.hex(22),
        "C_Idtyp" => s.rng.maybe(70, if delegated { "user" } else { "app" }),
        "C_DeviceId" => s.rng.maybe(30, "0a1b2c3d-0015-4000-8000-0000000000de"),
        "c_Sid" => s.rng.maybe(30, "0a1b2c3d-0015-4000-8000-00000000005e"),
    };
    object! {
        "time" => s.any_time(at),
        "resourceId" => format!("/TENANTS/{}/PROVIDERS/MICROSOFT.AADIAM", tenant.to_uppercase()),
        "operationName" => "Microsoft Graph Activity", "operationVersion" => version,
        "category" => "MicrosoftGraphActivityLogs",
        "resultSignature" => code.to_string(), "durationMs" => duration.to_string(), "callerIpAddress" => address,
        "correlationId" => marker,
        "Level" => 4, "location" => region, "tenantId" => s.optional(95, tenant), "properties" => properties,
    }
}
