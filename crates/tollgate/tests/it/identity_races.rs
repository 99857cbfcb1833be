//! The gate's own authorization server on the gate's listener: a person signs in for an agent, which
//! calls; then what may be used once is used by many at once, and what came of it is void.

use crate::GATE;
use crate::identity_house::{Bearer, DOOR, PUBLIC, command, encoded, guarded};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::client::ask;
use testkit::post::good_call;
use testkit::{House, Post, RawClient, Response, legacy_post};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use url::Url;
use url::form_urlencoded::Serializer;

const AT_ONCE: usize = 10;
const ROUNDS: usize = 20;
const CALLBACK: &str = "http://127.0.0.1:8123/callback";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-0123";

fn form(path: &str, fields: &[(&str, &str)]) -> Post {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    Post::new(body).to(path).set("content-type", "application/x-www-form-urlencoded")
}

/// A person's browser, and the agent that sent it.
struct Browser {
    gate: SocketAddr,
    client: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Of an agent that registers itself.
    async fn open(house: &House) -> Self {
        let metadata = json!({
            "client_name": "A test",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let post = Post::new(metadata.to_string()).to("/oauth/register");
        let answer = ask(house.gate.address, &post).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let client = answer.json()["client_id"].as_str().expect("an id").to_owned();
        Self { gate: house.gate.address, client, cookies: BTreeMap::new() }
    }

    async fn send(&mut self, mut request: Vec<u8>) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if !cookies.is_empty() {
            let line = format!("\r\ncookie: {}", cookies.join("; "));
            let end = request.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
            request.splice(end..end, line.into_bytes());
        }
        let mut client = RawClient::connect(self.gate).await;
        client.send(&request).await;
        let answer = client.response().await.expect("an answer");
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, rest) = line.split_once('=').expect("a cookie");
            assert!(line.contains("Secure") && line.contains("HttpOnly"), "{line}");
            let value = rest.split(';').next().unwrap_or_default();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    async fn get(&mut self, place: &str) -> Response {
        self.send(format!("GET {place} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()).await
    }

    /// Goes wherever it is sent on the gate.
    async fn follow(&mut self, mut page: Response) -> Response {
        for _ in 0..5 {
            let place = page.header("location").unwrap_or_default();
            let Some(own) = place.strip_prefix(PUBLIC).or(place.starts_with('/').then_some(place))
            else {
                return page;
            };
            let own = own.to_owned();
            page = self.get(&own).await;
        }
        panic!("it goes round in circles");
    }

    /// Fills in a page that asks something.
    async fn answer(&mut self, page: &Response, path: &str, more: &[(&str, &str)]) -> Response {
        let (transaction, token) = (field(page, "transaction"), field(page, "token"));
        let mut fields = vec![("transaction", transaction.as_str()), ("token", token.as_str())];
        fields.extend_from_slice(more);
        let next = self.send(form(path, &fields).bytes()).await;
        self.follow(next).await
    }

    /// A code for the agent, after whatever the person is asked.
    async fn code(&mut self, password: &str) -> String {
        let challenge = encoded(digest(&SHA256, VERIFIER.as_bytes()));
        let query = Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", &self.client),
                ("redirect_uri", CALLBACK),
                ("state", "s"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
                ("resource", DOOR),
            ])
            .finish();
        let first = self.get(&format!("/oauth/authorize?{query}")).await;
        let mut page = self.follow(first).await;
        if page.text().contains("name=\"password\"") {
            let person = [("name", "ada"), ("password", password), ("answer", "sign-in")];
            page = self.answer(&page, "/oauth/signin", &person).await;
        }
        if page.status == 200 {
            page = self.answer(&page, "/oauth/consent", &[("answer", "allow")]).await;
        }
        let place = page.header("location").unwrap_or_default();
        assert!(place.starts_with(CALLBACK), "{} {place} {}", page.status, page.text());
        let place = Url::parse(place).expect("a URL");
        let of = |name: &str| place.query_pairs().find(|(key, _)| key == name).map(|(_, v)| v);
        assert_eq!(of("iss").as_deref(), Some(PUBLIC));
        of("code").expect("a code").into_owned()
    }

    /// The request that trades a code.
    fn redemption(&self, code: &str) -> Post {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", self.client.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("code", code),
        ];
        form("/oauth/token", &fields)
    }

    /// The request that trades a refresh token.
    fn renewal(&self, token: &str) -> Post {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", self.client.as_str()),
            ("refresh_token", token),
        ];
        form("/oauth/token", &fields)
    }
}

/// The value of a hidden field.
fn field(page: &Response, name: &str) -> String {
    let text = page.text();
    let after = text.split_once(&format!("name=\"{name}\" value=\"")).map(|(_, after)| after);
    let value = after.and_then(|after| after.split('"').next());
    value.unwrap_or_else(|| panic!("no field `{name}`: {} {text}", page.status)).to_owned()
}

async fn house() -> (House, String) {
    let change = |file| guarded(file, &[]).section("issuer: {}");
    let house = House::open_with(GATE, change).await;
    let added = command(&house.gate, &["users", "add", "ada", "--generate"]);
    (house, added["password"].as_str().expect("a password").to_owned())
}

fn tokens(answer: &Response) -> [String; 2] {
    let json = answer.json();
    ["access_token", "refresh_token"].map(|name| json[name].as_str().unwrap_or_default().to_owned())
}

/// Sends the same request many times at once; says who won.
async fn race(gate: SocketAddr, post: &Post) -> Option<[String; 2]> {
    let start = Arc::new(Barrier::new(AT_ONCE));
    let mut racers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (start, post) = (start.clone(), post.clone());
        racers.spawn(async move {
            let mut client = RawClient::connect(gate).await;
            start.wait().await;
            client.ask(&post).await
        });
    }
    let answers = racers.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    for answer in lost {
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, error), (400, json!("invalid_grant")), "{}", answer.text());
    }
    assert!(won.len() <= 1, "{} of {AT_ONCE} got tokens", won.len());
    won.first().map(|answer| tokens(answer))
}

/// Nothing of the grant is good any more.
async fn is_void(house: &House, browser: &Browser, [access, refresh]: &[String; 2]) {
    let bearer = Bearer::of(house, access.as_str());
    let begun = Instant::now();
    while bearer.call().await != 401 {
        assert!(begun.elapsed() < Duration::from_secs(1), "a token of a raced grant is good");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = ask(house.gate.address, &browser.renewal(refresh)).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_for_an_agent_that_then_calls_and_renews() {
    let (house, password) = house().await;
    let before = house.peer.bytes_seen();
    let mut browser = Browser::open(&house).await;
    let code = browser.code(&password).await;
    let answer = ask(house.gate.address, &browser.redemption(&code)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(house.peer.bytes_seen(), before, "signing in reached the upstream");
    let [access, refresh] = tokens(&answer);
    let first = Bearer::of(&house, access);
    let session = first.session("2025-11-25").await;
    let renewed = ask(house.gate.address, &browser.renewal(&refresh)).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    let [access, _] = tokens(&renewed);
    let ping = legacy_post(&session, "ping", &json!({}));
    assert_eq!(Bearer::of(&house, access.as_str()).ask(ping).await.status, 200);
    // Somebody else's agent, for the same person.
    let mut other = Browser::open(&house).await;
    let code = other.code(&password).await;
    let answer = ask(house.gate.address, &other.redemption(&code)).await;
    let [stranger, _] = tokens(&answer);
    assert_eq!(Bearer::of(&house, stranger).ping(&session).await, 404);
    // What was sealed for a browser is no token.
    for cookie in browser.cookies.values() {
        let answer = Bearer::of(&house, cookie.trim_matches('"')).ask(good_call()).await;
        assert!([400, 401].contains(&answer.status), "{}", answer.status);
    }
    for text in [&access, &refresh, &password] {
        assert!(!house.gate.stderr().contains(text.as_str()), "the log shows a secret");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_good_once_is_good_for_at_most_one_of_many_at_once_and_then_for_nobody() {
    let (house, password) = house().await;
    let gate = house.gate.address;
    let mut browser = Browser::open(&house).await;
    for round in 0..ROUNDS {
        let code = browser.code(&password).await;
        if round % 2 == 0 {
            let won = race(gate, &browser.redemption(&code)).await;
            if let Some(won) = won {
                is_void(&house, &browser, &won).await;
            }
            continue;
        }
        let first = ask(gate, &browser.redemption(&code)).await;
        assert_eq!(first.status, 200, "{}", first.text());
        let first = tokens(&first);
        assert_eq!(Bearer::of(&house, first[0].as_str()).call().await, 200);
        let won = race(gate, &browser.renewal(&first[1])).await;
        for tokens in [Some(first), won].into_iter().flatten() {
            is_void(&house, &browser, &tokens).await;
        }
    }
}
