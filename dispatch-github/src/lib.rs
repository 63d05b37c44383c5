//! GitHub for [`dispatch_core`]: its [`GitHubPort`](dispatch_core::ports::GitHubPort) over real HTTP.
//!
//! Every call is made by a token for that one repository and that one permission; a file that did not change costs no
//! rate limit; a call that writes is sent once, and its answer is read strictly: done, refused, not now, or in doubt.
//! Requests go to the configured API and nowhere else: redirects, `Link` headers and URLs in answers are never followed.
//!
//! 1. [`client`]: [`GitHub`] and its options; `ports`: the ports' methods. What does them is in `read`, `compare`, `dispatch`,
//!    `runs`, `issues`, `delivery_log`, `pull_requests`, `workflows`, `checks` and `comments`.
//! 2. `app`: the App, which signs for itself; `token`: installation and token; `permission`: what a token may do.
//!    `installed`: all repositories of an account, and their workflows' files.
//! 3. `budget`: how much may be sent, so that GitHub does not have to refuse.
//! 4. `transport`: one request, one answer; `path`: the only places where requests go; `link`: other pages of a
//!    list; `wire`: what is read of answers.
//! 5. `answer`: what an answer that is no success means.
//! 6. With feature `emulator`, `emulator` is GitHub behind real HTTP, for tests and for the demo.

mod answer;
mod app;
mod budget;
mod checks;
pub mod client;
mod comments;
mod compare;
mod delivery_log;
mod dispatch;
#[cfg(feature = "emulator")]
pub mod emulator;
mod installed;
mod issues;
mod link;
mod path;
mod permission;
mod ports;
mod pull_requests;
mod read;
mod runs;
mod token;
mod transport;
mod wire;
mod workflows;

pub use app::AppDescription;
pub use client::{GitHub, GitHubOptions, GitHubOptionsError};
pub use installed::{InstalledRepositories, InstalledRepository, WorkflowText};
