//! Names as GitHub has them. Each type has one door: [`FromStr`], which `Deserialize` goes through too.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quote::quote;

/// A text is not a legal name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not {expected}", quote(text))]
pub struct NameError {
    /// The refused text, cut to its first 100 characters.
    pub text: String,
    /// What would have been accepted, as a noun phrase.
    pub expected: &'static str,
}

impl NameError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(100).collect(), expected }
    }
}

/// Declares a text type whose only way in is a check.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        check_text!($name, $valid, $expected);
    };
}

/// Declares the same for names that GitHub compares without case.
macro_rules! caseless_text {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        check_text!($name, $valid, $expected);
        compare_without_case!($name);
    };
}

macro_rules! check_text {
    ($name:ident, $valid:expr, $expected:literal) => {
        impl $name {
            /// The name as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(NameError::new(text, $expected)) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        display_as_str!($name);
    };
}

macro_rules! compare_without_case {
    ($name:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.as_str().eq_ignore_ascii_case(other.as_str())
            }
        }
        impl Eq for $name {}
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().bytes().for_each(|b| state.write_u8(b.to_ascii_lowercase()));
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                let [own, other] = [self, other].map(|name| name.as_str().bytes().map(|b| b.to_ascii_lowercase()));
                own.cmp(other)
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}

macro_rules! display_as_str {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }
    };
}

/// Declares a number that GitHub assigns. Ids exceed 2^31 (GitHub REST API description: all ids are int64).
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// The id of a repository. It stays when the repository is renamed, and a recreated name gets another one.
    RepositoryId
);
id!(
    /// The id of an installation of the App: one owner's consent to the App.
    InstallationId
);
id!(
    /// The id of a workflow run. Re-runs keep the id and count [`RunAttempt`](crate::event::WorkflowRun::attempt) up.
    RunId
);

id!(
    /// The number of an account. It stays when the account is renamed, and a recreated login gets another one.
    UserId
);
id!(
    /// The id of a comment.
    CommentId
);
id!(
    /// The id of a check run.
    CheckRunId
);
id!(
    /// The number of a pull request in its repository. Pull requests and issues share one count.
    PullRequestNumber
);

mod words;
pub use self::words::{ArgumentWord, CheckId, CommandName, EnvironmentName, EventType, TeamName};

/// `owner/name`. Compares without case, as GitHub does (REST API description: "not case sensitive"), prints as written.
#[derive(Clone)]
pub struct Repository(Arc<FullName>);

struct FullName {
    text: Box<str>,
    /// The same in lower case: what is compared.
    key: Box<str>,
    slash: usize,
}

impl Owner {
    /// The owner's repository `.github`, whose policy file holds what the owner allows in all of his repositories.
    #[must_use]
    pub fn dot_github(&self) -> Repository {
        Repository::split(&format!("{self}/.github"), self.0.len())
    }
}

impl Repository {
    /// The longest legal `owner/name`: 39 + 1 + 100 characters.
    pub const MAX_LENGTH: usize = 140;

    /// Joins an owner and a repository name without owner.
    ///
    /// # Errors
    /// The name is not one that GitHub would accept.
    pub fn of(owner: &Owner, name: &str) -> Result<Self, NameError> {
        format!("{owner}/{name}").parse().map_err(|_| NameError::new(name, "a repository name"))
    }

    /// `owner/name`, as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The account that the repository belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner(self.0.text.get(..self.0.slash).unwrap_or_default().into())
    }

    /// The part behind the slash, as written.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.text.get(self.0.slash + 1..).unwrap_or_default()
    }

    /// `owner/name` in lower case: the form to use in a key.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.key.to_string()
    }

    /// Whether both repositories belong to the same owner.
    #[must_use]
    pub fn same_owner(&self, other: &Self) -> bool {
        self.0.key.get(..self.0.slash) == other.0.key.get(..other.0.slash)
    }

    /// `full` is `owner/name`, and the slash is there.
    fn split(full: &str, slash: usize) -> Self {
        Self(Arc::new(FullName { text: full.into(), key: full.to_ascii_lowercase().into(), slash }))
    }
}

impl FromStr for Repository {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::new(text, "a repository as `owner/name`");
        let (owner, name) = text.split_once('/').ok_or_else(error)?;
        if !valid_owner(owner) || !valid_repository_name(name) {
            return Err(error());
        }
        Ok(Self::split(text, owner.len()))
    }
}

impl<'de> Deserialize<'de> for Repository {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PartialEq for Repository {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Repository {}

impl Hash for Repository {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl Ord for Repository {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl PartialOrd for Repository {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

display_as_str!(Repository);

caseless_text!(
    /// An account that owns repositories: an organisation or a user. Compares without case, prints as written.
    Owner, valid_owner, "an account name"
);

checked_text!(
    /// A workflow's file name, such as `ci.yml`: one segment, ending in `.yml` or `.yaml`. Compares with case.
    ///
    /// In a policy it may be written with its folder; the folder is dropped:
    ///
    /// ```
    /// use dispatch_core::name::WorkflowFile;
    /// let written = WorkflowFile::from_policy(".github/workflows/ci.yml").unwrap();
    /// assert_eq!(written.as_str(), "ci.yml");
    /// assert!(WorkflowFile::from_policy("workflows/ci.yml").is_err());
    /// ```
    WorkflowFile, valid_workflow_file, "a workflow file name ending in `.yml` or `.yaml`"
);

impl WorkflowFile {
    /// The only folder that GitHub reads workflows from.
    pub const FOLDER: &'static str = ".github/workflows/";

    /// Reads the form of a policy file: a file name, or `.github/workflows/<file name>`.
    ///
    /// # Errors
    /// Any other folder, more than one segment, or another file extension.
    pub fn from_policy(text: &str) -> Result<Self, NameError> {
        text.strip_prefix(Self::FOLDER).unwrap_or(text).parse()
    }

    /// Reads the `path` of a workflow run, if it is a file of the run's own repository. GitHub writes it plain, with `@ref`
    /// behind it, or with `owner/repo/` before it (REST API description, `path` of a workflow run); `dynamic/...` is no file.
    ///
    /// ```
    /// use dispatch_core::name::WorkflowFile;
    /// let own = "acme/api".parse().unwrap();
    /// let read = |path| WorkflowFile::from_run_path(path, &own).map(|file| file.to_string());
    /// assert_eq!(read(".github/workflows/ci.yml@main"), Some("ci.yml".to_owned()));
    /// assert_eq!(read("Acme/API/.github/workflows/ci.yml"), Some("ci.yml".to_owned()));
    /// assert_eq!(read("evil/api/.github/workflows/ci.yml"), None);
    /// ```
    #[must_use]
    pub fn from_run_path(path: &str, own: &Repository) -> Option<Self> {
        let path = path.split_once('@').map_or(path, |(path, _ref)| path);
        let file = match path.split_once("/.github/workflows/") {
            Some((repository, file)) if repository.parse().is_ok_and(|found: Repository| found == *own) => file,
            Some(_) => return None,
            None => path.strip_prefix(Self::FOLDER)?,
        };
        file.parse().ok()
    }
}

checked_text!(
    /// A branch as a webhook names it (`head_branch`). It can be a tag's name: only a check of the commit tells them apart.
    ///
    /// At most 255 bytes without control characters. Everything else that git allows is kept as it is, `$(id)` too:
    /// it is compared, and never handed to a shell.
    Branch, valid_branch, "a branch name"
);

checked_text!(
    /// A branch or a tag to run a workflow at, bare or as `refs/heads/...` / `refs/tags/...`.
    ///
    /// A commit (40 hex digits) and other refs (`pull/...`, `refs/pull/...`) are refused: GitHub's dispatch takes
    /// branches and tags only, and a pull request's ref is a stranger's code.
    GitRef, valid_git_ref, "a branch or a tag"
);

impl GitRef {
    /// The name without `refs/heads/` or `refs/tags/`: what a run that was started there has as its `head_branch`.
    #[must_use]
    pub fn short_name(&self) -> &str {
        let text = self.as_str();
        text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/")).unwrap_or(text)
    }
}

checked_text!(
    /// A commit: 40 lowercase hexadecimal digits.
    CommitSha, |text| text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "a commit (40 lowercase hexadecimal digits)"
);

caseless_text!(
    /// A user's or an App's login; an App's ends in `[bot]`. Compares without case, prints as written.
    Login, |text| valid_owner(text.strip_suffix("[bot]").unwrap_or(text)), "a login"
);

checked_text!(
    /// The GUID in `X-GitHub-Delivery`. A redelivery carries the same one. Any 1-100 letters, digits and `-` are taken.
    DeliveryId, |text| (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "a delivery id"
);

/// Accounts: up to 39 characters, letters, digits and `-`; `_` occurs in enterprise-managed accounts.
fn valid_owner(text: &str) -> bool {
    (1..=39).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Repositories: up to 100 characters of `[A-Za-z0-9._-]`, not `.`, `..`, and not ending in `.git` or `.wiki`.
fn valid_repository_name(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !matches!(text, "." | "..")
        && !lower.ends_with(".git")
        && !lower.ends_with(".wiki")
}

fn valid_workflow_file(text: &str) -> bool {
    let stem = text.strip_suffix(".yml").or_else(|| text.strip_suffix(".yaml"));
    stem.is_some_and(|stem| !stem.is_empty())
        && text.len() <= 255
        && !text.starts_with('.')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ' | '+' | '(' | ')' | ','))
}

fn valid_branch(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// git check-ref-format, and GitHub's additions ("Dealing with special characters in branch and tag names").
fn valid_git_ref(text: &str) -> bool {
    let name = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/")).unwrap_or(text);
    let commit = name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit());
    !commit
        && (1..=255).contains(&text.len())
        && name != "@"
        && !name.starts_with("refs/")
        && !name.starts_with("pull/")
        && !name.ends_with('.')
        && !name.starts_with('-')
        && !name.contains("..")
        && !name.contains("@{")
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
        && !name.chars().any(|c| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which texts a name type takes, and that JSON is the same door.
    fn takes<N: FromStr<Err = NameError> + fmt::Display + for<'de> Deserialize<'de>>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(text.parse::<N>().unwrap_or_else(|error| panic!("{error}")).to_string(), *text);
            assert!(serde_json::from_value::<N>((*text).into()).is_ok(), "{text:?} as JSON");
        }
        for text in bad {
            assert!(text.parse::<N>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<N>((*text).into()).is_err(), "{text:?} as JSON");
        }
    }

    /// A letter, so many times.
    fn long(length: usize) -> String {
        "a".repeat(length)
    }

    #[test]
    fn owners() {
        takes::<Owner>(
            &["a", "acme", "Acme-Corp", "jane_acme", "old-", "0", &long(39)],
            &["", "-acme", "a b", "a/b", "a.b", "ä", "a\n", "acme[bot]", "*", &long(40)],
        );
    }

    #[test]
    fn repositories() {
        takes::<Repository>(
            &["acme/api", "Acme/.github", "a/_", "a/a.git.x", "a/..a", &format!("a/{}", long(100))],
            &[
                "",
                "api",
                "/api",
                "acme/",
                "acme//api",
                "acme/a/b",
                "acme/.",
                "acme/..",
                "acme/a.git",
                "acme/a.GIT",
                "a/b.wiki",
                "acme/a b",
                "acme/ä",
                "-a/b",
                "acme/api\n",
                "acme/*",
                "acme/%2e",
                &format!("a/{}", long(101)),
            ],
        );
    }

    #[test]
    fn workflow_files() {
        takes::<WorkflowFile>(
            &["ci.yml", "ci.yaml", "CI.yml", "a b.yml", "näme.yml", "a.b-c_d+(1),2.yml", "ci.yml.yml"],
            &[
                "",
                ".yml",
                "ci",
                "ci.YML",
                "ci.yml ",
                "ci.json",
                "a/ci.yml",
                "../ci.yml",
                "..yml",
                ".ci.yml",
                "ci.yml?x",
                "ci%2f.yml",
                "ci.yml\n.yml",
                "a\\b.yml",
                "ci.yml@main",
                &format!("{}.yml", long(252)),
            ],
        );
        for (written, expected) in [("ci.yml", "ci.yml"), (".github/workflows/ci.yml", "ci.yml")] {
            assert_eq!(WorkflowFile::from_policy(written).unwrap().as_str(), expected);
        }
        for refused in
            ["workflows/ci.yml", "./.github/workflows/ci.yml", ".github/workflows/a/ci.yml", ".github/workflows/"]
        {
            assert!(WorkflowFile::from_policy(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn branches_are_what_git_allows() {
        takes::<Branch>(
            &["main", "a/b", "$(id)", "-x", "ü", "a b", &long(255)],
            &["", "a\nb", "a\0", "\u{7f}", &long(256)],
        );
    }

    #[test]
    fn refs_are_branches_and_tags_only() {
        takes::<GitRef>(
            &[
                "main",
                "v1.2",
                "release/1",
                "refs/heads/main",
                "refs/tags/v1",
                "a@b",
                "ü",
                "pull",
                "pulls/1",
                "a.b",
                "$(id)",
                "heads/x",
                &long(39),
                &long(41),
            ],
            &[
                "",
                "@",
                "a..b",
                "a@{1}",
                "/a",
                "a/",
                "a//b",
                ".a",
                "a/.b",
                "a.lock",
                "a.lock/b",
                "a.",
                "-a",
                "a b",
                "a~1",
                "a^",
                "a:b",
                "a?",
                "a*",
                "a[",
                "a\\b",
                "a\n",
                "pull/1/head",
                "refs/pull/1/head",
                "refs/remotes/x",
                "refs/heads/",
                "refs/heads/refs/x",
                "refs/notes/x",
                &long(40),
                &format!("refs/heads/{}", "F".repeat(40)),
                &long(256),
            ],
        );
    }

    #[test]
    fn commits_logins_and_delivery_ids() {
        takes::<CommitSha>(&[&long(40)], &["", "main", &long(39), &long(41), &"A".repeat(40), &"g".repeat(40)]);
        takes::<Login>(&["jane", "jane_acme", "dependabot[bot]"], &["", "[bot]", "a[bot][bot]", "a b", "jane\n"]);
        takes::<DeliveryId>(&["72d3162e-cc78-11e3-81ab-4c9367dc0958", "x"], &["", "a b", "a/b", "ä", &long(101)]);
    }

    #[test]
    fn owners_and_repositories_compare_without_case_and_print_as_written() {
        let (written, other): (Repository, Repository) = ("Acme/Api".parse().unwrap(), "aCME/aPI".parse().unwrap());
        assert_eq!(written, other);
        assert_eq!(written.cmp(&other), Ordering::Equal);
        assert_eq!(written.key(), other.key());
        assert_eq!(written.to_string(), "Acme/Api");
        assert_eq!((written.owner().as_str(), written.name()), ("Acme", "Api"));
        assert!(written.same_owner(&"acme/x".parse().unwrap()));
        assert!(!written.same_owner(&"acm/eapi".parse().unwrap()));
        assert_eq!(Repository::of(&other.owner(), "web").unwrap().as_str(), "aCME/web");
        assert!(Repository::of(&other.owner(), "x/web").is_err());
    }

    #[test]
    fn logins_compare_without_case_and_print_as_written() {
        let (written, other): (Login, Login) = ("My-App[bot]".parse().unwrap(), "my-app[bot]".parse().unwrap());
        assert_eq!(written, other);
        assert_eq!(written.cmp(&other), Ordering::Equal);
        assert_eq!(written.to_string(), "My-App[bot]");
    }

    #[test]
    fn other_names_compare_with_case() {
        assert_ne!("ci.yml".parse::<WorkflowFile>(), "CI.yml".parse());
        assert_ne!("main".parse::<Branch>(), "Main".parse());
    }

    #[test]
    fn a_refused_name_is_shown_escaped_and_cut() {
        let error = format!("\u{1b}[2J\n{}", long(1_000)).parse::<Repository>().unwrap_err().to_string();
        assert!(error.len() < 250 && !error.contains(['\u{1b}', '\n']), "{error}");
    }
}
