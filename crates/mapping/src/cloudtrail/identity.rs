//! `userIdentity`: who did it.

use crate::bounded::{Id, Text};
use crate::view::View;

use super::members::Members;

/// Class whose `user` is the one who acts; elsewhere it is the one acted on.
const AUTHENTICATION: i32 = 3002;

/// Who did it, as well as the event knows.
pub(crate) struct Identity<'v> {
    event: View<'v>,
    kind: &'v str,
    principal: &'v str,
}

/// What says who somebody is, best first.
const USER: [&str; 4] = ["uid", "name", "email_addr", "full_name"];
const APPLICATION: [&str; 3] = ["actor.app_uid", "actor.app_name", "actor.invoked_by"];
/// What the details hold beside the actor's own attributes.
const CLOUD: [(&str, &str); 3] = [("account", "cloud.account"), ("org", "cloud.org"), ("provider", "cloud.provider")];

impl<'v> Identity<'v> {
    /// The user that acts, else the application, else the product that reports.
    pub(crate) fn of(event: View<'v>) -> Self {
        let subject = (event.class_uid() == Some(AUTHENTICATION)).then(|| event.at("user")).flatten();
        let user = event.at("actor.user").into_iter().chain(subject);
        let named =
            user.filter_map(|user| Some((user.first_text(&["type"]).unwrap_or("User"), user.first_text(&USER)?)));
        let application = event.first_text(&APPLICATION).map(|principal| ("Application", principal));
        let product = event.first_text(&["metadata.product.name", "metadata.product.vendor_name"]);
        let (kind, principal) = named
            .chain(application)
            .chain(product.map(|principal| ("Service", principal)))
            .next()
            .unwrap_or(("Unknown", "unknown"));
        Self { event, kind, principal }
    }

    /// `type`, `principalId`, and `details` in at most `limit` bytes.
    pub(crate) fn json(&self, limit: usize) -> String {
        let mut identity = Members::default();
        identity.text("type", Text::<128>::new(self.kind).as_ref().map_or("Unknown", Text::as_str));
        identity.text("principalId", Id::<1024>::new(self.principal).as_ref().map_or("unknown", Id::as_str));
        let mut details = Members::default();
        // Each part of the actor by itself: a large one does not cost the others.
        for (name, value) in self.event.at("actor").into_iter().flat_map(View::fields) {
            details.value(name, self.event.schema(), value, limit);
        }
        for (name, path) in CLOUD {
            if let Some(value) = self.event.value(path) {
                details.value(name, self.event.schema(), value, limit);
            }
        }
        if !details.is_empty() {
            identity.json("details", details.write_within(limit));
        }
        identity.write()
    }
}
