//! What tokens are given for, one kind a file.
//!
//! Each is asked after the client has proven itself (a workload proves itself by its grant), and
//! ends in `mint.rs` or in an error.

pub(crate) mod code;

pub(crate) mod refresh;

pub(crate) mod client_credentials;

pub(crate) mod jwt_bearer;
