//! The decision, the policy language and the pipeline of consent-based dispatch between GitHub repositories.
//!
//! **Pure**: nothing in this crate opens a file or a socket, reads a clock, an environment variable or a random number,
//! spawns or sleeps. Time is an argument, every effect goes through a trait in [`ports`], maps are ordered, and the same
//! input gives the same answer. The promise is fenced by this crate's `clippy.toml` and by a check of its dependencies.
//!
//! When something happens in repository A, something runs in repository B if and only if both wrote down that they
//! want it, in a file named `dispatching.yml`. Read the crate in this order:
//!
//! 1. The language: [`name`], [`pattern`], [`template`], [`policy`], and [`diagnostic`] for what is wrong in a file;
//!    [`quote`] puts other people's text into our sentences.
//! 2. What happened: [`webhook`] verifies and reads GitHub's bytes into an [`event::Event`].
//! 3. The decision: [`decide::decide`] over [`guardrail`]s and policies; every denial has a [`reason`]. [`chain`] ends loops,
//!    [`explain`] tells it, [`policy_test`] holds it against what people expect. [`organisation`] asks it about all repositories
//!    at once, and [`graph`] draws who may start whom.
//! 4. What is asked of GitHub: [`request`], with GitHub's limits enforced by construction.
//! 5. The work: [`delivery`] and [`dispatch`] are its two state machines, [`pipeline`] moves them one step at a time,
//!    [`retry`] says when to look again. [`ledger`] knows the calls that are not settled, [`revocation`] what must not start
//!    any more, [`report`] what is told about failures, and [`recovery`] what never arrived.
//! 6. What is remembered: [`fact`]s, and the read models that [`projection`] makes of them.
//! 7. The outside: [`ports`]. With feature `testing`, `testing` is a GitHub world in memory to test against.

pub mod chain;
pub mod decide;
pub mod delivery;
pub mod diagnostic;
pub mod dispatch;
pub mod environment;
pub mod event;
pub mod explain;
pub mod fact;
pub mod graph;
pub mod guardrail;
pub mod ledger;
pub mod name;
pub mod notice;
pub mod organisation;
pub mod pattern;
pub mod pipeline;
pub mod policy;
pub mod policy_test;
pub mod ports;
pub mod projection;
pub mod proposal;
pub mod pull_request;
pub mod quote;
pub mod reason;
pub mod recovery;
pub mod report;
pub mod request;
pub mod retry;
pub mod revocation;
mod stand_in;
pub mod template;
#[cfg(feature = "testing")]
pub mod testing;
pub mod webhook;
pub mod workflow;

/// A point in time, as this crate takes it: always an argument, never read from a clock.
pub use jiff::Timestamp;
