//! What is told to people with a step, into the commit of that step: checks, comments, reactions.

use std::collections::{BTreeMap, BTreeSet};

use super::Pipeline;
use crate::Timestamp;
use crate::chain::Place;
use crate::decide::{Decision, Known, Plan, PolicyFile};
use crate::delivery::{Delivery, DeliveryKey};
use crate::dispatch::{Dispatch, DispatchKey};
use crate::event::{Command, Event, EventKind};
use crate::name::{CheckId, CommitSha, PullRequestNumber};
use crate::notice::{
    About, Check, CheckOrigin, Comment, CommentAbout, CommentKey, CommentPart, Notice, NoticeKey, Reaction,
};
use crate::policy::{Channel, Source};
use crate::ports::github::RepositoryRef;
use crate::ports::store::{Record, RecordKey, StoreError, Stored, Write};
use crate::reason::Reason;
use crate::report::{check, comment};

/// How many decisions of one event are told by checks.
const MAX_CHECKS: usize = 50;

impl Pipeline {
    /// What a step of a dispatch changes in the notices that tell of it. After a conflict on [`RecordKey::Notice`] it is asked
    /// again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn notice_writes(&self, dispatch: &Dispatch, now: Timestamp) -> Result<Vec<Write>, StoreError> {
        let keys = notices_of(dispatch);
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut writes = Vec::new();
        for stored in self.store.load(&keys).await?.into_iter().flatten() {
            let Stored { record: Record::Notice(mut notice), version } = stored else { continue };
            let changed = match &mut notice.about {
                About::Check(check) => check.show(check::of_dispatch(dispatch)),
                About::Comment(comment) => retell(comment, dispatch),
                About::Reaction { .. } => false,
            };
            if changed {
                notice.change(now);
                writes.push(Write { record: Record::Notice(notice), expected: Some(version) });
            }
        }
        Ok(writes)
    }

    /// What a plan tells, in at most `room` writes: what is beyond it are checks, and they are left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn plan_notices(
        &self,
        about: &PlanAbout<'_>,
        plan: &Plan,
        dispatches: &[Dispatch],
        room: usize,
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        let done = self.dispatched_before(about, plan).await?;
        let mut writes = self.written(wanted(about, plan, dispatches, &done, now), now).await?;
        writes.extend(self.shown_again(about.delivered, now).await?);
        writes.truncate(room);
        Ok(writes)
    }

    /// What is told where nothing can be decided: whoever gave a command learns why nothing comes of it. Whether it is a
    /// command is known by the policy file that was read last.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn parked_notices(
        &self,
        delivery: &Delivery,
        reason: Option<Reason>,
        error: &str,
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        let known = Known::default();
        let about = PlanAbout::new(delivery, &known);
        let Some(command) = about.command().filter(|command| self.is_known(&delivery.event, command)) else {
            return Ok(Vec::new());
        };
        let text = comment::of_refusal(command, reason, error, None);
        let part = CommentPart { dispatch: None, at: about.at(now), text };
        let refusals = BTreeMap::from([(format!("{:020}", command.comment.0), part)]);
        self.written(answers(&about, command, Some(Reaction::Confused), refusals, now).collect(), now).await
    }

    /// Whether the policy file of the event's repository named the command when it was read last.
    fn is_known(&self, event: &Event, command: &Command) -> bool {
        let remembered = self.policies.recall(&event.repository.name);
        let Some(PolicyFile::Found { policy, .. }) = remembered.as_ref().map(|policy| &policy.answer.file) else {
            return false;
        };
        policy
            .outbound()
            .iter()
            .any(|rule| matches!(&rule.source, Source::Command(source) if source.command == command.name))
    }

    /// A check that somebody wants again is shown again as it is: GitHub takes its suite for unfinished until then
    /// ("Rerequest a check run").
    async fn shown_again(&self, delivered: &Event, now: Timestamp) -> Result<Option<Write>, StoreError> {
        let EventKind::CheckRerequest(check) = &delivered.kind else { return Ok(None) };
        let key = RecordKey::Notice(NoticeKey::Check(check.external_id.clone()));
        let stored = self.store.load(&[key]).await?.into_iter().next().flatten();
        let Some(Stored { record: Record::Notice(mut notice), version }) = stored else { return Ok(None) };
        if notice.repository().id != delivered.repository.id {
            return Ok(None);
        }
        notice.change(now);
        Ok(Some(Write { record: Record::Notice(notice), expected: Some(version) }))
    }

    async fn written(&self, wanted: Vec<About>, now: Timestamp) -> Result<Vec<Write>, StoreError> {
        let keys: Vec<_> =
            wanted.iter().map(|about| RecordKey::Notice(Notice::new(about.clone(), now).key())).collect();
        let stored = if keys.is_empty() { Vec::new() } else { self.store.load(&keys).await? };
        Ok(wanted.into_iter().zip(stored).filter_map(|(about, stored)| written(about, stored, now)).collect())
    }

    /// The denied targets of a plan that another delivery of the same event has a dispatch for, from when they were allowed:
    /// what became of that is told, and not that it would be denied now.
    async fn dispatched_before(&self, about: &PlanAbout<'_>, plan: &Plan) -> Result<BTreeSet<Place>, StoreError> {
        let denied = plan.decisions.iter().filter(|decision| decision.denied().is_some());
        let targets: BTreeSet<Place> = denied.map(|decision| decision.target.clone()).collect();
        if targets.is_empty() {
            return Ok(targets);
        }
        let event = about.delivered.identity();
        let key = |target: &Place| DispatchKey { event: event.clone(), target: target.clone() };
        let keys: Vec<_> = targets.iter().map(|target| RecordKey::Dispatch(key(target))).collect();
        let stored = self.store.load(&keys).await?;
        Ok(targets.into_iter().zip(stored).filter(|(_, stored)| stored.is_some()).map(|(target, _)| target).collect())
    }
}

/// The reaction to a command, and why it was refused.
fn answers(
    about: &PlanAbout<'_>,
    command: &Command,
    reaction: Option<Reaction>,
    refusals: BTreeMap<String, CommentPart>,
    now: Timestamp,
) -> impl Iterator<Item = About> {
    let (repository, comment) = (about.repository(), command.comment);
    let on = now.to_string().chars().take(10).collect();
    let refused = about.comment(CommentAbout::Refusals { to: command.commenter.id, on }, bounded(refusals));
    reaction.map(|reaction| About::Reaction { repository, comment, reaction }).into_iter().chain(refused)
}

/// The notices that may tell of a dispatch.
fn notices_of(dispatch: &Dispatch) -> Vec<RecordKey> {
    let told_by = |channel| dispatch.decision.report.contains(&channel);
    let check = CheckId::of_dispatch(&dispatch.key).filter(|_| told_by(Channel::Check)).map(NoticeKey::Check);
    let repository = dispatch.source.repository;
    let results =
        dispatch.source.pull_request.filter(|_| told_by(Channel::Comment)).map(|pull_request| {
            NoticeKey::Comment(CommentKey { repository, pull_request, about: CommentAbout::Results })
        });
    check.into_iter().chain(results).map(RecordKey::Notice).collect()
}

/// Tells in a comment what became of a dispatch, if the newest part is about it.
fn retell(comment: &mut Comment, dispatch: &Dispatch) -> bool {
    let of_it = |part: &&mut CommentPart| part.dispatch.as_ref() == Some(&dispatch.key);
    let Some(part) = comment.parts.values_mut().find(of_it) else { return false };
    let text = comment::of_dispatch(dispatch);
    let changed = part.text != text;
    part.text = text;
    changed
}

/// A notice as it is to be written; None where nothing changes.
fn written(about: About, stored: Option<Stored>, now: Timestamp) -> Option<Write> {
    let Some(Stored { record: Record::Notice(mut notice), version }) = stored else {
        return Some(Write { record: Record::Notice(Box::new(Notice::new(about, now))), expected: None });
    };
    let changed = match (&mut notice.about, about) {
        (About::Check(known), About::Check(new)) => {
            let origin = new.origin.filter(|origin| origin.dispatch.is_some());
            let started = origin.is_some() && known.origin != origin;
            known.origin = origin.or(known.origin.take());
            known.show(crate::notice::CheckText {
                status: new.status,
                title: new.title,
                summary: new.summary,
                details_url: new.details_url,
            }) || started
        }
        (About::Comment(known), About::Comment(new)) => {
            new.parts.into_iter().fold(false, |changed, (key, part)| known.put(key, part) || changed)
        }
        (About::Reaction { reaction: known, .. }, About::Reaction { reaction: new, .. }) => {
            let changed = *known != new;
            *known = new;
            changed
        }
        _ => false,
    };
    changed.then(|| {
        notice.change(now);
        Write { record: Record::Notice(notice), expected: Some(version) }
    })
}

/// What a plan is about, for those who are told of it.
pub(super) struct PlanAbout<'a> {
    /// What was decided about: of a check that is wanted again, its own event.
    pub(super) event: &'a Event,
    /// The delivery of what was decided about.
    origin: &'a DeliveryKey,
    /// The delivery's own event.
    delivered: &'a Event,
    /// The commit that checks are shown on.
    head_sha: Option<&'a CommitSha>,
}

impl<'a> PlanAbout<'a> {
    pub(super) fn new(delivery: &'a Delivery, known: &'a Known) -> Self {
        let delivered = &delivery.event;
        let plain = |head_sha| Self { event: delivered, origin: &delivery.key, delivered, head_sha };
        match &delivered.kind {
            EventKind::WorkflowRun(run) => plain(Some(&run.head_sha)),
            EventKind::PullRequest(pull_request) => plain(Some(&pull_request.now.head_sha)),
            EventKind::Command(command) => {
                let state = known.pull_request_states.get(&command.pull_request).and_then(Option::as_ref);
                plain(state.map(|state| &state.head_sha))
            }
            EventKind::CheckRerequest(check) => match known.checks.get(&check.external_id).and_then(Option::as_ref) {
                Some(first) => {
                    let head_sha = Some(&first.head_sha);
                    Self { event: &first.event, origin: &first.delivery, delivered, head_sha }
                }
                None => plain(None),
            },
            _ => plain(None),
        }
    }

    /// The pull request that it is about.
    pub(super) fn pull_request(&self) -> Option<PullRequestNumber> {
        match &self.event.kind {
            EventKind::PullRequest(pull_request) => Some(pull_request.now.number),
            EventKind::Command(command) => Some(command.pull_request),
            _ => None,
        }
    }

    /// A command that was just given by a person: who is answered.
    fn command(&self) -> Option<&'a Command> {
        match &self.delivered.kind {
            EventKind::Command(command) if command.commenter.person => Some(command),
            _ => None,
        }
    }

    /// When it happened, by GitHub's clock.
    fn at(&self, now: Timestamp) -> Timestamp {
        match &self.delivered.kind {
            EventKind::PullRequest(pull_request) => pull_request.now.updated_at,
            EventKind::Command(command) => command.created_at,
            EventKind::CheckRerequest(check) => check.requested_at.unwrap_or(now),
            _ => now,
        }
    }

    fn repository(&self) -> RepositoryRef {
        RepositoryRef { id: self.delivered.repository.id, name: self.delivered.repository.name.clone() }
    }

    fn comment(&self, about: CommentAbout, parts: BTreeMap<String, CommentPart>) -> Option<About> {
        let repository = self.repository();
        let key = CommentKey { repository: repository.id, pull_request: self.pull_request()?, about };
        (!parts.is_empty()).then_some(About::Comment(Comment { key, repository, parts }))
    }
}

/// What a plan tells: each notice once, what matters most first.
fn wanted(
    about: &PlanAbout<'_>,
    plan: &Plan,
    dispatches: &[Dispatch],
    done: &BTreeSet<Place>,
    now: Timestamp,
) -> Vec<About> {
    let new = |decision: &Decision| dispatches.iter().find(|dispatch| dispatch.key.target == decision.target);
    let counts = |decision: &&Decision| is_told(about.delivered, decision) && !done.contains(&decision.target);
    let counted = || plan.decisions.iter().filter(counts);
    let at = about.at(now);

    let mut refusals = BTreeMap::new();
    let mut results = BTreeMap::new();
    let command = about.command();
    if let (Some(command), Some(skipped)) = (command, plan.skipped.as_ref().filter(|skipped| skipped.answer)) {
        let text = comment::of_refusal(command, Some(skipped.reason), &skipped.message, None);
        refusals.insert(format!("{:020}", command.comment.0), CommentPart { dispatch: None, at, text });
    }
    for (number, decision) in counted().enumerate() {
        let in_results = decision.report.contains(&Channel::Comment);
        match (new(decision), decision.denied(), command) {
            (Some(dispatch), None, _) if in_results => {
                let (dispatch, text) = (Some(dispatch.key.clone()), comment::of_dispatch(dispatch));
                results.insert(comment::part_key(decision), CommentPart { dispatch, at, text });
            }
            (_, Some(_), Some(command)) => {
                let view = decision.for_source();
                let text = comment::of_refusal(command, view.reason, &view.message, Some(&decision.target));
                refusals
                    .insert(format!("{:020}-{number:03}", command.comment.0), CommentPart { dispatch: None, at, text });
            }
            (_, Some(_), None) if in_results => {
                let text = comment::of_denied(decision);
                results.insert(comment::part_key(decision), CommentPart { dispatch: None, at, text });
            }
            _ => {}
        }
    }

    let mut wanted = Vec::new();
    if let Some(command) = command {
        let reaction = match (plan.allowed().next(), refusals.is_empty()) {
            (Some(_), _) => Some(Reaction::Eyes),
            (None, false) => Some(Reaction::Confused),
            (None, true) => None,
        };
        wanted.extend(answers(about, command, reaction, refusals, now));
    }
    wanted.extend(about.comment(CommentAbout::Results, bounded(results)));

    let mut seen = BTreeSet::new();
    let checks = counted().take(MAX_CHECKS).filter(|decision| decision.report.contains(&Channel::Check));
    wanted.extend(checks.filter_map(|decision| {
        let check = new_check(about, decision, new(decision))?;
        seen.insert(check.id.clone()).then(|| About::Check(Box::new(check)))
    }));
    wanted
}

/// Whether anybody wants to know. Most pull requests that close never had an environment.
fn is_told(delivered: &Event, decision: &Decision) -> bool {
    match decision.reason() {
        Some(Reason::DuplicateTarget) => false,
        Some(Reason::EnvironmentNotHeld) => !matches!(&delivered.kind, EventKind::PullRequest(_)),
        _ => true,
    }
}

fn bounded(parts: BTreeMap<String, CommentPart>) -> BTreeMap<String, CommentPart> {
    parts.into_iter().take(Comment::MAX_PARTS).collect()
}

/// The check of a decision; None where another delivery of the same event has made it, or nobody knows the commit.
fn new_check(about: &PlanAbout<'_>, decision: &Decision, dispatch: Option<&Dispatch>) -> Option<Check> {
    let text = match dispatch {
        Some(dispatch) => check::of_dispatch(dispatch),
        None => {
            decision.denied()?;
            check::of_denied(decision)
        }
    };
    let target = decision.target.clone();
    let key = DispatchKey { event: about.delivered.identity(), target: target.clone() };
    Some(Check {
        id: CheckId::of_dispatch(&key)?,
        repository: about.repository(),
        head_sha: about.head_sha?.clone(),
        name: check::name(&target),
        origin: Some(CheckOrigin { delivery: about.origin.clone(), target, dispatch: dispatch.map(|_| key) }),
        status: text.status,
        title: text.title,
        summary: text.summary,
        details_url: text.details_url,
        annotations: Vec::new(),
    })
}
