//! The kinds of single values, each with the form it is typed in: one parser, one schema, one message.
//!
//! Refuses what could be read in two ways: a duration without a unit, a size without a unit,
//! numbers in anything but decimal.

use crate::config::decode::{Decode, found, listed, nearest};
use crate::config::reading::Reading;
use crate::config::tree::{Kind, Node};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tollgate_core::bounds::{KIB, MIB};
use tollgate_core::ids::Secret;

/// A single value.
pub(super) trait Scalar: Sized {
    /// What is expected, after "is not": `a duration`. Empty where only the words listed are.
    const KIND: &'static str;
    /// How it is typed, for the help line.
    const FORM: &'static str;
    /// Whether the value may be shown in a mistake.
    const SECRET: bool = false;
    /// Reads it; the error is a help line where the usual one would not do.
    fn parse(text: &str) -> Result<Self, Option<String>>;
    /// Keeps the text as typed, for later messages that name the value.
    fn typed_as(self, _: &str) -> Self {
        self
    }
    /// Its JSON Schema.
    fn schema() -> Value;
    /// How a default is typed.
    fn spell(&self) -> Option<Value> {
        None
    }
}

impl<T: Scalar> Decode for T {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let Kind::Scalar(typed) = &node.kind else {
            let message =
                format!("`{}` holds {} where {} belongs", reading.here(), found(node), T::KIND);
            reading.wrong(&node.at, message, T::FORM);
            return None;
        };
        let resolved = reading.resolve(typed, &node.at)?;
        match T::parse(&resolved.value) {
            Ok(value) => Some(value.typed_as(&resolved.typed)),
            Err(help) => {
                let shown = if T::SECRET {
                    "this value".to_owned()
                } else {
                    format!("`{}`", resolved.typed)
                };
                let message = match T::KIND {
                    "" => format!("{shown} is not a value of `{}`", reading.here()),
                    kind => format!("{shown} is not {kind}"),
                };
                reading.wrong(&node.at, message, help.unwrap_or_else(|| T::FORM.to_owned()));
                None
            }
        }
    }

    fn schema() -> Value {
        <T as Scalar>::schema()
    }

    fn spell(&self) -> Option<Value> {
        Scalar::spell(self)
    }
}

/// Matches text with a reference in it, for the patterns of the schema.
const OR_REFERENCE: &str = r"|\$\{(env|file):";

/// A span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(pub(super) Duration);

/// Units of time in milliseconds, largest first.
const SPAN_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Longest span taken, in milliseconds: a year. Everything here is a deadline or an interval.
const SPAN_MILLIS_MAX: u64 = 365 * 86_400_000;

impl Span {
    pub(super) const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let whole = SPAN_UNITS.iter().find(|(_, unit)| millis >= *unit && millis % unit == 0);
        let (name, unit) = whole.copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", millis / unit)
    }
}

impl Scalar for Span {
    const KIND: &'static str = "a duration";
    const FORM: &'static str =
        "write a whole number above zero and a unit: `500ms`, `30s`, `5m`, `24h` or `30d`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let (number, unit) = number_and_unit(text).ok_or(None)?;
        let Some((_, millis)) = SPAN_UNITS.iter().find(|(name, _)| *name == unit) else {
            let missing = unit
                .is_empty()
                .then(|| format!("add the unit: `{number}s` for seconds, or `ms`, `m`, `h`, `d`"));
            return Err(missing);
        };
        match number.checked_mul(*millis) {
            Some(millis) if (1..=SPAN_MILLIS_MAX).contains(&millis) => {
                Ok(Self(Duration::from_millis(millis)))
            }
            Some(0) => Err(None),
            _ => Err(Some("the longest duration is `365d`".to_owned())),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": format!("^[0-9]+(ms|s|m|h|d)${OR_REFERENCE}") })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.to_string()))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) usize);

impl Size {
    /// The help line for a size without its unit.
    fn with_unit(bytes: u64) -> Option<String> {
        let size = usize::try_from(bytes).ok().map(Self)?;
        let whole = size.0 >= KIB && size.0.is_multiple_of(KIB);
        whole.then(|| format!("add the unit: `{size}` is {bytes} bytes"))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            n if n > 0 && n.is_multiple_of(MIB) => write!(f, "{}MiB", n / MIB),
            n if n > 0 && n.is_multiple_of(KIB) => write!(f, "{}KiB", n / KIB),
            n => write!(f, "{n}B"),
        }
    }
}

impl Scalar for Size {
    const KIND: &'static str = "a size";
    const FORM: &'static str =
        "write a whole number and a unit: `64KiB` or `4MiB` (1 KiB = 1024 bytes)";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let (number, unit) = number_and_unit(text).ok_or(None)?;
        let factor = match unit {
            "KiB" => KIB,
            "MiB" => MIB,
            "GiB" => 1024 * MIB,
            "" => return Err(Self::with_unit(number)),
            _ => return Err(None),
        };
        let bytes = usize::try_from(number).ok().and_then(|n| n.checked_mul(factor));
        bytes.map(Self).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": format!("^[0-9]+(KiB|MiB|GiB)${OR_REFERENCE}") })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.to_string()))
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    Some((decimal(number)?, unit.trim_start()))
}

/// Decimal digits and nothing else: no sign, no `0x`, no `_`, no leading zero (octal elsewhere).
fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

/// A whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count(pub(super) usize);

impl Scalar for Count {
    const KIND: &'static str = "a whole number";
    const FORM: &'static str = "write decimal digits only, as in `50000`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        decimal(text).and_then(|n| usize::try_from(n).ok()).map(Self).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": ["integer", "string"], "minimum": 0, "pattern": format!("^[0-9]+${OR_REFERENCE}") })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.0))
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

impl Scalar for Flag {
    const KIND: &'static str = "`true` or `false`";
    const FORM: &'static str = "write `true` or `false`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        text.parse().map(Self).map_err(|_| None)
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.0))
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address(pub(super) SocketAddr);

impl Address {
    pub(super) const fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port))
    }
}

impl Default for Address {
    fn default() -> Self {
        Self::loopback(0)
    }
}

impl Scalar for Address {
    const KIND: &'static str = "an address to listen on";
    const FORM: &'static str =
        "write IP address and port: `127.0.0.1:8080`, `0.0.0.0:8443` or `[::1]:8080`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let named = || match text.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_err() => None,
            Some(("localhost", port)) => {
                Some(format!("names are not resolved here: write `127.0.0.1:{port}`"))
            }
            Some(("" | "*", port)) => Some(format!(
                "write `0.0.0.0:{port}` for all IPv4 addresses, `[::]:{port}` for IPv6 as well"
            )),
            _ => None,
        };
        text.parse().map(Self).map_err(|_| named())
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.0.to_string()))
    }
}

/// Plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) value: String,
    /// With its references unresolved, for messages.
    pub(super) typed: String,
}

impl Text {
    pub(super) fn of(text: &str) -> Self {
        Self { value: text.to_owned(), typed: text.to_owned() }
    }
}

impl Scalar for Text {
    const KIND: &'static str = "text";
    const FORM: &'static str = "write one line of text";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let line = !text.trim().is_empty() && !text.chars().any(char::is_control);
        let text = || Self { value: text.to_owned(), typed: text.to_owned() };
        line.then(text).ok_or(None)
    }

    fn typed_as(self, typed: &str) -> Self {
        Self { typed: typed.to_owned(), ..self }
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.value))
    }
}

/// Text nobody may see.
#[derive(Clone, Debug)]
pub(super) struct SecretText(pub(super) Secret<String>);

impl Scalar for SecretText {
    const KIND: &'static str = "a value for a header";
    const FORM: &'static str =
        "one line of visible ASCII characters, without white space at its ends";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let visible = text.bytes().all(|b| (0x20..=0x7e).contains(&b));
        let fits = !text.is_empty() && text.trim() == text && visible;
        fits.then(|| Self(Secret::new(text.to_owned()))).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string", "writeOnly": true })
    }
}

/// Declares an enumeration of words.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $( $(#[$meta:meta])* $variant:ident = $word:literal ),+ $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(super) enum $name { $( $(#[$meta])* $variant ),+ }

        impl Scalar for $name {
            const KIND: &'static str = "";
            const FORM: &'static str = concat!("one of:" $(, " `", $word, "`")+);

            fn parse(text: &str) -> Result<Self, Option<String>> {
                match text {
                    $( $word => Ok(Self::$variant), )+
                    _ => Err($crate::config::scalars::unknown_word(text, &[$($word),+])),
                }
            }

            fn schema() -> Value {
                serde_json::json!({ "enum": [$($word),+] })
            }

            fn spell(&self) -> Option<Value> {
                Some(serde_json::json!(match self { $( Self::$variant => $word ),+ }))
            }
        }
    };
}

pub(super) use words;

/// The help line for a word that is not one of `known`.
pub(super) fn unknown_word(typed: &str, known: &[&str]) -> Option<String> {
    let all = listed(known);
    Some(match nearest(typed, known) {
        Some(meant) => format!("did you mean `{meant}`? One of: {all}"),
        None => format!("one of: {all}"),
    })
}
