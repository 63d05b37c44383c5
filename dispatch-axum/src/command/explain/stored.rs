//! Deliveries that the service accepted, from its database.

use dispatch_axum::parked;
use dispatch_axum::store::SqliteStore;
use dispatch_core::delivery::{Delivery, DeliveryState};
use dispatch_core::diagnostic::visible;
use dispatch_core::event::EventKind;
use dispatch_core::explain::{Explanation, Given};
use dispatch_core::fact::{FactBody, Subject};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::DeliveryId;
use dispatch_core::notice::{About, CheckOrigin, NoticeKey};
use dispatch_core::ports::StorePort;
use dispatch_core::ports::store::{Record, RecordKey};

use super::given::Knowledge;
use super::{Database, Failure, PolicyTree, decision};

/// Explains a stored delivery: as it was decided about, or as it would be by the policies of a folder.
pub(super) fn explain(
    id: &str,
    database: &Database,
    knowledge: &Knowledge,
    tree: Option<&PolicyTree>,
    guardrails: &Guardrails,
) -> Result<Explanation, Failure> {
    let store = database.open()?;
    crate::command::runtime()?.block_on(async {
        let delivery = find(&store, id).await?;
        match tree {
            None => as_decided(&store, &delivery, guardrails).await,
            Some(tree) => {
                let given = given(&store, &delivery, knowledge).await?;
                decision(&delivery.event, guardrails, &given, tree)
            }
        }
    })
}

/// `ID`, or `ID:SHA256` where several bodies came under one id.
async fn find(store: &SqliteStore, text: &str) -> Result<Delivery, Failure> {
    let (id, digest) = text.split_once(':').map_or((text, None), |(id, digest)| (id, Some(digest)));
    let wrong = || Failure::input(format_args!("--delivery: `{}` is no id of a delivery", visible(text)));
    let id: DeliveryId = id.parse().map_err(|_| wrong())?;
    let stored = store.deliveries(&id).await.map_err(Failure::work)?.into_iter();
    let deliveries = stored.filter_map(|stored| match stored.record {
        Record::Delivery(delivery) => Some(*delivery),
        _ => None,
    });
    let meant = |delivery: &Delivery| digest.is_none_or(|digest| delivery.key.body_sha256 == digest);
    let mut found: Vec<_> = deliveries.filter(meant).collect();
    match (found.pop(), found.as_slice()) {
        (Some(delivery), []) => Ok(delivery),
        (None, _) => Err(Failure::work(format_args!("there is no delivery `{id}` in the database"))),
        (Some(last), others) => {
            let keys: Vec<_> = others.iter().chain([&last]).map(|delivery| delivery.key.to_string()).collect();
            Err(Failure::input(format_args!("several bodies came under that id; give one of {}", keys.join(", "))))
        }
    }
}

async fn as_decided(store: &SqliteStore, delivery: &Delivery, guardrails: &Guardrails) -> Result<Explanation, Failure> {
    let facts = parked::facts(store, &Subject::delivery(delivery.key.clone())).await.map_err(Failure::work)?;
    let plan = facts.into_iter().rev().find_map(|fact| match fact.body {
        FactBody::DeliveryPlanned { plan, .. } => Some(plan),
        _ => None,
    });
    let Some(plan) = plan else {
        let why = match &delivery.state {
            DeliveryState::Received | DeliveryState::Planned => "it is not decided about yet".to_owned(),
            DeliveryState::Noted => "it only told something, and nothing is decided about it".to_owned(),
            DeliveryState::Parked { error, .. } => format!("it was given up: {}", visible(error)),
            DeliveryState::Dropped => "it was given up, and dropped".to_owned(),
        };
        let id = &delivery.key.id;
        return Err(Failure::work(format_args!("delivery `{id}`: {why}; --policies decides about it now")));
    };
    // The limits that were in force then are not known.
    Ok(Explanation { limits: Vec::new(), ..Explanation::new(&delivery.event, &plan, guardrails) })
}

/// What is given by flags, and what the database says of a check run.
async fn given(store: &SqliteStore, delivery: &Delivery, knowledge: &Knowledge) -> Result<Given, Failure> {
    let given = knowledge.given(&delivery.event)?;
    let EventKind::CheckRerequest(check) = &delivery.event.kind else { return Ok(given) };
    if given.checked.is_some() {
        return Ok(given);
    }
    let notice = load(store, RecordKey::Notice(NoticeKey::Check(check.external_id.clone()))).await?;
    let Some(Record::Notice(notice)) = notice else { return Ok(given) };
    let About::Check(check) = notice.about else { return Ok(given) };
    let Some(CheckOrigin { delivery, target, .. }) = check.origin else { return Ok(given) };
    Ok(match load(store, RecordKey::Delivery(delivery)).await? {
        Some(Record::Delivery(of)) => {
            Given { checked: Some(Box::new(of.event)), checked_target: Some(target), ..given }
        }
        _ => given,
    })
}

async fn load(store: &SqliteStore, key: RecordKey) -> Result<Option<Record>, Failure> {
    let loaded = store.load(&[key]).await.map_err(Failure::work)?;
    Ok(loaded.into_iter().flatten().next().map(|stored| stored.record))
}
