//! Keys and the algorithms they may be used with.

/// A JWS algorithm we verify. Symmetric ones and `none` are not among them: nothing with a shared
/// secret is a token here (RFC 8725 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of RFC 7518 section 3.1 and RFC 8037")]
pub enum Alg {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}
