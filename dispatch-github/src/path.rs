//! The only places where requests go. A path is made of checked names, each percent-encoded as one segment, so that no
//! name can reach another endpoint.

use std::fmt;

use dispatch_core::name::{
    Branch, CheckRunId, CommentId, CommitSha, InstallationId, Login, Owner, PullRequestNumber, Repository, TeamName,
    WorkflowFile,
};
use dispatch_core::policy::PolicyPath;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// RFC 3986's unreserved characters stay; everything else is encoded, `/` too.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Items on the largest page ("Using pagination in the REST API").
pub(crate) const PER_PAGE: usize = 100;

/// A path of GitHub's REST API, with its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiPath(String);

impl ApiPath {
    /// "Get the authenticated app"
    pub(crate) fn app() -> Self {
        Self("/app".to_owned())
    }

    /// "Get a repository installation for the authenticated app"
    pub(crate) fn installation(repository: &Repository) -> Self {
        Self(format!("{}/installation", repo(repository)))
    }

    /// "Get a user installation for the authenticated app". Taken to answer for organisations too, whose own is
    /// "Get an organization installation for the authenticated app".
    pub(crate) fn account_installation(account: &Owner) -> Self {
        Self(format!("/users/{}/installation", segment(account.as_str())))
    }

    /// "List repositories accessible to the app installation", one page of them, counted from 1.
    pub(crate) fn installed_repositories(page: usize) -> Self {
        Self(format!("/installation/repositories?per_page={PER_PAGE}&page={page}"))
    }

    /// "Create an installation access token for an app"
    pub(crate) fn access_tokens(installation: InstallationId) -> Self {
        Self(format!("/app/installations/{installation}/access_tokens"))
    }

    /// "Get repository content", on the default branch: without `ref`.
    pub(crate) fn contents(repository: &Repository, path: PolicyPath) -> Self {
        Self(format!("{}/contents/{path}", repo(repository)))
    }

    /// "Get repository content", at a commit.
    pub(crate) fn contents_at(repository: &Repository, path: PolicyPath, commit: &CommitSha) -> Self {
        Self(format!("{}/contents/{path}?ref={commit}", repo(repository)))
    }

    /// "Get repository content" of the folder of workflows, on the default branch.
    pub(crate) fn workflow_folder(repository: &Repository) -> Self {
        Self(format!("{}/contents/.github/workflows", repo(repository)))
    }

    /// "Get repository content" of a workflow's file, on the default branch.
    pub(crate) fn workflow_file(repository: &Repository, workflow: &WorkflowFile) -> Self {
        Self(format!("{}/contents/.github/workflows/{}", repo(repository), segment(workflow.as_str())))
    }

    /// "Compare two commits", the branch as base. `refs/heads/` keeps a tag of the same name from winning. The second page
    /// of one commit each lists no files and at most one commit: only the comparison itself is wanted.
    ///
    /// None: git knows no such branch name, and `...` or `:` in it would make GitHub compare something else.
    pub(crate) fn compare(repository: &Repository, branch: &Branch, sha: &CommitSha) -> Option<Self> {
        let branch = branch.as_str();
        let impossible = |c: char| matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        if branch.contains("..") || branch.contains(impossible) {
            return None;
        }
        let base = format!("refs/heads/{branch}");
        Some(Self(format!("{}/compare/{}...{sha}?page=2&per_page=1", repo(repository), segment(&base))))
    }

    /// "Create a workflow dispatch event", the workflow by its file name.
    pub(crate) fn workflow_dispatches(repository: &Repository, workflow: &WorkflowFile) -> Self {
        Self(format!("{}/actions/workflows/{}/dispatches", repo(repository), segment(workflow.as_str())))
    }

    /// "Create a repository dispatch event"
    pub(crate) fn dispatches(repository: &Repository) -> Self {
        Self(format!("{}/dispatches", repo(repository)))
    }

    /// "List repository workflows", the first page of them.
    pub(crate) fn workflows(repository: &Repository) -> Self {
        Self(format!("{}/actions/workflows?per_page={PER_PAGE}", repo(repository)))
    }

    /// "List workflow runs for a repository", one page of them, counted from 1. Without any filter.
    pub(crate) fn runs(repository: &Repository, page: usize) -> Self {
        Self(format!("{}/actions/runs?per_page={PER_PAGE}&page={page}", repo(repository)))
    }

    /// "List repository issues": the open ones of one creator, one page of them, counted from 1.
    pub(crate) fn open_issues(repository: &Repository, creator: &Login, page: usize) -> Self {
        let creator = segment(creator.as_str());
        Self(format!("{}/issues?state=open&creator={creator}&per_page={PER_PAGE}&page={page}", repo(repository)))
    }

    /// "Create an issue"
    pub(crate) fn issues(repository: &Repository) -> Self {
        Self(format!("{}/issues", repo(repository)))
    }

    /// "Update an issue"
    pub(crate) fn issue(repository: &Repository, number: u64) -> Self {
        Self(format!("{}/issues/{number}", repo(repository)))
    }

    /// "Get a pull request"
    pub(crate) fn pull_request(repository: &Repository, number: PullRequestNumber) -> Self {
        Self(format!("{}/pulls/{number}", repo(repository)))
    }

    /// "Get repository permissions for a user"
    pub(crate) fn permission(repository: &Repository, login: &Login) -> Self {
        Self(format!("{}/collaborators/{}/permission", repo(repository), segment(login.as_str())))
    }

    /// "Get team membership for a user"
    pub(crate) fn membership(team: &TeamName, login: &Login) -> Self {
        let (organisation, slug) = (segment(team.organisation().as_str()), segment(team.slug()));
        Self(format!("/orgs/{organisation}/teams/{slug}/memberships/{}", segment(login.as_str())))
    }

    /// "List issue comments" of a pull request, oldest first, one page of them, counted from 1.
    pub(crate) fn comments_page(repository: &Repository, number: PullRequestNumber, page: usize) -> Self {
        Self(format!("{}/issues/{number}/comments?per_page={PER_PAGE}&page={page}", repo(repository)))
    }

    /// "Create an issue comment" on a pull request
    pub(crate) fn comments(repository: &Repository, number: PullRequestNumber) -> Self {
        Self(format!("{}/issues/{number}/comments", repo(repository)))
    }

    /// "Update an issue comment"
    pub(crate) fn comment(repository: &Repository, id: CommentId) -> Self {
        Self(format!("{}/issues/comments/{id}", repo(repository)))
    }

    /// "Create reaction for an issue comment"
    pub(crate) fn reactions(repository: &Repository, id: CommentId) -> Self {
        Self(format!("{}/issues/comments/{id}/reactions", repo(repository)))
    }

    /// "List check runs for a Git reference": all of one App with one name, not only the latest, one page of them, counted
    /// from 1.
    pub(crate) fn check_runs_of(repository: &Repository, sha: &CommitSha, name: &str, app: u64, page: usize) -> Self {
        let name = segment(name);
        let query = format!("check_name={name}&app_id={app}&filter=all&per_page={PER_PAGE}&page={page}");
        Self(format!("{}/commits/{sha}/check-runs?{query}", repo(repository)))
    }

    /// "Create a check run"
    pub(crate) fn check_runs(repository: &Repository) -> Self {
        Self(format!("{}/check-runs", repo(repository)))
    }

    /// "Update a check run"
    pub(crate) fn check_run(repository: &Repository, id: CheckRunId) -> Self {
        Self(format!("{}/check-runs/{id}", repo(repository)))
    }

    /// "List deliveries for an app webhook"
    pub(crate) fn deliveries(cursor: Option<&str>) -> Self {
        let cursor = cursor.map(|cursor| format!("&cursor={}", segment(cursor))).unwrap_or_default();
        Self(format!("/app/hook/deliveries?per_page={PER_PAGE}{cursor}"))
    }

    /// "Redeliver a delivery for an app webhook"
    pub(crate) fn delivery_attempts(attempt: u64) -> Self {
        Self(format!("/app/hook/deliveries/{attempt}/attempts"))
    }
}

impl fmt::Display for ApiPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn repo(repository: &Repository) -> String {
    format!("/repos/{}/{}", segment(repository.owner().as_str()), segment(repository.name()))
}

fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, SEGMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        "acme/app".parse().unwrap()
    }

    #[test]
    fn a_workflow_name_stays_one_segment() {
        for (file, encoded) in [
            ("cd.yml", "cd.yml"),
            ("my flow (1).yml", "my%20flow%20%281%29.yml"),
            ("größe.yaml", "gr%C3%B6%C3%9Fe.yaml"),
        ] {
            let path = ApiPath::workflow_dispatches(&repository(), &file.parse().unwrap());
            assert_eq!(path.0, format!("/repos/acme/app/actions/workflows/{encoded}/dispatches"));
        }
    }

    #[test]
    fn names_that_people_choose_stay_one_segment_or_one_value() {
        let (login, sha) =
            ("dispatch[bot]".parse().unwrap(), "0123456789012345678901234567890123456789".parse().unwrap());
        let team = "acme/release-managers".parse().unwrap();
        let checks = ApiPath::check_runs_of(&repository(), &sha, "dispatch / infra / a&app_id=1#", 7, 2);
        for (path, expected) in [
            (ApiPath::permission(&repository(), &login), "/repos/acme/app/collaborators/dispatch%5Bbot%5D/permission"),
            (ApiPath::membership(&team, &login), "/orgs/acme/teams/release-managers/memberships/dispatch%5Bbot%5D"),
            (
                ApiPath::workflow_file(&repository(), &"my flow (1).yml".parse().unwrap()),
                "/repos/acme/app/contents/.github/workflows/my%20flow%20%281%29.yml",
            ),
            (
                checks,
                "/repos/acme/app/commits/0123456789012345678901234567890123456789/check-runs\
                 ?check_name=dispatch%20%2F%20infra%20%2F%20a%26app_id%3D1%23&app_id=7&filter=all&per_page=100&page=2",
            ),
        ] {
            assert_eq!(path.0, expected);
        }
    }

    #[test]
    fn a_branch_stays_the_base_of_its_comparison() {
        let sha = "0123456789012345678901234567890123456789".parse().unwrap();
        for (branch, encoded) in [
            ("main", Some("refs%2Fheads%2Fmain")),
            ("release/1.0", Some("refs%2Fheads%2Frelease%2F1.0")),
            ("a/../../issues?x=#", None),
            ("main...other", None),
            ("stranger:main", None),
            ("a%2Fb", Some("refs%2Fheads%2Fa%252Fb")),
            ("$(id)#&x=1", Some("refs%2Fheads%2F%24%28id%29%23%26x%3D1")),
            ("größe", Some("refs%2Fheads%2Fgr%C3%B6%C3%9Fe")),
        ] {
            let path = ApiPath::compare(&repository(), &branch.parse().unwrap(), &sha);
            let expected = encoded.map(|base| format!("/repos/acme/app/compare/{base}...{sha}?page=2&per_page=1"));
            assert_eq!(path.map(|path| path.0), expected, "{branch}");
        }
    }
}
