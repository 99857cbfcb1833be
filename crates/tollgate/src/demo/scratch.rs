//! A folder for what a demonstration stores, gone when it ends.

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tollgate_core::clock::Entropy;

/// A folder of nobody else.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes one among temporary files.
    ///
    /// # Errors
    /// The operating system refuses it.
    pub(crate) fn new(entropy: &dyn Entropy) -> std::io::Result<Self> {
        let mut random = [0; 8];
        entropy.fill(&mut random);
        let mut name = String::from("tollgate-demo-");
        for byte in random {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        let folder = std::env::temp_dir().join(name);
        // Fails where there is one already, so that nobody can have prepared it.
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is among temporary files, and its owner's alone.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
