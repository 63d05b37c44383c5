//! Files without a problem, in all their forms.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// One of some words.
pub(crate) fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(words)
}

/// Some of some words, as the inside of a YAML list.
fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::subsequence(words, 1..words.len()).prop_map(|words| words.join(", "))
}

/// A valid file as lines of YAML.
pub(crate) fn valid_file() -> impl Strategy<Value = String> {
    let repository = one_of(&["web", "a.b_c-d", "acme/web", "Other/Web", "\"null\"", "on", "007"]);
    let workflow = one_of(&["ci.yml", "cd.yaml", ".github/workflows/ci.yml", "\"a b.yml\"", "näme.yml"]);
    let filters = (
        option::of(some_of(&["success", "failure", "timed_out"])),
        option::of(some_of(&["main", "\"release/*\"", "\"**\"", "v?"])),
        option::of(some_of(&["push", "schedule", "release"])),
        option::of(any::<bool>()),
        option::of(one_of(&["any", "latest"])),
    );
    let filters = filters.prop_map(|(conclusions, branches, events, forks, reruns)| {
        let mut lines = String::new();
        let mut list = |key: &str, words: Option<String>| {
            words.into_iter().for_each(|words| lines.push_str(&format!("      {key}: [{words}]\n")));
        };
        list("conclusions", conclusions);
        list("branches", branches);
        list("events", events);
        forks.into_iter().for_each(|forks| lines.push_str(&format!("      forks: {forks}\n")));
        reruns.into_iter().for_each(|reruns| lines.push_str(&format!("      reruns: {reruns}\n")));
        lines
    });
    let value = one_of(&["production", "18.0", "on", "true", "007", "'{{ source.sha }}'", "\"ü {{source.repo}} #\""]);
    let name = one_of(&["git_sha", "A-1", "on", "null", "0"]);
    let inputs = btree_map(name, value, 0..3).prop_map(|inputs| match inputs.len() {
        0 => String::new(),
        _ => inputs.iter().fold("        inputs:\n".to_owned(), |lines, (k, v)| format!("{lines}          {k}: {v}\n")),
    });
    let git_ref = option::of(one_of(&["main", "v1.2", "refs/heads/x"])).prop_map(|git_ref| match git_ref {
        Some(git_ref) => format!("        ref: {git_ref}\n"),
        None => String::new(),
    });
    let target =
        (repository.clone(), workflow.clone(), git_ref, inputs).prop_map(|(repository, workflow, git_ref, inputs)| {
            format!("      - repository: {repository}\n        workflow: {workflow}\n{git_ref}{inputs}")
        });
    let outbound = (workflow.clone(), filters.clone(), vec(target, 1..3)).prop_map(|(workflow, filters, targets)| {
        format!("  - source:\n      workflow: {workflow}\n{filters}    targets:\n{}", targets.concat())
    });
    let accepts = (workflow.clone(), some_of(&["git_sha", "a", "b-c"]), some_of(&["main", "\"*\"", "v?"])).prop_map(
        |(workflow, inputs, refs)| {
            format!("      - workflow: {workflow}\n        accept_inputs: [{inputs}]\n        accept_refs: [{refs}]\n")
        },
    );
    let inbound =
        (repository, workflow, filters, vec(accepts, 1..3)).prop_map(|(repository, workflow, filters, targets)| {
            format!(
                "  - source:\n      repository: {repository}\n      workflow: {workflow}\n{filters}    targets:\n{}",
                targets.concat()
            )
        });
    let outbound = prop_oneof![outbound, about_pull_requests()];
    let inbound = prop_oneof![inbound, accepting_pull_requests()];
    (vec(outbound, 0..3), vec(inbound, 0..3), environments()).prop_map(|(outbound, inbound, environments)| {
        format!("outbound:\n{}inbound:\n{}{environments}", outbound.concat(), inbound.concat())
    })
}

/// What a rule about pull requests or commands is about, as lines of YAML.
fn pull_request_source() -> impl Strategy<Value = String> + Clone {
    let kind = prop_oneof![
        some_of(&["opened", "synchronize", "reopened", "closed"])
            .prop_map(|actions| format!("      pull_request: [{actions}]\n")),
        (one_of(&["/deploy", "/test-deploy", "/a_1"]), option::of(one_of(&["write", "admin", "author"]))).prop_map(
            |(command, permission)| {
                let permission = permission.map(|word| format!("      permission: {word}\n")).unwrap_or_default();
                format!("      command: {command}\n{permission}")
            }
        ),
    ];
    let base = option::of(one_of(&["main", "[main, \"release/*\"]", "\"**\""]));
    (kind, base, option::of(any::<bool>()), option::of(any::<bool>())).prop_map(|(kind, base, draft, forks)| {
        let base = base.map(|base| format!("      base: {base}\n")).unwrap_or_default();
        let draft = draft.map(|draft| format!("      draft: {draft}\n")).unwrap_or_default();
        let forks = forks.map(|forks| format!("      forks: {forks}\n")).unwrap_or_default();
        format!("{kind}{base}{draft}{forks}")
    })
}

/// An outbound rule about pull requests or commands.
fn about_pull_requests() -> impl Strategy<Value = String> {
    let value =
        one_of(&["production", "true", "'{{ pr.number }}'", "'{{ pr.merged | json }}'", "'{{sender.login}} ü'"]);
    let payload = btree_map(one_of(&["api_pr", "merged", "on", "0"]), value, 0..3);
    let environment = option::of(one_of(&["create", "destroy"]));
    let report = option::of(prop::sample::subsequence(&["check", "comment", "issue"][..], 0..3));
    let event = one_of(&["preview-create", "on", "a.b:c/d_e", "\"null\""]);
    let target = (event, payload, environment, option::of(any::<bool>()), report).prop_map(
        |(event, payload, environment, required, report)| {
            let mut lines = format!("      - repository: infra\n        event: {event}\n");
            if !payload.is_empty() {
                let payload: Vec<_> = payload.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                lines.push_str(&format!("        payload: {{{}}}\n", payload.join(", ")));
            }
            environment.into_iter().for_each(|action| lines.push_str(&format!("        environment: {action}\n")));
            // What is required is shown by a check.
            let required =
                required.filter(|required| !required || report.as_ref().is_none_or(|it| it.contains(&"check")));
            required.into_iter().for_each(|required| lines.push_str(&format!("        required: {required}\n")));
            report.into_iter().for_each(|it| lines.push_str(&format!("        report: [{}]\n", it.join(", "))));
            lines
        },
    );
    (pull_request_source(), vec(target, 1..3))
        .prop_map(|(source, targets)| format!("  - source:\n{source}    targets:\n{}", targets.concat()))
}

/// An inbound rule about pull requests or commands.
fn accepting_pull_requests() -> impl Strategy<Value = String> {
    let accept = one_of(&[
        "{}",
        "{ pattern: number }",
        "{ pattern: sha, max_length: 40 }",
        "{ pattern: 'v*' }",
        "{ one_of: [opened, true, 1] }",
    ]);
    let accepts = prop_oneof![
        some_of(&["api_pr", "merged", "on"]).prop_map(|names| format!("[{names}]")),
        btree_map(one_of(&["api_pr", "merged", "on", "0"]), accept, 1..3).prop_map(|accepts| {
            let accepts: Vec<_> = accepts.iter().map(|(name, accept)| format!("{name}: {accept}")).collect();
            format!("{{{}}}", accepts.join(", "))
        }),
    ];
    (pull_request_source(), one_of(&["preview-create", "on"]), accepts).prop_map(|(source, event, accepts)| {
        let source = format!("      repository: api\n{source}");
        format!("  - source:\n{source}    targets:\n      - event: {event}\n        accept_payload: {accepts}\n")
    })
}

/// Environments, at least one: some rule may create it.
fn environments() -> impl Strategy<Value = String> {
    let entry = (
        option::of(one_of(&["main", "[dev, \"release/*\"]"])),
        option::of(one_of(&["'{{ pr.head_branch }}'", "dev"])),
        option::of(one_of(&["https://example.com", "'https://{{ env.name }}.example.com/{{ pr.base_branch }}'"])),
        option::of(one_of(&["1h", "90d", "'90m'"])),
    );
    vec(entry, 1..4).prop_map(|entries| {
        let mut lines = "environments:\n".to_owned();
        for (position, (base, deploy, url, ttl)) in entries.into_iter().enumerate() {
            let name = if position == 0 { "\"pr-{{ pr.number }}\"" } else { "staging" };
            lines.push_str(&format!("  - name: {name}\n"));
            for (key, value) in [("base", base), ("deploy", deploy), ("url", url), ("ttl", ttl)] {
                value.into_iter().for_each(|value| lines.push_str(&format!("    {key}: {value}\n")));
            }
        }
        lines
    })
}
