//! The emulator over real sockets.

#![cfg(feature = "emulator")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests, and one of them says that it was skipped"
)]

mod access;
mod client;
mod control;
mod deliveries;
mod faults;
mod http;
mod installed;
mod keys;
mod orders;
mod schema;
