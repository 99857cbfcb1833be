//! The contract of the stores of identity, run against every implementation.
//!
//! Each case takes empty stores and knows nothing of what is behind them. `embedded.rs` beside this folder
//! holds what only a file can do wrong.
//!
//! Next: `grants.rs`, where most of it is.

#![expect(clippy::expect_used, reason = "a scene that cannot be set fails its test")]

mod agents;
mod grants;
mod keys;
mod pins;
mod revocations;
mod users;

use std::path::Path;
use tollgate_backends::embedded::Embedded;
use tollgate_backends::memory::MemoryIdentity;
use tollgate_core::stores::{Digest, Stores};

/// A digest that differs from that of any other number.
fn digest(number: u64) -> Digest {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

async fn in_a_file(dir: &Path) -> Stores {
    Embedded::open(&dir.join("store.db")).await.expect("a new store").stores()
}

/// Each case once for each implementation.
macro_rules! contract {
    ($($port:ident: $($case:ident)+;)+) => {
        mod memory {
            $(mod $port {
                $(#[tokio::test]
                async fn $case() {
                    crate::$port::$case(&super::super::MemoryIdentity::stores()).await;
                })+
            })+
        }
        mod embedded {
            $(mod $port {
                $(#[tokio::test]
                async fn $case() {
                    let dir = tempfile::tempdir().expect("a directory");
                    crate::$port::$case(&crate::in_a_file(dir.path()).await).await;
                })+
            })+
        }
    };
}

contract! {
    agents:
        an_agent_is_found_as_it_was_added
        an_id_is_taken_once
        quotas_hold_for_registered_agents_alone
        an_agent_is_replaced_only_in_the_place_of_what_was_read
        of_many_who_replace_at_once_one_succeeds
        of_many_who_register_at_once_no_more_than_the_quota_succeed
        agents_are_listed_by_id_in_pages
        a_sweep_takes_registered_agents_that_expired
        a_removed_agent_is_gone_and_makes_room
        an_api_key_is_found_by_its_digest
        api_keys_are_listed_by_agent_and_age
        a_revoked_api_key_stays_and_cannot_be_added_anew
        an_api_key_ends_at_the_first_of_its_ends
        api_keys_are_revoked_one_by_one_or_all;
    users:
        an_account_is_found_by_name_and_by_id
        a_name_and_an_id_are_taken_once
        an_account_is_replaced_by_id
        a_name_of_another_account_cannot_be_taken_by_replacing
        a_removed_account_is_gone
        accounts_are_listed_by_name;
    grants:
        a_code_is_spent_once
        a_code_spent_twice_ends_its_grant
        a_code_that_was_used_is_known_for_a_day
        an_expired_code_is_unknown
        a_code_of_an_ended_grant_is_unknown
        a_code_that_was_spent_cannot_be_kept_anew
        a_refresh_token_is_found_until_it_expires
        rotation_puts_the_next_in_the_place_of_the_used
        a_used_refresh_token_ends_its_grant
        a_used_refresh_token_is_known_until_its_grant_ends
        expired_and_foreign_refresh_tokens_are_not_rotated
        a_rotation_to_a_known_token_changes_nothing
        an_ended_grant_has_no_refresh_tokens_and_gets_none
        all_grants_of_an_agent_or_person_end
        a_spent_code_stands_for_its_grant
        nobody_named_ends_nothing
        an_id_is_used_once
        a_consent_is_of_one_person_agent_place_and_resource
        a_consent_is_replaced
        a_sweep_takes_what_has_ended_and_nothing_else
        a_sweep_takes_more_than_one_helping
        of_many_who_spend_a_code_one_succeeds
        of_many_who_rotate_one_succeeds
        of_many_who_use_an_id_one_succeeds
        a_looping_agent_is_remembered_up_to_a_bound;
    keys:
        keys_are_listed_oldest_first_as_they_were_added
        a_key_is_added_only_after_the_newest
        others_without_an_end_retire
        of_many_who_rotate_keys_one_succeeds
        a_removed_key_is_gone
        no_more_keys_than_the_bound;
    revocations:
        every_kind_of_revocation_is_kept
        a_revocation_is_extended_and_never_shortened
        a_revocation_is_over_at_its_end
        a_revocation_is_taken_back
        a_sweep_takes_revocations_that_are_over
        any_change_in_any_store_changes_the_version
        reading_changes_no_version;
}
