//! `Vulnerabilities`: CVE, scores, packages, fix.

use crate::bounded::{Id, Text, Url};
use crate::view::View;

use super::form::{Cvss, FixAvailable, Moment, Package, Vendor, Vulnerability, YesNo};
use super::marks::Marks;

/// Our own limits, far above what a finding has: ASFF documents none for these lists.
const MAX_VULNERABILITIES: usize = 100;
const MAX_PACKAGES: usize = 50;
const MAX_SCORES: usize = 10;
const MAX_LINKS: usize = 20;

/// The vulnerabilities that have an identifier, which ASFF requires.
pub(crate) fn vulnerabilities<'v>(event: View<'v>, marks: &mut Marks) -> Vec<Vulnerability<'v>> {
    let named = event.list("vulnerabilities").filter_map(|found| {
        let id = found.first_text(&["cve.uid", "cwe.uid"]).and_then(Id::new)?;
        Some((id, found))
    });
    let kept = marks.first("Vulnerabilities", MAX_VULNERABILITIES, named);
    kept.into_iter().map(|(id, found)| vulnerability(event, id, found, marks)).collect()
}

fn vulnerability<'v>(event: View<'v>, id: Id<'v, 128>, found: View<'v>, marks: &mut Marks) -> Vulnerability<'v> {
    let packages: Vec<Package<'v>> = marks.first(
        "Vulnerabilities.VulnerablePackages",
        MAX_PACKAGES,
        found.list("affected_packages").chain(found.list("packages")).filter_map(package),
    );
    let fixable = found.flag("is_fix_available").or_else(|| found.flag("fix_available"));
    let fixed = packages.iter().filter(|package| package.fixed_in_version.is_some()).count();
    let fix_available = match (fixable, fixed) {
        (Some(false), 0) => Some(FixAvailable::No),
        (_, some) if some > 0 && some < packages.len() => Some(FixAvailable::Partial),
        (None, 0) => None,
        _ => Some(FixAvailable::Yes),
    };
    let links = found.texts("references").chain(found.texts("cve.references")).filter_map(Url::new);
    let score = found.text("cve.epss.score").and_then(|score| score.trim().parse::<f64>().ok());
    Vulnerability {
        id,
        cvss: marks.first("Vulnerabilities.Cvss", MAX_SCORES, found.list("cve.cvss").filter_map(cvss)),
        related_vulnerabilities: marks.first(
            "Vulnerabilities.RelatedVulnerabilities",
            MAX_LINKS,
            found.texts("related_vulnerabilities").filter_map(Id::new),
        ),
        vendor: vendor(event, found),
        reference_urls: marks.first("Vulnerabilities.ReferenceUrls", MAX_LINKS, links),
        fix_available,
        epss_score: score.filter(|score| (0.0..=1.0).contains(score)),
        exploit_available: found.flag("is_exploit_available").map(|yes| if yes { YesNo::Yes } else { YesNo::No }),
        vulnerable_packages: packages,
    }
}

fn package(found: View<'_>) -> Option<Package<'_>> {
    let package = Package {
        name: found.text("name").and_then(Text::new),
        version: found.text("version").and_then(Text::new),
        epoch: found.int("epoch").map(|epoch| epoch.to_string()),
        release: found.text("release").and_then(Text::new),
        architecture: found.text("architecture").and_then(Text::new),
        package_manager: found.text("package_manager").and_then(Text::new),
        file_path: found.text("path").and_then(Text::new),
        fixed_in_version: found.text("fixed_in_version").and_then(Text::new),
        remediation: found.text("remediation.desc").and_then(Text::new),
    };
    (package.name.is_some() || package.version.is_some()).then_some(package)
}

fn cvss(found: View<'_>) -> Option<Cvss<'_>> {
    let score = Cvss {
        version: found.text("version").and_then(Text::new),
        base_score: found.float("base_score").filter(|score| score.is_finite()),
        base_vector: found.text("vector_string").and_then(Text::new),
    };
    (score.base_score.is_some() || score.base_vector.is_some()).then_some(score)
}

/// Who reports the vulnerability; ASFF requires the name.
fn vendor<'v>(event: View<'v>, found: View<'v>) -> Option<Vendor<'v>> {
    let name = found.text("vendor_name").and_then(Text::new);
    Some(Vendor {
        name: name.or_else(|| event.text("metadata.product.vendor_name").and_then(Text::new))?,
        vendor_severity: found.text("severity").and_then(Text::new),
        vendor_created_at: found.time("cve.created_time").map(Moment),
        vendor_updated_at: found.time("cve.modified_time").map(Moment),
    })
}
