//! Lease, plan, commit: the Ledger trait and its backends.
