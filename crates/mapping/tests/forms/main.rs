//! The forms of events for Security Hub and CloudTrail Lake: golden cases, and what must hold whatever an event holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod golden;
mod hostile;
mod limits;
mod typed;

use tributary_mapping::Destination;

fn destination() -> Destination {
    Destination::new("111122223333", "eu-west-1").unwrap()
}
