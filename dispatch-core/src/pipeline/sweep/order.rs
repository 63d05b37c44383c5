//! In which order a sweep looks at environments.

use std::collections::BTreeSet;

use super::super::Pipeline;
use crate::delivery::{DeliveryKey, DeliveryState};
use crate::environment::{Environment, EnvironmentKey};
use crate::ports::store::{Record, RecordKey, StoreError, ViewQuery};
use crate::projection::{ENVIRONMENTS, EnvironmentRow, PRESENT};

/// How many are read at once.
const PAGE: usize = 100;

/// The environments that are there.
#[derive(Default)]
pub(super) struct Order {
    /// The one that was tried longest ago comes first, and before it those that never were, the oldest first.
    pub(super) keys: Vec<EnvironmentKey>,
    /// How many of them are going.
    pub(super) going: usize,
    /// Those that a sweep found and that nobody has decided about. They are going, too.
    pub(super) undecided: BTreeSet<EnvironmentKey>,
}

impl Pipeline {
    /// Reads what is there: every record, and no more of it is kept than its key and its times.
    pub(super) async fn sweep_order(&self) -> Result<Order, StoreError> {
        let (mut order, mut times, mut before) = (Order::default(), Vec::new(), None);
        loop {
            let query = ViewQuery { view: ENVIRONMENTS, partition: PRESENT.to_owned(), before, limit: PAGE };
            let rows = self.store.rows(query).await?;
            before = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.sort.clone());
            // A row of another release, in a shape that this one does not know, is left out.
            let keys = rows.iter().filter_map(|row| row.read::<EnvironmentRow>().ok());
            let keys: Vec<_> = keys.map(|row| RecordKey::Environment(row.key)).collect();
            for stored in self.store.load(&keys).await?.into_iter().flatten() {
                let Record::Environment(environment) = stored.record else { continue };
                if self.is_undecided(&environment).await? {
                    order.undecided.insert(environment.key.clone());
                    order.going += 1;
                } else {
                    order.going += usize::from(environment.is_being_destroyed());
                }
                let tried = environment.swept.map(|swept| swept.at);
                times.push((tried, environment.created_at, environment.key));
            }
            if before.is_none() {
                break;
            }
        }
        times.sort();
        order.keys = times.into_iter().map(|(_, _, key)| key).collect();
        Ok(order)
    }

    async fn is_undecided(&self, environment: &Environment) -> Result<bool, StoreError> {
        match environment.swept_in_vain() {
            Some(swept) => self.waits_for_its_plan(&swept.delivery).await,
            None => Ok(false),
        }
    }

    async fn waits_for_its_plan(&self, key: &DeliveryKey) -> Result<bool, StoreError> {
        let loaded = self.store.load(&[RecordKey::Delivery(key.clone())]).await?.into_iter().next().flatten();
        Ok(loaded.is_some_and(|stored| match stored.record {
            Record::Delivery(delivery) => delivery.state == DeliveryState::Received,
            _ => false,
        }))
    }
}
