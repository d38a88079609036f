//! What Microsoft Entra says when it gives no token, and what to do about it.
//!
//! Its codes may change; what is not known here is passed on in its own words.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::evidence::{Evidence, Proof};
use crate::tokens::Scope;

/// Longest text of the provider's that is passed on, in characters.
const MAX_SAID: usize = 300;

/// Why Entra gave no token, in one line. No secret, assertion or token is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntraError {
    /// Whether a later attempt may succeed by itself.
    pub transient: bool,
    /// The number after `AADSTS`, if Entra gave one.
    pub code: Option<u32>,
    /// What is wrong, and what to do next.
    pub detail: String,
}

impl std::error::Error for EntraError {}

impl fmt::Display for EntraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "Microsoft Entra gives no token (AADSTS{code}): {}", self.detail),
            None => write!(f, "no token from Microsoft Entra: {}", self.detail),
        }
    }
}

impl EntraError {
    pub(crate) fn transient(detail: impl Into<String>) -> Self {
        Self { transient: true, code: None, detail: detail.into() }
    }

    pub(crate) fn fatal(detail: impl Into<String>) -> Self {
        Self { transient: false, code: None, detail: detail.into() }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    error: String,
    error_description: String,
    error_codes: Vec<u32>,
    trace_id: String,
}

/// What an answer that is no token means.
pub(crate) fn refusal(status: u16, body: &[u8], evidence: &Evidence, scope: &Scope) -> EntraError {
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let code = body.error_codes.first().copied().or_else(|| code_in(&body.error_description));
    let known = code.and_then(|code| known(code, evidence, scope));
    let busy = matches!(status, 408 | 429 | 500..) || body.error == "temporarily_unavailable";
    let (transient, mut detail) = match known {
        Some(known) => known,
        None if busy => {
            (true, format!("it answered {status}, try again later{}", said(&body, evidence.secret.expose_secret())))
        }
        None => {
            let what = if body.error.is_empty() {
                "with something that is none of its answers: is AZURE_AUTHORITY_HOST right?"
            } else {
                "and refuses"
            };
            (false, format!("it answered {status} {what}{}", said(&body, evidence.secret.expose_secret())))
        }
    };
    if is_guid(&body.trace_id) {
        detail.push_str(&format!(" (trace {})", body.trace_id));
    }
    EntraError { transient, code, detail }
}

/// Whether it is transient, and what to do.
fn known(code: u32, evidence: &Evidence, scope: &Scope) -> Option<(bool, String)> {
    let Evidence { tenant, client, .. } = evidence;
    let (stored, store) = match &evidence.proof {
        Proof::Stored { secret } => (
            format!("in secret {secret}"),
            format!(
                "store it: aws secretsmanager put-secret-value --secret-id {secret} --secret-string file://secret.json"
            ),
        ),
        Proof::Assertion => ("in the settings".to_owned(), "set it".to_owned()),
    };
    let reset = format!("az ad app credential reset --id {client} --append");
    let fatal = match code {
        7_000_215 => format!(
            "the client secret of application {client} is wrong: it is the secret's value, not its id; make another with \
             `{reset}` and {store}"
        ),
        7_000_222 => {
            format!("the client secret of application {client} has expired: make another with `{reset}` and {store}")
        }
        700_016 => format!("tenant {tenant} has no application {client}: check tenantId and clientId {stored}"),
        7_000_229 => format!(
            "application {client} has no service principal in tenant {tenant}: run `az ad sp create --id {client}`"
        ),
        7_000_112 => format!("application {client} is disabled: enable its service principal in tenant {tenant}"),
        90_002 | 900_021 | 900_023 | 50_049 => format!("there is no tenant {tenant}: check tenantId {stored}"),
        70_021 | 700_211 | 700_212 | 700_213 | 700_223 => unmatched(code, evidence),
        700_024 => "the role's token is not valid at this time: check this machine's clock".to_owned(),
        50_027 | 700_027 | 5_002_738 => format!(
            "the role's token cannot be verified: check that the federated credential of application {client} has the \
             account's own issuer, from `aws iam get-outbound-web-identity-federation-info`"
        ),
        500_011 | 650_057 => format!(
            "tenant {tenant} does not know {scope}: register the resource provider Microsoft.EventHub (Microsoft.Storage for \
             flow logs) in a subscription of this tenant"
        ),
        53_003 | 530_003 | 530_034 => {
            format!("a Conditional Access policy keeps application {client} out: let it in from where this runs")
        }
        50_105 | 501_051 => {
            format!("application {client} is not assigned: assign it, or let the resource need no assignment")
        }
        7_000_218 => format!(
            "application {client} sent no secret or assertion that Entra took for one: check clientSecret {stored}"
        ),
        50_196 => {
            return Some((true, "it was asked too often in too short a time: it will be asked again later".to_owned()));
        }
        90_006 | 90_012 | 90_024 | 90_033 => {
            return Some((true, "it is out of order for the moment: try again".to_owned()));
        }
        _ => return None,
    };
    Some((false, fatal))
}

/// No federated credential matches: what it would have to be.
fn unmatched(code: u32, evidence: &Evidence) -> String {
    let part = match code {
        700_211 => "this issuer",
        700_212 => "this audience",
        700_213 => "this subject",
        _ => "this token",
    };
    let claims = Claims::of(evidence.secret.expose_secret()).unwrap_or_default();
    format!(
        "application {} has no federated credential for {part}: give it one with issuer {}, subject {} and audience {}, letter by \
         letter (az ad app federated-credential create --id {})",
        evidence.client,
        shown(&claims.iss),
        shown(&claims.sub),
        shown(&claims.aud.to_string()),
        evidence.client
    )
}

/// What a token says of itself, unverified: for a person to compare.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(audience) => f.write_str(audience),
            Self::Many(audiences) => f.write_str(&audiences.join(" ")),
        }
    }
}

impl Claims {
    fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

fn shown(claim: &str) -> String {
    let text: String = claim.chars().filter(|char| char.is_ascii_graphic()).take(200).collect();
    if text.is_empty() { "(it does not say)".to_owned() } else { text }
}

fn code_in(description: &str) -> Option<u32> {
    let digits = description.strip_prefix("AADSTS")?;
    let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// Its own words, in one line, without anything like a secret.
fn said(body: &Body, hidden: &str) -> String {
    let text = if body.error_description.is_empty() { &body.error } else { &body.error_description };
    if text.is_empty() {
        return String::new();
    }
    // Before words are taken apart: a secret may hold white space. What repeats the request has it as a form writes it.
    let mut text = text.clone();
    if !hidden.is_empty() {
        let encoded = reqwest::Url::parse_with_params("form:", [("", hidden)]).ok();
        let encoded = encoded.as_ref().and_then(|url| url.query()).and_then(|query| query.strip_prefix('='));
        for hidden in [Some(hidden), encoded].into_iter().flatten() {
            text = text.replace(hidden, "REDACTED");
        }
    }
    let words: Vec<&str> =
        text.split_whitespace().map(|word| if word.contains("eyJ") { "REDACTED" } else { word }).collect();
    format!(
        "; it says: {}",
        words.join(" ").chars().filter(|char| !char.is_control()).take(MAX_SAID).collect::<String>()
    )
}

fn is_guid(text: &str) -> bool {
    crate::address::check_client(text).is_ok()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;

    const APP: &str = "11111111-2222-3333-4444-555555555555";

    fn scope() -> Scope {
        Scope::EVENT_HUBS
    }

    fn evidence(proof: Proof, secret: &str) -> Evidence {
        Evidence {
            tenant: "contoso.com".into(),
            client: APP.into(),
            secret: SecretString::from(secret),
            proof,
            version: None,
        }
    }

    fn stored() -> Proof {
        Proof::Stored { secret: "tributary/hub".into() }
    }

    fn refused(status: u16, code: u32, proof: Proof, hidden: &str) -> EntraError {
        let body = json!({"error": "invalid_client", "error_codes": [code], "trace_id": APP,
            "error_description": format!("AADSTS{code}: Something about {hidden}\r\nTrace ID: x")});
        refusal(status, body.to_string().as_bytes(), &evidence(proof, hidden), &scope())
    }

    #[test]
    fn every_code_says_what_to_do() {
        for (code, transient, says) in [
            (7_000_215, false, "--secret-id tributary/hub --secret-string file://"),
            (7_000_222, false, "has expired"),
            (700_016, false, "has no application"),
            (7_000_229, false, "az ad sp create"),
            (7_000_112, false, "disabled"),
            (90_002, false, "no tenant contoso.com"),
            (500_011, false, "Microsoft.EventHub"),
            (53_003, false, "Conditional Access"),
            (50_196, true, "asked too often"),
            (90_033, true, "try again"),
        ] {
            let error = refused(400, code, stored(), "c4n4ry");
            assert_eq!((error.transient, error.code), (transient, Some(code)));
            let text = error.to_string();
            assert!(
                text.contains(says) && text.contains(&format!("AADSTS{code}")) && text.contains("(trace 1111"),
                "{text}"
            );
            assert!(!text.contains("c4n4ry") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn a_credential_that_does_not_match_is_spelled_out() {
        let claims =
            json!({"iss": "https://x.tokens.sts.global.api.aws", "sub": "arn:aws:iam::1:role/r", "aud": "api://A"});
        let token = format!("eyJ.{}.c4n4ry", URL_SAFE_NO_PAD.encode(claims.to_string()));
        for (code, part) in
            [(70_021, "this token"), (700_211, "this issuer"), (700_212, "this audience"), (700_213, "this subject")]
        {
            let text = refused(401, code, Proof::Assertion, &token).to_string();
            let wanted =
                "issuer https://x.tokens.sts.global.api.aws, subject arn:aws:iam::1:role/r and audience api://A,";
            assert!(text.contains(part) && text.contains(wanted) && !text.contains("c4n4ry"), "{text}");
        }
        let text = refused(401, 700_213, Proof::Assertion, "c4n4ry").to_string();
        assert!(text.contains("subject (it does not say)") && !text.contains("c4n4ry"), "{text}");
    }

    #[test]
    fn what_is_not_known_is_passed_on_without_the_secret() {
        let error = refused(401, 12_345, Proof::Assertion, "c4n4ry with spaces");
        assert!(
            !error.transient && error.detail.contains("it says: AADSTS12345: Something about REDACTED Trace"),
            "{error}"
        );
        let status =
            |status, body: &str| refusal(status, body.as_bytes(), &evidence(Proof::Assertion, "c4n4ry"), &scope());
        for (code, body) in [(429, ""), (500, "<html>"), (503, "{\"error\":\"server_error\"}"), (408, "[]")] {
            assert!(status(code, body).transient, "{code}");
        }
        let error = status(404, "<html>c4n4ry</html>");
        assert!(!error.transient && error.detail.contains("AZURE_AUTHORITY_HOST") && !error.detail.contains("c4n4ry"));
        assert!(status(400, "{\"error\":\"temporarily_unavailable\"}").transient);
        let described = status(400, "{\"error\":\"x\",\"error_description\":\"AADSTS7000222: expired\"}");
        assert_eq!(described.code, Some(7_000_222));
        let long = status(400, &json!({"error": "x", "error_description": "eyJ0 ".repeat(10_000)}).to_string());
        assert!(long.to_string().len() < 600 && !long.to_string().contains("eyJ"));
    }
}
