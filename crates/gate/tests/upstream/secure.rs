//! TLS towards upstreams: own CAs, names, client certificates, and no way around any of them.
