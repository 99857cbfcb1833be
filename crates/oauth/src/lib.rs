//! OAuth 2.1 without I/O: what a token, a key, a scope, a resource, a client's metadata and a
//! challenge are, and when they are good.
//!
//! Used on both sides: by who verifies (`tollgate-identity`) and by who issues (`tollgate-issuer`).
//! Fetches nothing, stores nothing, and reads no clock: times are handed in as Unix seconds.
//!
//! Read in this order.

pub mod keys;

pub mod jwt;

pub mod access_token;

pub mod assertion;

pub mod secret;

pub mod pkce;

pub mod scope;

pub mod resource;

pub mod redirect;

pub mod client_id;

pub mod registration;

pub mod error;

pub mod challenge;

pub mod metadata;

pub mod json;

pub mod base64url;
