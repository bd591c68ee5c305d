//! The contract of the stores as one test suite. A store keeps it by running
//! [`event_store_contract!`], [`side_store_contract!`] or [`view_store_contract!`] in a test; each promise is a test of
//! its own. How a store is made and reopened is what it says in a fixture.

pub mod append;
pub mod concurrency;
pub mod conditions;
pub mod identity;
pub mod limits;
pub mod model;
pub mod point_in_time;
#[doc(hidden)]
pub mod progress;
pub mod read_log;
pub mod read_stream;
pub mod restore;
pub mod side_store;
pub mod streams;
pub mod subscribe;
pub mod time;
#[doc(hidden)]
pub mod views;

mod clock;
mod events;
mod fixture;
mod pages;
mod random;
mod seeds;

pub use clock::ManualClock;
pub use fixture::{Places, SidePlaces, SideStoreFixture, StoreFixture, Subject, ViewPlace, keep};

/// Makes a test of each promise of an `EventStore`, for a type that is a [`StoreFixture`]
/// and is in scope where the macro stands.
///
/// ```
/// use std::sync::Arc;
///
/// use retold_contract::StoreFixture;
/// use retold_core::{Clock, EventStore};
/// use retold_memory::MemoryStore;
///
/// struct InMemory;
///
/// #[async_trait::async_trait]
/// impl StoreFixture for InMemory {
///     async fn create() -> Self {
///         InMemory
///     }
///
///     async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
///         Arc::new(MemoryStore::with_clock(clock))
///     }
/// }
///
/// retold_contract::event_store_contract!(InMemory);
/// ```
///
/// To run it for several fixtures in one file, put each into a module of its own.
#[macro_export]
macro_rules! event_store_contract {
    ($fixture:ty) => {
        $crate::promises! { $crate::Places::of::<$fixture>() =>
            append:
                positions_and_sequence_numbers_have_no_holes,
                a_refused_append_uses_up_nothing,
                the_answer_is_what_every_read_finds,
                an_acknowledged_event_is_seen_at_once,
                several_streams_are_written_all_or_nothing,
                payload_bytes_are_kept,
                white_space_is_removed_once,
                further_metadata_are_kept_in_order,
                absent_metadata_get_their_defaults,
                any_unicode_is_kept_in_names_ids_and_tags,
                reserved_names_are_written_by_retold_only,
                a_dropped_append_is_answered_by_a_retry,
                after_close_appends_fail,
                a_reopened_log_is_the_same;
            identity:
                a_repetition_returns_the_first_result,
                white_space_makes_no_difference,
                the_first_tags_and_metadata_stay,
                a_repetition_is_one_under_every_expectation,
                other_content_is_a_conflict,
                identity_is_looked_at_before_conditions,
                a_mix_of_known_and_new_is_a_conflict,
                another_order_is_a_conflict,
                a_part_of_an_earlier_call_is_a_repetition,
                several_earlier_calls_in_order_are_a_repetition,
                the_same_id_twice_in_a_call_is_invalid,
                an_id_is_known_over_the_whole_store;
            conditions:
                each_expectation_holds_when_it_should,
                each_failing_expectation_is_a_conflict,
                all_failing_checks_are_reported_together,
                a_stream_is_checked_without_being_written,
                conditions_are_checked_against_the_state_before_the_call,
                a_failed_condition_writes_nothing;
            limits:
                names_and_ids_are_limited,
                each_field_at_its_limit_is_kept,
                each_field_over_its_limit_is_refused_by_name,
                control_characters_are_refused,
                payloads_are_limited_in_size,
                payloads_are_limited_in_depth,
                metadata_are_limited_in_size,
                the_number_of_events_is_limited,
                the_number_of_conditions_is_limited,
                the_bytes_of_a_call_are_limited,
                a_page_of_nothing_is_refused;
            read_stream:
                pages_run_forward,
                pages_run_backward,
                sequence_ranges_are_inclusive,
                timestamp_ranges_are_inclusive,
                one_event_type_is_read,
                positions_bound_a_stream,
                bounds_do_not_turn_with_the_direction,
                an_unknown_stream_is_empty,
                a_page_tells_the_head_of_the_stream,
                a_page_says_through_where_it_is_complete,
                the_bytes_of_a_page_are_bounded,
                a_reserved_stream_is_read_by_its_name;
            read_log:
                the_log_is_read_in_pages,
                the_log_is_read_in_blocks,
                each_filter_admits_what_it_names,
                all_parts_of_a_filter_must_match,
                time_filters_are_inclusive,
                through_ends_the_read,
                nothing_is_past_the_head,
                a_filter_that_matches_nothing_is_complete,
                reserved_streams_are_left_out_unless_asked,
                the_bytes_of_a_page_are_bounded,
                an_event_is_found_by_its_id,
                the_head_is_the_newest_event;
            streams:
                streams_are_listed_in_order,
                a_type_and_a_prefix_select,
                pages_go_on_behind_a_stream,
                reserved_streams_are_left_out_unless_asked,
                each_stream_comes_with_its_head;
            subscribe:
                history_and_live_join_without_gap_or_repeat,
                the_head_is_told_once,
                a_filter_that_matches_nothing_moves_on,
                a_subscription_starts_behind_a_position,
                a_start_past_the_head_is_invalid,
                a_slow_reader_gets_everything,
                a_dropped_next_loses_nothing,
                reserved_streams_are_left_out_unless_asked,
                a_wait_ends_when_the_head_is_past,
                a_close_ends_waits;
            restore:
                a_restored_log_has_the_same_digests,
                a_digest_is_the_same_in_every_store,
                a_restored_log_has_an_id_of_its_own,
                a_restored_log_goes_on,
                restored_ids_are_known,
                a_store_with_other_events_is_refused,
                a_finished_restore_takes_no_more,
                a_restore_may_be_told_again,
                other_events_at_a_known_place_are_refused,
                a_gap_is_refused,
                a_wrong_order_is_refused,
                a_wrong_sequence_number_is_refused,
                an_id_is_restored_once,
                dates_that_run_backwards_are_refused,
                another_origin_is_refused,
                an_unfinished_restore_makes_appends_busy,
                an_unfinished_restore_is_resumed_after_reopening,
                a_restore_wakes_those_who_wait,
                an_empty_log_is_restored;
            point_in_time:
                a_sequence_number_selects_a_prefix,
                a_position_selects_a_prefix,
                persisted_at_selects_what_was_known,
                a_timestamp_selects_the_prefix_before_the_first_later_event,
                events_behind_the_prefix_can_be_counted,
                a_snapshot_gives_the_same_answer;
            time:
                timestamps_before_1970_are_kept,
                timestamps_are_kept_in_whole_microseconds,
                persisted_at_is_the_clock_s_time,
                persisted_at_never_runs_backwards,
                a_leap_is_followed_after_a_minute,
                a_reopened_log_does_not_run_backwards;
            concurrency:
                writers_to_one_stream_take_turns,
                writers_to_many_streams_leave_no_holes,
                one_event_appended_by_many_is_one_event,
                one_id_for_many_contents_is_one_event,
                a_close_beside_writers_keeps_its_word,
                one_of_those_who_expect_the_same_wins,
                calls_become_visible_as_a_whole,
                a_reader_of_the_log_beside_writers_skips_nothing,
                a_reader_of_a_stream_beside_writers_skips_nothing;
            model:
                random_operations_answer_like_the_model;
        }
    };
}

/// Makes a test of each promise of a `SideStore`, for a type that is a [`SideStoreFixture`]
/// and is in scope where the macro stands.
#[macro_export]
macro_rules! side_store_contract {
    ($fixture:ty) => {
        $crate::promises! { $crate::SidePlaces::of::<$fixture>() =>
            side_store:
                a_snapshot_is_kept_as_it_is,
                a_snapshot_is_replaced,
                snapshots_are_listed_newest_first,
                pages_do_not_end_within_a_sequence_number,
                a_page_of_nothing_is_refused,
                a_list_is_of_one_stream_and_one_reducer,
                each_point_in_time_selects_its_snapshots,
                timestamps_out_of_order_select_by_the_latest,
                another_fingerprint_is_not_returned,
                another_reducer_is_not_returned,
                a_scan_meets_every_snapshot_once,
                the_newest_snapshots_survive_pruning,
                pruning_concerns_one_stream_and_one_reducer,
                the_newest_checkpoint_of_each_log_is_known,
                many_write_at_once;
            progress:
                progress_is_kept_as_it_is,
                progress_before_the_first_event_is_kept,
                what_shares_a_transaction_is_kept_or_undone,
                a_consumer_that_was_taken_over_keeps_nothing,
                a_consumer_is_forgotten,
                the_checkpoint_of_a_consumer_is_known;
        }
    };
}

/// Makes a test of each promise of a `ViewStore`, for a type that is a [`ViewPlace`] and is in
/// scope where the macro stands.
#[macro_export]
macro_rules! view_store_contract {
    ($place:ty) => {
        mod views {
            #[allow(unused_imports)]
            use super::*;

            $crate::view_promises! { $place =>
                rows_and_progress_are_kept_together,
                what_is_not_committed_is_undone,
                values_are_kept_as_they_are,
                a_pinned_reader_sees_one_moment,
                a_table_is_declared_in_one_way,
                views_are_listed_and_removed,
                a_query_that_does_not_fit_is_refused,
                pages_in_any_order_are_the_rows,
            }
        }
    };
}

/// What [`view_store_contract!`] expands to.
#[doc(hidden)]
#[macro_export]
macro_rules! view_promises {
    ($place:ty => $($promise:ident),+ $(,)?) => {
        $(
            #[test]
            fn $promise() {
                $crate::views::$promise(&<$place as $crate::ViewPlace>::create());
            }
        )+
    };
}

/// What the other two macros expand to.
#[doc(hidden)]
#[macro_export]
macro_rules! promises {
    ($places:expr => $($module:ident: $($promise:ident),+ $(,)?;)+) => {
        $(
            mod $module {
                #[allow(unused_imports)]
                use super::*;

                $(
                    #[test]
                    fn $promise() {
                        $crate::keep($crate::$module::$promise($places));
                    }
                )+
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    /// A promise that a macro forgets is never checked, and nothing else would notice.
    #[test]
    fn every_promise_is_in_its_macro() {
        let macros = include_str!("lib.rs");
        let modules = [
            ("append", include_str!("append.rs")),
            ("concurrency", include_str!("concurrency.rs")),
            ("conditions", include_str!("conditions.rs")),
            ("identity", include_str!("identity.rs")),
            ("limits", include_str!("limits.rs")),
            ("model", include_str!("model.rs")),
            ("point_in_time", include_str!("point_in_time.rs")),
            ("progress", include_str!("progress.rs")),
            ("read_log", include_str!("read_log.rs")),
            ("read_stream", include_str!("read_stream.rs")),
            ("restore", include_str!("restore.rs")),
            ("side_store", include_str!("side_store.rs")),
            ("streams", include_str!("streams.rs")),
            ("subscribe", include_str!("subscribe.rs")),
            ("time", include_str!("time.rs")),
        ];
        for (module, source) in modules {
            let list = macros
                .split_once(&format!("            {module}:\n"))
                .and_then(|(_, rest)| rest.split_once(';'))
                .map(|(list, _)| list)
                .unwrap();
            let listed: Vec<&str> = list.split(',').map(str::trim).collect();
            let promises = source.split("pub async fn ").skip(1);
            for promise in promises.filter_map(|rest| rest.split('(').next()) {
                assert!(listed.contains(&promise), "{module}: {promise} is not run");
            }
        }
        let promises = include_str!("views.rs").split("pub fn ").skip(1);
        for promise in promises.filter_map(|rest| rest.split('(').next()) {
            let listed = format!("                {promise},\n");
            assert!(macros.contains(&listed), "views: {promise} is not run");
        }
    }
}
