//! One transaction of DynamoDB: all of it or nothing, however often it has to be tried.

use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use dispatch_core::ports::store::StoreError;

use super::{DynamoStore, unavailable};

/// How often a request is tried when others are at the same items, or DynamoDB asks for patience.
pub(super) const TRIES: u32 = 10;

/// The longest time between two tries: together they wait for about two seconds.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

impl DynamoStore {
    /// Writes the items, all or nothing, and answers the positions of those whose condition was not met: if there are any,
    /// nothing was written.
    ///
    /// All tries have the same token, by which DynamoDB knows for ten minutes what it has done: a try whose answer was lost
    /// does not stand in the way of the next one.
    pub(super) async fn transact(&self, items: &[TransactWriteItem]) -> Result<Vec<usize>, StoreError> {
        let token = token()?;
        let mut tries = 0..TRIES;
        loop {
            let request = self.client.transact_write_items().set_transact_items(Some(items.to_vec()));
            let Err(error) = request.client_request_token(&token).send().await else { return Ok(Vec::new()) };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let reasons = cancelled.cancellation_reasons();
                    let failed: Vec<_> = (0..).zip(reasons).filter(|(_, reason)| is(reason, CONDITION)).collect();
                    if !failed.is_empty() {
                        return Ok(failed.into_iter().map(|(position, _)| position).collect());
                    }
                    if let Some(refused) = reasons.iter().find(|reason| is(reason, "ValidationError")) {
                        return Err(StoreError::Illegal(refused.message().unwrap_or_default().to_owned()));
                    }
                    if !reasons.iter().any(|reason| PASSING.iter().any(|code| is(reason, code))) {
                        return Err(unavailable(&error));
                    }
                }
                // The try before is still under way.
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => {}
                _ => return Err(unavailable(&error)),
            }
            let Some(attempt) = tries.next() else { return Err(unavailable(&error)) };
            pause(attempt).await;
        }
    }
}

/// The code of a condition that was not met.
const CONDITION: &str = "ConditionalCheckFailed";
/// The codes of what passes.
const PASSING: [&str; 3] = ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"];

fn is(reason: &CancellationReason, code: &str) -> bool {
    reason.code() == Some(code)
}

/// Waits before the next try, longer each time, and not as long as somebody else who began to wait at the same moment.
pub(super) async fn pause(attempt: u32) {
    let longest = Duration::from_millis(10).saturating_mul(2_u32.saturating_pow(attempt)).min(LONGEST_WAIT);
    // Without randomness everybody waits for as long as may be.
    let part = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    tokio::time::sleep(longest.mul_f64(0.5 + part / 2.0)).await;
}

/// Names a transaction, in the 36 characters that DynamoDB takes.
fn token() -> Result<String, StoreError> {
    let mut random = [0; 18];
    getrandom::fill(&mut random).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(random.iter().fold(String::with_capacity(36), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}
