//! Implementations of Tollgate's ports.
