//! The elements of one array of an upstream's message, one by one, without looking within them.

use crate::json::skip_space;
use crate::reply::GlanceFault;

/// Calls `visit` with the offset of each element of the array at `at`; it returns the offset behind
/// that element. Returns the offset behind the array.
pub(crate) fn each_element(
    body: &[u8],
    at: usize,
    mut visit: impl FnMut(usize) -> Result<usize, GlanceFault>,
) -> Result<usize, GlanceFault> {
    if body.get(at) != Some(&b'[') {
        return Err(GlanceFault::Shape);
    }
    let mut at = skip_space(body, at + 1);
    if body.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        at = skip_space(body, visit(at)?);
        match body.get(at) {
            Some(b',') => at = skip_space(body, at + 1),
            Some(b']') => return Ok(at + 1),
            Some(_) => return Err(GlanceFault::Syntax),
            None => return Err(GlanceFault::Truncated),
        }
    }
}
