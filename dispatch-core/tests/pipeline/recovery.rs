//! Recovery of what never arrived: GitHub's delivery log says what failed, and delivers it again when it is asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_core::name::DeliveryId;
use dispatch_core::pipeline::{IngressError, ReceiptOutcome};
use dispatch_core::ports::delivery_log::{AttemptPage, DeliveryAttempt, DeliveryLogPort};
use dispatch_core::ports::github::{GitHubError, RateLimitReset};
use dispatch_core::ports::store::{Commit, Record, StoreError, StorePort, Write};
use dispatch_core::recovery::{RecoverOptions, RecoverOutcome, Recovery};
use dispatch_core::testing::WorldGitHub;
use dispatch_core::testing::world::OutgoingWebhook;
use futures_util::FutureExt;
use serde_json::json;

use crate::house::{House, web};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DRY: RecoverOptions = RecoverOptions { since: None, compare: false, dry_run: true };
const COMPARE: RecoverOptions = RecoverOptions { since: None, compare: true, dry_run: false };

/// A house whose webhooks GitHub delivers, or fails to.
struct Recovering {
    house: House,
    per_page: usize,
    /// How the next calls end.
    orders: Mutex<VecDeque<(Call, GitHubError)>>,
    /// What was asked for again.
    redelivered: Mutex<Vec<u64>>,
    pages: Mutex<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    /// The page of this number, from 0 on.
    Page(usize),
    Redeliver,
}

#[async_trait]
impl DeliveryLogPort for Recovering {
    async fn attempts(&self, cursor: Option<&str>) -> Result<AttemptPage, GitHubError> {
        let number = std::mem::replace(&mut *self.pages.lock().unwrap(), 0);
        *self.pages.lock().unwrap() = number + 1;
        self.ordered(Call::Page(number))?;
        let world = self.house.world();
        // A cursor names the newest attempt that the page may hold, whatever came since.
        let first = cursor.map_or(u64::MAX, |cursor| cursor.parse().unwrap());
        let mut left = world.deliveries().filter(|record| record.id <= first);
        let attempts = left.by_ref().take(self.per_page).map(|record| DeliveryAttempt {
            id: record.id,
            delivery: record.webhook.delivery.clone(),
            delivered_at: record.delivered_at,
            succeeded: record.status == "OK",
            status: record.status.clone(),
            event: record.webhook.event.clone(),
            action: record.webhook.action.clone(),
            repository: record.webhook.repository,
        });
        let attempts = attempts.collect();
        Ok(AttemptPage { attempts, next: left.next().map(|record| record.id.to_string()) })
    }

    async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        self.ordered(Call::Redeliver)?;
        self.redelivered.lock().unwrap().push(attempt);
        let refused = |_| GitHubError::Refused { status: 404, message: "Not Found".to_owned(), permission: None };
        self.house.world().redeliver(attempt).map_err(refused)
    }
}

impl Recovering {
    fn new() -> Self {
        Self {
            house: House::settled(),
            per_page: 100,
            orders: Mutex::default(),
            redelivered: Mutex::default(),
            pages: Mutex::default(),
        }
    }

    fn order(&self, call: Call, error: GitHubError) {
        self.orders.lock().unwrap().push_back((call, error));
    }

    fn ordered(&self, call: Call) -> Result<(), GitHubError> {
        let order = self.orders.lock().unwrap().pop_front_if(|(ordered, _)| *ordered == call);
        order.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// GitHub delivers what waits, and writes down how it went.
    fn deliver(&self) {
        let webhooks = self.house.world().take_webhooks();
        for webhook in webhooks {
            let status = match self.house.receive(&webhook) {
                Ok(_) => 202,
                Err(IngressError::Store(_)) => 503,
                Err(error) => panic!("{error}"),
            };
            self.house.world().record_delivery(webhook, Some(status), "", 0.1);
        }
    }

    /// GitHub tries to deliver what waits, and nobody answers.
    fn lose(&self) -> Vec<OutgoingWebhook> {
        let webhooks = self.house.world().take_webhooks();
        for webhook in &webhooks {
            self.house.world().record_delivery(webhook.clone(), None, "failed to connect to host", 10.0);
        }
        webhooks
    }

    /// GitHub delivers what waits, and the store that took it is lost.
    fn deliver_to_what_was_lost(&self) -> Vec<OutgoingWebhook> {
        let webhooks = self.house.world().take_webhooks();
        for webhook in &webhooks {
            self.house.world().record_delivery(webhook.clone(), Some(202), "", 0.1);
        }
        webhooks
    }

    /// A run's webhook is lost.
    fn lose_run(&self) -> DeliveryId {
        self.house.complete_run();
        let lost = self.lose();
        lost.into_iter().find(|webhook| webhook.event == "workflow_run").unwrap().delivery
    }

    fn look(&self, options: RecoverOptions) -> RecoverOutcome {
        self.try_look(options).unwrap()
    }

    fn try_look(&self, options: RecoverOptions) -> Result<RecoverOutcome, StoreError> {
        *self.pages.lock().unwrap() = 0;
        self.house.pipeline.recover(self, options, self.house.now()).now_or_never().unwrap()
    }

    fn recover(&self) -> RecoverOutcome {
        self.look(RecoverOptions::default())
    }

    /// How often GitHub was asked since the last time.
    fn redelivered(&self) -> usize {
        std::mem::take(&mut *self.redelivered.lock().unwrap()).len()
    }

    fn recovery(&self) -> Recovery {
        let records = self.house.store.inner.records();
        let found = records.into_iter().find_map(|r| if let Record::Recovery(r) = r { Some(*r) } else { None });
        found.unwrap_or_default()
    }
}

fn unavailable() -> GitHubError {
    GitHubError::Unavailable("down".to_owned())
}

#[test]
fn a_run_whose_webhook_was_lost_starts_what_it_should_after_all() {
    let recovering = Recovering::new();
    let lost = recovering.lose_run();
    let outcome = recovering.recover();
    let missed: Vec<_> = outcome.missed.iter().map(|missed| missed.delivery.clone()).collect();
    assert_eq!(missed, [lost]);
    assert_eq!((outcome.asked, outcome.missing, outcome.complete, outcome.error), (1, 1, true, None));
    recovering.deliver();
    recovering.house.work();
    assert_eq!(recovering.house.started(), ["octo-org/web cd.yml"]);
    recovering.house.advance(MINUTE);
    let outcome = recovering.recover();
    assert_eq!((outcome.asked, outcome.arrived, outcome.missing, outcome.missed.len()), (0, 1, 0, 0));
    let shown = recovering.recovery().missed;
    assert_eq!(shown.len(), 1);
    assert!(shown[0].asked_at.is_some() && shown[0].arrived_at.is_some() && shown[0].status.contains("connect"));
}

#[test]
fn the_log_is_read_and_asked_in_the_way_of_the_app() {
    let recovering = Recovering::new();
    let (github, now) = (WorldGitHub::new(Arc::clone(&recovering.house.world)), recovering.house.now());
    for _ in 0..150 {
        recovering.lose_run();
    }
    let look = |options| recovering.house.pipeline.recover(&github, options, now).now_or_never().unwrap().unwrap();
    assert_eq!(look(DRY).missed.len(), 150);
    assert_eq!(look(RecoverOptions::default()).asked, 100);
    recovering.deliver();
    assert_eq!(look(RecoverOptions::default()).arrived, 100);
}

#[test]
fn what_the_store_could_not_take_is_asked_for_again() {
    let recovering = Recovering::new();
    recovering.house.complete_run();
    recovering.house.store.fail_after(0);
    recovering.deliver();
    assert_eq!(recovering.recover().asked, 1);
    recovering.deliver();
    recovering.house.work();
    assert_eq!(recovering.house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn what_arrived_is_not_asked_for() {
    let recovering = Recovering::new();
    recovering.house.complete_run();
    recovering.deliver();
    // An answer that came too late: GitHub calls it failed, and it is stored.
    recovering.house.complete_run();
    let late = recovering.lose();
    late.iter().for_each(|webhook| _ = recovering.house.receive(webhook).unwrap());
    // Failed, and delivered again by hand.
    recovering.lose_run();
    let failed = recovering.house.world().deliveries().next().unwrap().id;
    recovering.house.world().redeliver(failed).unwrap();
    recovering.deliver();
    let outcome = recovering.recover();
    assert_eq!((outcome.asked, outcome.missed.len(), outcome.missing), (0, 0, 0));
    assert_eq!(recovering.redelivered(), 0);
}

#[test]
fn what_does_not_arrive_is_asked_for_less_and_less_often_until_the_log_ends() {
    let recovering = Recovering::new();
    recovering.lose_run();
    let mut asked_at = Vec::new();
    for minute in 0..200 {
        if recovering.recover().asked > 0 {
            asked_at.push(minute);
        }
        recovering.lose();
        recovering.house.advance(MINUTE);
    }
    assert_eq!(asked_at, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    assert_eq!(recovering.recovery().missed.len(), 1);
}

#[test]
fn what_the_log_does_not_reach_any_more_is_told_as_lost_and_forgotten() {
    let recovering = Recovering::new();
    recovering.lose_run();
    recovering.order(Call::Redeliver, unavailable());
    assert_eq!(recovering.recover().missing, 1);
    recovering.house.advance(DAY * 3 + MINUTE);
    let outcome = recovering.recover();
    assert_eq!((outcome.lost, outcome.missing, outcome.asked), (1, 0, 0));
    assert_eq!(recovering.redelivered(), 0);
}

#[test]
fn what_github_does_not_deliver_again_is_told_as_lost() {
    let recovering = Recovering::new();
    recovering.lose_run();
    let gone = GitHubError::Refused { status: 404, message: "Not Found".to_owned(), permission: None };
    recovering.order(Call::Redeliver, gone);
    let outcome = recovering.recover();
    assert_eq!((outcome.lost, outcome.asked, outcome.missing, outcome.error), (1, 0, 0, None));
}

#[test]
fn a_look_asks_for_a_hundred_at_most_and_the_next_one_goes_on() {
    let recovering = Recovering::new();
    for _ in 0..130 {
        recovering.lose_run();
    }
    let first = recovering.recover();
    assert_eq!((first.asked, first.missed.len(), first.missing), (100, 130, 130));
    assert_eq!(recovering.recovery().missed.len(), Recovery::MAX_MISSED);
    assert_eq!(recovering.recover().asked, 30);
    assert_eq!(recovering.recover().asked, 0);
    assert_eq!(recovering.redelivered(), 130);
    recovering.deliver();
    assert_eq!(recovering.recover().missing, 0);
}

#[test]
fn a_dry_run_only_tells() {
    let recovering = Recovering::new();
    recovering.lose_run();
    for _ in 0..2 {
        let outcome = recovering.look(DRY);
        assert_eq!((outcome.asked, outcome.missed.len(), outcome.missing), (1, 1, 1));
    }
    assert_eq!(recovering.redelivered(), 0);
    assert_eq!(recovering.recovery(), Recovery::default());
}

#[test]
fn a_look_reads_back_to_the_last_one_and_a_bit_more() {
    let mut recovering = Recovering::new();
    recovering.per_page = 1;
    for _ in 0..30 {
        recovering.house.complete_run();
        recovering.deliver();
        recovering.house.advance(MINUTE);
    }
    assert!(recovering.recover().looked_at >= 30);
    let outcome = recovering.recover();
    assert!(outcome.complete && (10..20).contains(&outcome.looked_at), "{outcome:?}");
    // An attempt enters the log when it has ended, with the time at which it began.
    recovering.lose_run();
    assert_eq!(recovering.recover().asked, 1);
}

#[test]
fn since_reads_further_back_and_the_three_days_of_the_log_are_the_end() {
    let recovering = Recovering::new();
    let first = recovering.house.now();
    recovering.lose_run();
    recovering.house.advance(DAY * 2);
    recovering.house.complete_run();
    recovering.deliver();
    let since = |since| RecoverOptions { since: Some(since), ..DRY };
    let yesterday = recovering.house.now() - jiff::SignedDuration::from_hours(24);
    assert_eq!(recovering.look(since(yesterday)).missed.len(), 0);
    assert_eq!(recovering.look(since(first)).missed.len(), 1);
}

#[test]
fn a_look_at_a_part_does_not_count_the_rest_as_settled() {
    let mut recovering = Recovering::new();
    recovering.per_page = 1;
    recovering.lose_run();
    recovering.house.advance(DAY);
    for _ in 0..3 {
        recovering.house.complete_run();
        recovering.deliver();
        recovering.house.advance(MINUTE);
    }
    let since = recovering.house.now() - jiff::SignedDuration::from_hours(1);
    let part = recovering.look(RecoverOptions { since: Some(since), ..RecoverOptions::default() });
    assert_eq!((part.asked, part.complete), (0, true));
    assert_eq!(recovering.recover().asked, 1);
}

#[test]
fn a_log_that_is_longer_than_one_look_is_read_by_several() {
    let mut recovering = Recovering::new();
    recovering.per_page = 1;
    recovering.lose_run();
    recovering.house.advance(DAY);
    for _ in 0..450 {
        recovering.house.complete_run();
        recovering.deliver();
    }
    let mut looks = Vec::new();
    for _ in 0..10 {
        let outcome = recovering.recover();
        assert!(outcome.looked_at <= 200);
        looks.push((outcome.asked, outcome.complete));
        if outcome.complete {
            break;
        }
        recovering.house.advance(MINUTE * 11);
        recovering.house.complete_run();
        recovering.deliver();
    }
    assert_eq!(looks.last(), Some(&(1, true)), "{looks:?}");
    assert!(looks.len() > 2 && looks.iter().filter(|(asked, _)| *asked > 0).count() == 1, "{looks:?}");
}

#[test]
fn an_error_while_reading_ends_the_look_and_the_next_one_goes_on() {
    let mut recovering = Recovering::new();
    recovering.per_page = 1;
    recovering.lose_run();
    for _ in 0..3 {
        recovering.house.complete_run();
        recovering.deliver();
    }
    for page in [0, 2] {
        recovering.order(Call::Page(page), unavailable());
        let outcome = recovering.recover();
        assert_eq!((outcome.asked, outcome.complete), (0, false));
        assert!(outcome.error.unwrap().contains("not available") && recovering.recovery().error.is_some());
    }
    let outcome = recovering.recover();
    assert_eq!((outcome.asked, outcome.complete, outcome.error), (1, true, None));
    assert_eq!(recovering.recovery().error, None);
}

#[test]
fn a_place_in_the_log_that_github_does_not_know_any_more_is_read_from_the_top() {
    let mut recovering = Recovering::new();
    recovering.per_page = 1;
    recovering.lose_run();
    let runs = |count| {
        for _ in 0..count {
            recovering.house.advance(MINUTE * 11);
            recovering.house.complete_run();
            recovering.deliver();
        }
    };
    runs(3);
    recovering.order(Call::Page(2), unavailable());
    recovering.recover();
    assert!(recovering.recovery().unread.is_some());
    runs(1);
    let bad = GitHubError::Refused { status: 422, message: "Invalid cursor".to_owned(), permission: None };
    recovering.order(Call::Page(3), bad); // Three pages say what came since.
    let outcome = recovering.recover();
    assert_eq!((outcome.asked, outcome.complete, outcome.looked_at), (0, false, 2));
    assert_eq!(recovering.recovery().unread, None);
    let outcome = recovering.recover();
    assert_eq!((outcome.asked, outcome.complete), (1, true));
}

#[test]
fn a_rate_limit_ends_the_look_and_no_other_begins_before_it_ends() {
    for call in [Call::Page(0), Call::Redeliver] {
        let recovering = Recovering::new();
        recovering.lose_run();
        let until = RateLimitReset::After(MINUTE * 30);
        recovering.order(call, GitHubError::RateLimited { until, message: "slow down".to_owned() });
        let outcome = recovering.recover();
        assert_eq!(outcome.asked, 0);
        assert_eq!(outcome.not_before, Some(recovering.house.now() + jiff::SignedDuration::from_mins(30)));
        recovering.house.advance(MINUTE * 29);
        let outcome = recovering.recover();
        assert!(outcome.looked_at == 0 && outcome.error.unwrap().contains("rate limit"));
        recovering.house.advance(MINUTE);
        assert_eq!(recovering.recover().asked, 1, "{call:?}");
    }
}

#[test]
fn an_error_while_asking_leaves_the_rest_to_the_next_look() {
    let recovering = Recovering::new();
    for _ in 0..3 {
        recovering.lose_run();
    }
    recovering.order(Call::Redeliver, GitHubError::InDoubt("cut".to_owned()));
    let outcome = recovering.recover();
    assert_eq!((outcome.asked, outcome.missing), (1, 3), "in doubt counts as asked");
    assert!(outcome.error.is_some());
    assert_eq!(recovering.recover().asked, 2);
    recovering.house.advance(MINUTE);
    assert_eq!(recovering.redelivered(), 2);
    assert_eq!(recovering.recover().asked, 3);
}

#[test]
fn a_store_that_cannot_store_does_not_lead_to_requests() {
    let recovering = Recovering::new();
    recovering.lose_run();
    for _ in 0..5 {
        recovering.house.store.fail_after(0);
        assert!(matches!(recovering.try_look(RecoverOptions::default()), Err(StoreError::Unavailable(_))));
    }
    assert_eq!(recovering.redelivered(), 0);
    assert_eq!(recovering.recover().asked, 1);
}

#[test]
fn who_finds_that_somebody_else_looks_stops_quietly() {
    /// While the log is read, somebody else stores a look.
    struct Busy<'a>(&'a Recovering);

    #[async_trait]
    impl DeliveryLogPort for Busy<'_> {
        async fn attempts(&self, cursor: Option<&str>) -> Result<AttemptPage, GitHubError> {
            let record = Record::Recovery(Box::default());
            let commit = Commit { writes: vec![Write { record, expected: None }], facts: Vec::new() };
            self.0.house.store.commit(commit).await.unwrap();
            self.0.attempts(cursor).await
        }

        async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
            self.0.redeliver(attempt).await
        }
    }

    let recovering = Recovering::new();
    recovering.lose_run();
    let (busy, now) = (Busy(&recovering), recovering.house.now());
    let outcome = recovering.house.pipeline.recover(&busy, RecoverOptions::default(), now).now_or_never().unwrap();
    let outcome = outcome.unwrap();
    assert!(outcome.elsewhere && !outcome.complete, "what was not stored was not looked at");
    assert_eq!(recovering.redelivered(), 0);
}

#[test]
fn after_a_restore_what_is_not_stored_is_asked_for_although_it_was_delivered() {
    let recovering = Recovering::new();
    recovering.house.complete_run();
    recovering.deliver_to_what_was_lost();
    assert_eq!(recovering.recover().asked, 0);
    assert_eq!(recovering.look(RecoverOptions { dry_run: true, ..COMPARE }).asked, 1);
    assert_eq!(recovering.look(COMPARE).asked, 1);
    recovering.house.advance(MINUTE);
    assert_eq!(recovering.recover().missing, 1, "the success before the restore does not count");
    recovering.deliver();
    recovering.house.work();
    assert_eq!(recovering.house.started(), ["octo-org/web cd.yml"]);
    for options in [COMPARE, RecoverOptions::default()] {
        let outcome = recovering.look(options);
        assert_eq!((outcome.asked, outcome.missing), (0, 0));
    }
}

#[test]
fn another_body_under_a_known_id_does_not_stand_for_the_delivery() {
    let recovering = Recovering::new();
    recovering.house.complete_run();
    let run = recovering.deliver_to_what_was_lost().remove(0);
    recovering.house.write(&web(), "README.md", "a push");
    let push = recovering.house.world().take_webhooks().remove(0);
    let replayed = recovering.house.receive(&OutgoingWebhook { delivery: run.delivery, ..push }).unwrap();
    assert!(matches!(replayed.outcome, ReceiptOutcome::Noted(_)));
    assert_eq!(recovering.look(COMPARE).asked, 1);
}

#[test]
fn comparing_does_not_ask_for_what_is_never_stored() {
    let recovering = Recovering::new();
    recovering.house.complete_run();
    let run = recovering.house.world().take_webhooks().remove(0);
    let about = |event: &str, action: &str| OutgoingWebhook {
        delivery: format!("{event}-{action}").replace('_', "-").parse().unwrap(),
        event: event.to_owned(),
        action: Some(action.to_owned()),
        ..run.clone()
    };
    for (event, action) in [
        ("workflow_run", "requested"),
        ("workflow_run", "in_progress"),
        ("check_run", "created"),
        ("check_run", "rerequested"),
        ("issue_comment", "created"),
        ("issue_comment", "edited"),
        ("pull_request", "labeled"),
        ("installation", "created"),
    ] {
        recovering.house.world().record_delivery(about(event, action), Some(202), "", 0.1);
    }
    assert_eq!(recovering.look(COMPARE).asked, 0);
    let stored = [about("installation", "suspend"), about("pull_request", "closed")];
    let deliver = |webhook: &OutgoingWebhook| {
        recovering.house.world().record_delivery(webhook.clone(), Some(202), "", 0.1);
    };
    stored.iter().for_each(deliver);
    assert_eq!(recovering.look(COMPARE).asked, 2);
    // Whether it is stored cannot be found by its id: that it was delivered again is enough.
    stored.iter().for_each(deliver);
    recovering.house.advance(MINUTE);
    assert_eq!((recovering.recover().missing, recovering.redelivered()), (0, 2));
}

/// A comment on a pull request where a run was.
fn comment(text: &str, delivery: &str, run: &OutgoingWebhook) -> OutgoingWebhook {
    let account = json!({ "id": 7, "login": "octocat", "type": "User" });
    let body = json!({
        "action": "created",
        "issue": { "number": 1, "pull_request": {} },
        "comment": { "id": 1, "body": text, "user": account, "created_at": "2026-01-01T00:00:00Z" },
        "repository": {
            "id": run.repository.unwrap(), "full_name": "octo-org/api", "default_branch": "main", "private": false,
        },
        "sender": account,
    });
    OutgoingWebhook {
        delivery: delivery.parse().unwrap(),
        event: "issue_comment".to_owned(),
        action: Some("created".to_owned()),
        body: body.to_string().into_bytes(),
        ..run.clone()
    }
}

#[test]
fn a_lost_comment_is_asked_for_until_it_arrived_whether_it_is_a_command_or_not() {
    let recovering = Recovering::new();
    recovering.house.complete_run();
    let run = recovering.house.world().take_webhooks().remove(0);
    for (text, delivery, stored) in [("/deploy", "a-command", 1), ("nice", "no-command", 0)] {
        let lost = comment(text, delivery, &run);
        recovering.house.world().record_delivery(lost.clone(), None, "failed to connect to host", 10.0);
        assert_eq!(recovering.recover().asked, 1, "{text}");
        recovering.deliver();
        recovering.house.advance(MINUTE);
        assert_eq!(recovering.recover().missing, 0, "{text}");
        assert_eq!(recovering.redelivered(), 1, "{text}");
        let deliveries = recovering.house.store.deliveries(&lost.delivery).now_or_never().unwrap().unwrap();
        assert_eq!(deliveries.len(), stored, "{text}");
    }
    assert_eq!(recovering.look(COMPARE).asked, 0);
}
