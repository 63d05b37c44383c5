//! GitHub for [`dispatch_core`]: its [`GitHubPort`](dispatch_core::ports::GitHubPort) over real HTTP.
//!
//! Every call is made by a token for that one repository and that one permission; a file that did not change costs no
//! rate limit; a call that writes is sent once, and its answer is read strictly: done, refused, not now, or in doubt.
//! Requests go to the configured API and nowhere else: redirects, `Link` headers and URLs in answers are never followed.
//!
//! 1. [`client`]: [`GitHub`], its options, and the port's methods, in `read`, `compare`, `dispatch` and `runs`.
//! 2. `token`: App, installation, token; `permission`: what a token may do.
//! 3. `transport`: one request, one answer; `path`: the only places where requests go; `wire`: what is read of answers.
//! 4. `answer`: what an answer that is no success means.
//! 5. With feature `emulator`, `emulator` is GitHub behind real HTTP, for tests and for the demo.

mod answer;
pub mod client;
mod compare;
mod dispatch;
#[cfg(feature = "emulator")]
pub mod emulator;
mod path;
mod permission;
mod rate_limit;
mod read;
mod runs;
mod token;
mod transport;
mod wire;

pub use client::{GitHub, GitHubOptions, GitHubOptionsError};
pub use rate_limit::RateLimit;
