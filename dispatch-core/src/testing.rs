//! One GitHub in memory, ports over it, and what every store must do.
//!
//! [`World`] knows GitHub's rules, synchronously and without a clock. [`WorldGitHub`] is the
//! [`GitHubPort`](crate::ports::GitHubPort) over it; the emulator in `dispatch-github` is the same world behind real HTTP. [`Rehearsal`] is
//! the whole service over it: to test what policies do.

pub mod account;
pub mod contract;
mod github;
mod rehearsal;
mod store;
pub mod world;

pub use github::WorldGitHub;
pub use rehearsal::{Rehearsal, RehearsalError};
pub use store::MemoryStore;
pub use world::World;
