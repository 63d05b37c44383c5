//! Policy files, by the contents API.
//!
//! The JSON form, not the raw one: it tells a file from a directory, a symlink and a submodule, and it has the blob.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dispatch_core::Timestamp;
use dispatch_core::name::{Repository, RepositoryId};
use dispatch_core::policy::{MAX_BYTES, PolicyPath};
use dispatch_core::ports::github::{FileRead, FileVersion, GitHubError};
use http::header::ETAG;
use http::{Method, StatusCode};

use crate::answer::{self, Effect};
use crate::client::{Call, CallError, GitHub};
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::token::{Seen, Token};
use crate::transport::{Answer, Body};
use crate::wire;

/// GitHub gives the content of files up to 1 MB: as base64 with a line break, escaped, after each 60 characters, and with
/// a few KiB around it.
pub(crate) const BODY_LIMIT: usize = 1_500_000;
/// GitHub's are about 70 characters.
const ETAG_LIMIT: usize = 200;

impl GitHub {
    pub(crate) async fn read(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        let call = Call {
            repository,
            id,
            permission: Permission::ContentsRead,
            effect: Effect::Read,
            method: Method::GET,
            path: ApiPath::contents(repository, path),
            body: None,
            known: known.map(|version| (path, version)),
            not_after: None,
            limit: BODY_LIMIT,
        };
        let mut answered = self.call(&call).await;
        if let Ok((token, answer)) = &answered
            && answer.status == StatusCode::NOT_FOUND
            && token.was_given(path)
        {
            // The file is gone, or the App is, and the name: only a new token tells.
            self.evict(token).await;
            answered = self.call(&call).await;
        }
        let (token, answer) = match answered {
            Ok(answered) => answered,
            Err(CallError::NotInstalled) => return Ok(FileRead::NotInstalled),
            Err(CallError::NoSuchRepository(_)) => return Ok(FileRead::NoSuchRepository),
            Err(CallError::GitHub(error)) => return Err(error),
        };
        match answer.status {
            StatusCode::OK => found(&token, path, &answer),
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(FileRead::NotModified),
            StatusCode::NOT_FOUND => {
                // The name may have passed to another repository, which this token cannot see: ask anew the next time.
                // The first look into a place is no reason for it; a 404 is what most repositories answer there.
                let before = token.told(path, Seen::Missing);
                if before.is_some() && id.is_none() {
                    self.evict(&token).await;
                }
                Ok(FileRead::NoSuchFile { repository: token.repository() })
            }
            status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => Ok(FileRead::NoSuchRepository),
            _ => Err(answer::failure(&answer, Effect::Read, Timestamp::now())),
        }
    }
}

fn found(token: &Token, path: PolicyPath, answer: &Answer) -> Result<FileRead, GitHubError> {
    let repository = token.repository();
    let Some(content) = content(answer)? else {
        token.told(path, Seen::Missing);
        return Ok(FileRead::NoSuchFile { repository });
    };
    let bytes = decode(&content, MAX_BYTES).ok_or_else(|| answer::unreadable(answer))?;
    let version = version(answer);
    token.told(path, Seen::Found(version.clone()));
    Ok(FileRead::Found { repository, bytes, blob_sha: answer::escape(&content.sha, 64), version })
}

/// What the contents API says of a file. None: what is there is none.
pub(crate) fn content(answer: &Answer) -> Result<Option<wire::Content<'_>>, GitHubError> {
    let json = match &answer.body {
        // A directory is an array of its entries.
        Body::Whole(bytes) | Body::Cut(bytes) if bytes.trim_ascii_start().starts_with(b"[") => return Ok(None),
        Body::Whole(bytes) => bytes,
        Body::Cut(_) | Body::Broken(_) => return Err(answer::unreadable(answer)),
    };
    let content: wire::Content<'_> = serde_json::from_slice(json).map_err(|_| answer::unreadable(answer))?;
    Ok((content.kind == "file").then_some(content))
}

/// The file's bytes, at most `most` and one more. None: they cannot be read.
pub(crate) fn decode(content: &wire::Content<'_>, most: usize) -> Option<Vec<u8>> {
    let too_long = content.size > most as u64;
    if content.encoding != "base64" {
        // GitHub gives no content over 1 MB. All that counts of it is that it is too long.
        return too_long.then(|| vec![b'\n'; most + 1]);
    }
    let mut base64 = content.content.as_bytes().to_vec();
    base64.retain(|byte| !byte.is_ascii_whitespace());
    let mut bytes = STANDARD.decode(base64).ok()?;
    bytes.truncate(most + 1);
    Some(bytes)
}

/// The `ETag`, quotes included. One that could not be sent back as it came is none.
fn version(answer: &Answer) -> Option<FileVersion> {
    let etag = answer.headers.get(ETAG)?.to_str().ok()?;
    (etag.len() <= ETAG_LIMIT).then(|| FileVersion { etag: etag.to_owned() })
}
