//! One builder a kind of record. Each takes the scene and the record's marker, and says in its first lines where the
//! marker stands.

mod activity;
mod alert;
mod audit;
mod entities;
mod posture;
mod signin;
mod subassessment;

use crate::Kind;
use crate::json::Json;
use crate::scene::Scene;

/// One record of a kind.
pub(crate) fn record(s: &mut Scene, kind: Kind, marker: &str) -> Json {
    match kind {
        Kind::DefenderAlert if s.rng.percent(85) => alert::flat(s, marker),
        Kind::DefenderAlert => alert::arm(s, marker),
        Kind::DefenderAssessment => posture::assessment(s, marker),
        Kind::DefenderSubassessment => subassessment::subassessment(s, marker),
        Kind::SecureScore => posture::secure_score(s, marker),
        Kind::SecureScoreControl => posture::secure_score_control(s, marker),
        Kind::RegulatoryCompliance => posture::compliance(s, marker),
        Kind::ActivityAdministrative if s.rng.percent(94) => {
            activity::operation(s, &[marker.to_owned()]).pop().unwrap_or(Json::Null)
        }
        Kind::ActivityAdministrative => activity::elevation(s, marker),
        Kind::EntraSignin => signin::signin(s, marker),
        Kind::EntraAudit => audit::audit(s, marker),
    }
}

/// The records that one operation of the Activity Log leaves, one a marker.
pub(crate) fn operation(s: &mut Scene, markers: &[String]) -> Vec<Json> {
    activity::operation(s, markers)
}
