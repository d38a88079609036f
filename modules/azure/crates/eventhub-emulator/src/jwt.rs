//! Bearer tokens of an issuer that the namespace trusts, as the service checks those of its identity provider.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::auth::TokenError;

/// Who issues bearer tokens, for whom they must be, and the key that they are signed with (HS256: an issuer on the same
/// machine shares it). `Debug` does not show the key.
pub struct JwtIssuer {
    issuer: String,
    audience: String,
    key: Vec<u8>,
}

impl std::fmt::Debug for JwtIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtIssuer")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl JwtIssuer {
    /// An issuer (`iss`) whose tokens are for `audience` (`aud`).
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, key: impl Into<Vec<u8>>) -> Self {
        Self { issuer: issuer.into(), audience: audience.into(), key: key.into() }
    }

    /// Checks a token; returns when it expires.
    pub(crate) fn check(&self, token: &str, now: SystemTime) -> Result<SystemTime, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = part(header)?;
        if header.alg != "HS256" {
            return Err(TokenError::BadSignature);
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(|_| TokenError::Malformed)?;
        mac.update(signed.as_bytes());
        mac.verify_slice(&signature).map_err(|_| TokenError::BadSignature)?;
        let claims: Claims = part(claims)?;
        if claims.iss != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        let ours = match &claims.aud {
            Audience::One(audience) => *audience == self.audience,
            Audience::Many(audiences) => audiences.contains(&self.audience),
        };
        if !ours {
            return Err(TokenError::WrongAudience);
        }
        let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(TokenError::Malformed);
        let expires = at(claims.exp)?;
        if expires <= now || at(claims.nbf)? > now {
            return Err(TokenError::Expired);
        }
        Ok(expires)
    }
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sign(header: &Value, claims: &Value, key: &[u8]) -> String {
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn a_token_is_accepted_by_signature_issuer_audience_and_time() {
        let issuer = JwtIssuer::new("https://sts/t/", "https://hubs", "key");
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let (alg, good) =
            (json!({"alg": "HS256"}), json!({"iss": "https://sts/t/", "aud": "https://hubs", "exp": 1001}));
        assert_eq!(issuer.check(&sign(&alg, &good, b"key"), now), Ok(now + Duration::from_secs(1)));
        let many = json!({"iss": "https://sts/t/", "aud": ["x", "https://hubs"], "exp": 1001, "nbf": 1000});
        assert!(issuer.check(&sign(&alg, &many, b"key"), now).is_ok());
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            issuer.check(&sign(&alg, &claims, b"key"), now)
        };
        assert_eq!(with("iss", json!("https://sts/u/")), Err(TokenError::WrongIssuer));
        assert_eq!(with("aud", json!("https://storage")), Err(TokenError::WrongAudience));
        assert_eq!(with("exp", json!(1000)), Err(TokenError::Expired));
        assert_eq!(with("nbf", json!(1001)), Err(TokenError::Expired));
        assert_eq!(with("exp", json!("soon")), Err(TokenError::Malformed));
        assert_eq!(issuer.check(&sign(&alg, &good, b"other"), now), Err(TokenError::BadSignature));
        assert_eq!(issuer.check(&sign(&json!({"alg": "none"}), &good, b"key"), now), Err(TokenError::BadSignature));
        for text in ["", "a.b", "a.b.c", "..", "SharedAccessSignature sr=a"] {
            assert_eq!(issuer.check(text, now), Err(TokenError::Malformed), "{text}");
        }
        assert!(!format!("{:?}", JwtIssuer::new("a", "b", "c4n4ry")).contains("99, 52"));
    }
}
