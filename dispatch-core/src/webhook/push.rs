//! The webhook `push`.

use serde::Deserialize;
use serde::de::Deserializer;

use super::payload::{Account, Installation, RepositoryPayload, Text, each, event, in_field, required};
use crate::event::{Event, EventKind, EventRepository, Push};
use crate::policy::PolicyPath;

/// A `push` webhook.
#[derive(Deserialize)]
pub(super) struct PushPayload<'a> {
    #[serde(borrow, rename = "ref")]
    git_ref: Option<Text<'a>>,
    #[serde(borrow)]
    after: Option<Text<'a>>,
    created: Option<bool>,
    deleted: Option<bool>,
    forced: Option<bool>,
    commits: Option<Commits>,
    #[serde(borrow)]
    repository: Option<RepositoryPayload<'a>>,
    installation: Option<Installation>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

impl PushPayload<'_> {
    /// GitHub lists at most so many commits of a push ("Webhook events and payloads", `push`).
    const MAX_COMMITS: usize = 2_048;
    /// What GitHub sends as `after` when a ref was deleted.
    const NO_COMMIT: &'static str = "0000000000000000000000000000000000000000";

    pub(super) fn into_event(self) -> Result<Event, String> {
        let repository = EventRepository::try_from(required(self.repository, "repository")?)?;
        let git_ref = required(self.git_ref, "ref")?;
        let after = required(self.after, "after")?;
        let unusual = [self.created, self.deleted, self.forced].contains(&Some(true));
        // A push whose commits were all pushed before, to another branch, lists none of them.
        let all_listed = self.commits.is_some_and(|commits| (1..Self::MAX_COMMITS).contains(&commits.count));
        let push = Push {
            branch: git_ref
                .as_str()
                .strip_prefix("refs/heads/")
                .map(|name| name.parse())
                .transpose()
                .map_err(in_field("ref"))?,
            after: if after.as_str() == Self::NO_COMMIT { None } else { Some(after.parse("after")?) },
            touches_policy: unusual || !all_listed || self.commits.is_some_and(|commits| commits.touch_policy),
        };
        Ok(event(repository, self.installation, self.sender.as_ref(), EventKind::Push(push)))
    }
}

/// What matters of a list of commits, so that the list itself is never kept.
#[derive(Clone, Copy)]
struct Commits {
    count: usize,
    touch_policy: bool,
}

impl<'de> Deserialize<'de> for Commits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Commit {
            added: Option<Paths>,
            removed: Option<Paths>,
            modified: Option<Paths>,
        }
        let mut commits = Self { count: 0, touch_policy: false };
        each(deserializer, |commit: Commit| {
            let touches =
                [commit.added, commit.removed, commit.modified].into_iter().flatten().any(|paths| paths.policy);
            commits.count += 1;
            commits.touch_policy |= touches;
        })?;
        Ok(commits)
    }
}

/// Whether a place of a policy file is among some paths.
struct Paths {
    policy: bool,
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut paths = Self { policy: false };
        each(deserializer, |path: Text<'de>| {
            paths.policy |= PolicyPath::ALL.iter().any(|place| path.as_str() == place.as_str())
        })?;
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::{SHA, event, with};
    use super::*;

    fn push_body() -> Value {
        json!({
            "ref": "refs/heads/main", "after": SHA, "created": false, "deleted": false, "forced": false,
            "commits": [{ "added": ["a"], "removed": [], "modified": ["src/dispatching.yml"] }],
            "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
        })
    }

    fn push(body: &Value) -> Push {
        match event("push", body).kind {
            EventKind::Push(push) => push,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_push_says_where_a_commit_is_and_whether_the_policy_may_have_changed() {
        let cases = [
            ("nothing of it", push_body(), false),
            ("in the root", with(push_body(), "/commits/0/modified", json!(["a", "dispatching.yml"])), true),
            ("in .github", with(push_body(), "/commits/0/added", json!([".github/dispatching.yml"])), true),
            ("removed", with(push_body(), "/commits/0/removed", json!(["dispatching.yml"])), true),
            ("forced", with(push_body(), "/forced", json!(true)), true),
            ("created", with(push_body(), "/created", json!(true)), true),
            ("deleted", with(push_body(), "/deleted", json!(true)), true),
            ("no list", with(push_body(), "/commits", Value::Null), true),
            ("an empty list", with(push_body(), "/commits", json!([])), true),
            ("a list that may be cut", with(push_body(), "/commits", Value::Array(vec![json!({}); 2_048])), true),
            ("a long list", with(push_body(), "/commits", Value::Array(vec![json!({}); 2_047])), false),
            ("null paths", with(push_body(), "/commits/0/added", Value::Null), false),
        ];
        for (name, body, touches_policy) in cases {
            let push = push(&body);
            assert_eq!(push.touches_policy, touches_policy, "{name}");
            assert_eq!(push.branch.as_ref().map(|branch| branch.as_str()), Some("main"), "{name}");
            assert_eq!(push.after.as_ref().map(|sha| sha.as_str()), Some(SHA), "{name}");
        }
    }

    #[test]
    fn a_tag_is_no_branch_and_a_deleted_branch_has_no_commit() {
        assert_eq!(push(&with(push_body(), "/ref", json!("refs/tags/main"))).branch, None);
        assert_eq!(push(&with(push_body(), "/after", json!("0".repeat(40)))).after, None);
    }
}
