//! The gate's own authorization server: for those who have none, or whose provider cannot register
//! clients.
//!
//! Endpoints, in the order a client meets them: metadata, registration, authorization with sign-in
//! and consent, token, revocation, introspection. Knows nothing of MCP or of the gate; what both need
//! to know of one another (keys, revocations) goes through ports.
//!
//! Read in this order.

pub mod settings;

mod issuer;

mod endpoints;

mod request;

mod form;

mod reply;

mod error;

mod desk;

mod people;

mod authorize;

mod transaction;

mod browser;

mod signin;

pub mod accounts;

mod throttle;

mod provider;

mod consent;

mod pages;

mod discovery;
mod seal;

mod clients;

mod document;

mod client_auth;

mod registration;

mod token;

mod grants;

mod workload;

mod mint;

mod ending;

mod revoke;

mod introspect;

mod own_token;

pub mod keys;

pub use issuer::{Issuer, IssuerError, IssuerSources};
pub use reply::{Body, Response};
