//! Lines of CSV (RFC 4180) that are safe to open in a spreadsheet.
//!
//! Names of tools and agents are other people's: a cell that a spreadsheet would take for a formula
//! starts with an apostrophe.

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Somebody's text.
    Text(String),
    /// Digits of ours, which may start with `-`.
    Number(String),
    /// No value.
    Null,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The text, or no value.
    pub(super) fn of(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }
}

/// A line, with its end.
pub(super) fn line(cells: &[Cell]) -> String {
    let cells = cells.iter().map(|cell| match cell {
        Cell::Text(text) => quoted(text),
        Cell::Number(digits) => digits.clone(),
        Cell::Null => String::new(),
    });
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    let guard = if is_formula { "'" } else { "" };
    if is_formula || text.contains([',', '"', '\r', '\n']) || text != text.trim() {
        return format!("\"{guard}{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Cell, line};

    #[test]
    fn formulas_are_text_and_numbers_stay_numbers() {
        let cells = [
            Cell::text("=HYPERLINK(\"x\")"),
            Cell::text("@sum"),
            Cell::text("-1"),
            Cell::Number("-1.50".to_owned()),
            Cell::Null,
            Cell::text("a,\"b\"\n"),
            Cell::text("plain"),
        ];
        let wanted =
            "\"'=HYPERLINK(\"\"x\"\")\",\"'@sum\",\"'-1\",-1.50,,\"a,\"\"b\"\"\n\",plain\r\n";
        assert_eq!(line(&cells), wanted);
    }
}
