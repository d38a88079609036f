//! The envelope `tributary.batch/1`.
