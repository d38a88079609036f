//! From bytes to tuples, borrowed: nothing here allocates for a tuple that is as it should be.

pub(crate) mod cut;
pub(crate) mod json;
pub(crate) mod protocol;
pub(crate) mod record;
pub(crate) mod tuple;
