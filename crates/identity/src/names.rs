//! Makes proofs: the one place where issuer, subject and client become a principal.

use aws_lc_rs::digest;
use std::sync::Arc;
use tollgate_core::principal::{Credential, Names, Proof};

/// A proof of these names with nothing else in it.
pub(crate) fn proof(
    issuer: &Arc<str>,
    subject: &str,
    client: &str,
    credential: Credential,
    issued: u64,
) -> Proof {
    let names = Names {
        caller_digest: digest_of(&[issuer, subject, client]),
        agent_digest: digest_of(&[issuer, client]),
        issuer: Arc::clone(issuer),
        subject: subject.into(),
        client: client.into(),
    };
    Proof::new(names, credential, issued)
}

/// Names, sorted and each once: how scopes and groups are held.
pub(crate) fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Arc<[Box<str>]> {
    let mut sorted: Vec<Box<str>> = names.into_iter().map(Box::from).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into()
}

fn digest_of(parts: &[&str]) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[u8::try_from(parts.len()).unwrap_or(u8::MAX)]);
    for part in parts {
        // Lengths first, so that no two lists of names run into one another.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut half = [0; 16];
    half.copy_from_slice(&context.finish().as_ref()[..16]);
    half
}
