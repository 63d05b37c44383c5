//! What the record of an environment says, wish by wish.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::chain::Place;
use dispatch_core::dispatch::DispatchKey;
use dispatch_core::environment::{
    Environment, EnvironmentDescription, EnvironmentKey, EnvironmentOrigin, EnvironmentState, EnvironmentUse, Leaves,
    NotTaken, StepEnd, Turn,
};
use dispatch_core::name::{PullRequestNumber, RepositoryId};
use dispatch_core::policy::{EnvironmentAction, Start};
use dispatch_core::ports::github::RepositoryRef;

use EnvironmentAction::{Create, Destroy};
use EnvironmentState::{Creating, Destroyed, Destroying, Failed, Live, Updating};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn source(id: u64) -> RepositoryRef {
    RepositoryRef { id: RepositoryId(id), name: "octo-org/api".parse().unwrap() }
}

fn origin() -> EnvironmentOrigin {
    EnvironmentOrigin { default_branch: "main".parse().unwrap(), private: false, installation: None }
}

/// The dispatch of the how-manieth wish.
fn dispatch(n: u32) -> DispatchKey {
    let event = serde_json::from_value(format!("event:{n}").into()).unwrap();
    let target =
        Place { repository: "octo-org/infra".parse().unwrap(), start: Start::Workflow("preview.yml".parse().unwrap()) };
    DispatchKey { event, target }
}

fn wish(action: EnvironmentAction, pull_request: u32, seconds: i64) -> EnvironmentUse {
    EnvironmentUse {
        key: EnvironmentKey { repository: "octo-org/infra".parse().unwrap(), name: "preview".parse().unwrap() },
        action,
        pull_request: number(pull_request),
        description: EnvironmentDescription {
            base: "main".parse().unwrap(),
            deploy: format!("feature-{pull_request}"),
            url: None,
            links: [].into(),
            cleanup: None,
            ttl: Some(Duration::from_secs(3_600)),
        },
        keep: false,
        at: at(seconds),
    }
}

fn number(n: u32) -> PullRequestNumber {
    PullRequestNumber(n.into())
}

/// An environment, and what its dispatches do with it.
#[derive(Default)]
struct Life {
    record: Option<Environment>,
    now: i64,
}

impl Life {
    fn wish(&mut self, n: u32, wish: &EnvironmentUse) -> Result<(), NotTaken> {
        self.wish_of(n, wish, 7, Leaves::ThePullRequest)
    }

    fn wish_of(&mut self, n: u32, wish: &EnvironmentUse, id: u64, leaves: Leaves) -> Result<(), NotTaken> {
        self.now += 1;
        let stored = self.record.clone();
        self.record =
            Some(Environment::wish(stored, (&source(id), &origin()), wish, leaves, &dispatch(n), at(self.now))?);
        Ok(())
    }

    fn turn(&self, n: u32, wish: &EnvironmentUse) -> Turn {
        self.it().turn(wish, &dispatch(n), at(self.now))
    }

    fn begin(&mut self, n: u32, wish: &EnvironmentUse) {
        assert_eq!(self.turn(n, wish), Turn::Go);
        self.now += 1;
        self.record.as_mut().unwrap().begin(wish, &dispatch(n), at(self.now));
    }

    fn end(&mut self, n: u32, end: StepEnd) -> bool {
        self.now += 1;
        self.record.as_mut().unwrap().end(&dispatch(n), end, at(self.now))
    }

    fn it(&self) -> &Environment {
        self.record.as_ref().unwrap()
    }

    fn state(&self) -> EnvironmentState {
        self.it().state
    }

    fn waits(&self, n: u32, wish: &EnvironmentUse) -> bool {
        matches!(self.turn(n, wish), Turn::Wait { .. })
    }
}

/// Created by pull request 1.
fn live() -> Life {
    let (mut life, create) = (Life::default(), wish(Create, 1, 1));
    life.wish(1, &create).unwrap();
    life.begin(1, &create);
    assert!(life.end(1, StepEnd::Done));
    life
}

#[test]
fn it_is_created_updated_and_destroyed() {
    let (mut life, create) = (Life::default(), wish(Create, 1, 1));
    life.wish(1, &create).unwrap();
    assert_eq!(life.state(), Creating);
    life.begin(1, &create);
    assert_eq!(life.state(), Creating);
    life.end(1, StepEnd::Done);
    assert_eq!(life.state(), Live);

    let update = wish(Create, 1, 2);
    life.wish(2, &update).unwrap();
    assert_eq!(life.state(), Live, "it is as it was until the update begins");
    life.begin(2, &update);
    assert_eq!(life.state(), Updating);
    life.end(2, StepEnd::Done);

    let destroy = wish(Destroy, 1, 3);
    life.wish(3, &destroy).unwrap();
    life.begin(3, &destroy);
    assert_eq!(life.state(), Destroying);
    life.end(3, StepEnd::Done);
    assert_eq!(life.state(), Destroyed);
    assert!(life.it().holders.is_empty() && life.it().leaving.is_empty());
}

#[test]
fn one_action_at_a_time_and_the_newest_wish_takes_the_place_of_one_that_has_not_begun() {
    let (mut life, wishes) = (Life::default(), [wish(Create, 1, 1), wish(Create, 1, 2), wish(Create, 1, 3)]);
    life.wish(1, &wishes[0]).unwrap();
    life.begin(1, &wishes[0]);
    life.wish(2, &wishes[1]).unwrap();
    assert!(life.waits(2, &wishes[1]));
    life.wish(3, &wishes[2]).unwrap();
    assert_eq!(life.turn(2, &wishes[1]), Turn::Superseded);
    assert!(life.waits(3, &wishes[2]));
    assert!(!life.end(2, StepEnd::NotDone), "what was superseded changes nothing");
    life.end(1, StepEnd::Done);
    life.begin(3, &wishes[2]);
    assert_eq!(life.state(), Updating);
}

#[test]
fn a_close_that_overtakes_its_create_still_ends_destroyed() {
    // The create was planned and has not begun: it never does.
    let (mut life, create, close) = (Life::default(), wish(Create, 1, 1), wish(Destroy, 1, 2));
    life.wish(1, &create).unwrap();
    life.wish(2, &close).unwrap();
    assert_eq!(life.turn(1, &create), Turn::Superseded);
    life.begin(2, &close);
    life.end(2, StepEnd::Done);
    assert_eq!(life.state(), Destroyed);
    assert_eq!(life.wish(3, &wish(Create, 1, 1)), Err(NotTaken::Superseded), "the late create is older");

    // The create has begun: the destroy waits for its end.
    let mut life = Life::default();
    life.wish(1, &create).unwrap();
    life.begin(1, &create);
    life.wish(2, &close).unwrap();
    assert!(life.waits(2, &close));
    life.end(1, StepEnd::Failed);
    life.begin(2, &close);
    life.end(2, StepEnd::Done);
    assert_eq!(life.state(), Destroyed);
}

#[test]
fn of_a_create_and_a_destroy_of_the_same_second_the_destroy_wins_in_either_order() {
    let (create, destroy) = (wish(Create, 1, 5), wish(Destroy, 1, 5));
    let mut life = live();
    life.wish(2, &create).unwrap();
    life.wish(3, &destroy).unwrap();
    assert_eq!(life.turn(2, &create), Turn::Superseded);
    assert_eq!(life.turn(3, &destroy), Turn::Go);

    let mut life = live();
    life.wish(3, &destroy).unwrap();
    assert_eq!(life.wish(2, &create), Err(NotTaken::Superseded));
    assert_eq!(life.turn(3, &destroy), Turn::Go);
}

#[test]
fn a_shared_environment_is_destroyed_when_its_last_holder_goes() {
    let mut life = live();
    let join = wish(Create, 2, 2);
    life.wish(2, &join).unwrap();
    life.begin(2, &join);
    life.end(2, StepEnd::Done);
    assert_eq!(life.wish(3, &wish(Destroy, 1, 3)), Err(NotTaken::StillHeld));
    assert!(life.record.as_mut().unwrap().release(number(1), at(3)));
    assert!(!life.record.as_mut().unwrap().release(number(1), at(3)), "once");
    assert_eq!(life.it().holders, [number(2)].into());
    let last = wish(Destroy, 2, 4);
    life.wish(4, &last).unwrap();
    life.begin(4, &last);
    life.end(4, StepEnd::Done);
    assert_eq!(life.state(), Destroyed);
}

#[test]
fn a_destroy_that_has_not_begun_gives_way_to_another_holder_however_late_he_is_heard() {
    let mut life = live();
    let (destroy, join) = (wish(Destroy, 1, 9), wish(Create, 2, 2));
    life.wish(2, &destroy).unwrap();
    life.wish(3, &join).unwrap();
    assert_eq!(life.turn(2, &destroy), Turn::Superseded);
    assert_eq!(life.turn(3, &join), Turn::Go);
    assert_eq!((life.it().holders.len(), life.it().leaving.len()), (1, 0));
}

#[test]
fn a_destroy_that_has_begun_is_followed_by_a_create_for_another_holder() {
    let mut life = live();
    let (destroy, join) = (wish(Destroy, 1, 2), wish(Create, 2, 3));
    life.wish(2, &destroy).unwrap();
    life.begin(2, &destroy);
    life.wish(3, &join).unwrap();
    assert!(life.waits(3, &join));
    assert_eq!(life.state(), Destroying);
    life.end(2, StepEnd::Done);
    assert_eq!(life.state(), Creating);
    life.begin(3, &join);
    life.end(3, StepEnd::Done);
    assert_eq!(life.state(), Live);
}

#[test]
fn another_source_never_has_the_name_until_it_is_destroyed() {
    let mut life = live();
    let mut theirs = wish(Create, 1, 5);
    assert_eq!(life.wish_of(2, &theirs, 8, Leaves::ThePullRequest), Err(NotTaken::NameTaken));
    theirs.action = Destroy;
    assert_eq!(life.wish_of(2, &theirs, 8, Leaves::ThePullRequest), Err(NotTaken::NotHeld));
    assert_eq!(life.wish_of(2, &theirs, 8, Leaves::Everybody), Err(NotTaken::NotHeld));

    let destroy = wish(Destroy, 1, 6);
    life.wish(3, &destroy).unwrap();
    life.begin(3, &destroy);
    life.end(3, StepEnd::Done);
    let facts = life.it().facts;
    life.wish_of(4, &wish(Create, 1, 2), 8, Leaves::ThePullRequest).unwrap();
    assert_eq!((life.it().source.id, life.state()), (RepositoryId(8), Creating));
    assert!(life.it().facts >= facts, "no number of a fact is used twice");
}

#[test]
fn a_destroyed_environment_can_be_created_again() {
    let mut life = live();
    let (destroy, again) = (wish(Destroy, 1, 2), wish(Create, 1, 3));
    life.wish(2, &destroy).unwrap();
    life.begin(2, &destroy);
    life.end(2, StepEnd::Done);
    life.wish(3, &again).unwrap();
    assert_eq!(life.state(), Creating);
    life.begin(3, &again);
    life.end(3, StepEnd::Done);
    assert_eq!(life.state(), Live);
}

#[test]
fn a_destroy_that_failed_can_be_tried_again() {
    let mut life = live();
    let destroy = wish(Destroy, 1, 2);
    life.wish(2, &destroy).unwrap();
    life.begin(2, &destroy);
    life.end(2, StepEnd::Failed);
    assert_eq!(life.state(), Failed);
    assert!(life.it().concerns(number(1)), "it is still known for whom");
    let again = wish(Destroy, 1, 3);
    life.wish(3, &again).unwrap();
    life.begin(3, &again);
    life.end(3, StepEnd::Done);
    assert_eq!(life.state(), Destroyed);
}

#[test]
fn a_run_that_is_run_again_ends_its_action_again_until_another_one_has_begun() {
    let (mut life, update) = (live(), wish(Create, 1, 2));
    life.wish(2, &update).unwrap();
    life.begin(2, &update);
    for (end, state) in [(StepEnd::Failed, Failed), (StepEnd::Done, Live), (StepEnd::Unseen, Live)] {
        assert_eq!(life.end(2, end), end != StepEnd::Unseen);
        assert_eq!(life.state(), state, "{end:?}");
    }
    assert!(!life.end(1, StepEnd::Failed), "a newer one has ended since");
    let destroy = wish(Destroy, 1, 3);
    life.wish(3, &destroy).unwrap();
    life.begin(3, &destroy);
    assert!(!life.end(2, StepEnd::Failed), "a newer one is under way");
    life.end(3, StepEnd::Failed);
    assert!(life.it().concerns(number(1)), "it is tried again");
    assert!(life.end(3, StepEnd::Done));
    assert_eq!((life.state(), life.it().concerns(number(1))), (Destroyed, false));
    assert!(!life.end(3, StepEnd::Failed), "what is gone is not there again");
}

#[test]
fn what_certainly_did_nothing_leaves_it_as_it_was() {
    let (mut life, create) = (Life::default(), wish(Create, 1, 1));
    life.wish(1, &create).unwrap();
    life.begin(1, &create);
    life.end(1, StepEnd::NotDone);
    assert_eq!(life.state(), Destroyed, "it never was");
    // The operator tries what GitHub refused again.
    life.begin(1, &create);
    life.end(1, StepEnd::Done);
    assert_eq!(life.state(), Live);

    let update = wish(Create, 1, 2);
    life.wish(2, &update).unwrap();
    life.begin(2, &update);
    life.end(2, StepEnd::NotDone);
    assert_eq!(life.state(), Live);
}

#[test]
fn a_call_that_is_put_back_waits_again_unless_something_newer_is_wanted() {
    let mut life = live();
    let (update, close) = (wish(Create, 1, 2), wish(Destroy, 1, 3));
    life.wish(2, &update).unwrap();
    life.begin(2, &update);
    life.end(2, StepEnd::PutBack);
    assert_eq!((life.state(), life.turn(2, &update)), (Live, Turn::Go));
    life.begin(2, &update);
    life.wish(3, &close).unwrap();
    life.end(2, StepEnd::PutBack);
    assert_eq!((life.turn(2, &update), life.turn(3, &close)), (Turn::Superseded, Turn::Go));
}

#[test]
fn nothing_waits_for_ever() {
    let mut life = live();
    let (update, close) = (wish(Create, 1, 2), wish(Destroy, 1, 3));
    life.wish(2, &update).unwrap();
    life.begin(2, &update);
    life.wish(3, &close).unwrap();
    let Turn::Wait { until } = life.turn(3, &close) else { panic!("it waits") };
    assert_eq!(life.it().overdue(until.checked_sub(Duration::from_secs(1)).unwrap()), None);
    assert_eq!(life.it().overdue(until).unwrap().dispatch, dispatch(2));
    assert_eq!(life.it().turn(&close, &dispatch(3), until), Turn::Go);
    life.record.as_mut().unwrap().begin(&close, &dispatch(3), until);
    assert!(!life.end(2, StepEnd::Done), "what was given up does not count any more");
    life.end(3, StepEnd::Done);
    assert_eq!(life.state(), Destroyed);
}

#[test]
fn its_time_counts_from_the_last_change_and_only_while_it_rests() {
    let mut life = live();
    assert_eq!(life.it().expires_at(), Some(at(life.now + 3_600)));
    life.wish(2, &wish(Create, 1, 2)).unwrap();
    assert_eq!(life.it().expires_at(), None);
}

#[test]
fn when_its_time_is_over_it_goes_for_everybody_unless_somebody_wanted_it_since() {
    let mut life = live();
    let join = wish(Create, 2, 20);
    life.wish(2, &join).unwrap();
    life.begin(2, &join);
    life.end(2, StepEnd::Done);
    assert_eq!(life.wish_of(3, &wish(Destroy, 1, 10), 7, Leaves::Everybody), Err(NotTaken::Superseded));
    life.wish_of(3, &wish(Destroy, 1, 30), 7, Leaves::Everybody).unwrap();
    assert_eq!(life.it().holders, [number(1), number(2)].into(), "until it is gone, they hold it");
    life.wish(4, &wish(Create, 2, 31)).unwrap();
    assert_eq!(life.turn(3, &wish(Destroy, 1, 30)), Turn::Superseded);
    assert_eq!(life.it().holders, [number(1), number(2)].into());
}

#[test]
fn when_its_time_is_over_whoever_wants_it_while_it_goes_holds_the_next_one() {
    let mut life = live();
    let (join, over, again) = (wish(Create, 2, 20), wish(Destroy, 2, 30), wish(Create, 3, 40));
    life.wish(2, &join).unwrap();
    life.begin(2, &join);
    life.end(2, StepEnd::Done);
    life.wish_of(3, &over, 7, Leaves::Everybody).unwrap();
    life.begin(3, &over);
    life.end(3, StepEnd::PutBack);
    assert!(life.end(3, StepEnd::NotDone), "it was not destroyed after all");
    assert_eq!((life.state(), &life.it().holders), (Live, &[number(1), number(2)].into()));

    let over = wish(Destroy, 2, 31);
    life.wish_of(4, &over, 7, Leaves::Everybody).unwrap();
    life.begin(4, &over);
    life.wish(5, &again).unwrap();
    life.end(4, StepEnd::Done);
    assert_eq!((life.state(), &life.it().holders), (Creating, &[number(3)].into()));
    assert!(life.it().leaving.is_empty());
}

#[test]
fn the_wishes_of_many_pull_requests_that_are_gone_are_not_kept() {
    let mut life = live();
    for n in 2..400 {
        life.wish(n, &wish(Create, n, i64::from(n))).unwrap();
        life.record.as_mut().unwrap().release(number(n), at(i64::from(n)));
    }
    assert_eq!(life.it().seen.len(), Environment::MAX_GONE + 1);
    assert!(life.it().seen.contains_key(&number(1)), "whoever holds it is known");
}
