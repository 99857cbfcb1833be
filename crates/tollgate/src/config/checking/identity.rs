//! Checks of who may call: off, nobody from outside, or those whom somebody vouches for.
//!
//! The rule that matters most is here: where nothing says who may call, the gate listens on loopback only.
//!
//! Next: `vouching.rs` for those who vouch, `issuer.rs` for the gate's own authorization server.

use crate::config::checking::{gate, is_stored, issuer, span_in, vouching};
use crate::config::collections::{List, Row, WordOr};
use crate::config::cover::shown_name;
use crate::config::decode::{At, Key, listed, nearest};
use crate::config::issuers::Scope;
use crate::config::raw::{Identity, Root, Route, RouteIdentity};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::values::is_loopback;
use tollgate_core::bounds::identity::{LEEWAY_SECS, TOKEN_BELIEVED_SECS};
use tollgate_gate::settings::{Access, IdentitySettings, NamePolicy};
use tollgate_identity::settings::{self as identity, Door, TokenSettings};
use tollgate_issuer::settings::IssuerSettings;
use tollgate_oauth::resource::Resource;
use url::Url;

/// What routes call the gate's own issuer.
pub(super) const OWN: &str = "own";

/// Longest difference of clocks, in seconds.
const LEEWAY_SECS_MAX: u64 = 300;
/// Longest time a token is believed, in seconds.
pub(super) const BELIEVED_SECS_MAX: u64 = 600;

/// Who may call, and what vouching for them takes.
pub(super) struct Who {
    pub(super) identity: IdentitySettings,
    pub(super) issuer: Option<IssuerSettings>,
}

/// Whether callers must prove who they are.
pub(super) fn is_required(raw: &Root) -> bool {
    let off = matches!(raw.identity.given(), Some(At { value: WordOr::Word(_), .. }));
    !off && (raw.identity.given().is_some() || raw.issuer.given().is_some())
}

pub(super) fn who(raw: &Root, names: &NamePolicy, reading: &mut Reading<'_>) -> Who {
    let unkept = |identity| Who { identity, issuer: None };
    let identity = match raw.identity.given() {
        Some(At { value: WordOr::Word(_), at }) => {
            if !raw.issuer.is_absent() {
                reading.wrong(at, "`identity` is `off`, but there is an `issuer` whose tokens would mean nothing", "remove `identity: off` to let in those who prove who they are, or remove `issuer`");
            }
            needless(raw, reading);
            return unkept(IdentitySettings::Off);
        }
        Some(At { value: WordOr::Keys(keys), at }) => Some((keys, at)),
        None if matches!(raw.identity, Key::Wrong) || !raw.issuer.is_absent() => None,
        None => {
            loopback_only(raw, reading);
            needless(raw, reading);
            return unkept(IdentitySettings::LoopbackOnly);
        }
    };
    let Some(at) = identity.map(|(_, at)| at).or(raw.issuer.given().map(|own| &own.at)) else {
        return unkept(IdentitySettings::LoopbackOnly);
    };
    let base = canonical(raw, at, reading);
    let own = raw.issuer.given().map(|own| issuer::url(own, &base, names, reading));
    let default = Identity::default();
    let keys = identity.map_or(&default, |(keys, _)| keys);
    let settings = settings(raw, keys, at, own.as_ref(), reading);
    let doors = doors(raw, &base, &settings, reading);
    let issuer = raw.issuer.given().zip(own).map(|(own, url)| {
        issuer::paths(raw, reading);
        issuer::issuer(&own.value, url, resources(&doors), reading)
    });
    Who {
        identity: IdentitySettings::Required(Box::new(Access { identity: settings, doors })),
        issuer,
    }
}

fn loopback_only(raw: &Root, reading: &mut Reading<'_>) {
    let listen = &raw.gate.value.listen;
    if let Some(at) = listen.at.as_ref().filter(|_| !gate::is_local(listen)) {
        let message = format!(
            "`gate.listen` is {}, which others can reach, and nothing says who may call",
            listen.value.0
        );
        reading.wrong(at, message, "listen on 127.0.0.1, or add a section `identity` or `issuer`, or write `identity: off` at the top level to serve anyone who can connect");
    }
}

/// What only means something where callers prove who they are.
fn needless(raw: &Root, reading: &mut Reading<'_>) {
    let is_used = !raw.issuer.is_absent()
        || !raw.usage.is_absent()
        || !raw.prices.is_absent()
        || is_stored(raw);
    if let Some(at) = raw.stores.at.as_ref().filter(|_| !is_used) {
        let text =
            "nothing is stored without a section `identity`, `issuer`, `pins`, `usage` or `prices`";
        reading.warn(at, text);
    }
    for row in raw.routes.given().map(|routes| routes.value.0.as_slice()).unwrap_or_default() {
        let Some(given) = row.value.as_ref().and_then(|route| route.identity.given()) else {
            continue;
        };
        let path = shown_name(&row.name);
        reading.wrong(
            &given.at,
            format!("route `{path}` has `identity`, but callers of this gate prove nothing"),
            "add a section `identity` or `issuer` at the top level, or remove this key",
        );
    }
}

/// The URL agents use, without a `/` at its end. What tokens are for starts with it, so it cannot be
/// guessed.
fn canonical(raw: &Root, at: &Pos, reading: &mut Reading<'_>) -> Url {
    let gate = &raw.gate.value;
    let listen = gate.listen.value.0;
    let scheme = if gate.tls.is_absent() { "http" } else { "https" };
    let by_address = Url::parse(&format!("{scheme}://{listen}"));
    let url = match &gate.public_url {
        Key::Given(public) => {
            let url = public.value.0.clone();
            if url.scheme() == "http" && !is_loopback(&url) && gate.tls.is_absent() {
                reading.wrong(
                    &public.at,
                    "`gate.public_url` says `http`: tokens and secrets would travel in clear text",
                    "write `https://`, with `gate.tls` or with TLS in front of the gate",
                );
            }
            if url.path() != "/" {
                let origin = url.origin().ascii_serialization();
                reading.warn(&public.at, format!("agents also ask for `{origin}/.well-known/...` and, with `issuer`, `{origin}/oauth/...`: what is in front of the gate must pass these on"));
            }
            Some(url)
        }
        Key::Wrong => None,
        Key::Absent if gate::is_local(&gate.listen) && listen.port() != 0 => by_address.ok(),
        Key::Absent => {
            let why = if gate::is_local(&gate.listen) {
                "the port is left to the system".to_owned()
            } else {
                format!("`gate.listen` is {listen}, which is not what agents connect to")
            };
            reading.wrong(
                at,
                format!("tokens are for the URL that agents use, and {why}"),
                "add `public_url: \"https://mcp.example.com\"` to `gate`",
            );
            None
        }
    };
    url.unwrap_or_else(unknown)
}

/// Stands for a URL that was wrong, so that the rest can be checked.
fn unknown() -> Url {
    // INVARIANT: this text is a URL; were it none, the default port of a file would be no URL either.
    #[expect(clippy::expect_used, reason = "the text is a constant")]
    Url::parse("https://unset.invalid").expect("a URL")
}

fn settings(
    raw: &Root,
    keys: &Identity,
    at: &Pos,
    own: Option<&Url>,
    reading: &mut Reading<'_>,
) -> identity::IdentitySettings {
    span_in(&keys.leeway, "identity.leeway", LEEWAY_SECS_MAX, reading);
    span_in(&keys.believed, "identity.believed", BELIEVED_SECS_MAX, reading);
    let mut issuers = vouching::issuers(&keys.issuers.value, reading);
    if let Some(url) = own {
        issuers.push(identity::IssuerSettings {
            name: OWN.to_owned(),
            url: url.origin().ascii_serialization(),
            audiences: Vec::new(),
            tokens: TokenSettings::Own,
            claims: identity::ClaimNames::default(),
            ca: None,
        });
    }
    let tls = raw.gate.value.tls.given();
    if let Some(certificates) = keys.certificates.given()
        && tls.is_none_or(|tls| tls.value.client_ca.is_absent())
    {
        reading.wrong(
            &certificates.at,
            "`identity.certificates` needs client certificates, which the gate does not ask for",
            "add `gate.tls` with `client_ca`, the PEM file of the authority that signs them",
        );
    }
    let api_keys = keys.api_keys.value.0;
    let nobody = issuers.is_empty() && keys.issuers.value.0.is_empty() && !api_keys;
    if nobody && keys.certificates.is_absent() {
        reading.wrong(at, "nobody could prove who they are", "name an issuer in `identity.issuers`, add a section `issuer`, or set `api_keys` or `certificates`");
    }
    identity::IdentitySettings {
        issuers,
        api_keys,
        certificates: keys.certificates.given().map(|named| vouching::certificate(named.value)),
        leeway: keys.leeway.value.0,
        believed: keys.believed.value.0,
    }
}

/// What each route is to issuers, in the order of the routes.
fn doors(
    raw: &Root,
    base: &Url,
    settings: &identity::IdentitySettings,
    reading: &mut Reading<'_>,
) -> Vec<Door> {
    let known: Vec<&str> = settings.issuers.iter().map(|issuer| issuer.name.as_str()).collect();
    let rows = raw.routes.given().map(|routes| routes.value.0.as_slice()).unwrap_or_default();
    let with_value = rows.iter().filter_map(|row| row.value.as_ref().map(|route| (row, route)));
    // Like the routes themselves: one that offers nothing is no route.
    let kept = with_value.filter(|(_, route)| {
        route.upstreams.given().is_some_and(|upstreams| !upstreams.value.0.is_empty())
    });
    kept.map(|(row, route)| door(row, route, base, &known, reading)).collect()
}

fn door(
    row: &Row<Route>,
    route: &Route,
    base: &Url,
    known: &[&str],
    reading: &mut Reading<'_>,
) -> Door {
    let default = RouteIdentity::default();
    let said = route.identity.given().map_or(&default, |given| &given.value);
    let path = &shown_name(&row.name);
    let mut issuers = Vec::new();
    if let Some(list) = said.issuers.given() {
        if list.value.0.is_empty() {
            let message = format!("route `{path}` accepts no issuer, so no token would be good");
            reading.wrong(&list.at, message, "name one, or remove the key to accept all");
        }
        for At { value: name, at } in &list.value.0 {
            if !known.contains(&name.value.as_str()) {
                let help = match nearest(&name.value, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None if known.is_empty() => {
                        "there is none: add one to `identity.issuers`".to_owned()
                    }
                    None => format!("the issuers are: {}", listed(known)),
                };
                let message =
                    format!("route `{path}` names the issuer `{}`, which is not there", name.typed);
                reading.wrong(at, message, help);
            }
            issuers.push(name.value.clone());
        }
    }
    let scopes = |list: &List<Scope>| {
        let mut scopes: Vec<String> = list.0.iter().map(|scope| scope.value.0.clone()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    };
    let base = base.as_str().trim_end_matches('/');
    let resource = format!("{base}{}", if row.name == "/" { "" } else { &row.name });
    // A path that cannot be part of a URL is a mistake of its own.
    let canonical = Resource::parse(&resource).map(|known| known.as_str().to_owned());
    Door {
        path: row.name.clone(),
        resource: canonical.unwrap_or(resource),
        issuers,
        scopes: scopes(&said.scopes.value),
        offered: scopes(&said.offered.value),
    }
}

/// The routes that the gate's own issuer gives tokens for.
fn resources(doors: &[Door]) -> Vec<tollgate_issuer::settings::ResourceSettings> {
    let open = doors
        .iter()
        .filter(|door| door.issuers.is_empty() || door.issuers.iter().any(|name| name == OWN));
    open.map(|door| {
        let mut scopes: Vec<String> = door.scopes.iter().chain(&door.offered).cloned().collect();
        scopes.sort_unstable();
        scopes.dedup();
        tollgate_issuer::settings::ResourceSettings {
            path: door.path.clone(),
            identifier: door.resource.clone(),
            scopes,
        }
    })
    .collect()
}

const _: () = assert!(LEEWAY_SECS <= LEEWAY_SECS_MAX && TOKEN_BELIEVED_SECS <= BELIEVED_SECS_MAX);
