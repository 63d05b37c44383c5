//! Check runs, comments and reactions.

use async_trait::async_trait;

use super::call::{Call, Permission, at_most};
use super::{PER_PAGE, WorldGitHub};
use crate::Timestamp;
use crate::name::{CheckRunId, CommentId, PullRequestNumber};
use crate::notice::{AnnotationLevel, Check, CheckAnnotation, CheckConclusion, CheckStatus, Reaction};
use crate::ports::NoticePort;
use crate::ports::github::{GitHubError, RepositoryRef};
use crate::testing::world::{Access, Annotation, CheckOutput, CheckRunChange};

const CHECKS: Permission = ("checks", Access::Write);
const COMMENTS: Permission = ("pull_requests", Access::Write);
/// Pages of check runs that are read at most, as the client does.
const CHECK_PAGES: usize = 10;
/// How many of the newest comments are looked through, as the client does.
const NEWEST_COMMENTS: usize = 1_000;
/// Characters of a summary (REST API description).
const MAX_SUMMARY: usize = 65_535;
/// Characters of a comment (observed).
const MAX_COMMENT: usize = 65_536;
/// Annotations in one request (REST API description).
const MAX_ANNOTATIONS: usize = 50;

#[async_trait]
impl NoticePort for WorldGitHub {
    async fn find_check(&self, check: &Check) -> Result<Option<CheckRunId>, GitHubError> {
        let name = &check.repository.name;
        let url = format!("/repos/{name}/commits/{}/check-runs", check.head_sha);
        let call = Call::read(&check.repository, CHECKS, url);
        let mut newest = None;
        for page in 0..CHECK_PAGES {
            let listed = self.call(&call, |world, token| {
                let found = world.check_runs_of(token, name, check.head_sha.as_str(), Some(&check.name), false)?;
                let page: Vec<_> = found.iter().skip(page * PER_PAGE).take(PER_PAGE).collect();
                let ours = page.iter().filter(|found| found.external_id.as_deref() == Some(check.id.as_str()));
                Ok((200, (ours.map(|found| CheckRunId(found.id)).max(), page.len() < PER_PAGE)))
            });
            let (found, last) = listed.flatten()?;
            newest = newest.max(found);
            if last {
                return Ok(newest);
            }
        }
        Err(GitHubError::Unavailable("the commit has more check runs of that name than are read".to_owned()))
    }

    async fn create_check(&self, check: &Check, not_after: Timestamp) -> Result<CheckRunId, GitHubError> {
        at_most(&check.summary, MAX_SUMMARY, "summary")?;
        let name = &check.repository.name;
        let call = Call::write(&check.repository, CHECKS, "POST", format!("/repos/{name}/check-runs"));
        let annotations = check.annotations.iter().take(MAX_ANNOTATIONS).map(annotation).collect();
        let new = CheckRunChange {
            name: Some(check.name.clone()),
            head_sha: Some(check.head_sha.clone()),
            external_id: Some(check.id.as_str().to_owned()),
            ..change(check, annotations)
        };
        let created = self.call(&call.not_after(not_after), |world, token| {
            Ok((201, CheckRunId(world.create_check_run(token, name, new)?.id)))
        });
        created.flatten()
    }

    async fn update_check(&self, id: CheckRunId, check: &Check, not_after: Timestamp) -> Result<(), GitHubError> {
        at_most(&check.summary, MAX_SUMMARY, "summary")?;
        let name = &check.repository.name;
        let call = Call::write(&check.repository, CHECKS, "PATCH", format!("/repos/{name}/check-runs/{id}"));
        let updated = self.call(&call.not_after(not_after), |world, token| {
            Ok((200, drop(world.update_check_run(token, name, id.0, change(check, Vec::new()))?)))
        });
        updated.flatten()
    }

    async fn find_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        marker: &str,
    ) -> Result<Option<CommentId>, GitHubError> {
        let name = &repository.name;
        let call = Call::read(repository, COMMENTS, format!("/repos/{name}/issues/{pull_request}/comments"));
        // The first page says which one is the last.
        let read = |page: usize| {
            let comments = self.call(&call, |world, token| {
                let login = world.app().bot();
                let all = world.comments(token, name, pull_request.0)?;
                let page = all.iter().skip((page - 1) * PER_PAGE).take(PER_PAGE);
                // Anybody can write the marker into a comment: only the App's own are its.
                let ours = page.map(|comment| {
                    (comment.author == login && comment.body.contains(marker)).then_some(CommentId(comment.id))
                });
                Ok((200, (ours.collect::<Vec<_>>(), all.len().div_ceil(PER_PAGE).max(1))))
            });
            comments.flatten()
        };
        let (first, last) = read(1)?;
        let mut seen = 0;
        for page in (1..=last).rev().take(NEWEST_COMMENTS / PER_PAGE + 1) {
            let comments = if page == 1 { first.clone() } else { read(page)?.0 };
            let mut newest = comments.iter().rev().take(NEWEST_COMMENTS.saturating_sub(seen));
            if let Some(found) = newest.find_map(|ours| *ours) {
                return Ok(Some(found));
            }
            seen += comments.len();
        }
        Ok(None)
    }

    async fn create_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        body: &str,
        not_after: Timestamp,
    ) -> Result<CommentId, GitHubError> {
        at_most(body, MAX_COMMENT, "body")?;
        let name = &repository.name;
        let url = format!("/repos/{name}/issues/{pull_request}/comments");
        let call = Call::write(repository, COMMENTS, "POST", url).not_after(not_after);
        let created = self.call(&call, |world, token| {
            Ok((201, CommentId(world.create_comment(token, name, pull_request.0, body)?.id)))
        });
        created.flatten()
    }

    async fn update_comment(
        &self,
        repository: &RepositoryRef,
        id: CommentId,
        body: &str,
        not_after: Timestamp,
    ) -> Result<(), GitHubError> {
        at_most(body, MAX_COMMENT, "body")?;
        let name = &repository.name;
        let url = format!("/repos/{name}/issues/comments/{id}");
        let call = Call::write(repository, COMMENTS, "PATCH", url).not_after(not_after);
        let updated = self.call(&call, |world, token| Ok((200, drop(world.update_comment(token, name, id.0, body)?))));
        updated.flatten()
    }

    async fn react(
        &self,
        repository: &RepositoryRef,
        comment: CommentId,
        reaction: Reaction,
    ) -> Result<(), GitHubError> {
        let name = &repository.name;
        let url = format!("/repos/{name}/issues/comments/{comment}/reactions");
        let content = match reaction {
            Reaction::Eyes => "eyes",
            Reaction::Confused => "confused",
        };
        let reacted = self.call(&Call::write(repository, COMMENTS, "POST", url), |world, token| {
            let (_, new) = world.react(token, name, comment.0, content)?;
            Ok((if new { 201 } else { 200 }, ()))
        });
        reacted.flatten()
    }
}

/// What a check run says, as a request has it.
fn change(check: &Check, annotations: Vec<Annotation>) -> CheckRunChange {
    let (status, conclusion) = match check.status {
        CheckStatus::Queued => ("queued", None),
        CheckStatus::InProgress => ("in_progress", None),
        CheckStatus::Completed(conclusion) => ("completed", Some(word(conclusion).to_owned())),
    };
    let title = Some(check.title.clone());
    CheckRunChange {
        status: Some(status.to_owned()),
        conclusion,
        details_url: check.details_url.clone(),
        output: Some(CheckOutput { title, summary: check.summary.clone(), text: None, annotations }),
        ..CheckRunChange::default()
    }
}

fn word(conclusion: CheckConclusion) -> &'static str {
    match conclusion {
        CheckConclusion::ActionRequired => "action_required",
        CheckConclusion::Cancelled => "cancelled",
        CheckConclusion::Failure => "failure",
        CheckConclusion::Neutral => "neutral",
        CheckConclusion::Success => "success",
        CheckConclusion::Skipped => "skipped",
        CheckConclusion::TimedOut => "timed_out",
    }
}

fn annotation(annotation: &CheckAnnotation) -> Annotation {
    let CheckAnnotation { path, start_line, end_line, level, title, message } = annotation;
    let level = match level {
        AnnotationLevel::Notice => "notice",
        AnnotationLevel::Warning => "warning",
        AnnotationLevel::Failure => "failure",
    };
    Annotation {
        path: path.clone(),
        start_line: *start_line,
        end_line: *end_line,
        annotation_level: level.to_owned(),
        title: Some(title.clone()),
        message: message.clone(),
    }
}
