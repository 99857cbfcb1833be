//! Lists of upstreams, read item by item, and the pages a hub makes of them.
//!
//! Items of several upstreams stand side by side, so each is judged strictly: one that a parser
//! could refuse or read in two ways, or whose name shows something else than it is, is left out
//! alone and reported. The others keep their bytes; only the name, the description and links to
//! user interfaces change. A duplicate on another page is the caller's business.

use std::collections::HashSet;

use bytes::Bytes;

use super::array::each_element;
use super::naming::{is_hidden, is_usable};
use super::{quote, uris};
use crate::json::{
    Fault, FaultKind, Limits, Span, Text, find_path, judge_value, skip_value, splice,
};
use crate::methods::Method;
use crate::reply::GlanceFault;
use crate::reply::members::Members;

/// Longest URI or URI template that is offered, in bytes: what common clients and proxies carry.
pub const URI_MAX: usize = 8 * 1024;

/// Refused items of a page that are named; the rest are only counted.
pub const REFUSED_MAX: usize = 8;

/// The lists of MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    Templates,
}

impl ListKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The list that a method asks for.
    #[must_use]
    pub fn of(method: Method) -> Option<Self> {
        match method {
            Method::ToolsList => Some(Self::Tools),
            Method::PromptsList => Some(Self::Prompts),
            Method::ResourcesList => Some(Self::Resources),
            Method::ResourceTemplatesList => Some(Self::Templates),
            _ => None,
        }
    }

    /// The method that asks for it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of the result that holds the items.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that names it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    fn is_usable(self, name: &str) -> bool {
        match self {
            Self::Tools | Self::Prompts => is_usable(name),
            Self::Resources | Self::Templates => {
                !name.is_empty() && name.len() <= URI_MAX && !name.chars().any(is_hidden)
            }
        }
    }
}

/// How large a page of an upstream may be.
#[derive(Clone, Copy, Debug)]
pub struct ItemBounds {
    /// Most items taken from one page.
    pub count_max: usize,
    /// Longest item, and longest cursor, in bytes of its JSON.
    pub item_bytes_max: usize,
    /// Deepest nesting of an item; the item itself is level 1.
    pub depth_max: u16,
}

/// One tool, prompt, resource or template, as its upstream describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value of its [`ListKind::key`].
    pub name: String,
    /// The whole object, judged.
    pub json: Bytes,
    key: Span,
    description: Option<Span>,
}

impl Item {
    /// Its `description`, if that is a string.
    #[must_use]
    pub fn description(&self) -> Option<String> {
        let text = text(&self.json, self.description?)?;
        Some(text.decode(&self.json).into_owned())
    }
}

/// An item that is not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedItem {
    /// What it calls itself, made fit for a log; empty if it has no name.
    pub name: String,
    /// Why it is not offered.
    pub why: &'static str,
}

/// One page of an upstream's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The items that can be offered, in the upstream's order.
    pub items: Vec<Item>,
    /// The cursor of the next page as a raw JSON string token. An empty string is a cursor, too.
    pub next_cursor: Option<Bytes>,
    /// For how long the page is fresh, if the upstream says so.
    pub ttl_ms: Option<u64>,
    /// Whether the upstream says that the page is the same for everybody.
    pub is_public: bool,
    /// The first [`REFUSED_MAX`] items that are left out.
    pub refused: Vec<RefusedItem>,
    /// How many items are left out in all.
    pub refused_count: usize,
}

/// Why a page cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// The result is not JSON that can be walked over.
    #[error(transparent)]
    Unreadable(#[from] GlanceFault),
    /// The array of items is missing.
    #[error("the upstream's result has no `{0}` array")]
    NoItems(&'static str),
    /// `nextCursor` is not a string, or too long.
    #[error("the upstream's `nextCursor` is not a string of acceptable length")]
    Cursor,
}

/// Reads the `result` of a list.
///
/// # Errors
/// A [`ListFault`] if there is no list; an item that cannot be offered is only left out.
pub fn read_page(
    message: &Bytes,
    result: Span,
    kind: ListKind,
    bounds: &ItemBounds,
) -> Result<ListPage, ListFault> {
    let mut members = Members::open(message, result.start as usize)?;
    let mut page = ListPage::default();
    let (mut array, mut cursor, mut ttl, mut scope) = (None, None, None, None);
    while let Some(key) = members.next_key()? {
        let slot = if key.is(message, kind.member()) {
            &mut array
        } else if key.is(message, "nextCursor") {
            &mut cursor
        } else if key.is(message, "ttlMs") {
            &mut ttl
        } else if key.is(message, "cacheScope") {
            &mut scope
        } else {
            members.value()?;
            continue;
        };
        if slot.replace(members.value()?).is_some() {
            return Err(GlanceFault::DuplicateKey.into());
        }
    }
    page.next_cursor = match cursor.map(|span| span.of(message)) {
        // Some servers spell out that there is none.
        None | Some(b"null") => None,
        Some(token) => Some(read_cursor(token, bounds)?),
    };
    page.ttl_ms = ttl.and_then(|span| std::str::from_utf8(span.of(message)).ok()?.parse().ok());
    page.is_public =
        scope.and_then(|span| text(message, span)).is_some_and(|text| text.is(message, "public"));
    let array = array
        .filter(|span| span.of(message).first() == Some(&b'['))
        .ok_or(ListFault::NoItems(kind.member()))?;
    read_items(message, array, kind, bounds, &mut page)?;
    Ok(page)
}

fn read_cursor(token: &[u8], bounds: &ItemBounds) -> Result<Bytes, ListFault> {
    let is_cursor = token.first() == Some(&b'"')
        && token.len() <= bounds.item_bytes_max
        && judge_value(token, &Limits::default()).is_ok();
    if is_cursor { Ok(Bytes::copy_from_slice(token)) } else { Err(ListFault::Cursor) }
}

fn read_items(
    message: &Bytes,
    array: Span,
    kind: ListKind,
    bounds: &ItemBounds,
    page: &mut ListPage,
) -> Result<(), GlanceFault> {
    let mut seen = HashSet::new();
    each_element(message, array.start as usize, |at| {
        let end = skip_value(message, at)?;
        let json = Span::new(at, end).of(message);
        let outcome = if page.items.len() >= bounds.count_max {
            Err(RefusedItem { name: String::new(), why: "the page has too many items" })
        } else {
            read_item(json, kind, bounds)
        };
        match outcome {
            Ok(item) if seen.insert(item.name.clone()) => page.items.push(item),
            Ok(item) => refuse(page, refused(&item.name, "its name is on the page already")),
            Err(item) => refuse(page, item),
        }
        Ok(end)
    })?;
    Ok(())
}

fn refuse(page: &mut ListPage, item: RefusedItem) {
    page.refused_count += 1;
    if page.refused.len() < REFUSED_MAX {
        page.refused.push(item);
    }
}

fn refused(name: &str, why: &'static str) -> RefusedItem {
    let name = name.chars().take(64).flat_map(char::escape_debug).collect();
    RefusedItem { name, why }
}

fn read_item(json: &[u8], kind: ListKind, bounds: &ItemBounds) -> Result<Item, RefusedItem> {
    let nameless = |why| refused("", why);
    if json.len() > bounds.item_bytes_max {
        return Err(nameless("it is too large"));
    }
    let limits = Limits { depth_max: bounds.depth_max, items_max: u32::MAX, ..Limits::default() };
    judge_value(json, &limits).map_err(|fault| nameless(reason(fault)))?;
    let members = members(json, kind).ok_or(nameless("it is not a json object"))?;
    let (Some(key), description) = members else {
        return Err(nameless("it has no name"));
    };
    let text = text(json, key).ok_or(nameless("its name is not a string"))?;
    let name = text.decode(json).into_owned();
    if !kind.is_usable(&name) {
        return Err(refused(&name, "its name is empty, too long or holds hidden characters"));
    }
    Ok(Item { name, json: Bytes::copy_from_slice(json), key, description })
}

const fn reason(fault: Fault) -> &'static str {
    match fault.kind {
        FaultKind::TooDeep => "it is nested too deeply",
        FaultKind::DuplicateKey => "it has the same key twice",
        _ => "it is not valid json",
    }
}

/// The values of the item's key and of its description.
fn members(json: &[u8], kind: ListKind) -> Option<(Option<Span>, Option<Span>)> {
    let mut members = Members::open(json, 0).ok()?;
    let (mut name, mut description) = (None, None);
    while let Some(key) = members.next_key().ok()? {
        let value = members.value().ok()?;
        if key.is(json, kind.key()) {
            name = Some(value);
        } else if key.is(json, "description") {
            description = Some(value);
        }
    }
    Some((name, description))
}

fn text(body: &[u8], value: Span) -> Option<Text> {
    let bytes = value.of(body);
    let escaped = memchr::memchr(b'\\', bytes).is_some();
    (bytes.first() == Some(&b'"')).then_some(Text { span: value, escaped })
}

/// The item as a hub lists it: under another `name`, with another `description` if one is given,
/// and with links to user interfaces leading to `upstream` if that is given.
#[must_use]
pub fn shown(
    upstream: Option<&str>,
    kind: ListKind,
    item: &Item,
    name: &str,
    description: Option<&str>,
) -> Bytes {
    let mut edits = Vec::with_capacity(4);
    if item.name != name {
        edits.push((item.key, quote(name)));
    }
    match (description, item.description) {
        (None, _) => {}
        (Some(text), Some(span)) => edits.push((span, quote(text))),
        (Some(text), None) => {
            let behind = Span::at(item.key.end as usize);
            edits.push((behind, format!(r#","description":{}"#, quote(text))));
        }
    }
    let links = [&["_meta", "ui", "resourceUri"][..], &["_meta", "ui/resourceUri"][..]];
    for path in links.into_iter().filter(|_| kind == ListKind::Tools) {
        let whole = Span::new(0, item.json.len());
        let link = find_path(&item.json, whole, path).and_then(|span| text(&item.json, span));
        if let (Some(upstream), Some(link)) = (upstream, link) {
            let uri = uris::outward(upstream, &link.decode(&item.json));
            edits.push((link.span, quote(&uri)));
        }
    }
    let edits: Vec<(Span, &[u8])> =
        edits.iter().map(|(span, text)| (*span, text.as_bytes())).collect();
    splice(&item.json, &edits)
}

/// The `result` object of a page. `modern` gives its freshness in milliseconds and whether it is
/// the same for everybody, for revisions that demand both.
#[must_use]
pub fn render_page<B: AsRef<[u8]>>(
    kind: ListKind,
    items: impl Iterator<Item = B>,
    next_cursor: Option<&str>,
    modern: Option<(u64, bool)>,
) -> Vec<u8> {
    let mut page = format!(r#"{{"{}":["#, kind.member()).into_bytes();
    for (index, item) in items.enumerate() {
        if index > 0 {
            page.push(b',');
        }
        page.extend_from_slice(item.as_ref());
    }
    page.push(b']');
    if let Some(cursor) = next_cursor {
        page.extend_from_slice(format!(r#","nextCursor":{}"#, quote(cursor)).as_bytes());
    }
    if let Some((ttl_ms, is_public)) = modern {
        let scope = if is_public { "public" } else { "private" };
        let members =
            format!(r#","resultType":"complete","ttlMs":{ttl_ms},"cacheScope":"{scope}""#);
        page.extend_from_slice(members.as_bytes());
    }
    page.push(b'}');
    page
}
