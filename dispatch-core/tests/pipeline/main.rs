//! The pipeline, end to end, over the world in memory and the store in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod answers;
mod at_most_once;
mod attribution;
mod consent;
mod doubt;
mod house;
mod ingress;
mod limits;
mod loops;
mod notices;
mod parked;
mod proposals;
mod read_models;
mod recovery;
mod reports;
mod requests;
mod retries;
mod revocation;
mod told_late;
