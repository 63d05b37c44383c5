//! Stage 4: failures are told in an issue of the source repository.

use std::time::Duration;

use super::{Pipeline, Reported};
use crate::Timestamp;
use crate::delivery::Delivery;
use crate::dispatch::{Dispatch, DispatchState};
use crate::name::Repository;
use crate::policy::Channel;
use crate::ports::github::{GitHubError, RepositoryRef};
use crate::ports::issues::{IssueChange, IssuePort};
use crate::ports::store::{Commit, Record, RecordKey, StoreError, Stored, Write};
use crate::reason::Reason;
use crate::report::{Ending, Report, ReportKey, issue};
use crate::retry::later;

/// How long telling is tried where GitHub does not answer, from the last failure on.
const TRIED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after it was committed that an issue is opened the call may still be sent. Whoever looks for the issue looks
/// much later.
const SENT_WITHIN: Duration = Duration::from_secs(15);
/// How often what GitHub answered is stored while others change the same report.
const MAX_CONFLICTS: usize = 5;

impl Pipeline {
    /// What a dispatch that comes into this state writes about failures, into the commit that brings it there: nothing, or
    /// one report. After a conflict on [`RecordKey::Report`] it is asked again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn report_writes(
        &self,
        dispatch: &Dispatch,
        state: &DispatchState,
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        let channels = &dispatch.decision.report;
        // Decisions of before there was a choice were told in issues.
        if !channels.is_empty() && !channels.contains(&Channel::Issue) {
            return Ok(Vec::new());
        }
        match (ReportKey::of_dispatch(dispatch), Ending::of_dispatch(dispatch, state)) {
            (Some(about), Some(ending)) => self.write_report(about, ending, now).await,
            _ => Ok(Vec::new()),
        }
    }

    /// The same for a delivery that is given up.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn report_writes_for_parked(
        &self,
        delivery: &Delivery,
        reason: Option<Reason>,
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        match ReportKey::of_delivery(delivery) {
            Some(about) => self.write_report(about, Ending::of_parked_delivery(reason), now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn write_report(
        &self,
        (key, name): (ReportKey, Repository),
        ending: Ending,
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        if !self.guardrails.create_issues {
            return Ok(Vec::new());
        }
        let stored = self.stored_report(&key).await?;
        let expected = stored.as_ref().map(|(_, version)| *version);
        let report = Report::after(stored.map(|(report, _)| *report), key, name, ending, now);
        Ok(report.map(|report| Write { record: Record::Report(Box::new(report)), expected }).into_iter().collect())
    }

    async fn stored_report(&self, key: &ReportKey) -> Result<Option<(Box<Report>, u64)>, StoreError> {
        let loaded = self.store.load(&[RecordKey::Report(key.clone())]).await?.into_iter().next().flatten();
        Ok(loaded.and_then(|Stored { record, version }| match record {
            Record::Report(report) => Some((report, version)),
            _ => None,
        }))
    }

    /// Stage 4: tells what a report says, with one call that could have an effect. `version` is the report's version as it
    /// was claimed.
    ///
    /// That an issue is about to be opened is committed before the call. Whoever finds such a report - the answer was lost,
    /// the process died - looks for the issue by its hidden marker, minutes later at the earliest, before another is opened.
    ///
    /// # Errors
    /// [`StoreError`]; the report comes back when its lease ends, or at the time that somebody else stored.
    pub async fn report(
        &self,
        issues: &dyn IssuePort,
        mut report: Report,
        mut version: u64,
        now: Timestamp,
    ) -> Result<Reported, StoreError> {
        let repository = RepositoryRef { id: report.key.repository, name: report.name.clone() };
        if let Some(settled) = report.opening.map(|since| later(since, Report::OPENING_SETTLES)).filter(|at| *at > now)
        {
            return self.put_report_back(report, version, settled, "an issue was opened just now".to_owned()).await;
        }
        if report.issue.is_none() && (report.opening.is_some() || !report.failures.is_empty()) {
            let marker = issue::marker(&report.key.workflow);
            match issues.find_issue(&repository, &marker).await {
                Ok(found) => (report.issue, report.opening) = (found, None),
                // Whether an issue was opened is as unknown as before.
                Err(error) => return self.not_told(report, version, error, now).await,
            }
        }
        let (failing, body) = (!report.failures.is_empty(), issue::body(&report, now));
        let called = match report.issue {
            Some(number) => {
                let change = IssueChange { body: Some(&body), open: Some(failing) };
                issues.update_issue(&repository, number, change).await.map(|()| Some(number))
            }
            None if failing => {
                (report.opening, report.due) = (Some(now), Some(later(now, Report::OPENING_SETTLES)));
                version = self.commit_report(&report, version).await?;
                let title = issue::title(&report.key.workflow);
                let not_after = later(now, SENT_WITHIN);
                issues.create_issue(&repository, &title, &body, not_after).await.map(Some)
            }
            // It works again before anybody was told that it did not.
            None => Ok(None),
        };
        match called {
            Ok(issue) => self.told(report, version, issue, now).await,
            Err(error) => {
                report.opening = report.opening.filter(|_| matches!(error, GitHubError::InDoubt(_)));
                self.not_told(report, version, error, now).await
            }
        }
    }

    /// Stores that it is told. Where the report has changed meanwhile, what was told may be old, and comes again.
    async fn told(
        &self,
        mut report: Report,
        mut version: u64,
        issue: Option<u64>,
        now: Timestamp,
    ) -> Result<Reported, StoreError> {
        (report.issue, report.opening, report.due, report.attempts) = (issue, None, None, 0);
        let mut conflict = None;
        for _ in 0..MAX_CONFLICTS {
            match self.commit_report(&report, version).await {
                Ok(_) => return Ok(Reported::Told { issue }),
                Err(StoreError::Conflict(key)) => conflict = Some(key),
                Err(error) => return Err(error),
            }
            let Some((newer, newest)) = self.stored_report(&report.key).await? else { break };
            (report, version) = (*newer, newest);
            (report.issue, report.opening, report.attempts) = (issue.or(report.issue), None, 0);
            report.due = Some(report.due.unwrap_or(now).max(later(now, Duration::from_secs(1))));
        }
        Err(conflict.map_or_else(|| StoreError::Unavailable("the report is gone".to_owned()), StoreError::Conflict))
    }

    /// GitHub did not take it: it is told later, or not before the next failure.
    async fn not_told(
        &self,
        mut report: Report,
        version: u64,
        error: GitHubError,
        now: Timestamp,
    ) -> Result<Reported, StoreError> {
        let times = report.attempts.saturating_add(1);
        let last_failure = report.failures.iter().map(|failure| failure.last_at).max();
        let until = match &error {
            GitHubError::RateLimited { until, .. } => Some(self.retry.after_rate_limit(*until, times, now)),
            // 401 is about the App's own token or key: the next call makes another token.
            GitHubError::Unavailable(_) | GitHubError::InDoubt(_) | GitHubError::Refused { status: 401, .. } => {
                let ends = last_failure.map(|last| later(last, TRIED_FOR));
                ends.is_none_or(|ends| now < ends).then(|| self.retry.without_hurry(times, now))
            }
            GitHubError::Refused { .. } | GitHubError::NotInstalled(_) => None,
        };
        match until {
            Some(until) => self.put_report_back(report, version, until, error.to_string()).await,
            None => {
                // An issue that was deleted or moved away is not there for the next failure either.
                if matches!(error, GitHubError::Refused { status: 301 | 404 | 410, .. }) {
                    report.issue = None;
                }
                (report.due, report.attempts) = (None, 0);
                self.commit_report(&report, version).await?;
                Ok(Reported::GivenUp { error: error.to_string() })
            }
        }
    }

    async fn put_report_back(
        &self,
        mut report: Report,
        version: u64,
        until: Timestamp,
        error: String,
    ) -> Result<Reported, StoreError> {
        (report.due, report.attempts) = (Some(until), report.attempts.saturating_add(1));
        self.commit_report(&report, version).await?;
        Ok(Reported::PutBack { until, error })
    }

    /// Answers with the new version.
    async fn commit_report(&self, report: &Report, version: u64) -> Result<u64, StoreError> {
        let write = Write { record: Record::Report(Box::new(report.clone())), expected: Some(version) };
        self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await?;
        Ok(version + 1)
    }
}
