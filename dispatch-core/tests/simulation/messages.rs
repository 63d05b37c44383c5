//! Work that comes by messages, where no process looks for it: as queues deliver them, late, twice, in any order and sometimes
//! to somebody who dies; and the chore that makes up for those that were never sent.

use std::sync::Arc;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::ports::store::{Commit, RecordKey};

use crate::reply::reply;
use crate::sim::{Owner, PROCESSES, Sim};

/// The longest that a queue keeps a message back.
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// How long nobody else gets a message that somebody has.
const VISIBILITY: Duration = Duration::from_secs(6 * 60);
/// How often a message is tried before it is a dead letter.
const TRIES: usize = 5;

/// The work that a step leaves, and since when it is due.
pub(crate) fn of(commit: &Commit) -> Vec<(RecordKey, Timestamp)> {
    let work = |record: &dispatch_core::ports::store::Record| {
        let work = record.work().filter(|work| !work.held)?;
        Some((record.key(), work.due))
    };
    commit.writes.iter().filter_map(|write| work(&write.record)).collect()
}

/// Sends a message, unless the queue cannot be reached.
pub(crate) fn send(sim: &Arc<Sim>, key: RecordKey, due: Timestamp) {
    if sim.goes_wrong(sim.weather.store) {
        sim.say(|| format!("nobody announces {key}"));
        return;
    }
    sim.spawn(Owner::Outside, deliver(Arc::clone(sim), key, due));
}

async fn deliver(sim: Arc<Sim>, key: RecordKey, due: Timestamp) {
    let delay = Duration::try_from(due.duration_since(sim.now())).unwrap_or_default().min(LONGEST_DELAY);
    let late = sim.goes_wrong(sim.weather.webhook_late);
    let way = sim.draw(|random| if late { random.millis(1_000, 900_000) } else { random.millis(0, 300) });
    sim.sleep(delay + way).await;
    for _ in 0..TRIES {
        if attempt(&sim, &key).await == Some(true) && !sim.goes_wrong(sim.weather.webhook_twice) {
            return;
        }
        sim.sleep(VISIBILITY).await;
    }
    sim.say(|| format!("the message about {key} is a dead letter"));
}

/// Hands it to a process. Whether that is done with it; None where it dies first.
async fn attempt(sim: &Arc<Sim>, key: &RecordKey) -> Option<bool> {
    let first = sim.draw(|random| random.below(PROCESSES));
    let process = (0..PROCESSES).find_map(|other| sim.process((first + other) % PROCESSES))?;
    let (giver, receiver) = reply();
    process.consume(key.clone(), giver);
    receiver.within(sim.sleep(VISIBILITY)).await
}
