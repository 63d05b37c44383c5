//! Whatever order webhooks come in, however often, and whichever are lost: after a sweep, every environment is as its pull
//! request's truth says. Where none is lost and no run fails, no sweep is needed.

use std::collections::BTreeMap;

use dispatch_core::environment::EnvironmentState;
use dispatch_core::event::Conclusion;
use dispatch_core::fact::EnvironmentChange;
use dispatch_core::testing::world::OutgoingWebhook;
use proptest::prelude::*;

use crate::stage::{Stage, cms, infra};

/// What somebody does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Open {
        shared: bool,
    },
    Push(usize),
    Close(usize),
    Reopen(usize),
    Retarget(usize, bool),
    Deploy(usize),
    Destroy(usize),
    /// The next run of a workflow fails.
    Fail {
        destroy: bool,
    },
    /// What was sent is worked on, and the runs that were started go on by a step at most.
    Work {
        progress: bool,
    },
    /// Everything that was sent is worked on, until all runs have ended.
    Rest,
}

/// What becomes of a webhook about a pull request or a command.
#[derive(Debug, Clone, Copy)]
enum Way {
    InTime,
    Twice,
    Late,
    Lost,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => any::<bool>().prop_map(|shared| Act::Open { shared }),
        3 => (0..4_usize).prop_map(Act::Push),
        4 => (0..4_usize).prop_map(Act::Close),
        2 => (0..4_usize).prop_map(Act::Reopen),
        1 => (0..4_usize, any::<bool>()).prop_map(|(pull, shared)| Act::Retarget(pull, shared)),
        2 => (0..4_usize).prop_map(Act::Deploy),
        2 => (0..4_usize).prop_map(Act::Destroy),
        1 => any::<bool>().prop_map(|destroy| Act::Fail { destroy }),
        8 => any::<bool>().prop_map(|progress| Act::Work { progress }),
        2 => Just(Act::Rest),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![5 => Just(Way::InTime), 2 => Just(Way::Twice), 3 => Just(Way::Late), 2 => Just(Way::Lost)]
}

/// The same where people change their minds about the branch, and every run ends well.
fn act_that_works() -> impl Strategy<Value = Act> {
    let retarget = (0..4_usize, any::<bool>()).prop_map(|(pull, shared)| Act::Retarget(pull, shared));
    prop_oneof![6 => act().prop_filter("it fails", |act| !matches!(act, Act::Fail { .. })), 1 => retarget]
}

fn way_that_arrives() -> impl Strategy<Value = Way> {
    prop_oneof![5 => Just(Way::InTime), 2 => Just(Way::Twice), 3 => Just(Way::Late)]
}

fn base(shared: bool) -> &'static str {
    if shared { "main" } else { "dev" }
}

struct Story {
    stage: Stage,
    pulls: Vec<u64>,
    late: Vec<OutgoingWebhook>,
}

impl Story {
    /// Everything that people do and that arrives, until nothing waits any more.
    fn told(acts: Vec<(Act, Way)>, order: prop::sample::Index) -> Self {
        let mut story = Self { stage: Stage::new(), pulls: Vec::new(), late: Vec::new() };
        for (act, way) in acts {
            story.act(act);
            story.deliver(way);
        }
        // What is late comes in another order than it was sent in.
        let mut late = std::mem::take(&mut story.late);
        if !late.is_empty() {
            let middle = order.index(late.len());
            late.rotate_left(middle);
        }
        for webhook in &late {
            story.stage.0.receive(std::slice::from_ref(webhook)).unwrap();
        }
        story.rest();
        story
    }

    /// Every environment that is there is an open pull request's, and no closed one has any.
    fn is_as_pull_requests_are(&self) -> Result<(), TestCaseError> {
        for name in ["staging", "pr-1", "pr-2", "pr-3", "pr-4"] {
            let Some(environment) = self.stage.environment(name) else { continue };
            let concerned: Vec<_> = environment.concerned().map(|number| number.0).collect();
            prop_assert!(environment.wanted.is_none() && environment.under_way.is_none(), "{environment:#?}");
            if environment.state != EnvironmentState::Destroyed {
                prop_assert!(!concerned.is_empty(), "nobody has it: {environment:#?}");
                prop_assert!(concerned.iter().all(|number| self.is_open(*number)), "{environment:#?}");
            }
        }
        Ok(())
    }

    fn act(&mut self, act: Act) {
        let pull = |pull: usize| self.pulls.get(pull).copied().unwrap_or(u64::MAX);
        // What cannot be done - closing what is closed - is not done.
        let (cms, mut world) = (cms(), self.stage.0.world());
        let comment = |text| (text, "octocat");
        match act {
            Act::Open { shared } if self.pulls.len() < 4 => {
                drop(world);
                let opened = self.stage.open(&format!("topic-{}", self.pulls.len()), base(shared));
                self.pulls.push(opened);
            }
            Act::Open { .. } => {}
            Act::Push(n) => _ = world.push_to_pull_request(&cms, pull(n), "octocat"),
            Act::Close(n) => _ = world.close_pull_request(&cms, pull(n), false),
            Act::Reopen(n) => _ = world.reopen_pull_request(&cms, pull(n)),
            Act::Retarget(n, shared) => _ = world.retarget_pull_request(&cms, pull(n), base(shared)),
            Act::Deploy(n) => {
                let (text, who) = comment("/deploy");
                _ = world.comment(&cms, pull(n), who, text);
            }
            Act::Destroy(n) => {
                let (text, who) = comment("/destroy");
                _ = world.comment(&cms, pull(n), who, text);
            }
            Act::Fail { destroy } => {
                let workflow = if destroy { "destroy.yml" } else { "create.yml" };
                world.order_conclusion(&infra(), workflow, Conclusion::Failure).unwrap();
            }
            Act::Work { progress } => {
                if progress {
                    world.progress_runs();
                }
                drop(world);
                self.stage.0.run_once().unwrap();
            }
            Act::Rest => {
                drop(world);
                self.stage.settle();
            }
        }
    }

    /// Sends what was just sent on its way.
    fn deliver(&mut self, way: Way) {
        for webhook in self.stage.intercept() {
            let about_people = matches!(webhook.event.as_str(), "pull_request" | "issue_comment");
            let (now, later) = match way {
                Way::Twice if about_people => (2, 0),
                Way::Late if about_people => (0, 1),
                Way::Lost if about_people => (0, 0),
                _ => (1, 0),
            };
            for _ in 0..now {
                self.stage.0.receive(std::slice::from_ref(&webhook)).unwrap();
            }
            self.late.extend(std::iter::repeat_n(webhook, later));
        }
        self.stage.advance(2);
    }

    fn is_open(&self, number: u64) -> bool {
        let world = self.stage.0.world();
        world.pull_request_parts(&cms(), number).unwrap().0.open
    }

    /// Works until nothing waits any more.
    fn rest(&self) {
        for _ in 0..4 {
            self.stage.settle();
            self.stage.advance(6 * 60);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn environments_end_as_their_pull_requests_truth_says(
        acts in prop::collection::vec((act(), way()), 1..40),
        order in any::<prop::sample::Index>(),
    ) {
        let story = Story::told(acts, order);

        // Failures that were ordered let a sweep's destroy fail: the next one tries again.
        for _ in 0..30 {
            let outcome = story.stage.sweep();
            prop_assert_eq!(&outcome.unknown, &[]);
            for swept in &outcome.going {
                prop_assert!(!story.is_open(swept.pull_request.0), "{swept:?} is open and has time left");
            }
            story.rest();
            if outcome.going.is_empty() {
                break;
            }
        }
        story.is_as_pull_requests_are()?;
        one_action_at_a_time(&story.stage)?;
    }

    #[test]
    fn nothing_is_left_of_closed_pull_requests_when_every_webhook_arrives(
        acts in prop::collection::vec((act_that_works(), way_that_arrives()), 1..40),
        order in any::<prop::sample::Index>(),
    ) {
        let story = Story::told(acts, order);
        story.is_as_pull_requests_are()?;
        one_action_at_a_time(&story.stage)?;
    }
}

/// Each action ends before the next of the same environment begins, and each that began was one call.
fn one_action_at_a_time(stage: &Stage) -> Result<(), TestCaseError> {
    let mut under_way: BTreeMap<String, usize> = BTreeMap::new();
    let mut began = 0;
    for (name, change) in stage.steps() {
        let count = under_way.entry(name.clone()).or_default();
        match change {
            EnvironmentChange::Began(_) => {
                prop_assert_eq!(*count, 0, "{} begins twice", name);
                (*count, began) = (1, began + 1);
            }
            EnvironmentChange::Ended(_) => *count = 0,
            EnvironmentChange::Wanted(_) | EnvironmentChange::Released(_) => {}
        }
    }
    prop_assert_eq!(stage.started().len(), began, "each call was an action that began");
    Ok(())
}
