//! One tuple: comma-separated fields, up to the quote that ends it.

use std::net::Ipv6Addr;

/// A counter that the tuple does not have.
pub(crate) const NONE: u64 = u64::MAX;

/// Which fields a tuple has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Flow logs of networks: `time,src,dst,sport,dport,protocol,direction,state,encryption` and four counters.
    Network,
    /// Flow logs of security groups: `time,src,dst,sport,dport,T|U,direction,A|D`, then in version 2 the state and four counters.
    Group,
}

/// An address as the tuple writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address<'t> {
    V4(u32),
    /// The number, and its text.
    V6(u128, &'t str),
}

/// What was decided about the flow, in the tuple's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    Denied,
    /// The state says.
    None,
}

/// A tuple. Text is borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuple<'t> {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) time: i64,
    pub(crate) source: Address<'t>,
    pub(crate) destination: Address<'t>,
    pub(crate) source_port: Option<u16>,
    pub(crate) destination_port: Option<u16>,
    pub(crate) protocol: u8,
    /// From the interface's point of view.
    pub(crate) outbound: bool,
    pub(crate) decision: Decision,
    /// `B`, `C`, `E`, `D` or something new; empty in version 1 of groups.
    pub(crate) state: &'t [u8],
    /// Empty where there is none.
    pub(crate) encryption: &'t [u8],
    /// Packets and bytes from source to destination, packets and bytes back; [`NONE`] where the tuple has none.
    pub(crate) counters: [u64; 4],
}

/// Which field is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Short,
    Time,
    Source,
    Destination,
    Port,
    Protocol,
    Direction,
    Decision,
    Word,
    Counter,
    Long,
}

impl Fault {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Short => "the tuple ends before its decision or state",
            Self::Time => "the tuple's time is no number of seconds or milliseconds",
            Self::Source => "the tuple's source is no address",
            Self::Destination => "the tuple's destination is no address",
            Self::Port => "a port of the tuple is no number up to 65535",
            Self::Protocol => "the tuple's protocol is no number up to 255, T or U",
            Self::Direction => "the tuple's direction is neither I nor O",
            Self::Decision => "the tuple's decision is neither A nor D",
            Self::Word => "the tuple's state or encryption is no short word",
            Self::Counter => "a counter of the tuple is no number",
            Self::Long => "the tuple has more than 13 fields",
        }
    }
}

/// Longest state or encryption.
const MAX_WORD: usize = 32;
/// Times by magnitude.
const SECONDS: std::ops::Range<u64> = 100_000_000..100_000_000_000;
const MILLISECONDS: std::ops::Range<u64> = 100_000_000_000..100_000_000_000_000;

struct Fields<'t> {
    rest: &'t [u8],
}

impl<'t> Fields<'t> {
    fn next(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn ended(&self) -> bool {
        matches!(self.next(), None | Some(b'"'))
    }

    /// The comma behind a field.
    fn comma(&mut self, fault: Fault) -> Result<(), Fault> {
        match self.rest.split_first() {
            Some((b',', rest)) => {
                self.rest = rest;
                Ok(())
            }
            None | Some((b'"', _)) => Err(Fault::Short),
            _ => Err(fault),
        }
    }

    /// The comma before another field; `false` at the end.
    fn more(&mut self, fault: Fault) -> Result<bool, Fault> {
        match self.rest.split_first() {
            Some((b',', rest)) => {
                self.rest = rest;
                Ok(true)
            }
            None | Some((b'"', _)) => Ok(false),
            _ => Err(fault),
        }
    }

    /// Digits, at least one, at most 19.
    fn number(&mut self) -> Option<u64> {
        let (mut number, mut count) = (0_u64, 0_u32);
        while let Some((byte, rest)) = self.rest.split_first() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            // Nineteen digits always fit.
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
            self.rest = rest;
        }
        (1..=19).contains(&count).then_some(number)
    }

    fn address(&mut self) -> Option<Address<'t>> {
        let start = self.rest;
        let mut all = 0_u32;
        for place in 0..4 {
            let (mut octet, mut count) = (0_u32, 0);
            while let Some((byte, rest)) = self.rest.split_first() {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 || count == 3 {
                    break;
                }
                // 010 is eight for some readers and ten for others: neither is taken.
                if count > 0 && octet == 0 {
                    return None;
                }
                (octet, count) = (octet * 10 + u32::from(digit), count + 1);
                self.rest = rest;
            }
            if count == 0 || octet > 255 || (place < 3 && self.next() != Some(b'.')) {
                return self.long_address(start);
            }
            if place < 3 {
                self.rest = self.rest.get(1..).unwrap_or_default();
            }
            all = all << 8 | octet;
        }
        Some(Address::V4(all))
    }

    #[cold]
    fn long_address(&mut self, start: &'t [u8]) -> Option<Address<'t>> {
        let end = start.iter().take(46).position(|byte| matches!(byte, b',' | b'"'))?;
        let (text, rest) = start.split_at_checked(end)?;
        let text = std::str::from_utf8(text).ok()?;
        let address: Ipv6Addr = text.parse().ok()?;
        self.rest = rest;
        Some(Address::V6(address.to_bits(), text))
    }

    fn port(&mut self) -> Result<Option<u16>, Fault> {
        if self.next() == Some(b',') {
            return Ok(None);
        }
        self.number().and_then(|number| u16::try_from(number).ok()).map(Some).ok_or(Fault::Port)
    }

    /// Letters, digits and underscores up to the comma or the end.
    fn word(&mut self) -> Result<&'t [u8], Fault> {
        let mut length = 0;
        while let Some(byte) = self.rest.get(length) {
            if !(byte.is_ascii_alphanumeric() || *byte == b'_') {
                break;
            }
            length += 1;
        }
        let (word, rest) = self.rest.split_at_checked(length).ok_or(Fault::Word)?;
        if length > MAX_WORD {
            return Err(Fault::Word);
        }
        self.rest = rest;
        Ok(word)
    }

    fn counters(&mut self) -> Result<[u64; 4], Fault> {
        let mut counters = [NONE; 4];
        for counter in &mut counters {
            if !self.more(Fault::Word)? {
                return Ok(counters);
            }
            if !matches!(self.next(), Some(b',' | b'"') | None) {
                // Half of what a column holds, so that their sum fits too.
                let number = self.number().filter(|number| *number <= i64::MAX as u64 / 2);
                *counter = number.ok_or(Fault::Counter)?;
            }
        }
        if self.ended() {
            return Ok(counters);
        }
        Err(if self.next() == Some(b',') { Fault::Long } else { Fault::Counter })
    }
}

/// Milliseconds of a number of seconds or milliseconds.
fn time(number: u64) -> Option<i64> {
    if MILLISECONDS.contains(&number) {
        return i64::try_from(number).ok();
    }
    if SECONDS.contains(&number) {
        return i64::try_from(number * 1_000).ok().filter(|time| *time >= 100_000_000_000);
    }
    None
}

/// Reads the tuple that `bytes` begin with, up to a quote or their end. Returns also how many bytes it has.
pub(crate) fn tuple(bytes: &[u8], form: Form) -> Result<(Tuple<'_>, usize), Fault> {
    let mut fields = Fields { rest: bytes };
    let time = fields.number().and_then(time).ok_or(Fault::Time)?;
    fields.comma(Fault::Time)?;
    let source = fields.address().ok_or(Fault::Source)?;
    fields.comma(Fault::Source)?;
    let destination = fields.address().ok_or(Fault::Destination)?;
    fields.comma(Fault::Destination)?;
    let source_port = fields.port()?;
    fields.comma(Fault::Port)?;
    let destination_port = fields.port()?;
    fields.comma(Fault::Port)?;
    let protocol = match (form, fields.next()) {
        (Form::Group, Some(letter @ (b'T' | b'U'))) => {
            fields.rest = fields.rest.get(1..).unwrap_or_default();
            if letter == b'T' { 6 } else { 17 }
        }
        _ => fields.number().and_then(|number| u8::try_from(number).ok()).ok_or(Fault::Protocol)?,
    };
    fields.comma(Fault::Protocol)?;
    let outbound = match fields.next() {
        Some(b'O') => true,
        Some(b'I') => false,
        None | Some(b'"') => return Err(Fault::Short),
        _ => return Err(Fault::Direction),
    };
    fields.rest = fields.rest.get(1..).unwrap_or_default();
    fields.comma(Fault::Direction)?;
    let (mut decision, mut state, mut encryption) = (Decision::None, &b""[..], &b""[..]);
    match form {
        Form::Network => {
            state = fields.word()?;
            if state.is_empty() {
                return Err(if fields.ended() { Fault::Short } else { Fault::Word });
            }
            if fields.more(Fault::Word)? {
                encryption = fields.word()?;
            }
        }
        Form::Group => {
            decision = match fields.next() {
                Some(b'A') => Decision::Allowed,
                Some(b'D') => Decision::Denied,
                None | Some(b'"') => return Err(Fault::Short),
                _ => return Err(Fault::Decision),
            };
            fields.rest = fields.rest.get(1..).unwrap_or_default();
            if fields.more(Fault::Decision)? {
                state = fields.word()?;
            }
        }
    }
    let counters = fields.counters()?;
    let tuple = Tuple {
        time,
        source,
        destination,
        source_port,
        destination_port,
        protocol,
        outbound,
        decision,
        state,
        encryption,
        counters,
    };
    Ok((tuple, bytes.len() - fields.rest.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn network(text: &str) -> Result<Tuple<'_>, Fault> {
        tuple(text.as_bytes(), Form::Network).map(|(tuple, length)| {
            assert_eq!(length, text.len());
            tuple
        })
    }

    fn group(text: &str) -> Result<Tuple<'_>, Fault> {
        tuple(text.as_bytes(), Form::Group).map(|(tuple, _)| tuple)
    }

    #[test]
    fn all_fields_of_a_networks_tuple() {
        let found =
            network("1767225600123,10.0.0.4,198.51.100.7,50000,443,6,O,C,NX_HW_NOT_SUPPORTED,1,64,2,128").unwrap();
        let expected = Tuple {
            time: 1_767_225_600_123,
            source: Address::V4(0x0a00_0004),
            destination: Address::V4(0xc633_6407),
            source_port: Some(50_000),
            destination_port: Some(443),
            protocol: 6,
            outbound: true,
            decision: Decision::None,
            state: b"C",
            encryption: b"NX_HW_NOT_SUPPORTED",
            counters: [1, 64, 2, 128],
        };
        assert_eq!(found, expected);
        assert_eq!(network("1767225600,10.0.0.4,198.51.100.7,,,1,I,D").unwrap().time, 1_767_225_600_000);
        let empty = network("1767225600123,2001:db8::1,::ffff:10.0.0.1,0,0,58,I,D,NX,,,,").unwrap();
        assert_eq!(empty.counters, [NONE; 4]);
        assert_eq!(empty.source, Address::V6(0x2001_0db8_0000_0000_0000_0000_0000_0001, "2001:db8::1"));
        assert_eq!(network("1767225600123,10.0.0.4,10.0.0.5,1,2,6,O,E,NX,5").unwrap().counters, [5, NONE, NONE, NONE]);
    }

    #[test]
    fn both_versions_of_groups() {
        let first = group("1487282421,192.0.2.95,10.1.0.4,51529,5358,T,I,D").unwrap();
        assert_eq!((first.protocol, first.decision, first.state), (6, Decision::Denied, &b""[..]));
        let second = group("1724090350,10.1.0.4,192.0.2.1,51236,443,U,O,A,B,,,,").unwrap();
        assert_eq!((second.protocol, second.decision, second.state), (17, Decision::Allowed, &b"B"[..]));
        assert_eq!(second.counters, [NONE; 4]);
        let third = group("1724090355,10.1.0.4,192.0.2.1,51236,443,T,O,A,E,9,4817,0,0").unwrap();
        assert_eq!(third.counters, [9, 4_817, 0, 0]);
    }

    #[test]
    fn each_fault_names_its_field() {
        for (text, fault) in [
            ("", Fault::Time),
            ("1767225600123", Fault::Short),
            ("99999999,10.0.0.4,10.0.0.5,1,2,6,O,C", Fault::Time),
            ("1767225600123000000000,10.0.0.4,10.0.0.5,1,2,6,O,C", Fault::Time),
            ("-1,10.0.0.4,10.0.0.5,1,2,6,O,C", Fault::Time),
            ("1767225600123,10.0.0.256,10.0.0.5,1,2,6,O,C", Fault::Source),
            ("1767225600123,10.0.0.04,10.0.0.5,1,2,6,O,C", Fault::Source),
            ("1767225600123,10.0.0,10.0.0.5,1,2,6,O,C", Fault::Source),
            ("1767225600123,fe80::1%eth0,10.0.0.5,1,2,6,O,C", Fault::Source),
            ("1767225600123,10.0.0.4,10.0.0.5.6,1,2,6,O,C", Fault::Destination),
            ("1767225600123,10.0.0.4,,1,2,6,O,C", Fault::Destination),
            ("1767225600123,10.0.0.4,10.0.0.5,65536,2,6,O,C", Fault::Port),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,256,O,C", Fault::Protocol),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,T,O,C", Fault::Protocol),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,6,X,C", Fault::Direction),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,6,O", Fault::Short),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,6,O,", Fault::Short),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,6,O,C,N X", Fault::Word),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,6,O,C,NX,x", Fault::Counter),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,6,O,C,NX,1,2,3,9223372036854775807", Fault::Counter),
            ("1767225600123,10.0.0.4,10.0.0.5,1,2,6,O,C,NX,1,2,3,4,5", Fault::Long),
        ] {
            assert_eq!(network(text), Err(fault), "{text}");
        }
        let long = format!("1767225600123,10.0.0.4,10.0.0.5,1,2,6,O,{}", "C".repeat(33));
        assert_eq!(network(&long), Err(Fault::Word));
        assert_eq!(group("1724090350,10.1.0.4,192.0.2.1,51236,443,T,O,X"), Err(Fault::Decision));
    }
}
