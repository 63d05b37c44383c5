//! The webhooks of what happens in the world, with the fields that GitHub really sends.

mod conversation;

use serde_json::{Value, json};

use super::json::EVENTS;
use super::{PERSON, RepositoryState, World};
use crate::name::{CommitSha, InstallationId, Repository, RepositoryId, RunId};
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

impl World {
    /// Sends the `ping` that GitHub sends to a new webhook.
    pub fn send_ping(&mut self) {
        let hook = json!({
            "type": "App",
            "id": self.app.id,
            "name": "web",
            "active": true,
            "app_id": self.app.id,
            "events": EVENTS,
            "config": { "content_type": "json", "insecure_ssl": "0", "secret": "********" },
        });
        let body = json!({ "zen": "Mind your words, they are important.", "hook_id": self.app.id, "hook": hook });
        self.send("ping", None, None, &body);
    }

    /// Sends `workflow_run`; `action` is `requested`, `in_progress` or `completed`.
    pub(super) fn send_workflow_run(&mut self, run: RunId, action: &str) {
        let Some(run) = self.runs.get(&run) else { return };
        let repository = run.repository_id;
        let Some(state) = self.repositories.get(&repository) else { return };
        let workflow = state.workflows.get(&run.workflow);
        let body = json!({
            "action": action,
            "workflow_run": self.json_run(run),
            "workflow": workflow.map(|workflow| self.json_workflow(state, &run.workflow, workflow)),
        });
        let body = self.about(state, &run.actor, body);
        self.send_about(repository, "workflow_run", body);
    }

    /// Sends `push`; no `before` means that the ref is new.
    pub(super) fn send_push(
        &mut self,
        repository: RepositoryId,
        full_ref: &str,
        before: Option<&CommitSha>,
        after: Option<&CommitSha>,
        touched: &[String],
        pusher: &str,
    ) {
        let Some(state) = self.repositories.get(&repository) else { return };
        let commit = after.and_then(|sha| state.commits.get(sha));
        let history = after.map(|after| self.history(repository, after)).unwrap_or_default();
        let page = format!("{}/{}", self.html_url, state.name);
        let head_commit = commit.map(|commit| {
            let parent = commit.parents.first().and_then(|sha| state.commits.get(sha));
            let known = |path: &&String| parent.is_some_and(|parent| parent.files.contains_key(*path));
            let there = |path: &&String| commit.files.contains_key(*path);
            let (kept, removed): (Vec<&String>, Vec<&String>) = touched.iter().partition(there);
            let (modified, added): (Vec<&String>, Vec<&String>) = kept.into_iter().partition(known);
            let author = json!({
                "name": commit.author,
                "email": format!("{}@users.noreply.github.com", commit.author),
                "username": commit.author,
            });
            json!({
                "id": commit.sha,
                "tree_id": commit.tree_sha(),
                "distinct": true,
                "message": commit.message,
                "timestamp": commit.at.to_string(),
                "url": format!("{page}/commit/{}", commit.sha),
                "author": author,
                "committer": author,
                "added": added,
                "removed": removed,
                "modified": modified,
            })
        });
        let sha = |sha: Option<&CommitSha>| sha.map_or(NO_COMMIT, CommitSha::as_str).to_owned();
        // A commit that was there before is listed with no push that only moves a ref.
        let commits: Vec<&Value> = head_commit.iter().filter(|_| !touched.is_empty()).collect();
        let body = json!({
            "ref": full_ref,
            "before": sha(before),
            "after": sha(after),
            "pusher": { "name": pusher, "email": format!("{pusher}@users.noreply.github.com") },
            "created": before.is_none(),
            "deleted": after.is_none(),
            "forced": before.is_some_and(|before| !history.contains(before)),
            "base_ref": null,
            "compare": format!("{page}/compare/{}...{}", sha(before), sha(after)),
            "commits": commits,
            "head_commit": head_commit,
        });
        let mut body = self.about(state, pusher, body);
        // In this one event GitHub writes more of the owner, and these times as numbers.
        if let Some(repository) = body.get_mut("repository").and_then(Value::as_object_mut) {
            repository.insert("created_at".to_owned(), state.created_at.as_second().into());
            repository.insert("pushed_at".to_owned(), self.now().as_second().into());
            repository.insert("stargazers".to_owned(), 0.into());
            repository.insert("master_branch".to_owned(), state.default_branch.clone().into());
            if let Some(owner) = repository.get_mut("owner").and_then(Value::as_object_mut) {
                let login = state.name.owner();
                owner.insert("email".to_owned(), format!("{login}@users.noreply.github.com").into());
                owner.insert("name".to_owned(), login.as_str().into());
            }
        }
        self.send_about(repository, "push", body);
    }

    /// Sends `repository` about a repository that still is in the world.
    pub(super) fn send_repository(&mut self, repository: RepositoryId, action: &str) {
        let Some(state) = self.repositories.get(&repository) else { return };
        let body = self.about(state, PERSON, json!({ "action": action }));
        self.send_about(repository, "repository", body);
    }

    /// Sends `repository_dispatch`: its action is the event's own name.
    pub(super) fn send_repository_dispatch(&mut self, repository: RepositoryId, event_type: &str, payload: &Value) {
        let Some(state) = self.repositories.get(&repository) else { return };
        let body = json!({ "action": event_type, "branch": state.default_branch, "client_payload": payload });
        let body = self.about(state, &self.app.bot(), body);
        self.send_about(repository, "repository_dispatch", body);
    }

    /// Sends `installation`.
    pub(super) fn send_installation(&mut self, id: InstallationId, action: &str) {
        let Some(installation) = self.installations.get(&id) else { return };
        let repositories: Vec<Value> =
            installation.repositories.iter().filter_map(|id| self.json_short_repository(*id)).collect();
        let body = json!({
            "action": action,
            "installation": self.json_installation(installation),
            "repositories": repositories,
            "requester": null,
            "sender": self.json_user(PERSON),
        });
        self.send("installation", Some(id), None, &body);
    }

    /// Sends `installation_repositories`; `action` is `added` or `removed`.
    pub(super) fn send_installation_repositories(
        &mut self,
        id: InstallationId,
        action: &str,
        repository: RepositoryId,
    ) {
        let Some(installation) = self.installations.get(&id) else { return };
        let changed: Vec<Value> = self.json_short_repository(repository).into_iter().collect();
        let none = Vec::new();
        let body = json!({
            "action": action,
            "installation": self.json_installation(installation),
            "repository_selection": "selected",
            "repositories_added": if action == "added" { &changed } else { &none },
            "repositories_removed": if action == "removed" { &changed } else { &none },
            "requester": null,
            "sender": self.json_user(PERSON),
        });
        self.send("installation_repositories", Some(id), None, &body);
    }

    /// Adds what every webhook about a repository has.
    fn about(&self, state: &RepositoryState, sender: &str, mut body: Value) -> Value {
        if let Some(fields) = body.as_object_mut() {
            fields.insert("repository".to_owned(), self.json_repository(state));
            fields.insert("organization".to_owned(), self.json_organization(state.name.owner().as_str()));
            fields.insert("sender".to_owned(), self.json_user(sender));
        }
        body
    }

    fn json_short_repository(&self, id: RepositoryId) -> Option<Value> {
        let RepositoryState { name, private, .. } = self.repositories.get(&id)?;
        let short = |name: &Repository| name.name().to_owned();
        let node_id = format!("Repository_{id}");
        Some(json!({ "id": id, "node_id": node_id, "name": short(name), "full_name": name, "private": private }))
    }
}
