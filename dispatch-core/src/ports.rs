//! The outside, in this crate's words. Adapters implement these traits; no vendor type appears in a signature.

pub mod delivery_log;
pub mod github;
pub mod issues;
pub mod notices;
mod offline;
pub mod policies;
pub mod pull_requests;
pub mod store;

pub use delivery_log::DeliveryLogPort;
pub use github::{GitHubError, GitHubPort};
pub use issues::IssuePort;
pub use notices::NoticePort;
pub use offline::Offline;
pub use policies::{BoundedPolicyMemory, PolicyMemory};
pub use pull_requests::PullRequestPort;
pub use store::{StoreError, StorePort};
