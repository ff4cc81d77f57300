//! What every block store must do, as functions over an empty store, and chains to try it with. For tests
//! only.
//!
//! A crate that implements [`BlockStore`](super::BlockStore) calls [`crate::block_store_suite!`] in a test
//! module; each fact becomes a test of its own there.

mod chain;
mod facts;

pub use chain::{Chain, Creator, VALIDITY, org_config};
pub use facts::*;

/// Writes one `#[test]` per fact of the suite. The argument names a function `fn(test: fn(&dyn BlockStore))`
/// that opens an empty store, calls `test` with it and cleans up.
#[macro_export]
macro_rules! block_store_suite {
    ($with_store:path) => {
        $crate::block_store_suite! {
            $with_store:
            a_created_channel_holds_its_genesis_block,
            refuses_a_second_channel_of_the_same_id_or_name,
            lists_channels_by_id_with_name_and_height,
            a_removed_channel_is_unknown_and_may_be_created_anew,
            refuses_everything_for_an_unknown_channel,
            what_is_appended_is_read_back_byte_by_byte,
            appends_several_blocks_at_once,
            appending_nothing_changes_nothing,
            refuses_a_gap_a_repetition_and_another_chain,
            refuses_a_batch_as_a_whole,
            refuses_a_batch_of_two_channels,
            nothing_lies_above_the_tip,
            headers_are_read_alone,
            config_blocks_are_found_and_gone_with_their_channel,
            an_unjudged_update_in_the_chain_is_damage,
            finds_envelopes_by_id_in_their_channel_only,
            keeps_meta_values_and_replaces_them,
            refuses_meta_values_above_the_limit,
            readers_see_whole_blocks_while_another_thread_appends,
        }
    };
    ($with_store:path: $($fact:ident),+ $(,)?) => {
        $(
            #[test]
            fn $fact() {
                $with_store($crate::store::suite::$fact);
            }
        )+
    };
}
