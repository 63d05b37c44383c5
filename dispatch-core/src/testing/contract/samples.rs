//! Records and facts to write, told apart by a number.

use super::NOW;
use crate::Timestamp;
use crate::chain::{Chain, Place};
use crate::decide::{Allowed, Decision, Identity, Verdict, Visibility};
use crate::delivery::{Delivery, DeliveryKey, DeliveryState};
use crate::dispatch::{Dispatch, DispatchKey, DispatchSource, DispatchState};
use crate::environment::{
    Environment, EnvironmentDescription, EnvironmentKey, EnvironmentOrigin, EnvironmentState, EnvironmentStep, StepEnd,
};
use crate::event::{Conclusion, Event, EventKind, EventRepository, Head, WorkflowRun};
use crate::fact::{EnvironmentChange, Fact, FactBody, Subject};
use crate::ledger::{Ledger, OpenCall};
use crate::name::{CheckId, CommitSha, InstallationId, PullRequestNumber, Repository, RepositoryId, RunId};
use crate::policy::{EnvironmentAction, PolicyPath, RuleLocation, Start};
use crate::ports::delivery_log::DeliveryAttempt;
use crate::ports::github::RepositoryRef;
use crate::ports::store::{RootBudget, RunRecord};
use crate::projection::{EnvironmentRow, Happened};
use crate::proposal::ProposalRecord;
use crate::pull_request::{PullRequestKey, PullRequestRecord, SeenHead};
use crate::recovery::{Asked, Missed, Recovery, Unread};
use crate::report::{Failure, FailureKind, Report, ReportKey};
use crate::request::{DispatchRequest, WorkflowDispatch};
use crate::revocation::{AccessLost, Extent, Revocation};

pub(super) fn repository(name: &str) -> Repository {
    name.parse().expect("a repository")
}

pub(super) fn place(name: &str, workflow: &str) -> Place {
    Place { repository: repository(name), start: Start::Workflow(workflow.parse().expect("a workflow file")) }
}

pub(super) fn sha() -> CommitSha {
    "0123456789abcdef0123456789abcdef01234567".parse().expect("a commit")
}

pub(super) fn event(name: &str, n: u64) -> Event {
    let run = WorkflowRun {
        id: RunId(n),
        attempt: 1,
        number: n,
        workflow: Some("ci.yml".parse().expect("a workflow file")),
        conclusion: Some(Conclusion::Success),
        event: "push".into(),
        head_branch: Some("main".parse().expect("a branch")),
        head_sha: sha(),
        head: Head::SameRepository,
        actor: None,
        url: format!("https://github.com/{name}/actions/runs/{n}"),
        started_at: None,
        updated_at: NOW,
    };
    Event {
        version: Event::VERSION,
        part: None,
        repository: EventRepository {
            id: RepositoryId(7),
            name: repository(name),
            default_branch: "main".parse().expect("a branch"),
            private: false,
        },
        installation: None,
        sender: None,
        kind: EventKind::WorkflowRun(run),
    }
}

pub(super) fn delivery_key(n: u64) -> DeliveryKey {
    DeliveryKey { id: format!("delivery-{n}").parse().expect("a delivery id"), body_sha256: n.to_string() }
}

pub(super) fn delivery(name: &str, n: u64, due: Timestamp) -> Delivery {
    Delivery {
        key: delivery_key(n),
        event: event(name, n),
        received_at: due,
        state: DeliveryState::Received,
        due: Some(due),
        attempts: 0,
        parked_at: None,
        renewed_at: None,
        facts: 1,
    }
}

pub(super) fn received(delivery: &Delivery) -> Fact {
    Fact {
        subject: Subject::delivery(delivery.key.clone()),
        sequence: 0,
        time: delivery.received_at,
        body: FactBody::DeliveryReceived { event: delivery.event.clone() },
        happened: None,
    }
}

pub(super) fn proposal(due: Option<Timestamp>) -> ProposalRecord {
    let check = CheckId::of_policy(RepositoryId(7), &sha()).expect("an id");
    ProposalRecord { check, event: event("acme/api", 1), due, attempts: 1, complete: true, wanted_at: NOW }
}

pub(super) fn chain() -> Chain {
    Chain::root(event("acme/api", 1).identity(), place("acme/api", "ci.yml"))
}

pub(super) fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    let dispatch = run_record().dispatch;
    let git_ref = Some("release/größe".parse().expect("a ref"));
    ledger.begin(&repository("acme/api"), OpenCall { dispatch, git_ref, since: NOW, given_up: false });
    ledger
}

pub(super) fn run_record() -> RunRecord {
    let dispatch = DispatchKey { event: event("acme/api", 1).identity(), target: place("acme/web", "cd.yml") };
    RunRecord { chain: chain(), dispatch, at: NOW }
}

pub(super) fn dispatch(target: &str, n: u64, due: Timestamp) -> Dispatch {
    let target = place(target, "cd.yml");
    let rule = |name: &str| RuleLocation { repository: repository(name), path: PolicyPath::Root, line: 7 };
    let Start::Workflow(workflow) = target.start.clone() else { panic!("a workflow") };
    let inputs = [("sha".to_owned(), "0123456".to_owned())].into();
    let request = WorkflowDispatch::new(workflow, "main".parse().expect("a ref"), inputs).expect("a small request");
    let allowed = Allowed {
        identity: Identity::Verified { id: RepositoryId(8), private: true },
        request: DispatchRequest::Workflow(request),
        inbound_rule: rule(target.repository.as_str()),
        chain: chain().then(target.clone()),
        environment: None,
    };
    let verdict = Verdict::Allowed(allowed);
    Dispatch {
        key: DispatchKey { event: event("acme/api", n).identity(), target: target.clone() },
        delivery: delivery_key(n),
        source: DispatchSource {
            repository: RepositoryId(7),
            name: repository("acme/api"),
            lane: None,
            pull_request: None,
            happened: Some(Happened { event: "workflow_run".to_owned(), what: Some("ci.yml".to_owned()) }),
        },
        decision: Decision {
            target,
            outbound_rule: rule("acme/api"),
            verdict,
            visibility: Visibility::Source,
            required: None,
            report: [].into(),
        },
        decided_at: due,
        state: DispatchState::Ready,
        due: Some(due),
        attempts: 0,
        waits: 0,
        doubts: 0,
        parked_at: None,
        run: None,
        unseen: None,
        facts: 0,
    }
}

/// A fact about a dispatch.
pub(super) fn about_dispatch(sequence: u32, time: Timestamp, body: FactBody) -> Fact {
    let dispatch = dispatch("acme/web", 1, NOW);
    let happened = dispatch.source.happened.map(|happened| (dispatch.source.name, happened));
    Fact { subject: Subject::dispatch(dispatch.delivery, dispatch.key), sequence, time, body, happened }
}

pub(super) fn root_budget() -> RootBudget {
    RootBudget { spent: [(event("acme/api", 1).identity(), 3)].into(), at: NOW }
}

pub(super) fn revocation() -> Revocation {
    let account = "Acme".parse().expect("an owner");
    let extent = Extent::Repositories(vec![RepositoryId(7), RepositoryId(8)]);
    Revocation {
        key: delivery_key(77),
        lost: AccessLost { installation: InstallationId(5), account, extent },
        received_at: NOW,
        due: Some(NOW),
        after: Some("dispatch/é".to_owned()),
    }
}

pub(super) fn report() -> Report {
    let workflow = "ci.yml".parse().expect("a workflow file");
    let target = place("acme/web", "cd.yml");
    let (kind, message) = (FailureKind::Refused, "`no`\n<b>".to_owned());
    let failure = Failure { target: Some(target), kind, message, times: 2, first_at: NOW, last_at: NOW };
    Report {
        key: ReportKey { repository: RepositoryId(7), workflow },
        name: repository("Acme/api"),
        issue: Some(41),
        opening: Some(NOW),
        failures: vec![failure],
        due: Some(NOW),
        attempts: 1,
    }
}

pub(super) fn environment(state: EnvironmentState) -> Environment {
    let step =
        EnvironmentStep { action: EnvironmentAction::Destroy, dispatch: run_record().dispatch, at: NOW, since: NOW };
    Environment {
        key: EnvironmentKey { repository: repository("Acme/infra"), name: "pr-7".parse().expect("a name") },
        source: RepositoryRef { id: RepositoryId(7), name: repository("acme/api") },
        origin: EnvironmentOrigin::of(&event("acme/api", 1)),
        description: EnvironmentDescription {
            base: "release/größe".parse().expect("a branch"),
            deploy: "main".to_owned(),
            url: Some("https://pr-7.example.com".to_owned()),
            links: [("Admin panel".to_owned(), "https://admin.example.com".to_owned())].into(),
            cleanup: None,
            ttl: Some(std::time::Duration::from_secs(60)),
        },
        holders: [PullRequestNumber(7), PullRequestNumber(99_999)].into(),
        leaving: [PullRequestNumber(8)].into(),
        seen: [(PullRequestNumber(7), NOW)].into(),
        state,
        settled: EnvironmentState::Live,
        wanted: Some(step.clone()),
        under_way: Some(step.clone()),
        ended: Some(step),
        swept: None,
        newest_begun: Some(NOW),
        keep: true,
        created_at: NOW,
        changed_at: NOW,
        facts: 3,
    }
}

pub(super) fn pull_request(environments: bool) -> PullRequestRecord {
    let key = PullRequestKey { repository: RepositoryId(7), number: PullRequestNumber(7) };
    let mut record = PullRequestRecord::new(key, NOW);
    record.heads.push(SeenHead { sha: sha(), since: NOW });
    record.environments.extend(environments.then(|| environment(EnvironmentState::Live).key));
    record
}

/// A fact about an environment, of which the how-manieth fact came then.
pub(super) fn about_environment(sequence: u32, time: Timestamp, state: EnvironmentState) -> Fact {
    let row = Box::new(EnvironmentRow::new(&environment(state)));
    let subject = Subject::environment(delivery_key(1), row.key.clone());
    let body = FactBody::EnvironmentChanged { change: EnvironmentChange::Ended(StepEnd::Done), environment: row };
    Fact { subject, sequence, time, body, happened: None }
}

pub(super) fn recovery() -> Recovery {
    let attempt = DeliveryAttempt {
        id: 9,
        delivery: delivery_key(1).id,
        delivered_at: NOW,
        succeeded: false,
        status: "failed to connect to host".to_owned(),
        event: "workflow_run".to_owned(),
        action: Some("completed".to_owned()),
        repository: Some(RepositoryId(7)),
    };
    let missed = Missed { asked_at: Some(NOW), ..Missed::new(&attempt) };
    let unread = Unread { cursor: "v1_é".to_owned(), floor: NOW, read_from: NOW, compare: true };
    Recovery {
        looked_at: Some(NOW),
        reached: None,
        unread: Some(unread),
        asked: [(attempt.delivery.clone(), Asked { attempt, times: 2, next: NOW })].into(),
        missed: vec![missed],
        not_before: Some(NOW),
        error: Some("GitHub's rate limit".to_owned()),
    }
}
