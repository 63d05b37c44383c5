//! Who agreed to what, and when: what the policy files say, as a person would tell it, and their history.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dispatch_core::Timestamp;
use dispatch_core::name::Repository;

/// The workflows that every repository has.
pub(crate) const WORKFLOWS: [&str; 2] = ["ci.yml", "cd.yml"];
/// The input that every rule sends: it tells effects apart.
pub(crate) const INPUT: &str = "run";

/// Where something runs: a repository by its position, and a workflow.
pub(crate) type Spot = (usize, &'static str);

/// When this workflow ends there, that one is to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Agreement {
    pub(crate) source: Spot,
    pub(crate) target: Spot,
}

/// What one repository's policy file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct File {
    /// What it starts elsewhere.
    pub(crate) outbound: BTreeSet<Agreement>,
    /// What others may start here, with the input that they send.
    pub(crate) inbound: BTreeSet<Agreement>,
    /// What others may start here, but without any input: which agrees to nothing that is sent.
    pub(crate) inbound_without_input: BTreeSet<Agreement>,
    /// Whether the file has a mistake, so that it says nothing at all.
    pub(crate) broken: bool,
}

impl File {
    pub(crate) fn sends(&self, agreement: &Agreement) -> bool {
        !self.broken && self.outbound.contains(agreement)
    }

    pub(crate) fn accepts(&self, agreement: &Agreement) -> bool {
        !self.broken && self.inbound.contains(agreement)
    }

    /// The file's text; None where there is nothing to say.
    pub(crate) fn text(&self, repositories: &[Repository]) -> Option<String> {
        let accepted = self.inbound.iter().map(|agreement| (agreement, INPUT));
        let refused = self.inbound_without_input.iter().map(|agreement| (agreement, ""));
        let inbound: Vec<_> = accepted.chain(refused).collect();
        let mut text = String::new();
        if !self.outbound.is_empty() {
            text.push_str("outbound:\n");
        }
        for Agreement { source: (_, workflow), target: (target, start) } in &self.outbound {
            let target = &repositories[*target];
            write!(
                text,
                "  - source: {{ workflow: {workflow} }}\n    targets:\n      - repository: {target}\n        \
                 workflow: {start}\n        inputs: {{ {INPUT}: '{{{{ source.run_id }}}}' }}\n"
            )
            .unwrap();
        }
        if !inbound.is_empty() {
            text.push_str("inbound:\n");
        }
        for (Agreement { source: (source, workflow), target: (_, start) }, accepted) in inbound {
            let source = &repositories[*source];
            write!(
                text,
                "  - source: {{ repository: {source}, workflow: {workflow} }}\n    targets:\n      \
                 - workflow: {start}\n        accept_inputs: [{accepted}]\n"
            )
            .unwrap();
        }
        if self.broken {
            text.push_str("inbuond: []\n");
        }
        (!text.is_empty()).then_some(text)
    }
}

/// One repository through time.
#[derive(Debug, Clone)]
pub(crate) struct History {
    files: Vec<(Timestamp, File)>,
    reached: Vec<(Timestamp, bool)>,
}

impl History {
    pub(crate) fn new(at: Timestamp, file: File) -> Self {
        Self { files: vec![(at, file)], reached: vec![(at, true)] }
    }

    /// What the file says now.
    pub(crate) fn file(&self) -> &File {
        &self.files.last().unwrap().1
    }

    pub(crate) fn set_file(&mut self, at: Timestamp, file: File) {
        self.files.push((at, file));
    }

    /// Whether the App is installed there now, and not suspended.
    pub(crate) fn reached(&self) -> bool {
        self.reached.last().unwrap().1
    }

    /// Whether the App was installed there all the time, and never suspended.
    pub(crate) fn always_reached(&self) -> bool {
        self.reached.iter().all(|(_, reached)| *reached)
    }

    pub(crate) fn set_reached(&mut self, at: Timestamp, reached: bool) {
        self.reached.push((at, reached));
    }

    /// Whether there was an instant from `from` to `to` at which the App could see a file that says this.
    pub(crate) fn said(&self, from: Timestamp, to: Timestamp, says: impl Fn(&File) -> bool) -> bool {
        let changes = self.files.iter().map(|(at, _)| *at).chain(self.reached.iter().map(|(at, _)| *at));
        let mut instants = changes.filter(|at| (from..=to).contains(at)).chain([from]);
        instants.any(|instant| {
            // At the very instant of a change, what was said before and after counts.
            let files = self.during(&self.files, instant);
            let reached = self.during(&self.reached, instant);
            files.iter().any(&says) && reached.contains(&true)
        })
    }

    /// Whether the App could see a file that says this, all the time.
    pub(crate) fn always_said(&self, says: impl Fn(&File) -> bool) -> bool {
        self.files.iter().all(|(_, file)| says(file)) && self.reached.iter().all(|(_, reached)| *reached)
    }

    fn during<T: Clone>(&self, values: &[(Timestamp, T)], instant: Timestamp) -> Vec<T> {
        let before = values.iter().rev().find(|(at, _)| *at < instant);
        let then = values.iter().filter(|(at, _)| *at == instant);
        before.into_iter().chain(then).map(|(_, value)| value.clone()).collect()
    }
}

/// All repositories through time.
#[derive(Debug, Default)]
pub(crate) struct Agreements {
    pub(crate) repositories: Vec<Repository>,
    pub(crate) histories: Vec<History>,
}

impl Agreements {
    /// The position of a repository, however it is written.
    pub(crate) fn position(&self, repository: &Repository) -> Option<usize> {
        self.repositories.iter().position(|known| known == repository)
    }

    /// Whether both sides agreed, each at some instant from `from` to `to`.
    pub(crate) fn agreed(&self, agreement: &Agreement, from: Timestamp, to: Timestamp) -> bool {
        let (source, target) = (&self.histories[agreement.source.0], &self.histories[agreement.target.0]);
        source.said(from, to, |file| file.sends(agreement)) && target.said(from, to, |file| file.accepts(agreement))
    }

    /// Whether both sides agreed from the beginning to the end.
    pub(crate) fn always_agreed(&self, agreement: &Agreement) -> bool {
        let (source, target) = (&self.histories[agreement.source.0], &self.histories[agreement.target.0]);
        source.always_said(|file| file.sends(agreement)) && target.always_said(|file| file.accepts(agreement))
    }
}
