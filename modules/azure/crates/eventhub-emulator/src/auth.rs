//! Who may do what: shared access signatures, bearer tokens, and what a connection was granted.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::jwt::JwtIssuer;

/// A token type of `put-token`.
const SAS: &str = "servicebus.windows.net:sastoken";
const JWT: &str = "jwt";

/// The keys and tokens that the namespace accepts. `Debug` shows no secret.
pub(crate) struct Authority {
    /// Key name and key; a key may be replaced at any time.
    keys: RwLock<Vec<(String, String)>>,
    /// Bearer tokens that are accepted as they are, for every entity.
    bearer_tokens: Vec<String>,
    /// Whose bearer tokens are accepted, for every entity.
    issuers: Vec<JwtIssuer>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("keys", &self.keys().len())
            .field("tokens", &self.bearer_tokens.len())
            .field("issuers", &self.issuers)
            .finish()
    }
}

/// What a token allows: everything at or below a path, until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Lower case, without the namespace; empty for the whole namespace.
    path: Vec<String>,
    /// `None`: for as long as the connection lasts.
    expires: Option<SystemTime>,
}

impl Grant {
    /// Everything, until the connection ends.
    pub(crate) fn namespace() -> Self {
        Self { path: Vec::new(), expires: None }
    }

    /// Whether this grant covers an entity now.
    pub(crate) fn covers(&self, path: &[String], now: SystemTime) -> bool {
        self.is_live(now) && path.starts_with(&self.path)
    }

    pub(crate) fn is_live(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.expires
    }
}

/// Why a token is not accepted. No text repeats a part of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token's key name is unknown")]
    UnknownKey,
    #[error("the token's signature does not match")]
    BadSignature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not for this entity")]
    WrongAudience,
    #[error("the token's issuer is not trusted")]
    WrongIssuer,
    #[error("the token's type is not supported")]
    UnknownType,
}

impl Authority {
    pub(crate) fn new(keys: Vec<(String, String)>, bearer_tokens: Vec<String>, issuers: Vec<JwtIssuer>) -> Self {
        Self { keys: RwLock::new(keys), bearer_tokens, issuers }
    }

    fn keys(&self) -> RwLockReadGuard<'_, Vec<(String, String)>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that connection strings carry.
    pub(crate) fn first_key(&self) -> Option<(String, String)> {
        self.keys().first().cloned()
    }

    /// Gives a key another value; false when there is no such key.
    pub(crate) fn replace_key(&self, name: &str, key: String) -> bool {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        match keys.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => {
                *value = key;
                true
            }
            None => false,
        }
    }

    /// Whether this is a key's name and value, as SASL PLAIN gives them.
    pub(crate) fn is_key(&self, name: &str, key: &str) -> bool {
        self.keys().iter().any(|(known, value)| known == name && value == key)
    }

    /// Checks a token of `put-token` for `audience`, and says what it grants.
    pub(crate) fn check(
        &self,
        token_type: &str,
        token: &str,
        audience: &str,
        now: SystemTime,
    ) -> Result<Grant, TokenError> {
        let path = entity_path(audience);
        if token_type.eq_ignore_ascii_case(SAS) {
            let (resource, expires) = self.check_sas(token, now)?;
            if !path.starts_with(&resource) {
                return Err(TokenError::WrongAudience);
            }
            Ok(Grant { path, expires: Some(expires) })
        } else if token_type.eq_ignore_ascii_case(JWT) {
            Ok(Grant { path, expires: self.check_bearer(token, now)? })
        } else {
            Err(TokenError::UnknownType)
        }
    }

    /// Checks the token in a management request: either kind, for the hub.
    pub(crate) fn check_security_token(&self, token: &str, hub: &str, now: SystemTime) -> Result<(), TokenError> {
        if !token.starts_with("SharedAccessSignature ") {
            return self.check_bearer(token, now).map(|_| ());
        }
        let (resource, _) = self.check_sas(token, now)?;
        // Clients sign for the hub, or for the hub's $management.
        let path = [hub.to_lowercase(), "$management".to_owned()];
        if path.starts_with(&resource) { Ok(()) } else { Err(TokenError::WrongAudience) }
    }

    /// Checks a bearer token. Returns when it expires, if that is known.
    fn check_bearer(&self, token: &str, now: SystemTime) -> Result<Option<SystemTime>, TokenError> {
        if self.bearer_tokens.iter().any(|known| known == token) {
            return Ok(None);
        }
        let mut refusal = TokenError::BadSignature;
        for issuer in &self.issuers {
            match issuer.check(token, now) {
                Ok(expires) => return Ok(Some(expires)),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// Checks signature and expiry. Returns the resource and the time of expiry.
    fn check_sas(&self, token: &str, now: SystemTime) -> Result<(Vec<String>, SystemTime), TokenError> {
        let fields = token.strip_prefix("SharedAccessSignature ").ok_or(TokenError::Malformed)?;
        let field = |name: &str| {
            fields.split('&').find_map(|field| field.split_once('=').filter(|(key, _)| *key == name)).map(|(_, v)| v)
        };
        let (Some(resource), Some(signature), Some(expiry), Some(key_name)) =
            (field("sr"), field("sig"), field("se"), field("skn"))
        else {
            return Err(TokenError::Malformed);
        };
        let key_name = percent_decode(key_name).ok_or(TokenError::Malformed)?;
        let keys = self.keys();
        let (_, key) = keys.iter().find(|(name, _)| *name == key_name).ok_or(TokenError::UnknownKey)?;
        let signature = percent_decode(signature).ok_or(TokenError::Malformed)?;
        let signature = BASE64_STANDARD.decode(signature).map_err(|_| TokenError::Malformed)?;
        // The key is used as text, and what is signed is the resource as it is encoded in the token.
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| TokenError::Malformed)?;
        mac.update(format!("{resource}\n{expiry}").as_bytes());
        mac.verify_slice(&signature).map_err(|_| TokenError::BadSignature)?;
        let seconds: u64 = expiry.parse().map_err(|_| TokenError::Malformed)?;
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(TokenError::Malformed)?;
        if expires <= now {
            return Err(TokenError::Expired);
        }
        let resource = percent_decode(resource).ok_or(TokenError::Malformed)?;
        Ok((entity_path(&resource), expires))
    }
}

/// The path of an entity in lower case, without scheme and host: `sb://ns/Hub/ConsumerGroups/x` and
/// `hub/consumergroups/x` are the same. The host is not compared: the emulator has no name of its own.
pub(crate) fn entity_path(address: &str) -> Vec<String> {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_lowercase).collect()
}

fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            decoded.push((high << 4 | low) as u8);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

/// Signs a shared access token as clients do. The expiry has a resolution of seconds.
pub(crate) fn sign(resource: &str, key_name: &str, key: &str, expires: SystemTime) -> String {
    let resource = percent_encode(resource);
    let expiry = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut signature = String::new();
    // HMAC takes keys of any length: there is no error to report.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) {
        mac.update(format!("{resource}\n{expiry}").as_bytes());
        signature = percent_encode(&BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    }
    let key_name = percent_encode(key_name);
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={key_name}")
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn authority() -> Authority {
        Authority::new(vec![("root".to_owned(), "secret".to_owned())], vec!["a.b.c".to_owned()], Vec::new())
    }

    #[test]
    fn a_hub_token_covers_what_is_below_the_hub() {
        let now = SystemTime::now();
        let token = sign("amqps://ns.example/Hub", "root", "secret", now + HOUR);
        let grant = authority().check(SAS, &token, "amqps://ns.example/hub/ConsumerGroups/$Default", now).unwrap();
        assert!(grant.covers(&entity_path("hub/consumergroups/$default/partitions/0"), now));
        assert!(!grant.covers(&entity_path("hub/consumergroups/other/partitions/0"), now));
        assert!(!grant.covers(&entity_path("hub/consumergroups/$default/partitions/0"), now + 2 * HOUR));
        authority().check_security_token(&token, "HUB", now).unwrap();
    }

    #[test]
    fn refusals_have_their_reason() {
        let now = SystemTime::now();
        let check = |token: &str, audience: &str| authority().check(SAS, token, audience, now).unwrap_err();
        let good = sign("sb://ns/hub", "root", "secret", now + HOUR);
        assert_eq!(check(&good, "sb://ns/other"), TokenError::WrongAudience);
        assert_eq!(check(&good, "sb://ns/hubs"), TokenError::WrongAudience);
        assert_eq!(check(&sign("sb://ns/hub", "root", "guess", now + HOUR), "sb://ns/hub"), TokenError::BadSignature);
        assert_eq!(check(&sign("sb://ns/hub", "who", "secret", now + HOUR), "sb://ns/hub"), TokenError::UnknownKey);
        assert_eq!(check(&sign("sb://ns/hub", "root", "secret", now - HOUR), "sb://ns/hub"), TokenError::Expired);
        assert_eq!(check(&good.replace("sr=", "sr=x"), "sb://ns/hub"), TokenError::BadSignature);
        let rotated = authority();
        assert!(rotated.replace_key("root", "new".to_owned()) && !rotated.replace_key("who", "new".to_owned()));
        assert_eq!(rotated.check(SAS, &good, "sb://ns/hub", now).unwrap_err(), TokenError::BadSignature);
        assert!(rotated.check(SAS, &sign("sb://ns/hub", "root", "new", now + HOUR), "sb://ns/hub", now).is_ok());
        assert_eq!(check("Bearer", "sb://ns/hub"), TokenError::Malformed);
        assert_eq!(authority().check("saml", "x", "hub", now).unwrap_err(), TokenError::UnknownType);
        assert_eq!(authority().check_security_token(&good, "other", now).unwrap_err(), TokenError::WrongAudience);
    }

    #[test]
    fn bearer_tokens_are_compared() {
        let now = SystemTime::now();
        assert!(authority().check(JWT, "a.b.c", "sb://ns/hub", now).is_ok());
        assert!(authority().check(JWT, "a.b.d", "sb://ns/hub", now).is_err());
        authority().check_security_token("a.b.c", "hub", now).unwrap();
    }
}
