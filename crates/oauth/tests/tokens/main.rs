//! Tokens and keys from outside: what is taken, what is not, and for what reason.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod assertions;
mod bad_tokens;
mod good_tokens;
mod keys;
mod signer;
