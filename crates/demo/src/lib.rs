//! A small stateful MCP server of both eras, for demonstrations and tests.
