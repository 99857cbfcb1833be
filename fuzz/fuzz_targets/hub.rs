//! What strangers say passes a hub as JSON if it was JSON, and names lead back where they came from.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tollgate_mcp::hub::items::{ItemBounds, ListKind, read_page, render_page, shown};
use tollgate_mcp::hub::naming::{NAME_MAX, is_plain, join, may_be_shortened, split};
use tollgate_mcp::hub::offer::Offer;
use tollgate_mcp::hub::rewrite::Face;
use tollgate_mcp::hub::uris::{inward, inward_id, inward_task, outward, outward_id, outward_task};
use tollgate_mcp::json::{Limits, judge_value};
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::{GlanceKind, glance};

const METHODS: [Method; 6] = [
    Method::ToolsCall,
    Method::PromptsGet,
    Method::ResourcesRead,
    Method::TasksGet,
    Method::TasksResult,
    Method::ToolsList,
];
const BOUNDS: ItemBounds = ItemBounds { count_max: 8, item_bytes_max: 1_000, depth_max: 16 };

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        names(text);
    }
    if let Some((upstream, token)) = inward_id(bytes) {
        assert_eq!(inward_id(outward_id(&upstream, &token).as_bytes()), Some((upstream, token)));
    }
    let message = Bytes::copy_from_slice(bytes);
    let Ok(shape) = glance(&message) else { return };
    let face = Face::new("up");
    let was_json = is_json(&message);
    let stays_json = |seen: Bytes| assert!(is_json(&seen) || !was_json);
    match shape.kind {
        GlanceKind::Notification => stays_json(face.notification(message.clone(), &shape)),
        GlanceKind::Request => stays_json(face.request(message.clone(), &shape)),
        GlanceKind::Response | GlanceKind::ErrorResponse => METHODS
            .iter()
            .for_each(|method| stays_json(face.answer(message.clone(), &shape, *method))),
    }
    let Some(result) = shape.result else { return };
    for kind in ListKind::ALL {
        let Ok(page) = read_page(&message, result.span, kind, &BOUNDS) else { continue };
        let items = page.items.iter().map(|item| shown(Some("up"), kind, item, "up__x", Some("d")));
        let limits = Limits { items_max: u32::MAX, ..Limits::default() };
        let rendered = render_page(kind, items, None, Some((1, true)));
        assert!(judge_value(&rendered, &limits).is_ok());
    }
    let offer = Offer::from_discover(&message, result.span, 100);
    let hub = Offer::merge([("up", &offer)].into_iter(), None, 100);
    assert!(is_json(&hub.initialize_result("v", ("n", "1"))));
    assert!(is_json(&hub.discover_result(&["v"], ("n", "1"), 0)));
});

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok()
}

fn names(text: &str) {
    let joined = join("up", text);
    assert!(joined.len() <= NAME_MAX);
    let (upstream, rest) = split(&joined).expect("a name of ours");
    assert_eq!(upstream, "up");
    assert_eq!(is_plain("up", text), !may_be_shortened(rest));
    assert!(may_be_shortened(rest) || rest == text);
    let uri = outward("up", text);
    assert_eq!(inward(&uri).map(|(to, uri)| (to, uri.into_owned())), Some(("up", text.to_owned())));
    if let Some((upstream, original)) = inward(text) {
        assert_eq!(outward(upstream, &original), text);
    }
    let task = outward_task("up", text);
    assert_eq!(inward_task(&task), Some(("up", text)));
}
