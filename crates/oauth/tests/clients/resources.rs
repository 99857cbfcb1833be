//! Resources: one canonical form, compared whole.

use tollgate_oauth::resource::BadResource::{
    self, Authority, Character, Fragment, Scheme, TooLong, UserInfo,
};
use tollgate_oauth::resource::Resource;

fn resource(text: &str) -> Resource {
    Resource::parse(text).expect("a resource")
}

#[test]
fn scheme_and_host_are_folded_and_nothing_else() {
    for (text, canonical) in [
        ("https://gw.example.com/mcp", "https://gw.example.com/mcp"),
        ("HTTPS://GW.Example.COM/Mcp", "https://gw.example.com/Mcp"),
        ("https://gw.example.com:443/mcp", "https://gw.example.com/mcp"),
        ("http://gw.example.com:80/mcp", "http://gw.example.com/mcp"),
        ("https://gw.example.com:80/mcp", "https://gw.example.com:80/mcp"),
        ("https://gw.example.com", "https://gw.example.com"),
        ("https://gw.example.com/", "https://gw.example.com"),
        ("https://gw.example.com/mcp/", "https://gw.example.com/mcp/"),
        ("https://gw.example.com/a/../mcp", "https://gw.example.com/a/../mcp"),
        ("https://gw.example.com/%6Dcp", "https://gw.example.com/%6Dcp"),
        ("https://gw.example.com/mcp?x=1", "https://gw.example.com/mcp?x=1"),
        ("https://gw.example.com?x", "https://gw.example.com?x"),
        ("http://127.0.0.1:8808/mcp", "http://127.0.0.1:8808/mcp"),
        ("http://[0:0::1]:8808/mcp", "http://[::1]:8808/mcp"),
    ] {
        assert_eq!(resource(text).as_str(), canonical, "{text}");
    }
}

#[test]
fn what_is_no_absolute_url_is_no_resource() {
    let long = format!("https://gw.example.com/{}", "a".repeat(2_048));
    let table: &[(&str, BadResource)] = &[
        ("", Scheme),
        ("/mcp", Scheme),
        ("gw.example.com/mcp", Scheme),
        ("//gw.example.com/mcp", Scheme),
        ("mcp://gw.example.com/mcp", Scheme),
        ("urn:example:mcp", Scheme),
        (" https://gw.example.com/mcp", Scheme),
        ("https://gw.example.com/mcp#", Fragment),
        ("https://gw.example.com/mcp#x", Fragment),
        ("https://user@gw.example.com/mcp", UserInfo),
        ("https://@gw.example.com/mcp", UserInfo),
        ("https://gw.example.com@evil.example/mcp", UserInfo),
        ("https:///mcp", Authority),
        ("https://", Authority),
        ("https://:443/mcp", Authority),
        ("https://gw.example.com:/mcp", Authority),
        ("https://gw.example.com:0443/mcp", Authority),
        ("https://gw.example.com:0/mcp", Authority),
        ("https://gw.example.com:65536/mcp", Authority),
        ("https://gw.example.com:1:2/mcp", Authority),
        ("https://gw..example.com/mcp", Authority),
        ("https://gw.example.com./mcp", Authority),
        ("https://127.1/mcp", Authority),
        ("https://2130706433/mcp", Authority),
        ("https://0x7f.1/mcp", Authority),
        ("https://1.2.3.0x4/mcp", Authority),
        ("https://[::1/mcp", Authority),
        ("https://[::1]x/mcp", Authority),
        ("https://[zz]/mcp", Authority),
        ("https://gw%2eexample.com/mcp", Authority),
        ("https://gw.example.com/mcp ", Character),
        ("https://gw.example.com\\mcp", Character),
        ("https://gw.example.com/m\ncp", Character),
        ("https://gw.example.com/\u{e9}", Character),
        ("https://gw.example.com/%", Character),
        (&long, TooLong),
    ];
    for (bad, why) in table {
        assert_eq!(Resource::parse(bad), Err(*why), "{bad:?}");
    }
}

#[test]
fn only_the_same_resource_passes_for_it() {
    let own = resource("https://gw.example.com/mcp");
    for same in [
        "https://gw.example.com/mcp",
        "HTTPS://gw.example.com/mcp",
        "https://GW.example.com/mcp",
        "https://gw.example.com:443/mcp",
    ] {
        assert!(own.is(same), "{same}");
    }
    for other in [
        "",
        "https://gw.example.com",
        "https://gw.example.com/",
        "https://gw.example.com/mcp/",
        "https://gw.example.com/mcp2",
        "https://gw.example.com/mc",
        "https://gw.example.com/MCP",
        "https://gw.example.com/other",
        "https://gw.example.com/mcp/../mcp",
        "https://gw.example.com/%6dcp",
        "https://gw.example.com/mcp?",
        "https://gw.example.com/mcp#",
        "https://gw.example.com.evil/mcp",
        "https://gw.example.com:444/mcp",
        "http://gw.example.com/mcp",
        "https://x@gw.example.com/mcp",
        "https://gw.example.com./mcp",
        "gw.example.com/mcp",
    ] {
        assert!(!own.is(other), "{other}");
    }
}

#[test]
fn the_metadata_of_a_resource_is_between_its_host_and_its_path() {
    for (text, path) in [
        ("https://gw.example.com/mcp", "/.well-known/oauth-protected-resource/mcp"),
        ("https://gw.example.com/a/b/", "/.well-known/oauth-protected-resource/a/b/"),
        ("https://gw.example.com/", "/.well-known/oauth-protected-resource"),
        ("https://gw.example.com?x", "/.well-known/oauth-protected-resource?x"),
    ] {
        assert_eq!(resource(text).well_known(), path);
    }
    assert_eq!(
        resource("HTTP://Gw.example:8808/mcp").metadata_url(),
        "http://gw.example:8808/.well-known/oauth-protected-resource/mcp"
    );
}
