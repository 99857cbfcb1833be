//! Checks of what a route shows, and under which names: globs, new names, new descriptions.
//!
//! Only the gate at work knows what upstreams offer. Refused here is what no offer could satisfy: two
//! things with one name, a name that an upstream's own could have, a name that nothing on the route has.

use crate::config::collections::{List, Row, Table};
use crate::config::cover::shown_name;
use crate::config::decode::{At, Key, listed, nearest};
use crate::config::raw::{Chosen, Curated};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::scalars::Text;
use crate::config::values::{Pattern, Prose};
use std::collections::HashSet;
use tollgate_core::bounds::{CURATION_ENTRIES_MAX, DESCRIPTION_BYTES_MAX, SHOWN_NAME_BYTES_MAX};
use tollgate_gate::settings::Curation;

/// Characters that other kinds of globs give a meaning. No tool is called so.
const OTHER_GLOBS: [char; 5] = ['[', ']', '{', '}', '!'];

/// Starts of names that a help line lists.
const STARTS_SHOWN: usize = 4;

/// What is curated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tools,
    Prompts,
    Resources,
}

/// The part of a route that is being checked.
pub(super) struct Shelf<'r> {
    /// The path of the route, for messages.
    pub(super) path: &'r str,
    pub(super) kind: Kind,
    /// The upstreams of the route.
    pub(super) upstreams: &'r [&'r str],
}

impl Shelf<'_> {
    /// The key of this part.
    fn key(&self) -> &'static str {
        match self.kind {
            Kind::Tools => "tools",
            Kind::Prompts => "prompts",
            Kind::Resources => "resources",
        }
    }

    /// How names of an upstream start on a route with several; the usual start first.
    fn starts(&self, upstream: &str) -> Vec<String> {
        match self.kind {
            Kind::Tools | Kind::Prompts => vec![format!("{upstream}__")],
            Kind::Resources => vec![format!("tollgate+{upstream}:"), format!("ui://{upstream}__")],
        }
    }

    /// Whether an upstream's name could be one that starts with `head`, or is `head` where `is_whole`.
    fn could_be(&self, head: &str, is_whole: bool) -> bool {
        let [_, _, ..] = self.upstreams else { return true };
        let mut starts = self.upstreams.iter().flat_map(|upstream| self.starts(upstream));
        starts.any(|start| {
            let inside =
                head.strip_prefix(&start).is_some_and(|rest| !(is_whole && rest.is_empty()));
            inside || (!is_whole && start.starts_with(head))
        })
    }

    /// How the name of something that is nowhere was probably meant.
    fn meant(&self, typed: &str) -> String {
        let (before, divider) = match self.kind {
            Kind::Tools | Kind::Prompts => ("", "__"),
            Kind::Resources => ("tollgate+", ":"),
        };
        let split = typed.strip_prefix(before).and_then(|rest| rest.split_once(divider));
        let near = split
            .filter(|(_, rest)| !rest.is_empty())
            .and_then(|(upstream, rest)| Some((nearest(upstream, self.upstreams)?, rest)));
        if let Some((upstream, rest)) = near {
            let start = self.starts(upstream).swap_remove(0);
            return format!("did you mean `{start}{rest}`?");
        }
        let shown = self.upstreams.iter().take(STARTS_SHOWN);
        let starts: Vec<String> = shown.flat_map(|name| self.starts(name)).collect();
        let starts: Vec<&str> = starts.iter().map(String::as_str).collect();
        let more = if self.upstreams.len() > STARTS_SHOWN { " ..." } else { "" };
        format!(
            "names on a route with several upstreams start with theirs: {}{more}",
            listed(&starts)
        )
    }
}

pub(super) fn chosen(raw: &Chosen, shelf: &Shelf<'_>, reading: &mut Reading<'_>) -> Curation {
    let renamed = Renamed::default();
    Curation {
        include: included(&raw.include, shelf, &renamed, reading),
        exclude: patterns(&raw.exclude.value, raw.exclude.at.as_ref(), shelf, &renamed, reading),
        ..Curation::default()
    }
}

pub(super) fn curated(raw: &Curated, shelf: &Shelf<'_>, reading: &mut Reading<'_>) -> Curation {
    let renamed = renamed(&raw.rename, shelf, reading);
    Curation {
        include: included(&raw.include, shelf, &renamed, reading),
        exclude: patterns(&raw.exclude.value, raw.exclude.at.as_ref(), shelf, &renamed, reading),
        describe: described(&raw.describe, shelf, &renamed, reading),
        rename: renamed.0,
    }
}

/// The name something would have, and the one it gets.
#[derive(Default)]
struct Renamed(Vec<(String, String)>);

impl Renamed {
    fn is_new(&self, name: &str) -> bool {
        self.0.iter().any(|(_, new)| new == name)
    }

    /// The new name of what was called `old`, unless that is the new name of something else.
    fn new_of(&self, old: &str) -> Option<&str> {
        let (_, new) = self.0.iter().find(|(name, _)| name == old)?;
        (!self.is_new(old)).then_some(new)
    }
}

fn included(
    list: &Key<List<Pattern>>,
    shelf: &Shelf<'_>,
    renamed: &Renamed,
    reading: &mut Reading<'_>,
) -> Vec<String> {
    let Some(At { value, at }) = list.given() else { return Vec::new() };
    if value.0.is_empty() {
        let key = shelf.key();
        reading.wrong(
            at,
            format!("`{key}.include` of route `{}` is empty", shelf.path),
            format!("remove it to show all {key}, or write `exclude: [\"*\"]` to show none"),
        );
    }
    patterns(value, Some(at), shelf, renamed, reading)
}

fn patterns(
    list: &List<Pattern>,
    at: Option<&Pos>,
    shelf: &Shelf<'_>,
    renamed: &Renamed,
    reading: &mut Reading<'_>,
) -> Vec<String> {
    if let Some(at) = at {
        count(list.0.len(), at, shelf, reading);
    }
    for At { value: Pattern { value, typed }, at } in &list.0 {
        let head = value.split(['*', '?']).next().unwrap_or_default();
        let is_whole = head.len() == value.len();
        let is_new = renamed
            .0
            .iter()
            .any(|(_, new)| if is_whole { new == value } else { new.starts_with(head) });
        if shelf.kind != Kind::Resources && value.contains(OTHER_GLOBS) {
            reading.wrong(
                at,
                format!("`{typed}` is not a pattern of this file"),
                "the only signs are `*` for any characters and `?` for one; write one pattern for each alternative",
            );
        } else if !is_new && !shelf.could_be(head, is_whole) {
            nowhere(typed, at, shelf, reading);
        }
    }
    list.0.iter().map(|pattern| pattern.value.value.clone()).collect()
}

fn renamed(table: &Key<Table<Text>>, shelf: &Shelf<'_>, reading: &mut Reading<'_>) -> Renamed {
    let Some(At { value: Table(rows), at }) = table.given() else { return Renamed::default() };
    count(rows.len(), at, shelf, reading);
    let mut taken = HashSet::new();
    let mut pairs = Vec::new();
    for row in rows {
        if !one_name(row, shelf, reading) {
            continue;
        }
        let Some(Text { value: new, typed }) = &row.value else { continue };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let path = shelf.path;
        if new.len() > SHOWN_NAME_BYTES_MAX || !new.bytes().all(plain) {
            reading.wrong(
                &row.at,
                format!("`{typed}` cannot be a name on route `{path}`"),
                format!("write 1 to {SHOWN_NAME_BYTES_MAX} letters, digits, `_`, `-` or `.`: clients take no others"),
            );
        } else if *new == row.name {
            reading.wrong(
                &row.at,
                format!("`{typed}` is renamed to what it is called already"),
                "remove the line",
            );
        } else if !taken.insert(new) {
            reading.wrong(
                &row.at,
                format!("route `{path}` would have two {} called `{typed}`", shelf.key()),
                "give each a name of its own",
            );
        } else if shelf.upstreams.len() > 1 && shelf.could_be(new, true) {
            reading.wrong(
                &row.at,
                format!("`{typed}` could be a name of the upstream's own on route `{path}`"),
                "choose a name that does not start with an upstream of the route and `__`",
            );
        }
        pairs.push((row.name.clone(), new.clone()));
    }
    Renamed(pairs)
}

fn described(
    table: &Key<Table<Prose>>,
    shelf: &Shelf<'_>,
    renamed: &Renamed,
    reading: &mut Reading<'_>,
) -> Vec<(String, String)> {
    let Some(At { value: Table(rows), at }) = table.given() else { return Vec::new() };
    count(rows.len(), at, shelf, reading);
    let mut pairs = Vec::new();
    for row in rows {
        if let Some(new) = renamed.new_of(&row.name) {
            reading.wrong(
                &row.at,
                format!("`{}` is called `{new}` on route `{}`", shown_name(&row.name), shelf.path),
                format!("describe it as `{new}`"),
            );
        } else if !renamed.is_new(&row.name) {
            one_name(row, shelf, reading);
        }
        let Some(Prose(text)) = &row.value else { continue };
        if text.len() > DESCRIPTION_BYTES_MAX {
            reading.wrong(
                &row.at,
                format!("the description of `{}` has {} bytes", shown_name(&row.name), text.len()),
                format!("at most {DESCRIPTION_BYTES_MAX}: each list of {} carries it", shelf.key()),
            );
        }
        pairs.push((row.name.clone(), text.clone()));
    }
    pairs
}

/// Whether a row is for one thing that an upstream of the route could have; records a mistake if not.
fn one_name<T>(row: &Row<T>, shelf: &Shelf<'_>, reading: &mut Reading<'_>) -> bool {
    let shown = shown_name(&row.name);
    if row.name.contains(['*', '?']) {
        reading.wrong(
            &row.at,
            format!("`{shown}` stands for several {}", shelf.key()),
            "write one line for each name, without `*` and `?`",
        );
        return false;
    }
    let could_be = shelf.could_be(&row.name, true);
    if !could_be {
        nowhere(&shown, &row.at, shelf, reading);
    }
    could_be
}

fn nowhere(typed: &str, at: &Pos, shelf: &Shelf<'_>, reading: &mut Reading<'_>) {
    let message = format!("nothing on route `{}` can be called `{typed}`", shelf.path);
    reading.wrong(at, message, shelf.meant(typed));
}

fn count(entries: usize, at: &Pos, shelf: &Shelf<'_>, reading: &mut Reading<'_>) {
    if entries > CURATION_ENTRIES_MAX {
        let message =
            format!("a list in `{}` of route `{}` has {entries} entries", shelf.key(), shelf.path);
        reading.wrong(
            at,
            message,
            format!("at most {CURATION_ENTRIES_MAX}; patterns with `*` shorten it"),
        );
    }
}
