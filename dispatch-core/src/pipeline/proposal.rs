//! The check of the policy file that a pull request proposes.

use super::Pipeline;
use super::lookup::LookupError;
use crate::Timestamp;
use crate::decide::{Identity, Known, PolicyFile};
use crate::event::{Event, EventKind, Head, PullRequest, PullRequestAction, PullRequestState};
use crate::notice::{About, Check, Notice, NoticeKey};
use crate::policy::PolicyPath;
use crate::ports::github::{FileRead, GitHubError, RepositoryRef};
use crate::ports::pull_requests::PermissionLevel;
use crate::ports::store::{Record, RecordKey, StoreError, Write};
use crate::proposal::{Proposal, ProposedFile};

/// A check to show of a proposed policy file.
pub(super) struct ProposalCheck {
    check: Check,
    /// Whether it tells what would start, too.
    complete: bool,
}

impl Pipeline {
    /// Looks at the policy file of a pull request that was opened or changed. None: it proposes none, or the operator does not
    /// serve it.
    ///
    /// What GitHub refuses to show is not checked; what it may show later is waited for.
    pub(super) async fn check_proposal(
        &self,
        event: &Event,
        now: Timestamp,
    ) -> Result<Option<ProposalCheck>, LookupError> {
        match self.read_proposal(event, now).await {
            Err(LookupError::GitHub(error)) if self.read_again_at(&error, 1, now).is_none() => Ok(None),
            check => check,
        }
    }

    async fn read_proposal(&self, event: &Event, now: Timestamp) -> Result<Option<ProposalCheck>, LookupError> {
        let Some(pull_request) = self.may_propose(event) else { return Ok(None) };
        let repository = RepositoryRef { id: event.repository.id, name: event.repository.name.clone() };
        let Some(file) = self.proposed_file(&repository, pull_request, now).await? else { return Ok(None) };
        let proposal = Proposal { event, pull_request, file };
        let known = match self.is_by_a_writer(event, pull_request, &repository).await? {
            true => self.known_of_others(event, &proposal, now).await?,
            false => None,
        };
        let check = proposal.check(known.as_ref(), &self.guardrails);
        Ok(check.map(|check| ProposalCheck { check, complete: known.is_some() }))
    }

    /// What the other sides say. None: GitHub does not show it, and will not.
    async fn known_of_others(
        &self,
        event: &Event,
        proposal: &Proposal<'_>,
        now: Timestamp,
    ) -> Result<Option<Known>, LookupError> {
        let mut known = Known::default();
        match self.look_up(event, proposal.lookups(&self.guardrails), &mut known, now).await {
            Ok(()) => Ok(Some(known)),
            Err(LookupError::GitHub(error)) if self.read_again_at(&error, 1, now).is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The pull request, if it is one that could change the policy file in force.
    fn may_propose<'a>(&self, event: &'a Event) -> Option<&'a PullRequestState> {
        let EventKind::PullRequest(PullRequest { action, now, sweep: None }) = &event.kind else { return None };
        let served = event.installation.is_some() && self.guardrails.owners.value.allow(&event.repository.name.owner());
        let into_force = now.base_branch == event.repository.default_branch;
        (served && into_force && now.open && *action != PullRequestAction::Closed).then_some(now)
    }

    /// The file, if it is not the one in force; the inner None: there is none any more.
    async fn proposed_file(
        &self,
        repository: &RepositoryRef,
        pull_request: &PullRequestState,
        now: Timestamp,
    ) -> Result<Option<Option<ProposedFile>>, GitHubError> {
        let in_force = self.policy(&repository.name, Some(repository.id), now).await?;
        let path_in_force = match (&in_force.repository, &in_force.file) {
            (Some(Identity::Verified { id, .. }), _) if *id != repository.id => return Ok(None),
            (_, PolicyFile::NotInstalled | PolicyFile::Refused(_)) => return Ok(None),
            (_, PolicyFile::Absent) => None,
            (_, PolicyFile::Found { path, .. } | PolicyFile::Invalid { path, .. }) => Some(*path),
        };
        let read = |path| self.github.policy_at(repository, path, &pull_request.head_sha);
        let [root, dot_github] = PolicyPath::ALL;
        let files = [read(root).await?, read(dot_github).await?];
        let proposed = PolicyPath::ALL.into_iter().zip(&files).find_map(|(path, file)| Some((path, file.as_ref()?)));
        let changed = match (proposed, path_in_force) {
            (None, None) => false,
            (Some((path, bytes)), Some(in_force)) if path == in_force => {
                match self.github.read_file(&repository.name, Some(repository.id), path, None).await? {
                    FileRead::Found { bytes: in_force, .. } => in_force != *bytes,
                    _ => true,
                }
            }
            _ => true,
        };
        Ok(changed.then(|| ProposedFile::of(&repository.name, files)))
    }

    /// Whether a pull request is this repository's own, and who changed it is its author and may write. GitHub is asked, and
    /// what it does not tell is a no.
    async fn is_by_a_writer(
        &self,
        event: &Event,
        pull_request: &PullRequestState,
        repository: &RepositoryRef,
    ) -> Result<bool, GitHubError> {
        let (Head::SameRepository, Some(author), Some(sender)) =
            (pull_request.head, pull_request.author, &event.sender)
        else {
            return Ok(false);
        };
        match self.github.permission(repository, sender).await {
            Ok(answer) => Ok(answer.is_some_and(|it| it.user == author && it.level >= PermissionLevel::Write)),
            Err(GitHubError::Refused { status, .. }) if status != 401 => Ok(false),
            Err(GitHubError::NotInstalled(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The write that has the check shown. A commit's file does not change: what was told of it is told again only where more
    /// is known now.
    pub(super) async fn proposal_write(
        &self,
        proposal: Option<&ProposalCheck>,
        now: Timestamp,
    ) -> Result<Option<Write>, StoreError> {
        let Some(ProposalCheck { check, complete }) = proposal else { return Ok(None) };
        let key = RecordKey::Notice(NoticeKey::Check(check.id.clone()));
        let about = About::Check(Box::new(check.clone()));
        let stored = self.store.load(&[key]).await?.into_iter().next().flatten();
        let (notice, expected) = match stored.map(|stored| (stored.record, stored.version)) {
            Some((Record::Notice(notice), version)) => {
                if !complete || notice.about == about {
                    return Ok(None);
                }
                (Notice { about, due: Some(now), attempts: 0, changed_at: now, ..*notice }, Some(version))
            }
            _ => (Notice::new(about, now), None),
        };
        Ok(Some(Write { record: Record::Notice(Box::new(notice)), expected }))
    }
}
