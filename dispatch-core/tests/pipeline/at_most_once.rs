//! Promise 3: what is started is started once, whatever fails, and whoever repeats what.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::name::{Branch, CommitSha, DeliveryId, Repository, RepositoryId};
use dispatch_core::pipeline::Pipeline;
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::PullRequestPort;
use dispatch_core::ports::github::{FileRead, FileVersion, GitHubError, RepositoryRef, RunListing};
use dispatch_core::ports::store::{Claim, Queue, Record, RecordKey, StorePort};
use dispatch_core::ports::{GitHubPort, StoreError};
use dispatch_core::request::DispatchRequest;
use dispatch_core::testing::world::{FaultKind, RunSpec, World};
use futures_util::FutureExt;

use crate::house::{DISPATCHES, House, LEASE, OUTBOUND, api};

#[test]
fn two_deliveries_of_one_event_start_one_run() {
    let house = House::settled();
    house.complete_run();
    let webhook = house.world().take_webhooks().remove(0);
    let mut replayed = webhook.clone();
    replayed.delivery = "replayed-under-another-id".parse::<DeliveryId>().unwrap();
    house.receive(&webhook).unwrap();
    house.receive(&replayed).unwrap();
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
    assert!(house.story().contains("octo-org/web cd.yml allowed, cd.yml claimed already"), "{}", house.story());
}

#[test]
fn two_rules_that_name_one_target_start_one_run() {
    let house = House::settled();
    let rule = OUTBOUND.strip_prefix("outbound:\n").unwrap();
    house.write(&api(), "dispatching.yml", &format!("{OUTBOUND}{rule}"));
    house.run();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
    assert!(house.story().contains("denied duplicate_target"), "{}", house.story());
}

#[test]
fn a_crash_between_the_call_and_its_answer_leaves_doubt_until_the_run_is_found_and_no_second_call() {
    let house = House::settled();
    house.complete_run();
    house.deliver();
    house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    house.store.fail_after(1); // That the call begins is stored; its answer is not.
    for item in house.claim(Queue::Dispatch) {
        assert!(matches!(house.step(item), Err(StoreError::Unavailable(_))));
    }
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
    for _ in 0..5 {
        house.advance(Duration::from_secs(600));
        house.work();
    }
    assert!(house.story().contains("in doubt: the call that began at"), "{}", house.story());
    assert_eq!(house.end_of_story(), "triggered, run known: true");
    house.finish();
}

#[test]
fn a_call_that_was_cut_off_is_repeated_only_where_github_shows_that_it_did_not_happen() {
    // What GitHub may have done, how it looks from here, and how many calls it takes.
    let cases = [
        ("before it reached GitHub", FaultKind::CutBefore, 2),
        ("after GitHub did it", FaultKind::CutAfter, 1),
        ("by a gateway", FaultKind::status(502), 2),
        ("by a time-out of the gateway", FaultKind::status(504), 2),
    ];
    for (name, fault, expected) in cases {
        let house = House::settled();
        house.order("POST", DISPATCHES, fault);
        house.run();
        assert!(house.end_of_story().starts_with("in doubt: "), "{name}: {}", house.story());
        for _ in 0..5 {
            house.advance(Duration::from_secs(600));
            house.work();
        }
        assert_eq!(house.started().len(), 1, "{name}");
        let calls = house.requests().iter().filter(|line| line.starts_with("POST")).count();
        assert_eq!(calls, expected, "{name}");
    }
}

#[test]
fn who_lost_the_lease_does_not_call() {
    let house = House::settled();
    house.complete_run();
    house.deliver();
    house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    let slow = house.claim(Queue::Dispatch).remove(0);
    house.advance(LEASE);
    let quick = house.claim(Queue::Dispatch).remove(0);
    house.step(quick).unwrap();
    assert!(matches!(house.step(slow), Err(StoreError::Conflict(_))));
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn two_who_plan_the_same_delivery_store_one_plan() {
    let house = House::settled();
    house.complete_run();
    house.deliver();
    let slow = house.claim(Queue::Plan).remove(0);
    house.advance(LEASE);
    let quick = house.claim(Queue::Plan).remove(0);
    house.step(quick).unwrap();
    assert!(matches!(house.step(slow), Err(StoreError::Conflict(_))));
    assert_eq!(house.story().matches("planned").count(), 1);
}

#[test]
fn another_attempt_of_a_run_is_another_event() {
    let house = House::settled();
    let run = house.run();
    assert_eq!(house.started().len(), 1);
    house.world().complete_run(&api(), RunSpec { rerun_of: Some(run), ..RunSpec::new("ci.yml", "main") }).unwrap();
    house.deliver();
    house.work();
    assert_eq!(house.started().len(), 1);
}

/// A call that takes so long that the workers give it up before it is answered.
struct Slow {
    world: Arc<Mutex<World>>,
    others: Pipeline,
}

impl PullRequestPort for Slow {}

#[async_trait]
impl GitHubPort for Slow {
    async fn read_file(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        self.others.github.read_file(repository, id, path, known).await
    }

    async fn commit_on_branch(&self, at: &RepositoryRef, b: &Branch, sha: &CommitSha) -> Result<bool, GitHubError> {
        self.others.github.commit_on_branch(at, b, sha).await
    }

    async fn runs_since(&self, at: &RepositoryRef, since: Timestamp) -> Result<RunListing, GitHubError> {
        self.others.github.runs_since(at, since).await
    }

    async fn dispatch(
        &self,
        at: &RepositoryRef,
        request: &DispatchRequest,
        not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        let answer = self.others.github.dispatch(at, request, not_after).await;
        self.world.lock().unwrap().advance(Duration::from_secs(600));
        let now = self.world.lock().unwrap().now();
        let claim = Claim { queue: Queue::Dispatch, now, lease: LEASE, limit: 1, per_lane: 1 };
        for item in self.others.store.claim(claim).await.unwrap() {
            let Record::Dispatch(dispatch) = item.record else { panic!("no dispatch") };
            self.others.dispatch(*dispatch, item.version, now).await.unwrap();
        }
        answer
    }
}

#[test]
fn an_answer_that_comes_after_the_call_was_given_up_ends_the_doubt_and_keeps_the_chain() {
    let mut house = House::settled();
    house.pipeline.github = Arc::new(Slow { world: Arc::clone(&house.world), others: house.pipeline.clone() });
    house.run();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
    assert!(house.story().contains("in doubt: the call that began at"), "{}", house.story());
    assert_eq!(house.end_of_story(), "triggered, run known: true");
    let run = house.world().runs().last().unwrap().id;
    let chain = house.store.load(&[RecordKey::Run(run)]).now_or_never().unwrap().unwrap().remove(0);
    assert!(chain.is_some(), "a run without its chain could be a step of a loop");
    house.finish();
}
