//! What is remembered of policy files, so that an unchanged one costs no rate limit and an absent one costs no request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Timestamp;
use crate::decide::PolicyAnswer;
use crate::name::Repository;
use crate::policy::PolicyPath;
use crate::ports::github::FileVersion;

/// A memory of policy files. It may forget at any time; it must never answer for another repository.
///
/// Synchronous on purpose: it is a cache in memory, bounded, one for each process.
pub trait PolicyMemory: Send + Sync {
    /// What is remembered of a repository's policy file.
    fn recall(&self, repository: &Repository) -> Option<Arc<RememberedPolicy>>;
    /// Remembers, in place of what was remembered before.
    fn remember(&self, repository: &Repository, policy: RememberedPolicy);
    /// Forgets: a push touched a place where the file may be, or the repository itself changed.
    fn forget(&self, repository: &Repository);
}

/// A policy file as it was read, parsed once.
#[derive(Debug, Clone)]
pub struct RememberedPolicy {
    /// What it said.
    pub answer: PolicyAnswer,
    /// The file that it said it in; None: it is nowhere.
    pub file: Option<RememberedFile>,
    /// When both places were last looked at. After ten minutes they are looked at again.
    pub searched_at: Timestamp,
}

/// A policy file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedFile {
    /// Where it is.
    pub path: PolicyPath,
    /// To ask with the next time, where GitHub gave one.
    pub version: Option<FileVersion>,
    /// Its git blob: the same one needs no parsing, whatever the version says.
    pub blob_sha: String,
    /// Its size in bytes.
    pub size: usize,
}

/// A memory of policy files in this process, bounded by number and by size. The one that was read longest ago goes first.
#[derive(Debug)]
pub struct BoundedPolicyMemory {
    capacity: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    policies: BTreeMap<Repository, (u64, Arc<RememberedPolicy>)>,
    /// The repositories in the order in which their policies were remembered.
    order: BTreeMap<u64, Repository>,
    clock: u64,
    bytes: usize,
}

impl BoundedPolicyMemory {
    /// The size of all remembered files together, in bytes as they were read. Parsed, they take a few times as much.
    pub const MAX_BYTES: usize = 32 * 1024 * 1024;

    /// A memory for the policies of `capacity` repositories.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics while it holds the lock, and a memory that is wrong is only forgetful.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, repository: &Repository) {
        if let Some((at, policy)) = self.policies.remove(repository) {
            self.order.remove(&at);
            self.bytes -= size(&policy);
        }
    }
}

impl PolicyMemory for BoundedPolicyMemory {
    fn recall(&self, repository: &Repository) -> Option<Arc<RememberedPolicy>> {
        self.lock().policies.get(repository).map(|(_, policy)| Arc::clone(policy))
    }

    fn remember(&self, repository: &Repository, policy: RememberedPolicy) {
        let mut inner = self.lock();
        inner.remove(repository);
        inner.clock += 1;
        let at = inner.clock;
        inner.bytes += size(&policy);
        inner.order.insert(at, repository.clone());
        inner.policies.insert(repository.clone(), (at, Arc::new(policy)));
        while inner.policies.len() > self.capacity || inner.bytes > Self::MAX_BYTES {
            let Some(oldest) = inner.order.values().next().cloned() else { break };
            inner.remove(&oldest);
        }
    }

    fn forget(&self, repository: &Repository) {
        self.lock().remove(repository);
    }
}

fn size(policy: &RememberedPolicy) -> usize {
    policy.file.as_ref().map_or(0, |file| file.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::PolicyFile;

    fn repository(name: &str) -> Repository {
        format!("acme/{name}").parse().unwrap()
    }

    fn absent() -> RememberedPolicy {
        let answer = PolicyAnswer { repository: None, file: PolicyFile::Absent };
        RememberedPolicy { answer, file: None, searched_at: Timestamp::UNIX_EPOCH }
    }

    fn of_size(size: usize) -> RememberedPolicy {
        let file = RememberedFile { path: PolicyPath::Root, version: None, blob_sha: "b".into(), size };
        RememberedPolicy { file: Some(file), ..absent() }
    }

    fn remembered(memory: &BoundedPolicyMemory, names: &[&str]) -> Vec<bool> {
        names.iter().map(|name| memory.recall(&repository(name)).is_some()).collect()
    }

    #[test]
    fn the_policy_that_was_read_longest_ago_makes_room() {
        let memory = BoundedPolicyMemory::new(2);
        for name in ["a", "b", "a", "c"] {
            memory.remember(&repository(name), absent());
        }
        assert_eq!(remembered(&memory, &["a", "b", "c"]), [true, false, true]);
    }

    #[test]
    fn large_files_make_room_for_each_other() {
        let memory = BoundedPolicyMemory::new(100);
        for name in ["a", "b", "c"] {
            memory.remember(&repository(name), of_size(BoundedPolicyMemory::MAX_BYTES / 2));
        }
        assert_eq!(remembered(&memory, &["a", "b", "c"]), [false, true, true]);
    }

    #[test]
    fn a_forgotten_policy_is_gone_however_its_repository_is_written() {
        let memory = BoundedPolicyMemory::new(2);
        memory.remember(&repository("Api"), of_size(1));
        memory.forget(&repository("api"));
        assert_eq!(remembered(&memory, &["Api"]), [false]);
        assert_eq!(memory.lock().bytes, 0);
    }
}
