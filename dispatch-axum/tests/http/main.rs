//! The HTTP surface from the outside: what GitHub, people, and attackers get.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod admin;
mod disk;
mod environments;
mod github_facts;
mod graph;
mod organisation;
mod sockets;
mod support;
mod webhook;
