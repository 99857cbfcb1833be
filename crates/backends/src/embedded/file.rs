//! The file itself: made for its owner alone, and refused if others may read it.
//!
//! SQLite gives `-wal` and `-shm` the mode of the file they belong to, so only that is made here;
//! all three are looked at.
//!
//! INVARIANT: a file that this process may have open is not opened here, since closing it again
//! would take away all locks that SQLite holds on it (POSIX advisory locks belong to the process).
//!
//! Next: `schema.rs`.

use super::OpenError;
use parking_lot::Mutex;
use std::fs::{OpenOptions, Permissions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Read and write for the owner, nothing for anybody else.
const MODE: u32 = 0o600;

/// The header of a SQLite file is so long. It takes a file of one byte for an empty one.
const HEADER_BYTES: u64 = 100;

/// Held while a file is made: who finds it there finds it closed.
static MAKING: Mutex<()> = Mutex::new(());

/// Makes the file if there is none, and checks who may read it and what belongs to it.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    let _making = MAKING.lock();
    let fault = |source| OpenError::File { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(MODE).open(path) {
        // The umask can only take away; whatever it took is given back.
        Ok(file) => file.set_permissions(Permissions::from_mode(MODE)).map_err(fault)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check(path).map_err(fault)??,
        Err(error) => return Err(fault(error)),
    }
    if is_scrap(path) {
        let why = "it is too short for a SQLite file".to_owned();
        return Err(OpenError::Foreign { path: path.to_owned(), why });
    }
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        match check(&PathBuf::from(beside)) {
            Ok(judged) => judged?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(fault(error)),
        }
    }
    Ok(())
}

fn check(path: &Path) -> Result<Result<(), OpenError>, Error> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        let why = "it is not a file".to_owned();
        return Ok(Err(OpenError::Foreign { path: path.to_owned(), why }));
    }
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Ok(Err(OpenError::Permissions { path: path.to_owned(), mode }));
    }
    Ok(Ok(()))
}

/// Whether it is too short for anything but an empty file or something else.
fn is_scrap(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| (1..HEADER_BYTES).contains(&about.len()))
}

/// The system's own reason why a file cannot be opened. Only for one that could not be.
pub(super) fn reason(path: &Path) -> Option<Error> {
    OpenOptions::new().read(true).write(true).open(path).err()
}
