//! Where agents find a gate and its routes, by its configuration alone.
//!
//! Behind a proxy only the operator knows: `gate.public_url` wins over the listening address.

use crate::config::Checked;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tollgate_gate::settings::Settings;
use url::Url;

/// The path that is meant where none is named.
const USUAL: &str = "/mcp";

/// Why no URL can be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrontError {
    #[error("there is no route `{asked}`; the routes are: {known}")]
    NoRoute { asked: String, known: String },
    #[error("which route? name one with `--route`: {0}")]
    WhichRoute(String),
    #[error("`gate.listen` leaves the port to the system: name the URL with `--url`")]
    NoPort,
    #[error("`gate.public_url` cannot be followed by the path `{0}`")]
    NoUrl(String),
}

/// The path of the route that is meant.
///
/// # Errors
/// It is not there, or there are several.
pub(crate) fn path(checked: &Checked, asked: Option<&str>) -> Result<String, FrontError> {
    let known: Vec<&str> =
        checked.settings.routes.iter().map(|route| route.path.as_str()).collect();
    let listed = || known.join(", ");
    match (asked, known.as_slice()) {
        (Some(asked), known) if known.contains(&asked) => Ok(asked.to_owned()),
        (Some(asked), _) => Err(FrontError::NoRoute { asked: asked.to_owned(), known: listed() }),
        (None, known) if known.contains(&USUAL) => Ok(USUAL.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => Err(FrontError::WhichRoute(listed())),
    }
}

/// The URL that agents use for a route.
///
/// # Errors
/// The port is not known before the gate starts.
pub(crate) fn url(settings: &Settings, path: &str) -> Result<Url, FrontError> {
    let base = match &settings.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let scheme = if settings.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", reachable(settings.listen).ok_or(FrontError::NoPort)?)
        }
    };
    Url::parse(&format!("{base}{path}")).map_err(|_| FrontError::NoUrl(path.to_owned()))
}

/// Where a listener is reached from its own machine; `None` where the port is not known.
pub(crate) fn reachable(listen: SocketAddr) -> Option<SocketAddr> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    (listen.port() != 0).then(|| SocketAddr::new(ip, listen.port()))
}
