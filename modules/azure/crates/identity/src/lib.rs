//! Who the clients of Azure are.
