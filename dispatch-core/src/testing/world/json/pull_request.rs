//! Pull requests.

use serde_json::{Value, json};

use super::super::{Issue, PullRequest, RepositoryState, World};
use super::{node_id, time, with};
use crate::name::CommitSha;

impl World {
    /// What an issue says of the pull request that it is.
    pub(super) fn json_pull_request_link(&self, state: &RepositoryState, pull: &PullRequest) -> Value {
        let page = self.issue_page(state, pull.number);
        json!({
            "url": format!("{}/repos/{}/pulls/{}", self.api_url, state.name, pull.number),
            "html_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "merged_at": pull.merged.as_ref().map(|(_, at)| time(*at)),
        })
    }

    /// The form in lists of pull requests.
    #[must_use]
    pub fn json_simple_pull_request(&self, state: &RepositoryState, issue: &Issue, pull: &PullRequest) -> Value {
        let api = format!("{}/repos/{}", self.api_url, state.name);
        let (url, issue_url) = (format!("{api}/pulls/{}", pull.number), format!("{api}/issues/{}", pull.number));
        let head_repository = self.repositories.get(&pull.head_repository);
        let head = self.json_branch(head_repository, &pull.head_owner, &pull.head_branch, &pull.head_sha);
        let base = self.json_branch(Some(state), state.name.owner().as_str(), &pull.base, &pull.base_sha);
        let fields = json!({
            "url": url,
            "id": pull.id,
            "node_id": node_id("PullRequest", pull.id),
            "issue_url": issue_url,
            "number": pull.number,
            "state": if issue.open { "open" } else { "closed" },
            "locked": false,
            "title": issue.title,
            "user": self.json_user(&issue.author),
            "body": issue.body,
            "created_at": time(issue.created_at),
            "updated_at": time(issue.updated_at),
            "closed_at": (!issue.open).then(|| time(issue.updated_at)),
            "merge_commit_sha": pull.merged.as_ref().map(|(sha, _)| sha),
            "assignee": null,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "labels": self.json_labels(state, issue),
            "milestone": null,
            "draft": pull.draft,
            "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
            "comments_url": format!("{issue_url}/comments"),
            "statuses_url": format!("{api}/statuses/{}", pull.head_sha),
            "head": head,
            "base": base,
            "_links": {
                "self": { "href": url },
                "html": { "href": self.issue_page(state, pull.number) },
                "issue": { "href": issue_url },
                "comments": { "href": format!("{issue_url}/comments") },
                "review_comments": { "href": format!("{url}/comments") },
                "review_comment": { "href": format!("{api}/pulls/comments{{/number}}") },
                "commits": { "href": format!("{url}/commits") },
                "statuses": { "href": format!("{api}/statuses/{}", pull.head_sha) },
            },
            "author_association": self.association(state, &issue.author),
            "auto_merge": null,
            "active_lock_reason": null,
        });
        with(fields, self.json_pull_request_link(state, pull))
    }

    /// The form of `GET /repos/{owner}/{repo}/pulls/{pull_number}` and of webhooks.
    #[must_use]
    pub fn json_pull_request(&self, state: &RepositoryState, issue: &Issue, pull: &PullRequest) -> Value {
        let commits =
            self.history(state.id, &pull.head_sha).difference(&self.history(state.id, &pull.base_sha)).count();
        let more = json!({
            "merged": pull.merged.is_some(),
            "mergeable": null,
            "rebaseable": null,
            "mergeable_state": "unknown",
            "merged_by": pull.merged.as_ref().map(|_| self.json_user("octocat")),
            "comments": state.comments.values().filter(|comment| comment.issue == pull.number).count(),
            "review_comments": 0,
            "maintainer_can_modify": false,
            "commits": commits,
            "additions": commits,
            "deletions": 0,
            "changed_files": commits,
        });
        with(self.json_simple_pull_request(state, issue, pull), more)
    }

    /// One end of a pull request; the repository is null where it was deleted.
    fn json_branch(&self, repository: Option<&RepositoryState>, owner: &str, branch: &str, sha: &CommitSha) -> Value {
        json!({
            "label": format!("{owner}:{branch}"),
            "ref": branch,
            "sha": sha,
            "user": self.json_owner(owner),
            "repo": repository.map(|state| self.json_repository(state)),
        })
    }
}
