//! The process is killed, again and again, wherever it is in its work.

use std::time::{Duration, Instant};

use dispatch_core::testing::account::Account;

use super::chance::Chance;
use super::organisation::Organisation;
use super::program::{Home, Service};

const KILLS: usize = 55;
/// How often a run completes. Seldom enough for calls of one target to overlap rarely, as they would in a life with so
/// many deaths if each process only just caught up.
const PACE: Duration = Duration::from_millis(250);
/// How many dispatches in a hundred may end as unknown: two calls of one target in doubt, and a run of one of them.
const MOST_UNKNOWN: usize = 3;
/// After the last kill: the calls in doubt are settled, what failed is delivered again, and what was being shown is looked for.
/// The webhook of a run whose call ends as unknown waits longest: five minutes, and half a minute between two looks.
const PATIENCE: Duration = Duration::from_secs(7 * 60);

/// When to kill.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the start, which may be before it listens.
    After(Duration),
    /// After some time, so soon after the next run was started: the answer may not have been stored.
    AfterARunStarted(Duration, Duration),
    /// After some time, so soon after the next webhook was accepted: it may not have been decided about.
    AfterAWebhook(Duration, Duration),
}

impl Moment {
    fn draw(chance: &mut Chance) -> Self {
        let life = Duration::from_millis(5)..Duration::from_millis(2_500);
        let soon = Duration::ZERO..Duration::from_millis(15);
        match chance.below(3) {
            0 => Self::After(chance.time(life)),
            1 => Self::AfterARunStarted(chance.time(life), chance.time(soon)),
            _ => Self::AfterAWebhook(chance.time(life), chance.time(soon)),
        }
    }

    async fn wait(self, service: &mut Service, organisation: &Organisation) {
        match self {
            Self::After(time) => tokio::time::sleep(time).await,
            Self::AfterARunStarted(life, soon) => {
                service.address().await;
                tokio::time::sleep(life).await;
                changed(|| organisation.newest_dispatched()).await;
                tokio::time::sleep(soon).await;
            }
            Self::AfterAWebhook(life, soon) => {
                service.address().await;
                tokio::time::sleep(life).await;
                changed(|| organisation.newest_accepted()).await;
                tokio::time::sleep(soon).await;
            }
        }
    }
}

/// Waits for a change, though not for long: where nothing happens, any moment is as good.
async fn changed<T: PartialEq>(look: impl Fn() -> T) {
    let (before, deadline) = (look(), Instant::now() + Duration::from_secs(3));
    while look() == before && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_is_started_once_however_often_the_process_is_killed() {
    let mut chance = Chance::new();
    let organisation = Organisation::new().await;
    let home = Home::new(&organisation.emulator);

    let mut service = home.start();
    // GitHub knows from now on where to deliver to.
    service.address().await;
    let load = organisation.work(PACE, chance.fork());
    for _ in 0..KILLS {
        Moment::draw(&mut chance).wait(&mut service, &organisation).await;
        service.kill();
        service = home.start();
    }
    let expected = load.end().await;

    service.address().await;
    home.until_quiet(expected.completed.len(), PATIENCE).await;
    assert_eq!(service.end().await.0.code(), Some(0));
    assert!(!home.log().contains("panicked"), "{}", home.log());

    let outcomes = Account::read(home.store()).await.check(&expected, &organisation.dispatched()).await;
    eprintln!(
        "{KILLS} kills, {} runs completed, {} to be started: {outcomes:?}",
        expected.completed.len(),
        expected.started.len()
    );
    assert!(outcomes.doubts > 0, "no call was ever cut off: this shows nothing");
    assert!(outcomes.unknown * 100 <= expected.started.len() * MOST_UNKNOWN, "too many are unknown");
}
