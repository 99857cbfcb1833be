//! `x-mcp-header` annotations in a `tools/list` result: which arguments travel as headers.
//!
//! A tool with a bad annotation must not be offered over HTTP at all, so each tool that has any
//! is reported with its outcome, and [`remove_elements`] takes bad ones out of the array without
//! touching the others. Schemas are read as data: no `$ref` is followed, nothing is validated.
//!
//! SPEC: 2026-07-28 basic/transports/streamable-http, "Schema Extension".

use bytes::Bytes;
use http::HeaderName;
use serde_json::{Map, Value};

use super::MCP_PARAM_PREFIX;
use crate::json::{Span, elements, find_path, splice};

const KEY: &str = "x-mcp-header";

/// The JSON type of an annotated argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// `string`
    Text,
    /// `integer`
    Integer,
    /// `boolean`
    Boolean,
}

/// One argument that travels as a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The whole header name, `mcp-param-` included.
    pub header: HeaderName,
    /// The keys that lead from `arguments` to the value.
    pub path: Vec<String>,
    /// The type the schema gives the value.
    pub kind: ParamKind,
}

/// The annotations of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolHeaders {
    /// The tool's name; empty if it has none.
    pub tool: String,
    /// The tool's element in the array.
    pub span: Span,
    /// Its annotations in schema order, or why the tool must be dropped.
    pub outcome: Result<Vec<Annotation>, AnnotationFault>,
}

/// Why annotations cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationFault {
    /// The result has no `tools` array.
    #[error("the result has no `tools` array")]
    NoTools,
    /// The tool is not a JSON object that can be read.
    #[error("the tool is not readable json")]
    Unreadable,
    /// The annotation is not a string of token characters.
    #[error("`x-mcp-header` is not a header token")]
    NotToken,
    /// Two annotations of a schema name the same header.
    #[error("`x-mcp-header` names the header `{0}` twice")]
    Repeated(HeaderName),
    /// The annotated property is neither string, integer nor boolean.
    #[error("`x-mcp-header` stands on a property that is not a string, integer or boolean")]
    Type,
    /// The annotation is somewhere a caller's arguments cannot be followed to.
    #[error("`x-mcp-header` stands where no chain of `properties` leads")]
    Unreachable,
}

/// The annotated tools of a `tools/list` result, bad ones included; tools without any annotation
/// are left out. `result` is the span of the result object within `message`.
///
/// # Errors
/// [`AnnotationFault::NoTools`] if there is no `tools` array.
pub fn annotations(message: &[u8], result: Span) -> Result<Vec<ToolHeaders>, AnnotationFault> {
    let tools = find_path(message, result, &["tools"])
        .filter(|span| span.of(message).first() == Some(&b'['))
        .ok_or(AnnotationFault::NoTools)?;
    if !may_hold_key(tools.of(message)) {
        return Ok(Vec::new());
    }
    let annotated = elements(message, tools)
        .into_iter()
        .filter(|span| may_hold_key(span.of(message)))
        .filter_map(|span| read_tool(message, span));
    Ok(annotated.collect())
}

/// The message without the given elements of its `tools` array. Everything else keeps its bytes.
#[must_use]
pub fn remove_elements(message: &Bytes, result: Span, dropped: &[Span]) -> Bytes {
    let Some(tools) = find_path(message, result, &["tools"]) else { return message.clone() };
    let kept: Vec<Span> =
        elements(message, tools).into_iter().filter(|span| !dropped.contains(span)).collect();
    let mut array = Vec::with_capacity(tools.len());
    array.push(b'[');
    for (index, span) in kept.iter().enumerate() {
        if index > 0 {
            array.push(b',');
        }
        array.extend_from_slice(span.of(message));
    }
    array.push(b']');
    splice(message, &[(tools, &array)])
}

/// Whether the key can occur in these bytes, plainly or spelled with escapes.
fn may_hold_key(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, KEY.as_bytes()).is_some()
        || memchr::memmem::find(bytes, b"\\u").is_some()
}

fn read_tool(message: &[u8], span: Span) -> Option<ToolHeaders> {
    let Ok(Value::Object(tool)) = serde_json::from_slice(span.of(message)) else {
        let outcome = Err(AnnotationFault::Unreadable);
        return Some(ToolHeaders { tool: String::new(), span, outcome });
    };
    let mut found = Vec::new();
    let outcome = match tool.get("inputSchema") {
        Some(Value::Object(schema)) => walk(schema, Some(&mut Vec::new()), &mut found),
        _ => Ok(()),
    };
    if outcome.is_ok() && found.is_empty() {
        return None;
    }
    let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
    Some(ToolHeaders { tool: name.to_owned(), span, outcome: outcome.map(|()| found) })
}

/// Walks a schema. `path` leads to it by `properties` alone; without one, no annotation may be
/// there. Recursion ends where serde_json's parser does, at 128 levels.
fn walk(
    schema: &Map<String, Value>,
    mut path: Option<&mut Vec<String>>,
    found: &mut Vec<Annotation>,
) -> Result<(), AnnotationFault> {
    if let Some(annotation) = schema.get(KEY) {
        let path = path.as_deref().filter(|path| !path.is_empty());
        let path = path.ok_or(AnnotationFault::Unreachable)?;
        found.push(read_annotation(annotation, schema, path, found)?);
    }
    for (keyword, value) in schema {
        match (keyword.as_str(), value) {
            // Data, not schemas.
            ("default" | "const" | "enum" | "examples" | "required", _) | (KEY, _) => {}
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    let Value::Object(property) = property else { continue };
                    match path.as_deref_mut() {
                        Some(path) => {
                            path.push(name.clone());
                            walk(property, Some(path), found)?;
                            path.pop();
                        }
                        None => walk(property, None, found)?,
                    }
                }
            }
            // Names to schemas, so that a name may be anything.
            (
                "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(named),
            ) => {
                for schema in named.values() {
                    walk_unreachable(schema, found)?;
                }
            }
            (_, other) => walk_unreachable(other, found)?,
        }
    }
    Ok(())
}

fn walk_unreachable(value: &Value, found: &mut Vec<Annotation>) -> Result<(), AnnotationFault> {
    match value {
        Value::Object(schema) => walk(schema, None, found),
        Value::Array(schemas) => {
            schemas.iter().try_for_each(|schema| walk_unreachable(schema, found))
        }
        _ => Ok(()),
    }
}

fn read_annotation(
    annotation: &Value,
    schema: &Map<String, Value>,
    path: &[String],
    found: &[Annotation],
) -> Result<Annotation, AnnotationFault> {
    let token = annotation.as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(AnnotationFault::NotToken);
    }
    // `HeaderName` accepts exactly the token characters and makes them lower case.
    let header = HeaderName::try_from(format!("{MCP_PARAM_PREFIX}{token}"))
        .map_err(|_| AnnotationFault::NotToken)?;
    if found.iter().any(|other| other.header == header) {
        return Err(AnnotationFault::Repeated(header));
    }
    let kind = match schema.get("type").and_then(Value::as_str) {
        Some("string") => ParamKind::Text,
        Some("integer") => ParamKind::Integer,
        Some("boolean") => ParamKind::Boolean,
        _ => return Err(AnnotationFault::Type),
    };
    Ok(Annotation { header, path: path.to_vec(), kind })
}
