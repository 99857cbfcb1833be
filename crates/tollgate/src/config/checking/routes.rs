//! Checks of the routes: paths in one normal form, and upstreams that exist.
//!
//! Next: `curation.rs` for what of the upstreams' offer a route shows.

use crate::config::checking::curation::{Kind, Shelf, chosen, curated};
use crate::config::collections::{List, Row};
use crate::config::cover::shown_name;
use crate::config::decode::{At, listed, nearest};
use crate::config::raw::{Root, Route};
use crate::config::reading::Reading;
use crate::config::scalars::Text;
use crate::config::values::Prose;
use std::collections::HashSet;
use tollgate_core::bounds::{INSTRUCTIONS_BYTES_MAX, ROUTE_UPSTREAMS_MAX, UPSTREAMS_MAX};
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_gate::settings::RouteSettings;

pub(super) fn routes(raw: &Root, reading: &mut Reading<'_>) -> Vec<RouteSettings> {
    let Some(table) = raw.routes.given() else { return Vec::new() };
    if table.value.0.len() > UPSTREAMS_MAX {
        reading.wrong(
            &table.at,
            "there are too many routes",
            format!("at most {UPSTREAMS_MAX} fit one gate"),
        );
        return Vec::new();
    }
    // Where `upstreams` itself is wrong, nothing can be said about the names.
    let upstreams = raw.upstreams.given().map(|given| given.value.0.as_slice());
    let upstreams = upstreams.filter(|rows| rows.len() <= UPSTREAMS_MAX);
    let names: Option<Vec<&str>> =
        upstreams.map(|rows| rows.iter().map(|row| row.name.as_str()).collect());
    let mut used = HashSet::new();
    let mut routes = Vec::new();
    for row in &table.value.0 {
        path(row, reading);
        routes.extend(route(row, names.as_deref(), &mut used, reading));
    }
    for row in &table.value.0 {
        old_transport(row, &table.value.0, reading);
    }
    for row in upstreams.unwrap_or_default().iter().filter(|row| !used.contains(row.name.as_str()))
    {
        reading.warn(
            &row.at,
            format!("upstream `{}` is on no route, so nobody can reach it", row.name),
        );
    }
    routes
}

fn path(row: &Row<Route>, reading: &mut Reading<'_>) {
    let path = &row.name;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    let help = if !path.starts_with('/') {
        format!("a path starts with `/`: write `/{}`", shown_name(path))
    } else if path == "/" {
        return;
    } else if path.ends_with('/') {
        format!("write `{}`: one path, not two", path.trim_end_matches('/'))
    } else if path.contains("//") || path.split('/').any(|part| part == "." || part == "..") {
        "empty parts, `.` and `..` mean different paths to different clients: write the path without them".to_owned()
    } else if !path.bytes().all(plain) {
        "write letters, digits, `-`, `.`, `_` and `~` between the slashes; no `%`, `?` or `#`"
            .to_owned()
    } else if path.starts_with("/.well-known") {
        "paths below `/.well-known` belong to the gate itself: choose another".to_owned()
    } else {
        return;
    };
    reading.wrong(&row.at, format!("`{}` cannot be the path of a route", shown_name(path)), help);
}

fn route<'r>(
    row: &'r Row<Route>,
    names: Option<&[&str]>,
    used: &mut HashSet<&'r str>,
    reading: &mut Reading<'_>,
) -> Option<RouteSettings> {
    let raw = row.value.as_ref()?;
    let path = &shown_name(&row.name);
    let upstreams = offered(path, raw.upstreams.given()?, names, reading)?;
    used.extend(&upstreams);
    let shelf = |kind| Shelf { path, kind, upstreams: &upstreams };
    Some(RouteSettings {
        path: RoutePath::from(row.name.as_str()),
        tools: curated(&raw.tools.value, &shelf(Kind::Tools), reading),
        prompts: curated(&raw.prompts.value, &shelf(Kind::Prompts), reading),
        resources: chosen(&raw.resources.value, &shelf(Kind::Resources), reading),
        upstreams: upstreams.iter().map(|name| UpstreamName::from(*name)).collect(),
        instructions: instructions(path, raw, reading),
        soft_sessions: raw.soft_sessions.value.0,
        sse: raw.sse.value.0,
    })
}

/// The upstreams of a route, each once; `None` where there is none.
fn offered<'r>(
    path: &str,
    list: &'r At<List<Text>>,
    names: Option<&[&str]>,
    reading: &mut Reading<'_>,
) -> Option<Vec<&'r str>> {
    let count = list.value.0.len();
    if count > ROUTE_UPSTREAMS_MAX {
        let message = format!("route `{path}` offers {count} upstreams");
        reading.wrong(&list.at, message, format!("at most {ROUTE_UPSTREAMS_MAX} fit one route"));
    }
    if count == 0 {
        let message = format!("route `{path}` offers no upstream");
        reading.wrong(&list.at, message, "name one: `upstreams: [search]`");
        return None;
    }
    let mut offered = Vec::new();
    let mut seen = HashSet::new();
    for At { value: Text { value: name, typed }, at } in &list.value.0 {
        if !seen.insert(name.as_str()) {
            let message = format!("route `{path}` names the upstream `{typed}` twice");
            reading.wrong(at, message, "remove one");
            continue;
        }
        offered.push(name.as_str());
        if let Some(names) = names.filter(|names| !names.contains(&name.as_str())) {
            let help = match nearest(name, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the upstreams are: {}", listed(names)),
            };
            let message =
                format!("route `{path}` names the upstream `{typed}`, which is not there");
            reading.wrong(at, message, help);
        }
    }
    Some(offered)
}

fn instructions(path: &str, raw: &Route, reading: &mut Reading<'_>) -> Option<String> {
    let At { value: Prose(text), at } = raw.instructions.given()?;
    if text.len() > INSTRUCTIONS_BYTES_MAX {
        let message = format!("the instructions of route `{path}` have {} bytes", text.len());
        let help = format!("at most {INSTRUCTIONS_BYTES_MAX}: every conversation carries them");
        reading.wrong(at, message, help);
    }
    Some(text.clone())
}

/// The paths of the old transport must not be those of other routes.
fn old_transport(row: &Row<Route>, rows: &[Row<Route>], reading: &mut Reading<'_>) {
    let Some(sse) = row.value.as_ref().map(|raw| &raw.sse).filter(|sse| sse.value.0) else {
        return;
    };
    let path = shown_name(&row.name);
    let base = row.name.trim_end_matches('/');
    for own in ["/sse", "/messages"].map(|end| format!("{base}{end}")) {
        if let Some(at) = sse.at.as_ref().filter(|_| rows.iter().any(|other| other.name == own)) {
            let own = shown_name(&own);
            reading.wrong(
                at,
                format!("with `sse`, route `{path}` serves `{own}`, which is another route"),
                "give the other route another path, or remove `sse`",
            );
        }
    }
}
