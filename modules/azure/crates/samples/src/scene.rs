//! The made-up world that samples come from: tenants, subscriptions, people, machines, addresses, times.
//!
//! Every name is reserved for examples (Contoso, `.example`, RFC 5737 and RFC 3849 addresses, RFC 5398 numbers) and every
//! GUID is made up.

use tributary_ocsf::civil_from_days;

use crate::json::{Json, object};
use crate::random::Random;

/// How far back before the base time records happened: three days.
pub(crate) const SPAN: i64 = 3 * 86_400_000;

const TENANTS: [&str; 3] = [
    "0a1b2c3d-0000-4000-8000-0000000000f1",
    "0a1b2c3d-0000-4000-8000-0000000000f2",
    "0a1b2c3d-0000-4000-8000-0000000000f3",
];
/// Subscriptions with the tenant of each.
const SUBSCRIPTIONS: [(&str, usize); 6] = [
    ("0a1b2c3d-0001-4000-8000-000000000001", 0),
    ("0a1b2c3d-0001-4000-8000-000000000002", 0),
    ("0a1b2c3d-0001-4000-8000-000000000003", 0),
    ("0a1b2c3d-0001-4000-8000-000000000004", 1),
    ("0a1b2c3d-0001-4000-8000-000000000005", 1),
    ("0a1b2c3d-0001-4000-8000-000000000006", 2),
];
pub(crate) const REGIONS: [&str; 6] =
    ["westeurope", "northeurope", "eastus2", "swedencentral", "australiaeast", "southeastasia"];
const GROUPS: [&str; 6] = ["shop-prod", "shop-test", "rg_data", "Platform-Network", "MC_shop_aks_westeurope", "backup"];
const PEOPLE: [(&str, &str); 12] = [
    ("Ada Example", "ada"),
    ("Grace Muster", "grace.muster"),
    ("Jürgen Beispiel", "juergen.beispiel"),
    ("Zoë O'Example", "zoe.o'example"),
    ("李示例", "li.shili"),
    ("Olu Contoso (External)", "olu_partner.example#EXT#"),
    ("Svc Backup", "svc-backup"),
    ("María-José Ejemplo", "mj.ejemplo"),
    ("Kim Fabrikam", "kim"),
    ("Noor Voorbeeld", "noor"),
    ("break glass 1", "bg-1"),
    ("Téo \"The Tester\" Exemple", "teo"),
];
const DOMAINS: [&str; 3] = ["contoso.example", "corp.contoso.example", "fabrikam.example"];
const HOSTS: [&str; 6] = [
    "updates.contoso.example",
    "shop.contoso.example",
    "api.fabrikam.example",
    "login.contoso.example",
    "games.example",
    "xn--bcher-kva.example",
];
const PLACES: [(&str, &str, &str, f64, f64); 8] = [
    ("Utrecht", "Utrecht", "NL", 52.09, 5.12),
    ("Köln", "Nordrhein-Westfalen", "DE", 50.93, 6.95),
    ("Bellevue", "Washington", "US", 47.61, -122.2),
    ("São Paulo", "Sao Paulo", "BR", -23.55, -46.63),
    ("Lagos", "Lagos", "NG", 6.45, 3.39),
    ("東京", "Tokyo", "JP", 35.68, 139.69),
    ("Reykjavik", "", "IS", 64.14, -21.94),
    ("Perth", "Western Australia", "AU", -31.95, 115.86),
];

/// A person who acts.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) upn: String,
}

/// A resource and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) group: &'static str,
    pub(crate) subscription: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) region: &'static str,
}

/// One event in the making: chance and the time around which things happen.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) rng: Random,
    pub(crate) base: i64,
}

impl Scene {
    /// A subscription and its tenant.
    pub(crate) fn subscription(&mut self) -> (&'static str, &'static str) {
        let (subscription, tenant) = self.rng.pick(&SUBSCRIPTIONS);
        (subscription, TENANTS.get(tenant).copied().unwrap_or_default())
    }

    /// A tenant.
    pub(crate) fn tenant(&mut self) -> &'static str {
        self.rng.pick(&TENANTS)
    }

    /// A resource of one type, its name made from a stem.
    pub(crate) fn resource_of(&mut self, kind: &'static str, stem: &str) -> Resource {
        let name = format!("{stem}-{:02}", self.rng.below(40));
        self.resource_named(kind, name)
    }

    /// A resource of one type with a name of its own.
    pub(crate) fn resource_named(&mut self, kind: &'static str, name: String) -> Resource {
        let (subscription, tenant) = self.subscription();
        let group = self.rng.pick(&GROUPS);
        // The fixed segments come in more than one spelling.
        let groups = if self.rng.percent(80) { "resourceGroups" } else { "resourcegroups" };
        let id = format!("/subscriptions/{subscription}/{groups}/{group}/providers/{kind}/{name}");
        Resource { id, kind, name, group, subscription, tenant, region: self.rng.pick(&REGIONS) }
    }

    /// Someone of the example company.
    pub(crate) fn person(&mut self) -> Person {
        let which = self.rng.below(PEOPLE.len());
        let (name, user) = PEOPLE.get(which).copied().unwrap_or(("Ada Example", "ada"));
        let domain = self.rng.pick(&DOMAINS);
        Person { id: format!("0a1b2c3d-0002-4000-8000-{which:012x}"), name, upn: format!("{user}@{domain}") }
    }

    /// An address of the documentation ranges.
    pub(crate) fn address(&mut self) -> String {
        match self.rng.below(8) {
            0 => format!("2001:db8:{:x}::{:x}", self.rng.below(0xffff), 1 + self.rng.below(0xfffe)),
            1..=3 => format!("192.0.2.{}", self.rng.below(256)),
            4..=5 => format!("198.51.100.{}", self.rng.below(256)),
            _ => format!("203.0.113.{}", self.rng.below(256)),
        }
    }

    /// An IPv4 address of the documentation ranges.
    pub(crate) fn ipv4(&mut self) -> String {
        format!("{}.{}", self.rng.pick(&["192.0.2", "198.51.100", "203.0.113"]), 1 + self.rng.below(254))
    }

    /// A port that clients use.
    pub(crate) fn port(&mut self) -> i64 {
        self.rng.between(1_024, 65_535)
    }

    /// A host that the example company asks for.
    pub(crate) fn host(&mut self) -> &'static str {
        self.rng.pick(&HOSTS)
    }

    /// City, state, country, latitude and longitude.
    pub(crate) fn place(&mut self) -> (&'static str, &'static str, &'static str, f64, f64) {
        self.rng.pick(&PLACES)
    }

    /// A moment of the three days before the base time, in milliseconds.
    pub(crate) fn moment(&mut self) -> i64 {
        self.base - self.rng.between(0, SPAN)
    }

    /// A moment as this platform usually writes it: ISO 8601 in UTC, with more or fewer digits.
    pub(crate) fn iso(&mut self, ms: i64) -> String {
        let fine = self.rng.below(10_000);
        match self.rng.below(20) {
            0..=11 => format!("{}.{:03}{fine:04}Z", seconds(ms, 'T'), ms.rem_euclid(1_000)),
            12..=14 => format!("{}.{:03}Z", seconds(ms, 'T'), ms.rem_euclid(1_000)),
            15..=16 => format!("{}Z", seconds(ms, 'T')),
            17..=18 => format!("{}.{:03}{fine:04}+00:00", seconds(ms, 'T'), ms.rem_euclid(1_000)),
            _ => format!("{}.{:03}", seconds(ms, 'T'), ms.rem_euclid(1_000)),
        }
    }

    /// A moment in any form that was seen in diagnostic records.
    pub(crate) fn any_time(&mut self, ms: i64) -> String {
        let (year, month, day) = date(ms);
        let (hour, minute, second) = clock(ms);
        match self.rng.below(40) {
            0 => us_time(ms),
            1 => format!("{}.{:03}000000", seconds(ms, ' '), ms.rem_euclid(1_000)),
            2 => format!("{month:02}/{day:02}/{year} {hour:02}:{minute:02}:{second:02}"),
            3 => format!("{year:04}-{month:02}-{day:02}T{hour:02}: {minute:02}: {second:02}.5864815Z"),
            _ => self.iso(ms),
        }
    }

    /// An optional field as senders leave it out: usually there, else absent, null or an empty text.
    pub(crate) fn optional(&mut self, share: usize, value: impl Into<Json>) -> Json {
        if self.rng.percent(share) {
            return value.into();
        }
        match self.rng.below(4) {
            0 => Json::Null,
            1 => Json::from(""),
            _ => Json::Absent,
        }
    }

    /// Where an address seems to be, in the case of names that entities use.
    pub(crate) fn location(&mut self) -> Json {
        let (city, state, country, latitude, longitude) = self.place();
        let country = if self.rng.percent(50) { country.to_lowercase() } else { country.to_owned() };
        object! {
            "CountryCode" => country, "CountryName" => self.rng.maybe(30, "Example land"), "State" => state,
            "City" => city, "Longitude" => longitude, "Latitude" => latitude,
            "Asn" => self.rng.between(64_496, 64_511), "Carrier" => self.rng.maybe(40, "example networks"),
        }
    }

    /// An id in upper case, as the Activity Log writes them.
    pub(crate) fn shout(id: &str) -> String {
        id.to_ascii_uppercase()
    }

    /// A resource's id as most of Azure Monitor's records have it: in upper case.
    pub(crate) fn loud(&mut self, resource: &Resource) -> String {
        if self.rng.percent(85) { Self::shout(&resource.id) } else { resource.id.clone() }
    }

    /// Sentences of running text, about `bytes` long.
    pub(crate) fn prose(&mut self, bytes: usize) -> String {
        let mut text = String::new();
        while text.len() < bytes {
            if !text.is_empty() {
                text.push(' ');
            }
            text += self.rng.pick(&SENTENCES);
        }
        text
    }
}

const SENTENCES: [&str; 14] = [
    "The activity differs from what this resource did over the past thirty days.",
    "Such behaviour can come from an administrator's script, or from someone who holds stolen credentials.",
    "Compare the time with planned maintenance before you act.",
    "The address has not been seen on any resource of the subscription before.",
    "A process with no signature opened several outbound connections within one minute.",
    "Restrict access to known networks and turn on just-in-time access for management ports.",
    "Rotate the keys that the resource holds, then review who may list them.",
    "Data at rest should be encrypted with a key that the customer controls.",
    "The setting is off on this resource, so its changes leave no trace.",
    "Update the package to a fixed version, rebuild the image and deploy it again.",
    "Three of the last five attempts came from an anonymising network.",
    "Findings like this one close by themselves once the next scan no longer sees the cause.",
    "No customer data is known to have left the environment.",
    "Isolate the machine if the owner can't explain the action – \u{201c}it was always so\u{201d} is no explanation.",
];

/// Year, month and day in UTC.
fn date(ms: i64) -> (i64, i64, i64) {
    civil_from_days(ms.div_euclid(86_400_000))
}

/// Hour, minute and second in UTC.
fn clock(ms: i64) -> (i64, i64, i64) {
    let second = ms.rem_euclid(86_400_000) / 1_000;
    (second / 3_600, second / 60 % 60, second % 60)
}

/// `3/1/2026 9:08:07 AM`, as some of Entra's and all of the namespaces' logs have it.
pub(crate) fn us_time(ms: i64) -> String {
    let ((year, month, day), (hour, minute, second)) = (date(ms), clock(ms));
    let (half, twelve) = (if hour < 12 { "AM" } else { "PM" }, (hour + 11) % 12 + 1);
    format!("{month}/{day}/{year} {twelve}:{minute:02}:{second:02} {half}")
}

/// `2026-01-02T03:04:05`, with `between` between date and time.
fn seconds(ms: i64, between: char) -> String {
    let ((year, month, day), (hour, minute, second)) = (date(ms), clock(ms));
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use tributary_mapping::parse_timestamp;

    use super::*;

    #[test]
    fn every_form_of_a_time_means_that_time() {
        for index in 0..2_000 {
            let mut scene = Scene { rng: Random::new(3, index), base: 1_772_452_800_000 };
            let ms = scene.moment();
            let text = scene.any_time(ms);
            let read = parse_timestamp(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.div_euclid(1_000), ms.div_euclid(1_000), "{text}");
            assert!((scene.base - SPAN..=scene.base).contains(&ms));
        }
    }
}
