//! AWS: functions, and what hands them their events.

use std::sync::Arc;
use std::time::Duration;

use dispatch_core::pipeline::Pipeline;
use dispatch_github::emulator::Emulator;
use dispatch_lambda::announce::{Announcer, Announcing};

use crate::aws;
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

    /// Begins nothing more.
    pub async fn end(&mut self) {
        self.deployment.carry_nothing().await;
        assert_eq!(self.deployment.failures(), 0, "no function failed");
        permissions::are_enough(&self.deployment).await;
    }
}
