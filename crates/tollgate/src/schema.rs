//! `tollgate schema`: the JSON Schema of the configuration file, as in `docs/tollgate.schema.json`.

use crate::config;
use std::io::{self, Write as _};

/// Prints the schema.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn run() -> io::Result<()> {
    writeln!(io::stdout().lock(), "{:#}", document())
}

/// The schema with what makes it a document of its own.
fn document() -> serde_json::Value {
    let mut document = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tollgate configuration",
    });
    if let (Some(document), serde_json::Value::Object(schema)) =
        (document.as_object_mut(), config::schema())
    {
        document.extend(schema.clone());
    }
    document
}
