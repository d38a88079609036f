//! The different addresses of many tuples.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::parse::tuple::Address;

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The machine itself.
    Loopback,
    /// Private, shared or link-local: no address of the internet.
    Private,
    Global,
}

#[derive(Debug, Clone)]
enum Entry {
    V4(u32),
    V6(Box<str>),
}

/// Gives every address a code, in the order of their coming.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    entries: Vec<Entry>,
    reaches: Vec<Reach>,
    /// Open addressing: the code plus one above the address; 0 is free. Its length is a power of two.
    slots: Vec<u64>,
    others: HashMap<Box<str>, u32>,
}

const FIRST_SLOTS: usize = 1_024;

impl Addresses {
    pub(crate) fn code(&mut self, address: Address<'_>) -> u32 {
        match address {
            Address::V4(number) => self.short(number),
            Address::V6(number, text) => self.long(number, text),
        }
    }

    fn short(&mut self, number: u32) -> u32 {
        if self.entries.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = place(number) & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                // Fewer than 2^32: a record's tuples are bounded.
                let code = u32::try_from(self.entries.len()).unwrap_or(u32::MAX - 1);
                *slot = u64::from(code + 1) << 32 | u64::from(number);
                self.entries.push(Entry::V4(number));
                self.reaches.push(reach_v4(Ipv4Addr::from_bits(number)));
                return code;
            }
            if *slot as u32 == number {
                return (*slot >> 32) as u32 - 1;
            }
            at = (at + 1) & mask;
        }
        0
    }

    #[cold]
    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(FIRST_SLOTS);
        let mut slots = vec![0_u64; length];
        for slot in self.slots.iter().filter(|slot| **slot != 0) {
            let mut at = place(*slot as u32) & (length - 1);
            while slots.get(at).is_some_and(|taken| *taken != 0) {
                at = (at + 1) & (length - 1);
            }
            if let Some(free) = slots.get_mut(at) {
                *free = *slot;
            }
        }
        self.slots = slots;
    }

    #[cold]
    fn long(&mut self, number: u128, text: &str) -> u32 {
        if let Some(code) = self.others.get(text) {
            return *code;
        }
        let code = u32::try_from(self.entries.len()).unwrap_or(u32::MAX - 1);
        self.entries.push(Entry::V6(text.into()));
        self.reaches.push(reach_v6(Ipv6Addr::from_bits(number)));
        self.others.insert(text.into(), code);
        code
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn reach(&self, code: u32) -> Reach {
        self.reaches.get(code as usize).copied().unwrap_or(Reach::Global)
    }

    /// 4 or 6.
    pub(crate) fn version(&self, code: u32) -> u8 {
        match self.entries.get(code as usize) {
            Some(Entry::V6(_)) => 6,
            _ => 4,
        }
    }

    /// Appends an address as text.
    pub(crate) fn write(&self, code: u32, out: &mut Vec<u8>) {
        match self.entries.get(code as usize) {
            Some(Entry::V4(number)) => write_v4(*number, out),
            Some(Entry::V6(text)) => out.extend_from_slice(text.as_bytes()),
            None => {}
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Fibonacci hashing: neighbouring addresses spread.
fn place(number: u32) -> usize {
    (u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

/// An octet's digits and a dot behind them, and their length.
const OCTETS: [([u8; 4], u8); 256] = octets();

// Constants are evaluated by the compiler: an index out of bounds would not build.
#[allow(clippy::indexing_slicing)]
const fn octets() -> [([u8; 4], u8); 256] {
    let mut all = [([0; 4], 0); 256];
    let mut octet = 0;
    while octet < 256 {
        let (hundreds, tens, ones) = ((octet / 100) as u8, (octet / 10 % 10) as u8, (octet % 10) as u8);
        all[octet] = if octet >= 100 {
            ([b'0' + hundreds, b'0' + tens, b'0' + ones, b'.'], 4)
        } else if octet >= 10 {
            ([b'0' + tens, b'0' + ones, b'.', 0], 3)
        } else {
            ([b'0' + ones, b'.', 0, 0], 2)
        };
        octet += 1;
    }
    all
}

fn write_v4(number: u32, out: &mut Vec<u8>) {
    let mut text = [0_u8; 16];
    let mut length = 0;
    for octet in number.to_be_bytes() {
        let (digits, count) = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
        // What is too much is written over by the next one.
        if let Some(slot) = text.get_mut(length..length + 4) {
            slot.copy_from_slice(&digits);
        }
        length += usize::from(count);
    }
    // Without the last dot.
    out.extend_from_slice(text.get(..length - 1).unwrap_or_default());
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    if address.is_loopback() {
        Reach::Loopback
    } else if address.is_private() || address.is_link_local() || address.is_broadcast() || shared {
        Reach::Private
    } else {
        Reach::Global
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return reach_v4(mapped);
    }
    if address.is_loopback() {
        Reach::Loopback
    } else if address.is_unique_local() || address.is_unicast_link_local() {
        Reach::Private
    } else {
        Reach::Global
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(addresses: &Addresses, code: u32) -> String {
        let mut out = Vec::new();
        addresses.write(code, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn many_addresses_each_its_code() {
        let mut addresses = Addresses::default();
        for round in 0..2 {
            for number in 0..5_000_u32 {
                let address = number.wrapping_mul(2_654_435_761);
                assert_eq!(addresses.code(Address::V4(address)), number, "{round}");
            }
        }
        assert_eq!(text(&addresses, 3), Ipv4Addr::from_bits(3_u32.wrapping_mul(2_654_435_761)).to_string());
        let six = Address::V6(1, "0::1");
        assert_eq!((addresses.code(six), addresses.code(six)), (5_000, 5_000));
        assert_eq!(text(&addresses, 5_000), "0::1");
        assert_eq!((addresses.version(3), addresses.version(5_000), addresses.count()), (4, 6, 5_001));
    }

    #[test]
    fn how_far_addresses_reach() {
        for (address, reach) in [
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.32.0.1", Reach::Global),
            ("192.168.1.1", Reach::Private),
            ("169.254.169.254", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.128.0.1", Reach::Global),
            ("127.0.0.1", Reach::Loopback),
            ("8.8.8.8", Reach::Global),
        ] {
            assert_eq!(reach_v4(address.parse().unwrap()), reach, "{address}");
        }
        for (address, reach) in [
            ("::1", Reach::Loopback),
            ("fd00::1", Reach::Private),
            ("fe80::1", Reach::Private),
            ("2001:db8::1", Reach::Global),
            ("::ffff:10.0.0.1", Reach::Private),
        ] {
            assert_eq!(reach_v6(address.parse().unwrap()), reach, "{address}");
        }
    }
}
