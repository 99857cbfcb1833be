//! What the sections `pins` come to.

use crate::config::Checked;
use crate::config::tests::judged;
use std::path::Path;
use tollgate_core::ids::UpstreamName;
use tollgate_gate::settings::{IdentitySettings, PinSettings, Treatment, Trust};

fn with(lines: &str, pins: &str) -> Checked {
    let source = format!(
        "{lines}
upstreams:
  one: {{ http: {{ url: \"http://127.0.0.1:9001/mcp\" }}{pins} }}
  two: {{ http: {{ url: \"http://127.0.0.1:9002/mcp\" }} }}
routes:
  /mcp: {{ upstreams: [one, two] }}
"
    );
    judged(&source).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn nothing_is_pinned_or_stored_unless_it_is_written() {
    let checked = with("", "");
    assert!(checked.settings.pins.is_empty());
    assert_eq!(checked.store, None);
}

#[test]
fn an_empty_section_is_the_strict_default_and_has_a_store_without_identity() {
    let checked = with("", ", pins: {}");
    let expected = PinSettings {
        upstream: UpstreamName::from("one"),
        trust: Trust::FirstUse,
        on_change: Treatment::Quarantine,
        suspicious: Treatment::Quarantine,
    };
    assert_eq!(checked.settings.pins, [expected]);
    assert_eq!(checked.settings.identity, IdentitySettings::LoopbackOnly);
    assert_eq!(checked.store.as_deref(), Some(Path::new("/nowhere/tollgate.db")));
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
}

#[test]
fn every_key_arrives() {
    let checked = with(
        "identity: off\nstores: { embedded: x.db }",
        ", pins: { trust: approve, on_change: flag, suspicious: flag }",
    );
    let [pins] = checked.settings.pins.as_slice() else { panic!("{:?}", checked.settings.pins) };
    assert_eq!((pins.trust, pins.on_change), (Trust::Approve, Treatment::Flag));
    assert_eq!(pins.suspicious, Treatment::Flag);
    assert_eq!(checked.store.as_deref(), Some(Path::new("/nowhere/x.db")));
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
}
