//! Records as they are in the file: JSON text, and times as SQLite's integers; and what can go
//! wrong with either.
//!
//! Next: one of the ports, `agents.rs` first.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_core::stores::StoreError;

/// Why a method has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("there are as many {0} as there may be")]
    Full(&'static str),
    #[error("{0}")]
    Unusable(&'static str),
}

/// SQLite's primary result codes for what is damaged, or not a database at all.
const DAMAGED: [i32; 2] = [11, 26];

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full(what) => Self::Full(what),
            Fault::Unusable(why) => Self::Unavailable(why.to_owned()),
            Fault::Json(error) => Self::Corrupt(format!("a record: {error}")),
            Fault::Sql(sqlx::Error::Database(error)) => {
                let code = error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0);
                // The low byte is the primary code, the rest says more.
                if DAMAGED.contains(&(code & 0xff)) {
                    return Self::Corrupt(error.message().to_owned());
                }
                Self::Unavailable(format!("{} (SQLite {code})", error.message()))
            }
            Fault::Sql(error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))) => {
                Self::Corrupt(error.to_string())
            }
            Fault::Sql(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// A record as text.
pub(super) fn written<T: Serialize>(record: &T) -> Result<String, Fault> {
    Ok(serde_json::to_string(record)?)
}

/// A record from its text.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    Ok(serde_json::from_str(text)?)
}

/// Records from their texts.
pub(super) fn read_all<T: DeserializeOwned>(texts: &[String]) -> Result<Vec<T>, Fault> {
    texts.iter().map(|text| read(text)).collect()
}

/// A time, or a number of rows, as SQLite has it. Beyond its largest is its largest: the end of time
/// either way.
pub(super) fn int(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// And back.
pub(super) fn uint<T: TryFrom<i64> + Default>(number: i64) -> T {
    T::try_from(number).unwrap_or_default()
}
