//! Takes items out of a list on its way from an upstream to an agent.
//!
//! Everything that stays keeps its bytes. A list in which two readers could find different items is no
//! list: it is refused, and an item nobody can read in one way is left out. Who may see what is asked,
//! not decided here.

use bytes::Bytes;

use crate::hub::array::each_element;
use crate::hub::items::ListKind;
use crate::json::{Limits, Span, Text, judge_value, members, skip_value, splice};
use crate::reply::GlanceFault;
use crate::reply::members::Members;

/// Why a list cannot be sieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SieveFault {
    /// It cannot be walked over.
    #[error(transparent)]
    Unreadable(#[from] GlanceFault),
    /// Its items are not in one array, or another member looks like theirs.
    #[error("the upstream's list can be read in two ways")]
    Ambiguous,
}

/// What a result lists, by its members; more than one where the upstream makes it so.
#[must_use]
pub fn kinds(message: &[u8], result: Span) -> Vec<ListKind> {
    let keys = members(message, result);
    let has = |kind: &ListKind| keys.iter().any(|(key, _)| is_like(message, *key, kind.member()));
    ListKind::ALL.into_iter().filter(has).collect()
}

/// The message with only those items in its list that are to be shown, and only for the one it was made
/// for. `shows` is asked for each name in turn, with the item's JSON.
///
/// # Errors
/// [`SieveFault`]: then nothing of it must be passed on.
pub fn sieve(
    message: &Bytes,
    result: Span,
    kind: ListKind,
    mut shows: impl FnMut(&str, &[u8]) -> bool,
) -> Result<Bytes, SieveFault> {
    let (mut list, mut scope) = (None, None);
    let mut walk = Members::open(message, result.start as usize)?;
    while let Some(key) = walk.next_key()? {
        let value = walk.value()?;
        let slot = if key.is(message, kind.member()) {
            &mut list
        } else if key.is(message, "cacheScope") {
            &mut scope
        } else if is_like(message, key, kind.member()) {
            return Err(SieveFault::Ambiguous);
        } else {
            continue;
        };
        if slot.replace(value).is_some() {
            return Err(SieveFault::Ambiguous);
        }
    }
    let mut edits: Vec<(Span, Vec<u8>)> = Vec::new();
    if let Some(scope) = scope.filter(|scope| scope.of(message) != br#""private""#) {
        edits.push((scope, br#""private""#.to_vec()));
    }
    match list {
        Some(array) if array.of(message).first() == Some(&b'[') => {
            edits.extend(without(message, array, kind, &mut shows)?);
        }
        None => {}
        Some(other) if other.of(message) == b"null" => {}
        Some(_) => return Err(SieveFault::Ambiguous),
    }
    let edits: Vec<(Span, &[u8])> = edits.iter().map(|(span, text)| (*span, &**text)).collect();
    Ok(splice(message, &edits))
}

/// The array without what is not shown; `None` if that is the array.
fn without(
    message: &[u8],
    array: Span,
    kind: ListKind,
    shows: &mut impl FnMut(&str, &[u8]) -> bool,
) -> Result<Option<(Span, Vec<u8>)>, GlanceFault> {
    let mut items = Vec::new();
    each_element(message, array.start as usize, |at| {
        let end = skip_value(message, at)?;
        items.push(Span::new(at, end));
        Ok(end)
    })?;
    let is_shown = |item: &&Span| {
        let item = item.of(message);
        name(item, kind).is_some_and(|name| shows(&name, item))
    };
    let kept: Vec<&Span> = items.iter().filter(is_shown).collect();
    if kept.len() == items.len() {
        return Ok(None);
    }
    let mut text = vec![b'['];
    for (at, item) in kept.into_iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(item.of(message));
    }
    text.push(b']');
    Ok(Some((array, text)))
}

/// What an item is called, if that has one reading.
fn name(item: &[u8], kind: ListKind) -> Option<String> {
    let limits = Limits { depth_max: 512, items_max: u32::MAX, ..Limits::default() };
    judge_value(item, &limits).ok()?;
    let found = members(item, Span::new(0, item.len()));
    let mut named = found.iter().filter(|(key, _)| is_like(item, *key, kind.key()));
    let (key, value) = named.next()?;
    let is_one = named.next().is_none() && key.is(item, kind.key());
    let text = Text { span: *value, escaped: true };
    (is_one && value.of(item).first() == Some(&b'"')).then(|| text.decode(item).into_owned())
}

/// Whether a key is this one to readers that do not look at case.
fn is_like(message: &[u8], key: Text, wanted: &str) -> bool {
    key.decode(message).eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::{SieveFault, kinds, sieve};
    use crate::hub::items::ListKind;
    use crate::json::{Span, find_path};
    use bytes::Bytes;

    fn sieved(text: &str) -> Result<String, SieveFault> {
        let message = Bytes::copy_from_slice(text.as_bytes());
        let result = find_path(&message, Span::new(0, message.len()), &["result"]);
        let result = result.expect("a result");
        let kept = sieve(&message, result, ListKind::Tools, |name, _| name.starts_with("ok"));
        kept.map(|kept| String::from_utf8(kept.to_vec()).expect("text"))
    }

    #[test]
    fn what_is_not_shown_is_taken_out_and_the_rest_keeps_its_bytes() {
        let list = r#"{"id":1,"result":{"x": 1.0, "tools":[ {"name":"ok1","a" : [1]},{"name":"no"},{"name":"o\u006b2"}],"nextCursor":"c","cacheScope":"public"}}"#;
        let kept = r#"{"id":1,"result":{"x": 1.0, "tools":[{"name":"ok1","a" : [1]},{"name":"o\u006b2"}],"nextCursor":"c","cacheScope":"private"}}"#;
        assert_eq!(sieved(list).as_deref(), Ok(kept));
        assert_eq!(sieved(kept).as_deref(), Ok(kept));
        for same in
            [r#"{"result":{}}"#, r#"{"result":{"tools":[]}}"#, r#"{"result":{"tools":null}}"#]
        {
            assert_eq!(sieved(same).as_deref(), Ok(same));
        }
    }

    #[test]
    fn an_item_that_can_be_read_in_two_ways_is_taken_out() {
        for item in [
            r#"{"name":"ok","name":"no"}"#,
            r#"{"name":"ok","Name":"no"}"#,
            r#"{"Name":"ok"}"#,
            r#"{"name":["ok"]}"#,
            r#"{"title":"ok"}"#,
            r#""ok""#,
            r#"{"name":"ok","a":01}"#,
        ] {
            let kept = sieved(&format!(r#"{{"result":{{"tools":[{item}]}}}}"#));
            assert_eq!(kept.as_deref(), Ok(r#"{"result":{"tools":[]}}"#), "{item}");
        }
    }

    #[test]
    fn a_list_that_can_be_read_in_two_ways_is_none() {
        for result in [
            r#"{"tools":[],"tools":[{"name":"no"}]}"#,
            r#"{"tools":[],"t\u006fols":[{"name":"no"}]}"#,
            r#"{"tools":[],"Tools":[{"name":"no"}]}"#,
            r#"{"tools":{"0":{"name":"no"}}}"#,
            r#"{"tools":[{"name":"ok"} {"name":"no"}]}"#,
            r#"{"tools":[{"name":"ok"},,{"name":"no"}]}"#,
        ] {
            assert!(sieved(&format!(r#"{{"result":{result}}}"#)).is_err(), "{result}");
        }
    }

    #[test]
    fn a_result_tells_what_it_lists() {
        let result = br#"{"Tools":[],"prompts":[],"content":[]}"#;
        let found = kinds(result, Span::new(0, result.len()));
        assert_eq!(found, [ListKind::Tools, ListKind::Prompts]);
    }
}
