//! `cargo xtask hygiene`: agents and the gate are killed at random, and nothing may be left of the
//! programs behind the gate: no process, no zombie, no open file, no temporary file.
//!
//! Everything random comes from one seed, which is printed. In the tests a few kills are made; the
//! whole number is asked for with `TOLLGATE_HYGIENE_KILLS=50 TOLLGATE_HYGIENE_AGENTS=10`.
//!
//! Next: `hygiene/house.rs` (one life of the gate), `hygiene/census.rs` (who is alive).

mod census;
mod house;

use crate::gate::Legs;
use crate::hygiene::house::House;
use crate::peers;
use crate::processes::target;
use anyhow::Context;
use std::path::Path;
use std::time::Instant;

/// Kills in the tests.
const KILLS: u64 = 6;
/// Agents at a time in the tests.
const AGENTS: u64 = 3;
/// Most kills of agents in one life of the gate.
const KILLS_PER_LIFE: u64 = 4;

/// `cargo xtask hygiene`.
pub(crate) fn run(root: &Path, words: &[String]) -> anyhow::Result<()> {
    let legs = Legs::read(words)?;
    let peers = peers::installed(root)?;
    let program = match &legs.gate {
        Some(program) => program.clone(),
        None => legs.built(root, &[])?.join("tollgate"),
    };
    let kills = number("TOLLGATE_HYGIENE_KILLS")?.unwrap_or(KILLS);
    let agents = number("TOLLGATE_HYGIENE_AGENTS")?.unwrap_or(AGENTS).clamp(1, 50);
    let seed = number("TOLLGATE_HYGIENE_SEED")?.unwrap_or_else(|| u64::from(std::process::id()));
    println!("hygiene: {kills} kills, {agents} agents, 10 upstreams; TOLLGATE_HYGIENE_SEED={seed}");
    let home = target(root).join("hygiene");
    let mut odds = Odds(seed);
    let (mut made, mut life) = (0, 0);
    while made < kills {
        life += 1;
        let began = Instant::now();
        let mut story = Vec::new();
        // The end of the gate is the last kill of its life.
        let before = odds.below(KILLS_PER_LIFE).min(kills - made - 1);
        let lived = House::open(&peers, &program, home.join(format!("life-{life}")))
            .and_then(|house| live(house, agents, before, &mut odds, &mut story));
        let told = story.join(", ");
        let took = began.elapsed().as_secs_f32();
        println!("life {life:>2}: {took:>5.1} s  {told}");
        lived.with_context(|| format!("TOLLGATE_HYGIENE_SEED={seed}, life {life}: {told}"))?;
        made += before + 1;
    }
    println!("hygiene: nothing was left after {made} kills in {life} lives of the gate");
    Ok(())
}

/// Agents come, some are killed, then the gate; each time what must go is waited for.
fn live(
    mut house: House,
    agents: u64,
    kills: u64,
    odds: &mut Odds,
    story: &mut Vec<String>,
) -> anyhow::Result<()> {
    let count = usize::try_from(agents)?;
    house.admit(count)?;
    story.push(format!("{agents} agents"));
    for _ in 0..kills {
        let all = odds.below(3) == 0;
        let victims = if all { house.agents() } else { 1 + pick(odds, house.agents())? };
        story.push(format!("kill {victims} of {} agents", house.agents()));
        for _ in 0..victims.min(house.agents()) {
            let at = pick(odds, house.agents())?;
            house.kill_agent(at)?;
        }
        if house.agents() == 0 {
            house.await_rest()?;
            house.admit(count)?;
        } else {
            house.await_fewer()?;
        }
    }
    let signal = if odds.below(2) == 0 { "KILL" } else { "TERM" };
    story.push(format!("gate {signal}"));
    let took = house.close(signal)?;
    story.push(format!("all gone after {:.1} s", took.as_secs_f32()));
    Ok(())
}

/// A place among `count`.
fn pick(odds: &mut Odds, count: usize) -> anyhow::Result<usize> {
    Ok(usize::try_from(odds.below(u64::try_from(count)?))?)
}

fn number(name: &str) -> anyhow::Result<Option<u64>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text.parse().with_context(|| format!("{name}={text} is no number"))?)),
        Err(_) => Ok(None),
    }
}

/// Numbers that look random and follow from a seed (splitmix64).
struct Odds(u64);

impl Odds {
    /// A number from 0 on, below `limit`; 0 where there is no other.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_brings_the_same_story() {
        let story = |seed| {
            let mut odds = Odds(seed);
            [10, 3, 7, 2].map(|limit| odds.below(limit))
        };
        assert_eq!(story(7), story(7));
        assert!((0..20).map(story).any(|other| other != story(7)));
    }
}
