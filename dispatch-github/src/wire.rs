//! What is read of GitHub's answers: only the fields that are used, so that a new or a missing other one changes nothing.

use std::borrow::Cow;

use dispatch_core::Timestamp;
use dispatch_core::name::{CommitSha, DeliveryId, InstallationId, Login, Owner, RepositoryId, RunId};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

use crate::permission::Permission;

mod checks;
mod comments;
mod installed;
mod pull_requests;
mod workflows;
pub(crate) use self::checks::{CheckRun, CheckRuns, CheckUpdate, CreatedCheck, NewCheck};
pub(crate) use self::comments::{Comment, CommentText, NewReaction};
pub(crate) use self::installed::{AccountToken, AccountTokenRequest, Entry, Installed};
pub(crate) use self::pull_requests::{Collaborator, Membership, PullRequest, State};
pub(crate) use self::workflows::Workflows;

/// A longer address is no page of GitHub's.
const URL_LIMIT: usize = 1_024;

/// The answer to "Get the authenticated app".
#[derive(Deserialize)]
pub(crate) struct App {
    #[serde(default)]
    pub(crate) slug: Option<String>,
    #[serde(default)]
    pub(crate) owner: Option<AppOwner>,
}

/// Who owns the App. An enterprise that does has no login.
#[derive(Deserialize)]
pub(crate) struct AppOwner {
    #[serde(default)]
    pub(crate) login: Option<Owner>,
}

/// The answer to "Get a repository installation for the authenticated app", and to that for an account.
#[derive(Deserialize)]
pub(crate) struct Installation {
    pub(crate) id: InstallationId,
    /// Set while the installation is suspended.
    #[serde(default)]
    pub(crate) suspended_at: Option<serde::de::IgnoredAny>,
}

/// The body of "Create an installation access token for an app": one repository, one permission.
#[derive(Serialize)]
pub(crate) struct TokenRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repository_ids: Option<[RepositoryId; 1]>,
    /// The name without its owner: the installation has the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repositories: Option<[&'a str; 1]>,
    pub(crate) permissions: Permission,
}

/// The answer to it. Deliberately without `Debug`.
#[derive(Deserialize)]
pub(crate) struct InstallationToken {
    /// Opaque: its form and length change (GitHub changelog, 2026-05-15).
    #[serde(deserialize_with = "secret")]
    pub(crate) token: SecretString,
    pub(crate) expires_at: Timestamp,
    #[serde(default)]
    pub(crate) repositories: Vec<TokenRepository>,
}

/// A repository that a token is for.
#[derive(Deserialize)]
pub(crate) struct TokenRepository {
    pub(crate) id: RepositoryId,
    pub(crate) full_name: String,
    pub(crate) private: bool,
}

/// The answer to "Get repository content" for a file. GitHub gives no content for files over 1 MB.
#[derive(Deserialize)]
pub(crate) struct Content<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(crate) sha: Cow<'a, str>,
    #[serde(default)]
    pub(crate) size: u64,
    /// `base64`; `none` where the content is left out.
    #[serde(default, borrow)]
    pub(crate) encoding: Cow<'a, str>,
    /// Base64 with line breaks.
    #[serde(default, borrow)]
    pub(crate) content: Cow<'a, str>,
}

/// The answer to "Compare two commits".
#[derive(Deserialize)]
pub(crate) struct Comparison {
    pub(crate) status: ComparisonStatus,
    pub(crate) merge_base_commit: Option<MergeBase>,
}

/// The newest commit that both sides of a comparison have.
#[derive(Deserialize)]
pub(crate) struct MergeBase {
    pub(crate) sha: CommitSha,
}

/// Where the head of a comparison stands, seen from its base.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ComparisonStatus {
    Identical,
    Behind,
    Ahead,
    Diverged,
}

/// The answer to "Create a workflow dispatch event" with `return_run_details`.
#[derive(Deserialize)]
pub(crate) struct RunDetails {
    pub(crate) workflow_run_id: RunId,
    #[serde(default)]
    pub(crate) html_url: String,
}

/// The answer to "List workflow runs for a repository".
#[derive(Deserialize)]
pub(crate) struct Runs {
    /// How many there are on all pages.
    #[serde(default)]
    pub(crate) total_count: Option<usize>,
    pub(crate) workflow_runs: Vec<Run>,
}

/// A run in that list. Without its id or its time nothing can be said about it.
#[derive(Deserialize)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) created_at: Timestamp,
    #[serde(default)]
    pub(crate) html_url: Option<String>,
    #[serde(default)]
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) display_title: Option<String>,
    pub(crate) event: Option<String>,
    #[serde(default)]
    pub(crate) head_branch: Option<String>,
    #[serde(default)]
    pub(crate) actor: Option<Account>,
    #[serde(default)]
    pub(crate) run_attempt: Option<u32>,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) conclusion: Option<String>,
    #[serde(default)]
    pub(crate) updated_at: Option<Timestamp>,
}

/// An account.
#[derive(Deserialize)]
pub(crate) struct Account {
    #[serde(default)]
    pub(crate) login: Option<String>,
}

impl Account {
    /// Whether it has that login.
    pub(crate) fn is(&self, login: &Login) -> bool {
        self.login.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(login.as_str()))
    }
}

/// An issue in the answer to "List repository issues", or the answer to "Create an issue".
#[derive(Deserialize)]
pub(crate) struct Issue {
    pub(crate) number: u64,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) user: Option<Account>,
    /// Set for a pull request, which GitHub lists among the issues.
    #[serde(default)]
    pub(crate) pull_request: Option<serde::de::IgnoredAny>,
}

/// The body of "Create an issue".
#[derive(Serialize)]
pub(crate) struct NewIssue<'a> {
    pub(crate) title: &'a str,
    pub(crate) body: &'a str,
}

/// The body of "Update an issue".
#[derive(Serialize)]
pub(crate) struct IssueUpdate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<&'static str>,
}

/// An attempt in the answer to "List deliveries for an app webhook".
#[derive(Deserialize)]
pub(crate) struct Attempt {
    pub(crate) id: u64,
    pub(crate) guid: DeliveryId,
    pub(crate) delivered_at: Timestamp,
    #[serde(default)]
    pub(crate) status: Option<String>,
    /// Missing or 0 where nobody answered.
    #[serde(default)]
    pub(crate) status_code: Option<u32>,
    #[serde(default)]
    pub(crate) event: Option<String>,
    #[serde(default)]
    pub(crate) action: Option<String>,
    #[serde(default)]
    pub(crate) repository_id: Option<RepositoryId>,
}

/// A page is shown as a link: nothing but a web address will do, else none.
pub(crate) fn page(url: String) -> String {
    if is_page(&url) { url } else { String::new() }
}

fn is_page(url: &str) -> bool {
    let web = url.starts_with("https://") || url.starts_with("http://");
    web && url.len() <= URL_LIMIT && url.bytes().all(|b| b.is_ascii_graphic())
}

/// An answer that says no.
#[derive(Deserialize)]
pub(crate) struct Refusal<'a> {
    #[serde(borrow)]
    pub(crate) message: Cow<'a, str>,
}

pub(crate) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}
