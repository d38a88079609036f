//! How bad a finding is, and whether it still is one: severity, compliance, workflow, record state.

use crate::bounded::{Id, Text};
use crate::view::View;

use super::Class;
use super::form::{
    Compliance, ComplianceStatus, Label, RecordState, Severity, Standard, StatusReason, Workflow, WorkflowStatus,
};
use super::marks::Marks;

/// Most of a control's requirements (API reference, `Compliance.RelatedRequirements`).
const MAX_REQUIREMENTS: usize = 32;
/// Most of a control's standards: our own limit, the same as that of requirements.
const MAX_STANDARDS: usize = 32;

/// `activity_id` Close.
const CLOSE: i64 = 3;
/// `status_id` of a finding.
const IN_PROGRESS: i64 = 2;
const SUPPRESSED: i64 = 3;
const RESOLVED: i64 = 4;

/// The labels' numbers are those that Security Hub itself derives (API reference, `Severity`).
///
/// A check that passed is always informational (partner guide). An unknown severity is Medium: nobody may have to act, but
/// somebody has to look.
pub(crate) fn severity<'v>(event: View<'v>, compliance: Option<&Compliance<'v>>) -> Severity<'v> {
    let (label, normalized) = match event.int("severity_id") {
        _ if compliance.is_some_and(|compliance| compliance.status == ComplianceStatus::Passed) => {
            (Label::Informational, 0)
        }
        Some(1) => (Label::Informational, 0),
        Some(2) => (Label::Low, 1),
        Some(4) => (Label::High, 70),
        Some(5) => (Label::Critical, 90),
        Some(6) => (Label::Critical, 100),
        _ => (Label::Medium, 40),
    };
    Severity { label, normalized, original: event.text("severity").and_then(Text::new) }
}

/// The check that the finding is the result of; none when it is not one.
pub(crate) fn compliance<'v>(event: View<'v>, marks: &mut Marks) -> Option<Compliance<'v>> {
    let check = event.at("compliance")?;
    let status = match check.int("status_id") {
        Some(1) => ComplianceStatus::Passed,
        Some(2) => ComplianceStatus::Warning,
        Some(3) => ComplianceStatus::Failed,
        _ => ComplianceStatus::NotAvailable,
    };
    let description = check.text("status_detail").and_then(Text::new);
    let reason_code = check.first_text(&["status_code", "status"]).and_then(Text::new);
    let reason = reason_code.map(|reason_code| StatusReason { reason_code, description });
    let standards = check.texts("standards").filter_map(|name| Some(Standard { standards_id: Id::new(name)? }));
    Some(Compliance {
        status,
        related_requirements: marks.first(
            "Compliance.RelatedRequirements",
            MAX_REQUIREMENTS,
            check.texts("requirements").filter_map(Id::new),
        ),
        status_reasons: reason.into_iter().collect(),
        security_control_id: check.text("control").and_then(Id::new),
        associated_standards: marks.first("Compliance.AssociatedStandards", MAX_STANDARDS, standards),
    })
}

/// Where the source's own investigation stands. Security Hub takes it when it sees a finding for the first time only.
///
/// A check that does not apply may apply tomorrow. Security Hub resets a resolved finding that becomes active again, but never
/// a suppressed one, which would then hide a failure: only what somebody dismissed, a detection, is suppressed.
pub(crate) fn workflow(event: View<'_>, class: Class, compliance: Option<&Compliance<'_>>) -> Workflow {
    let status = match event.int("status_id") {
        Some(SUPPRESSED) if class == Class::Detection => WorkflowStatus::Suppressed,
        Some(SUPPRESSED | RESOLVED) => WorkflowStatus::Resolved,
        _ if compliance.is_some_and(|compliance| compliance.status == ComplianceStatus::Passed) => {
            WorkflowStatus::Resolved
        }
        Some(IN_PROGRESS) => WorkflowStatus::Notified,
        _ => WorkflowStatus::New,
    };
    Workflow { status }
}

/// Archived: nothing is left to look at. The check passed, or the finding was closed, deleted, dismissed or resolved.
pub(crate) fn record_state(event: View<'_>, compliance: Option<&Compliance<'_>>) -> RecordState {
    let passed = compliance.is_some_and(|compliance| compliance.status == ComplianceStatus::Passed);
    let closed = event.int("activity_id") == Some(CLOSE);
    let settled = matches!(event.int("status_id"), Some(SUPPRESSED | RESOLVED));
    if passed || closed || settled { RecordState::Archived } else { RecordState::Active }
}
