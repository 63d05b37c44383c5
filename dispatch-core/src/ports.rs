//! The outside, in this crate's words. Adapters implement these traits; no vendor type appears in a signature.

pub mod github;
pub mod policies;
pub mod store;

pub use github::{GitHubError, GitHubPort};
pub use policies::{BoundedPolicyMemory, PolicyMemory};
pub use store::{StoreError, StorePort};
