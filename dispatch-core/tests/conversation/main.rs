//! Pull requests and commands: what the contract sends, byte for byte, and the moves of attackers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, reason = "modules of a test")]

mod attacks;
mod contracts;
mod environments;
mod setup;
