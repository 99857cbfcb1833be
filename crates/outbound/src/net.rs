//! The network: names to addresses, addresses to connections.
//!
//! A trait, so that tests can let a name stand for any address and see where a fetch would go.
//! Judges nothing: that is `reach.rs`.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use tokio::net::TcpStream;
use tollgate_core::bounds::outbound::FETCH_ADDRESSES_JUDGED_MAX;

/// A name being looked up.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;
/// A connection being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>>;

/// Looks names up and opens connections.
pub trait Net: fmt::Debug + Send + Sync {
    /// All addresses of a name. Asked once for each fetch.
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a>;
    /// A connection to exactly this address.
    fn open(&self, address: SocketAddr) -> Opening<'_>;
}

/// The network of this machine.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Net for System {
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            // One more than is allowed, so that the surplus is noticed.
            Ok(found.take(FETCH_ADDRESSES_JUDGED_MAX + 1).collect())
        })
    }

    fn open(&self, address: SocketAddr) -> Opening<'_> {
        Box::pin(async move {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            Ok(tcp)
        })
    }
}
