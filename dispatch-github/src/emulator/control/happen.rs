//! What was ordered happens.

use dispatch_core::name::{DeliveryId, RunId};
use dispatch_core::testing::world::{OutgoingWebhook, PullRequestSpec, RunSpec, World, WorldError};
use tokio::sync::oneshot;

use super::super::Shared;
use super::super::deliveries::Parcel;
use super::order::{EventOrder, PullRequestOrder, PushOrder, RawOrder, RedeliverOrder, RunOrder};
use super::{EventAnswer, Refusal};

/// A webhook on its way, and who tells of the status that it was answered with.
type Awaited = (DeliveryId, oneshot::Receiver<Option<u16>>);

/// Lets it happen, and puts its webhooks on the way, behind those of what happened before. The last one is awaited.
pub(super) fn happen(shared: &Shared, order: EventOrder) -> Result<(EventAnswer, Option<Awaited>), Refusal> {
    let mut world = shared.world();
    shared.send_webhooks(&mut world);
    let (answer, mut webhooks, signature) = match order {
        EventOrder::Raw(raw) => {
            let (webhook, signature) = as_it_is(raw);
            (EventAnswer::default(), vec![webhook], signature)
        }
        order => {
            let answer = act(&mut world, order)?;
            (answer, world.take_webhooks(), None)
        }
    };
    let Some(last) = webhooks.pop() else { return Ok((answer, None)) };
    for webhook in webhooks {
        shared.send(Parcel { webhook, signature: None, answer: None });
    }
    // While the emulator stops, the status never comes.
    let (sender, status) = oneshot::channel();
    let delivery = last.delivery.clone();
    shared.send(Parcel { webhook: last, signature, answer: Some(sender) });
    Ok((answer, Some((delivery, status))))
}

fn act(world: &mut World, order: EventOrder) -> Result<EventAnswer, WorldError> {
    let mut answer = EventAnswer::default();
    match order {
        EventOrder::WorkflowRun(order) => answer.run = Some(complete(world, order)?),
        EventOrder::Push(PushOrder { repository, branch, files }) => {
            let files: Vec<_> =
                files.iter().map(|(path, text)| (path.as_str(), text.as_ref().map(String::as_bytes))).collect();
            world.push(&repository, &branch, &files)?;
        }
        EventOrder::OpenPullRequest(order) => answer.number = Some(open(world, order)?),
        EventOrder::PushToPullRequest { repository, number, author } => {
            world.push_to_pull_request(&repository, number, &author)?;
        }
        EventOrder::ClosePullRequest { repository, number, merged } => {
            world.close_pull_request(&repository, number, merged)?;
        }
        EventOrder::ReopenPullRequest { repository, number } => world.reopen_pull_request(&repository, number)?,
        EventOrder::RetargetPullRequest { repository, number, base } => {
            world.retarget_pull_request(&repository, number, &base)?;
        }
        EventOrder::SetDraft { repository, number, draft } => world.set_draft(&repository, number, draft)?,
        EventOrder::LabelPullRequest { repository, number, label } => {
            world.label_pull_request(&repository, number, &label)?;
        }
        EventOrder::UnlabelPullRequest { repository, number, label } => {
            world.unlabel_pull_request(&repository, number, &label)?;
        }
        EventOrder::OpenIssue { repository, author, title, body } => {
            answer.number = Some(world.open_issue(&repository, &author, &title, &body)?);
        }
        EventOrder::Comment { repository, number, login, body, app } => {
            answer.comment = Some(match app {
                None => world.comment(&repository, number, &login, &body)?,
                Some(app) => world.comment_through_app(&repository, number, &login, &body, &app)?,
            });
        }
        EventOrder::EditComment { repository, comment, body } => world.edit_comment(&repository, comment, &body)?,
        EventOrder::DeleteComment { repository, comment } => world.delete_comment(&repository, comment)?,
        EventOrder::SetPermission { repository, login, role } => world.set_permission(&repository, &login, role)?,
        EventOrder::AddTeamMember { organisation, team, login, role } => {
            world.add_team_member(&organisation, &team, &login, role);
        }
        EventOrder::RerequestCheck { repository, check_run, login } => {
            world.rerequest_check(&repository, check_run, &login)?;
        }
        EventOrder::SetWorkflowState { repository, workflow, state } => {
            world.set_workflow_state(&repository, &workflow, state)?;
        }
        EventOrder::FinishRun { run, conclusion } => {
            world.finish_run(run, conclusion)?;
            answer.run = Some(run);
        }
        EventOrder::Redeliver(RedeliverOrder { delivery }) => {
            let record = world.deliveries().find(|record| record.webhook.delivery == delivery);
            let id = record.ok_or_else(|| WorldError(format!("there was no delivery `{delivery}`")))?.id;
            world.redeliver(id).map_err(|error| WorldError(error.message))?;
        }
        // It changes nothing in the world.
        EventOrder::Raw(_) => {}
    }
    Ok(answer)
}

/// Bytes that are sent as they are, and what is sent as their signature.
fn as_it_is(raw: RawOrder) -> (OutgoingWebhook, Option<String>) {
    let webhook = OutgoingWebhook {
        delivery: raw.delivery,
        event: raw.event,
        action: None,
        installation: None,
        repository: None,
        redelivery: false,
        body: raw.body.into_bytes(),
    };
    (webhook, raw.signature)
}

fn open(world: &mut World, order: PullRequestOrder) -> Result<u64, WorldError> {
    let PullRequestOrder { repository, author, head_branch, base, draft, fork, title, body } = order;
    world.open_pull_request(&repository, PullRequestSpec { author, head_branch, base, draft, fork, title, body })
}

fn complete(world: &mut World, order: RunOrder) -> Result<RunId, WorldError> {
    let repository = order.repository;
    let spec = RunSpec {
        workflow: order.workflow,
        branch: order.branch,
        tag: order.tag,
        conclusion: order.conclusion,
        event: order.event,
        fork: order.fork,
        head_repository_deleted: order.head_repository_deleted,
        sha: order.sha,
        rerun_of: order.rerun_of,
        actor: order.actor,
        path: order.path,
    };
    world.complete_run(&repository, spec)
}
