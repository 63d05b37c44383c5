//! Tests of policies that are written from what was decided.

use std::cell::Cell;
use std::collections::BTreeMap;

use dispatch_core::decide::{
    Answers, CommitOnBranch, Decision, Identity, LaneKey, PolicyAnswer, PolicyFile, decide_with,
};
use dispatch_core::environment::{Environment, EnvironmentKey, EnvironmentState};
use dispatch_core::event::{Command, CommandArgument, EventKind, Head, PullRequest, PullRequestState, WorkflowRun};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{
    Branch, CommentId, CommitSha, InstallationId, Login, PullRequestNumber, Repository, TeamName, UserId,
};
use dispatch_core::policy::Start;
use dispatch_core::policy_test::TestFile;
use dispatch_core::ports::pull_requests::{PermissionAnswer, PermissionLevel};
use dispatch_core::pull_request::{PullRequestKey, PullRequestRecord, SeenHead};
use dispatch_core::request::DispatchRequest;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::worlds::World;
use super::{CASES, in_every_world};

/// A world of which a test can say everything, and what the test says.
struct Told {
    world: World,
    when: Map<String, Value>,
    newer_run: bool,
    state: Option<PullRequestState>,
    level: PermissionLevel,
    environments: BTreeMap<EnvironmentKey, Environment>,
}

#[test]
fn a_test_that_says_what_was_decided_passes_and_one_that_leaves_something_out_fails() {
    let (starts, denials) = (Cell::new(0), Cell::new(0));
    in_every_world(|world| {
        let Some(told) = Told::of(world) else { return Ok(()) };
        let (then, mut test) = told.test();
        starts.set(starts.get() + then.len());
        denials.set(denials.get() + test["denied"].as_array().unwrap().len());

        test["then"] = json!(then);
        let outcome = told.run(&test);
        prop_assert!(outcome.is_empty(), "{}\n{}", outcome, test);

        for left_out in 0..then.len() {
            let mut fewer = then.clone();
            fewer.remove(left_out);
            test["then"] = json!(fewer);
            let outcome = told.run(&test);
            prop_assert!(outcome.contains("starts, and should not"), "{}\n{}", outcome, test);
        }
        Ok(())
    });
    let least = usize::try_from(CASES).unwrap() / 10;
    assert!(
        starts.get() > least && denials.get() > least,
        "too few: {} starts, {} denials",
        starts.get(),
        denials.get()
    );
}

impl Told {
    /// None: a test cannot say what happens.
    fn of(mut world: World) -> Option<Self> {
        for answer in world.policies.values_mut() {
            answer.repository = Some(Identity::Assumed);
            if matches!(answer.file, PolicyFile::Invalid { .. }) {
                answer.file = PolicyFile::Absent;
            }
        }
        world.event.installation = Some(InstallationId(1));
        let sender = world.event.sender.get_or_insert("octocat".parse().unwrap()).clone();
        let (repository, id) = (world.event.repository.name.clone(), world.event.repository.id);
        let mut when = words(json!({ "repository": repository, "repository_id": id, "sender": sender }));
        let mut told = Self {
            newer_run: false,
            state: None,
            level: PermissionLevel::None,
            environments: BTreeMap::new(),
            when: Map::new(),
            world: world.clone(),
        };
        match &mut told.world.event.kind {
            EventKind::WorkflowRun(run) => {
                run.url = format!("https://github.com/{repository}/actions/runs/{}", run.id);
                told.newer_run = world.newest.is_some_and(|newest| newest > run.number);
                when.extend(words_of_run(run, told.newer_run)?);
            }
            EventKind::PullRequest(PullRequest { action, now, sweep }) => {
                *sweep = None;
                when.extend(words(json!({ "pull_request": action, "merged": now.merged })));
                when.extend(words_of_pull_request(now)?);
                told.state = Some(now.clone());
            }
            EventKind::Command(command) => {
                // A test gives its comments no other id.
                command.comment = CommentId(1);
                command.commenter.person = !command.commenter.login.as_str().ends_with("[bot]");
                let state = world.facts.state?;
                let state = PullRequestState { merged: false, number: command.pull_request, ..state };
                told.level = world.facts.permission.map_or(PermissionLevel::None, |answer| answer.level);
                when.extend(words_of_command(command, &state, told.level, world.facts.is_member));
                when.extend(words_of_pull_request(&state)?);
                told.state = Some(state);
            }
            _ => return None,
        }
        if let Some(state) = &told.state {
            let held = |environment: &&Environment| {
                environment.source.id == world.event.repository.id
                    && environment.state == EnvironmentState::Live
                    && environment.holders.contains(&state.number)
            };
            let held = world.facts.environments.values().filter(held).cloned();
            told.environments =
                held.map(|it| Environment { changed_at: it.created_at, ..it }).map(|it| (it.key.clone(), it)).collect();
            when.insert("environments".to_owned(), told.environments.values().map(words_of_environment).collect());
        }
        told.when = when;
        Some(told)
    }

    fn limits(&self) -> Guardrails {
        Guardrails::from_settings(&self.world.settings).unwrap().with_app_owner("acme".parse().unwrap())
    }

    /// What starts, and the rest of the test.
    fn test(&self) -> (Vec<Value>, Value) {
        let mut event = self.world.event.clone();
        let limits = self.limits();
        let plan = decide_with(&event, &limits, &mut &*self);
        let mut decisions = plan.decisions;
        for part in plan.further {
            event.part = Some(part);
            decisions.extend(decide_with(&event, &limits, &mut &*self).decisions);
        }
        let then = decisions.iter().filter_map(start).collect();
        let denied: Vec<_> = decisions.iter().filter_map(denial).collect();
        let mut test = json!({ "name": "a test", "when": self.when, "denied": denied });
        if let Some(skipped) = plan.skipped {
            test["skipped"] = json!(skipped.reason);
        }
        (then, test)
    }

    /// What is told of the test: nothing where it passes.
    fn run(&self, test: &Value) -> String {
        let file = json!({ "limits": self.world.settings, "tests": [test] });
        let text = serde_json::to_string_pretty(&file).unwrap();
        let file = TestFile::read(text.as_bytes(), "f").unwrap_or_else(|problems| panic!("{}", problems.render(&text)));
        let policy = |repository: &Repository| self.world.policies[repository].file.clone();
        file.tests[0].run(&file.limits, policy).to_string()
    }
}

fn words(words: Value) -> Map<String, Value> {
    words.as_object().unwrap().clone()
}

fn words_of_run(run: &WorkflowRun, newer_run: bool) -> Option<Map<String, Value>> {
    Some(words(json!({
        "workflow": run.workflow.as_ref()?, "conclusion": run.conclusion?, "event": run.event,
        "branch": run.head_branch.as_ref()?, "sha": run.head_sha, "run_id": run.id, "attempt": run.attempt,
        "newer_run": newer_run, "fork": is_fork(run.head)?,
    })))
}

fn words_of_pull_request(now: &PullRequestState) -> Option<Map<String, Value>> {
    Some(words(json!({
        "number": now.number, "base": now.base_branch, "head_branch": now.head_branch, "head_sha": now.head_sha,
        "draft": now.draft, "fork": is_fork(now.head)?,
    })))
}

fn words_of_command(
    command: &Command,
    state: &PullRequestState,
    level: PermissionLevel,
    is_member: bool,
) -> Map<String, Value> {
    let argument = match &command.argument {
        CommandArgument::None => String::new(),
        CommandArgument::Commit(commit) => commit.to_string(),
        CommandArgument::Word(word) => word.to_string(),
        CommandArgument::WordAndCommit(word, commit) => format!("{word} {commit}"),
        CommandArgument::Other => "two words".to_owned(),
    };
    let login = command.commenter.login.as_str();
    words(json!({
        "command": command.name, "argument": argument, "sender": login, "permission": level,
        "author": if state.author == Some(command.commenter.id) { login } else { "another" },
        "teams": if is_member { vec!["acme/ops"] } else { vec![] },
        "state": if state.open { "open" } else { "closed" },
    }))
}

fn words_of_environment(environment: &Environment) -> Value {
    let described = &environment.description;
    let mut environment = words(json!({
        "repository": environment.key.repository, "name": environment.key.name, "base": described.base,
        "deploy": described.deploy, "held_by": environment.holders,
    }));
    environment.extend(described.url.as_ref().map(|url| ("url".to_owned(), json!(url))));
    environment.into()
}

fn is_fork(head: Head) -> Option<bool> {
    match head {
        Head::SameRepository => Some(false),
        Head::Fork(_) => Some(true),
        Head::Unknown => None,
    }
}

fn place(decision: &Decision) -> Map<String, Value> {
    let (key, name) = match &decision.target.start {
        Start::Workflow(file) => ("workflow", file.as_str()),
        Start::Event(event) => ("event", event.as_str()),
        other => panic!("{other:?}"),
    };
    words(json!({ "repository": decision.target.repository, key: name }))
}

fn start(decision: &Decision) -> Option<Value> {
    let mut start = place(decision);
    match &decision.allowed()?.request {
        DispatchRequest::Workflow(request) => {
            start.extend(words(json!({ "ref": request.git_ref(), "inputs": request.inputs() })));
        }
        DispatchRequest::Event(request) => {
            start.insert("payload".to_owned(), json!(request.client_payload()));
        }
        other => panic!("{other:?}"),
    }
    Some(start.into())
}

fn denial(decision: &Decision) -> Option<Value> {
    let mut denial = place(decision);
    denial.insert("reason".to_owned(), json!(decision.reason()?));
    Some(denial.into())
}

impl Answers for &Told {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        self.world.policies[repository].clone()
    }

    fn lane(&mut self, _lane: &LaneKey) -> Option<u64> {
        self.newer_run.then_some(1_000)
    }

    fn pull_request(&mut self, number: PullRequestNumber) -> Option<PullRequestRecord> {
        let state = self.state.as_ref()?;
        let since = "2026-01-01T00:00:00Z".parse().unwrap();
        let key = PullRequestKey { repository: self.world.event.repository.id, number };
        Some(PullRequestRecord {
            heads: vec![SeenHead { sha: state.head_sha.clone(), since }],
            environments: self.environments.keys().cloned().collect(),
            ..PullRequestRecord::new(key, since)
        })
    }

    fn pull_request_state(&mut self, _number: PullRequestNumber) -> Option<PullRequestState> {
        self.state.clone()
    }

    fn permission(&mut self, _login: &Login) -> Option<PermissionAnswer> {
        Some(PermissionAnswer { user: UserId(1), level: self.level })
    }

    fn team_member(&mut self, _team: &TeamName, _login: &Login) -> bool {
        self.world.facts.is_member
    }

    fn environment(&mut self, key: &EnvironmentKey) -> Option<Environment> {
        self.environments.get(key).cloned()
    }

    fn commit_on_branch(&mut self, _: &Repository, _: &Branch, _: &CommitSha) -> CommitOnBranch {
        CommitOnBranch::Proven
    }
}
