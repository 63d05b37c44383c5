//! What a client left behind in the world.

use dispatch_core::testing::world::{Effect, World};

/// What happened to the world, and what can be seen there now.
#[derive(Debug, PartialEq)]
pub(crate) struct Left {
    effects: Vec<Effect>,
    shown: Vec<String>,
}

impl Left {
    pub(crate) fn take(world: &mut World) -> Self {
        // Everything but the times, which are of each world's own clock.
        let checks = world.check_runs().map(|check| {
            let (id, name, status, conclusion) = (check.id, &check.name, &check.status, &check.conclusion);
            let (sha, mark, url) = (&check.head_sha, &check.external_id, &check.details_url);
            let (title, summary, annotations) = (&check.title, &check.summary, &check.annotations);
            format!("{id} {name} {status} {conclusion:?} {sha} {mark:?} {url:?} {title:?} {summary:?} {annotations:?}")
        });
        let comments = world.repositories().flat_map(|state| state.comments.values()).map(|comment| {
            let reactions: Vec<_> = comment.reactions.iter().map(|it| (&it.content, &it.user)).collect();
            format!("{} {} {:?} {}: {reactions:?}", comment.id, comment.author, comment.app, comment.body)
        });
        let issues = world
            .repositories()
            .flat_map(|state| state.issues.values())
            .map(|issue| format!("{} {} {} {}: {:?}", issue.number, issue.author, issue.open, issue.title, issue.body));
        let shown = checks.chain(comments).chain(issues).collect();
        Self { effects: world.take_effects(), shown }
    }

    /// How many workflows and events were started.
    pub(crate) fn started(&self) -> usize {
        let starts = |effect: &&Effect| matches!(effect, Effect::Dispatch(_) | Effect::RepositoryDispatch { .. });
        self.effects.iter().filter(starts).count()
    }
}
