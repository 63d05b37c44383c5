//! Issues, comments and reactions.

use serde_json::{Map, Value, json};

use super::super::{Comment, Issue, Reaction, RepositoryState, World};
use super::{node_id, time, with};

impl World {
    /// An issue.
    #[must_use]
    pub fn json_issue(&self, state: &RepositoryState, issue: &Issue) -> Value {
        let repository_url = format!("{}/repos/{}", self.api_url, state.name);
        let url = format!("{repository_url}/issues/{}", issue.number);
        let json = json!({
            "id": issue.id,
            "node_id": node_id("Issue", issue.id),
            "url": url,
            "repository_url": repository_url,
            "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"),
            "html_url": self.issue_page(state, issue.number),
            "number": issue.number,
            "state": if issue.open { "open" } else { "closed" },
            "state_reason": if issue.open { None } else { Some("completed") },
            "title": issue.title,
            "body": issue.body,
            "user": self.json_user(&issue.author),
            "labels": self.json_labels(state, issue),
            "assignee": null,
            "assignees": [],
            "milestone": null,
            "locked": false,
            "active_lock_reason": null,
            "comments": state.comments.values().filter(|comment| comment.issue == issue.number).count(),
            "closed_at": (!issue.open).then(|| time(issue.updated_at)),
            "created_at": time(issue.created_at),
            "updated_at": time(issue.updated_at),
            "author_association": self.association(state, &issue.author),
            "reactions": json_reactions(&format!("{url}/reactions"), &[]),
            "performed_via_github_app": null,
        });
        match state.pull_requests.get(&issue.number) {
            None => json,
            Some(pull) => {
                with(json, json!({ "draft": pull.draft, "pull_request": self.json_pull_request_link(state, pull) }))
            }
        }
    }

    /// The page of an issue, or of a pull request.
    pub(super) fn issue_page(&self, state: &RepositoryState, number: u64) -> String {
        let kind = if state.pull_requests.contains_key(&number) { "pull" } else { "issues" };
        format!("{}/{}/{kind}/{number}", self.html_url, state.name)
    }

    pub(super) fn json_labels(&self, state: &RepositoryState, issue: &Issue) -> Value {
        issue.labels.iter().map(|label| self.json_label(state, label)).collect()
    }

    /// A label.
    pub(in super::super) fn json_label(&self, state: &RepositoryState, name: &str) -> Value {
        json!({
            "id": super::account_id(name),
            "node_id": node_id("Label", super::account_id(name)),
            "url": format!("{}/repos/{}/labels/{}", self.api_url, state.name, name.replace(' ', "%20")),
            "name": name,
            "description": "",
            "color": "ededed",
            "default": false,
        })
    }

    /// A comment.
    #[must_use]
    pub fn json_comment(&self, state: &RepositoryState, comment: &Comment) -> Value {
        let repository_url = format!("{}/repos/{}", self.api_url, state.name);
        let page = self.issue_page(state, comment.issue);
        let url = format!("{repository_url}/issues/comments/{}", comment.id);
        json!({
            "id": comment.id,
            "node_id": node_id("IssueComment", comment.id),
            "url": url,
            "html_url": format!("{page}#issuecomment-{}", comment.id),
            "issue_url": format!("{repository_url}/issues/{}", comment.issue),
            "body": comment.body,
            "user": self.json_user(&comment.author),
            "created_at": time(comment.created_at),
            "updated_at": time(comment.updated_at),
            "author_association": self.association(state, &comment.author),
            "performed_via_github_app": comment.app.as_deref().map(|slug| self.json_app_named(slug)),
            "reactions": json_reactions(&format!("{url}/reactions"), &comment.reactions),
        })
    }

    /// A reaction.
    #[must_use]
    pub fn json_reaction(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id,
            "node_id": node_id("Reaction", reaction.id),
            "user": self.json_user(&reaction.user),
            "content": reaction.content,
            "created_at": time(reaction.created_at),
        })
    }
}

/// How many reactions there are of each kind.
fn json_reactions(url: &str, reactions: &[Reaction]) -> Value {
    let count = |content| reactions.iter().filter(|reaction| reaction.content == content).count();
    let counts: Map<String, Value> =
        Reaction::CONTENTS.iter().map(|content| ((*content).to_owned(), count(*content).into())).collect();
    with(json!({ "url": url, "total_count": reactions.len() }), Value::Object(counts))
}
