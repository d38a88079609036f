//! Names that settings and secrets give: namespaces, hubs, tenants, applications.

use std::net::IpAddr;

use tributary_azure_eventhub::ConnectionString;

/// Where a namespace is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddress {
    /// Its host name, lower case.
    pub host: String,
    /// Its port, if it is not the transport's own.
    pub port: Option<u16>,
    /// Whether it speaks TLS; only a hub on this machine need not.
    pub tls: bool,
}

impl HubAddress {
    /// `contoso` (in Azure's public cloud), `contoso.servicebus.windows.net`, or a URL: `sb://…`, `amqps://host:port`;
    /// `amqp://127.0.0.1:5672` is a hub on this machine without TLS.
    ///
    /// # Errors
    /// What is wrong, without the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "is no namespace: write its name or its host name, such as contoso.servicebus.windows.net";
        let (scheme, rest) = text.trim().split_once("://").unwrap_or(("sb", text.trim()));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "sb" | "amqps" => true,
            "amqp" => false,
            _ => return Err(WRONG),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or(WRONG)?)),
            None => (authority, None),
        };
        let fits = (1..=253).contains(&host.len())
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
        if !fits {
            return Err(WRONG);
        }
        let local = host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !tls && !local {
            return Err("is plain amqp:// and not on this machine: a token would travel in the clear, write amqps://");
        }
        let mut host = host.to_ascii_lowercase();
        if !host.contains('.') && !local {
            host.push_str(".servicebus.windows.net");
        }
        Ok(Self { host, port, tls })
    }

    /// That of a connection string.
    pub fn of(connection: &ConnectionString) -> Self {
        Self { host: connection.host.clone(), port: connection.port, tls: !connection.development_emulator }
    }
}

/// A hub's or a consumer group's name.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let fits = (1..=260).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'-' | b'_' | b'.' | b'~'));
    if fits { Ok(()) } else { Err("is no name: letters, digits and '$', '-', '_', '.', '~' are possible") }
}

/// A tenant's id or domain: it becomes part of a URL's path.
pub(crate) fn check_tenant(tenant: &str) -> Result<(), &'static str> {
    let fits = (1..=253).contains(&tenant.len())
        && tenant
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    if fits { Ok(()) } else { Err("is no tenant: write its GUID, or a domain of it") }
}

/// An application's id.
pub(crate) fn check_client(client: &str) -> Result<(), &'static str> {
    let lengths = client.split('-').map(str::len);
    let fits = lengths.eq([8, 4, 4, 4, 12]) && client.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if fits { Ok(()) } else { Err("is no application's (client) id: write its GUID") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_in_every_spelling() {
        let parsed = |text| HubAddress::parse(text).map(|address| (address.host, address.port, address.tls));
        let host = || "contoso.servicebus.windows.net".to_owned();
        for text in ["contoso", "Contoso.ServiceBus.windows.net", "sb://contoso.servicebus.windows.net/"] {
            assert_eq!(parsed(text), Ok((host(), None, true)), "{text}");
        }
        assert_eq!(parsed("amqps://contoso:5671"), Ok((host(), Some(5671), true)));
        assert_eq!(parsed("amqp://127.0.0.1:7000"), Ok(("127.0.0.1".to_owned(), Some(7000), false)));
        assert_eq!(parsed("amqp://localhost"), Ok(("localhost".to_owned(), None, false)));
        for text in
            ["", "a b", "https://contoso", "contoso/hub", "contoso:x", "contoso:0", "u@contoso", "amqp://contoso"]
        {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tenants_and_applications() {
        for tenant in ["11111111-2222-3333-4444-555555555555", "contoso.onmicrosoft.com", "common"] {
            assert!(check_tenant(tenant).is_ok(), "{tenant}");
        }
        for tenant in ["", "a/b", "..", "a..b", "a?b", "a b", "a%2e"] {
            assert!(check_tenant(tenant).is_err(), "{tenant}");
        }
        assert!(check_client("aaaaaaaa-2222-3333-4444-55555555555F").is_ok());
        for client in ["", "app", "11111111-2222-3333-4444-55555555555", "11111111-2222-3333-4444-55555555555g"] {
            assert!(check_client(client).is_err(), "{client}");
        }
    }
}
