//! Calls that need no session: the modern era, and legacy servers without sessions.

use super::{Forward, post_headers};
use crate::body::GateBody;
use crate::call::Post;
use crate::generation::Mark;
use crate::knowledge::carry_params;
use crate::reply;
use crate::upstream::Fields;
use http::{HeaderValue, Response, StatusCode};
use tollgate_core::refusal::Refusal;
use tollgate_mcp::era::{Era, legacy, modern};
use tollgate_mcp::headers::MCP_PROTOCOL_VERSION;

impl Forward<'_> {
    /// Forwards a POST to whichever endpoint is least busy.
    pub(crate) async fn post_anywhere(&self, post: &Post) -> Result<Response<GateBody>, Refusal> {
        if post.era == Era::Modern && post.one().is_none_or(|message| message.fields.meta.is_none())
        {
            // A notification that only its header calls modern: nothing is defined for it, so it is
            // accepted and goes nowhere.
            return Ok(reply::empty(StatusCode::ACCEPTED));
        }
        let (_, sent) = self.try_any(|| headers(post), &post.body, post).await?;
        let expected = self.expected(post);
        self.answer(sent, expected, post, (None, Mark::NONE)).await
    }
}

fn headers(post: &Post) -> Fields {
    let mut headers = post_headers();
    match (post.era, post.one()) {
        (Era::Modern, Some(message)) => {
            modern::write_mirrors(&post.body, message, post.method, |name, value| {
                headers.add(name, value);
            });
            carry_params(&post.params, &mut headers);
        }
        (Era::Legacy, _) | (Era::Modern, None) => {
            let version = post.version.filter(|version| version.carries_version_header());
            if let Some(version) = version.map(legacy::Version::as_str) {
                headers.add(&MCP_PROTOCOL_VERSION, &HeaderValue::from_static(version));
            }
        }
    }
    headers
}
