//! Teams: to whom usage is put down and whose budgets it counts towards.

use crate::who::Who;
use std::sync::Arc;
use tollgate_core::ids::RoutePath;
use tollgate_core::party::Party;

/// The teams, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teams {
    teams: Vec<(Arc<str>, Who)>,
}

impl Teams {
    /// These teams, each with who belongs to it.
    #[must_use]
    pub const fn new(teams: Vec<(Arc<str>, Who)>) -> Self {
        Self { teams }
    }

    /// The first team the caller belongs to on this route; `None` is unattributed.
    #[must_use]
    pub fn of(&self, party: &Party<'_>, route: &RoutePath) -> Option<&Arc<str>> {
        self.teams.iter().find(|(_, who)| who.holds(party, route)).map(|(name, _)| name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.teams.iter().map(|(name, _)| name)
    }
}
