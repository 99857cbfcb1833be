//! Checks of the routes: paths in one normal form, and upstreams that exist.

use crate::config::collections::Row;
use crate::config::cover::shown_name;
use crate::config::decode::{listed, nearest};
use crate::config::raw::{Root, Route};
use crate::config::reading::Reading;
use std::collections::HashSet;
use tollgate_core::bounds::UPSTREAMS_MAX;
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
        let Some(name) = offered(row, names.as_deref(), &mut used, reading) else { continue };
        let upstreams = vec![UpstreamName::from(name)];
        routes.push(RouteSettings::plain(RoutePath::from(row.name.as_str()), upstreams));
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

fn offered<'r>(
    row: &'r Row<Route>,
    names: Option<&[&str]>,
    used: &mut HashSet<&'r str>,
    reading: &mut Reading<'_>,
) -> Option<&'r str> {
    let list = row.value.as_ref()?.upstreams.given()?;
    let path = shown_name(&row.name);
    for upstream in &list.value.0 {
        let name = upstream.value.value.as_str();
        used.insert(name);
        if let Some(names) = names.filter(|names| !names.contains(&name)) {
            let help = match nearest(name, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the upstreams are: {}", listed(names)),
            };
            reading.wrong(
                &upstream.at,
                format!(
                    "route `{path}` names the upstream `{}`, which is not there",
                    upstream.value.typed
                ),
                help,
            );
        }
    }
    match list.value.0.as_slice() {
        [one] => Some(one.value.value.as_str()),
        [] => {
            reading.wrong(
                &list.at,
                format!("route `{path}` offers no upstream"),
                "name one: `upstreams: [search]`",
            );
            None
        }
        [_, _, ..] => {
            reading.wrong(
                &list.at,
                format!(
                    "route `{path}` offers several upstreams, which this version does not have"
                ),
                "give each upstream a route of its own, as in `/mcp/search`",
            );
            None
        }
    }
}
