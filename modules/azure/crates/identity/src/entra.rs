//! Asking Microsoft Entra for a token: OAuth 2.0 client credentials.

use std::time::{Duration, SystemTime};

use reqwest::{Certificate, Client, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tributary_azure_eventhub::Roots;
use tributary_telemetry::line::{one_line, with_causes};

use crate::evidence::{Evidence, Proof};
use crate::refusal::{EntraError, refusal};
use crate::tokens::{AccessToken, Scope};

/// Longest text of a transport's error that is passed on, in characters.
const MAX_DETAIL: usize = 300;

/// The authority of Azure's public cloud.
pub const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";
/// Names another one.
pub(crate) const AUTHORITY_VARIABLE: &str = "AZURE_AUTHORITY_HOST";

const CONNECT: Duration = Duration::from_secs(3);
/// Longest that one request may take, its answer included.
const WHOLE: Duration = Duration::from_secs(8);
/// An answer has a few kibibytes.
const MAX_ANSWER: usize = 64 * 1024;
/// No token lives longer: what says so is cut.
const LONGEST_LIFE: u64 = 7 * 24 * 3600;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Why an authority cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// It is no address that a secret may be sent to.
    #[error("{AUTHORITY_VARIABLE}: {0:?} is no authority: write https://host, such as {PUBLIC_AUTHORITY}")]
    Address(String),
    /// TLS cannot be set up.
    #[error("TLS for Microsoft Entra cannot be set up: {0}: check the trusted roots (SSL_CERT_FILE)")]
    Tls(String),
}

/// Microsoft Entra, or what stands in for it. Redirects are not followed; only https, or a server on this machine, is asked.
#[derive(Debug, Clone)]
pub struct Entra {
    authority: Url,
    http: Client,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token_type: String,
    access_token: String,
    expires_in: u64,
}

impl Entra {
    /// The authority that `AZURE_AUTHORITY_HOST` names, else that of Azure's public cloud.
    ///
    /// # Errors
    /// What it names is neither https nor on this machine, or TLS cannot be set up.
    pub fn from_environment() -> Result<Self, AuthorityError> {
        let named = std::env::var(AUTHORITY_VARIABLE).ok().filter(|named| !named.trim().is_empty());
        Self::new(named.as_deref().unwrap_or(PUBLIC_AUTHORITY), &Roots::Native)
    }

    /// The authority at `address` (a host name, or a URL), trusting `roots`.
    ///
    /// # Errors
    /// As [`Self::from_environment`].
    pub fn new(address: &str, roots: &Roots) -> Result<Self, AuthorityError> {
        Self::bounded(address, roots, WHOLE)
    }

    fn bounded(address: &str, roots: &Roots, whole: Duration) -> Result<Self, AuthorityError> {
        let wrong = || AuthorityError::Address(address.chars().take(100).collect());
        let address = address.trim().trim_end_matches('/');
        let text = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
        tributary_aws::checked_endpoint(AUTHORITY_VARIABLE, &text).map_err(|_| wrong())?;
        let authority = Url::parse(&text).map_err(|_| wrong())?;
        let bare = authority.username().is_empty() && authority.password().is_none();
        if !bare || authority.query().is_some() || authority.fragment().is_some() || authority.host_str().is_none() {
            return Err(wrong());
        }
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(whole)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")));
        builder = match authority.scheme() {
            "https" => builder.https_only(true),
            // A proxy would be another machine, and this is in the clear.
            _ => builder.no_proxy(),
        };
        let tls = |error: reqwest::Error| AuthorityError::Tls(one_line(&with_causes(&error), MAX_DETAIL));
        if let Roots::Only(certificates) = roots {
            let certificates: Result<Vec<_>, _> = certificates.iter().map(|der| Certificate::from_der(der)).collect();
            builder = builder.tls_certs_only(certificates.map_err(tls)?);
        }
        Ok(Self { authority, http: builder.build().map_err(tls)? })
    }

    /// Asks once.
    pub(crate) async fn token(&self, evidence: &Evidence, scope: &Scope) -> Result<AccessToken, EntraError> {
        let mut url = self.authority.clone();
        url.path_segments_mut()
            .map_err(|()| EntraError::fatal("the authority cannot have a path"))?
            .pop_if_empty()
            .extend([&evidence.tenant, "oauth2", "v2.0", "token"]);
        let asked_at = SystemTime::now();
        let sending = self
            .http
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form(evidence, scope))
            .send();
        let mut response = sending.await.map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
                return Err(EntraError::fatal(format!(
                    "{} answered more than {MAX_ANSWER} bytes: is AZURE_AUTHORITY_HOST right?",
                    self.host()
                )));
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            200 => accepted(&body, asked_at).ok_or_else(|| refusal(status, b"", evidence, scope)),
            300..400 => Err(EntraError::fatal(format!(
                "{} sends elsewhere ({status}), which is not followed: is AZURE_AUTHORITY_HOST right?",
                self.host()
            ))),
            _ => Err(refusal(status, &body, evidence, scope)),
        }
    }

    fn host(&self) -> &str {
        self.authority.host_str().unwrap_or_default()
    }

    fn unreachable(&self, error: reqwest::Error) -> EntraError {
        let error = error.without_url();
        match certificate(&error) {
            Some(reason) => EntraError::fatal(format!(
                "the certificate of {} is refused ({reason}): check the trusted roots (SSL_CERT_FILE), and that no proxy \
                 intercepts TLS",
                self.host()
            )),
            None => EntraError::transient(format!(
                "{} cannot be reached: {}: check DNS, and that port {} is open to it",
                self.host(),
                one_line(&with_causes(&error), MAX_DETAIL),
                self.authority.port_or_known_default().unwrap_or(443)
            )),
        }
    }
}

/// The request's body. A `Url` knows how to write forms.
fn form(evidence: &Evidence, scope: &Scope) -> String {
    let secret = evidence.secret.expose_secret();
    let mut form =
        vec![("client_id", evidence.client.as_str()), ("scope", scope.as_str()), ("grant_type", "client_credentials")];
    match evidence.proof {
        Proof::Stored { .. } => form.push(("client_secret", secret)),
        Proof::Assertion => form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", secret)]),
    }
    Url::parse_with_params("form:", form).ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

fn accepted(body: &[u8], asked_at: SystemTime) -> Option<AccessToken> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = answer.access_token;
    let visible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let life = Duration::from_secs(answer.expires_in.min(LONGEST_LIFE));
    if !visible || life.is_zero() || !answer.token_type.eq_ignore_ascii_case("bearer") {
        return None;
    }
    // Counted from before it was asked for: never longer than it is.
    let expires_at = asked_at.checked_add(life)?;
    Some(AccessToken { secret: SecretString::from(token), issued_at: asked_at, expires_at })
}

/// The reason for which a certificate is refused, if that is why.
fn certificate(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = match inner {
            Some(inner) => inner.downcast_ref::<rustls::Error>(),
            None => error.downcast_ref::<rustls::Error>(),
        };
        if let Some(rustls::Error::InvalidCertificate(reason)) = tls {
            return Some(reason.to_string());
        }
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_sent_to_https_or_to_this_machine_only() {
        for address in
            ["login.microsoftonline.us", "https://login.microsoftonline.com/", "http://127.0.0.1:9", "http://[::1]:9/x"]
        {
            assert!(Entra::new(address, &Roots::Native).is_ok(), "{address}");
        }
        for address in [
            "",
            "http://login.microsoftonline.com",
            "ftp://127.0.0.1",
            "https://u:p@host",
            "https://h/?a=b",
            "https://h#f",
        ] {
            let error = Entra::new(address, &Roots::Native).unwrap_err();
            assert!(error.to_string().contains("AZURE_AUTHORITY_HOST"), "{error}");
        }
    }

    fn evidence(proof: Proof, secret: &str) -> Evidence {
        let secret = SecretString::from(secret);
        Evidence { tenant: "t".into(), client: "c".into(), secret, proof, version: None }
    }

    #[tokio::test]
    async fn a_server_that_never_ends_its_answer_is_left() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for first in ["", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"access_token\":"] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            let serving = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                stream.write_all(first.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            });
            let entra = Entra::bounded(&address, &Roots::Native, Duration::from_millis(300)).unwrap();
            let evidence = evidence(Proof::Assertion, "c4n4ry");
            let asking = entra.token(&evidence, &Scope::STORAGE);
            let error = tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap().unwrap_err();
            assert!(error.transient && !error.to_string().contains("c4n4ry"), "{error}");
            serving.abort();
        }
    }

    #[test]
    fn forms_are_encoded() {
        let scope = Scope::new("https://s/.default");
        let stored = Proof::Stored { secret: "s".into() };
        assert_eq!(
            form(&evidence(stored, "a&b=c+d é%"), &scope),
            "client_id=c&scope=https%3A%2F%2Fs%2F.default&grant_type=client_credentials&client_secret=a%26b%3Dc%2Bd+%C3%A9%25"
        );
        let form = form(&evidence(Proof::Assertion, "h.p.s"), &scope);
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        assert!(form.ends_with(&format!("&client_assertion_type={kind}&client_assertion=h.p.s")), "{form}");
    }

    #[test]
    fn only_what_is_a_token_is_one() {
        let now = SystemTime::now();
        let token = accepted(br#"{"token_type":"Bearer","expires_in":3599,"access_token":"c4n4ry.b.c"}"#, now).unwrap();
        assert_eq!(token.expires_at, now + Duration::from_secs(3599));
        assert!(!format!("{token:?}").contains("c4n4ry"));
        for body in [
            r#"{"token_type":"Bearer","expires_in":0,"access_token":"a"}"#,
            r#"{"token_type":"Bearer","expires_in":3599,"access_token":""}"#,
            r#"{"token_type":"Bearer","expires_in":3599,"access_token":"a\nb"}"#,
            r#"{"token_type":"pop","expires_in":3599,"access_token":"a"}"#,
            r#"{"token_type":"Bearer","expires_in":-1,"access_token":"a"}"#,
            r#"{"token_type":"Bearer","access_token":"a"}"#,
            "[]",
            "",
        ] {
            assert!(accepted(body.as_bytes(), now).is_none(), "{body}");
        }
        let eternal =
            accepted(br#"{"token_type":"bearer","expires_in":18446744073709551615,"access_token":"a"}"#, now).unwrap();
        assert_eq!(eternal.expires_at, now + Duration::from_secs(LONGEST_LIFE));
    }
}
