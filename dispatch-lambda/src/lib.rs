//! dispatch on AWS: the same stages as on one machine, carried by Lambda, SQS, EventBridge and DynamoDB.
//!
//! 1. `ingress` verifies a webhook, makes it durable in the table, and announces it. [`gateway`] turns requests of an HTTP
//!    API into requests of the Router of [`dispatch_axum`]; [`ingress`] knows when the secret was replaced.
//! 2. `planner` and `dispatcher` get messages that name work, [take](consumer) it from the table, and step with it. What a
//!    step leaves to do is [announced](announce).
//! 3. `publisher` puts the facts that the table's stream brings on a bus ([`publisher`]), and `facts` updates the read models
//!    with what comes from there ([`facts`]).
//! 4. `admin` is the dashboard, and `schedule` does what nothing else sets off ([`schedule`]).
//!
//! [`DynamoStore`] is the store of all of them. [`Function`] is each of them, put together from its environment; the binary of
//! this crate is told by its first argument which one it is.

pub mod announce;
pub mod aws;
pub mod consumer;
pub mod event;
pub mod facts;
mod functions;
pub mod gateway;
pub mod ingress;
pub mod publisher;
pub mod schedule;
pub mod secrets;
mod store;

pub use self::functions::{Function, NoFunction};
pub use self::gateway::{handler, run};
pub use self::store::DynamoStore;
