//! The store, as a process reaches it: slow, and failing before or after it did what was asked.

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::name::DeliveryId;
use dispatch_core::ports::store::{
    Claim, Commit, Record, RecordKey, StoreError, StorePort, Stored, Take, Taken, ViewQuery, WaitingQuery, Write,
};
use dispatch_core::projection::{Update, ViewRow, project};

use crate::messages;
use crate::sabotage::Sabotage;
use crate::sim::Sim;

/// The port of one process to the store that all share.
#[derive(Clone)]
pub(crate) struct SimStore {
    sim: Arc<Sim>,
    process: usize,
}

impl SimStore {
    pub(crate) fn new(sim: &Arc<Sim>, process: usize) -> Self {
        Self { sim: Arc::clone(sim), process }
    }

    /// One operation: it may fail before it does anything, and its answer may be lost.
    async fn operate<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
        what: impl FnOnce() -> String,
    ) -> Result<T, StoreError> {
        self.pause().await;
        if self.sim.goes_wrong(self.sim.weather.store) {
            self.sim.say(|| format!("process {} cannot reach the store: {}", self.process, what()));
            return Err(StoreError::Unavailable("it is not there".to_owned()));
        }
        let answer = operation.await;
        let lost = self.sim.goes_wrong(self.sim.weather.store);
        self.sim.say(|| {
            let outcome = answer.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned());
            let lost = if lost { ", and does not hear it" } else { "" };
            format!("process {} {}: {outcome}{lost}", self.process, what())
        });
        self.pause().await;
        if lost { Err(StoreError::Unavailable("its answer was lost".to_owned())) } else { answer }
    }

    async fn pause(&self) {
        self.sim.pause().await;
        if self.sim.goes_wrong(self.sim.weather.suspended / 2) {
            let span = self.sim.draw(|random| random.millis(1_000, 400_000));
            self.sim.sleep(span).await;
        } else if self.sim.goes_wrong(self.sim.weather.slow) {
            let span = self.sim.draw(|random| random.millis(1, 3_000));
            self.sim.sleep(span).await;
        }
    }

    async fn write(&self, mut commit: Commit) -> Result<(), StoreError> {
        match self.sim.sabotage {
            Some(Sabotage::LostUpdates) => {
                let keys: Vec<_> = commit.writes.iter().map(|write| write.record.key()).collect();
                let there = self.sim.store.load(&keys).await?;
                for (Write { expected, .. }, stored) in commit.writes.iter_mut().zip(there) {
                    *expected = stored.map(|stored| stored.version);
                }
            }
            Some(Sabotage::FactsTwice) if self.sim.draw(|random| random.per_mille(200)) => {
                let counts = commit.facts.iter().flat_map(project).filter_map(|update| match update {
                    Update::Count { counter, by } => Some((counter, by)),
                    Update::Put(_) | Update::Keep(_) | Update::Tally(_) | Update::Remove { .. } => None,
                });
                self.sim.observed().counted_again.extend(counts);
            }
            Some(Sabotage::Forgetful) if self.sim.draw(|random| random.per_mille(100)) => return Ok(()),
            _ => {}
        }
        self.sim.store.commit(commit).await
    }
}

#[async_trait]
impl StorePort for SimStore {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let (summary, work) = (summary(&self.sim, &commit), messages::of(&commit));
        self.operate(self.write(commit), || format!("commits {summary}")).await?;
        if self.sim.weather.messages {
            work.into_iter().for_each(|(key, due)| messages::send(&self.sim, key, due));
        }
        Ok(())
    }

    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        let mut loaded = self.operate(self.sim.store.load(keys), || "loads".to_owned()).await?;
        if self.sim.sabotage == Some(Sabotage::ActionsAtOnce) {
            for stored in loaded.iter_mut().flatten() {
                if let Record::Environment(environment) = &mut stored.record {
                    environment.under_way = None;
                }
            }
        }
        Ok(loaded)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError> {
        self.operate(self.sim.store.claim(claim), || format!("claims from {:?}", claim.queue)).await
    }

    async fn take(&self, take: Take) -> Result<Taken, StoreError> {
        let key = take.key.clone();
        self.operate(self.sim.store.take(take), || format!("takes {key}")).await
    }

    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        self.operate(self.sim.store.waiting(query), || "looks at what waits".to_owned()).await
    }

    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        self.operate(self.sim.store.deliveries(id), || "looks for a delivery".to_owned()).await
    }

    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.operate(self.sim.store.retire(before, limit), || format!("retires before {before}")).await
    }

    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        self.operate(self.sim.store.rows(query), || "reads rows".to_owned()).await
    }

    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.operate(self.sim.store.counters(names), || "reads counters".to_owned()).await
    }
}

/// What a commit writes, for the trace.
fn summary(sim: &Sim, commit: &Commit) -> String {
    if !sim.traced() {
        return String::new();
    }
    let state = |record: &Record| match record {
        Record::Delivery(delivery) => format!(" {:?}", delivery.state),
        Record::Dispatch(dispatch) => format!(" {:?} due {:?}", dispatch.state, dispatch.due),
        Record::Target(_, ledger) => format!(" {} open", ledger.calls.len()),
        _ => String::new(),
    };
    let write = |write: &Write| {
        let key: String = write.record.key().to_string().chars().take(90).collect();
        format!("{key} v{:?}{}", write.expected, state(&write.record))
    };
    commit.writes.iter().map(write).collect::<Vec<_>>().join(" + ")
}
