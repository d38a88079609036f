//! Sign-ins of people: at a prompt, by a client on its own, and through an AD FS farm.

use crate::json::{Json, list, object};
use crate::scene::Scene;

/// Error codes with their reasons: success, interrupts that merely ask for more, failures.
#[rustfmt::skip]
const CODES: [(i64, &str); 12] = [
    (0, "Other."), (0, "Other."), (0, ""), (0, "Other."),
    (50140, "The sign-in was interrupted to ask whether to stay signed in."),
    (50074, "Strong authentication is required."), (50158, "An external security challenge was not satisfied."),
    (50126, "Invalid user name or password."), (50053, "The account is locked."), (53003, "Access was blocked by conditional access."),
    (50055, "The password has expired."), (700016, "The application was not found in the directory."),
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Example/131.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Example/1.0",
    "python-requests/2.99 \"quoted\" (test; é)",
    "",
];

/// Which log a sign-in stands in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Log {
    Interactive,
    Noninteractive,
    Adfs,
}

/// One sign-in; the marker is its correlation id.
pub(super) fn signin(s: &mut Scene, log: Log, marker: &str) -> Json {
    let person = s.person();
    let (tenant, other) = (s.tenant(), s.tenant());
    let guest = s.rng.percent(12);
    let created = s.moment();
    // Export happens later, by minutes or hours.
    let exported = (created + s.rng.between(1_000, 7_200_000)).min(s.base);
    let (code, reason) = s.rng.pick(&CODES);
    let address = s.address();
    let (city, state, country, latitude, longitude) = s.place();
    let id = s.rng.guid();
    let device = if s.rng.percent(60) {
        object! {
            "deviceId" => s.rng.guid(), "displayName" => s.rng.maybe(70, "LAPTOP-0042"), "operatingSystem" => "Windows 11",
            "browser" => "Example 131.0.1", "isCompliant" => s.rng.maybe(70, true), "isManaged" => s.rng.maybe(70, true),
            "trustType" => s.rng.maybe(60, "Azure AD joined"),
        }
    } else {
        s.optional(60, object! { "deviceId" => "", "operatingSystem" => "Ios 18", "browser" => "" })
    };
    let risk = s.rng.pick(&["none", "none", "none", "low", "medium", "high", "hidden", "unknownFutureValue"]);
    let mfa = s.rng.percent(40);
    let steps = steps(s, created, mfa, code == 0);
    let policies = policies(s);
    let resource =
        s.rng.pick(&["Azure Resource Manager", "Microsoft Graph", "Contoso Orders", "Office 365 Exchange Online"]);
    let token = s.rng.hex(22);
    let protocol = s.rng.pick(&["none", "oAuth2", "saml20", "wsFederation", "deviceCode"]);
    let properties = object! {
        "id" => &id,
        "createdDateTime" => s.iso(created),
        "userDisplayName" => person.name,
        "userPrincipalName" => if s.rng.percent(3) { person.upn.replace('@', " @") } else { person.upn.clone() },
        "userId" => &person.id,
        "appId" => "0a1b2c3d-0007-4000-8000-000000000001",
        "appDisplayName" => s.rng.pick(&["Azure Portal", "Contoso Orders", "Command line", "My Apps"]),
        "ipAddress" => if s.rng.percent(96) { Json::from(&address) } else { s.optional(30, format!("{address}:443")) },
        "status" => object! {
            "errorCode" => code, "failureReason" => s.optional(90, reason), "additionalDetails" => s.optional(50, "MFA requirement satisfied by claim in the token"),
        },
        "clientAppUsed" => s.rng.pick(&["Browser", "Mobile Apps and Desktop clients", "Exchange ActiveSync", ""]),
        "userAgent" => s.rng.pick(&AGENTS),
        "deviceDetail" => device,
        "location" => if s.rng.percent(92) {
            object! {
                "city" => city, "state" => state, "countryOrRegion" => country,
                "geoCoordinates" => s.rng.maybe(90, object! { "latitude" => latitude, "longitude" => longitude }),
            }
        } else {
            object! { "city" => "", "state" => "", "countryOrRegion" => "", "geoCoordinates" => object! { "latitude" => 0.0, "longitude" => 0.0 } }
        },
        "mfaDetail" => if mfa && s.rng.percent(40) { object! { "authMethod" => "Mobile app notification", "authDetail" => "+XX XXXXXXX42" } } else { object! {} },
        "correlationId" => s.rng.maybe(97, marker),
        "conditionalAccessStatus" => s.rng.pick(&["success", "failure", "notApplied"]),
        "appliedConditionalAccessPolicies" => policies,
        "authenticationContextClassReferences" => s.rng.maybe(20, list![object! { "id" => "urn:user:registersecurityinfo", "detail" => "previouslySatisfied" }]),
        "originalRequestId" => s.optional(90, id.clone()),
        "isInteractive" => match log {
            Log::Interactive => true,
            Log::Noninteractive => false,
            Log::Adfs => s.rng.percent(70),
        },
        "tokenIssuerName" => if log == Log::Adfs { "sts.contoso.example" } else { "" },
        "tokenIssuerType" => if log == Log::Adfs { "ADFederationServices" } else { "AzureAD" },
        "authenticationProcessingDetails" => list![
            object! { "key" => "Login Hint Present", "value" => "True" },
            object! { "key" => "Oauth Scope Info", "value" => "[\"User.Read\",\"openid\"]" },
        ],
        "networkLocationDetails" => s.optional(60, list![object! { "networkType" => "trustedNamedLocation", "networkNames" => list!["Head office"] }]),
        "processingTimeInMilliseconds" => s.rng.between(20, 900),
        "riskDetail" => "none", "riskLevelAggregated" => risk,
        "riskLevelDuringSignIn" => s.rng.pick(&["none", risk]),
        "riskState" => s.rng.pick(&["none", "atRisk", "remediated", "dismissed"]),
        "riskEventTypes" => list![], "riskEventTypes_v2" => if risk == "high" { list!["anonymizedIPAddress", "unfamiliarFeatures"] } else { list![] },
        "resourceDisplayName" => s.optional(92, resource),
        "resourceId" => "0a1b2c3d-0008-4000-8000-000000000001",
        "resourceTenantId" => tenant, "homeTenantId" => if guest { other } else { tenant },
        "authenticationDetails" => steps,
        "authenticationRequirementPolicies" => s.rng.maybe(40, list![object! { "requirementProvider" => "multiConditionalAccess", "detail" => "Conditional Access" }]),
        "authenticationRequirement" => if mfa { "multiFactorAuthentication" } else { "singleFactorAuthentication" },
        "sessionId" => s.optional(60, s_session(created)),
        "alternateSignInName" => s.optional(20, person.upn.clone()),
        "signInIdentifier" => s.optional(30, person.upn.clone()),
        "servicePrincipalId" => "",
        "userType" => if guest { "Guest" } else { "Member" },
        "flaggedForReview" => false, "isTenantRestricted" => s.rng.maybe(60, false),
        "autonomousSystemNumber" => s.rng.between(64_496, 64_511),
        "crossTenantAccessType" => if guest { "b2bCollaboration" } else { "none" },
        "privateLinkDetails" => object! {}, "ssoExtensionVersion" => "",
        "uniqueTokenIdentifier" => s.optional(90, token),
        "authenticationProtocol" => s.optional(70, protocol),
    };
    let record = object! {
        "time" => s.any_time(exported),
        "resourceId" => format!("/tenants/{tenant}/providers/Microsoft.aadiam"),
        "operationName" => "Sign-in activity",
        "operationVersion" => "1.0",
        "category" => match log {
            Log::Interactive => s.rng.pick(&["SignInLogs", "SignInLogs", "SignInLogs", "SigninLogs"]),
            Log::Noninteractive => "NonInteractiveUserSignInLogs",
            Log::Adfs => "ADFSSignInLogs",
        },
        "tenantId" => s.optional(97, tenant),
        "resultType" => if s.rng.percent(92) { Json::from(code.to_string()) } else { Json::from(code) },
        "resultSignature" => match log {
            Log::Adfs if code != 0 => "FAILURE",
            Log::Adfs => "SUCCESS",
            _ => s.rng.pick(&["None", "SUCCESS"]),
        },
        "resultDescription" => s.rng.maybe(50, reason),
        "durationMs" => if s.rng.percent(90) { Json::Int(0) } else { Json::from("0") },
        "callerIpAddress" => s.optional(95, address),
        "correlationId" => marker,
        "identity" => person.name,
        "Level" => if s.rng.percent(80) { Json::Int(4) } else { Json::from("4") },
        "location" => s.optional(92, country),
        "properties" => if s.rng.percent(96) { properties } else { Json::from(properties.text()) },
    };
    // Some lakes on the way write every name in lower case.
    if s.rng.percent(4) { record.renamed(|name| name.to_lowercase()) } else { record }
}

fn s_session(created: i64) -> String {
    format!("0a1b2c3d-0009-4000-8000-{:012x}", created & 0xffff_ffff_ffff)
}

fn steps(s: &mut Scene, created: i64, mfa: bool, succeeded: bool) -> Json {
    let mut steps = vec![object! {
        "authenticationStepDateTime" => s.iso(created),
        "authenticationMethod" => s.rng.pick(&["Password", "Previously satisfied", "FIDO2 security key", "Passkey"]),
        "authenticationMethodDetail" => s.rng.maybe(40, "Password Hash Sync"),
        "succeeded" => succeeded,
        "authenticationStepResultDetail" => "First factor requirement satisfied by claim in the token",
        "authenticationStepRequirement" => s.rng.maybe(60, "Primary authentication"),
        "StatusSequence" => 0, "RequestSequence" => 0,
    }];
    if mfa {
        steps.push(object! {
            "authenticationStepDateTime" => s.iso(created), "authenticationMethod" => "Mobile app notification",
            "succeeded" => succeeded || s.rng.percent(30), "authenticationStepResultDetail" => "MFA completed in the directory",
            "authenticationStepRequirement" => "Multi-factor authentication",
        });
    }
    s.optional(93, Json::List(steps))
}

fn policies(s: &mut Scene) -> Json {
    let mut policies = Vec::new();
    for _ in 0..s.rng.below(5) {
        policies.push(object! {
            "id" => s.rng.guid(),
            // Over-escaped on the way here, and a dash that is not ASCII.
            "displayName" => s.rng.pick(&["Require MFA \\u0026 a compliant device", "Block legacy \u{2013} all users", "MFA for admins"]),
            "enforcedGrantControls" => s.rng.maybe(80, list!["Mfa"]), "enforcedSessionControls" => list![],
            "result" => s.rng.pick(&["success", "failure", "notApplied", "notEnabled", "reportOnlyNotApplied", "reportOnlySuccess"]),
            "conditionsSatisfied" => 3, "conditionsNotSatisfied" => 0,
        });
    }
    s.optional(90, Json::List(policies))
}
