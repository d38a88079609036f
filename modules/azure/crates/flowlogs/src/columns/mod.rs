//! Tuples as columns of codes and numbers, and those as lake objects.

pub(crate) mod address;
pub(crate) mod groups;
pub(crate) mod object;
pub(crate) mod rows;
pub(crate) mod texts;
pub(crate) mod unmapped;
