//! A glance never panics, its spans lie within the message, and it refuses no message that
//! serde_json and the shape of JSON-RPC accept.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tollgate_mcp::json::{Body, Kind, Limits, judge};
use tollgate_mcp::reply::{GlanceFault, GlanceKind, glance, glance_any};

fuzz_target!(|message: &[u8]| {
    let _many = glance_any(message, 4).is_ok();
    let seen = glance(message);
    if let Ok(seen) = seen {
        for span in [Some(seen.span), seen.id, seen.error].into_iter().flatten() {
            assert!(!span.of(message).is_empty());
        }
        if let Ok(value) = serde_json::from_slice::<Value>(message)
            && seen.kind == GlanceKind::Response
        {
            let id = serde_json::from_slice::<Value>(seen.id.expect("an id").of(message));
            assert_eq!(id.ok().as_ref(), value.get("id"));
        }
    }
    // The judge is stricter everywhere, apart from members whose type only the glance minds.
    if let Ok(Body::One(judged)) = judge(message, &Limits::default())
        && judged.kind == Kind::Response
    {
        assert!(matches!(seen, Ok(_) | Err(GlanceFault::Shape)), "{seen:?}");
    }
});
