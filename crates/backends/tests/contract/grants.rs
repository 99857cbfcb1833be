//! What holds for codes, refresh tokens, consents and ids that are used once.

use super::{digest, texts};
use tollgate_core::bounds::stores::{CODE_KNOWN_SECS, SWEPT_MAX, USED_TOKENS_PER_GRANT_MAX};
use tollgate_core::stores::{CodeRecord, Consent, GrantId, RefreshRecord, Rotated, Spent, Stores};

const NOW: u64 = 1_000;
const CODE_ENDS: u64 = NOW + 60;
const TOKEN_EXPIRES: u64 = NOW + 500;
const GRANT_ENDS: u64 = NOW + 2_000;

fn grant(name: &str) -> GrantId {
    GrantId(name.to_owned())
}

fn code(number: u64, of: &str) -> CodeRecord {
    CodeRecord {
        digest: digest(number),
        grant: grant(of),
        client: "client".to_owned(),
        redirect_uri: "http://127.0.0.1:7777/cb".to_owned(),
        challenge: "c".repeat(43),
        subject: "user:1".to_owned(),
        user_name: "Ada \"L\"".to_owned(),
        groups: texts(&["staff"]),
        resource: "https://gate.example/mcp".to_owned(),
        scopes: texts(&["a", "b"]),
        expires: CODE_ENDS,
    }
}

fn token(number: u64, of: &str) -> RefreshRecord {
    RefreshRecord {
        digest: digest(number),
        grant: grant(of),
        client: "client".to_owned(),
        subject: "user:1".to_owned(),
        user_name: "Ada".to_owned(),
        groups: texts(&["staff"]),
        resource: "https://gate.example/mcp".to_owned(),
        scopes: texts(&["a"]),
        expires: TOKEN_EXPIRES,
        ends: GRANT_ENDS,
    }
}

async fn keep_code(stores: &Stores, code: CodeRecord) {
    stores.grants.keep_code(code).await.expect("room");
}

async fn spend(stores: &Stores, number: u64, now: u64) -> Spent {
    stores.grants.spend_code(digest(number), now).await.expect("an answer")
}

async fn keep(stores: &Stores, token: RefreshRecord) -> bool {
    stores.grants.keep_refresh(token).await.expect("an answer")
}

async fn is_live(stores: &Stores, number: u64) -> bool {
    stores.grants.find_refresh(digest(number), NOW).await.expect("an answer").is_some()
}

async fn rotate(stores: &Stores, used: u64, next: u64, of: &str) -> Rotated {
    stores.grants.rotate(digest(used), token(next, of), NOW).await.expect("an answer")
}

pub(crate) async fn a_code_is_spent_once(stores: &Stores) {
    assert_eq!(spend(stores, 1, NOW).await, Spent::Unknown);
    keep_code(stores, code(1, "g")).await;
    keep_code(stores, code(2, "h")).await;
    assert_eq!(spend(stores, 1, NOW).await, Spent::Now(Box::new(code(1, "g"))));
    assert_eq!(spend(stores, 1, NOW).await, Spent::Before(grant("g")));
    assert_eq!(spend(stores, 1, NOW).await, Spent::Before(grant("g")));
    assert_eq!(spend(stores, 2, NOW).await, Spent::Now(Box::new(code(2, "h"))));
}

pub(crate) async fn a_code_spent_twice_ends_its_grant(stores: &Stores) {
    for (number, of) in [(1, "g"), (2, "h"), (3, "late")] {
        keep_code(stores, code(number, of)).await;
        assert!(matches!(spend(stores, number, NOW).await, Spent::Now(_)));
    }
    assert!(keep(stores, token(10, "g")).await);
    assert!(keep(stores, token(20, "h")).await);
    assert_eq!(spend(stores, 1, NOW).await, Spent::Before(grant("g")));
    assert!(!is_live(stores, 10).await);
    assert!(is_live(stores, 20).await, "another grant is none of its business");
    assert_eq!(rotate(stores, 10, 11, "g").await, Rotated::Unknown);
    // Also when the second use comes between the first and its refresh token.
    assert_eq!(spend(stores, 3, NOW).await, Spent::Before(grant("late")));
    assert!(!keep(stores, token(30, "late")).await);
    assert!(!is_live(stores, 30).await);
}

pub(crate) async fn a_code_that_was_used_is_known_for_a_day(stores: &Stores) {
    keep_code(stores, code(1, "g")).await;
    assert!(matches!(spend(stores, 1, NOW).await, Spent::Now(_)));
    let last = CODE_ENDS + CODE_KNOWN_SECS - 1;
    stores.grants.sweep(last).await.expect("an answer");
    assert_eq!(spend(stores, 1, last).await, Spent::Before(grant("g")));
    assert_eq!(spend(stores, 1, last + 1).await, Spent::Unknown);
}

pub(crate) async fn an_expired_code_is_unknown(stores: &Stores) {
    keep_code(stores, code(1, "g")).await;
    assert_eq!(spend(stores, 1, CODE_ENDS).await, Spent::Unknown);
    assert!(matches!(spend(stores, 1, CODE_ENDS - 1).await, Spent::Now(_)));
}

pub(crate) async fn a_code_of_an_ended_grant_is_unknown(stores: &Stores) {
    keep_code(stores, code(1, "g")).await;
    stores.grants.end(grant("g"), GRANT_ENDS).await.expect("an answer");
    assert_eq!(spend(stores, 1, NOW).await, Spent::Unknown);
    keep_code(stores, code(2, "g")).await;
    assert_eq!(spend(stores, 2, NOW).await, Spent::Unknown);
}

pub(crate) async fn a_code_that_was_spent_cannot_be_kept_anew(stores: &Stores) {
    keep_code(stores, code(1, "g")).await;
    assert!(matches!(spend(stores, 1, NOW).await, Spent::Now(_)));
    keep_code(stores, code(1, "g")).await;
    assert_eq!(spend(stores, 1, NOW).await, Spent::Before(grant("g")));
}

pub(crate) async fn a_refresh_token_is_found_until_it_expires(stores: &Stores) {
    let find = async |number, now| {
        stores.grants.find_refresh(digest(number), now).await.expect("an answer")
    };
    assert_eq!(find(1, NOW).await, None);
    assert!(keep(stores, token(1, "g")).await);
    let short = RefreshRecord { ends: TOKEN_EXPIRES - 10, ..token(2, "h") };
    assert!(keep(stores, short).await);
    assert_eq!(find(1, TOKEN_EXPIRES - 1).await, Some(token(1, "g")));
    assert_eq!(find(1, TOKEN_EXPIRES).await, None);
    assert!(find(2, TOKEN_EXPIRES - 11).await.is_some());
    assert!(find(2, TOKEN_EXPIRES - 10).await.is_none(), "the end of the grant is before");
}

pub(crate) async fn rotation_puts_the_next_in_the_place_of_the_used(stores: &Stores) {
    assert!(keep(stores, token(1, "g")).await);
    for number in 1..10 {
        assert_eq!(rotate(stores, number, number + 1, "g").await, Rotated::Now);
        assert!(!is_live(stores, number).await);
        assert!(is_live(stores, number + 1).await);
    }
}

pub(crate) async fn a_used_refresh_token_ends_its_grant(stores: &Stores) {
    assert!(keep(stores, token(1, "g")).await);
    assert!(keep(stores, token(50, "h")).await);
    assert_eq!(rotate(stores, 1, 2, "g").await, Rotated::Now);
    assert_eq!(rotate(stores, 2, 3, "g").await, Rotated::Now);
    assert_eq!(rotate(stores, 1, 4, "g").await, Rotated::Before(grant("g")));
    for number in [1, 2, 3, 4] {
        assert!(!is_live(stores, number).await, "{number}");
    }
    assert_eq!(rotate(stores, 3, 5, "g").await, Rotated::Unknown);
    assert_eq!(rotate(stores, 1, 5, "g").await, Rotated::Before(grant("g")));
    assert!(!keep(stores, token(6, "g")).await);
    assert!(is_live(stores, 50).await, "another grant is none of its business");
}

pub(crate) async fn a_used_refresh_token_is_known_until_its_grant_ends(stores: &Stores) {
    assert!(keep(stores, token(1, "g")).await);
    assert_eq!(rotate(stores, 1, 2, "g").await, Rotated::Now);
    let used = async |now| {
        stores.grants.sweep(now).await.expect("an answer");
        stores.grants.rotate(digest(1), token(3, "g"), now).await.expect("an answer")
    };
    assert_eq!(used(GRANT_ENDS - 1).await, Rotated::Before(grant("g")), "long after it expired");
    assert_eq!(used(GRANT_ENDS).await, Rotated::Unknown);
}

pub(crate) async fn expired_and_foreign_refresh_tokens_are_not_rotated(stores: &Stores) {
    assert!(keep(stores, token(1, "g")).await);
    let tried = stores.grants.rotate(digest(1), token(2, "g"), TOKEN_EXPIRES).await;
    assert_eq!(tried.expect("an answer"), Rotated::Unknown);
    assert_eq!(rotate(stores, 9, 2, "g").await, Rotated::Unknown);
    assert_eq!(rotate(stores, 1, 2, "h").await, Rotated::Unknown, "the next is of another grant");
    assert!(!is_live(stores, 2).await);
    assert!(is_live(stores, 1).await);
}

pub(crate) async fn a_rotation_to_a_known_token_changes_nothing(stores: &Stores) {
    for (number, of) in [(1, "g"), (5, "h")] {
        assert!(keep(stores, token(number, of)).await);
    }
    assert_eq!(rotate(stores, 5, 6, "h").await, Rotated::Now);
    for known in [1, 5, 6] {
        let tried = stores.grants.rotate(digest(1), token(known, "g"), NOW).await;
        assert!(tried.is_err(), "{tried:?}");
    }
    assert!(is_live(stores, 1).await);
    assert!(is_live(stores, 6).await);
    assert_eq!(rotate(stores, 1, 2, "g").await, Rotated::Now);
}

pub(crate) async fn an_ended_grant_has_no_refresh_tokens_and_gets_none(stores: &Stores) {
    assert!(keep(stores, token(1, "g")).await);
    stores.grants.end(grant("g"), NOW + 100).await.expect("an answer");
    assert!(!is_live(stores, 1).await);
    assert_eq!(rotate(stores, 1, 2, "g").await, Rotated::Unknown);
    assert!(!keep(stores, token(3, "g")).await);
    // What is ended again is not forgotten sooner.
    stores.grants.end(grant("g"), NOW + 10).await.expect("an answer");
    stores.grants.sweep(NOW + 50).await.expect("an answer");
    assert!(!keep(stores, token(4, "g")).await);
    for number in [3, 4] {
        assert!(!is_live(stores, number).await);
    }
}

pub(crate) async fn all_grants_of_an_agent_or_person_end(stores: &Stores) {
    let whose = |number: u64, client: &str, subject: &str| RefreshRecord {
        client: client.to_owned(),
        subject: subject.to_owned(),
        ..token(number, &format!("g{number}"))
    };
    for (number, client, subject) in
        [(1, "a", "x"), (2, "a", "y"), (3, "b", "x"), (4, "b", "y"), (5, "b", "")]
    {
        assert!(keep(stores, whose(number, client, subject)).await);
    }
    let end_all = async |client, subject| {
        let ended = stores.grants.end_all(client, subject, GRANT_ENDS).await.expect("an answer");
        ended.into_iter().map(|grant| grant.0).collect::<Vec<_>>()
    };
    assert_eq!(end_all(Some("a"), Some("x")).await, ["g1"]);
    assert_eq!(end_all(Some("a"), None).await, ["g2"], "g1 has ended already");
    assert_eq!(end_all(None, Some("y")).await, ["g4"]);
    assert!(end_all(Some("nobody"), None).await.is_empty());
    let mut live = Vec::new();
    for number in 1..=5 {
        live.push(is_live(stores, number).await);
    }
    assert_eq!(live, [false, false, true, false, true]);
}

pub(crate) async fn a_spent_code_stands_for_its_grant(stores: &Stores) {
    keep_code(stores, code(1, "spent")).await;
    keep_code(stores, code(2, "open")).await;
    assert!(matches!(spend(stores, 1, NOW).await, Spent::Now(_)));
    let ended = stores.grants.end_all(None, Some("user:1"), GRANT_ENDS).await.expect("an answer");
    assert_eq!(ended, [grant("open"), grant("spent")]);
    assert!(!keep(stores, token(1, "spent")).await);
    assert_eq!(spend(stores, 2, NOW).await, Spent::Unknown);
}

pub(crate) async fn nobody_named_ends_nothing(stores: &Stores) {
    assert!(keep(stores, token(1, "g")).await);
    assert!(stores.grants.end_all(None, None, GRANT_ENDS).await.expect("an answer").is_empty());
    assert!(is_live(stores, 1).await);
}

pub(crate) async fn an_id_is_used_once(stores: &Stores) {
    let once =
        async |number| stores.grants.spend_once(digest(number), NOW).await.expect("an answer");
    assert_eq!([once(1).await, once(1).await, once(2).await], [true, false, true]);
    stores.grants.sweep(NOW - 1).await.expect("an answer");
    assert!(!once(1).await);
    stores.grants.sweep(NOW).await.expect("an answer");
    assert!(once(1).await);
}

fn consent(parts: [&str; 4], scope: &str) -> Consent {
    let [subject, client, redirect, resource] = parts.map(str::to_owned);
    Consent { subject, client, redirect, resource, scopes: texts(&[scope]), given: NOW }
}

async fn consented(
    stores: &Stores,
    [subject, client, redirect, resource]: [&str; 4],
) -> Option<Consent> {
    let found = stores.grants.consent(subject, client, redirect, resource).await;
    found.expect("an answer")
}

pub(crate) async fn a_consent_is_of_one_person_agent_place_and_resource(stores: &Stores) {
    let key = ["s", "c", "https://r", "https://u"];
    assert_eq!(consented(stores, key).await, None);
    stores.grants.keep_consent(consent(key, "a")).await.expect("room");
    assert_eq!(consented(stores, key).await, Some(consent(key, "a")));
    for at in 0..key.len() {
        let mut other = key;
        other[at] = "other";
        assert_eq!(consented(stores, other).await, None, "{other:?}");
    }
}

pub(crate) async fn a_consent_is_replaced(stores: &Stores) {
    let key = ["s", "c", "https://r", "https://u"];
    for scope in ["a", "b"] {
        stores.grants.keep_consent(consent(key, scope)).await.expect("room");
        assert_eq!(consented(stores, key).await, Some(consent(key, scope)));
    }
}

pub(crate) async fn a_sweep_takes_what_has_ended_and_nothing_else(stores: &Stores) {
    keep_code(stores, code(1, "spent")).await;
    assert!(matches!(spend(stores, 1, NOW).await, Spent::Now(_)));
    keep_code(stores, code(2, "unspent")).await;
    assert!(keep(stores, token(3, "g")).await);
    assert_eq!(rotate(stores, 3, 4, "g").await, Rotated::Now);
    stores.grants.end(grant("e"), NOW + 10).await.expect("an answer");
    assert!(stores.grants.spend_once(digest(5), NOW + 20).await.expect("an answer"));
    let key = ["s", "c", "r", "u"];
    stores.grants.keep_consent(consent(key, "a")).await.expect("room");
    let sweep = async |now| stores.grants.sweep(now).await.expect("an answer");
    assert_eq!(sweep(NOW + 9).await, 0);
    assert_eq!(sweep(NOW + 20).await, 2, "the ended grant and the used id");
    assert_eq!(sweep(CODE_ENDS).await, 1, "the unspent code");
    assert!(is_live(stores, 4).await);
    assert_eq!(sweep(TOKEN_EXPIRES).await, 1, "the token that was not used");
    assert_eq!(sweep(GRANT_ENDS).await, 1, "the used token");
    assert_eq!(sweep(CODE_ENDS + CODE_KNOWN_SECS).await, 1, "the spent code");
    assert_eq!(sweep(u64::MAX).await, 0);
    assert!(consented(stores, key).await.is_some());
}

pub(crate) async fn a_sweep_takes_more_than_one_helping(stores: &Stores) {
    let many = u64::try_from(SWEPT_MAX).expect("a number") + 5;
    for number in 0..many {
        assert!(stores.grants.spend_once(digest(number), NOW).await.expect("an answer"));
    }
    assert_eq!(stores.grants.sweep(NOW).await.expect("an answer"), SWEPT_MAX + 5);
}

pub(crate) async fn of_many_who_spend_a_code_one_succeeds(stores: &Stores) {
    keep_code(stores, code(1, "g")).await;
    let tries = (0..50).map(|_| {
        let stores = stores.clone();
        tokio::spawn(async move { spend(&stores, 1, NOW).await })
    });
    let mut first = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.expect("no panic") {
            Spent::Now(_) => first += 1,
            Spent::Before(of) => assert_eq!(of, grant("g")),
            Spent::Unknown => panic!("it was known"),
        }
    }
    assert_eq!(first, 1);
    assert!(!keep(stores, token(1, "g")).await);
}

pub(crate) async fn of_many_who_rotate_one_succeeds(stores: &Stores) {
    assert!(keep(stores, token(1, "g")).await);
    let tries = (0..50).map(|number| {
        let stores = stores.clone();
        tokio::spawn(async move { rotate(&stores, 1, 100 + number, "g").await })
    });
    let mut first = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.expect("no panic") {
            Rotated::Now => first += 1,
            Rotated::Before(of) => assert_eq!(of, grant("g")),
            Rotated::Unknown => panic!("it was known"),
        }
    }
    assert_eq!(first, 1);
    for number in 0..50 {
        assert!(!is_live(stores, 100 + number).await, "the grant has ended");
    }
}

pub(crate) async fn of_many_who_use_an_id_one_succeeds(stores: &Stores) {
    let tries = (0..50).map(|_| {
        let stores = stores.clone();
        tokio::spawn(async move { stores.grants.spend_once(digest(1), NOW).await })
    });
    let mut first = 0;
    for one in tries.collect::<Vec<_>>() {
        first += usize::from(one.await.expect("no panic").expect("an answer"));
    }
    assert_eq!(first, 1);
}

pub(crate) async fn a_looping_agent_is_remembered_up_to_a_bound(stores: &Stores) {
    let most = u64::try_from(USED_TOKENS_PER_GRANT_MAX).expect("a number");
    assert!(keep(stores, token(0, "g")).await);
    for number in 0..=most {
        assert_eq!(rotate(stores, number, number + 1, "g").await, Rotated::Now);
    }
    assert_eq!(rotate(stores, 0, 99_999, "g").await, Rotated::Unknown, "the oldest made room");
    assert!(is_live(stores, most + 1).await);
    assert_eq!(rotate(stores, 1, 99_999, "g").await, Rotated::Before(grant("g")));
    assert!(!is_live(stores, most + 1).await);
}
