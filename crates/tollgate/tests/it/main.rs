//! The whole house under attack: the real binary between a raw client and a recording upstream.
//!
//! One file for each group of the attack table in the security documentation; each test names its
//! rows. A refusal is proven by an upstream that got nothing and a gate that serves on.

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod http_sse;
#[cfg(test)]
mod http_sse_attacks;
#[cfg(test)]
mod http_sse_upstream;
#[cfg(test)]
mod hub_asks;
#[cfg(test)]
mod hub_calls;
#[cfg(test)]
mod hub_doors;
#[cfg(test)]
mod hub_eras;
#[cfg(test)]
mod hub_hostile;
#[cfg(test)]
mod hub_limits;
#[cfg(test)]
mod hub_lists;
#[cfg(test)]
mod hub_names;
#[cfg(test)]
mod hub_reload;
#[cfg(test)]
mod hub_replicas;
#[cfg(test)]
mod hub_resources;
#[cfg(test)]
mod hub_sessions;
#[cfg(test)]
mod identity_certificates;
#[cfg(test)]
mod identity_doors;
#[cfg(test)]
mod identity_faults;
#[cfg(test)]
mod identity_golden;
#[cfg(test)]
mod identity_house;
#[cfg(test)]
mod identity_lasting;
#[cfg(test)]
mod identity_principals;
#[cfg(test)]
mod identity_races;
#[cfg(test)]
mod identity_revocation;
#[cfg(test)]
mod identity_tokens;
#[cfg(test)]
mod identity_upstream;
#[cfg(test)]
mod life;
#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod limits_answers;
#[cfg(test)]
mod limits_evasion;
#[cfg(test)]
mod limits_results;
#[cfg(test)]
mod limits_settling;
#[cfg(test)]
mod mirror;
#[cfg(test)]
mod misrouting;
#[cfg(test)]
mod pins_changes;
#[cfg(test)]
mod pins_house;
#[cfg(test)]
mod pins_modes;
#[cfg(test)]
mod pins_store;
#[cfg(test)]
mod policy_calls;
#[cfg(test)]
mod policy_lists;
#[cfg(test)]
mod policy_streams;
#[cfg(test)]
mod policy_yard;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod soft;
#[cfg(test)]
mod stdio_calls;
#[cfg(test)]
mod stdio_life;
#[cfg(test)]
mod stdio_noise;
#[cfg(test)]
mod stdio_sharing;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod upstream_tokens;
#[cfg(test)]
mod usage_ledger;
#[cfg(test)]
mod usage_rows;

/// The gate under test.
#[cfg(test)]
const GATE: &str = env!("CARGO_BIN_EXE_tollgate");
