//! What a `dispatching.yml` means.
//!
//! The file as written and the file as meant are two types: the bytes pass `gate` once, which keeps the place of every
//! node; `raw` decodes the nodes, each value by itself; `check` turns that into a [`Policy`] or into every problem of the
//! file at once.

mod accept;
pub(crate) mod check;
mod environment;
pub(crate) mod finding;
pub(crate) mod gate;
mod index;
mod limits;
pub(crate) mod raw;
#[cfg(feature = "schema")]
pub mod schema;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use self::accept::is_harmless;
pub use self::accept::{Accept, ValuePattern};
pub use self::environment::{EnvironmentAction, EnvironmentRule};
use self::index::BySource;
pub(crate) use self::index::Happened;
pub use self::limits::{AtLine, OwnerLimits};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::event::{Conclusion, PullRequestAction};
use crate::name::{Branch, CommandName, EventType, GitRef, Owner, Repository, RepositoryId, TeamName, WorkflowFile};
use crate::pattern::PatternSet;
use crate::template::{Template, Variable};

/// The largest policy file that is read: 256 KiB.
pub const MAX_BYTES: usize = 256 * 1024;

/// Where a policy file may be. The root wins where both exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PolicyPath {
    /// `dispatching.yml`
    #[serde(rename = "dispatching.yml")]
    Root,
    /// `.github/dispatching.yml`
    #[serde(rename = ".github/dispatching.yml")]
    DotGithub,
}

impl PolicyPath {
    /// Both places, in the order in which they are looked at.
    pub const ALL: [Self; 2] = [Self::Root, Self::DotGithub];

    /// The path inside the repository.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "dispatching.yml",
            Self::DotGithub => ".github/dispatching.yml",
        }
    }
}

impl fmt::Display for PolicyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with [`PolicyPath::DotGithub`] where both files are there.
#[must_use]
pub fn two_policy_files() -> Diagnostic {
    let message = format!("`{}` is not read: `{}` exists too, and wins", PolicyPath::DotGithub, PolicyPath::Root);
    Diagnostic::error("two_policy_files", Span::TOP, message, "nothing in this file counts")
        .help("keep one of the two files")
}

/// A checked policy file: who may be started from here, and who may start something here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Rules", into = "Rules")]
pub struct Policy {
    outbound: Vec<OutboundRule>,
    inbound: Vec<InboundRule>,
    /// Positions in `outbound`.
    outbound_index: BySource,
    /// Positions in `inbound`, by the source repository that a rule names.
    inbound_index: BTreeMap<Repository, BySource>,
    environments: Vec<EnvironmentRule>,
    limits: Option<Box<OwnerLimits>>,
}

/// A policy as it is serialised: without its index.
#[derive(Serialize, Deserialize)]
struct Rules {
    outbound: Vec<OutboundRule>,
    inbound: Vec<InboundRule>,
    environments: Vec<EnvironmentRule>,
    limits: Option<Box<OwnerLimits>>,
}

impl From<Rules> for Policy {
    fn from(Rules { outbound, inbound, environments, limits }: Rules) -> Self {
        Self { environments, limits, ..Self::new(outbound, inbound) }
    }
}

impl From<Policy> for Rules {
    fn from(Policy { outbound, inbound, environments, limits, .. }: Policy) -> Self {
        Self { outbound, inbound, environments, limits }
    }
}

impl Policy {
    /// Puts rules together, in the order of the file.
    #[must_use]
    pub fn new(outbound: Vec<OutboundRule>, inbound: Vec<InboundRule>) -> Self {
        let outbound_index = BySource::of(outbound.iter().map(|rule| &rule.source));
        let mut inbound_index = BTreeMap::<_, BySource>::new();
        for (position, rule) in inbound.iter().enumerate() {
            inbound_index.entry(rule.repository.clone()).or_default().add(position, &rule.source);
        }
        Self { outbound, outbound_index, inbound, inbound_index, environments: Vec::new(), limits: None }
    }

    /// The same, with the environments that pull requests of this repository get.
    #[must_use]
    pub fn with_environments(self, environments: Vec<EnvironmentRule>) -> Self {
        Self { environments, ..self }
    }

    /// The same, with what the owner allows.
    #[must_use]
    pub fn with_limits(self, limits: Option<OwnerLimits>) -> Self {
        Self { limits: limits.map(Box::new), ..self }
    }

    /// Reads a policy file. `owner` is the owner of the repository that holds it: the owner that a bare repository name
    /// means. `file` is the name to use in diagnostics. Where the repository is known, use [`Policy::check_in`]: only that
    /// one can tell whether [limits](OwnerLimits) count.
    #[must_use]
    pub fn check(bytes: &[u8], owner: &Owner, file: &str) -> Checked {
        check::check(bytes, owner, true, file)
    }

    /// Reads the policy file of a repository. [Limits](OwnerLimits) are an error in every repository that is not named
    /// `.github`: whoever wrote them there would believe in them.
    #[must_use]
    pub fn check_in(bytes: &[u8], repository: &Repository, file: &str) -> Checked {
        let owner = repository.owner();
        check::check(bytes, &owner, *repository == owner.dot_github(), file)
    }

    /// The outbound rules, in the order of the file.
    #[must_use]
    pub fn outbound(&self) -> &[OutboundRule] {
        &self.outbound
    }

    /// The inbound rules, in the order of the file.
    #[must_use]
    pub fn inbound(&self) -> &[InboundRule] {
        &self.inbound
    }

    /// The environments that pull requests of this repository get, in the order of the file.
    #[must_use]
    pub fn environments(&self) -> &[EnvironmentRule] {
        &self.environments
    }

    /// The environment that pull requests into a branch get: the first entry that fits.
    #[must_use]
    pub fn environment_for(&self, base: &Branch) -> Option<&EnvironmentRule> {
        let fits = |rule: &&EnvironmentRule| rule.base.as_ref().is_none_or(|bases| bases.matches(base.as_str()));
        self.environments.iter().find(fits)
    }

    /// What the owner of the file allows in all of his repositories; None: it says nothing of it.
    #[must_use]
    pub fn limits(&self) -> Option<&OwnerLimits> {
        self.limits.as_deref()
    }

    /// The inbound rules that name this source repository, in the order of the file.
    pub fn inbound_from(&self, source: &Repository) -> impl Iterator<Item = &InboundRule> {
        self.inbound_at(self.inbound_index.get(source).map_or(&[], BySource::all))
    }

    /// Those of them that name what happened.
    pub(crate) fn inbound_about(
        &self,
        source: &Repository,
        happened: Happened<'_>,
    ) -> impl Iterator<Item = &InboundRule> {
        self.inbound_at(self.inbound_index.get(source).map_or(&[], |index| index.about(happened)))
    }

    /// The outbound rules that name what happened, in the order of the file.
    pub(crate) fn outbound_about(&self, happened: Happened<'_>) -> impl Iterator<Item = &OutboundRule> {
        self.outbound_index.about(happened).iter().filter_map(|position| self.outbound.get(*position))
    }

    fn inbound_at<'s>(&'s self, positions: &'s [usize]) -> impl Iterator<Item = &'s InboundRule> {
        positions.iter().filter_map(|position| self.inbound.get(*position))
    }
}

/// A policy file, read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checked {
    /// What the file means; None if it has an error that makes it mean nothing.
    pub policy: Option<Policy>,
    /// Every problem of the file. An unknown variable is an error here, and yet the policy is there: at run time it denies
    /// only the target that uses it.
    pub diagnostics: Diagnostics,
}

/// "When this happens here, start that there."
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboundRule {
    /// What must happen in the repository of this file.
    pub source: Source,
    /// What is then started, in the order of the file.
    pub targets: Vec<Target>,
    /// 1-based line of the rule.
    pub line: u32,
}

/// "When that happens there, this may be started here."
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundRule {
    /// Whose events are accepted.
    pub repository: Repository,
    /// The repository that must be behind the name. Confirms a recreated repository.
    pub repository_id: Option<RepositoryId>,
    /// What must have happened there.
    pub source: Source,
    /// What may be started here, in the order of the file.
    pub targets: Vec<InboundTarget>,
    /// 1-based line of the rule.
    pub line: u32,
}

/// What must have happened. The same filters exist on both sides; the intersection counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// A workflow run completed.
    WorkflowRun(WorkflowRunSource),
    /// Something happened to a pull request.
    PullRequest(PullRequestSource),
    /// Somebody gave a command in a comment on a pull request.
    Command(CommandSource),
}

impl Source {
    /// Whether its events have a value for a variable. `environment`: whether the target says what it does to the pull
    /// request's environment.
    #[must_use]
    pub fn gives(&self, variable: Variable, environment: bool) -> bool {
        use Variable::*;
        match variable {
            SourceSha | SourceRepo | SenderLogin => true,
            SourceHeadBranch | SourceRunId | SourceRunUrl | SourceWorkflow => matches!(self, Self::WorkflowRun(_)),
            PrNumber | PrHeadSha | PrHeadBranch | PrBaseBranch | PrMerged | PrDraft => {
                !matches!(self, Self::WorkflowRun(_))
            }
            PrAction => matches!(self, Self::PullRequest(_)),
            CommentId => matches!(self, Self::Command(_)),
            CommandArgument => matches!(self, Self::Command(source) if source.argument.is_some()),
            EnvName | EnvBase | EnvDeploy | EnvUrl => environment && !matches!(self, Self::WorkflowRun(_)),
        }
    }
}

/// Which changes of pull requests a rule is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PullRequestSource {
    /// What must have happened.
    pub actions: BTreeSet<PullRequestAction>,
    /// The branches that the pull request may want to change. None: any.
    pub base: Option<PatternSet>,
    /// Whether it must be a draft, or must be none. None: either.
    pub draft: Option<bool>,
    /// Whether pull requests of forks count.
    pub forks: bool,
}

/// Which commands a rule is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandSource {
    /// The command.
    pub command: CommandName,
    /// What the word behind the command must be. None: there must be none. Only the source's own rule can say it; the
    /// target accepts the value where it is sent.
    pub argument: Option<Accept>,
    /// Who may give it. None: who may write to the repository.
    pub permission: Option<CommandPermission>,
    /// The branches that the pull request may want to change. None: any.
    pub base: Option<PatternSet>,
    /// Whether it must be a draft, or must be none. None: either.
    pub draft: Option<bool>,
    /// Whether pull requests of forks count.
    pub forks: bool,
}

/// Who may give a command. Read from GitHub when the command is decided about, never from the webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CommandPermission {
    /// Who may write to the repository. GitHub says `write` of maintainers too.
    Write,
    /// Who administers the repository.
    Admin,
    /// Who opened the pull request, whatever else he may do, and who may write.
    Author,
    /// Who is an active member of the team, and may write.
    Team(TeamName),
}

/// Which runs a rule is about. A filter that is absent says nothing of its own; what that means is part of the
/// [decision](crate::decide).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowRunSource {
    /// The workflow's file.
    pub workflow: WorkflowFile,
    /// How the run must have ended.
    pub conclusions: Option<BTreeSet<Conclusion>>,
    /// The branches that the run may have been on.
    pub branches: Option<PatternSet>,
    /// What may have started the run, in GitHub's words.
    pub events: Option<BTreeSet<String>>,
    /// Whether runs of forks count.
    pub forks: bool,
    /// Which attempts count once a newer run has been dispatched.
    pub reruns: Reruns,
}

/// Whether an old run that is run again may start something after a newer run of its workflow and branch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reruns {
    /// No: the newest run wins.
    #[default]
    Latest,
    /// Yes (`reruns: any`).
    Any,
}

/// What an outbound rule starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Where.
    pub repository: Repository,
    /// The repository that must be behind the name. Confirms a recreated repository.
    pub repository_id: Option<RepositoryId>,
    /// What is started there.
    pub start: Start,
    /// The branch or tag to start it at. None: the source's branch, else the operator's default.
    pub git_ref: Option<GitRef>,
    /// What is sent along, by name: the inputs of a workflow, or the payload of an event.
    pub inputs: BTreeMap<String, Template>,
    /// What it does to the pull request's environment.
    pub environment: Option<EnvironmentAction>,
    /// Whether a merge should wait for it. `true`: a denial is a failed check. `false`: nothing that becomes of it is one.
    /// None: a denial is neutral, and a run shows its own conclusion.
    pub required: Option<bool>,
    /// Where its result is told. None: what [`Channel::default_for`] says.
    pub report: Option<BTreeSet<Channel>>,
    /// 1-based line of the target's entry.
    pub line: u32,
}

/// Where the result of a dispatch is told to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A check run on the source's commit.
    Check,
    /// The one comment on the pull request that is kept up to date.
    Comment,
    /// The issue about a workflow whose dispatches fail.
    Issue,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Check, Self::Comment, Self::Issue];

    /// The word of the policy file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Comment => "comment",
            Self::Issue => "issue",
        }
    }

    /// Where a result is told where the rule does not say: always by a check; failures of runs in an issue, because nobody
    /// watches the checks of a merged commit; and who gives a command is answered where he gave it.
    #[must_use]
    pub fn default_for(source: &Source) -> BTreeSet<Self> {
        match source {
            Source::WorkflowRun(_) => [Self::Check, Self::Issue].into(),
            Source::PullRequest(_) => [Self::Check].into(),
            Source::Command(_) => [Self::Check, Self::Comment].into(),
        }
    }
}

/// What can be started in a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Start {
    /// A workflow, by `workflow_dispatch`.
    Workflow(WorkflowFile),
    /// Whatever listens to an event, by `repository_dispatch`.
    Event(EventType),
}

impl Start {
    /// The workflow's file name, or the event's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Workflow(file) => file.as_str(),
            Self::Event(event) => event.as_str(),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an inbound rule accepts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundTarget {
    /// What may be started here.
    pub start: Start,
    /// The inputs, or the properties of the payload, that may be sent along. All of a dispatch must be accepted by one
    /// inbound target.
    pub accept_inputs: BTreeMap<String, Accept>,
    /// The branches and tags that it may be started at. None: any.
    pub accept_refs: Option<PatternSet>,
    /// 1-based line of the target's entry.
    pub line: u32,
}

/// One line of one policy file: what a decision points at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleLocation {
    /// The repository that holds the file.
    pub repository: Repository,
    /// The file.
    pub path: PolicyPath,
    /// 1-based line.
    pub line: u32,
}

impl fmt::Display for RuleLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.repository, self.path, self.line)
    }
}
