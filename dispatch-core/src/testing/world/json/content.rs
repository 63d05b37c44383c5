//! Files, commits and comparisons.

use serde_json::{Value, json};

use super::super::{Commit, Comparison, Contents, RepositoryState, World, Written};
use super::{git_author, node_id, time, with};

impl World {
    /// A file without its content, as in listings.
    fn json_entry(&self, state: &RepositoryState, path: &str, sha: &str, size: usize, kind: &str) -> Value {
        let name = path.rsplit('/').next().unwrap_or(path);
        let object = if kind == "dir" { "trees" } else { "blobs" };
        let view = if kind == "dir" { "tree" } else { "blob" };
        let branch = &state.default_branch;
        let url = format!("{}/repos/{}/contents/{path}?ref={branch}", self.api_url, state.name);
        let git_url = format!("{}/repos/{}/git/{object}/{sha}", self.api_url, state.name);
        let page = format!("{}/{}/{view}/{branch}/{path}", self.html_url, state.name);
        let raw = (kind == "file").then(|| format!("{}/{}/raw/{branch}/{path}", self.html_url, state.name));
        json!({
            "name": name,
            "path": path,
            "sha": sha,
            "size": size,
            "url": url,
            "html_url": page,
            "git_url": git_url,
            "download_url": raw,
            "type": kind,
            "_links": { "self": url, "git": git_url, "html": page },
        })
    }

    /// A file or a folder. `base64` encodes a file's content, which the core has no encoder for.
    #[must_use]
    pub fn json_contents(
        &self,
        state: &RepositoryState,
        contents: &Contents,
        base64: impl Fn(&[u8]) -> String,
    ) -> Value {
        match contents {
            Contents::NotModified { .. } => Value::Null,
            Contents::File { path, bytes, blob_sha, .. } => with(
                self.json_entry(state, path, blob_sha, bytes.len(), "file"),
                json!({ "content": base64(bytes), "encoding": "base64" }),
            ),
            Contents::Directory { entries, .. } => {
                let entry = |(path, file): &(String, Option<(String, usize)>)| match file {
                    Some((sha, size)) => self.json_entry(state, path, sha, *size, "file"),
                    None => self.json_entry(state, path, &super::object_id("tree", path.as_bytes()), 0, "dir"),
                };
                entries.iter().map(entry).collect()
            }
        }
    }

    /// The answer to a write.
    #[must_use]
    pub fn json_written(&self, state: &RepositoryState, path: &str, size: usize, written: &Written) -> Value {
        let commit = state.commits.get(&written.commit);
        let git = commit.map(|commit| {
            let dated = with(git_author(&commit.author), json!({ "date": time(commit.at) }));
            json!({
                "sha": commit.sha,
                "node_id": node_id("Commit", state.id.0),
                "url": format!("{}/repos/{}/git/commits/{}", self.api_url, state.name, commit.sha),
                "html_url": format!("{}/{}/commit/{}", self.html_url, state.name, commit.sha),
                "author": dated,
                "committer": dated,
                "message": commit.message,
                "tree": self.json_tree(state, commit),
                "parents": self.json_parents(state, commit),
                "verification": unverified(),
            })
        });
        json!({ "content": self.json_entry(state, path, &written.blob_sha, size, "file"), "commit": git })
    }

    /// A commit.
    fn json_commit(&self, state: &RepositoryState, commit: &Commit) -> Value {
        let url = format!("{}/repos/{}/commits/{}", self.api_url, state.name, commit.sha);
        let dated = with(git_author(&commit.author), json!({ "date": time(commit.at) }));
        json!({
            "sha": commit.sha,
            "node_id": node_id("Commit", state.id.0),
            "url": url,
            "html_url": format!("{}/{}/commit/{}", self.html_url, state.name, commit.sha),
            "comments_url": format!("{url}/comments"),
            "commit": {
                "author": dated,
                "committer": dated,
                "message": commit.message,
                "tree": self.json_tree(state, commit),
                "url": format!("{}/repos/{}/git/commits/{}", self.api_url, state.name, commit.sha),
                "comment_count": 0,
                "verification": unverified(),
            },
            "author": self.json_user(&commit.author),
            "committer": self.json_user(&commit.author),
            "parents": self.json_parents(state, commit),
        })
    }

    /// A comparison. `basehead` is the text of the request, such as `main...topic`.
    #[must_use]
    pub fn json_comparison(&self, state: &RepositoryState, basehead: &str, comparison: &Comparison) -> Value {
        let page = format!("{}/{}/compare/{basehead}", self.html_url, state.name);
        let commits: Vec<Value> = comparison.ahead.iter().map(|commit| self.json_commit(state, commit)).collect();
        json!({
            "url": format!("{}/repos/{}/compare/{basehead}", self.api_url, state.name),
            "html_url": page,
            "permalink_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "base_commit": self.json_commit(state, &comparison.base),
            "merge_base_commit": self.json_commit(state, &comparison.merge_base),
            "status": comparison.status.as_str(),
            "ahead_by": commits.len(),
            "behind_by": comparison.behind_by,
            "total_commits": commits.len(),
            "commits": commits,
            "files": [],
        })
    }

    fn json_tree(&self, state: &RepositoryState, commit: &Commit) -> Value {
        let sha = commit.tree_sha();
        json!({ "sha": sha, "url": format!("{}/repos/{}/git/trees/{sha}", self.api_url, state.name) })
    }

    fn json_parents(&self, state: &RepositoryState, commit: &Commit) -> Value {
        let parent = |sha| {
            json!({
                "sha": sha,
                "url": format!("{}/repos/{}/commits/{sha}", self.api_url, state.name),
                "html_url": format!("{}/{}/commit/{sha}", self.html_url, state.name),
            })
        };
        commit.parents.iter().map(parent).collect()
    }
}

fn unverified() -> Value {
    json!({ "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null })
}
