//! Promise 4: loops end, also those that no chain shows.

use std::time::Duration;

use dispatch_core::event::{Event, EventIdentity};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{DeliveryId, Repository};
use dispatch_core::ports::store::{Queue, Record, RootBudget};
use dispatch_core::testing::world::{FaultKind, OutgoingWebhook, RepositoryOptions, RunSpec};
use dispatch_core::webhook::{Webhook, parse};

use crate::house::{DISPATCHES, House, INBOUND, api, web};

const TWO: &str = "\
outbound:
  - source:
      workflow: ci.yml
    targets:
      - repository: web
        workflow: cd.yml
      - repository: web
        workflow: other.yml
";
const BOTH: &str = "\
inbound:
  - source:
      repository: api
      workflow: ci.yml
    targets:
      - workflow: cd.yml
      - workflow: other.yml
";

/// A run that the App caused, by a push or a dispatch that nobody knows.
fn own_run() -> RunSpec {
    RunSpec { actor: "dispatch[bot]".to_owned(), ..RunSpec::new("ci.yml", "main") }
}

/// What is due in the queue is done.
fn work_on(house: &House, queue: Queue) {
    house.claim(queue).into_iter().for_each(|item| house.step(item).unwrap());
}

/// `ci.yml` of `api` starts two workflows of `web`.
fn two_targets() -> House {
    let house = House::new();
    house.write(&web(), ".github/workflows/other.yml", "on:\n  workflow_dispatch:\njobs: {}\n");
    house.write(&api(), "dispatching.yml", TWO);
    house.write(&web(), "dispatching.yml", BOTH);
    house.deliver();
    house
}

/// A run completes, and its webhook is delivered. Answers with its event.
fn receive_run(house: &House, spec: RunSpec) -> Event {
    house.world().complete_run(&api(), spec).unwrap();
    let webhook = house.world().take_webhooks().remove(0);
    house.receive(&webhook).unwrap();
    let Webhook::Event(event) = parse(&webhook.event, &webhook.body).unwrap() else { panic!("no event") };
    *event
}

/// A budget of which other events of the chain have spent so much.
fn spent(event: &Event, by_others: u32) -> Record {
    let other: EventIdentity = serde_json::from_value("workflow_run:1:2:3".into()).unwrap();
    let budget = RootBudget { spent: [(other, by_others)].into(), ..RootBudget::default() };
    Record::Root(event.identity(), budget)
}

/// What is stored of the budget of an event, as the shares of the events of its chain.
fn shares(house: &House, event: &Event) -> Vec<u32> {
    let of_event = |record: Record| match record {
        Record::Root(root, budget) if root == event.identity() => Some(budget.spent.into_values().collect()),
        _ => None,
    };
    house.store.inner.records().into_iter().find_map(of_event).unwrap_or_default()
}

#[test]
fn what_the_app_itself_caused_waits_for_its_record_and_then_starts_nothing() {
    let house = House::settled();
    receive_run(&house, own_run());
    house.work();
    let end = house.end_of_story();
    assert!(end.starts_with("plan put back until 2026-01-01T00:00:01Z: this App caused the run"), "{end}");
    // Looked at after 1, 2, 4, 8, 16, and then every 30 seconds, for twice the settle time and five minutes.
    let mut looks = 0;
    for _ in 0..15 * 60 {
        house.advance(Duration::from_secs(1));
        looks += house.claim(Queue::Plan).into_iter().map(|item| house.step(item).unwrap()).count();
    }
    assert!((30..40).contains(&looks), "{looks} looks");
    house.advance(Duration::from_secs(30));
    house.work();
    assert!(house.end_of_story().ends_with("skipped own_event"), "{}", house.story());
    house.finish();
}

#[test]
fn a_run_of_ours_waits_for_its_record_also_where_no_rule_is_about_it_because_somebody_may_follow_it() {
    let house = House::settled();
    house.write(&api(), "dispatching.yml", "outbound: []\n");
    house.deliver();
    receive_run(&house, own_run());
    house.work();
    assert!(house.end_of_story().contains("may not be recorded yet"), "{}", house.story());
    house.advance(Duration::from_secs(15 * 60));
    house.work();
    assert!(house.end_of_story().ends_with("skipped no_rule_matched"), "{}", house.story());
}

/// `ci.yml` of `api` starts `cd.yml` of `web`, which starts `deploy.yml` of `docs`.
fn three_places() -> House {
    let house = House::new();
    let docs: Repository = "octo-org/docs".parse().unwrap();
    house.world().add_repository(&docs, RepositoryOptions::default()).unwrap();
    house.write(&docs, ".github/workflows/deploy.yml", "on:\n  workflow_dispatch:\njobs: {}\n");
    let agreed = INBOUND.replace("api", "web").replace("cd.yml", "deploy.yml").replace("ci.yml", "cd.yml");
    house.write(&docs, "dispatching.yml", &agreed.replace("accept_inputs: [sha]", "accept_inputs: []"));
    let onwards = "\
outbound:
  - source:
      workflow: cd.yml
    targets:
      - repository: docs
        workflow: deploy.yml
";
    house.write(&web(), "dispatching.yml", &format!("{INBOUND}{onwards}"));
    house.deliver();
    house
}

#[test]
fn a_run_that_overtakes_the_record_of_its_dispatch_waits_for_it_and_goes_on_along_its_chain() {
    let house = three_places();
    // GitHub did it, and the answer was lost: the run is known only once it was looked for.
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.run();
    assert!(house.end_of_story().starts_with("in doubt"), "{}", house.story());
    house.world().progress_runs();
    house.world().progress_runs();
    house.deliver();
    work_on(&house, Queue::Plan);
    assert!(house.end_of_story().starts_with("plan put back"), "{}", house.story());
    for _ in 0..30 {
        house.advance(Duration::from_secs(1));
        house.work();
    }
    assert_eq!(house.started(), ["octo-org/web cd.yml", "octo-org/docs deploy.yml"], "{}", house.story());
    let deepest = |record: Record| if let Record::Run(_, run) = record { run.chain.depth() } else { 0 };
    assert_eq!(house.store.inner.records().into_iter().map(deepest).max(), Some(2));
}

#[test]
fn somebody_s_re_run_of_a_run_that_was_started_here_belongs_to_its_chain() {
    let house = three_places();
    house.run();
    house.started();
    let run = house.world().runs().next_back().unwrap().id;
    house.world().progress_runs();
    house.world().progress_runs();
    house.deliver();
    house.work();
    assert_eq!(house.started(), ["octo-org/docs deploy.yml"]);
    let again = RunSpec { rerun_of: Some(run), ..RunSpec::new("cd.yml", "main") };
    house.world().complete_run(&web(), again).unwrap();
    house.deliver();
    house.work();
    assert_eq!(house.started(), ["octo-org/docs deploy.yml"], "{}", house.story());
}

#[test]
fn what_is_started_is_taken_from_the_budget_of_the_root_once_however_often_it_is_planned() {
    let house = two_targets();
    house.complete_run();
    let webhook = house.world().take_webhooks().remove(0);
    let Webhook::Event(event) = parse(&webhook.event, &webhook.body).unwrap() else { panic!("no event") };
    for id in ["first", "second", "third"] {
        let mut webhook = webhook.clone();
        webhook.delivery = id.parse::<DeliveryId>().unwrap();
        house.receive(&webhook).unwrap();
        house.work();
    }
    assert_eq!(shares(&house, &event), [2]);
    assert_eq!(house.started().len(), 2);
}

#[test]
fn plans_of_one_chain_at_the_same_time_never_exceed_the_budget_together() {
    for (others, started) in [(97, 2), (98, 2), (99, 1), (100, 0)] {
        let house = two_targets();
        let event = receive_run(&house, RunSpec::new("ci.yml", "main"));
        // Another event of the chain is planned between the decision and its commit.
        house.store.beat(spent(&event, others));
        house.requests();
        work_on(&house, Queue::Plan);
        let reads = house.requests().iter().filter(|line| line.contains("/contents/")).count();
        assert!(reads <= 4, "GitHub is not asked again");
        house.work();
        assert_eq!(house.started().len(), started, "others have spent {others}: {}", house.story());
        assert!(shares(&house, &event).iter().sum::<u32>() <= Guardrails::ROOT_BUDGET);
        if started < 2 {
            assert!(house.story().contains("other.yml denied root_budget_exceeded"), "{}", house.story());
        }
    }
}

#[test]
fn another_delivery_of_an_event_does_not_stretch_its_budget() {
    let house = two_targets();
    house.complete_run();
    let webhook = house.world().take_webhooks().remove(0);
    let Webhook::Event(event) = parse(&webhook.event, &webhook.body).unwrap() else { panic!("no event") };
    house.store.beat(spent(&event, 98));
    house.receive(&webhook).unwrap();
    house.work();
    assert_eq!(house.started().len(), 2);
    // The same event, and by now the source has other targets.
    house.write(&web(), ".github/workflows/third.yml", "on:\n  workflow_dispatch:\njobs: {}\n");
    house.write(&api(), "dispatching.yml", &TWO.replace("other.yml", "third.yml"));
    house.write(&web(), "dispatching.yml", &BOTH.replace("other.yml", "third.yml"));
    house.deliver();
    house.receive(&OutgoingWebhook { delivery: "again".parse().unwrap(), ..webhook }).unwrap();
    house.work();
    let end = house.end_of_story();
    assert!(end.contains("cd.yml allowed, octo-org/web third.yml denied root_budget_exceeded"), "{end}");
    assert_eq!(shares(&house, &event).iter().sum::<u32>(), 100);
    house.finish();
}

#[test]
fn a_plan_that_others_always_overtake_is_put_back_for_a_second() {
    let house = two_targets();
    let event = receive_run(&house, RunSpec::new("ci.yml", "main"));
    for others in 0..40 {
        house.store.beat(spent(&event, others));
    }
    work_on(&house, Queue::Plan);
    let end = house.end_of_story();
    assert!(end.starts_with("plan put back until 2026-01-01T00:00:01Z: other events of the same chain"), "{end}");
    for _ in 0..3 {
        house.advance(Duration::from_secs(1));
        house.work();
    }
    assert_eq!(house.started().len(), 2, "{}", house.story());
}

#[test]
fn a_source_that_uses_a_target_too_often_within_an_hour_waits_for_the_next_hour() {
    let mut house = House::settled();
    let settings = [("OWNER_ALLOWLIST", "octo-org"), ("DISPATCH_MAX_EDGE_RATE", "2")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    house.pipeline.guardrails = Guardrails::from_settings(&settings).unwrap();
    for _ in 0..3 {
        house.run();
        house.advance(Duration::from_secs(60));
    }
    assert_eq!(house.started().len(), 2);
    assert!(house.end_of_story().ends_with("cd.yml denied edge_rate_exceeded"), "{}", house.story());
    house.advance(Duration::from_secs(60 * 60));
    house.run();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn a_call_that_github_did_not_take_is_no_use_of_its_target() {
    let mut house = House::settled();
    let settings = [("OWNER_ALLOWLIST", "octo-org"), ("DISPATCH_MAX_EDGE_RATE", "1")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    house.pipeline.guardrails = Guardrails::from_settings(&settings).unwrap();
    house.order("POST", DISPATCHES, FaultKind::RateLimited { retry_after: Some(30), reset_in: None, secondary: true });
    house.run();
    house.advance(Duration::from_secs(30));
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "{}", house.story());
}
