//! Findings to Security Hub and events to CloudTrail Lake, behind one trait.
