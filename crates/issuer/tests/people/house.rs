//! The issuer with everything in memory and a clock that moves only when told to, and browsers that
//! keep cookies as real ones do.

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tollgate_backends::memory::MemoryIdentity;
use tollgate_core::clock::{Clock as _, Entropy, ManualClock};
use tollgate_core::stores::{
    AgentRecord, AuthMethod, ClientKeys, CodeRecord, GrantType, Origin, Quota, Spent, Stores,
    UserRecord,
};
use tollgate_issuer::accounts::new_user_id;
use tollgate_issuer::settings::{
    IssuerSettings, Lifetimes, RegistrationSettings, ResourceSettings, SignIn,
};
use tollgate_issuer::{Issuer, IssuerSources};
use tollgate_oauth::keys::{Alg, KeySet, SharedKeys};
use tollgate_oauth::secret;
use url::Url;
use url::form_urlencoded::Serializer;

pub(crate) const ISSUER: &str = "https://gate.example";
pub(crate) const RESOURCE: &str = "https://gate.example/mcp";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const WEB: &str = "https://atlas.example/callback";
pub(crate) const LOOPBACK: &str = "http://127.0.0.1:4711/callback";
pub(crate) const STATE: &str = "a state/with ?&=%";

/// The challenge of RFC 7636 appendix B.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[derive(Debug)]
pub(crate) struct Random;

impl Entropy for Random {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("random bytes");
    }
}

pub(crate) struct House {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<ManualClock>,
}

impl House {
    /// With local accounts, and one: `ada`.
    pub(crate) async fn new() -> Self {
        Self::with(SignIn::Accounts).await
    }

    pub(crate) async fn with(sign_in: SignIn) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.advance(1_800_000_000_000);
        let stores = MemoryIdentity::stores();
        let sources = IssuerSources {
            stores: stores.clone(),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(Random),
            keys: SharedKeys::new(KeySet::empty()),
            seal: [7; 32],
        };
        let issuer = Issuer::build(settings(sign_in), sources).expect("an issuer");
        let house = Self { issuer, stores, clock };
        house.add_user("ada").await;
        for (id, uri) in [("web", WEB), ("terminal", "http://127.0.0.1/callback")] {
            house.add_client(agent(id, uri)).await;
        }
        house
    }

    pub(crate) async fn add_user(&self, name: &str) {
        let now = self.clock.unix_secs();
        let user = UserRecord {
            id: new_user_id(&Random),
            name: name.into(),
            password: cheap_hash(),
            groups: vec!["dev".into()],
            created: now,
            password_set: now,
            locked: None,
        };
        self.stores.users.add(user).await.expect("a store").expect("a new name");
    }

    pub(crate) async fn add_client(&self, client: AgentRecord) {
        let quota = Quota { total: 100, by_one: 100 };
        self.stores.agents.add(client, quota).await.expect("a store").expect("a new id");
    }

    /// What a code stands for.
    pub(crate) async fn spend(&self, code: &str) -> CodeRecord {
        let now = self.clock.unix_secs();
        match self.stores.grants.spend_code(secret::digest(code), now).await.expect("a store") {
            Spent::Now(record) => *record,
            other => panic!("the code is not good: {other:?}"),
        }
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser {
            house: self,
            cookies: BTreeMap::new(),
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        }
    }
}

/// The password as cheaply hashed as the algorithm allows: what it costs is the unit tests' matter.
fn cheap_hash() -> String {
    let params = Params::new(8, 1, 1, None).expect("parameters");
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = hasher.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]);
    hash.expect("a hash").to_string()
}

fn settings(sign_in: SignIn) -> IssuerSettings {
    let resource = |path: &str| ResourceSettings {
        path: path.into(),
        identifier: format!("{ISSUER}{path}"),
        scopes: vec!["files:read".into(), "files:write".into()],
    };
    IssuerSettings {
        url: Url::parse(ISSUER).expect("a URL"),
        resources: vec![resource("/mcp"), resource("/other")],
        registration: RegistrationSettings {
            dynamic: true,
            documents: true,
            hosts: Vec::new(),
            total_max: 100,
            per_address_max: 100,
            unused: Duration::from_secs(3_600),
            private_addresses: true,
        },
        sign_in,
        workloads: Vec::new(),
        life: Lifetimes {
            code: Duration::from_secs(60),
            access_token: Duration::from_secs(600),
            refresh_token: Duration::from_secs(3_600),
            grant: Duration::from_secs(7_200),
            signing_key: Duration::from_secs(86_400),
            signing_key_ahead: Duration::from_secs(3_600),
        },
        algorithm: Alg::Es256,
    }
}

/// A client of the operator's: public, and free to ask people for anything.
pub(crate) fn agent(id: &str, redirect_uri: &str) -> AgentRecord {
    AgentRecord {
        id: id.into(),
        origin: Origin::Operator,
        name: format!("The {id} agent"),
        auth: AuthMethod::None,
        secrets: Vec::new(),
        keys: ClientKeys::None,
        redirect_uris: vec![redirect_uri.into()],
        grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scopes: Vec::new(),
        routes: Vec::new(),
        groups: Vec::new(),
        metadata: "{}".into(),
        created: 0,
        expires: None,
        used: None,
        revoked: None,
    }
}

/// Parameters of a good authorization request.
pub(crate) fn asking<'a>(client: &'a str, redirect_uri: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("state", STATE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", RESOURCE),
    ]
}

/// The same with one parameter another, or without it.
pub(crate) fn changed<'a>(
    mut fields: Vec<(&'a str, &'a str)>,
    name: &'a str,
    value: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    fields.retain(|(known, _)| *known != name);
    fields.extend(value.map(|value| (name, value)));
    fields
}

pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

/// A browser.
#[derive(Clone)]
pub(crate) struct Browser<'a> {
    house: &'a House,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) address: IpAddr,
}

impl Browser<'_> {
    pub(crate) async fn get(&mut self, place: &str) -> Page {
        self.send(Method::GET, place, String::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.send(Method::POST, path, encoded(fields)).await
    }

    pub(crate) async fn authorize(&mut self, fields: &[(&str, &str)]) -> Page {
        self.get(&format!("/oauth/authorize?{}", encoded(fields))).await
    }

    /// Goes on as long as it is sent on to one of our own pages.
    pub(crate) async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..5 {
            let own = page.location().filter(|place| place.starts_with("/oauth/"));
            let Some(place) = own.map(String::from) else { return page };
            page = self.get(&place).await;
        }
        panic!("it goes round in circles");
    }

    /// From the authorization request to the page that asks for consent, as `ada`.
    pub(crate) async fn asked(&mut self, fields: &[(&str, &str)]) -> Page {
        let page = self.authorize(fields).await;
        let page = self.follow(page).await;
        let page = self.sign_in(&page, "ada", PASSWORD).await;
        let page = self.follow(page).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        page
    }

    /// Fills in the sign-in page.
    pub(crate) async fn sign_in(&mut self, page: &Page, name: &str, password: &str) -> Page {
        let (transaction, token) = (page.field("transaction"), page.field("token"));
        let fields = [
            ("transaction", &*transaction),
            ("token", &*token),
            ("name", name),
            ("password", password),
            ("answer", "sign-in"),
        ];
        self.post("/oauth/signin", &fields).await
    }

    /// Answers the consent page, with all that is offered selected.
    pub(crate) async fn answer(&mut self, page: &Page, answer: &str) -> Page {
        let (transaction, token) = (page.field("transaction"), page.field("token"));
        let names: Vec<String> = (0..64).map(|at| format!("scope-{at}")).collect();
        let offered = names.iter().filter(|name| page.body.contains(&format!("name=\"{name}\"")));
        let mut fields = vec![("transaction", &*transaction), ("token", &*token)];
        fields.extend(offered.map(|name| (&**name, "yes")));
        fields.push(("answer", answer));
        self.post("/oauth/consent", &fields).await
    }

    async fn send(&mut self, method: Method, place: &str, body: String) -> Page {
        let mut request = http::Request::builder().method(&method).uri(place);
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let response = self.house.issuer.serve(request, self.address, true).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        self.keep(&head.headers);
        Page {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).expect("text"),
        }
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().expect("text");
            let (name, rest) = line.split_once('=').expect("a cookie");
            assert!(
                name.starts_with("__Host-") && line.contains("; HttpOnly; SameSite=Lax; Secure")
            );
            let value = rest.split(';').next().unwrap_or_default();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION).and_then(|place| place.to_str().ok())
    }

    /// A parameter of where it leads.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.location()?).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The value of a hidden field.
    pub(crate) fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let after = self.body.split_once(&start).map(|(_, after)| after);
        let value = after.and_then(|after| after.split('"').next());
        value.unwrap_or_else(|| panic!("there is no field `{name}`: {}", self.body)).to_owned()
    }
}
