//! What every client of an AWS service here shares.
//!
//! - [`load`] reads region, credentials and endpoints from the environment as every AWS tool does, `AWS_ENDPOINT_URL` and its
//!   per-service variants included, with timeouts and retries that suit a function that must end in time. [`assume`] is the
//!   same in a role of another account.
//! - [`endpoint`] is where a service is reached, for the one client that is not the SDK's.
//! - [`Backoff`] is how long to wait when a service throttles for longer than the SDK tries.
//! - [`AwsError`] says what an SDK's error means: try again, slow down, grant a permission, or give up.
//! - [`RestCaller`] calls an operation whose service has no generated client here, by the same machinery.
//! - [`Probe`] is one signed request whose answer is wanted whole, and [`examine`] says who this is and whether the clocks agree.
//!
//! Nothing here knows what a service is used for.

mod backoff;
mod config;
mod error;
mod examine;
mod probe;
mod rest;

pub use backoff::Backoff;
pub use config::{ConfigError, assume, checked_endpoint, endpoint, load};
pub use error::{AwsError, Kind};
pub use examine::examine;
pub use probe::{Probe, ProbeError, Probed};
pub use rest::{RestCaller, RestOperation};

pub use aws_config::{Region, SdkConfig};
