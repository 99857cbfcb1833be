//! What is not to cost anything: decisions without conditions allocate nothing.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod company;

use company::Company;
use tollgate_policy::{Decision, Denial};

#[test]
fn a_decision_without_conditions_allocates_nothing() {
    for teams in [1, 400] {
        let company = Company::new(teams.max(2), None);
        let standing = company.standing();
        // What lists have named is remembered once.
        assert!(company.shows(&standing, "get_issue"));
        let mut decisions = Vec::with_capacity(4);
        let counted = allocation_counter::measure(|| {
            let standing = company.standing();
            for name in ["create", "get_issue", "get_unlisted", "get_secret"] {
                decisions.push(company.policy.decide(&standing, &company.call(name)));
            }
            assert!(company.shows(&standing, "get_issue"));
            assert!(!company.policy.allows_method(&standing, "acme/report"));
        });
        assert_eq!(counted.count_total, 0, "{teams}");
        assert!(
            matches!(
                decisions.as_slice(),
                [
                    Decision::Allow { .. },
                    Decision::Allow { .. },
                    Decision::Allow { .. },
                    Decision::Deny(Denial::Hidden { rule: Some(_) }),
                ]
            ),
            "{decisions:?}"
        );
    }
}
