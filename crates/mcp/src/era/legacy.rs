//! Rules of the session-based revisions, 2024-11-05 to 2025-11-25.

use std::borrow::Cow;

/// A negotiated legacy version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Version {
    /// 2024-11-05, which some servers still negotiate over Streamable HTTP.
    V20241105 = 1,
    /// 2025-03-26.
    V20250326 = 2,
    /// 2025-06-18.
    V20250618 = 3,
    /// 2025-11-25.
    V20251125 = 4,
}

impl Version {
    /// Versions the gate names as supported, newest first.
    pub const OFFERED: [Self; 3] = [Self::V20251125, Self::V20250618, Self::V20250326];

    /// The version with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "2024-11-05" => Some(Self::V20241105),
            "2025-03-26" => Some(Self::V20250326),
            "2025-06-18" => Some(Self::V20250618),
            "2025-11-25" => Some(Self::V20251125),
            _ => None,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V20241105 => "2024-11-05",
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
        }
    }

    /// As one byte, for sealing.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// From [`Self::to_byte`].
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::V20241105),
            2 => Some(Self::V20250326),
            3 => Some(Self::V20250618),
            4 => Some(Self::V20251125),
            _ => None,
        }
    }

    /// Whether requests after `initialize` carry `MCP-Protocol-Version`.
    ///
    /// SPEC: 2025-06-18 basic/transports, Protocol Version Header.
    #[must_use]
    pub fn carries_version_header(self) -> bool {
        self >= Self::V20250618
    }

    /// Whether a body may be an array of messages.
    ///
    /// SPEC: 2025-03-26 basic, Batching; removed in 2025-06-18.
    #[must_use]
    pub fn allows_batches(self) -> bool {
        self == Self::V20250326
    }
}

/// The newest version with sessions.
pub const NEWEST: Version = Version::V20251125;

/// What a request without a session and without a version header speaks.
///
/// SPEC: 2025-06-18 basic/transports: assume 2025-03-26.
pub const ASSUMED: Version = Version::V20250326;

/// The version to ask an upstream for when a client asks for `requested`.
///
/// `initialize` does not exist in modern revisions, yet some servers accept such a version in it.
/// The gate never lets that happen: it asks for the newest legacy version instead.
#[must_use]
pub fn requested(requested: &str) -> Cow<'_, str> {
    if super::modern::speaks(requested) {
        Cow::Borrowed(Version::V20251125.as_str())
    } else {
        Cow::Borrowed(requested)
    }
}
