//! The policies of both sides.

use std::sync::Arc;

use dispatch_core::decide::{Identity, PolicyAnswer, PolicyFile};
use dispatch_core::diagnostic::Diagnostics;
use dispatch_core::event::{Conclusion, PullRequestAction};
use dispatch_core::name::{EventType, RepositoryId};
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{
    Accept, CommandPermission, CommandSource, EnvironmentAction, EnvironmentRule, InboundRule, InboundTarget,
    OutboundRule, Policy, PolicyPath, PullRequestSource, Reruns, Source, Start, Target, ValuePattern,
    WorkflowRunSource,
};
use dispatch_core::template::Template;
use proptest::option::weighted as maybe;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Kind, file, id};

/// The policy of the repository where it happens.
pub fn source_policy(kind: Kind) -> impl Strategy<Value = PolicyAnswer> {
    let rule = (source(kind), prop::collection::vec(target(kind), 1..4));
    let rules = prop::collection::vec(rule, 1..4);
    let environments = prop::collection::vec(environment_rule(), 0..4);
    let policy = (rules, prop::collection::vec(inbound_rule(kind), 0..2), environments);
    let policy = policy.prop_map(|(rules, inbound, environments)| {
        let mut lines = 1..;
        let mut next = || lines.next().unwrap();
        let rule = |(source, targets): (_, Vec<Target>)| OutboundRule {
            source,
            line: next(),
            targets: targets.into_iter().map(|target| Target { line: next(), ..target }).collect(),
        };
        Policy::new(rules.into_iter().map(rule).collect(), numbered(inbound)).with_environments(environments)
    });
    answer(0, policy)
}

/// The policy of a repository where something may be started.
pub fn target_policy(kind: Kind, number: u64) -> impl Strategy<Value = PolicyAnswer> {
    let rules = prop::collection::vec(inbound_rule(kind), 0..7);
    answer(number, rules.prop_map(|rules| Policy::new(Vec::new(), numbered(rules))))
}

/// Mostly the policy, in the repository that belongs to the name.
fn answer(number: u64, policy: impl Strategy<Value = Policy>) -> impl Strategy<Value = PolicyAnswer> {
    let behind = prop_oneof![30 => Just(Some(id(number))), 1 => Just(Some(RepositoryId(77))), 1 => Just(None)];
    let diagnostics = Arc::new(Diagnostics { file: "dispatching.yml".to_owned(), problems: Vec::new() });
    let file = prop_oneof![
        30 => policy.prop_map(|policy| PolicyFile::Found { path: PolicyPath::Root, policy: Arc::new(policy) }),
        1 => Just(PolicyFile::Absent),
        1 => Just(PolicyFile::NotInstalled),
        1 => Just(PolicyFile::Invalid { path: PolicyPath::DotGithub, diagnostics }),
    ];
    (behind, file, any::<bool>()).prop_map(|(behind, file, private)| PolicyAnswer {
        repository: behind.map(|id| Identity::Verified { id, private }),
        file,
    })
}

/// Mostly about events of the kind.
fn source(kind: Kind) -> impl Strategy<Value = Source> {
    let [runs, pull_requests, commands] =
        [Kind::Run, Kind::PullRequest, Kind::Command].map(|other| if other == kind { 30 } else { 1 });
    prop_oneof![
        runs => run_source().prop_map(Source::WorkflowRun),
        pull_requests => pull_request_source().prop_map(Source::PullRequest),
        commands => command_source().prop_map(Source::Command),
    ]
}

fn run_source() -> impl Strategy<Value = WorkflowRunSource> {
    let workflow = prop_oneof![20 => Just("ci.yml"), 1 => Just("cd.yml")];
    let conclusions = select(vec![
        vec![Conclusion::Success],
        vec![Conclusion::Failure],
        vec![Conclusion::Success, Conclusion::Failure],
    ]);
    let events = select(vec![&["push"][..], &["push", "issue_comment"], &["schedule"]]);
    (workflow, maybe(0.15, conclusions), maybe(0.2, branches()), maybe(0.1, events), any::<bool>(), any::<bool>())
        .prop_map(|(workflow, conclusions, branches, events, forks, any_rerun)| WorkflowRunSource {
            workflow: file(workflow),
            conclusions: conclusions.map(|list| list.into_iter().collect()),
            branches,
            events: events.map(|list| list.iter().map(|word| (*word).to_owned()).collect()),
            forks,
            reruns: if any_rerun { Reruns::Any } else { Reruns::Latest },
        })
}

fn pull_request_source() -> impl Strategy<Value = PullRequestSource> {
    let actions = prop_oneof![
        5 => Just(PullRequestAction::ALL.to_vec()),
        3 => subsequence(PullRequestAction::ALL.to_vec(), 1..=3),
    ];
    (actions, maybe(0.2, branches()), maybe(0.1, any::<bool>()), any::<bool>()).prop_map(
        |(actions, base, draft, forks)| PullRequestSource {
            actions: actions.into_iter().collect(),
            base,
            draft,
            forks,
        },
    )
}

fn command_source() -> impl Strategy<Value = CommandSource> {
    let command = prop_oneof![20 => Just("/deploy"), 1 => Just("/destroy")];
    let permission = prop_oneof![
        2 => Just(CommandPermission::Write),
        1 => Just(CommandPermission::Admin),
        2 => Just(CommandPermission::Author),
        1 => Just(CommandPermission::Team("acme/ops".parse().unwrap())),
    ];
    let argument = select(vec![
        Accept::any(),
        Accept { one_of: Some(["eu", "us"].map(str::to_owned).into()), ..Accept::any() },
        Accept { max_length: Some(2), ..Accept::any() },
    ]);
    let filters = (maybe(0.3, permission), maybe(0.2, branches()), maybe(0.05, any::<bool>()), any::<bool>());
    (command, maybe(0.2, argument), filters).prop_map(|(command, argument, (permission, base, draft, forks))| {
        CommandSource { command: command.parse().unwrap(), argument, permission, base, draft, forks }
    })
}

fn target(kind: Kind) -> impl Strategy<Value = Target> {
    let name =
        prop_oneof![1 => Just("acme/api"), 6 => Just("acme/deploy"), 4 => Just("partner/infra"), 2 => Just("ACME/Web")];
    let git_ref = select(vec!["main", "release/1", "refs/heads/main", "refs/tags/main"]);
    let inputs = prop::collection::btree_map(input(), value(kind), 0..3);
    let many = prop_oneof![30 => Just(0_usize), 1 => Just(9), 1 => Just(26)];
    let environment = maybe(0.4, prop_oneof![Just(EnvironmentAction::Create), Just(EnvironmentAction::Destroy)]);
    let known = maybe(0.05, select(vec![RepositoryId(77), id(1), id(2)]));
    (name, start(kind), maybe(0.3, git_ref), inputs, many, known, environment).prop_map(
        |(name, start, git_ref, inputs, many, repository_id, environment)| Target {
            repository: name.parse().unwrap(),
            repository_id,
            git_ref: git_ref.filter(|_| matches!(start, Start::Workflow(_))).map(|text| text.parse().unwrap()),
            start,
            inputs: inputs
                .into_iter()
                .map(|(name, text)| (name.to_owned(), text))
                .chain((0..many).map(|number| (format!("n{number}"), "x")))
                .map(|(name, text)| (name, Template::parse(text).unwrap()))
                .collect(),
            environment,
            required: None,
            report: None,
            line: 0,
        },
    )
}

/// What is sent: variables that events of the kind have, seldom others, and what cannot be sent.
fn value(kind: Kind) -> impl Strategy<Value = &'static str> {
    let own: &[&str] = match kind {
        Kind::Run => &[
            "{{ source.sha }}",
            "{{ source.sha }}",
            "v-{{ source.head_branch }}",
            "{{ source.run_id }} of {{ source.repo }}",
            "{{ source.run_id | json }}",
            "{{ source.workflow }}",
            "{{ source.run_url }}",
        ],
        Kind::PullRequest | Kind::Command => &[
            "{{ pr.number }}",
            "{{ pr.number }}",
            "{{ pr.number }}",
            "{{ pr.number | json }}",
            "{{ pr.merged | json }}",
            "{{ pr.draft }}",
            "{{ pr.head_sha }}",
            "{{ source.sha }}",
            "{{ pr.base_branch }}",
            "{{ pr.head_branch }}",
            "{{ env.name }}",
            "{{ env.base }} {{ env.url }}",
            "{{ env.deploy }}",
            "{{ pr.action }}",
        ],
    };
    let others = vec![
        "x",
        "production",
        "{{ sender.login }}",
        "{{ comment.id | json }}",
        "{{ command.argument }}",
        "{{ source.title }}",
        "",
        "{{ pr.number }}",
    ];
    prop_oneof![12 => select(own), 1 => select(others)]
}

fn environment_rule() -> impl Strategy<Value = EnvironmentRule> {
    let name = prop_oneof![3 => Just("pr-{{ pr.number }}"), 1 => Just("staging")];
    let template = |text: &str| Template::parse(text).unwrap();
    let deploy = maybe(0.5, select(vec!["dev", "{{ pr.head_branch }}", "{{ pr.base_branch }}"]));
    let url = maybe(0.7, Just("https://{{ env.name }}.example.com/{{ pr.base_branch }}"));
    (maybe(0.4, branches()), name, deploy, url).prop_map(move |(base, name, deploy, url)| EnvironmentRule {
        base,
        name: template(name),
        deploy: deploy.map(template),
        url: url.map(template),
        links: Default::default(),
        cleanup: None,
        ttl: None,
        line: 0,
    })
}

fn inbound_rule(kind: Kind) -> impl Strategy<Value = InboundRule> {
    let name = prop_oneof![10 => Just("acme/api"), 2 => Just("ACME/API"), 1 => Just("evil/api"), 1 => Just("acme/web")];
    let repository_id = maybe(0.1, select(vec![RepositoryId(77), id(0), id(0)]));
    (name, repository_id, source(kind), prop::collection::vec(inbound_target(kind), 1..4)).prop_map(
        |(name, repository_id, source, targets)| InboundRule {
            repository: name.parse().unwrap(),
            repository_id,
            source: without_team(source),
            targets,
            line: 0,
        },
    )
}

/// Only the source's own rule can name a team, and an argument.
fn without_team(source: Source) -> Source {
    match source {
        Source::Command(source) => {
            let permission = source.permission.filter(|permission| !matches!(permission, CommandPermission::Team(_)));
            Source::Command(CommandSource { permission, argument: None, ..source })
        }
        other => other,
    }
}

fn inbound_target(kind: Kind) -> impl Strategy<Value = InboundTarget> {
    let accepts = prop::collection::btree_map(input(), accept(), 1..4);
    let many = prop_oneof![1 => Just(0_usize), 1 => Just(9)];
    let refs = select(vec![&["main"][..], &["main", "release/*"], &["refs/tags/**"], &["**"]]);
    (start(kind), accepts, many, maybe(0.3, refs)).prop_map(|(start, accepts, many, refs)| InboundTarget {
        accept_refs: refs.filter(|_| matches!(start, Start::Workflow(_))).and_then(patterns),
        start,
        accept_inputs: accepts
            .into_iter()
            .map(|(name, accept)| (name.to_owned(), accept))
            .chain((0..many).map(|number| (format!("n{number}"), Accept::any())))
            .collect(),
        line: 0,
    })
}

fn accept() -> impl Strategy<Value = Accept> {
    let pattern = prop_oneof![
        2 => Just(ValuePattern::Number),
        2 => Just(ValuePattern::Sha),
        2 => Just(ValuePattern::Branch),
        2 => Just(ValuePattern::BranchAny),
        1 => Just(ValuePattern::Login),
        1 => select(vec!["v-*", "**", "*a*"]).prop_map(|text| ValuePattern::Glob(text.parse().unwrap())),
    ];
    let one_of = select(vec![&["production", "x"][..], &["7", "true", "false", "main"], &["opened", "closed"]]);
    (maybe(0.15, pattern), maybe(0.05, one_of), maybe(0.05, 1..50_usize)).prop_map(|(pattern, one_of, max_length)| {
        let one_of = one_of.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
        Accept { pattern, one_of, max_length }
    })
}

fn numbered(rules: Vec<InboundRule>) -> Vec<InboundRule> {
    let mut lines = 101..;
    let mut next = || lines.next().unwrap();
    let number = |mut rule: InboundRule| {
        rule.line = next();
        rule.targets.iter_mut().for_each(|target| target.line = next());
        rule
    };
    rules.into_iter().map(number).collect()
}

/// Runs mostly start workflows, pull requests and commands mostly events.
pub fn start(kind: Kind) -> impl Strategy<Value = Start> {
    let (workflows, events) = match kind {
        Kind::Run => (10, 1),
        Kind::PullRequest | Kind::Command => (3, 10),
    };
    let workflow = prop_oneof![10 => Just("cd.yml"), 2 => Just("ci.yml"), 2 => Just("other.yml")];
    let event = prop_oneof![10 => Just("preview"), 1 => Just("Preview"), 1 => Just("cd.yml")];
    prop_oneof![
        workflows => workflow.prop_map(|name| Start::Workflow(file(name))),
        events => event.prop_map(|name| Start::Event(name.parse::<EventType>().unwrap())),
    ]
}

fn input() -> impl Strategy<Value = &'static str> {
    select(vec!["sha", "run", "environment"])
}

fn branches() -> impl Strategy<Value = PatternSet> {
    let texts = select(vec![&["main"][..], &["main", "release/*"], &["**"], &["*"], &["dev"]]);
    texts.prop_map(|texts| patterns(texts).unwrap())
}

fn patterns(texts: &[&str]) -> Option<PatternSet> {
    PatternSet::new(texts.iter().map(|text| text.parse().unwrap()).collect())
}
