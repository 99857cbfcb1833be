//! One request and its answer on a connection that is used for nothing else.
//!
//! The connection is driven by the task that waits, so dropping the fetch ends it. What is read is
//! counted while it comes in; a declared length only ends things sooner.
//!
//! Next: `fault.rs` for what can go wrong.

use crate::ask::{Answer, Ask};
use crate::fault::FetchFault;
use crate::reach::Place;
use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tollgate_core::bounds::outbound::{FETCH_HEAD_BYTES_MAX, FETCH_HEADERS_MAX};

/// Set here or not at all.
const OURS: [HeaderName; 9] = [
    HOST,
    USER_AGENT,
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
];

/// Asks over `io` and reads the whole answer.
pub(crate) async fn talk<I>(io: I, ask: &Ask<'_>, place: &Place<'_>) -> Result<Answer, FetchFault>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = request(ask, place)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(FETCH_HEAD_BYTES_MAX)
        .max_headers(FETCH_HEADERS_MAX)
        .handshake(TokioIo::new(io))
        .await
        .map_err(|error| broken(&error))?;
    let bytes_max = ask.bytes_max;
    let mut asking = pin!(async move {
        let answered = sender.send_request(request).await.map_err(|error| broken(&error))?;
        read(answered, bytes_max).await
    });
    let mut connection = pin!(connection);
    tokio::select! {
        // Biased: what was read counts, even if the connection ended with it.
        biased;
        answer = &mut asking => return answer,
        // Its fault, if any, reaches the asking side too, behind what is still to be read.
        _ended = &mut connection => {}
    }
    asking.await
}

fn request(ask: &Ask<'_>, place: &Place<'_>) -> Result<Request<Full<Bytes>>, FetchFault> {
    let unusable = FetchFault::Url("it cannot be part of a request");
    let mut target = ask.url.path().to_owned();
    if let Some(query) = ask.url.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(target)
        .body(Full::new(ask.body.clone()))
        .map_err(|_| unusable.clone())?;
    let mut host = place.host.to_string();
    if let Some(port) = ask.url.port() {
        host = format!("{host}:{port}");
    }
    let headers = request.headers_mut();
    for (name, value) in &ask.headers {
        if !OURS.contains(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| unusable)?);
    headers.insert(USER_AGENT, HeaderValue::from_static("tollgate"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

async fn read(answered: Response<Incoming>, bytes_max: usize) -> Result<Answer, FetchFault> {
    let (head, mut incoming) = answered.into_parts();
    if head.status.is_redirection() {
        return Err(FetchFault::Redirected(head.status));
    }
    if head.status.is_informational() {
        return Err(FetchFault::Broken(String::from("it wants to change the protocol")));
    }
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !head.headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Err(FetchFault::Encoded);
    }
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !head.headers.get_all(TRANSFER_ENCODING).iter().all(is_chunked) {
        return Err(FetchFault::Encoded);
    }
    let declared = incoming.size_hint().lower();
    if usize::try_from(declared).map_or(true, |declared| declared > bytes_max) {
        return Err(FetchFault::TooLong(bytes_max));
    }
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        // What is no data is a trailer, and means nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > bytes_max - body.len() {
            return Err(FetchFault::TooLong(bytes_max));
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer { status: head.status, headers: head.headers, body: body.freeze() })
}

fn broken(error: &hyper::Error) -> FetchFault {
    if error.is_parse_too_large() {
        return FetchFault::HeadTooLong;
    }
    if error.is_incomplete_message() || error.is_closed() {
        return FetchFault::Broken(String::from("the connection ended before it was complete"));
    }
    match std::error::Error::source(error) {
        Some(source) => FetchFault::Broken(format!("{error}: {source}")),
        None => FetchFault::Broken(error.to_string()),
    }
}
