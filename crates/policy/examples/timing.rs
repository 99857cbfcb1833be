//! What decisions cost: `cargo run --release -p tollgate-policy --example timing`.
//!
//! Prints nanoseconds and allocations for each. Numbers for a person; nothing is asserted.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "to print is what it is for")]

#[path = "../tests/company/mod.rs"]
mod company;

use company::Company;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 200_000;

fn time(what: &str, mut run: impl FnMut()) {
    for _ in 0..ROUNDS / 10 {
        run();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        run();
    }
    let nanos = start.elapsed().as_nanos() / u128::from(ROUNDS);
    let counted = allocation_counter::measure(&mut run);
    println!("{what:<58} {nanos:>7} ns {:>5} allocations", counted.count_total);
}

fn main() {
    for teams in [4, 400] {
        println!("{teams} teams: {} rules, {} patterns", 2 * teams, 6 * teams);
        let company = Company::new(teams, None);
        let standing = company.standing();
        let decide = |name: &str| black_box(company.policy.decide(&standing, &company.call(name)));
        time("  standing", || {
            black_box(company.standing());
        });
        time("  decide: a plain name, not listed before", || {
            decide("create");
        });
        time("  decide: by a pattern, not listed before", || {
            decide("get_issue");
        });
        assert!(company.shows(&standing, "get_issue") && company.shows(&standing, "create"));
        assert!(!company.shows(&standing, "get_secret"));
        time("  decide: a plain name", || {
            decide("create");
        });
        time("  decide: by a pattern", || {
            decide("get_issue");
        });
        time("  decide: denied by a pattern", || {
            decide("get_secret");
        });
        time("  shows", || {
            black_box(company.shows(&standing, "get_issue"));
        });
    }
    let when = [
        "agent == 'agent-7'",
        "args.branch != 'main'",
        "args.branch.matches('^feature/[a-z]+$') && 'team1' in groups",
        "args.labels.all(l, l in ['a', 'b', 'c'])",
    ];
    for when in when {
        let company = Company::new(4, Some(when));
        let standing = company.standing();
        time(&format!("  decide: {when}"), || {
            black_box(company.policy.decide(&standing, &company.call("create")));
        });
    }
}
