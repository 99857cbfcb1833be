//! What the tests of the file and the process they start (`examples/store_child.rs`) both know.

use std::path::Path;
use tollgate_backends::embedded::Embedded;
use tollgate_core::stores::{Digest, GrantId, RefreshRecord, Stores};

/// Now, and the end of all that is kept here.
pub(crate) const NOW: u64 = 1_000;
/// When it all ends.
pub(crate) const LATER: u64 = 1_000_000;

/// A digest that differs from that of any other number.
pub(crate) fn digest(number: u64) -> Digest {
    let mut bytes = [3; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

/// A refresh token of a grant.
pub(crate) fn token(number: u64, grant: &str) -> RefreshRecord {
    RefreshRecord {
        digest: digest(number),
        grant: GrantId(grant.to_owned()),
        client: "client".to_owned(),
        subject: "user:1".to_owned(),
        user_name: "Ada".to_owned(),
        groups: vec!["staff".to_owned()],
        resource: "https://gate.example/mcp".to_owned(),
        scopes: vec!["a".to_owned()],
        expires: LATER,
        ends: LATER,
    }
}

/// The stores of a file.
pub(crate) async fn open(path: &Path) -> Stores {
    Embedded::open(path).await.expect("a usable store").stores()
}
