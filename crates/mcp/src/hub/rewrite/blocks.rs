//! Resources in content: links and embedded resources of tool results, prompts and samples.
//!
//! SPEC: 2026-07-28 schema, `ContentBlock`, `PromptMessage`, `SamplingMessage`: a tool result within
//! a sample holds blocks again, but no further tool result.

use super::reach::{Edits, Name, Walked, array, each_member, skip, string, text, with_uri};

/// How often blocks may hold blocks.
const NESTING_MAX: usize = 1;

/// The `messages` of a prompt or of a sample.
pub(super) fn prompt_messages(body: &[u8], at: usize, edits: &mut Edits) -> Walked {
    array(body, at, |at| {
        each_member(body, at, |key, at| {
            if key.is(body, "content") { content(body, at, edits) } else { skip(body, at) }
        })
    })
}

/// One block, or an array of them.
pub(super) fn content(body: &[u8], at: usize, edits: &mut Edits) -> Walked {
    blocks(body, at, NESTING_MAX, edits)
}

fn blocks(body: &[u8], at: usize, nesting: usize, edits: &mut Edits) -> Walked {
    if body.get(at) == Some(&b'[') {
        array(body, at, |at| block(body, at, nesting, edits))
    } else {
        block(body, at, nesting, edits)
    }
}

fn block(body: &[u8], at: usize, nesting: usize, edits: &mut Edits) -> Walked {
    let (mut links, mut embedded, mut nested) = (Vec::new(), Vec::new(), Vec::new());
    let (mut is_link, mut is_embedded, mut is_tool_result) = (false, false, false);
    let end = each_member(body, at, |key, at| {
        if key.is(body, "type") {
            let (end, text) = text(body, at)?;
            let is = |kind| text.is_some_and(|text| text.is(body, kind));
            is_link |= is("resource_link");
            is_embedded |= is("resource");
            is_tool_result |= is("tool_result");
            Ok(end)
        } else if key.is(body, "uri") {
            string(body, at, Name::Uri, &mut links)
        } else if key.is(body, "resource") {
            with_uri(body, at, &mut embedded)
        } else if nesting > 0 && key.is(body, "content") {
            blocks(body, at, nesting - 1, &mut nested)
        } else {
            skip(body, at)
        }
    })?;
    let kept = [(is_link, links), (is_embedded, embedded), (is_tool_result, nested)];
    for (_, mut found) in kept.into_iter().filter(|(is_kept, _)| *is_kept) {
        edits.append(&mut found);
    }
    Ok(end)
}
