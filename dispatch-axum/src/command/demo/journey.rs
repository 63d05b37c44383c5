//! One delivery's way through the service, as the read models tell it: what the dashboard shows, the story tells.

use dispatch_core::decide::Plan;
use dispatch_core::delivery::DeliveryKey;
use dispatch_core::event::{Event, EventKind};
use dispatch_core::fact::{Fact, FactBody};
use dispatch_core::name::RunId;
use dispatch_core::ports::StorePort;
use dispatch_core::ports::store::ViewQuery;
use dispatch_core::projection::{DELIVERIES, DeliveryRow, EVERYTHING, JOURNEY, ViewRow, journey_partition};

use crate::command::Failure;

/// What is known of one delivery so far.
#[derive(Debug)]
pub(super) struct Journey {
    /// What happened.
    pub(super) event: Event,
    /// The decision, once it was made.
    pub(super) plan: Option<Plan>,
    /// What became of its dispatches.
    pub(super) ends: Vec<Fact>,
}

impl Journey {
    /// The journey of the delivery that told that a run had completed; None while it has not arrived.
    pub(super) async fn of_run(store: &dyn StorePort, run: RunId) -> Result<Option<Self>, Failure> {
        for row in rows(store, DELIVERIES, EVERYTHING.to_owned()).await? {
            let row: DeliveryRow = row.read().map_err(Failure::work)?;
            if row.delivery.event != "workflow_run" {
                continue;
            }
            let journey = Self::of_delivery(store, &row.key).await?;
            let about = |event: &Event| matches!(&event.kind, EventKind::WorkflowRun(seen) if seen.id == run);
            if let Some(journey) = journey.filter(|journey| about(&journey.event)) {
                return Ok(Some(journey));
            }
        }
        Ok(None)
    }

    /// Whether nothing will be added any more.
    pub(super) fn is_over(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| self.ends.len() >= plan.allowed().count())
    }

    async fn of_delivery(store: &dyn StorePort, key: &DeliveryKey) -> Result<Option<Self>, Failure> {
        let (mut event, mut plan, mut ends) = (None, None, Vec::new());
        for row in rows(store, JOURNEY, journey_partition(key)).await? {
            let fact: Fact = row.read().map_err(Failure::work)?;
            match fact.body {
                FactBody::DeliveryReceived { event: received } => event = Some(received),
                FactBody::DeliveryPlanned { plan: planned, .. } => plan = Some(planned),
                FactBody::DispatchTriggered { .. }
                | FactBody::DispatchRefused { .. }
                | FactBody::DispatchInDoubt { .. }
                | FactBody::DispatchCancelled { .. }
                | FactBody::DispatchFailed { .. } => ends.push(fact),
                _ => {}
            }
        }
        Ok(event.map(|event| Self { event, plan, ends }))
    }
}

async fn rows(store: &dyn StorePort, view: &'static str, partition: String) -> Result<Vec<ViewRow>, Failure> {
    store.rows(ViewQuery { view, partition, before: None, limit: 100 }).await.map_err(Failure::work)
}
