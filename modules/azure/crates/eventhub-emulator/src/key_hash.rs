//! Which partition a key belongs to.
//!
//! The service's own choice is not documented; Microsoft's clients (MIT licence) publish the function with which
//! their buffered producers imitate it: Bob Jenkins' lookup3 over the UTF-8 bytes of the key, folded to 16 bits.

/// The partition of a key in a hub with `count` partitions.
pub(crate) fn partition_of(key: &str, count: u32) -> u32 {
    let (first, second) = lookup3(key.as_bytes());
    let folded = (first ^ second) as u16 as i16;
    // As the clients compute it: the remainder of a signed number, then its absolute value.
    (i64::from(folded) % i64::from(count.max(1))).unsigned_abs() as u32
}

/// The two 32-bit words (c, b) of lookup3's `hashlittle2` with seeds of 0.
fn lookup3(bytes: &[u8]) -> (u32, u32) {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let [mut a, mut b, mut c] = [start; 3];
    let mut rest = bytes;
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        let [x, y, z] = words(block);
        [a, b, c] = mix(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z));
        rest = after;
    }
    if rest.is_empty() {
        return (c, b);
    }
    let [x, y, z] = words(rest);
    finish(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z))
}

/// Up to 12 bytes as three little-endian words, missing bytes as zero.
fn words(block: &[u8]) -> [u32; 3] {
    let mut words = [0_u32; 3];
    for (word, bytes) in words.iter_mut().zip(block.chunks(4)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    words
}

fn mix(mut a: u32, mut b: u32, mut c: u32) -> [u32; 3] {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    [a, b, c]
}

fn finish(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32) {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    (c, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of Bob Jenkins' lookup3.c (public domain), `driver5`: hashlittle2 with seeds of 0.
    #[test]
    fn lookup3_vectors() {
        assert_eq!(lookup3(b""), (0xdead_beef, 0xdead_beef));
        assert_eq!(lookup3(b"Four score and seven years ago"), (0x1777_0551, 0xce72_26e6));
    }

    #[test]
    fn keys_spread_and_stay() {
        let mut seen = [0; 4];
        for n in 0..400 {
            let key = format!("vm-{n}");
            let partition = partition_of(&key, 4);
            assert_eq!(partition, partition_of(&key, 4));
            seen[partition as usize] += 1;
        }
        assert!(seen.iter().all(|count| *count > 40), "{seen:?}");
    }
}
