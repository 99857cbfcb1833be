//! API keys: one agent each, where and as long as the operator says.

use crate::house::{FRONT, House, door, is_invalid, is_unavailable};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tollgate_core::principal::{API_KEYS, Credential};
use tollgate_core::stores::{
    AgentRecord, Agents, ApiKeyRecord, Digest, Pending, Quota, Revocable, Revocation, StoreError,
    Taken,
};
use tollgate_identity::DoorId;
use tollgate_oauth::secret;

fn text(last: char) -> String {
    format!("tgk_{}{last}", "A".repeat(42))
}

fn record(house: &House, key: &str) -> ApiKeyRecord {
    ApiKeyRecord {
        digest: secret::digest(key),
        label: String::from("tgk_AAAA"),
        agent: String::from("ci"),
        scopes: vec!["write".into(), "read".into()],
        groups: vec!["robots".into()],
        routes: vec![],
        created: house.now(),
        expires: None,
        revoked: None,
    }
}

async fn add(house: &House, record: ApiKeyRecord) {
    house.sources.stores.agents.add_key(record).await.expect("added");
}

#[tokio::test]
async fn a_key_is_one_agent_acting_for_itself() {
    let house = House::with(vec![]);
    add(&house, record(&house, &text('a'))).await;
    let proof = house.proof(&text('a')).await;
    assert_eq!((&*proof.issuer, &*proof.subject, &*proof.client), (API_KEYS, "ci", "ci"));
    assert_eq!((&proof.user, proof.credential), (&None, Credential::ApiKey));
    assert_eq!(proof.scopes.iter().map(|s| &**s).collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(proof.groups.iter().map(|g| &**g).collect::<Vec<_>>(), ["robots"]);
    assert!(house.remembers(&text('a')));
}

#[tokio::test]
async fn a_key_that_is_not_exactly_one_of_ours_is_refused() {
    let house = House::with(vec![]);
    add(&house, record(&house, &text('a'))).await;
    let good = text('a');
    let mut bad: Vec<String> = (0..good.len()).map(|cut| good[..cut].to_owned()).collect();
    bad.extend([text('b'), format!("{good}a"), good.to_uppercase(), good.replace("tgk_", "tgs_")]);
    bad.push(format!("tgk_{}", "=".repeat(43)));
    bad.push(format!(" {good}"));
    for bad in bad.iter().filter(|bad| !bad.is_empty()) {
        assert!(is_invalid(&house.verify(bad).await), "{bad}");
    }
    house.proof(&good).await;
}

#[tokio::test]
async fn keys_end_and_are_good_at_their_routes_only() {
    let mut house = House::with(vec![]);
    house.doors.push(door("/other"));
    house.rebuild().expect("settings");
    let (now, all) = (house.now(), record(&house, "x"));
    let with = |last, change: &dyn Fn(&mut ApiKeyRecord)| {
        let mut record = ApiKeyRecord { digest: secret::digest(&text(last)), ..all.clone() };
        change(&mut record);
        record
    };
    add(&house, with('a', &|key| key.expires = Some(now + 10))).await;
    add(&house, with('b', &|key| key.expires = Some(now))).await;
    add(&house, with('c', &|key| key.revoked = Some(now))).await;
    add(&house, with('d', &|key| key.routes = vec!["/other".into()])).await;
    for bad in ['b', 'c', 'd'] {
        assert!(is_invalid(&house.verify(&text(bad)).await), "{bad}");
    }
    assert!(house.verifier.verify(DoorId(1), &text('d')).await.is_ok());
    house.proof(&text('a')).await;
    house.advance_secs(10);
    assert!(!house.remembers(&text('a')));
    assert!(is_invalid(&house.verify(&text('a')).await));
}

#[tokio::test]
async fn a_key_that_was_guessed_before_it_was_made_is_good_at_once() {
    let house = House::with(vec![]);
    assert!(is_invalid(&house.verify(&text('a')).await));
    add(&house, record(&house, &text('a'))).await;
    house.verifier.start_background();
    let is_good = || async { house.verify(&text('a')).await.is_ok() };
    crate::house::until("the new key counts", is_good).await;
}

#[tokio::test]
async fn where_keys_are_off_none_is_looked_up() {
    let mut house = House::with(vec![]);
    add(&house, record(&house, &text('a'))).await;
    house.settings.api_keys = false;
    house.rebuild().expect("settings");
    assert!(is_invalid(&house.verify(&text('a')).await));
}

#[tokio::test]
async fn revoking_a_key_or_its_agent_ends_it() {
    for by_agent in [false, true] {
        let house = House::with(vec![]);
        let record = record(&house, &text('a'));
        add(&house, record.clone()).await;
        house.proof(&text('a')).await;
        house.verifier.start_background();
        let what = match by_agent {
            true => Revocable::Agent(record.agent.clone()),
            false => Revocable::api_key(&record.digest),
        };
        let revocation = Revocation { what, before: house.now(), until: house.now() + 600 };
        house.sources.stores.revocations.revoke(revocation).await.expect("revoked");
        let is_refused = || async { is_invalid(&house.verify(&text('a')).await) };
        crate::house::until("the key is refused", is_refused).await;
        assert!(!house.remembers(&text('a')));
    }
}

#[tokio::test]
async fn a_key_whose_record_ends_is_refused_within_a_second() {
    for is_revoked in [true, false] {
        let house = House::with(vec![]);
        add(&house, record(&house, &text('a'))).await;
        house.verifier.start_background();
        house.proof(&text('a')).await;
        let (agents, now) = (&house.sources.stores.agents, house.now());
        let begun = tokio::time::Instant::now();
        match is_revoked {
            true => assert_eq!(agents.revoke_keys("ci", None, now).await.expect("done").len(), 1),
            false => assert!(agents.end_key(secret::digest(&text('a')), now).await.expect("done")),
        }
        let is_refused = || async { is_invalid(&house.verify(&text('a')).await) };
        crate::house::until("the key is refused", is_refused).await;
        assert!(begun.elapsed().as_millis() < 1_000);
    }
}

#[tokio::test]
async fn while_the_store_is_away_a_key_is_not_called_bad() {
    let mut house = House::with(vec![]);
    house.sources.stores.agents = Arc::new(Away);
    house.rebuild().expect("settings");
    assert!(is_unavailable(&house.verifier.verify(FRONT, &text('a')).await));
}

/// A store that is away.
#[derive(Debug)]
struct Away;

fn away<'a, T: Send + 'a>() -> Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>> {
    Box::pin(async { Err(StoreError::Unavailable(String::from("away"))) })
}

impl Agents for Away {
    fn add(&self, _: AgentRecord, _: Quota) -> Pending<'_, Result<(), Taken>> {
        away()
    }
    fn find<'a>(&'a self, _: &'a str) -> Pending<'a, Option<AgentRecord>> {
        away()
    }
    fn replace(&self, _: AgentRecord, _: AgentRecord) -> Pending<'_, bool> {
        away()
    }
    fn remove<'a>(&'a self, _: &'a str) -> Pending<'a, bool> {
        away()
    }
    fn list<'a>(&'a self, _: &'a str, _: usize) -> Pending<'a, Vec<AgentRecord>> {
        away()
    }
    fn sweep(&self, _: u64) -> Pending<'_, usize> {
        away()
    }
    fn add_key(&self, _: ApiKeyRecord) -> Pending<'_, ()> {
        away()
    }
    fn find_key(&self, _: Digest) -> Pending<'_, Option<ApiKeyRecord>> {
        away()
    }
    fn keys_of<'a>(&'a self, _: Option<&'a str>) -> Pending<'a, Vec<ApiKeyRecord>> {
        away()
    }
    fn end_key(&self, _: Digest, _: u64) -> Pending<'_, bool> {
        away()
    }
    fn revoke_keys<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: u64,
    ) -> Pending<'a, Vec<ApiKeyRecord>> {
        away()
    }
}
