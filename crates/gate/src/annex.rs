//! What else is served on the gate's listener, besides routes: the gate's own authorization server,
//! where there is one.
//!
//! The gate knows nothing of it but this port. Whose name a request came to was checked before; what
//! is served here needs no identity, since it is where callers get one.

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// An answer that is still to come. Always whole: nothing here streams.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Response<Bytes>> + Send + 'a>>;

/// Paths of somebody else.
pub trait Annex: Send + Sync + std::fmt::Debug {
    /// Whether this path is served here.
    fn serves(&self, path: &str) -> bool;

    /// Serves a request for such a path.
    fn serve(&self, request: Request<Incoming>, address: IpAddr, is_tls: bool) -> Answer<'_>;
}
