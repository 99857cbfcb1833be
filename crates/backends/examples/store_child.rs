//! Another process on a store file, for the tests in `tests/embedded`, which kill it, starve it of
//! space, and look at what it left. `store_child time FILE` says how long things take.

#![expect(clippy::expect_used, reason = "it is to fail loudly")]
#![expect(clippy::print_stdout, reason = "that is how it answers")]

#[path = "../tests/embedded/scene.rs"]
mod scene;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scene::{LATER, NOW, digest, open, token};
use std::path::Path;
use std::time::Instant;
use tollgate_core::stores::{RefreshRecord, Revocable, Revocation, Rotated, StoreError, Stores};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["rotate", path, from] => rotate(path, from.parse().expect("a number")).await,
        ["revoke", path] => revoke(path).await,
        ["fill", path] => fill(path, None).await,
        ["fill", path, limit] => fill(path, Some(limit.parse().expect("bytes"))).await,
        ["time", path] => time(path).await,
        _ => panic!("rotate FILE FROM | revoke FILE | fill FILE [BYTES] | time FILE"),
    }
}

/// Rotates one token after the other, and says each that was acknowledged, until it is killed.
async fn rotate(path: &str, from: u64) {
    let stores = open(Path::new(path)).await;
    for used in from.. {
        let done = stores.grants.rotate(digest(used), token(used + 1, "g"), NOW).await;
        assert_eq!(done.expect("an answer"), Rotated::Now);
        println!("{}", used + 1);
    }
}

async fn revoke(path: &str) {
    let stores = open(Path::new(path)).await;
    let what = Revocable::Agent("from-outside".to_owned());
    let revocation = Revocation { what, before: NOW, until: LATER };
    stores.revocations.revoke(revocation).await.expect("room");
}

/// Writes until there is no room; waits for a line; then everything must work again.
async fn fill(path: &str, limit: Option<u64>) {
    let stores = open(Path::new(path)).await;
    let before = getrlimit(Resource::Fsize);
    if let Some(limit) = limit {
        let limit = Rlimit { current: Some(limit), maximum: before.maximum };
        setrlimit(Resource::Fsize, limit).expect("a lower limit");
    }
    let (mut kept, mut refused) = (0, Vec::new());
    // A full log may still be moved into the file; when that is full too, it is final.
    while refused.len() < 10 {
        match stores.grants.keep_refresh(large(kept)).await {
            Ok(is_kept) => {
                assert!(is_kept, "{kept} is new");
                kept += 1;
                refused.clear();
            }
            Err(StoreError::Unavailable(reason)) => refused.push(reason),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(stores.users.list().await.expect("reading goes on").is_empty());
    println!("full {kept} {}", refused.concat());
    std::io::stdin().read_line(&mut String::new()).expect("a line");
    setrlimit(Resource::Fsize, before).expect("the limit of before");
    assert!(stores.grants.keep_refresh(large(kept)).await.expect("room again"));
    for number in 0..=kept {
        let found = stores.grants.find_refresh(digest(number), NOW).await.expect("an answer");
        assert_eq!(found, Some(large(number)), "{number} was acknowledged");
    }
    println!("recovered");
}

/// A token that fills most of a page of the file.
fn large(number: u64) -> RefreshRecord {
    RefreshRecord { user_name: "x".repeat(3_000), ..token(number, "g") }
}

async fn time(path: &str) {
    println!("resident before: {} KiB", resident());
    let stores = open(Path::new(path)).await;
    touch(&stores).await;
    println!("resident after:  {} KiB", resident());
    let mut last = 0;
    let began = Instant::now();
    for _ in 0..10_000 {
        last = stores.revocations.version().await.expect("an answer");
    }
    println!("version: {:.1} µs ({last})", began.elapsed().as_secs_f64() * 1e6 / 10_000.0);
    let began = Instant::now();
    for number in 0..10_000 {
        stores.agents.find_key(digest(number)).await.expect("an answer");
    }
    println!("find_key: {:.1} µs", began.elapsed().as_secs_f64() * 1e6 / 10_000.0);
    let began = Instant::now();
    for number in 0..10_000 {
        stores.grants.spend_code(digest(number), NOW).await.expect("an answer");
    }
    println!("spend_code, unknown: {:.1} µs", began.elapsed().as_secs_f64() * 1e6 / 10_000.0);
    let began = Instant::now();
    for number in 0..500 {
        let done = stores.grants.rotate(digest(number), token(number + 1, "t"), NOW).await;
        assert_eq!(done.expect("an answer"), Rotated::Now);
    }
    println!("rotate: {:.1} µs", began.elapsed().as_secs_f64() * 1e6 / 500.0);
    for number in 0..20_000 {
        stores.agents.find_key(digest(number)).await.expect("an answer");
    }
    println!("resident then:   {} KiB", resident());
}

/// Uses every connection once.
async fn touch(stores: &Stores) {
    stores.revocations.version().await.expect("an answer");
    stores.grants.keep_refresh(token(0, "t")).await.expect("an answer");
    for _ in 0..2 {
        stores.users.list().await.expect("an answer");
    }
}

/// KiB of memory this process has of its own, as far as the system says.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
