//! Every number measured, and every failure, as they came.
//!
//! Judges nothing: the table makes ratios of these, and the JSON file holds them whole.
//!
//! Next: `ratios.rs`.

use crate::bench::lanes::Lane;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One measurement of one cell on one lane.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// The cell's name.
    pub(crate) cell: String,
    /// The lane's name.
    pub(crate) lane: &'static str,
    /// The round, from 0.
    pub(crate) round: u32,
    /// What was measured, by name and unit.
    pub(crate) values: BTreeMap<String, f64>,
    /// Why there are no values.
    pub(crate) failure: Option<String>,
}

/// All measurements of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Records {
    all: Vec<Record>,
    remarks: BTreeSet<String>,
}

impl Records {
    /// Keeps one value.
    pub(crate) fn keep_one(&mut self, at: (&str, Lane, u32), metric: &str, value: f64) {
        self.keep(at, BTreeMap::from([(metric.to_owned(), value)]));
    }

    /// Keeps the values of one measurement.
    pub(crate) fn keep(&mut self, at: (&str, Lane, u32), values: BTreeMap<String, f64>) {
        let (cell, lane, round) = at;
        let (cell, lane) = (cell.to_owned(), lane.name());
        self.all.push(Record { cell, lane, round, values, failure: None });
    }

    /// Keeps why a measurement failed.
    pub(crate) fn fail(&mut self, at: (&str, Lane, u32), failure: String) {
        let (cell, lane, round) = at;
        let (cell, lane, values) = (cell.to_owned(), lane.name(), BTreeMap::new());
        self.all.push(Record { cell, lane, round, values, failure: Some(failure) });
    }

    /// Adds a sentence to what is said below the table, once.
    pub(crate) fn remark(&mut self, sentence: String) {
        self.remarks.insert(sentence);
    }

    /// One value by round.
    pub(crate) fn by_round(&self, cell: &str, lane: Lane, metric: &str) -> BTreeMap<u32, f64> {
        self.all
            .iter()
            .filter(|record| record.cell == cell && record.lane == lane.name())
            .filter_map(|record| Some((record.round, *record.values.get(metric)?)))
            .collect()
    }

    /// What a reader of the table must know: remarks and failures.
    pub(crate) fn notes(&self) -> Vec<String> {
        let failures = self.all.iter().filter_map(|record| {
            let failure = record.failure.as_ref()?;
            let round = record.round + 1;
            Some(format!("failed: {} on {} in round {round}: {failure}", record.cell, record.lane))
        });
        self.remarks.iter().cloned().chain(failures).collect()
    }
}
