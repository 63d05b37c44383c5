//! The three systems end to end, everything over HTTP: an emulated GitHub, the real client, the durable store, the real
//! workers. Each test ends with what GitHub was asked, and nothing else may have been asked; and with the facts, which its
//! snapshot has.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, reason = "modules of a test")]

mod asked;
mod attacks;
mod carrier;
mod command;
mod house;
mod limits;
mod policies;
mod preview;
mod proposals;
mod stack;
mod told;
