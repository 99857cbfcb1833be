//! The stores of identity and of pins in one SQLite file, which several processes may have open: the gate
//! serves from it while the command line writes to it.
//!
//! What a method acknowledged is on disk and survives `kill -9` and power cuts; what it did not
//! acknowledge happened wholly or not at all. The file is its owner's alone: one that others could
//! read is refused. It must be on a local disk, since SQLite's locks do not hold on network ones.
//!
//! Next: `embedded/file.rs` (who may read it), `schema.rs` (its versions), `lanes.rs` (connections
//! and transactions), then one file for each port. `docs/decisions/0013` says why SQLite.

mod agents;
mod file;
mod grants;
mod keys;
mod lanes;
mod pins;
mod records;
mod revocations;
mod schema;
mod usage;
mod users;

pub use usage::EmbeddedUsage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use tollgate_core::stores::{Pins, StoreError, Stores};

/// How the file of the stores of identity is made.
const PLAN: schema::Plan = schema::Plan {
    steps: &[
        include_str!("../migrations/0001_identity.sql"),
        include_str!("../migrations/0002_pins.sql"),
    ],
    // "toll"
    application: 0x746f_6c6c,
};

/// Why a store file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refuses it.
    #[error("cannot open the store {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others may read or write it.
    #[error(
        "others may read or write {path} (mode {mode:o}), which are for the gate alone: \
         run `chmod 600 {path}`"
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is something else.
    #[error("{path} is not a store of Tollgate: {why}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// A later version of Tollgate made it.
    #[error(
        "{path} was written by a newer Tollgate (schema {found}; this one knows {known}): \
         run that version, or restore a copy from before the upgrade"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest we know.
        known: i64,
    },
    /// It cannot be used just now.
    #[error("cannot use the store {path}: {source}")]
    Store {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        source: StoreError,
    },
}

/// An open store file. Cheap to clone; it is closed with the last of its stores.
#[derive(Clone, Debug)]
pub struct Embedded {
    desk: Arc<lanes::Desk>,
}

impl Embedded {
    /// Opens the store, and makes it if there is none.
    ///
    /// # Errors
    /// The file cannot be used, is not ours, or others could read it.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::File { path: path.to_owned(), source };
        let path = &std::path::absolute(path).map_err(io)?;
        file::prepare(path)?;
        let desk = lanes::Desk::new(path);
        schema::bring_up(&desk, path, &PLAN).await?;
        Ok(Self { desk: Arc::new(desk) })
    }

    /// Its stores.
    #[must_use]
    pub fn stores(&self) -> Stores {
        Stores {
            agents: Arc::new(agents::EmbeddedAgents(self.desk.clone())),
            users: Arc::new(users::EmbeddedUsers(self.desk.clone())),
            grants: Arc::new(grants::EmbeddedGrants(self.desk.clone())),
            keys: Arc::new(keys::EmbeddedKeys(self.desk.clone())),
            revocations: Arc::new(revocations::EmbeddedRevocations(self.desk.clone())),
        }
    }

    /// Its pins of tool definitions.
    #[must_use]
    pub fn pins(&self) -> Arc<dyn Pins> {
        Arc::new(pins::EmbeddedPins(self.desk.clone()))
    }
}
