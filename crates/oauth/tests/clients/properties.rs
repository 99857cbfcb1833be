//! What holds for every input.

use proptest::prelude::*;
use tollgate_oauth::challenge::Challenge;
use tollgate_oauth::error::{Code, Error};
use tollgate_oauth::resource::Resource;
use tollgate_oauth::{client_id, redirect, registration, scope};
use url::Url;

/// Texts that are often nearly a URL.
fn nearly_url() -> impl Strategy<Value = String> {
    let start = prop_oneof![
        Just("https://"),
        Just("http://"),
        Just("HTTP://"),
        Just("https:/"),
        Just("com.example.a:"),
        Just("com.example.a://"),
        Just("javascript:"),
        Just(""),
    ];
    let host = prop_oneof![
        Just(String::from("127.0.0.1")),
        Just(String::from("[::1]")),
        Just(String::from("localhost")),
        Just(String::from("app.example")),
        "[a-zA-Z0-9.@:%\\[\\]_-]{0,12}",
        any::<String>(),
    ];
    let port = prop_oneof![Just(String::new()), "(:[0-9]{0,6})", "[:@.0-9]{0,4}"];
    let rest = prop_oneof!["[/a-z.;%2eE?=&#]{0,16}", "/[ -~]{0,16}", any::<String>()];
    (start, host, port, rest).prop_map(|(a, b, c, d)| format!("{a}{b}{c}{d}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn reading_never_panics(text in prop_oneof![any::<String>(), nearly_url()]) {
        let _ = (scope::parse(&text), Resource::parse(&text), redirect::register(&text));
        let _ = (redirect::place(&text), redirect::is_loopback(&text), redirect::host(&text));
        let _ = (client_id::document(&text, true), client_id::check_name(&text));
        let _ = registration::from_registration(text.as_bytes());
    }

    #[test]
    fn scopes_written_and_read_again_are_the_same(text in "[!#-\\[\\]-~ ]{0,60}") {
        if let Ok(scopes) = scope::parse(&text) {
            prop_assert!(scopes.is_sorted());
            prop_assert_eq!(scope::parse(&scope::join(&scopes)), Ok(scopes));
        }
    }

    #[test]
    fn every_scope_comes_from_between_spaces(text in any::<String>()) {
        if let Ok(scopes) = scope::parse(&text) {
            prop_assert!(scopes.iter().all(|scope| text.split(' ').any(|word| *word == **scope)));
        }
    }

    #[test]
    fn a_canonical_resource_is_its_own_canonical_form(text in nearly_url()) {
        if let Ok(resource) = Resource::parse(&text) {
            prop_assert!(resource.is(&text));
            prop_assert_eq!(Resource::parse(resource.as_str()), Ok(resource.clone()));
            // Another reader of URLs finds the same host, and no user.
            let url = Url::parse(resource.as_str()).expect("a URL");
            prop_assert!(url.username().is_empty() && url.fragment().is_none());
            let host = url.host_str().expect("a host").to_owned();
            let place = format!("://{host}");
            prop_assert!(resource.as_str().contains(&place));
        }
    }

    #[test]
    fn a_redirect_that_can_be_registered_is_read_alike_by_browsers(text in nearly_url()) {
        if redirect::register(&text).is_ok() {
            let url = Url::parse(&text).expect("a URL");
            let slashed = format!("{text}/");
            prop_assert!(url.as_str() == text || url.as_str() == slashed);
            prop_assert!(url.username().is_empty() && url.fragment().is_none());
            let is_local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
            prop_assert!(url.scheme() != "http" || is_local);
            prop_assert!(redirect::matches(&text, &text));
        }
    }

    #[test]
    fn what_passes_for_a_registered_redirect_goes_to_the_same_place(
        registered in nearly_url(),
        asked in nearly_url(),
    ) {
        if redirect::register(&registered).is_ok() && redirect::matches(&registered, &asked) {
            let (one, other) = (Url::parse(&registered), Url::parse(&asked));
            let (one, mut other) = (one.expect("a URL"), other.expect("a URL"));
            if one.scheme() == "http" {
                prop_assert!(other.set_port(one.port()).is_ok());
            }
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn a_document_url_is_canonical_and_at_a_public_name(text in nearly_url()) {
        if let Ok(url) = client_id::document(&text, false) {
            prop_assert_eq!(url.as_str(), text);
            prop_assert!(url.domain().is_some_and(|name| name.contains('.')));
            prop_assert!(url.scheme() == "https" && url.port().is_none() && url.path() != "/");
        }
    }

    #[test]
    fn a_challenge_is_one_line_with_balanced_quotes(
        description in any::<String>(),
        scope in any::<String>(),
        url in any::<String>(),
    ) {
        let challenge = Challenge {
            resource_metadata: url,
            error: Some(Error { code: Code::InsufficientScope, description }),
            scope: vec![scope],
        };
        let header = challenge.header();
        prop_assert!(header.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
        prop_assert!(!header.contains('\\'));
        // Outside quotes there is only what we wrote.
        let outside: String = header.split('"').step_by(2).collect();
        let names = ["Bearer error=, error_description=, resource_metadata=",
            "Bearer error=, error_description=, scope=, resource_metadata="];
        prop_assert!(names.contains(&&*outside), "{}", header);
    }
}
