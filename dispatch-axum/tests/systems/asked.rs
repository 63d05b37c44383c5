//! What GitHub was asked, as the emulator recorded it.

use std::collections::BTreeMap;

use dispatch_core::testing::world::ApiRequest;

use crate::house::{OWNER, repository};

/// Requests in their order, errands for credentials left out.
#[must_use]
#[derive(Debug)]
pub struct Asked(Vec<ApiRequest>);

impl Asked {
    pub fn new(requests: Vec<ApiRequest>) -> Self {
        Self(requests.into_iter().filter(|request| !request.is_about_credentials()).collect())
    }

    /// Every request, sorted: method, path within the owner with ids as `*`, and what the token may do. Each is made with a
    /// token for that one repository. How often is told of what makes something new; the rest is repeated as needed.
    pub fn all(&self) -> String {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for request in &self.0 {
            *lines.entry(line(request)).or_default() += 1;
        }
        let told = |(line, times): (String, usize)| match times {
            2.. if line.starts_with("POST") => format!("{line}, {times} times"),
            _ => line,
        };
        lines.into_iter().map(told).collect::<Vec<_>>().join("\n")
    }

    /// The writes to a repository, in order: method, path within the repository, and the body byte for byte.
    pub fn writes_to(&self, name: &str) -> Vec<String> {
        let prefix = format!("/repos/{}/", repository(name));
        let write = |request: &ApiRequest| {
            let path = request.path.strip_prefix(&prefix).filter(|_| request.method != "GET")?;
            Some(format!("{} /{path} {}", request.method, request.body.as_deref().unwrap_or_default()))
        };
        self.0.iter().filter_map(write).collect()
    }

    /// Everything that was said in requests to a repository.
    pub fn said_to(&self, name: &str) -> String {
        let prefix = format!("/repos/{}/", repository(name));
        let to = self.0.iter().filter(|request| request.path.starts_with(&prefix));
        to.map(|request| format!("{} {:?} {:?}\n", request.path, request.query, request.body)).collect()
    }
}

fn line(request: &ApiRequest) -> String {
    let path = request.path.replacen(&format!("/repos/{OWNER}/"), "", 1);
    let names = path.split('/').map(|part| if is_id(part) { "*" } else { part }).collect::<Vec<_>>();
    if request.caller == "app" {
        return format!("{} {} (the App itself)", request.method, names.join("/"));
    }
    let permissions = request.permissions.as_ref().expect("made with a token");
    let alone = permissions.len() == 1;
    let permissions = permissions.iter().filter(|(name, _)| *name != "metadata" || alone);
    let granted: Vec<_> = permissions.map(|(name, access)| format!("{name}: {access:?}").to_lowercase()).collect();
    let granted = granted.join(", ");
    let covered = request.repositories.as_ref().expect("a token for named repositories");
    assert_eq!(covered.len(), 1, "{request:?}");
    assert!(!path.starts_with("/repos/"), "of another owner: {request:?}");
    assert!(path.starts_with(&format!("{}/", covered[0].name())), "a token for another repository: {request:?}");
    format!("{} {} ({granted})", request.method, names.join("/"))
}

/// Whether a part of a path is a number that the world gave, or a commit.
fn is_id(part: &str) -> bool {
    part.len() >= 6 && part.bytes().all(|byte| byte.is_ascii_digit())
        || part.len() == 40 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}
