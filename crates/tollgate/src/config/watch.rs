//! Says when the configuration should be read again: a file changed, or the operator sent SIGHUP.
//!
//! Watches the folders of the files, because editors and Kubernetes replace files instead of writing
//! them, and looks at the files themselves every so often, because network file systems report nothing.
//! Reading and applying are the caller's: this file only looks at sizes, times and inodes.

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

/// A change is reported when nothing has happened for this long: one save is several events.
const QUIET: Duration = Duration::from_millis(200);
/// A change is reported after this long in any case: a busy folder is never quiet.
const QUIET_MAX: Duration = Duration::from_secs(2);
/// How often the files are looked at where the system reports changes.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often they are looked at where it does not.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// Why the configuration should be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A file changed, appeared or vanished.
    Changed,
    /// SIGHUP: read it again in any case.
    Asked,
}

/// Watches the files of a configuration. Start it on the configuration file before the first
/// `load`, and [`follow`](Self::follow) what was read after each: then no change can be missed.
#[derive(Debug)]
pub(crate) struct Watch {
    files: Vec<(PathBuf, Option<Print>)>,
    folders: BTreeSet<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    events: mpsc::Receiver<()>,
    hangup: Signal,
    look: Interval,
    /// Since when something happened that has not been looked at, and when it will be.
    unsettled: Option<(Instant, Instant)>,
}

/// What is compared to see whether a file changed. The inode tells a replaced file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Watch {
    /// Starts watching. Needs a tokio runtime.
    ///
    /// # Errors
    /// SIGHUP cannot be listened for. That the system reports no changes is not an error: then the
    /// files are looked at every 5 s.
    pub(crate) fn start(files: &[PathBuf]) -> io::Result<Self> {
        // One waiting event is enough: it only means "look".
        let (sender, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |_| {
            // A full channel already says what this would say.
            let _ = sender.try_send(());
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, "the system reports no file changes; looking every 5 s");
        });
        let mut watch = Self {
            files: Vec::new(),
            folders: BTreeSet::new(),
            watcher: watcher.ok(),
            events,
            hangup: signal(SignalKind::hangup())?,
            look: interval(LOOK_EVERY),
            unsettled: None,
        };
        watch.follow(files);
        Ok(watch)
    }

    /// Watches these files from now on. A change of a file that was watched before is not lost.
    pub(crate) fn follow(&mut self, files: &[PathBuf]) {
        let known = std::mem::take(&mut self.files);
        for file in files {
            let seen = known.iter().find(|(path, _)| path == file).map(|(_, print)| *print);
            self.files.push((file.clone(), seen.unwrap_or_else(|| print(file))));
        }
        let folders: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders(file)).collect();
        let mut complete = self.watcher.is_some();
        if let Some(watcher) = self.watcher.as_mut() {
            for gone in self.folders.difference(&folders) {
                // It may have been removed, and its watch with it.
                let _ = watcher.unwatch(gone);
            }
            for new in folders.difference(&self.folders) {
                if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                    tracing::warn!(folder = %new.display(), %error, "a folder cannot be watched; looking every 5 s");
                    complete = false;
                }
            }
        }
        self.folders = folders;
        let every = if complete { LOOK_EVERY } else { POLL_EVERY };
        if self.look.period() != every || !complete {
            self.look = interval(every);
        }
        self.look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }

    /// Waits until the configuration should be read again. May be dropped and called anew at any time.
    pub(crate) async fn next(&mut self) -> Reason {
        loop {
            let settled = self.unsettled.map_or_else(Instant::now, |(_, settled)| settled);
            tokio::select! {
                Some(()) = self.hangup.recv() => {
                    self.unsettled = None;
                    self.look_again();
                    return Reason::Asked;
                }
                Some(()) = self.events.recv() => self.unsettle(),
                _ = self.look.tick() => {
                    if self.unsettled.is_none() && self.differs() {
                        self.unsettle();
                    }
                }
                () = sleep_until(settled), if self.unsettled.is_some() => {
                    self.unsettled = None;
                    if self.look_again() {
                        return Reason::Changed;
                    }
                }
            }
        }
    }

    fn unsettle(&mut self) {
        let now = Instant::now();
        let since = self.unsettled.map_or(now, |(since, _)| since);
        self.unsettled = Some((since, (now + QUIET).min(since + QUIET_MAX)));
    }

    fn differs(&self) -> bool {
        self.files.iter().any(|(file, seen)| print(file) != *seen)
    }

    /// Takes new prints; whether any is different.
    fn look_again(&mut self) -> bool {
        let mut differs = false;
        for (file, seen) in &mut self.files {
            let now = print(file);
            differs |= now != *seen;
            *seen = now;
        }
        differs
    }
}

fn print(file: &Path) -> Option<Print> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Print {
        inode: metadata.ino(),
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// The folder of a file, and the one of what it links to.
fn folders(file: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Some(PathBuf::from(".")),
        folder => folder.map(Path::to_owned),
    };
    let target = std::fs::canonicalize(file).ok();
    let mut folders: Vec<PathBuf> = parent(file).into_iter().collect();
    let own = folders.first().and_then(|folder| std::fs::canonicalize(folder).ok());
    if let Some(target) =
        target.as_deref().and_then(parent).filter(|target| Some(target) != own.as_ref())
    {
        folders.push(target);
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

#[cfg(test)]
mod tests {
    use super::{Reason, Watch};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    /// Long enough for a busy machine; a test that passes does not wait for it.
    const DEADLINE: Duration = Duration::from_secs(20);
    /// Longer than a change takes to be reported.
    const STILL: Duration = Duration::from_millis(600);

    async fn next(watch: &mut Watch) -> Option<Reason> {
        tokio::time::timeout(DEADLINE, watch.next()).await.ok()
    }

    fn watched(folder: &Path) -> (PathBuf, Watch) {
        let file = folder.join("tollgate.yaml");
        std::fs::write(&file, "one").unwrap();
        let watch = Watch::start(std::slice::from_ref(&file)).unwrap();
        (file, watch)
    }

    #[tokio::test]
    async fn a_written_file_is_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut watch) = watched(folder.path());
        std::fs::write(&file, "one and two").unwrap();
        assert_eq!(next(&mut watch).await, Some(Reason::Changed));
        assert!(tokio::time::timeout(STILL, watch.next()).await.is_err());
    }

    #[tokio::test]
    async fn a_replaced_file_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut watch) = watched(folder.path());
        std::fs::write(folder.path().join("new"), "two").unwrap();
        std::fs::rename(folder.path().join("new"), &file).unwrap();
        assert_eq!(next(&mut watch).await, Some(Reason::Changed));
    }

    /// As Kubernetes does it: `tollgate.yaml -> ..data/tollgate.yaml`, `..data -> ..1`.
    #[tokio::test]
    async fn a_swapped_link_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (version, content) in [("..1", "one"), ("..2", "two")] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("tollgate.yaml"), content).unwrap();
        }
        std::os::unix::fs::symlink("..1", path("..data")).unwrap();
        std::os::unix::fs::symlink("..data/tollgate.yaml", path("tollgate.yaml")).unwrap();
        let mut watch = Watch::start(&[path("tollgate.yaml")]).unwrap();
        std::os::unix::fs::symlink("..2", path("..data_tmp")).unwrap();
        std::fs::rename(path("..data_tmp"), path("..data")).unwrap();
        assert_eq!(next(&mut watch).await, Some(Reason::Changed));
    }

    #[tokio::test]
    async fn other_files_of_the_folder_are_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut watch) = watched(folder.path());
        std::fs::write(folder.path().join("log"), "line").unwrap();
        assert!(tokio::time::timeout(STILL, watch.next()).await.is_err());
    }

    #[tokio::test]
    async fn a_file_that_appears_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut watch) = watched(folder.path());
        let secret = folder.path().join("secret");
        watch.follow(&[file, secret.clone()]);
        std::fs::write(&secret, "s").unwrap();
        assert_eq!(next(&mut watch).await, Some(Reason::Changed));
    }

    #[tokio::test]
    async fn a_change_between_two_sets_of_files_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut watch) = watched(folder.path());
        std::fs::write(&file, "changed while it was read").unwrap();
        watch.follow(std::slice::from_ref(&file));
        assert_eq!(next(&mut watch).await, Some(Reason::Changed));
    }

    #[tokio::test]
    async fn a_change_is_found_without_any_report_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut watch) = watched(folder.path());
        watch.watcher = None;
        watch.follow(std::slice::from_ref(&file));
        std::fs::write(&file, "on a network file system").unwrap();
        assert_eq!(next(&mut watch).await, Some(Reason::Changed));
    }
}
