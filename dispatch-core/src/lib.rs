//! The decision, the policy language and the pipeline of consent-based dispatch between GitHub repositories.
//!
//! **Pure**: nothing in this crate opens a file or a socket, reads a clock, an environment variable or a random number,
//! spawns or sleeps. Time is an argument, every effect goes through a trait in [`ports`], maps are ordered, and the same
//! input gives the same answer. The promise is fenced by this crate's `clippy.toml` and by a check of its dependencies.
//!
//! When something happens in repository A, something runs in repository B if and only if both wrote down that they
//! want it, in a file named `dispatching.yml`:
//!
//! ```
//! use std::collections::BTreeMap;
//! use dispatch_core::decide::{Answers, CommitOnBranch, Identity, PolicyAnswer, PolicyFile, decide_with};
//! use dispatch_core::guardrail::Guardrails;
//! use dispatch_core::name::{Branch, CommitSha, Repository};
//! use dispatch_core::policy::{Policy, PolicyPath};
//! use dispatch_core::webhook::{Webhook, parse};
//!
//! const API: &str = "outbound: [{source: {workflow: ci.yml}, targets: [{repository: deploy, workflow: cd.yml}]}]";
//! const DEPLOY: &str = "inbound: [{source: {repository: api, workflow: ci.yml}, targets: [{workflow: cd.yml}]}]";
//!
//! /// Two policy files, and nothing else that anybody knows.
//! struct Files;
//!
//! impl Answers for Files {
//!     fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
//!         let text = match repository.as_str() {
//!             "acme/api" => API,
//!             "acme/deploy" => DEPLOY,
//!             _ => return PolicyAnswer { repository: None, file: PolicyFile::Absent },
//!         };
//!         let checked = Policy::check_in(text.as_bytes(), repository, "dispatching.yml");
//!         let file = PolicyFile::of(PolicyPath::Root, checked);
//!         PolicyAnswer { repository: Some(Identity::Assumed), file }
//!     }
//!
//!     fn commit_on_branch(&mut self, _: &Repository, _: &Branch, _: &CommitSha) -> CommitOnBranch {
//!         CommitOnBranch::Assumed
//!     }
//! }
//!
//! let body = br#"{
//!     "action": "completed",
//!     "workflow_run": {
//!         "id": 1, "run_number": 1, "path": ".github/workflows/ci.yml", "conclusion": "success", "event": "push",
//!         "head_branch": "main", "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625", "head_repository": { "id": 11 },
//!         "updated_at": "2026-01-02T03:05:06Z"
//!     },
//!     "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": false },
//!     "installation": { "id": 5 }
//! }"#;
//! let Webhook::Event(event) = parse("workflow_run", body)? else { panic!("ignored") };
//! let settings = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())]);
//! let plan = decide_with(&event, &Guardrails::from_settings(&settings)?, &mut Files);
//!
//! let (decision, allowed) = plan.allowed().next().expect("both agree");
//! assert_eq!(decision.target.repository.as_str(), "acme/deploy");
//! assert_eq!(allowed.inbound_rule.to_string(), "acme/deploy/dispatching.yml:1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing of this waits, so that nothing of it needs a runtime: only [`pipeline`] and [`ports`] are async, for the
//! services that carry the work. What goes in and what comes out is `serde`.
//!
//! # Contents
//!
//! 1. **The language.** [`name`], [`pattern`] and [`template`] are its words; [`policy`] is what a file means, [`diagnostic`]
//!    what is wrong in it. [`quote`] puts other people's text into our sentences.
//! 2. **What happened.** [`webhook`] verifies and reads GitHub's bytes into an [`event::Event`]; [`pull_request`] is what is
//!    remembered of pull requests.
//! 3. **The decision.** [`decide::decide`] over [`guardrail`]s and policies, with its order of evaluation; every denial has a
//!    [`reason`]. [`chain`] ends loops, and [`environment`]s have one holder.
//! 4. **Trust in it.** [`explain`] tells one decision, [`policy_test`] holds it against what people expect, [`proposal`] asks it
//!    about a file that is not merged yet, [`organisation`] about all repositories at once with what their [`workflow`]s
//!    declare, and [`graph`] draws who may start whom.
//! 5. **What is asked of GitHub.** [`request`], with GitHub's limits enforced by construction.
//! 6. **The work.** [`delivery`] and [`dispatch`] are its two state machines, [`pipeline`] moves them one step at a time,
//!    [`retry`] says when to look again. [`ledger`] knows the calls that are not settled, [`revocation`] what must not start
//!    any more, and [`recovery`] what never arrived.
//! 7. **What is told.** [`notice`]s are checks, comments and reactions, [`report`] what is told about failures.
//! 8. **What is remembered.** [`fact`]s, and the read models that [`projection`] makes of them.
//! 9. **The outside.** [`ports`]. With feature `testing`, `testing` is a GitHub world in memory to test against.

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
