//! Who the client is: a policy's key, a ready signature, or a provider of tokens.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::connection_string::ConnectionSecret;

/// How long a token that this client signs stays valid.
pub const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// What kind of token it is: the `type` of a put-token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A shared access signature.
    Sas,
    /// A JSON web token of an identity provider.
    Jwt,
}

impl TokenKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sas => "servicebus.windows.net:sastoken",
            Self::Jwt => "jwt",
        }
    }
}

/// A token with its expiry. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token's text.
    pub secret: SecretString,
    /// What kind it is.
    pub kind: TokenKind,
    /// When it expires; `None` when it does not say.
    pub expires_at: Option<SystemTime>,
}

/// Why no token could be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// Worth another attempt.
    #[error("{0}")]
    Transient(String),
    /// The identity is refused, or may not have what a token takes: a person must act; the text says what to do.
    #[error("{0}")]
    Denied(String),
    /// A person must act; the text says what to do.
    #[error("{0}")]
    Fatal(String),
}

/// Gives tokens, for example of an identity provider. The client keeps a token until three quarters of its life
/// are over, then asks for the next.
#[async_trait]
pub trait TokenProvider: Send + Sync {
    /// A token that is valid now for `audience` (`amqps://{namespace}/{hub}`; a provider of
    /// [`TokenKind::Jwt`] tokens ignores it, their scope is the service).
    async fn token(&self, audience: &str) -> Result<Token, TokenError>;

    /// The service refused `token`. Whether [`token`](Self::token) gives another one from now on, for example because the
    /// key was rotated: then the client asks again and tries once more, else the refusal is final.
    ///
    /// The default has no other.
    async fn rejected(&self, token: &Token) -> bool {
        let _ = token;
        false
    }
}

/// The client's credential. `Debug` shows its kind only.
#[derive(Clone)]
pub enum Credential {
    /// A shared access policy's key: tokens are signed here and renewed.
    Key {
        /// Name of the policy.
        name: String,
        /// Its key, as the portal shows it.
        key: SecretString,
        /// How long each token lives.
        lifetime: Duration,
    },
    /// A ready shared access signature; the source fails when it expires.
    Signature(SecretString),
    /// Tokens from elsewhere.
    Provider(Arc<dyn TokenProvider>),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { name, .. } => write!(f, "Credential::Key({name:?})"),
            Self::Signature(_) => f.write_str("Credential::Signature"),
            Self::Provider(_) => f.write_str("Credential::Provider"),
        }
    }
}

impl From<ConnectionSecret> for Credential {
    fn from(secret: ConnectionSecret) -> Self {
        match secret {
            ConnectionSecret::Key { name, key } => Self::Key { name, key, lifetime: DEFAULT_TOKEN_LIFETIME },
            ConnectionSecret::Signature(signature) => Self::Signature(signature),
        }
    }
}

impl Credential {
    /// A token for `audience`, valid from `now`.
    ///
    /// # Errors
    /// The signature has expired, the key is none, or the provider has no token.
    pub async fn token(&self, audience: &str, now: SystemTime) -> Result<Token, TokenError> {
        match self {
            Self::Key { name, key, lifetime } => {
                let expires_at = now.checked_add(*lifetime).unwrap_or(now);
                let seconds = expires_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                Ok(Token {
                    secret: sign(audience, name, key, seconds)?,
                    kind: TokenKind::Sas,
                    expires_at: Some(UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(expires_at)),
                })
            }
            Self::Signature(signature) => {
                let expires_at = signature_expiry(signature.expose_secret());
                if expires_at.is_some_and(|expires_at| expires_at <= now) {
                    return Err(TokenError::Fatal(
                        "the shared access signature has expired and cannot be renewed: store a new one, or the policy's key"
                            .into(),
                    ));
                }
                Ok(Token { secret: signature.clone(), kind: TokenKind::Sas, expires_at })
            }
            Self::Provider(provider) => provider.token(audience).await,
        }
    }

    /// The service refused `token`: whether there is another one.
    pub(crate) async fn rejected(&self, token: &Token) -> bool {
        match self {
            Self::Provider(provider) => provider.rejected(token).await,
            Self::Key { .. } | Self::Signature(_) => false,
        }
    }
}

/// `SharedAccessSignature sr=…&sig=…&se=…&skn=…` for `audience`, valid until `expires` (Unix seconds).
fn sign(audience: &str, name: &str, key: &SecretString, expires: u64) -> Result<SecretString, TokenError> {
    // The service compares the resource in lower case; other clients send it so.
    let resource = percent_encode(&audience.to_lowercase()).to_ascii_lowercase();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
        .map_err(|_| TokenError::Fatal("the shared access key cannot be used as a key: copy it again".into()))?;
    mac.update(format!("{resource}\n{expires}").as_bytes());
    let signature = percent_encode(&STANDARD.encode(mac.finalize().into_bytes()));
    let name = percent_encode(name);
    Ok(SecretString::from(format!("SharedAccessSignature sr={resource}&sig={signature}&se={expires}&skn={name}")))
}

/// The `se` of a signature, if it has one.
fn signature_expiry(signature: &str) -> Option<SystemTime> {
    let seconds = signature.split(['&', ' ']).find_map(|part| part.strip_prefix("se="))?.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_signature_is_what_another_implementation_signs() {
        // Computed with Python's hmac, hashlib and urllib over the same resource, key and expiry.
        let credential = Credential::Key {
            name: "listen".into(),
            key: SecretString::from("MyKey+/="),
            lifetime: Duration::from_secs(3600),
        };
        let audience = "amqps://contoso.servicebus.windows.net/Defender";
        let token = credential.token(audience, at(1_767_222_000)).await.unwrap();
        assert_eq!(
            token.secret.expose_secret(),
            "SharedAccessSignature sr=amqps%3a%2f%2fcontoso.servicebus.windows.net%2fdefender\
             &sig=U2hgXm1VUqVFbBfKVd40eksbC5zNmtClRmg7xGlqQHU%3D&se=1767225600&skn=listen"
        );
        assert_eq!(token.expires_at, Some(at(1_767_225_600)));
        assert!(!format!("{token:?} {credential:?}").contains("MyKey"));
    }

    #[tokio::test]
    async fn a_ready_signature_is_refused_once_it_has_expired() {
        let text = "SharedAccessSignature sr=a&sig=c4n4ry&se=1000&skn=n";
        let credential = Credential::Signature(SecretString::from(text));
        let token = credential.token("ignored", at(999)).await.unwrap();
        assert_eq!((token.secret.expose_secret(), token.expires_at), (text, Some(at(1000))));
        let error = credential.token("ignored", at(1000)).await.unwrap_err();
        assert!(matches!(&error, TokenError::Fatal(text) if text.contains("store a new one")));
        assert!(!format!("{error:?} {credential:?}").contains("c4n4ry"));
    }
}
