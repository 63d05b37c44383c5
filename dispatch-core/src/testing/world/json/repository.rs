//! Repositories, in three sizes.

use serde_json::{Map, Value, json};

use super::super::{RepositoryState, World};
use super::{node_id, time, with};

/// The URL fields of a repository, and their paths under the URL of the repository itself.
const URLS: [(&str, &str); 36] = [
    ("forks_url", "forks"),
    ("keys_url", "keys{/key_id}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("teams_url", "teams"),
    ("hooks_url", "hooks"),
    ("issue_events_url", "issues/events{/number}"),
    ("events_url", "events"),
    ("assignees_url", "assignees{/user}"),
    ("branches_url", "branches{/branch}"),
    ("tags_url", "tags"),
    ("blobs_url", "git/blobs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("trees_url", "git/trees{/sha}"),
    ("statuses_url", "statuses/{sha}"),
    ("languages_url", "languages"),
    ("stargazers_url", "stargazers"),
    ("contributors_url", "contributors"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("commits_url", "commits{/sha}"),
    ("git_commits_url", "git/commits{/sha}"),
    ("comments_url", "comments{/number}"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("contents_url", "contents/{+path}"),
    ("compare_url", "compare/{base}...{head}"),
    ("merges_url", "merges"),
    ("archive_url", "{archive_format}{/ref}"),
    ("downloads_url", "downloads"),
    ("issues_url", "issues{/number}"),
    ("pulls_url", "pulls{/number}"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("labels_url", "labels{/name}"),
    ("releases_url", "releases{/id}"),
    ("deployments_url", "deployments"),
];

impl World {
    /// The form inside of a run: names and URLs only.
    pub(super) fn json_minimal_repository(&self, state: &RepositoryState) -> Value {
        let api = format!("{}/repos/{}", self.api_url, state.name);
        let urls: Map<String, Value> =
            URLS.iter().map(|(field, path)| ((*field).to_owned(), format!("{api}/{path}").into())).collect();
        let fields = json!({
            "id": state.id,
            "node_id": node_id("Repository", state.id.0),
            "name": state.name.name(),
            "full_name": state.name,
            "private": state.private,
            "owner": self.json_owner(state.name.owner().as_str()),
            "html_url": format!("{}/{}", self.html_url, state.name),
            "description": null,
            "fork": state.fork_of.is_some(),
            "url": api,
        });
        with(fields, Value::Object(urls))
    }

    /// The form in webhooks and in the answer that makes a token.
    #[must_use]
    pub fn json_repository(&self, state: &RepositoryState) -> Value {
        let page = format!("{}/{}", self.html_url, state.name);
        let host = self.html_url.split_once("://").map_or(self.html_url.as_str(), |(_, host)| host);
        let open_issues = state.issues.values().filter(|issue| issue.open).count();
        let pushed_at = state.branches.values().filter_map(|sha| state.commits.get(sha)).map(|commit| commit.at).max();
        let more = json!({
            "created_at": time(state.created_at),
            "updated_at": time(pushed_at.unwrap_or(state.created_at)),
            "pushed_at": time(pushed_at.unwrap_or(state.created_at)),
            "git_url": format!("git://{host}/{}.git", state.name),
            "ssh_url": format!("git@{host}:{}.git", state.name),
            "clone_url": format!("{page}.git"),
            "svn_url": page,
            "homepage": null,
            "size": state.commits.len(),
            "stargazers_count": 0,
            "watchers_count": 0,
            "language": null,
            "has_issues": state.has_issues,
            "has_projects": true,
            "has_downloads": true,
            "has_wiki": true,
            "has_pages": false,
            "has_discussions": false,
            "forks_count": 0,
            "mirror_url": null,
            "archived": state.archived,
            "disabled": false,
            "open_issues_count": open_issues,
            "license": null,
            "allow_forking": true,
            "is_template": false,
            "web_commit_signoff_required": false,
            "topics": [],
            "visibility": if state.private { "private" } else { "public" },
            "forks": 0,
            "open_issues": open_issues,
            "watchers": 0,
            "default_branch": state.default_branch,
            "custom_properties": {},
        });
        with(self.json_minimal_repository(state), more)
    }

    /// The form of `GET /repos/{owner}/{repo}`.
    #[must_use]
    pub fn json_full_repository(&self, state: &RepositoryState) -> Value {
        with(self.json_repository(state), json!({ "network_count": 0, "subscribers_count": 0 }))
    }
}
