//! All repositories of an account that the App is installed on, and the files of their workflows.

use dispatch_core::Timestamp;
use dispatch_core::name::{InstallationId, Owner, WorkflowFile};
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::workflow::MAX_WORKFLOWS;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use crate::answer::{self, Effect};
use crate::app::{self, parse};
use crate::budget::Payer;
use crate::client::{Call, GitHub};
use crate::link;
use crate::path::{ApiPath, PER_PAGE};
use crate::permission::Permission;
use crate::transport::{Answer, ApiRequest, Body};
use crate::wire;
use crate::workflows::{CONCURRENT, Text};

/// Pages that are read at most: 10,000 repositories.
const PAGES: usize = 100;
/// A page holds 100 repositories of about 6 KiB.
const PAGE_LIMIT: usize = 4 * 1024 * 1024;
/// GitHub lists up to 1,000 files of a folder, each with about 1 KiB.
const FOLDER_LIMIT: usize = 4 * 1024 * 1024;

/// A repository that the App is installed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledRepository {
    /// Its id and its name.
    pub repository: RepositoryRef,
    /// Whether it is read-only: nothing starts there.
    pub archived: bool,
}

/// The file of a workflow on the default branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowText {
    /// Its name.
    pub file: WorkflowFile,
    /// Its text, at most 256 KiB. None: it is longer, it cannot be read, or it is no regular file.
    pub text: Option<Vec<u8>>,
}

/// The repositories of an account, page by page. Its token may read their metadata, and nothing else.
pub struct InstalledRepositories<'a> {
    github: &'a GitHub,
    account: Owner,
    token: Option<(InstallationId, SecretString)>,
    /// The page to ask for next; None: there is no other one.
    page: Option<usize>,
}

impl GitHub {
    /// The repositories of an account - a person's or an organisation's - that the App is installed on. Nothing is asked yet.
    #[must_use]
    pub fn installed_repositories(&self, account: &Owner) -> InstalledRepositories<'_> {
        InstalledRepositories { github: self, account: account.clone(), token: None, page: Some(1) }
    }

    /// The files in `.github/workflows` of a repository's default branch (`contents: read`), by name, at most 100; None: there
    /// is no such folder.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    pub async fn workflow_files(&self, repository: &RepositoryRef) -> Result<Option<Vec<WorkflowText>>, GitHubError> {
        let path = ApiPath::workflow_folder(&repository.name);
        let answer = self.ask(&Call::read(repository, Permission::ContentsRead, path, FOLDER_LIMIT)).await?;
        let Some(entries) = folder(&answer)? else { return Ok(None) };
        let named = entries.into_iter().filter_map(|entry| Some((entry.name.parse().ok()?, entry.kind == "file")));
        let mut files: Vec<(WorkflowFile, bool)> = named.collect();
        files.sort();
        files.truncate(MAX_WORKFLOWS);
        let texts = files.into_iter().map(|(file, is_file)| async move {
            let text = if is_file { self.read_workflow(repository, &file).await? } else { Text::Unreadable };
            Ok(match text {
                Text::Found(text) => Some(WorkflowText { file, text: Some(text) }),
                Text::Unreadable => Some(WorkflowText { file, text: None }),
                // It was removed since the folder was listed.
                Text::Missing => None,
            })
        });
        let found = stream::iter(texts).buffered(CONCURRENT).try_filter_map(|found| async { Ok(found) });
        found.try_collect().await.map(Some)
    }
}

impl InstalledRepositories<'_> {
    /// The next page; None: that was all. Repositories that come or go meanwhile move others to another page: one can be there
    /// twice. After an error the same page is asked for again.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`]. [`GitHubError::Refused`] with 404: the App is not installed for that
    /// account, or there is none.
    pub async fn next_page(&mut self) -> Result<Option<Vec<InstalledRepository>>, GitHubError> {
        let Some(page) = self.page else { return Ok(None) };
        let mut answer = self.ask(page).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.token = None;
            answer = self.ask(page).await?;
        }
        if !answer.status.is_success() {
            return Err(answer::failure(&answer, Effect::Read, Timestamp::now()));
        }
        let listed: wire::Installed = parse(&answer)?;
        let more = link::query(&answer.headers, "next").is_some();
        if more && page >= PAGES {
            return Err(app::unavailable(&format!(
                "`{}` has more than {} repositories",
                self.account,
                PAGES * PER_PAGE
            )));
        }
        self.page = more.then_some(page + 1);
        let repositories = listed.repositories.into_iter().map(|found| {
            let repository = RepositoryRef { id: found.id, name: found.full_name };
            InstalledRepository { repository, archived: found.archived }
        });
        Ok(Some(repositories.collect()))
    }

    async fn ask(&mut self, page: usize) -> Result<Answer, GitHubError> {
        let (installation, authorization) = match self.token.take() {
            Some(token) => token,
            None => self.mint().await?,
        };
        let (_, authorization) = self.token.insert((installation, authorization));
        let permit = self.github.budgets.acquire(Payer::Installation(installation), &Method::GET).await?;
        let request = ApiRequest {
            method: Method::GET,
            path: &ApiPath::installed_repositories(page),
            authorization,
            if_none_match: None,
            body: None,
            limit: PAGE_LIMIT,
        };
        let sent = self.github.transport.send(request).await;
        permit.settle(sent.as_ref().ok());
        sent.map_err(|error| answer::no_answer(error, Effect::Read))
    }

    async fn mint(&self) -> Result<(InstallationId, SecretString), GitHubError> {
        let not_there = || GitHubError::Refused {
            status: 404,
            message: format!("the App is not installed for `{}`", self.account),
            permission: None,
        };
        let path = ApiPath::account_installation(&self.account);
        let answer = self.as_app(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(not_there());
        }
        let installation: wire::Installation = parse(succeeded(&answer)?)?;
        if installation.suspended_at.is_some() {
            return Err(not_there());
        }
        let body = wire::AccountTokenRequest { permissions: Permission::MetadataRead };
        let body = serde_json::to_vec(&body).map_err(|error| app::unavailable(&error.to_string()))?;
        let answer = self.as_app(Method::POST, &ApiPath::access_tokens(installation.id), Some(body)).await?;
        let minted: wire::AccountToken = parse(succeeded(&answer)?)?;
        Ok((installation.id, format!("Bearer {}", minted.token.expose_secret()).into()))
    }

    async fn as_app(&self, method: Method, path: &ApiPath, body: Option<Vec<u8>>) -> Result<Answer, GitHubError> {
        self.github.app.call(method, path, body, Effect::Read, app::BODY_LIMIT).await
    }
}

fn succeeded(answer: &Answer) -> Result<&Answer, GitHubError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(answer::failure(answer, Effect::Read, Timestamp::now()))
}

/// The entries of a folder. None: what is there is none, or nothing is there.
fn folder(answer: &Answer) -> Result<Option<Vec<wire::Entry>>, GitHubError> {
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    match &succeeded(answer)?.body {
        // A file is an object.
        Body::Whole(bytes) if !bytes.trim_ascii_start().starts_with(b"[") => Ok(None),
        _ => parse(answer).map(Some),
    }
}
