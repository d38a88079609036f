//! Metric and log names as types, JSON logs.
