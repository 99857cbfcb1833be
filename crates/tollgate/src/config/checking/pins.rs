//! What the sections `pins` of the upstreams come to.

use crate::config::cover::shown_name;
use crate::config::raw::Root;
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::values;
use tollgate_core::ids::UpstreamName;
use tollgate_gate::settings::{PinSettings, Treatment, Trust};

/// Whether anything is pinned, so that there must be a store.
pub(super) fn are_kept(raw: &Root) -> bool {
    let upstreams = raw.upstreams.given().map(|table| table.value.0.as_slice());
    let mut all = upstreams.unwrap_or_default().iter().filter_map(|row| row.value.as_ref());
    all.any(|upstream| !upstream.pins.is_absent())
}

pub(super) fn pins(raw: &Root, reading: &mut Reading<'_>) -> Vec<PinSettings> {
    let Some(table) = raw.upstreams.given() else { return Vec::new() };
    let mut found = Vec::new();
    for row in &table.value.0 {
        let Some(upstream) = row.value.as_ref() else { continue };
        let Some(given) = upstream.pins.given() else { continue };
        let pins = &given.value;
        let trust = match pins.trust.value {
            values::Trust::FirstUse => Trust::FirstUse,
            values::Trust::Approve => Trust::Approve,
        };
        let is_apart = upstream
            .credential
            .given()
            .is_some_and(|credential| !credential.value.exchange.is_absent());
        if trust == Trust::FirstUse && is_apart {
            told_apart(&row.name, &given.at, reading);
        }
        found.push(PinSettings {
            upstream: UpstreamName::from(row.name.as_str()),
            trust,
            on_change: treatment(pins.on_change.value),
            suspicious: treatment(pins.suspicious.value),
        });
    }
    found
}

fn told_apart(name: &str, at: &Pos, reading: &mut Reading<'_>) {
    let name = shown_name(name);
    reading.warn(
        at,
        format!(
            "upstream `{name}` knows its callers: tools that it does not show to the first of them wait for \
             `tollgate pins approve {name}`"
        ),
    );
}

const fn treatment(word: values::Treatment) -> Treatment {
    match word {
        values::Treatment::Quarantine => Treatment::Quarantine,
        values::Treatment::Flag => Treatment::Flag,
    }
}
