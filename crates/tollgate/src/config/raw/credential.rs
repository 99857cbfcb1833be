//! The section `credential` of an upstream: what the gate proves itself with.

use crate::config::collections::Table;
use crate::config::decode::{Decode, Fields, Key, Needed, Shape, Slot, default, key, section};
use crate::config::reading::Reading;
use crate::config::scalars::SecretText;
use crate::config::tree::Node;
use serde_json::Value;

section! {
    /// The gate's own credential towards an upstream.
    Credential {
        /// Headers added to every request: `{ Authorization: "Bearer ${env:GITHUB_TOKEN}" }`. At most 16.
        header: Needed<Table<SecretText>>,
    }
}
