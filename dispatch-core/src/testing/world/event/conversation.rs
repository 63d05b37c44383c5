//! The webhooks of pull requests.

use serde_json::{Value, json};

use super::super::World;
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
        let mut body = json!({
            "action": action,
            "number": number,
            "pull_request": self.json_pull_request(state, issue, pull),
        });
        if let (Some(fields), Value::Object(more)) = (body.as_object_mut(), more) {
            fields.extend(more);
        }
        let body = self.about(state, sender, body);
        self.send_about(repository, "pull_request", body);
    }
}
