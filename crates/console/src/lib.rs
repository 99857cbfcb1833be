//! The admin listener: health, readiness and status.
