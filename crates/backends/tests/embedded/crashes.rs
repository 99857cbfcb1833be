//! Processes that are killed while they write, and disks that are full.

use crate::scene::{NOW, digest, open, token};
use crate::{child, child_after, text};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tollgate_core::stores::{GrantId, Rotated, Stores};

async fn is_live(stores: &Stores, number: u64) -> bool {
    stores.grants.find_refresh(digest(number), NOW).await.expect("an answer").is_some()
}

/// Lets another process rotate from a token on, kills it after so many were acknowledged, and says
/// which was the last.
fn kill_after(path: &Path, from: u64, acknowledged: usize) -> u64 {
    let mut writer = child(&["rotate", text(path), &from.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut answers = BufReader::new(writer.stdout.take().expect("a pipe"));
    let mut last = String::new();
    for _ in 0..acknowledged {
        last.clear();
        answers.read_line(&mut last).expect("a line");
    }
    // Each time elsewhere in the next rotation, or in the one after that.
    std::thread::sleep(Duration::from_micros(from * 173 % 4_000));
    writer.kill().expect("SIGKILL");
    writer.wait().expect("its end");
    let mut rest = String::new();
    answers.read_to_string(&mut rest).expect("the rest");
    let whole = rest.lines().rfind(|_| rest.ends_with('\n'));
    whole.unwrap_or(last.trim()).parse().expect("a number")
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged_and_leaves_no_half_rotation() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    assert!(open(&path).await.grants.keep_refresh(token(0, "g")).await.expect("room"));
    let mut live = 0;
    for round in 0..30 {
        let last = kill_after(&path, live, 1 + round * 7 % 40);
        let stores = open(&path).await;
        // The kill may have come between a commit and its acknowledgement.
        let next = match (is_live(&stores, last).await, is_live(&stores, last + 1).await) {
            (true, false) => last,
            (false, true) => last + 1,
            other => panic!("round {round}: {other:?} after {last}"),
        };
        assert!(!is_live(&stores, last - 1).await && !is_live(&stores, last + 2).await);
        live = next;
    }
    let stores = open(&path).await;
    let reused = stores.grants.rotate(digest(live - 1), token(u64::MAX, "g"), NOW).await;
    let ended = Rotated::Before(GrantId("g".to_owned()));
    assert_eq!(reused.expect("an answer"), ended, "what was used is remembered");
    assert!(!is_live(&stores, live).await);
}

/// The largest file the filling process may write.
const LIMIT: &str = "400000";

#[tokio::test]
async fn a_store_without_space_says_so_and_recovers_by_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    // Beyond the limit the system sends SIGXFSZ first, which a full disk does not.
    let mut filler = child_after("trap '' XFSZ", &["fill", text(&path), LIMIT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut answers = BufReader::new(filler.stdout.take().expect("a pipe"));
    let mut full = String::new();
    answers.read_line(&mut full).expect("a line");
    let words: Vec<_> = full.splitn(3, ' ').collect();
    assert_eq!(words[0], "full", "{full:?}");
    let kept: u64 = words[1].parse().expect("a number");
    assert!(kept > 10, "{kept} were kept");
    assert!(words[2].contains("I/O error") || words[2].contains("full"), "{full:?}");
    // Another process has no such limit, and finds everything that was acknowledged.
    let stores = open(&path).await;
    assert!(is_live(&stores, kept - 1).await);
    assert!(!is_live(&stores, kept).await);
    filler.stdin.take().expect("a pipe").write_all(b"go on\n").expect("a line");
    let mut rest = String::new();
    answers.read_to_string(&mut rest).expect("the rest");
    assert!(filler.wait().expect("its end").success());
    assert_eq!(rest, "recovered\n");
}
