//! Requests signed with a storage account's key: for stores on this machine, which know no Entra.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The value of `Authorization`, or `None` when the key is no base64. `headers` are those that begin with `x-ms-`, lower
/// case and sorted.
pub(crate) fn authorization(
    account: &str,
    key: &SecretString,
    method: &str,
    url: &Url,
    length: usize,
    if_match: &str,
    headers: &[(&str, String)],
) -> Option<SecretString> {
    let length = if length == 0 { String::new() } else { length.to_string() };
    // Encoding, language, length, MD5, type, date, if-modified-since, if-match, if-none-match, if-unmodified-since, range.
    let mut text = format!("{method}\n\n\n{length}\n\n\n\n\n{if_match}\n\n\n\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("/{account}{}", url.path()));
    let mut query: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
    query.sort();
    for (name, value) in query {
        text.push_str(&format!("\n{name}:{value}"));
    }
    let key = STANDARD.decode(key.expose_secret()).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(text.as_bytes());
    Some(format!("SharedKey {account}:{}", STANDARD.encode(mac.finalize().into_bytes())).into())
}
