//! A repository whose pull requests get environments in another one: by themselves or by commands, each its own or one that
//! they share. What people agreed on about that, what they really did, and what really happened because of it.

pub(crate) mod aftermath;
pub(crate) mod invariants;
pub(crate) mod notices;
pub(crate) mod people;

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::dispatch::DispatchKey;
use dispatch_core::name::{CommitSha, Repository};
use dispatch_core::testing::World;
use dispatch_core::testing::world::{RepositoryOptions, Role};

use crate::random::Random;

/// Who may write, who sometimes may, and who never may.
pub(crate) const WRITER: &str = "alice";
pub(crate) const PROMOTED: &str = "bob";
pub(crate) const STRANGER: &str = "mallory";
/// The environment that pull requests into `main` share where they share one.
pub(crate) const SHARED: &str = "staging";
/// How long an environment lasts where it does not last for good.
pub(crate) const TTL: Duration = Duration::from_secs(60 * 60);

/// How pull requests get environments in one run.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// By `/up` and `/down`. Else by being opened and pushed to.
    pub(crate) by_command: bool,
    /// Those into `main` share one.
    pub(crate) shared: bool,
    /// Both sides accept forks.
    pub(crate) forks: bool,
    /// Results are told in comments, too.
    pub(crate) comments: bool,
    /// A merge does not wait for them.
    pub(crate) not_required: bool,
    /// They do not last for good.
    pub(crate) ttl: bool,
    /// How many workflows of the target listen.
    pub(crate) listeners: usize,
    /// People change their minds, and the App's access.
    pub(crate) restless: bool,
}

/// The pull requests of one run, as they really are.
#[derive(Debug)]
pub(crate) struct Previews {
    pub(crate) setup: Setup,
    pub(crate) source: Repository,
    pub(crate) target: Repository,
    /// Whether the App can see a file of the source, and of the target, that agrees.
    pub(crate) source_agrees: Switch,
    pub(crate) target_agrees: Switch,
    /// Who may write.
    pub(crate) writes: BTreeMap<&'static str, Switch>,
    pub(crate) pull_requests: BTreeMap<u64, Pull>,
    pub(crate) comments: BTreeMap<u64, Given>,
    /// Who wanted a check run again.
    pub(crate) pressed: BTreeMap<u64, Vec<&'static str>>,
    /// The events that were made in the target, in order.
    pub(crate) actions: Vec<Action>,
}

/// A pull request.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) fork: bool,
    pub(crate) open: Switch,
    pub(crate) kept: Switch,
}

/// A comment as it was written.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) pull_request: u64,
    pub(crate) by: &'static str,
    pub(crate) text: String,
    /// The head of the pull request then.
    pub(crate) head: CommitSha,
}

/// An event that was made in the target.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) dispatch: DispatchKey,
    pub(crate) creates: bool,
    /// The environment.
    pub(crate) name: String,
    pub(crate) pull_request: u64,
    pub(crate) sha: String,
    pub(crate) sent_at: Timestamp,
    pub(crate) at: Timestamp,
}

/// Something that is so or not, through time.
#[derive(Debug, Clone)]
pub(crate) struct Switch(Vec<(Timestamp, bool)>);

impl Switch {
    pub(crate) fn new(at: Timestamp, value: bool) -> Self {
        Self(vec![(at, value)])
    }

    pub(crate) fn set(&mut self, at: Timestamp, value: bool) {
        self.0.push((at, value));
    }

    pub(crate) fn now(&self) -> bool {
        self.0.last().unwrap().1
    }

    /// Whether it was so at some instant from `from` to `to`. At the very instant of a change, it was both.
    pub(crate) fn was(&self, value: bool, from: Timestamp, to: Timestamp) -> bool {
        let within = self.0.iter().filter(|(at, _)| (from..=to).contains(at));
        let before = self.0.iter().rev().find(|(at, _)| *at < from);
        within.chain(before).any(|(_, other)| *other == value)
    }

    /// Whether it was so all the time.
    pub(crate) fn always(&self, value: bool) -> bool {
        self.0.iter().all(|(_, other)| *other == value)
    }

    /// Whether it changed twice within a second, which GitHub's times do not tell apart.
    pub(crate) fn is_hasty(&self) -> bool {
        self.0.windows(2).any(|pair| pair[0].0.as_second() == pair[1].0.as_second())
    }
}

/// Adds the two repositories to the world, in some runs, or where they are needed.
pub(crate) fn settle(world: &mut World, random: &mut Random, needed: bool) -> Option<Previews> {
    let there = random.per_mille(80) || needed;
    let mut often = |times| random.per_mille(times);
    let setup = Setup {
        by_command: often(500),
        shared: often(400),
        forks: often(300),
        comments: often(500),
        not_required: often(300),
        ttl: often(250),
        listeners: if often(100) { 0 } else { 1 + usize::from(often(100)) },
        restless: often(400),
    };
    if !there {
        return None;
    }
    let (source, target): (Repository, Repository) =
        ("previews/site".parse().unwrap(), "previews/infrastructure".parse().unwrap());
    for repository in [&source, &target] {
        world.add_repository(repository, RepositoryOptions::default()).unwrap();
    }
    for listener in 0..setup.listeners {
        let path = format!(".github/workflows/environments-{listener}.yml");
        let text = "on:\n  repository_dispatch:\n    types: [env-up, env-down, env-closed]\njobs: {}\n";
        world.write_file(&target, "main", &path, text).unwrap();
    }
    world.write_file(&source, "main", "dispatching.yml", &setup.source_text()).unwrap();
    world.write_file(&target, "main", "dispatching.yml", &setup.target_text()).unwrap();
    let head = world.branch_head(&source, "main").unwrap();
    world.set_branch(&source, "dev", &head).unwrap();
    world.set_permission(&source, WRITER, Role::Write).unwrap();
    let now = world.now();
    let writes = [(WRITER, true), (PROMOTED, false), (STRANGER, false)];
    Some(Previews {
        setup,
        source,
        target,
        source_agrees: Switch::new(now, true),
        target_agrees: Switch::new(now, true),
        writes: writes.map(|(who, writes)| (who, Switch::new(now, writes))).into(),
        pull_requests: BTreeMap::new(),
        comments: BTreeMap::new(),
        pressed: BTreeMap::new(),
        actions: Vec::new(),
    })
}

impl Setup {
    fn sources(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let closed = ("pull_request: [closed]", "env-closed", "destroy");
        if self.by_command {
            vec![("command: /up", "env-up", "create"), ("command: /down", "env-down", "destroy"), closed]
        } else {
            vec![("pull_request: [opened, synchronize, reopened]", "env-up", "create"), closed]
        }
    }

    fn forks(&self) -> &'static str {
        if self.forks { ", forks: true" } else { "" }
    }

    pub(crate) fn source_text(&self) -> String {
        let mut text = "outbound:\n".to_owned();
        let report = if self.comments { "[check, comment]" } else { "[check]" };
        let required = if self.not_required { "\n        required: false" } else { "" };
        for (source, event, action) in self.sources() {
            text.push_str(&format!(
                "  - source: {{ {source}{} }}\n    targets:\n      - repository: infrastructure\n        event: {event}\n        \
                 environment: {action}\n        report: {report}{required}\n        payload: {{ pr: '{{{{ pr.number }}}}', \
                 sha: '{{{{ pr.head_sha }}}}', name: '{{{{ env.name }}}}' }}\n",
                self.forks()
            ));
        }
        text.push_str("environments:\n");
        let ttl = if self.ttl { "\n    ttl: 1h" } else { "" };
        if self.shared {
            text.push_str(&format!("  - base: main\n    name: {SHARED}{ttl}\n"));
        }
        text.push_str(&format!("  - name: 'pr-{{{{ pr.number }}}}'{ttl}\n"));
        text
    }

    pub(crate) fn target_text(&self) -> String {
        let mut text = "inbound:\n".to_owned();
        for (source, event, _) in self.sources() {
            text.push_str(&format!(
                "  - source: {{ repository: site, {source}{} }}\n    targets:\n      - event: {event}\n        \
                 accept_payload: [pr, sha, name]\n",
                self.forks()
            ));
        }
        text
    }
}
