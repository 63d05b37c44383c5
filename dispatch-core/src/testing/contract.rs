//! What every [store](StorePort) must do, as a suite to run over each of them, on any runtime.
//!
//! Records
//! - A record of every kind comes back as it was written, whatever characters its names have.
//! - A write that expects another version changes nothing: no record, no fact, no read model.
//! - A step writes each key once, and at most [`Commit::MAX_WRITES`](crate::ports::store::Commit::MAX_WRITES) records and
//!   facts.
//! - Of those who write the same new key at the same time, one succeeds.
//!
//! Claims
//! - A claim leases: nobody else gets the work until the lease ends, and then it comes back. Claimers that ask at the same
//!   time never get the same work, and together they get all of it.
//! - Whoever lost the lease cannot write any more.
//! - Only due work of the queue is claimed, the earliest first; what comes back is due since its lease ended.
//! - Lanes take turns, and none has more work at the same time than it may.
//! - Work that is taken by its key is leased like work that is claimed, and is not taken before it is due. Of those who take
//!   it at the same time, one gets it.
//!
//! Facts and read models
//! - A fact is applied once, also when it comes twice at the same time.
//! - Read models are the same in whatever order facts come. A row that was removed does not come back by a fact from before
//!   its removal, and another row in its place may.
//! - Rows that add up are the same in whatever order facts come, and are listed by their last use.
//! - Rows are read newest first, page by page, none twice and none left out; removed ones take no place in a page.
//!
//! Looking without claiming
//! - Work that waits is read page by page in the order of the keys' text, claimed or not, none twice and none left out;
//!   what is done with, and what waits in another queue, is not among it.
//! - Deliveries are found by their id, all bodies that came under it, and none of an id that only begins alike.
//!
//! Retention
//! - Only what was done with before the time is deleted, the oldest first, in steps of the limit; then nothing is left.
//! - What waits stays, however old it is; what is kept for good stays; counters stay.
//! - The keys of what stays remain taken.
//! - An environment, its rows, and who holds it stay until it is destroyed.
#![expect(clippy::expect_used, clippy::panic, reason = "a suite of tests: it ends at the first broken promise")]

mod asking;
mod claims;
mod facts;
mod records;
mod retention;
mod samples;
mod views;
mod waiting;

use std::time::Duration;

use crate::Timestamp;
use crate::ports::store::StorePort;

/// Runs the suite. `make_store` makes an empty store for each part of it.
///
/// # Panics
/// The store breaks a promise; the message says which.
pub async fn store_contract<S: StorePort>(make_store: impl AsyncFn() -> S) {
    records::records_come_back_as_they_were_written(&make_store().await).await;
    records::versions_count_up_and_are_compared(&make_store().await).await;
    records::a_conflict_undoes_the_whole_step(&make_store().await).await;
    records::a_step_has_its_limits(&make_store().await).await;
    records::of_those_who_write_a_new_key_at_once_one_succeeds(&make_store().await).await;
    claims::a_claim_leases_until_its_end(&make_store().await).await;
    claims::what_comes_back_is_due_when_its_lease_ends(&make_store().await).await;
    claims::a_commit_moves_claimed_work_on(&make_store().await).await;
    claims::claimers_at_the_same_time_never_get_the_same_work(&make_store().await).await;
    claims::only_due_work_of_the_queue_is_claimed(&make_store().await).await;
    claims::lanes_take_turns(&make_store().await).await;
    claims::a_lane_has_no_more_work_at_once_than_it_may(&make_store().await).await;
    claims::work_is_taken_by_its_key_when_it_is_due(&make_store().await).await;
    claims::of_those_who_take_the_same_work_at_once_one_gets_it(&make_store().await).await;
    facts::a_fact_is_applied_once(&make_store().await).await;
    facts::a_fact_that_comes_twice_at_the_same_time_is_applied_once(&make_store().await).await;
    facts::facts_may_come_in_any_order(&make_store).await;
    facts::a_removed_row_does_not_come_back(&make_store).await;
    facts::what_was_given_up_again_shows_again(&make_store().await).await;
    facts::edges_add_up_in_any_order(&make_store).await;
    views::rows_are_read_page_by_page(&make_store().await).await;
    views::removed_rows_take_no_place_in_a_page(&make_store().await).await;
    waiting::waiting_work_is_read_page_by_page(&make_store().await).await;
    waiting::what_is_done_with_or_in_another_queue_does_not_wait(&make_store().await).await;
    waiting::deliveries_are_found_by_their_id(&make_store().await).await;
    retention::only_what_was_done_with_before_is_deleted(&make_store().await).await;
    retention::environments_stay_until_they_are_destroyed(&make_store().await).await;
    retention::rows_of_environments_stay_until_they_are_destroyed(&make_store().await).await;
    retention::the_oldest_goes_first_and_in_steps(&make_store().await).await;
    retention::facts_and_rows_go_by_their_time_and_counters_stay(&make_store().await).await;
    retention::what_is_left_keeps_its_keys(&make_store().await).await;
}

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const LEASE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryStore;

    #[test]
    fn the_store_in_memory_keeps_the_contract() {
        futures_util::FutureExt::now_or_never(store_contract(async || MemoryStore::new())).expect("it never waits");
    }
}
