//! Application Gateway and Front Door: requests, and rules of their firewall that matched. The marker is the id of the
//! transaction, which Front Door calls tracking reference.

use crate::json::{Json, list, object};
use crate::scene::Scene;

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) ExampleBrowser/1.0";

fn entry(s: &mut Scene, kind: &'static str, category: &str, properties: Json) -> Json {
    let gateway = s.resource_of(kind, "gw-shop");
    let at = s.moment();
    let time = s.any_time(at);
    object! {
        "time" => &time, "timeStamp" => s.rng.maybe(30, time.clone()), "resourceId" => s.loud(&gateway),
        "category" => category,
        "operationName" => s.rng.maybe(70, category), "backendPoolName" => s.rng.maybe(30, "pool-shop"),
        "properties" => properties,
    }
}

const GATEWAY: &str = "Microsoft.Network/applicationGateways";
const PROFILE: &str = "Microsoft.Cdn/profiles";
const CLASSIC: &str = "Microsoft.Network/frontDoors";

/// A request.
pub(super) fn access(s: &mut Scene, marker: &str) -> Json {
    let (client, port, host) = (s.address(), s.port(), s.host());
    let (method, path, query, status) = s.rng.pick(&[
        ("GET", "/cart/items", "page=2", 200),
        ("GET", "/", "", 302),
        ("POST", "/login", "", 502),
        ("DELETE", "/customer/7", "", 404),
        ("PATCH", "/upload", "", 0),
    ]);
    let backend = format!("{}:443", s.ipv4());
    if s.rng.percent(60) {
        let old = s.rng.percent(20);
        let properties = object! {
            "instanceId" => if old { "ApplicationGatewayRole_IN_0" } else { "appgw_1" }, "clientIP" => client,
            "clientPort" => port, "httpMethod" => method, "requestUri" => path,
            "requestQuery" => query,
            "originalRequestUriWithArgs" => if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") },
            "userAgent" => s.rng.pick(&[AGENT, "-"]),
            "httpStatus" => status, "httpVersion" => "HTTP/1.1", "receivedBytes" => s.rng.between(90, 9_000),
            "sentBytes" => s.rng.between(0, 90_000),
            "timeTaken" => if old { Json::Int(187) } else { Json::Float(0.008) }, "transactionId" => marker,
            "sslEnabled" => s.rng.pick(&["on", "on", "off"]), "sslProtocol" => "TLSv1.2",
            "sslCipher" => "ECDHE-RSA-AES128-GCM-SHA256", "serverRouted" => backend,
            "serverStatus" => status.to_string(), "host" => host, "originalHost" => host,
            "error_info" => if status == 502 { "ERRORINFO_UPSTREAM_NO_LIVE" } else { "ERRORINFO_NO_ERROR" },
            "contentType" => "",
        };
        return entry(s, GATEWAY, "ApplicationGatewayAccessLog", properties);
    }
    let properties = object! {
        "trackingReference" => marker, "httpMethod" => method, "httpVersion" => "2.0.0.0",
        "requestUri" => format!("https://{host}:443{path}?{query}"), "sni" => host,
        "requestBytes" => "1234", "responseBytes" => s.rng.between(0, 90_000).to_string(), "userAgent" => AGENT,
        "clientIp" => &client, "clientPort" => port.to_string(), "socketIp" => client,
        "timeTaken" => "0.310", "timeToFirstByte" => "0.300", "requestProtocol" => "HTTPS",
        "securityProtocol" => "TLS 1.3", "rulesEngineMatchNames" => list![],
        "httpStatusCode" => status.to_string(), "httpStatusDetails" => status.to_string(), "pop" => "LON",
        "cacheStatus" => "MISS", "errorInfo" => if status == 0 { "OriginTimeout" } else { "NoError" },
        "hostName" => host, "originIp" => backend, "originName" => "origin.contoso.example:443",
        "routingRuleName" => "default-route", "domain" => format!("{host}:443"),
        "referer" => s.rng.maybe(40, "https://www.contoso.example/"),
    };
    let (kind, category) = s.rng.pick(&[(PROFILE, "FrontDoorAccessLog"), (CLASSIC, "FrontdoorAccessLog")]);
    entry(s, kind, category, properties)
}

/// A rule that matched.
pub(super) fn waf(s: &mut Scene, marker: &str) -> Json {
    let (client, port, host) = (s.address(), s.port(), s.host());
    if s.rng.percent(55) {
        let (rule, group, message, action) = s.rng.pick(&[
            ("942440", "SQLI", "SQL Comment Sequence Detected.", "Matched"),
            ("949110", "BLOCKING-EVALUATION", "Inbound Anomaly Score Exceeded (Total Score: 8)", "Blocked"),
            ("920350", "PROTOCOL-ENFORCEMENT", "Host header is a numeric IP address", "Detected"),
        ]);
        let properties = object! {
            "instanceId" => "appgw_1", "clientIp" => client, "clientPort" => s.rng.pick(&["", "0"]),
            "requestUri" => "/login", "ruleSetType" => "Microsoft_DefaultRuleSet",
            "ruleSetVersion" => "2.1", "ruleId" => rule, "ruleGroup" => group, "message" => message, "action" => action,
            "site" => "Global",
            "details" => object! {
                "message" => "Pattern match at REQUEST_COOKIES.",
                "data" => "{-- found within [REQUEST_COOKIES:cart:--]}", "file" => "SQLI.conf", "line" => "1260",
            },
            "hostname" => host, "transactionId" => marker, "policyId" => "default", "policyScope" => "Global",
            "policyScopeName" => "Global", "engine" => "Azwaf",
        };
        return entry(s, GATEWAY, "ApplicationGatewayFirewallLog", properties);
    }
    let properties = object! {
        "clientIP" => &client, "clientPort" => port.to_string(), "socketIP" => client,
        "requestUri" => format!("https://{host}:443/search?q=1%27%20OR%201=1"),
        "ruleName" => "Microsoft_DefaultRuleSet-2.1-SQLI-942330", "policy" => "shopwaf",
        "action" => s.rng.pick(&["Block", "AnomalyScoring", "Log", "JSChallenge"]), "host" => host,
        "trackingReference" => marker, "policyMode" => s.rng.pick(&["prevention", "detection"]),
        "details" => object! {
            "matches" => list![object! { "matchVariableName" => "QueryParamValue:q", "matchVariableValue" => "1' OR 1=1" }],
            "msg" => "Detects classic SQL injection probings 1/3",
            "data" => "Matched Data: 1' OR found within QueryParamValue:q",
        },
    };
    let (kind, category) =
        s.rng.pick(&[(PROFILE, "FrontDoorWebApplicationFirewallLog"), (CLASSIC, "FrontdoorWebApplicationFirewallLog")]);
    entry(s, kind, category, properties)
}
