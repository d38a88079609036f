//! The commands, one file each.

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod emulator;
pub(crate) mod flowlogs;
pub(crate) mod inspect;
pub(crate) mod lake;
pub(crate) mod map;
pub(crate) mod mappings;
pub(crate) mod positions;
pub(crate) mod receive;
pub(crate) mod redrive;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod validate;
