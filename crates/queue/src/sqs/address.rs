//! How a queue is named.

use std::fmt;
use std::str::FromStr;

/// Most characters of a queue's name.
const MAX_NAME: usize = 80;

/// A text that names no queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSqsAddress {
    /// The text is none.
    #[error("{0:?} names no queue: write its URL (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME), its ARN or its name")]
    Invalid(String),
    /// The queue keeps an order, which is paid for and needed by nobody here.
    #[error("{0:?} is a FIFO queue: make a standard one")]
    Fifo(String),
}

/// A queue by its URL, its ARN, or its name in the account and region of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsAddress {
    text: String,
    name: String,
    region: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Url,
    Arn { account: String },
    Name,
}

impl FromStr for SqsAddress {
    type Err = InvalidSqsAddress;

    fn from_str(text: &str) -> Result<Self, InvalidSqsAddress> {
        let invalid = || InvalidSqsAddress::Invalid(text.chars().take(200).collect());
        let url = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let (kind, name, region) = match (url, text.strip_prefix("arn:")) {
            (Some(rest), _) => {
                let (host, path) = rest.split_once('/').ok_or_else(invalid)?;
                let (account, name) = path.rsplit_once('/').ok_or_else(invalid)?;
                if host.is_empty() || account.is_empty() || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(invalid());
                }
                (Kind::Url, name, region_of(host))
            }
            (None, Some(rest)) => {
                let mut parts = rest.split(':').skip(1);
                let (service, region) = (parts.next(), parts.next().unwrap_or_default());
                let (account, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                if service != Some("sqs") || region.is_empty() || account.is_empty() || parts.next().is_some() {
                    return Err(invalid());
                }
                (Kind::Arn { account: account.to_owned() }, name, Some(region.to_owned()))
            }
            (None, None) => (Kind::Name, text, None),
        };
        if name.strip_suffix(".fifo").is_some_and(is_name) {
            return Err(InvalidSqsAddress::Fifo(name.to_owned()));
        }
        if !is_name(name) {
            return Err(invalid());
        }
        Ok(Self { text: text.to_owned(), name: name.to_owned(), region, kind })
    }
}

impl fmt::Display for SqsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl SqsAddress {
    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The region that the address names; a request to another one would not find the queue.
    pub(super) fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The URL, where the address is one.
    pub(super) fn url(&self) -> Option<&str> {
        (self.kind == Kind::Url).then_some(&self.text)
    }

    /// The account, where the address is an ARN.
    pub(super) fn account(&self) -> Option<&str> {
        match &self.kind {
            Kind::Arn { account } => Some(account),
            _ => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

/// `sqs.eu-west-1.amazonaws.com` is in `eu-west-1`; other hosts say nothing.
fn region_of(host: &str) -> Option<String> {
    let (region, domain) = host.strip_prefix("sqs.")?.split_once('.')?;
    ["amazonaws.com", "amazonaws.com.cn"].contains(&domain).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_in_three_ways() {
        for (text, name, region, url) in [
            ("https://sqs.eu-west-1.amazonaws.com/123456789012/events", "events", Some("eu-west-1"), true),
            ("http://127.0.0.1:4566/000000000000/events", "events", None, true),
            ("arn:aws:sqs:eu-central-1:123456789012:a_b-C", "a_b-C", Some("eu-central-1"), false),
            ("events", "events", None, false),
        ] {
            let address: SqsAddress = text.parse().unwrap();
            assert_eq!((address.name(), address.region(), address.url().is_some()), (name, region, url), "{text}");
            assert_eq!(address.to_string(), text);
        }
        let long = "a".repeat(81);
        for text in [
            "",
            "a b",
            &long,
            "https://",
            "https://host",
            "https://host/name",
            "https://host/1/a b",
            "https:///1/a",
            "arn:aws:sqs:r:1",
            "arn:aws:sns:r:1:a",
            "arn:aws:sqs:r:1:a:b",
        ] {
            let error = text.parse::<SqsAddress>().unwrap_err();
            assert!(error.to_string().contains("its URL"), "{text}: {error}");
        }
        let fifo = "https://sqs.eu-west-1.amazonaws.com/1/a.fifo".parse::<SqsAddress>();
        assert_eq!(fifo, Err(InvalidSqsAddress::Fifo("a.fifo".into())));
    }
}
