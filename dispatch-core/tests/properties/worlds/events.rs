//! What happens, and what GitHub and the store say of it.

use std::collections::BTreeSet;

use dispatch_core::environment::{
    Environment, EnvironmentDescription, EnvironmentKey, EnvironmentOrigin, EnvironmentState,
};
use dispatch_core::event::{
    Command, CommandArgument, Commenter, Conclusion, Event, EventKind, EventRepository, Head, PullRequest,
    PullRequestAction, PullRequestState, Sweep, WorkflowRun,
};
use dispatch_core::name::{
    Branch, CommentId, InstallationId, Login, PullRequestNumber, Repository, RepositoryId, RunId, UserId,
};
use dispatch_core::ports::github::RepositoryRef;
use dispatch_core::ports::pull_requests::{PermissionAnswer, PermissionLevel};
use dispatch_core::pull_request::{Latest, PullRequestKey, PullRequestRecord, SeenHead};
use proptest::option::weighted as maybe;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Kind, PullRequestFacts, file, id, repository};

const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";
const OTHER_SHA: &str = "00000000000000000000000000000000000000aa";
const NUMBER: PullRequestNumber = PullRequestNumber(7);

pub fn event(kind: Kind) -> impl Strategy<Value = Event> {
    let happened = match kind {
        Kind::Run => run().boxed(),
        Kind::PullRequest => pull_request().boxed(),
        Kind::Command => command().boxed(),
    };
    let installation = prop_oneof![20 => Just(Some(InstallationId(5))), 1 => Just(None)];
    (happened, installation, any::<bool>(), caused_by()).prop_map(|(kind, installation, private, sender)| Event {
        version: Event::VERSION,
        part: None,
        repository: EventRepository {
            id: id(0),
            name: repository(0),
            default_branch: "main".parse().unwrap(),
            private,
        },
        installation,
        sender,
        kind,
    })
}

fn run() -> impl Strategy<Value = EventKind> {
    let workflow = prop_oneof![30 => Just(Some("ci.yml")), 1 => Just(Some("cd.yml")), 1 => Just(None)];
    let conclusion = prop_oneof![
        16 => Just(Some(Conclusion::Success)), 3 => Just(Some(Conclusion::Failure)), 1 => Just(None)
    ];
    let started =
        prop_oneof![20 => Just("push"), 3 => select(vec!["schedule", "issue_comment", "pull_request", "watch"])];
    let url = prop_oneof![5 => Just("https://github.com/acme/api/actions/runs/7"), 1 => Just("")];
    (workflow, conclusion, maybe(0.95, branch()), head(), started, 1_u32..3, url, caused_by()).prop_map(
        |(workflow, conclusion, head_branch, head, started, attempt, url, actor)| {
            EventKind::WorkflowRun(WorkflowRun {
                id: RunId(7),
                attempt,
                number: 40,
                workflow: workflow.map(file),
                conclusion,
                event: started.to_owned(),
                head_branch,
                head_sha: SHA.parse().unwrap(),
                head,
                actor,
                url: url.to_owned(),
                started_at: None,
                updated_at: time(1),
            })
        },
    )
}

fn pull_request() -> impl Strategy<Value = EventKind> {
    let sweep = maybe(0.1, (environment_key(), any::<bool>()));
    (select(PullRequestAction::ALL.to_vec()), state(), sweep).prop_map(|(action, now, sweep)| {
        let action = if sweep.is_some() { PullRequestAction::Closed } else { action };
        let open = action != PullRequestAction::Closed;
        let sweep = sweep.map(|(environment, expired)| Sweep { environment, expired, at: time(3) });
        let now = PullRequestState { open, merged: now.merged && !open, ..now };
        EventKind::PullRequest(PullRequest { action, now, sweep })
    })
}

fn command() -> impl Strategy<Value = EventKind> {
    let name = prop_oneof![30 => Just("/deploy"), 1 => Just("/deplow"), 1 => Just("/other")];
    let argument = prop_oneof![
        12 => Just(CommandArgument::None),
        12 => Just(CommandArgument::Commit(SHA.parse().unwrap())),
        1 => Just(CommandArgument::Commit(OTHER_SHA.parse().unwrap())),
        4 => select(vec!["eu", "us", "prod"]).prop_map(|word| CommandArgument::Word(word.parse().unwrap())),
        1 => Just(CommandArgument::WordAndCommit("eu".parse().unwrap(), SHA.parse().unwrap())),
        1 => Just(CommandArgument::Other),
    ];
    let who = prop_oneof![20 => Just("octocat"), 1 => Just("dependabot[bot]")];
    let person = prop_oneof![30 => Just(true), 1 => Just(false)];
    (name, argument, who, person).prop_map(|(name, argument, who, person)| {
        EventKind::Command(Command {
            comment: CommentId(99),
            pull_request: NUMBER,
            name: name.parse().unwrap(),
            argument,
            commenter: Commenter { id: UserId(1), login: who.parse().unwrap(), person },
            created_at: time(2),
        })
    })
}

/// A pull request at one time: mostly open, into `main`, from the same repository.
fn state() -> impl Strategy<Value = PullRequestState> {
    let base = prop_oneof![20 => Just("main"), 3 => Just("dev"), 2 => Just("release/1")];
    let sha = prop_oneof![20 => Just(SHA), 1 => Just(OTHER_SHA)];
    let author = prop_oneof![2 => Just(Some(UserId(1))), 2 => Just(Some(UserId(2))), 1 => Just(None)];
    let open = prop_oneof![9 => Just(true), 1 => Just(false)];
    (open, any::<[bool; 3]>(), base, branch(), sha, head(), author).prop_map(
        |(open, [merged, draft, keep], base, head_branch, sha, head, author)| PullRequestState {
            number: NUMBER,
            open,
            merged,
            draft,
            base_branch: base.parse().unwrap(),
            head_branch,
            head_sha: sha.parse().unwrap(),
            head,
            author,
            keep,
            updated_at: time(1),
        },
    )
}

/// What GitHub and the store say of the pull request, of who gave the command, and of environments.
pub fn facts() -> impl Strategy<Value = PullRequestFacts> {
    let number = prop_oneof![30 => Just(NUMBER), 1 => Just(PullRequestNumber(8))];
    let state = (state(), number).prop_map(|(state, number)| PullRequestState { number, ..state });
    let user = prop_oneof![30 => Just(UserId(1)), 1 => Just(UserId(2))];
    let level = prop_oneof![
        1 => Just(PermissionLevel::None), 3 => Just(PermissionLevel::Read),
        15 => Just(PermissionLevel::Write), 15 => Just(PermissionLevel::Admin)
    ];
    let permission = (user, level).prop_map(|(user, level)| PermissionAnswer { user, level });
    let environments: Vec<_> = every_environment().into_iter().map(|key| maybe(0.8, environment(key))).collect();
    (maybe(0.9, record()), maybe(0.97, state), maybe(0.97, permission), any::<bool>(), environments).prop_map(
        |(record, state, permission, is_member, environments)| PullRequestFacts {
            record,
            state,
            permission,
            is_member,
            environments: environments.into_iter().flatten().map(|it| (it.key.clone(), it)).collect(),
        },
    )
}

fn record() -> impl Strategy<Value = PullRequestRecord> {
    let latest = (select(PullRequestAction::ALL.to_vec()), prop_oneof![2 => Just(0), 9 => Just(1), 1 => Just(2)])
        .prop_map(|(action, at)| Latest { action, at: time(at) });
    let sha = prop_oneof![12 => Just(SHA), 1 => Just(OTHER_SHA)];
    let since = prop_oneof![12 => Just(1), 1 => Just(2), 1 => Just(3)];
    let newest = (sha, since).prop_map(|(sha, at)| SeenHead { sha: sha.parse().unwrap(), since: time(at) });
    let before = select(vec![SHA, OTHER_SHA]).prop_map(|sha| SeenHead { sha: sha.parse().unwrap(), since: time(0) });
    let heads = (maybe(0.3, before), maybe(0.95, newest))
        .prop_map(|(before, newest)| before.into_iter().chain(newest).collect());
    let environments = subsequence(every_environment(), 4..=9).prop_map(BTreeSet::from_iter);
    (maybe(0.9, latest), heads, environments).prop_map(|(latest, heads, environments)| PullRequestRecord {
        latest,
        heads,
        environments,
        ..PullRequestRecord::new(PullRequestKey { repository: id(0), number: NUMBER }, time(1))
    })
}

fn every_environment() -> Vec<EnvironmentKey> {
    let key = |repository: &str, name: &str| EnvironmentKey {
        repository: repository.parse().unwrap(),
        name: name.parse().unwrap(),
    };
    let repositories = ["acme/deploy", "partner/infra", "acme/web"];
    repositories.iter().flat_map(|repository| ["pr-7", "staging", "old-7"].map(|name| key(repository, name))).collect()
}

fn environment_key() -> impl Strategy<Value = EnvironmentKey> {
    select(every_environment())
}

fn environment(key: EnvironmentKey) -> impl Strategy<Value = Environment> {
    let source = prop_oneof![12 => Just(id(0)), 1 => Just(RepositoryId(77))];
    let state = prop_oneof![6 => Just(EnvironmentState::Live), 1 => Just(EnvironmentState::Destroyed)];
    let holders = prop_oneof![4 => Just(vec![7_u64]), 1 => subsequence(vec![7, 8], 0..=2)];
    let url = maybe(0.8, Just("https://old.example.com".to_owned()));
    (source, state, holders, 0..4_usize, url).prop_map(move |(source, state, holders, changed, url)| Environment {
        key: key.clone(),
        source: RepositoryRef { id: source, name: Repository::clone(&repository(0)) },
        origin: EnvironmentOrigin { default_branch: "main".parse().unwrap(), private: false, installation: None },
        description: EnvironmentDescription {
            base: "dev".parse().unwrap(),
            deploy: "deployed".to_owned(),
            url,
            links: Default::default(),
            cleanup: None,
            ttl: None,
        },
        holders: holders.into_iter().map(PullRequestNumber).collect::<BTreeSet<_>>(),
        state,
        settled: state,
        leaving: BTreeSet::new(),
        seen: Default::default(),
        wanted: None,
        under_way: None,
        ended: None,
        swept: None,
        newest_begun: None,
        keep: false,
        created_at: time(0),
        changed_at: time(changed),
        facts: 0,
    })
}

/// A moment; the greater, the later.
fn time(number: usize) -> dispatch_core::Timestamp {
    format!("2026-01-02T03:04:0{number}Z").parse().unwrap()
}

fn branch() -> impl Strategy<Value = Branch> {
    prop_oneof![20 => Just("main"), 5 => select(vec!["release/1", "dev", "$(id)", "-x", "pull/1"])]
        .prop_map(|name| name.parse().unwrap())
}

fn head() -> impl Strategy<Value = Head> {
    prop_oneof![24 => Just(Head::SameRepository), 3 => Just(Head::Fork(RepositoryId(99))), 1 => Just(Head::Unknown)]
}

fn caused_by() -> impl Strategy<Value = Option<Login>> {
    prop_oneof![8 => Just(None), 8 => Just(Some("octocat")), 1 => Just(Some("dispatch[bot]")), 1 => Just(Some("Dispatch[bot]"))]
        .prop_map(|name| name.map(|name| name.parse().unwrap()))
}
