//! The App's log of deliveries.

use async_trait::async_trait;

use super::{CUT, PER_PAGE, WorldGitHub, refusal};
use crate::ports::delivery_log::{AttemptPage, DeliveryAttempt, DeliveryLogPort};
use crate::ports::github::GitHubError;
use crate::testing::world::{ApiError, Caller, DeliveryRecord, Exchange};

#[async_trait]
impl DeliveryLogPort for WorldGitHub {
    async fn attempts(&self, cursor: Option<&str>) -> Result<AttemptPage, GitHubError> {
        let exchange = self.world().exchange(Caller::App, "GET", "/app/hook/deliveries", |world| {
            let before = cursor.map(str::parse::<u64>).transpose().map_err(|_| ApiError::new(400, "Bad Request"))?;
            let mut found = world.deliveries().filter(|record| before.is_none_or(|before| record.id < before));
            let attempts: Vec<DeliveryAttempt> = found.by_ref().take(PER_PAGE).map(attempt).collect();
            let last = attempts.last().filter(|_| found.next().is_some());
            let next = last.map(|attempt| attempt.id.to_string());
            Ok((200, AttemptPage { attempts, next }))
        });
        match exchange {
            Exchange::Answered(page) => Ok(page),
            Exchange::Refused(error) => Err(refusal(error, GitHubError::Unavailable)),
            Exchange::Cut => Err(GitHubError::Unavailable(CUT.to_owned())),
        }
    }

    async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        let url = format!("/app/hook/deliveries/{attempt}/attempts");
        let exchange = self.world().exchange(Caller::App, "POST", &url, |world| Ok((202, world.redeliver(attempt)?)));
        match exchange {
            Exchange::Answered(()) => Ok(()),
            Exchange::Refused(error) => Err(refusal(error, GitHubError::InDoubt)),
            Exchange::Cut => Err(GitHubError::InDoubt(CUT.to_owned())),
        }
    }
}

fn attempt(record: &DeliveryRecord) -> DeliveryAttempt {
    let webhook = &record.webhook;
    DeliveryAttempt {
        id: record.id,
        delivery: webhook.delivery.clone(),
        delivered_at: super::whole_seconds(record.delivered_at),
        succeeded: (200..400).contains(&record.status_code) && record.status == "OK",
        status: record.status.clone(),
        event: webhook.event.clone(),
        action: webhook.action.clone(),
        repository: webhook.repository,
    }
}
