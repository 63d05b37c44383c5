//! The webhooks of pull requests, of comments and of check runs.

use serde_json::{Value, json};

use super::super::json::with;
use super::super::{CheckRun, Comment, World};
use crate::name::RepositoryId;

impl World {
    /// Sends `pull_request`; `more` are the fields that only this action has.
    pub(in super::super) fn send_pull_request(
        &mut self,
        repository: RepositoryId,
        number: u64,
        action: &str,
        sender: &str,
        more: Value,
    ) {
        let Some(state) = self.repositories.get(&repository) else { return };
        let Some((issue, pull)) = state.issues.get(&number).zip(state.pull_requests.get(&number)) else { return };
        let pull = self.json_pull_request(state, issue, pull);
        let body = with(json!({ "action": action, "number": number, "pull_request": pull }), more);
        let body = self.about(state, sender, body);
        self.send_about(repository, "pull_request", body);
    }

    /// Sends `issue_comment`, of issues and of pull requests; `more` are the fields that only this action has.
    pub(in super::super) fn send_issue_comment(
        &mut self,
        repository: RepositoryId,
        comment: &Comment,
        action: &str,
        sender: &str,
        more: Value,
    ) {
        let Some(state) = self.repositories.get(&repository) else { return };
        let Some(issue) = state.issues.get(&comment.issue) else { return };
        let (issue, comment) = (self.json_issue(state, issue), self.json_comment(state, comment));
        let body = with(json!({ "action": action, "issue": issue, "comment": comment }), more);
        let body = self.about(state, sender, body);
        self.send_about(repository, "issue_comment", body);
    }

    /// Sends `check_run`.
    pub(in super::super) fn send_check_run(&mut self, check: &CheckRun, action: &str, sender: &str) {
        let Some(state) = self.repositories.get(&check.repository) else { return };
        let json = self.json_check_run(state, check);
        let check_run = with(json, json!({ "check_suite": self.json_check_suite(state, check) }));
        let body = self.about(state, sender, json!({ "action": action, "check_run": check_run }));
        self.send_about(check.repository, "check_run", body);
    }
}
