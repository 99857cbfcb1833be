//! What is measured: the cells of the benchmark, their names, and the choice of some of them.
//!
//! Next: `lanes.rs`, between what; `table.rs`, the rows and goals.

/// One thing that is measured, on every lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Calls of one shape under one load.
    Calls(Shape, Rate),
    /// The wait for the first event of a slow stream.
    FirstByte(Era),
    /// Memory of the process just started.
    Idle,
    /// Memory of one idle session.
    Session,
    /// Memory of one open stream.
    Stream,
    /// The time from start to the first connection accepted.
    Listening,
}

/// An era and a tool of the benchmark's upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The era.
    pub(crate) era: Era,
    /// The tool.
    pub(crate) tool: &'static str,
}

impl Shape {
    /// Whether results travel as event streams.
    pub(crate) fn is_sse(self) -> bool {
        self.tool.starts_with("sse")
    }
}

/// The eras, by the names the load generator has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// Sessions.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        }
    }
}

/// How calls arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// As fast as 32 connections go.
    Saturated,
    /// So many a second.
    PerSecond(u32),
}

const TOOLS: [&str; 4] = ["json_1k", "json_64k", "sse_1k", "sse_64k"];
const RATES: [Rate; 3] = [Rate::Saturated, Rate::PerSecond(1_000), Rate::PerSecond(5_000)];
const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

impl Cell {
    /// All cells whose names contain one of `parts`; without parts, all.
    pub(crate) fn chosen(parts: &[String]) -> Vec<Self> {
        let calls = ERAS.into_iter().flat_map(|era| {
            TOOLS.into_iter().flat_map(move |tool| {
                RATES.into_iter().map(move |rate| Cell::Calls(Shape { era, tool }, rate))
            })
        });
        let others = [
            Cell::FirstByte(Era::Legacy),
            Cell::FirstByte(Era::Modern),
            Cell::Idle,
            Cell::Session,
            Cell::Stream,
            Cell::Listening,
        ];
        calls
            .chain(others)
            .filter(|cell| parts.is_empty() || parts.iter().any(|part| cell.name().contains(part)))
            .collect()
    }

    /// Its name, as `--only` and the JSON file have it.
    pub(crate) fn name(&self) -> String {
        match self {
            Cell::Calls(shape, Rate::Saturated) => {
                format!("{}/{}/throughput", shape.era.name(), shape.tool)
            }
            Cell::Calls(shape, Rate::PerSecond(rate)) => {
                format!("{}/{}/rate-{rate}", shape.era.name(), shape.tool)
            }
            Cell::FirstByte(era) => format!("{}/first-byte", era.name()),
            Cell::Idle => "memory/idle".to_owned(),
            Cell::Session => "memory/session".to_owned(),
            Cell::Stream => "memory/stream".to_owned(),
            Cell::Listening => "listening".to_owned(),
        }
    }

    /// Whether the load generator drives it through doors that stay open for a round.
    pub(crate) fn is_driven(&self) -> bool {
        matches!(self, Cell::Calls(..) | Cell::FirstByte(_))
    }

    /// Whether it is about memory.
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self, Cell::Idle | Cell::Session | Cell::Stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_names_choose_cells() {
        let names: Vec<String> = Cell::chosen(&["legacy/sse_1k".to_owned(), "idle".to_owned()])
            .iter()
            .map(Cell::name)
            .collect();
        let wanted = [
            "legacy/sse_1k/throughput",
            "legacy/sse_1k/rate-1000",
            "legacy/sse_1k/rate-5000",
            "memory/idle",
        ];
        assert_eq!(names, wanted);
    }
}
