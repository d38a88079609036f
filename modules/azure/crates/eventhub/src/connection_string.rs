//! Connection strings, as the portal and the emulator hand them out.

use secrecy::SecretString;

/// A parsed Event Hubs connection string.
///
/// Keys may stand in any order and letter case, with white space around them; unknown keys are ignored.
/// `Debug` and errors never show a key or a signature.
#[derive(Debug, Clone)]
pub struct ConnectionString {
    /// Host name of the namespace, lower case; an IPv6 address stands without brackets.
    pub host: String,
    /// Port of the endpoint, if it names one.
    pub port: Option<u16>,
    /// The hub (`EntityPath`), if the string belongs to one hub.
    pub entity_path: Option<String>,
    /// How the client proves who it is.
    pub secret: ConnectionSecret,
    /// `UseDevelopmentEmulator=true`: plain AMQP without TLS.
    pub development_emulator: bool,
}

/// The secret part of a connection string.
#[derive(Debug, Clone)]
pub enum ConnectionSecret {
    /// A policy's key: tokens are signed with it and renewed.
    Key {
        /// Name of the shared access policy.
        name: String,
        /// Its key, used as it stands (not base64-decoded).
        key: SecretString,
    },
    /// A ready signature; it cannot be renewed.
    Signature(SecretString),
}

/// Why a text is no connection string. No variant carries a value from the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// There is nothing in it.
    #[error("the connection string is empty: copy it from the hub's or the namespace's shared access policies")]
    Empty,
    /// It still carries the placeholder of the deployment.
    #[error(
        "the connection string still says PLACEHOLDER: store the real one, for example the output of \
         `az eventhubs eventhub authorization-rule keys list --query primaryConnectionString`"
    )]
    Placeholder,
    /// A part has no `=`.
    #[error("part {number} of the connection string has no '=': parts look like Name=value, separated by ';'")]
    NotAPair {
        /// Which part, counted from 1.
        number: usize,
    },
    /// A needed key is missing or has no value.
    #[error("the connection string has no {key}: copy the whole string, it has {wanted}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What a whole string has.
        wanted: &'static str,
    },
    /// The endpoint is no address.
    #[error("the Endpoint of the connection string is no address: expected sb://name.servicebus.windows.net/")]
    Endpoint,
    /// Both a key and a signature are given.
    #[error("the connection string has both a SharedAccessKey and a SharedAccessSignature: keep one of them")]
    TwoSecrets,
}

const WHOLE: &str = "Endpoint, and either SharedAccessKeyName with SharedAccessKey or SharedAccessSignature";

impl ConnectionString {
    /// Parses a connection string. Never panics, whatever the text.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let text = text.trim().trim_matches('"').trim();
        if text.is_empty() {
            return Err(ConnectionStringError::Empty);
        }
        if text.to_ascii_uppercase().contains("PLACEHOLDER") {
            return Err(ConnectionStringError::Placeholder);
        }
        let mut endpoint = None;
        let mut name = None;
        let mut key = None;
        let mut signature = None;
        let mut entity_path = None;
        let mut development_emulator = false;
        for (index, part) in text.split(';').enumerate() {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let (label, value) =
                part.split_once('=').ok_or(ConnectionStringError::NotAPair { number: index.saturating_add(1) })?;
            let value = Some(value.trim()).filter(|value| !value.is_empty());
            match label.trim().to_ascii_lowercase().as_str() {
                "endpoint" => endpoint = value,
                "sharedaccesskeyname" => name = value,
                "sharedaccesskey" => key = value,
                "sharedaccesssignature" => signature = value,
                "entitypath" => entity_path = value,
                "usedevelopmentemulator" => {
                    development_emulator = value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
                }
                _ => {}
            }
        }
        let missing = |key| ConnectionStringError::Missing { key, wanted: WHOLE };
        let (host, port) = parse_endpoint(endpoint.ok_or(missing("Endpoint"))?)?;
        let secret = match (name, key, signature) {
            (_, Some(_), Some(_)) => return Err(ConnectionStringError::TwoSecrets),
            (_, None, Some(signature)) => ConnectionSecret::Signature(SecretString::from(signature)),
            (Some(name), Some(key), None) => {
                ConnectionSecret::Key { name: name.to_owned(), key: SecretString::from(key) }
            }
            (None, Some(_), None) => return Err(missing("SharedAccessKeyName")),
            (_, None, None) => return Err(missing("SharedAccessKey")),
        };
        let entity_path = entity_path.map(str::to_owned);
        Ok(Self { host, port, entity_path, secret, development_emulator })
    }
}

/// Host (lower case) and port of `scheme://host[:port][/…]`; the scheme may be absent.
fn parse_endpoint(endpoint: &str) -> Result<(String, Option<u16>), ConnectionStringError> {
    let bad = || ConnectionStringError::Endpoint;
    let authority = match endpoint.split_once("://") {
        Some((scheme, rest)) => {
            let known = ["sb", "amqp", "amqps", "https", "http", "wss", "ws"];
            if !known.iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
                return Err(bad());
            }
            rest
        }
        None => endpoint,
    };
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
        match rest {
            "" => (host, None),
            rest => (host, Some(rest.strip_prefix(':').ok_or_else(bad)?)),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let fits = !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if !fits {
            return Err(bad());
        }
        (host, port)
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(bad)?),
    };
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    const CANARY: &str = "c4n4ryKEYc4n4ry+/=";

    fn whole() -> String {
        format!(
            "Endpoint=sb://Contoso.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey={CANARY};EntityPath=defender"
        )
    }

    #[test]
    fn a_portal_string_is_taken_apart() {
        let parsed = ConnectionString::parse(&whole()).unwrap();
        assert_eq!(parsed.host, "contoso.servicebus.windows.net");
        assert_eq!((parsed.port, parsed.development_emulator), (None, false));
        assert_eq!(parsed.entity_path.as_deref(), Some("defender"));
        let ConnectionSecret::Key { name, key } = &parsed.secret else { panic!("a key") };
        assert_eq!((name.as_str(), key.expose_secret()), ("listen", CANARY));
        assert!(!format!("{parsed:?}").contains("c4n4ry"));
    }

    #[test]
    fn order_letter_case_white_space_quotes_and_unknown_keys_do_not_matter() {
        let text = format!(
            "\" sharedaccesskey = {CANARY} ; USEDEVELOPMENTEMULATOR=True;Future=1;; endpoint = sb://LOCALHOST:5999 ;SharedAccessKeyName=a \""
        );
        let parsed = ConnectionString::parse(&text).unwrap();
        assert_eq!((parsed.host.as_str(), parsed.port), ("localhost", Some(5999)));
        assert!(parsed.development_emulator);
        assert_eq!(parsed.entity_path, None);
    }

    #[test]
    fn a_signature_is_kept_whole() {
        let text = "Endpoint=sb://[::1]:5672;SharedAccessSignature=SharedAccessSignature sr=a&sig=c4n4ry%3d&se=1&skn=n";
        let parsed = ConnectionString::parse(text).unwrap();
        assert_eq!((parsed.host.as_str(), parsed.port), ("::1", Some(5672)));
        let ConnectionSecret::Signature(signature) = &parsed.secret else { panic!("a signature") };
        assert_eq!(signature.expose_secret(), "SharedAccessSignature sr=a&sig=c4n4ry%3d&se=1&skn=n");
    }

    #[test]
    fn what_is_wrong_is_said_and_the_secret_is_not() {
        let key = CANARY;
        for (text, want) in [
            (String::new(), "is empty"),
            ("PLACEHOLDER".into(), "az eventhubs"),
            (format!("Endpoint=sb://placeholder/;SharedAccessKeyName=a;SharedAccessKey={key}"), "PLACEHOLDER"),
            (format!("Endpoint=sb://a/;SharedAccessKey={key}"), "no SharedAccessKeyName"),
            ("Endpoint=sb://a/;SharedAccessKeyName=c4n4ry".into(), "no SharedAccessKey:"),
            (format!("SharedAccessKeyName=a;SharedAccessKey={key}"), "no Endpoint"),
            (format!("Endpoint=sb:///;SharedAccessKeyName=a;SharedAccessKey={key}"), "is no address"),
            (format!("Endpoint=ftp://a/;SharedAccessKeyName=a;SharedAccessKey={key}"), "is no address"),
            (format!("Endpoint=sb://a:99999/;SharedAccessKeyName=a;SharedAccessKey={key}"), "is no address"),
            (format!("Endpoint=sb://a/;{}", "c4n4ry"), "part 2"),
            (format!("Endpoint=sb://a/;SharedAccessKey={key};SharedAccessSignature=c4n4ry"), "keep one"),
        ] {
            let error = ConnectionString::parse(&text).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(want), "{text}: {shown}");
            assert!(!shown.contains("c4n4ry"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".*") {
            let _ = ConnectionString::parse(&text);
        }

        #[test]
        fn any_endpoint_is_parsed_or_refused(endpoint in "[a-z:/\\[\\]0-9é ]*") {
            let _ = ConnectionString::parse(&format!("Endpoint={endpoint};SharedAccessKeyName=a;SharedAccessKey=b"));
        }
    }
}
