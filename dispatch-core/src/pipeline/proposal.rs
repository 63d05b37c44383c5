//! The policy file that a pull request proposes is looked at, and its check written.
//!
//! What GitHub is asked for one commit: 2 reads, and the conditional one of the file in force; 3 more where they differ, to
//! tell a change of the pull request from an old branch; 1 about its author, and 1 to 2 for each other repository that a
//! changed file names.

use std::time::Duration;

use super::Pipeline;
use super::lookup::LookupError;
use crate::Timestamp;
use crate::decide::{Identity, Known, PolicyFile};
use crate::delivery::Delivery;
use crate::event::{EventKind, Head, PullRequestState};
use crate::name::CommitSha;
use crate::notice::{About, Check, Notice, NoticeKey};
use crate::policy::PolicyPath;
use crate::ports::github::{GitHubError, RepositoryRef};
use crate::ports::pull_requests::{FileAt, PermissionLevel};
use crate::ports::store::{Commit, Record, RecordKey, StoreError, Stored, Write};
use crate::proposal::{Proposal, ProposalRecord, ProposedFile};
use crate::retry::later;

/// How long looking is tried where GitHub does not answer.
const TRIED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the check is tried to be written while others change it.
const MAX_CONFLICTS: usize = 5;

/// What looking at a proposed policy file did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalChecked {
    /// The check is to be shown.
    Changed,
    /// The pull request leaves the file as it is, or the operator does not serve it: there is nothing to show.
    Unchanged,
    /// It has to wait.
    PutBack {
        /// Until when.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// GitHub does not show it. The next event tries again.
    GivenUp {
        /// Why.
        error: String,
    },
}

/// What was found.
struct Found {
    check: Check,
    /// Whether it tells what would start, too.
    complete: bool,
}

impl Pipeline {
    /// The write that has a proposed policy file looked at: by a pull request that was opened or changed, and where who may
    /// write wants its check again.
    pub(super) async fn proposal_write(
        &self,
        delivery: &Delivery,
        known: &Known,
        now: Timestamp,
    ) -> Result<Option<Write>, StoreError> {
        let event = &delivery.event;
        let new = ProposalRecord::of(event, now)
            .filter(|_| self.guardrails.owners.value.allow(&event.repository.name.owner()));
        let check = match (&new, &event.kind) {
            (Some(new), _) => &new.check,
            (None, EventKind::CheckRerequest(wanted)) => {
                let permission = known.permissions.get(&wanted.by.login).copied().flatten();
                let writes = permission.is_some_and(|it| it.user == wanted.by.id && it.level >= PermissionLevel::Write);
                if !writes {
                    return Ok(None);
                }
                &wanted.external_id
            }
            _ => return Ok(None),
        };
        let stored = self.store.load(&[RecordKey::Proposal(check.clone())]).await?.into_iter().next().flatten();
        let (record, expected) = match (stored, new) {
            (Some(Stored { record: Record::Proposal(mut known), version }), new) => {
                if known.event.repository.id != event.repository.id {
                    return Ok(None);
                }
                known.again(new.as_ref().map(|new| &new.event), now);
                (known, Some(version))
            }
            (_, Some(new)) => (Box::new(new), None),
            (_, None) => return Ok(None),
        };
        Ok(Some(Write { record: Record::Proposal(record), expected }))
    }

    /// Looks at the policy file of a pull request, and stores the check that tells of it. `version` is the record's version as
    /// it was claimed.
    ///
    /// What GitHub refuses to show is given up; what it may show later is waited for, for a day.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was stored, and the proposal comes back when its lease ends.
    pub async fn check_proposal(
        &self,
        mut record: ProposalRecord,
        version: u64,
        now: Timestamp,
    ) -> Result<ProposalChecked, StoreError> {
        let (found, looked) = match self.find_proposal(&record, now).await {
            Ok(Some(found)) => (Some(found), ProposalChecked::Changed),
            Ok(None) => (None, ProposalChecked::Unchanged),
            Err(LookupError::Store(error)) => return Err(error),
            Err(LookupError::GitHub(error)) => {
                let times = record.attempts.saturating_add(1);
                let until = self.read_again_at(&error, times, now);
                let error = error.to_string();
                if let Some(until) = until.filter(|until| *until < later(record.wanted_at, TRIED_FOR)) {
                    (record.due, record.attempts) = (Some(until), times);
                    let write = Write { record: Record::Proposal(Box::new(record)), expected: Some(version) };
                    self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await?;
                    return Ok(ProposalChecked::PutBack { until, error });
                }
                (None, ProposalChecked::GivenUp { error })
            }
        };
        let found = found.filter(|found| found.complete || !record.complete);
        (record.due, record.attempts) = (None, 0);
        record.complete |= found.as_ref().is_some_and(|found| found.complete);
        self.store_found(record, version, found.map(|found| found.check), now).await?;
        Ok(looked)
    }

    /// Stores what was found. What is shown as it is already - also to whoever wanted it again - is not shown once more.
    async fn store_found(
        &self,
        record: ProposalRecord,
        version: u64,
        check: Option<Check>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = RecordKey::Notice(NoticeKey::Check(record.check.clone()));
        let about = check.map(|check| About::Check(Box::new(check)));
        let record = Record::Proposal(Box::new(record));
        for _ in 0..MAX_CONFLICTS {
            let mut writes = vec![Write { record: record.clone(), expected: Some(version) }];
            if let Some(about) = about.clone() {
                let stored = self.store.load(std::slice::from_ref(&key)).await?.into_iter().next().flatten();
                writes.extend(changed(stored, about, now));
            }
            match self.store.commit(Commit { writes, facts: Vec::new() }).await {
                Err(StoreError::Conflict(RecordKey::Notice(_))) => {}
                stored => return stored,
            }
        }
        Err(StoreError::Conflict(key))
    }

    async fn find_proposal(&self, record: &ProposalRecord, now: Timestamp) -> Result<Option<Found>, LookupError> {
        let event = &record.event;
        let served = self.guardrails.owners.value.allow(&event.repository.name.owner());
        let Some(pull_request) = record.pull_request().filter(|_| served) else { return Ok(None) };
        let repository = RepositoryRef { id: event.repository.id, name: event.repository.name.clone() };
        let Some(files) = self.changed_files(&repository, pull_request, now).await? else { return Ok(None) };
        let file = ProposedFile::of(&repository.name, &files);
        let proposal = Proposal { event, pull_request, file };
        let mut known = None;
        if self.is_by_a_writer(record, pull_request, &repository).await? {
            let lookups = proposal.lookups(&self.guardrails);
            self.look_up(event, lookups, known.insert(Known::default()), now).await?;
        }
        let check = proposal.check(known.as_ref(), &self.guardrails);
        Ok(check.map(|check| Found { check, complete: known.is_some() }))
    }

    /// The files in both places at the pull request's newest commit, if it changes one of them. None: it does not.
    ///
    /// What it changes is what is not as it was where its branch began, whatever became of the default branch since. That is
    /// only asked where the file is not the one in force: most branches are young.
    async fn changed_files(
        &self,
        repository: &RepositoryRef,
        pull_request: &PullRequestState,
        now: Timestamp,
    ) -> Result<Option<[Option<FileAt>; 2]>, GitHubError> {
        let in_force = self.policy(&repository.name, Some(repository.id), now).await?;
        match (&in_force.repository, &in_force.file) {
            (Some(Identity::Verified { id, .. }), _) if *id != repository.id => return Ok(None),
            (None, _) | (_, PolicyFile::NotInstalled | PolicyFile::Refused(_)) => return Ok(None),
            _ => {}
        }
        let remembered = self.policies.recall(&repository.name);
        let in_force = remembered.as_ref().map(|it| it.file.as_ref().map(|it| (it.path, it.blob_sha.as_str())));
        let files = self.files_at(repository, &pull_request.head_sha).await?;
        let proposed = PolicyPath::ALL.into_iter().zip(&files).filter_map(|(path, file)| Some((path, file.as_ref()?)));
        let mut proposed = proposed.map(|(path, file)| (path, file.blob_sha.as_str()));
        if in_force == Some(proposed.next()) && proposed.next().is_none() {
            return Ok(None);
        }
        let base = self.github.merge_base(repository, &pull_request.base_branch, &pull_request.head_sha).await?;
        let Some(base) = base else { return Ok(None) };
        let blobs = |files: &[Option<FileAt>; 2]| files.clone().map(|file| file.map(|file| file.blob_sha));
        let before = self.files_at(repository, &base).await?;
        Ok((blobs(&files) != blobs(&before)).then_some(files))
    }

    async fn files_at(
        &self,
        repository: &RepositoryRef,
        commit: &CommitSha,
    ) -> Result<[Option<FileAt>; 2], GitHubError> {
        let [root, dot_github] = PolicyPath::ALL;
        let read = |path| self.github.policy_at(repository, path, commit);
        Ok([read(root).await?, read(dot_github).await?])
    }

    /// Whether a pull request is this repository's own, and who changed it is its author and may write. GitHub is asked, and
    /// what it does not tell is a no.
    async fn is_by_a_writer(
        &self,
        record: &ProposalRecord,
        pull_request: &PullRequestState,
        repository: &RepositoryRef,
    ) -> Result<bool, GitHubError> {
        let (Head::SameRepository, Some(author), Some(sender)) =
            (pull_request.head, pull_request.author, &record.event.sender)
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
}

/// The notice of a check, if it is new or not as it was.
fn changed(stored: Option<Stored>, about: About, now: Timestamp) -> Option<Write> {
    let Some(Stored { record: Record::Notice(mut notice), version }) = stored else {
        return Some(Write { record: Record::Notice(Box::new(Notice::new(about, now))), expected: None });
    };
    if notice.about == about {
        return None;
    }
    notice.about = about;
    notice.change(now);
    Some(Write { record: Record::Notice(notice), expected: Some(version) })
}
