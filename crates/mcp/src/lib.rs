//! The MCP wire, without I/O: strict JSON, JSON-RPC, event streams, headers and both eras.
