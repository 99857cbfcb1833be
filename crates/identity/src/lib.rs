//! Who calls: proves a bearer token, an API key or a client certificate, and makes a
//! [`tollgate_core::principal::Proof`] of it.
//!
//! Knows nothing of MCP, routes or sessions: a [`settings::Door`] is anything that has a resource
//! identifier and accepts some issuers. Never passes a token on, never fetches what a token names.
//!
//! Read in this order.

pub mod settings;

mod verifier;

mod doors;

mod denied;

mod finding;

mod issuer;

mod bearer;

mod claims;

mod keyring;

mod discovery;

mod introspection;

mod api_key;

mod certificate;

mod names;

mod revocations;

mod remembered;

mod flights;

mod complaint;

pub use denied::{Denied, IdentityError};
pub use doors::{DoorFacts, DoorId};
pub use verifier::{Sources, Verifier};
