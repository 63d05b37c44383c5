//! The other ports of a process: GitHub's log of deliveries, and its issues.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::ports::delivery_log::{AttemptPage, DeliveryAttempt, DeliveryLogPort};
use dispatch_core::ports::github::{GitHubError, RateLimitReset, RepositoryRef};
use dispatch_core::ports::issues::{IssueChange, IssuePort};
use dispatch_core::testing::world::DeliveryRecord;

use crate::github::travel;
use crate::observed::Issue;
use crate::sim::Sim;

/// How many attempts a page of the log has: so few that there are several pages.
const PAGE: usize = 15;
/// How long GitHub takes to find an issue that was opened.
const FOUND_AFTER: Duration = Duration::from_secs(20);

/// Both ports. What they change is the world, or what was observed of it; they keep nothing.
#[derive(Clone)]
pub(crate) struct SidePorts(pub(crate) Arc<Sim>, pub(crate) usize);

impl SidePorts {
    /// One exchange: it may fail before it does anything, and its answer may be lost.
    async fn exchange<T>(&self, act: impl FnOnce(&Sim) -> Result<T, GitHubError>) -> Result<T, GitHubError> {
        travel(&self.0).await;
        let fails = |sim: &Sim| sim.goes_wrong(sim.weather.github);
        if fails(&self.0) {
            return Err(match self.0.draw(|random| random.below(3)) {
                0 => GitHubError::Unavailable("503".to_owned()),
                1 => {
                    let until = RateLimitReset::After(self.0.draw(|random| random.millis(1_000, 900_000)));
                    GitHubError::RateLimited { until, message: "slow down".to_owned() }
                }
                _ => GitHubError::RateLimited { until: RateLimitReset::Unknown, message: "slow down".to_owned() },
            });
        }
        let answer = act(&self.0);
        let lost = fails(&self.0);
        travel(&self.0).await;
        if lost { Err(GitHubError::InDoubt("the answer was lost".to_owned())) } else { answer }
    }
}

#[async_trait]
impl DeliveryLogPort for SidePorts {
    async fn attempts(&self, cursor: Option<&str>) -> Result<AttemptPage, GitHubError> {
        let before: u64 = cursor.map_or(u64::MAX, |cursor| cursor.parse().unwrap());
        let read = self.exchange(|sim| {
            let world = sim.world();
            let older = world.deliveries().filter(|record| record.id < before);
            let attempt = |record: &DeliveryRecord| DeliveryAttempt {
                id: record.id,
                delivery: record.webhook.delivery.clone(),
                delivered_at: record.delivered_at,
                succeeded: record.status == "OK",
                status: record.status.clone(),
                event: record.webhook.event.clone(),
                action: record.webhook.action.clone(),
                repository: record.webhook.repository,
            };
            let attempts: Vec<_> = older.take(PAGE).map(attempt).collect();
            let next = attempts.last().filter(|_| attempts.len() == PAGE).map(|last| last.id.to_string());
            Ok(AttemptPage { attempts, next })
        });
        // A read that fails changes nothing, however it fails.
        read.await.map_err(|error| match error {
            GitHubError::InDoubt(error) => GitHubError::Unavailable(error),
            error => error,
        })
    }

    async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        self.exchange(|sim| {
            sim.say(|| format!("GitHub is asked to deliver again what attempt {attempt} did not"));
            let answer = sim.world().redeliver(attempt);
            answer.map_err(|error| GitHubError::Refused {
                status: error.status,
                message: error.message,
                permission: None,
            })
        })
        .await
    }
}

#[async_trait]
impl IssuePort for SidePorts {
    async fn find_issue(&self, repository: &RepositoryRef, marker: &str) -> Result<Option<u64>, GitHubError> {
        let found = self.exchange(|sim| {
            let now = sim.now();
            let observed = sim.observed();
            let is_it = |(_, issue): &(usize, &Issue)| {
                issue.repository == repository.id
                    && issue.open
                    && issue.body.contains(marker)
                    && now >= issue.opened_at + FOUND_AFTER
            };
            let found = observed.issues.iter().enumerate().find(is_it);
            Ok(found.map(|(number, _)| number as u64))
        });
        found.await.map_err(|error| match error {
            GitHubError::InDoubt(error) => GitHubError::Unavailable(error),
            error => error,
        })
    }

    async fn create_issue(
        &self,
        repository: &RepositoryRef,
        title: &str,
        body: &str,
        not_after: Timestamp,
    ) -> Result<u64, GitHubError> {
        self.exchange(|sim| {
            if sim.clock(self.1) > not_after {
                return Err(GitHubError::Unavailable("the time in which the call could be sent has passed".to_owned()));
            }
            let opened_at = sim.now();
            let issues = &mut sim.observed().issues;
            let (repository, title, body) = (repository.id, title.to_owned(), body.to_owned());
            issues.push(Issue { repository, title, body, open: true, opened_at });
            Ok(issues.len() as u64 - 1)
        })
        .await
    }

    async fn update_issue(
        &self,
        repository: &RepositoryRef,
        number: u64,
        change: IssueChange<'_>,
    ) -> Result<(), GitHubError> {
        self.exchange(|sim| {
            let issues = &mut sim.observed().issues;
            let issue = issues.get_mut(number as usize).filter(|issue| issue.repository == repository.id);
            let gone = || GitHubError::Refused { status: 404, message: "Not Found".to_owned(), permission: None };
            let issue = issue.ok_or_else(gone)?;
            change.body.inspect(|body| (*body).clone_into(&mut issue.body));
            change.open.inspect(|open| issue.open = *open);
            Ok(())
        })
        .await
    }
}
