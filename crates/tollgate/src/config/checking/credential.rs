//! Checks of the gate's own credential towards an upstream: headers that are its to set.
//!
//! Refuses headers the gate writes itself, and those that mean something to a connection. Names of
//! headers are shown, values never.

use crate::config::collections::{Row, Table};
use crate::config::cover::shown_name;
use crate::config::decode::At;
use crate::config::raw::Credential;
use crate::config::reading::Reading;
use crate::config::scalars::SecretText;
use std::collections::HashSet;
use tollgate_core::bounds::{CREDENTIAL_BYTES_MAX, CREDENTIAL_HEADERS_MAX};
use tollgate_core::ids::Secret;

/// Headers the gate writes itself, or that belong to one connection only.
const OWN_HEADERS: [&str; 16] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "traceparent",
];

pub(super) fn credential(
    raw: &Credential,
    reading: &mut Reading<'_>,
) -> Vec<(String, Secret<String>)> {
    let Some(At { value: Table(rows), at }) = raw.header.given() else { return Vec::new() };
    if rows.len() > CREDENTIAL_HEADERS_MAX {
        reading.wrong(
            at,
            "there are too many headers",
            format!("at most {CREDENTIAL_HEADERS_MAX}"),
        );
    }
    let mut seen = HashSet::new();
    rows.iter().filter_map(|row| header(row, &mut seen, reading)).collect()
}

fn header(
    row: &Row<SecretText>,
    seen: &mut HashSet<String>,
    reading: &mut Reading<'_>,
) -> Option<(String, Secret<String>)> {
    let SecretText(value) = row.value.as_ref()?;
    let typed = &shown_name(&row.name);
    let Ok(name) = http::HeaderName::from_bytes(row.name.as_bytes()) else {
        reading.wrong(
            &row.at,
            format!("`{typed}` is not the name of a header"),
            "a name holds letters, digits and `-`, as in `Authorization`",
        );
        return None;
    };
    let lower = name.as_str();
    if is_own_header(lower) {
        reading.wrong(
            &row.at,
            format!("the header `{typed}` is written by the gate itself"),
            "remove it; a credential is usually `Authorization` or a header of the upstream's own",
        );
    } else if !seen.insert(lower.to_owned()) {
        reading.wrong(
            &row.at,
            format!("the header `{typed}` is there twice"),
            "names of headers do not differ by case; keep one",
        );
    }
    if value.expose().len() > CREDENTIAL_BYTES_MAX {
        reading.wrong(
            &row.at,
            format!("the value of `{typed}` is too long"),
            format!("at most {CREDENTIAL_BYTES_MAX} bytes"),
        );
    }
    Some((lower.to_owned(), value.clone()))
}

/// Whether a header, in lower case, is none that an operator may set.
pub(crate) fn is_own_header(lower: &str) -> bool {
    OWN_HEADERS.contains(&lower) || lower.starts_with("mcp-") || lower.starts_with("proxy-")
}
