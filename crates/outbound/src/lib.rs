//! Fetching from URLs that are not an MCP server's: key sets, metadata, token endpoints,
//! introspection, client metadata documents.
//!
//! Every fetch is bounded in bytes and in time, follows no redirect, decompresses nothing, takes no
//! proxy from the environment and uses its connection once. Where somebody else than the operator
//! wrote the URL, it connects to public addresses only, and to exactly the address that was judged:
//! a name is looked up once, so it cannot mean something else a moment later (DNS rebinding).
//! Knows nothing of OAuth and caches nothing.
//!
//! Read in this order.

mod fetch;

mod ask;

mod reach;

mod address;

mod net;

mod trust;

mod talk;

mod fault;

pub use address::is_public;
pub use ask::{Answer, Ask};
pub use fault::FetchFault;
pub use fetch::Fetcher;
pub use net::{Lookup, Net, Opening, System};
pub use reach::Reach;
pub use trust::{Trust, TrustFault};
