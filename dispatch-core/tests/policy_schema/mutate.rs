//! Changes of a file: each can leave it as good as it was, or break it in one of many ways.

use proptest::prelude::*;
use proptest::sample::Index;

use super::tree::Tree;

/// Every key of the language, and some that are none.
#[rustfmt::skip]
pub(crate) const KEYS: &[&str] = &[
    "outbound", "inbound", "environments", "source", "targets", "workflow", "pull_request", "command", "argument",
    "conclusions", "branches", "events", "reruns", "base", "draft", "permission", "forks", "repository",
    "repository_id", "event", "ref", "inputs", "payload", "environment", "required", "report", "accept_inputs",
    "accept_payload", "accept_refs", "pattern", "one_of", "max_length", "name", "deploy", "url", "links", "cleanup",
    "ttl", "limits", "source_repositories", "source_workflows", "target_repositories", "command_repositories",
    "default_branch_only", "max_targets", "max_chain_depth", "max_edge_rate", "default_ref", "secrets", "a b", "", "on", "18.0", "-1", "Ü", "<<x",
];

/// Texts that are right somewhere, nearly right, or right nowhere.
#[rustfmt::skip]
pub(crate) const TEXTS: &[&str] = &[
    "", "x", "main", "Main", "ci.yml", "ci.yaml", ".yml", ".github/workflows/ci.yml", "workflows/ci.yml", "näme.yml",
    "a b.yml", "a\u{2028}.yml", ".github/workflows/.yml", "api", "acme/api", "a/b/c", "acme/", "/api", "-acme/api",
    "api.git", "API.WIKI", ".", "..", ".github", "acme/..", "acme/*", "success", "failure", "sucess", "opened",
    "closed", "merged", "/deploy", "/Deploy", "deploy", "/a_1", "write", "admin", "author", "acme/ops", "acme/Ops",
    "maintain", "latest", "any", "create", "destroy", "check", "comment", "issue", "email", "push", "pushed", "Push",
    "release/*", "**", "!main", "a[b]", "a\\b", " main", "main ", "\u{a0}main", "v?", "refs/heads/main",
    "refs/tags/v1", "refs/pull/1/head", "pull/1", "refs/heads/refs/x", "-x", "@", "a@{1}", "a..b", "a.", "a.lock",
    "a.lock/b", "a//b", "a/.b", "/a", "a/", "a~b", "0123456789abcdef0123456789abcdef01234567", "preview:create/1",
    "a b", "ü", "number", "sha", "branch", "branch-any", "login", "pr-{{ pr.number }}", "{{ pr.number }}",
    "{{pr.head_branch}}", "{{ pr.number | json }}", "{{ pr.merged|json }}", "x{{ pr.merged | json }}",
    "{{ source.sha }}", "{{ source.head_branch }}/{{ source.run_id }}", "{{ sender.login }}", "{{ source.shaa }}",
    "{{ command.argument }}", "{{ comment.id }}", "{{ env.name }}", "{{ env.url }}", "{{ env.base }}", "{{", "{{ }}",
    "{{{ source.sha }}}", "{ {{ source.sha }} }", "{{ source.sha }}}}", "{{ source sha }}", "a\nb", "a\u{85}b",
    "a\u{7f}", "https://example.com", "https://pr-{{ pr.number }}.example.com/{{ pr.base_branch }}?a=b#c",
    "https://{{ pr.base_branch }}.example.com", "https://{{ env.name }}-x", "http://example.com", "https://",
    "https://a..b", "https://-a", "https://a-", "https://a:443/", "https://a:0", "https://a:65535", "https://a:65536",
    "https://a:+80", "https://a:1{{ pr.number }}", "https://a:9999{{ pr.number }}", "https://a:", "https://a:1:2",
    "https://a@b", "https://a/{b}", "https://a/ü", "https://a b", "https://a?{{ env.base }}", "https://a/<b>",
    "@{{ pr.number }}", "{{ pr.number }}.", "{{ pr.number }}.lock", "refs/{{ pr.number }}", "{{ env.name }}..", "1h",
    "90d", "91d", "59m", "60m", "0060m", "129600m", "129601m", "2160h", "2161h", "0h", "00000001h", "1.5h", "72 h",
    "1w", "h", "Admin panel", "\u{200b}", "a\u{202e}b", " a", "a\u{3000}", "web-*", "*/*", "a?/b*", "*.yml", "release-?.yml", " *.yml", "*.y*ml", "*.git", "*.*", "..*",
];

/// Plain scalars that are no text for every reader.
#[rustfmt::skip]
pub(crate) const PLAIN: &[&str] = &[
    "1", "0", "-1", "007", "18.0", "1.5", "1e3", "1e-7", "0x10", "0o17", "1025", "1024", "+1", "-0", ".5", "1.",
    ".inf", "-.inf", ".nan", "true", "false", "True", "FALSE", "yes", "no", "on", "off", "y", "null", "~", "Null",
    "18446744073709551615", "18446744073709551616", "12345678901234567890123", "1_000", "2026-11-20", "<<", "!x",
];

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Leaves an entry out.
    Drop(Index, Index),
    /// Says an entry twice.
    Twice(Index, Index),
    /// Calls a value by another name.
    Rename(Index, Index, &'static str),
    /// Puts another node in the place of one.
    Replace(Index, Tree),
    /// Puts an entry more into a list or a mapping.
    Add(Index, &'static str, Tree),
    /// Puts a copy of a node into another place.
    Copy(Index, Index),
    /// Makes a list of a node, or a node of a list.
    Wrap(Index),
    /// Writes something before or behind a text.
    Extend(Index, &'static str, bool),
    /// Says a text many times over.
    Repeat(Index, usize),
    /// Writes a text with quotes, or without.
    Quote(Index),
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let key = || prop::sample::select(KEYS);
    let text = || prop::sample::select(TEXTS);
    prop_oneof![
        2 => (index(), index()).prop_map(|(at, entry)| Change::Drop(at, entry)),
        1 => (index(), index()).prop_map(|(at, entry)| Change::Twice(at, entry)),
        2 => (index(), index(), key()).prop_map(|(at, entry, key)| Change::Rename(at, entry, key)),
        8 => (index(), node()).prop_map(|(at, node)| Change::Replace(at, node)),
        4 => (index(), key(), node()).prop_map(|(at, key, node)| Change::Add(at, key, node)),
        3 => (index(), index()).prop_map(|(from, to)| Change::Copy(from, to)),
        1 => index().prop_map(Change::Wrap),
        2 => (index(), text(), any::<bool>()).prop_map(|(at, text, before)| Change::Extend(at, text, before)),
        1 => (index(), prop_oneof![2_usize..300, Just(1_024)]).prop_map(|(at, times)| Change::Repeat(at, times)),
        1 => index().prop_map(Change::Quote),
    ]
}

/// What could stand anywhere.
fn node() -> impl Strategy<Value = Tree> + Clone {
    let scalar = prop_oneof![
        4 => prop::sample::select(TEXTS).prop_map(Tree::quoted),
        2 => prop::sample::select(PLAIN).prop_map(Tree::plain),
        1 => "\\PC{0,12}".prop_map(|text| Tree::quoted(&text)),
    ];
    let list = prop::collection::vec(scalar.clone(), 0..3).prop_map(Tree::List);
    let map =
        (prop::sample::select(KEYS), scalar.clone()).prop_map(|(key, node)| Tree::Map(vec![(key.to_owned(), node)]));
    prop_oneof![8 => scalar, 2 => list, 1 => map, 1 => Just(Tree::Map(Vec::new()))]
}

impl Change {
    pub(crate) fn apply(&self, tree: &mut Tree) {
        let count = tree.nodes();
        let at = |index: &Index| -> usize { index.index(count) };
        match self {
            Self::Drop(place, entry) => match tree.node(at(place)) {
                Tree::List(entries) if !entries.is_empty() => drop(entries.remove(entry.index(entries.len()))),
                Tree::Map(entries) if !entries.is_empty() => drop(entries.remove(entry.index(entries.len()))),
                _ => {}
            },
            Self::Twice(place, entry) => match tree.node(at(place)) {
                Tree::List(entries) if !entries.is_empty() => entries.push(entry.get(entries).clone()),
                Tree::Map(entries) if !entries.is_empty() => entries.push(entry.get(entries).clone()),
                _ => {}
            },
            Self::Rename(place, entry, key) => {
                if let Tree::Map(entries) = tree.node(at(place))
                    && !entries.is_empty()
                {
                    let position = entry.index(entries.len());
                    entries[position].0 = (*key).to_owned();
                }
            }
            Self::Replace(place, node) => *tree.node(at(place)) = node.clone(),
            Self::Add(place, key, node) => match tree.node(at(place)) {
                Tree::List(entries) => entries.push(node.clone()),
                Tree::Map(entries) if entries.iter().all(|(there, _)| there != key) => {
                    entries.push(((*key).to_owned(), node.clone()));
                }
                _ => {}
            },
            Self::Copy(from, to) => {
                let (from, to) = (at(from), at(to));
                let copy = tree.node(from).clone();
                *tree.node(to) = copy;
            }
            Self::Wrap(place) => {
                let node = tree.node(at(place));
                *node = match node.clone() {
                    Tree::List(mut entries) if entries.len() == 1 => entries.remove(0),
                    other => Tree::List(vec![other]),
                };
            }
            Self::Extend(place, addition, before) => {
                if let Tree::Scalar { text, .. } = tree.node(at(place)) {
                    *text = if *before { format!("{addition}{text}") } else { format!("{text}{addition}") };
                }
            }
            Self::Repeat(place, times) => {
                if let Tree::Scalar { text, .. } = tree.node(at(place)) {
                    *text = text.repeat(*times).chars().take(3_000).collect();
                }
            }
            Self::Quote(place) => {
                if let Tree::Scalar { plain, .. } = tree.node(at(place)) {
                    *plain = !*plain;
                }
            }
        }
    }
}
