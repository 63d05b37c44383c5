//! The life of environments: the record alone, and in the pipeline over the world in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod journeys;
mod life;
mod orders;
mod stage;
mod sweeps;
