//! Which server is meant, and how it is reached: the settings of an upstream, made from the command
//! line.

use crate::cli::TargetArgs;
use crate::config::{self, Report};
use crate::front::{self, FrontError};
use std::time::Duration;
use tollgate_core::bounds::{
    EJECTION_SECS, HEALTH_TIMEOUT_SECS, RESOLVE_EVERY_SECS, UPSTREAM_CONNECT_SECS,
};
use tollgate_core::ids::{Secret, UpstreamName};
use tollgate_gate::settings::{
    CredentialSettings, EjectionSettings, HealthSettings, Probe, SessionLoss, Transport,
    UpstreamEra, UpstreamSettings, UpstreamTimeouts, UpstreamTls,
};
use url::Url;

/// A server to connect to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) settings: UpstreamSettings,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error("{0}")]
    Configuration(Report),
    #[error(transparent)]
    Front(#[from] FrontError),
    #[error("`--header` takes `Name: value`")]
    Header,
    #[error("`--url` takes a URL of `http` or `https`")]
    Scheme,
}

/// Finds the server.
pub(super) fn find(args: &TargetArgs) -> Result<Target, TargetError> {
    let url = match &args.url {
        Some(url) => url.clone(),
        None => {
            let checked = config::look_at(&args.config).map_err(TargetError::Configuration)?;
            let path = front::path(&checked, args.route.as_deref())?;
            front::url(&checked.settings, &path)?
        }
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(TargetError::Scheme);
    }
    let mut headers = Vec::new();
    for header in &args.headers {
        let (name, value) = header.split_once(':').ok_or(TargetError::Header)?;
        headers.push((name.trim().to_ascii_lowercase(), Secret::new(value.trim().to_owned())));
    }
    let tls = UpstreamTls {
        ca: args.ca.clone(),
        client: args.cert.clone().zip(args.key.clone()),
        server_name: None,
    };
    let settings = settings(url.clone(), tls, headers, Duration::from_secs(args.timeout));
    Ok(Target { url, settings })
}

fn settings(
    url: Url,
    tls: UpstreamTls,
    headers: Vec<(String, Secret<String>)>,
    patience: Duration,
) -> UpstreamSettings {
    UpstreamSettings {
        name: UpstreamName::from("gate"),
        transport: Transport::Http,
        endpoints: vec![url],
        tls,
        headers,
        credential: CredentialSettings::None,
        era: UpstreamEra::Auto,
        sessions: SessionLoss::Strict,
        timeouts: UpstreamTimeouts {
            connect: Duration::from_secs(UPSTREAM_CONNECT_SECS),
            first_byte: patience,
            pause: patience,
            total: patience,
        },
        health: HealthSettings {
            probe: Probe::Connect,
            every: Duration::ZERO,
            timeout: Duration::from_secs(HEALTH_TIMEOUT_SECS),
            unhealthy_after: 1,
            healthy_after: 1,
        },
        ejection: EjectionSettings { after: 0, span: Duration::from_secs(EJECTION_SECS) },
        resolve_every: Duration::from_secs(RESOLVE_EVERY_SECS),
    }
}
