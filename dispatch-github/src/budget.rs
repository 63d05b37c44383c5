//! GitHub's limits, kept before GitHub has to say so: each installation's, and the App's own ("Rate limits for the REST
//! API"). Who must wait is told until when, and is not held up; other installations go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dispatch_core::Timestamp;
use dispatch_core::name::InstallationId;
use dispatch_core::ports::github::{Budget, GitHubError, PrimaryLimit, RateLimitReset};
use http::{HeaderMap, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer;
use crate::transport::Answer;

/// "No more than 900 points per minute are allowed for REST API endpoints": of one installation, whatever the endpoint.
pub(crate) const POINTS_PER_MINUTE: u32 = 900;
/// "Most REST API `GET`, `HEAD`, and `OPTIONS` requests: 1 point"
const READ_POINTS: u32 = 1;
/// "Most REST API `POST`, `PATCH`, `PUT`, or `DELETE` requests: 5 points"
const WRITE_POINTS: u32 = 5;
/// GitHub allows 100, of all programs that use the installation together.
const CONCURRENT: usize = 80;
/// Reads may spend this much of a minute's points, in percent: the rest is kept for writes, so that a flood of events, each
/// of which needs reading, does not keep what was decided from being started.
const READS_SHARE: u32 = 60;
/// The furthest turn that is given to who must wait.
const LAST_TURN: Duration = Duration::from_secs(5 * 60);
/// How long a request waits for others to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// In seconds.
const WINDOW: u64 = 60;
/// "Otherwise, wait for at least one minute before retrying", and longer each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The primary limit starts anew within the hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Who is remembered. Who has spent nothing lately is forgotten first.
const CAPACITY: usize = 10_000;

/// Whose limits a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Payer {
    App,
    Installation(InstallationId),
}

/// The limits of everybody.
#[derive(Debug)]
pub(crate) struct Budgets {
    points: u32,
    started: Instant,
    accounts: Mutex<BTreeMap<Payer, Arc<Account>>>,
}

#[derive(Debug)]
struct Account {
    ledger: Mutex<Ledger>,
    concurrent: Arc<Semaphore>,
}

/// A request that may be sent. Its points count until a minute after it is settled or dropped: GitHub counts it somewhere
/// between its start and its end.
#[derive(Debug)]
pub(crate) struct Permit {
    account: Arc<Account>,
    started: Instant,
    points: u32,
    _concurrent: OwnedSemaphorePermit,
}

impl Budgets {
    /// `points`: how many each may spend in a minute.
    pub(crate) fn new(points: u32) -> Self {
        Self { points, started: Instant::now(), accounts: Mutex::default() }
    }

    /// Whether a request may be sent now. The error says when it may, and nothing is sent.
    pub(crate) async fn acquire(&self, payer: Payer, method: &Method) -> Result<Permit, GitHubError> {
        let account = self.account(payer)?;
        // Before the wait, so that nobody waits for what is paused.
        lock(&account.ledger).check_pause(self.started.elapsed())?;
        let concurrent = tokio::time::timeout(PATIENCE, Arc::clone(&account.concurrent).acquire_owned()).await;
        let Ok(Ok(concurrent)) = concurrent else {
            return Err(wait(PATIENCE, "as many requests are under way as GitHub allows at the same time"));
        };
        let (points, allowed) = match method.is_safe() {
            true => (READ_POINTS, self.points / 100 * READS_SHARE + self.points % 100 * READS_SHARE / 100),
            false => (WRITE_POINTS, self.points),
        };
        lock(&account.ledger).spend(points, allowed, self.started.elapsed())?;
        Ok(Permit { account, started: self.started, points, _concurrent: concurrent })
    }

    /// What is left of each installation's limits.
    pub(crate) fn snapshot(&self) -> Vec<Budget> {
        let now = self.started.elapsed();
        let accounts = lock(&self.accounts);
        let told = accounts.iter().filter_map(|(payer, account)| {
            let Payer::Installation(installation) = *payer else { return None };
            let mut ledger = lock(&account.ledger);
            let concurrent = CONCURRENT.saturating_sub(account.concurrent.available_permits());
            Some(Budget {
                installation,
                primary: ledger.primary,
                points_left: self.points.saturating_sub(ledger.spent(now)),
                concurrent: u32::try_from(concurrent).unwrap_or(u32::MAX),
                paused_until: ledger.paused_until.filter(|until| *until > now).map(|until| in_future(until, now)),
            })
        });
        told.collect()
    }

    fn account(&self, payer: Payer) -> Result<Arc<Account>, GitHubError> {
        let mut accounts = lock(&self.accounts);
        if let Some(account) = accounts.get(&payer) {
            return Ok(Arc::clone(account));
        }
        if accounts.len() >= CAPACITY {
            let now = self.started.elapsed();
            accounts.retain(|_, account| !lock(&account.ledger).is_idle(now));
        }
        if accounts.len() >= CAPACITY {
            return Err(wait(FIRST_PAUSE, "more installations are busy than can be remembered"));
        }
        let account = Arc::new(Account { ledger: Mutex::default(), concurrent: Arc::new(Semaphore::new(CONCURRENT)) });
        accounts.insert(payer, Arc::clone(&account));
        Ok(account)
    }
}

impl Permit {
    /// Learns from the answer, if there is one.
    pub(crate) fn settle(self, answer: Option<&Answer>) {
        let Some(answer) = answer else { return };
        let (now, clock) = (self.started.elapsed(), Timestamp::now());
        let mut ledger = lock(&self.account.ledger);
        if let Some(primary) = primary(&answer.headers) {
            ledger.primary = Some(primary);
        }
        match answer::limited(answer, clock) {
            Some(until) => ledger.limited(until, now, clock),
            None => ledger.answered(now, clock),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.account.ledger).done(self.points, self.started.elapsed());
    }
}

/// What one payer has spent, by a clock that starts at zero.
#[derive(Debug, Default)]
struct Ledger {
    /// Points of requests that have not ended.
    under_way: u32,
    /// Points of requests that ended, by the second, oldest first: at most [`WINDOW`] and two entries.
    ended: VecDeque<(u64, u32)>,
    paused_until: Option<Duration>,
    /// The last turn that was given to who must wait.
    last_turn: Option<Duration>,
    /// The last pause whose end GitHub did not tell.
    guessed: Option<Duration>,
    primary: Option<PrimaryLimit>,
}

impl Ledger {
    fn check_pause(&self, now: Duration) -> Result<(), GitHubError> {
        match self.paused_until {
            Some(until) if until > now => Err(GitHubError::RateLimited {
                until: RateLimitReset::At(in_future(until, now)),
                message: "nothing is sent until GitHub's rate limit ends".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn spend(&mut self, points: u32, allowed: u32, now: Duration) -> Result<(), GitHubError> {
        // What was answered meanwhile may have ended it.
        self.check_pause(now)?;
        let spent = self.spent(now);
        if spent.saturating_add(points) > allowed {
            let missing = spent.saturating_add(points) - allowed;
            let turn = self.turn(self.regained(missing, now), points, allowed, now);
            return Err(wait(turn, "the minute's requests are used up"));
        }
        self.under_way = self.under_way.saturating_add(points);
        Ok(())
    }

    fn done(&mut self, points: u32, now: Duration) {
        self.under_way = self.under_way.saturating_sub(points);
        match self.ended.back_mut() {
            // The clock is read before the ledger is locked: an earlier second may come later.
            Some((second, sum)) if *second >= now.as_secs() => *sum = sum.saturating_add(points),
            _ => self.ended.push_back((now.as_secs(), points)),
        }
    }

    /// Points that count now. What ended in a second counts for the minute that follows that second.
    fn spent(&mut self, now: Duration) -> u32 {
        while self.ended.front().is_some_and(|(second, _)| second + 1 + WINDOW <= now.as_secs()) {
            self.ended.pop_front();
        }
        self.ended.iter().fold(self.under_way, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// How long it takes until so many points count no more. With what is under way, nobody knows: a minute.
    fn regained(&self, missing: u32, now: Duration) -> Duration {
        let mut freed = 0_u32;
        let enough = self.ended.iter().find(|(_, points)| {
            freed = freed.saturating_add(*points);
            freed >= missing
        });
        let second = enough.map_or(now.as_secs(), |(second, _)| *second);
        Duration::from_secs(second + 1 + WINDOW).saturating_sub(now)
    }

    /// How long to wait where points are there again after `regained`: each who waits gets a turn of its own, at the pace at
    /// which points come back, so that all do not come again at the same moment.
    fn turn(&mut self, regained: Duration, points: u32, allowed: u32, now: Duration) -> Duration {
        let takes = Duration::from_secs(WINDOW) * points / allowed.max(1);
        let first = now.saturating_add(regained);
        let turn = self.last_turn.map_or(first, |last| first.max(last.saturating_add(takes)));
        let turn = turn.min(now.saturating_add(LAST_TURN));
        self.last_turn = Some(turn);
        turn.saturating_sub(now)
    }

    /// GitHub refused because of a limit.
    fn limited(&mut self, until: RateLimitReset, now: Duration, clock: Timestamp) {
        let told = match until {
            RateLimitReset::After(wait) => Some(wait),
            RateLimitReset::At(at) => Duration::try_from(at.duration_since(clock)).ok(),
            RateLimitReset::Unknown => None,
        };
        let pause = match told.filter(|wait| !wait.is_zero()) {
            Some(wait) => wait,
            // The answers of requests that were under way together are one refusal.
            None if self.paused_until.is_some_and(|until| until > now) => return,
            None => {
                let pause = self.guessed.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
                self.guessed = Some(pause);
                pause
            }
        };
        self.pause(now.saturating_add(pause));
    }

    /// GitHub answered, with whatever it was. Its last request may be spent by it.
    fn answered(&mut self, now: Duration, clock: Timestamp) {
        if self.paused_until.is_none_or(|until| until <= now) {
            self.guessed = None;
        }
        if let Some(PrimaryLimit { remaining: 0, reset, .. }) = self.primary
            && let Ok(wait) = Duration::try_from(reset.duration_since(clock))
        {
            self.pause(now.saturating_add(wait.min(LONGEST_PAUSE)));
        }
    }

    fn pause(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// Whether nothing is lost with it.
    fn is_idle(&mut self, now: Duration) -> bool {
        self.spent(now) == 0 && self.guessed.is_none() && self.paused_until.is_none_or(|until| until <= now)
    }
}

/// The primary limit, as an answer tells it. Other limits than that of the API as a whole (`core`) are not it.
fn primary(headers: &HeaderMap) -> Option<PrimaryLimit> {
    let text = |name| headers.get(name)?.to_str().ok();
    let number = |name| text(name)?.parse::<u64>().ok();
    if text("x-ratelimit-resource").is_some_and(|resource| resource != "core") {
        return None;
    }
    let reset = i64::try_from(number("x-ratelimit-reset")?).ok()?;
    Some(PrimaryLimit {
        limit: number("x-ratelimit-limit")?,
        remaining: number("x-ratelimit-remaining")?,
        reset: Timestamp::from_second(reset).ok()?,
    })
}

fn in_future(until: Duration, now: Duration) -> Timestamp {
    Timestamp::now().checked_add(until.saturating_sub(now)).unwrap_or(Timestamp::MAX)
}

fn wait(time: Duration, message: &str) -> GitHubError {
    GitHubError::RateLimited { until: RateLimitReset::After(time), message: message.to_owned() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clock() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn paused(ledger: &Ledger, now: u64) -> Option<u64> {
        ledger.paused_until.map(|until| until.as_secs()).filter(|until| *until > now)
    }

    #[test]
    fn a_burst_is_fine_and_then_the_minute_is_over() {
        let mut ledger = Ledger::default();
        for _ in 0..180 {
            ledger.spend(5, 900, seconds(10)).unwrap();
            ledger.done(5, seconds(10));
        }
        let refused = ledger.spend(1, 900, seconds(30)).unwrap_err();
        assert_eq!(refused, wait(seconds(41), "the minute's requests are used up"));
        assert!(ledger.spend(1, 900, seconds(70)).is_err());
        ledger.spend(5, 900, seconds(71)).unwrap();
    }

    #[test]
    fn those_who_wait_get_turns_at_the_pace_at_which_points_come_back() {
        let mut ledger = Ledger::default();
        ledger.spend(900, 900, seconds(0)).unwrap();
        ledger.done(900, seconds(0));
        let waits: Vec<_> = (0..4)
            .map(|_| match ledger.spend(5, 900, seconds(1)) {
                Err(GitHubError::RateLimited { until: RateLimitReset::After(wait), .. }) => wait.as_millis(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(waits, [60_000, 60_333, 60_666, 60_999]);
    }

    #[tokio::test]
    async fn a_flood_of_reads_leaves_points_for_writes() {
        let budgets = Budgets::new(100);
        let payer = Payer::Installation(InstallationId(7));
        for _ in 0..60 {
            budgets.acquire(payer, &Method::GET).await.unwrap();
        }
        assert!(budgets.acquire(payer, &Method::GET).await.is_err());
        for _ in 0..8 {
            budgets.acquire(payer, &Method::POST).await.unwrap();
        }
        assert!(budgets.acquire(payer, &Method::POST).await.is_err());
    }

    #[test]
    fn a_pause_lasts_as_long_as_github_says_or_doubles() {
        use RateLimitReset::{After, At, Unknown};
        let mut ledger = Ledger::default();
        ledger.limited(After(seconds(7)), seconds(100), clock());
        assert_eq!(paused(&ledger, 100), Some(107));
        ledger.limited(At(clock() + seconds(30)), seconds(101), clock());
        assert_eq!(paused(&ledger, 101), Some(131));
        // A shorter one does not end a longer one.
        ledger.limited(After(seconds(1)), seconds(101), clock());
        assert_eq!(paused(&ledger, 101), Some(131));
        // Unknown: a minute, and each time twice as long, at most an hour. What is refused meanwhile counts once.
        let mut now = 200;
        for pause in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            ledger.limited(Unknown, seconds(now), clock());
            ledger.limited(Unknown, seconds(now + 1), clock());
            assert_eq!(paused(&ledger, now), Some(now + pause));
            now += pause + 1;
        }
        ledger.answered(seconds(now), clock());
        ledger.limited(Unknown, seconds(now), clock());
        assert_eq!(paused(&ledger, now), Some(now + 60));
        // A reset that is over says nothing.
        let mut ledger = Ledger::default();
        ledger.limited(At(clock()), seconds(5), clock());
        assert_eq!(paused(&ledger, 5), Some(65));
    }

    #[test]
    fn with_its_last_request_an_installation_is_paused() {
        let reset = clock() + seconds(90);
        for (remaining, expected) in [(1, None), (0, Some(190))] {
            let primary = Some(PrimaryLimit { limit: 5_000, remaining, reset });
            let mut ledger = Ledger { primary, ..Ledger::default() };
            ledger.answered(seconds(100), clock());
            assert_eq!(paused(&ledger, 100), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_81st_request_waits_shortly_for_one_to_end() {
        let budgets = Budgets::new(POINTS_PER_MINUTE);
        let payer = Payer::Installation(InstallationId(7));
        let mut permits = Vec::new();
        for _ in 0..CONCURRENT {
            permits.push(budgets.acquire(payer, &Method::GET).await.unwrap());
        }
        assert_eq!(budgets.snapshot()[0].concurrent, 80);
        assert!(matches!(
            budgets.acquire(payer, &Method::GET).await,
            Err(GitHubError::RateLimited { until: RateLimitReset::After(PATIENCE), .. })
        ));
        budgets.acquire(Payer::Installation(InstallationId(8)), &Method::GET).await.unwrap();
        let (waiting, ()) = tokio::join!(budgets.acquire(payer, &Method::GET), async {
            tokio::time::sleep(PATIENCE / 2).await;
            permits.pop();
        });
        waiting.unwrap();
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let budgets = Budgets::new(POINTS_PER_MINUTE);
        for id in 0..CAPACITY as u64 {
            drop(budgets.account(Payer::Installation(InstallationId(id))).unwrap());
        }
        let busy = budgets.acquire(Payer::Installation(InstallationId(3)), &Method::GET).await.unwrap();
        budgets.account(Payer::App).unwrap();
        assert_eq!(lock(&budgets.accounts).len(), 2, "the busy one, and the new one");
        drop(busy);
    }

    proptest! {
        /// Requests at any times, of any length, as GitHub may count them: anywhere between their start and their end.
        #[test]
        fn in_no_minute_are_more_points_spent_than_allowed(
            requests in prop::collection::vec((0_u64..3_000, 0_u64..20_000, any::<bool>(), 0.0_f64..=1.0), 1..400),
            allowed in 5_u32..60,
        ) {
            let mut ledger = Ledger::default();
            let mut open: Vec<(u64, u32)> = Vec::new();
            let mut counted: Vec<(f64, u32)> = Vec::new();
            let mut now = 0;
            for (gap, length, write, share) in requests {
                now += gap;
                open.sort_unstable();
                while open.first().is_some_and(|(end, _)| *end <= now) {
                    let (end, points) = open.remove(0);
                    ledger.done(points, Duration::from_millis(end));
                }
                let points = if write { WRITE_POINTS } else { READ_POINTS };
                if ledger.spend(points, allowed, Duration::from_millis(now)).is_ok() {
                    open.push((now + length, points));
                    counted.push((now as f64 + length as f64 * share, points));
                }
                prop_assert!(ledger.ended.len() as u64 <= WINDOW + 2);
            }
            counted.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (at, (start, _)) in counted.iter().enumerate() {
                let minute = counted[at..].iter().take_while(|(time, _)| *time < start + 60_000.0);
                let spent: u32 = minute.map(|(_, points)| *points).sum();
                prop_assert!(spent <= allowed, "{spent} of {allowed}");
            }
        }

        /// What is asked again when it was told to is not refused again for the same reason.
        #[test]
        fn who_waits_as_long_as_told_may_go_on(spent in prop::collection::vec((0_u64..30_000, any::<bool>()), 1..300)) {
            let mut ledger = Ledger::default();
            let mut now = Duration::ZERO;
            for (gap, write) in spent {
                now += Duration::from_millis(gap);
                let points = if write { WRITE_POINTS } else { READ_POINTS };
                if let Err(error) = ledger.spend(points, 20, now) {
                    let GitHubError::RateLimited { until: RateLimitReset::After(wait), .. } = error else {
                        panic!("{error}")
                    };
                    // A minute, and a turn.
                    prop_assert!(wait <= seconds(61 + 15));
                    now += wait;
                    prop_assert!(ledger.spend(points, 20, now).is_ok());
                }
                ledger.done(points, now);
            }
        }
    }
}
