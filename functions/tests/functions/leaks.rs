//! What no log line may hold, at any level: payload, personal data, tokens, keys, connection strings.

/// Signs of them: what stands in every sample record and in the names, addresses and ids of its people; and what credentials
/// look like.
const CANARIES: [&str; 13] = [
    // A record's marker, which is in every payload.
    "-5eed-4",
    // People: user principal names, ids, and the addresses that they come from.
    "@",
    "0a1b2c3d-0002-",
    "203.0.113.",
    "198.51.100.",
    "2001:db8",
    // Credentials.
    "SharedAccess",
    "Endpoint=sb",
    "sig=",
    "Bearer ",
    "eyJ",
    "clientSecret",
    "AWS4-HMAC",
];

/// Lines of a log that hold what they must not: these signs, or one of `secrets`.
pub(crate) fn leaks(log: &str, secrets: &[&str]) -> Vec<String> {
    let told = |line: &&str| CANARIES.iter().chain(secrets).any(|canary| line.contains(canary));
    log.lines().filter(told).map(str::to_owned).collect()
}
