//! The contract of a `SessionBook`, run against every implementation.

#![expect(clippy::expect_used, reason = "a scene that cannot be set fails its test")]

use std::net::IpAddr;
use std::sync::Arc;
use tollgate_backends::memory::MemorySessions;
use tollgate_core::clock::Millis;
use tollgate_core::ids::{EndpointId, SessionKey, UpstreamName, UpstreamSessionId};
use tollgate_core::principal::{CallerKey, Principal};
use tollgate_core::sessions::{Caps, Full, Home, Lifetimes, Session, SessionBook};

const CAPS: Caps = Caps { total: 4, per_caller: 2 };
const LIFE: Lifetimes = Lifetimes { idle_millis: 100, absolute_millis: 1_000 };

fn caller(last: u8) -> CallerKey {
    CallerKey::of_address(IpAddr::from([10, 0, 0, last]))
}

fn session(key: u8, of: u8, now: u64) -> Session {
    let home = Home {
        endpoint: EndpointId::from("http://e"),
        upstream_session: UpstreamSessionId::parse("u").expect("an id"),
        generation: 0,
        version: 0,
    };
    let key = SessionKey([key; 16]);
    Session::new(
        key,
        (caller(of), Principal::Anonymous, UpstreamName::from("up")),
        home,
        None,
        Millis(now),
    )
}

fn sweep(book: &dyn SessionBook, now: u64) -> Vec<u8> {
    let swept = (0..book.parts())
        .flat_map(|part| book.sweep(part, &|session| session.is_over(Millis(now), LIFE)));
    swept.map(|session| session.key.0[0]).collect()
}

fn book() -> Arc<dyn SessionBook> {
    Arc::new(MemorySessions::default())
}

#[test]
fn a_session_is_found_until_it_is_closed() {
    let book = book();
    book.open(session(1, 1, 0), CAPS).expect("room");
    assert!(book.find(SessionKey([1; 16])).is_some());
    assert!(book.close(SessionKey([1; 16])).is_some());
    assert!(book.close(SessionKey([1; 16])).is_none());
    assert!(book.find(SessionKey([1; 16])).is_none());
    assert_eq!(book.count(), 0);
}

#[test]
fn caps_hold_in_total_and_per_caller() {
    let book = book();
    let opened: Vec<_> = [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)]
        .map(|(key, of)| book.open(session(key, of, 0), CAPS).map(|_| key))
        .into();
    let full = [Ok(1), Ok(2), Err(Full::Caller), Ok(4), Ok(5), Err(Full::Total)];
    assert_eq!(opened, full);
}

#[test]
fn closing_makes_room_for_the_same_caller() {
    let book = book();
    for key in 0..200 {
        book.open(session(key, 1, 0), CAPS).expect("room");
        book.close(SessionKey([key; 16])).expect("it is there");
    }
    assert_eq!(book.count(), 0);
}

#[test]
fn sweeps_take_idle_and_old_sessions_and_no_others() {
    let book = book();
    let used = book.open(session(1, 1, 0), CAPS).expect("room");
    book.open(session(2, 1, 0), CAPS).expect("room");
    used.touch(Millis(90));
    assert_eq!(sweep(&*book, 120), [2]);
    used.stream_opened();
    assert_eq!(sweep(&*book, 900), [0u8; 0]);
    assert_eq!(sweep(&*book, 1_000), [1]);
    assert_eq!(book.count(), 0);
}

#[test]
fn a_leg_counts_towards_no_cap_and_lives_as_long_as_its_session() {
    let book = book();
    let whole = book.open(session(1, 1, 0), CAPS).expect("room");
    let names: Vec<UpstreamName> = (0..9).map(|at| format!("up{at}").into()).collect();
    for name in &names {
        let leg = whole.leg(name.clone(), whole.home.clone(), None);
        book.open(leg, CAPS).expect("legs need no room");
    }
    assert_eq!(book.count(), 1);
    let legs = || names.iter().filter_map(|name| book.find(whole.key.of_leg(name))).count();
    assert_eq!(legs(), names.len());
    whole.touch(Millis(90));
    assert_eq!(sweep(&*book, 120), [0u8; 0]);
    assert_eq!(sweep(&*book, 190).len(), 1 + names.len());
    assert_eq!((book.count(), legs()), (0, 0));
}

#[test]
fn a_closed_stream_restarts_the_idle_time() {
    let book = book();
    let streaming = book.open(session(1, 1, 0), CAPS).expect("room");
    streaming.stream_opened();
    streaming.stream_closed(Millis(500));
    assert_eq!(sweep(&*book, 599), [0u8; 0]);
    assert_eq!(sweep(&*book, 600), [1]);
}

#[test]
fn only_one_of_two_successors_wins() {
    let book = book();
    let first = book.open(session(1, 1, 0), CAPS).expect("room");
    let moved = |generation| {
        let home = Home { generation, ..first.home.clone() };
        first.moved(home, None)
    };
    assert!(book.replace(&first, moved(1)).is_some());
    assert!(book.replace(&first, moved(2)).is_none());
    let now = book.find(SessionKey([1; 16])).expect("it is there");
    assert_eq!(now.home.generation, 1);
}
