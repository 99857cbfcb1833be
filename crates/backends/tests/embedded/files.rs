//! Whose file it is, and what is in it.

use crate::scene::{LATER, NOW, digest, open, token};
use crate::{beside, child_after, raw, run, text};
use std::fs::{Permissions, metadata, read, set_permissions, write};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tollgate_backends::embedded::{Embedded, OpenError};
use tollgate_core::bounds::stores::STORE_MILLIS;
use tollgate_core::stores::StoreError;

fn mode(path: &Path) -> u32 {
    metadata(path).expect("a file").permissions().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).expect("a new mode");
}

async fn refusal(path: &Path) -> OpenError {
    Embedded::open(path).await.expect_err("a refusal")
}

#[tokio::test]
async fn only_its_owner_may_read_it_whatever_the_umask() {
    for umask in ["0", "022", "0377"] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store.db");
        let words = ["rotate", text(&path), "0"];
        let mut other = child_after(&format!("umask {umask}"), &["revoke", text(&path)]);
        assert!(other.status().expect("a process").success(), "{umask}");
        assert_eq!(mode(&path), 0o600, "{umask}");
        assert!(open(&path).await.grants.keep_refresh(token(0, "g")).await.expect("room"));
        let mut writer = child_after(&format!("umask {umask}"), &words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut answers = BufReader::new(writer.stdout.take().expect("a pipe"));
        answers.read_line(&mut String::new()).expect("a line");
        let modes = ["", "-wal", "-shm"].map(|suffix| mode(&beside(&path, suffix)));
        writer.kill().expect("SIGKILL");
        writer.wait().expect("its end");
        assert_eq!(modes, [0o600; 3], "{umask}");
    }
}

#[tokio::test]
async fn a_file_that_others_may_read_is_refused_with_a_remedy() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    drop(open(&path).await);
    for wrong in [0o640, 0o604, 0o644, 0o620, 0o660, 0o666, 0o601, 0o777] {
        chmod(&path, wrong);
        let refused = refusal(&path).await;
        assert!(matches!(refused, OpenError::Permissions { mode, .. } if mode == wrong));
        let remedy = format!("chmod 600 {}", text(&path));
        assert!(refused.to_string().contains(&remedy), "{refused}");
        assert_eq!(mode(&path), wrong, "it is the operator's to change");
    }
    chmod(&path, 0o600);
    let stores = open(&path).await;
    stores.grants.spend_once(digest(1), LATER).await.expect("room");
    chmod(&beside(&path, "-wal"), 0o644);
    let refused = refusal(&path).await;
    assert!(refused.to_string().contains("store.db-wal"), "{refused}");
}

#[tokio::test]
async fn what_is_something_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("notes.txt");
    for content in ["x".to_owned(), "upstreams:\n".repeat(1_000)] {
        write(&path, &content).expect("a file");
        chmod(&path, 0o600);
        let refused = refusal(&path).await;
        assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
        assert!(read(&path).expect("the file") == content.as_bytes());
    }
    let path = dir.path().join("other.db");
    run(&path, "CREATE TABLE users (id INTEGER PRIMARY KEY)").await;
    chmod(&path, 0o600);
    let before = read(&path).expect("the file");
    let refused = refusal(&path).await;
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
    assert!(read(&path).expect("the file") == before);
    let refused = refusal(dir.path()).await;
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
    let refused = refusal(&dir.path().join("none/store.db")).await;
    assert!(refused.to_string().contains("No such file"), "{refused}");
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a name?with=all # sorts %20 of.db");
    write(&path, "").expect("a file");
    chmod(&path, 0o600);
    assert!(open(&path).await.grants.spend_once(digest(1), LATER).await.expect("room"));
    assert!(!open(&path).await.grants.spend_once(digest(1), LATER).await.expect("an answer"));
    assert!(metadata(&path).expect("the file").len() > 0, "it is that very file");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    drop(open(&path).await);
    run(&path, "PRAGMA user_version = 99; CREATE TABLE later (x TEXT) STRICT").await;
    let refused = refusal(&path).await;
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
    assert!(refused.to_string().contains("newer Tollgate"), "{refused}");
    let version = sqlx::query_scalar("PRAGMA user_version");
    let version: i64 = version.fetch_one(&mut raw(&path).await).await.expect("a number");
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_damaged_record_is_told_from_one_that_is_not_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let stores = open(&path).await;
    assert!(stores.grants.keep_refresh(token(1, "g")).await.expect("room"));
    run(&path, "UPDATE refresh_tokens SET record = '{\"digest\":1}'").await;
    let found = stores.grants.find_refresh(digest(1), NOW).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    assert!(stores.grants.find_refresh(digest(2), NOW).await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_store_that_another_holds_locked_is_unavailable_in_time_and_can_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let stores = open(&path).await;
    assert!(stores.grants.keep_refresh(token(1, "g")).await.expect("room"));
    let mut other = raw(&path).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
    let began = Instant::now();
    let tried = stores.grants.spend_once(digest(1), LATER).await;
    let took = began.elapsed();
    assert!(
        matches!(&tried, Err(StoreError::Unavailable(why)) if why.contains("locked")),
        "{tried:?}"
    );
    assert!(took < Duration::from_millis(STORE_MILLIS + 1_000), "{took:?}");
    assert!(stores.grants.find_refresh(digest(1), NOW).await.expect("an answer").is_some());
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("no lock");
    assert!(stores.grants.spend_once(digest(1), LATER).await.expect("room"));
}
