//! Implementations of the ports in `tollgate-core`. Only the binary names this crate.
//!
//! Sessions live in the memory of one process. The stores of identity are there twice: in memory
//! (`memory/identity.rs`), and in one file that survives restarts and that several processes share
//! (`embedded.rs`); so is the ledger of usage, in a file of its own. `tests/contract.rs` holds for both.

mod pinning;

pub mod embedded;

pub mod memory;

mod tallies;
