//! Stage 4, too: check runs, comments and reactions are shown at GitHub.

use std::time::Duration;

use super::{Pipeline, Shown};
use crate::Timestamp;
use crate::name::{CheckRunId, CommentId, RepositoryId};
use crate::notice::{About, Notice, Reaction};
use crate::ports::NoticePort;
use crate::ports::github::GitHubError;
use crate::ports::store::{Commit, NewComments, Record, RecordKey, StoreError, Stored, Write};
use crate::report::comment;
use crate::retry::later;

/// How long showing is tried where GitHub does not answer, from the last change on.
const TRIED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after a notice was claimed what it says may still be sent. Whoever looks for what was created, or is to show what
/// changed meanwhile, comes much later: nothing older arrives after what is newer.
const SENT_WITHIN: Duration = Duration::from_secs(15);
/// How long nobody else shows a notice whose update was begun, however it changes: until the call has certainly ended.
const UPDATE_SETTLES: Duration = Duration::from_secs(60);
/// How often what GitHub answered is stored while others change the same notice.
const MAX_CONFLICTS: usize = 5;
/// The most comments that are begun in one repository within a minute, and the most refusals that are shown by a reaction: so
/// that whoever floods it with commands does not make this App flood it with answers.
const ANSWERS_A_MINUTE: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);

impl Pipeline {
    /// Stage 4: shows what a notice says, with one call that could have an effect. `version` is the notice's version as it
    /// was claimed.
    ///
    /// That something is about to be shown is committed before the call, so that what is shown later arrives later: where
    /// this process dies, it is shown again. Of what is about to be created, whoever finds such a notice - the
    /// answer was lost, the process died - looks for it by its external id or its hidden marker, minutes later at the
    /// earliest, before another is created.
    ///
    /// # Errors
    /// [`StoreError`]; the notice comes back when its lease ends, or at the time that somebody else stored.
    pub async fn show(
        &self,
        port: &dyn NoticePort,
        mut notice: Notice,
        mut version: u64,
        now: Timestamp,
    ) -> Result<Shown, StoreError> {
        let settles = notice.creating.map(|since| later(since, Notice::CREATING_SETTLES));
        if let Some(settled) = settles.filter(|at| *at > now) {
            return self.put_notice_back(notice, version, settled, "it was created just now".to_owned()).await;
        }
        // A comment outlives what is remembered of it here: there is one for each pull request all the same.
        let may_be_there = notice.creating.is_some() || matches!(notice.about, About::Comment(_));
        if notice.shown_as.is_none() && may_be_there {
            match find(port, &notice).await {
                Ok(found) => (notice.shown_as, notice.creating) = (found, None),
                // Whether it was created is as unknown as before.
                Err(error) => return self.not_shown(notice, version, error, now).await,
            }
        }
        let called = match (&notice.about, notice.shown_as) {
            (About::Reaction { repository, comment, reaction }, _) => {
                if *reaction == Reaction::Confused
                    && let Some(until) = self.count_refusal(repository.id, now).await?
                {
                    let error = format!("{ANSWERS_A_MINUTE} refusals were shown in the repository within a minute");
                    return self.put_notice_back(notice, version, until, error).await;
                }
                port.react(repository, *comment, *reaction).await.map(|()| None)
            }
            (_, Some(id)) => {
                notice.due = Some(later(now, UPDATE_SETTLES));
                self.commit_notice(&notice, version).await?;
                version += 1;
                update(port, id, &notice, later(now, SENT_WITHIN)).await.map(|()| Some(id))
            }
            (_, None) => {
                if let Some(until) = self.begin_notice(&mut notice, version, now).await? {
                    let error = format!("{ANSWERS_A_MINUTE} comments were begun in the repository within a minute");
                    return self.put_notice_back(notice, version, until, error).await;
                }
                version += 1;
                create(port, &notice, later(now, SENT_WITHIN)).await.map(Some)
            }
        };
        match called {
            Ok(id) => self.shown(notice, version, id, now).await,
            Err(error) => {
                notice.creating = notice.creating.filter(|_| matches!(error, GitHubError::InDoubt(_)));
                self.not_shown(notice, version, error, now).await
            }
        }
    }

    /// Commits that it is about to be created. Answers with a time where it has to wait: too many comments were begun.
    async fn begin_notice(
        &self,
        notice: &mut Notice,
        version: u64,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut creating = notice.clone();
        (creating.creating, creating.due) = (Some(now), Some(later(now, Notice::CREATING_SETTLES)));
        let mut conflict = None;
        for _ in 0..MAX_CONFLICTS {
            let record = Record::Notice(Box::new(creating.clone()));
            let mut writes = vec![Write { record, expected: Some(version) }];
            if matches!(notice.about, About::Comment(_)) {
                match self.count_comment(notice, now).await? {
                    Ok(write) => writes.push(write),
                    Err(until) => return Ok(Some(until)),
                }
            }
            match self.store.commit(Commit { writes, facts: Vec::new() }).await {
                Ok(()) => {
                    *notice = creating;
                    return Ok(None);
                }
                Err(StoreError::Conflict(key @ RecordKey::NewComments(_))) => conflict = Some(key),
                Err(error) => return Err(error),
            }
        }
        Err(conflict.map_or_else(|| StoreError::Unavailable("never tried".to_owned()), StoreError::Conflict))
    }

    /// Counts a comment for its repository; or the end of the minute in which there were enough.
    async fn count_comment(&self, notice: &Notice, now: Timestamp) -> Result<Result<Write, Timestamp>, StoreError> {
        self.count(notice.repository().id, |answers| &mut answers.count, now).await
    }

    /// Counts a refusal that is shown by a reaction. Answers with a time where it has to wait: there were too many.
    async fn count_refusal(&self, repository: RepositoryId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut tries = 0;
        loop {
            let write = match self.count(repository, |answers| &mut answers.refusals, now).await? {
                Ok(write) => write,
                Err(until) => return Ok(Some(until)),
            };
            tries += 1;
            match self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await {
                Ok(()) => return Ok(None),
                Err(StoreError::Conflict(_)) if tries < MAX_CONFLICTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn count(
        &self,
        repository: RepositoryId,
        counter: impl Fn(&mut NewComments) -> &mut u32,
        now: Timestamp,
    ) -> Result<Result<Write, Timestamp>, StoreError> {
        let stored = self.store.load(&[RecordKey::NewComments(repository)]).await?.into_iter().next().flatten();
        let expected = stored.as_ref().map(|stored| stored.version);
        let known = match stored.map(|stored| stored.record) {
            Some(Record::NewComments(_, known)) => Some(known),
            _ => None,
        };
        let within = known.filter(|known| now < later(known.since, MINUTE));
        let mut answers = within.unwrap_or(NewComments { since: now, count: 0, refusals: 0 });
        if *counter(&mut answers) >= ANSWERS_A_MINUTE {
            return Ok(Err(later(answers.since, MINUTE)));
        }
        *counter(&mut answers) += 1;
        Ok(Ok(Write { record: Record::NewComments(repository, answers), expected }))
    }

    /// Stores that it is shown. Where the notice has changed meanwhile, what was shown may be old, and comes again.
    async fn shown(
        &self,
        mut notice: Notice,
        mut version: u64,
        id: Option<u64>,
        now: Timestamp,
    ) -> Result<Shown, StoreError> {
        let begun = notice.due;
        (notice.shown_as, notice.creating, notice.due, notice.attempts) = (id, None, None, 0);
        let mut conflict = None;
        for _ in 0..MAX_CONFLICTS {
            match self.commit_notice(&notice, version).await {
                Ok(()) => return Ok(Shown::Shown { id }),
                Err(StoreError::Conflict(key)) => conflict = Some(key),
                Err(error) => return Err(error),
            }
            let Some((newer, newest)) = self.stored_notice(&RecordKey::Notice(notice.key())).await? else { break };
            (notice, version) = (*newer, newest);
            (notice.shown_as, notice.creating, notice.attempts) = (id.or(notice.shown_as), None, 0);
            // The call has ended: nobody has to wait for it any more.
            notice.due = notice.due.filter(|due| Some(*due) != begun).max(Some(later(now, Duration::from_secs(1))));
        }
        Err(conflict.map_or_else(|| StoreError::Unavailable("the notice is gone".to_owned()), StoreError::Conflict))
    }

    /// GitHub did not take it: it is shown later, or not before it changes.
    async fn not_shown(
        &self,
        mut notice: Notice,
        version: u64,
        error: GitHubError,
        now: Timestamp,
    ) -> Result<Shown, StoreError> {
        let times = notice.attempts.saturating_add(1);
        let until = match &error {
            GitHubError::RateLimited { until, .. } => Some(self.retry.after_rate_limit(*until, times, now)),
            // 401 is about the App's own token or key: the next call makes another token.
            GitHubError::Unavailable(_) | GitHubError::InDoubt(_) | GitHubError::Refused { status: 401, .. } => {
                Some(self.retry.without_hurry(times, now))
            }
            GitHubError::Refused { .. } | GitHubError::NotInstalled(_) => None,
        };
        match until.filter(|_| now < later(notice.changed_at, TRIED_FOR)) {
            Some(until) => self.put_notice_back(notice, version, until, error.to_string()).await,
            None => {
                // What was deleted is not there for the next change either.
                if matches!(error, GitHubError::Refused { status: 301 | 404 | 410, .. }) {
                    notice.shown_as = None;
                }
                (notice.due, notice.attempts) = (None, 0);
                self.commit_notice(&notice, version).await?;
                Ok(Shown::GivenUp { error: error.to_string() })
            }
        }
    }

    async fn put_notice_back(
        &self,
        mut notice: Notice,
        version: u64,
        until: Timestamp,
        error: String,
    ) -> Result<Shown, StoreError> {
        (notice.due, notice.attempts) = (Some(until), notice.attempts.saturating_add(1));
        self.commit_notice(&notice, version).await?;
        Ok(Shown::PutBack { until, error })
    }

    async fn commit_notice(&self, notice: &Notice, version: u64) -> Result<(), StoreError> {
        let write = Write { record: Record::Notice(Box::new(notice.clone())), expected: Some(version) };
        self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await
    }

    async fn stored_notice(&self, key: &RecordKey) -> Result<Option<(Box<Notice>, u64)>, StoreError> {
        let loaded = self.store.load(std::slice::from_ref(key)).await?.into_iter().next().flatten();
        Ok(loaded.and_then(|Stored { record, version }| match record {
            Record::Notice(notice) => Some((notice, version)),
            _ => None,
        }))
    }
}

/// GitHub's id of what shows a notice already.
async fn find(port: &dyn NoticePort, notice: &Notice) -> Result<Option<u64>, GitHubError> {
    match &notice.about {
        About::Check(check) => Ok(port.find_check(check).await?.map(|id| id.0)),
        About::Comment(comment) => {
            let marker = comment::marker(&comment.key);
            let found = port.find_comment(&comment.repository, comment.key.pull_request, &marker).await?;
            Ok(found.map(|id| id.0))
        }
        About::Reaction { .. } => Ok(None),
    }
}

async fn create(port: &dyn NoticePort, notice: &Notice, not_after: Timestamp) -> Result<u64, GitHubError> {
    match &notice.about {
        About::Check(check) => Ok(port.create_check(check, not_after).await?.0),
        About::Comment(comment) => {
            let body = comment::body(comment);
            let pull_request = comment.key.pull_request;
            Ok(port.create_comment(&comment.repository, pull_request, &body, not_after).await?.0)
        }
        About::Reaction { .. } => Err(GitHubError::Unavailable("a reaction is not created".to_owned())),
    }
}

async fn update(port: &dyn NoticePort, id: u64, notice: &Notice, not_after: Timestamp) -> Result<(), GitHubError> {
    match &notice.about {
        About::Check(check) => port.update_check(CheckRunId(id), check, not_after).await,
        About::Comment(comment) => {
            let body = comment::body(comment);
            port.update_comment(&comment.repository, CommentId(id), &body, not_after).await
        }
        About::Reaction { .. } => Ok(()),
    }
}
