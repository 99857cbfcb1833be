//! The table: one row for each measurement, a column for each lane, ratios with their spread, and
//! whether the goal is met.
//!
//! The goals are written here and nowhere else.
//!
//! Next: `report.rs`.

use crate::bench::cells::{Cell, Rate, Shape};
use crate::bench::lanes::Lane;
use crate::bench::ratios::{ByRound, Spread, added, ratios};
use crate::bench::records::Records;

/// One row: a metric of a cell.
#[derive(Clone, Debug)]
struct Row {
    cell: String,
    metric: &'static str,
    title: String,
    /// Compared after subtracting what a direct call takes in the same round.
    is_added: bool,
    goal: Option<Goal>,
}

/// What the gate should reach.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    /// At most so many times another lane.
    Ceiling(f64, Lane),
    /// At least so many times another lane.
    Floor(f64, Lane),
    /// At most so much.
    Absolute(f64, &'static str),
}

const HEADER: &str = "| measurement | direct | bare | nginx | tollgate | tollgate/bare | \
    tollgate/nginx | goal | met? |\n|---|---|---|---|---|---|---|---|---|\n";

/// Draws the table of the chosen cells in Markdown.
pub(crate) fn draw(cells: &[Cell], records: &Records, absent: &[(Lane, &str)]) -> String {
    let mut table = HEADER.to_owned();
    for row in cells.iter().flat_map(rows) {
        table.push_str(&draw_row(&row, records, absent));
    }
    table
}

fn rows(cell: &Cell) -> Vec<Row> {
    let row = |metric, title: &str, is_added, goal| Row {
        cell: cell.name(),
        metric,
        title: title.to_owned(),
        is_added,
        goal,
    };
    match cell {
        Cell::Calls(shape, rate) => call_rows(*shape, *rate, &cell.name()),
        Cell::FirstByte(era) => vec![row(
            "p50_us",
            &format!("{} first event of a slow stream, added µs", era.name()),
            true,
            // A timer anywhere would show: they count milliseconds.
            Some(Goal::Absolute(1_000.0, "µs")),
        )],
        Cell::Idle => vec![row("mib", "idle, MiB", false, Some(Goal::Absolute(10.0, "MiB")))],
        Cell::Session => {
            vec![row("kib", "idle session, KiB", false, Some(Goal::Absolute(0.5, "KiB")))]
        }
        Cell::Stream => {
            vec![row("kib", "open stream, KiB", false, Some(Goal::Absolute(30.0, "KiB")))]
        }
        Cell::Listening => {
            vec![row("ms", "listening after, ms", false, Some(Goal::Absolute(15.0, "ms")))]
        }
    }
}

fn call_rows(shape: Shape, rate: Rate, cell: &str) -> Vec<Row> {
    let cpu_goal = match shape.is_sse() {
        false => Goal::Ceiling(1.3, Lane::Bare),
        true => Goal::Ceiling(1.3, Lane::Nginx),
    };
    let row = |metric, what: &str, is_added, goal| Row {
        cell: cell.to_owned(),
        metric,
        title: format!("{} {} {what}", shape.era.name(), shape.tool),
        is_added,
        goal,
    };
    match rate {
        Rate::Saturated => vec![
            row("calls_per_s", "calls/s", false, Some(Goal::Floor(0.75, Lane::Bare))),
            row("cpu_s_per_10k", "CPU s per 10,000", false, Some(cpu_goal)),
        ],
        Rate::PerSecond(rate) => vec![
            row("cpu_s_per_10k", &format!("CPU s per 10,000 at {rate}/s"), false, Some(cpu_goal)),
            row("p50_us", &format!("added p50 at {rate}/s, µs"), true, None),
            row(
                "p99_us",
                &format!("added p99 at {rate}/s, µs"),
                true,
                Some(Goal::Ceiling(1.5, Lane::Bare)),
            ),
        ],
    }
}

fn draw_row(row: &Row, records: &Records, absent: &[(Lane, &str)]) -> String {
    let direct = records.by_round(&row.cell, Lane::Direct, row.metric);
    let values = |lane: Lane| {
        let raw = records.by_round(&row.cell, lane, row.metric);
        if row.is_added { added(&raw, &direct) } else { raw }
    };
    let (bare, nginx, gate) = (values(Lane::Bare), values(Lane::Nginx), values(Lane::Tollgate));
    let column = |lane: Lane, values: &ByRound| match absent.iter().find(|(gone, _)| *gone == lane)
    {
        Some((_, why)) => (*why).to_owned(),
        None => Spread::of(values).map_or_else(|| "–".to_owned(), |spread| short(spread.median)),
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        row.title,
        column(Lane::Direct, &direct),
        column(Lane::Bare, &bare),
        column(Lane::Nginx, &nginx),
        column(Lane::Tollgate, &gate),
        spread(&ratios(&gate, &bare)),
        spread(&ratios(&gate, &nginx)),
        row.goal.map_or_else(String::new, goal_text),
        row.goal.map_or_else(String::new, |goal| verdict(goal, &gate, &bare, &nginx)),
    )
}

fn goal_text(goal: Goal) -> String {
    match goal {
        Goal::Ceiling(limit, lane) => format!("≤ {limit} × {}", lane.name()),
        Goal::Floor(limit, lane) => format!("≥ {limit} × {}", lane.name()),
        Goal::Absolute(limit, unit) => format!("≤ {limit} {unit}"),
    }
}

fn verdict(goal: Goal, gate: &ByRound, bare: &ByRound, nginx: &ByRound) -> String {
    let base = |lane: Lane| if lane == Lane::Nginx { nginx } else { bare };
    let (reached, limit, at_least) = match goal {
        Goal::Ceiling(limit, lane) => (ratios(gate, base(lane)), limit, false),
        Goal::Floor(limit, lane) => (ratios(gate, base(lane)), limit, true),
        Goal::Absolute(limit, _) => (gate.clone(), limit, false),
    };
    let Some(Spread { median, .. }) = Spread::of(&reached) else { return "–".to_owned() };
    let is_met = if at_least { median >= limit } else { median <= limit };
    if is_met {
        return "yes".to_owned();
    }
    format!("no, by {:.0} %", (median / limit - 1.0).abs() * 100.0)
}

fn spread(values: &ByRound) -> String {
    match Spread::of(values) {
        None => "–".to_owned(),
        Some(spread) if values.len() == 1 => format!("{:.2}", spread.median),
        Some(Spread { min, median, max }) => format!("{median:.2} ({min:.2}..{max:.2})"),
    }
}

/// Three significant digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1_000.0 => format!("{:.0}", (value / 10.0).round() * 10.0),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: [f64; 3]) -> ByRound {
        (0..).zip(values).collect()
    }

    #[test]
    fn goals_are_judged_by_the_median_ratio() {
        let (gate, bare) = (rounds([1.2, 1.4, 1.25]), rounds([1.0, 1.0, 1.0]));
        let none = ByRound::new();
        let cpu = Goal::Ceiling(1.3, Lane::Bare);
        assert_eq!(verdict(cpu, &gate, &bare, &none), "yes");
        assert_eq!(verdict(Goal::Absolute(1.0, "ms"), &gate, &bare, &none), "no, by 25 %");
        assert_eq!(verdict(Goal::Floor(2.5, Lane::Bare), &gate, &bare, &none), "no, by 50 %");
        assert_eq!(verdict(Goal::Ceiling(1.3, Lane::Nginx), &gate, &bare, &none), "–");
    }

    #[test]
    fn absent_lane_says_why() {
        let cells = Cell::chosen(&["listening".to_owned()]);
        let table = draw(&cells, &Records::default(), &[(Lane::Nginx, "not installed")]);
        assert!(table.ends_with(
            "| listening after, ms | – | – | not installed | – | – | – | ≤ 15 ms | – |\n"
        ));
    }
}
