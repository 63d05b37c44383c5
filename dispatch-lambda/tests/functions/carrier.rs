//! AWS: functions, and what hands them their events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use dispatch_core::fact::Fact;
use dispatch_core::pipeline::Pipeline;
use dispatch_github::emulator::Emulator;
use dispatch_lambda::DynamoStore;
use dispatch_lambda::announce::{Announcer, Announcing};

use crate::aws;
use crate::aws::table::Table;
use crate::deployment::Deployment;
use crate::house::{client, pipeline};
use crate::permissions;

/// What carries the work of a house.
pub struct Carrier {
    /// For orders of the operator: what they leave to do is announced like everything else.
    pub pipeline: Pipeline,
    pub webhook_url: String,
    deployment: Deployment,
}

impl Carrier {
    /// How often is looked whether all is done. The emulation answers one request at a time.
    pub const LOOK_EVERY: Duration = Duration::from_millis(500);

    /// Starts to work for the App of an emulator, which delivers there from now on.
    pub async fn start(emulator: &Emulator) -> Self {
        let deployment = Deployment::beside(emulator).await;
        let queues = &deployment.queues;
        let sqs = aws_sdk_sqs::Client::new(&aws::config());
        let announcer = Announcer::new(sqs, &queues["requests"], &queues["targets"]);
        let store = Announcing::new(deployment.table.store(), announcer);
        let pipeline = pipeline(client(emulator), Arc::new(store));
        Self { pipeline, webhook_url: deployment.webhook_url.clone(), deployment }
    }

    /// Begins nothing more, and answers with all facts.
    pub async fn end(&mut self) -> Vec<Fact> {
        self.deployment.carry_nothing().await;
        assert_eq!(self.deployment.failures(), 0, "no function failed");
        permissions::are_enough(&self.deployment).await;
        facts(&self.deployment.table).await
    }
}

async fn facts(table: &Table) -> Vec<Fact> {
    let items = table.client.scan().table_name(&table.name).into_paginator().items().send();
    let items = items.collect::<Result<Vec<_>, _>>().await.unwrap();
    let text = |item: &HashMap<String, AttributeValue>, name| item.get(name).and_then(|it| it.as_s().ok().cloned());
    let fact = |item| DynamoStore::fact(&text(item, "pk")?, &text(item, "body")?);
    items.iter().filter_map(fact).collect::<Result<_, _>>().unwrap()
}
