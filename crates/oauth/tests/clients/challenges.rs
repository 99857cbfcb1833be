//! Challenges: one header value, whatever gets in.

use tollgate_oauth::challenge::Challenge;
use tollgate_oauth::error::{Code, Error};

fn challenge(description: &str, scope: &[&str]) -> Challenge {
    Challenge {
        resource_metadata: String::from("https://gw.example/.well-known/x"),
        error: Some(Error { code: Code::InvalidToken, description: String::from(description) }),
        scope: scope.iter().map(|scope| String::from(*scope)).collect(),
    }
}

#[test]
fn a_challenge_names_error_scope_and_metadata() {
    assert_eq!(
        challenge("the token has expired", &["a", "tool:b"]).header(),
        "Bearer error=\"invalid_token\", error_description=\"the token has expired\", \
         scope=\"a tool:b\", resource_metadata=\"https://gw.example/.well-known/x\""
    );
}

#[test]
fn without_a_token_there_is_no_error() {
    let challenge = Challenge { error: None, ..challenge("", &[]) };
    assert_eq!(challenge.header(), "Bearer resource_metadata=\"https://gw.example/.well-known/x\"");
}

#[test]
fn nothing_ends_its_quotes_early() {
    let mut challenge =
        challenge("a\", scope=\"admin\\\r\nX: y\u{e9}\0", &["a\"b", "ok", "c d", ""]);
    challenge.resource_metadata = String::from("https://gw.example/\"\\ \r\n\u{e9}");
    assert_eq!(
        challenge.header(),
        "Bearer error=\"invalid_token\", error_description=\"a', scope='admin/  X: y??\", \
         scope=\"ok\", resource_metadata=\"https://gw.example/%22%5C%20%0D%0A%C3%A9\""
    );
}
