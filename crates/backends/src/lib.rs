//! Implementations of the ports in `tollgate-core`. Only the binary names this crate.
//!
//! Today: sessions in memory. What must survive a restart or be shared by replicas comes beside it.

pub mod memory;
