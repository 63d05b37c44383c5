use std::collections::BTreeMap;

use super::*;
use crate::event::{EventKind, EventRepository, Head, PullRequest, PullRequestAction};
use crate::name::{InstallationId, PullRequestNumber, RepositoryId, UserId};

const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

/// Repositories and the files in force there. `api` is the one with the pull request.
struct World {
    private: bool,
    others: BTreeMap<&'static str, (bool, Option<&'static str>)>,
    /// What GitHub does not let the App read.
    refused: Option<&'static str>,
    settings: BTreeMap<String, String>,
}

impl World {
    fn new(others: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let others = others.into_iter().map(|(name, file)| (name, (false, Some(file)))).collect();
        let settings = [("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())].into();
        Self { private: false, others, refused: None, settings }
    }

    fn with_private(mut self, name: &'static str) -> Self {
        self.others.get_mut(name).unwrap().0 = true;
        self
    }

    /// The check of a file, for who may write.
    fn check(&self, file: &str) -> Check {
        self.check_for(file, true)
    }

    fn check_for(&self, file: &str, writer: bool) -> Check {
        let guardrails = Guardrails::from_settings(&self.settings).unwrap();
        let (event, pull_request) = event(self.private);
        let file = ProposedFile::of(&event.repository.name, &[Some(file_at(file)), None]);
        let proposal = Proposal { event: &event, pull_request: &pull_request, file };
        let mut known = Known::default();
        for lookup in proposal.lookups(&guardrails) {
            match lookup {
                Lookup::Policy(repository) => _ = known.policies.insert(repository.clone(), self.policy(&repository)),
                Lookup::LimitsSeen(repository) => _ = known.limits_seen.insert(repository, false),
                Lookup::Edge(edge) => _ = known.edges.insert(edge, None),
                other => panic!("{other:?}"),
            }
        }
        proposal.check(writer.then_some(&known), &guardrails).unwrap()
    }

    fn policy(&self, repository: &Repository) -> PolicyAnswer {
        if self.refused == Some(repository.as_str()) {
            return PolicyAnswer { repository: None, file: PolicyFile::Refused("no".to_owned()) };
        }
        let Some((private, file)) = self.others.get(repository.as_str()) else {
            return PolicyAnswer { repository: None, file: PolicyFile::Absent };
        };
        let path = PolicyPath::Root;
        let checked = file.map(|file| Policy::check(file.as_bytes(), &repository.owner(), "dispatching.yml"));
        let file = checked.map_or(PolicyFile::Absent, |checked| PolicyFile::of(path, checked));
        PolicyAnswer { repository: Some(Identity::Verified { id: RepositoryId(20), private: *private }), file }
    }
}

fn event(private: bool) -> (Event, PullRequestState) {
    let now = PullRequestState {
        number: PullRequestNumber(7),
        open: true,
        merged: false,
        draft: false,
        base_branch: "main".parse().unwrap(),
        head_branch: "$(curl${IFS}x|sh)".parse().unwrap(),
        head_sha: SHA.parse().unwrap(),
        head: Head::SameRepository,
        author: Some(UserId(9)),
        keep: false,
        updated_at: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    let event = Event {
        version: Event::VERSION,
        part: None,
        repository: EventRepository {
            id: RepositoryId(11),
            name: "acme/api".parse().unwrap(),
            default_branch: "main".parse().unwrap(),
            private,
        },
        installation: Some(InstallationId(5)),
        sender: Some("octocat".parse().unwrap()),
        kind: EventKind::PullRequest(PullRequest { action: PullRequestAction::Opened, now: now.clone(), sweep: None }),
    };
    (event, now)
}

fn file_at(text: &str) -> FileAt {
    FileAt { bytes: text.as_bytes().to_vec(), blob_sha: String::new() }
}

fn conclusion(check: &Check) -> CheckConclusion {
    match check.status {
        CheckStatus::Completed(conclusion) => conclusion,
        other => panic!("{other:?}"),
    }
}

const RUN: &str = "
outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: web, workflow: cd.yml, inputs: { sha: '{{ source.sha }}' } }
";
const AGREES: &str = "
inbound:
  - source: { repository: api, workflow: ci.yml }
    targets:
      - { workflow: cd.yml, accept_inputs: [sha] }
";

#[test]
fn a_file_that_is_right_and_agreed_to_is_a_success() {
    let check = World::new([("acme/web", AGREES)]).check(RUN);
    assert_eq!(conclusion(&check), CheckConclusion::Success);
    assert_eq!((check.name.as_str(), check.head_sha.as_str(), check.origin), ("dispatch / policy", SHA, None));
    insta::assert_snapshot!(format!("{}\n\n{}", check.title, check.summary), @"
    no problems; 1 of 1 edge would be allowed

    This pull request changes the policy file. This is about `dispatching.yml` as it is in its newest commit: nothing but this check reads it before it is merged.

    **The file: no problems.**

    ### What would start from here

    - Line 5: runs of `ci.yml` start `cd.yml` of `acme/web`
      - on `main`: would be allowed, `acme/web/dispatching.yml:5` agrees

    Asked as if it were merged now, with the other side's file as it is. Who gives a command is taken to be one who may, a commit to be where it should be, and a branch of another repository to be its default branch.
    ");
}

#[test]
fn every_kind_of_edge_is_asked_about_in_both_directions() {
    let world = World::new([
        (
            "acme/infra",
            "
inbound:
  - source: { repository: api, pull_request: [opened, synchronize] }
    targets: [{ event: preview-create, accept_payload: { pr: { pattern: number }, sha: { pattern: sha } } }]
  - source: { repository: api, pull_request: [closed] }
    targets: [{ event: preview-gone, accept_payload: { name: { pattern: 'pr-*' } } }]
  - source: { repository: api, command: /deploy }
    targets: [{ event: deploy, accept_payload: { branch: { pattern: branch } } }]
",
        ),
        (
            "acme/web",
            "inbound: [{ source: { repository: api, workflow: ci.yml }, targets: [{ workflow: other.yml }] }]",
        ),
        (
            "acme/tool",
            "
outbound:
  - source: { workflow: release.yml, branches: [main, 'release/*'] }
    targets: [{ repository: api, workflow: update.yml, inputs: { version: v1 } }]
",
        ),
    ]);
    let check = world.check(
        "
outbound:
  - source: { pull_request: [opened, synchronize, reopened] }
    targets:
      - { repository: infra, event: preview-create, payload: { pr: '{{ pr.number }}', sha: '{{ pr.head_sha }}' } }
  - source: { pull_request: [closed] }
    targets: [{ repository: infra, event: preview-gone, environment: destroy, payload: { name: '{{ env.name }}' } }]
  - source: { command: /deploy, permission: admin, base: [main, 'release/*'] }
    targets: [{ repository: infra, event: deploy, payload: { branch: '{{ pr.head_branch }}' } }]
  - source: { workflow: ci.yml, branches: [main, 'release/*'] }
    targets: [{ repository: web, workflow: cd.yml }]
environments: [{ base: main, name: 'pr-{{ pr.number }}' }]
inbound:
  - source: { repository: tool, workflow: release.yml, branches: ['release/*'] }
    targets: [{ workflow: update.yml, accept_inputs: [version] }]
  - source: { repository: nobody, workflow: release.yml }
    targets: [{ workflow: update.yml, accept_inputs: [version] }]
",
    );
    assert_eq!(conclusion(&check), CheckConclusion::Neutral);
    insta::assert_snapshot!(format!("{}\n\n{}", check.title, check.summary), @"
    2 warnings; 3 of 6 edges would be allowed

    This pull request changes the policy file. This is about `dispatching.yml` as it is in its newest commit: nothing but this check reads it before it is merged.

    **The file: 2 warnings.**

    ### What would start from here

    - Line 5: pull requests that are `opened`, `synchronize`, `reopened` start `preview-create` of `acme/infra`
      - `opened` into `main`; `synchronize` into `main`: would be allowed, `acme/infra/dispatching.yml:4` agrees
      - `reopened` into `main`: **would not be allowed**: the inbound rule names pull requests that are `opened`, `synchronize` of `acme/api`, and a pull request was `reopened` (`inbound_not_authorized`)
    - Line 7: pull requests that are `closed` start `preview-gone` of `acme/infra`
      - `closed` into `main`: would be allowed, `acme/infra/dispatching.yml:6` agrees
    - Line 9: the command `/deploy` starts `deploy` of `acme/infra`
      - by an administrator, on a pull request into `main`; by an administrator, on a pull request into `release/x`: would be allowed, `acme/infra/dispatching.yml:8` agrees
    - Line 11: runs of `ci.yml` start `cd.yml` of `acme/web`
      - on `main`: **would not be allowed**: the inbound rule accepts only `other.yml`, and not `cd.yml` (`inbound_not_authorized`)
      - on `release/x`: **would not be allowed**: the run was on `release/x`, and only the default branch `main` counts (`source_not_default_branch`)

    ### What would be started here

    - Line 15: runs of `release.yml` of `acme/tool` start `update.yml`
      - on `release/x`: would be allowed, `acme/tool/dispatching.yml:4` agrees
    - Line 17: runs of `release.yml` of `acme/nobody` start `update.yml`
      - on its default branch: **would not be allowed**: the source has not agreed or does not exist

    Asked as if it were merged now, with the other side's file as it is. Who gives a command is taken to be one who may, a commit to be where it should be, and a branch of another repository to be its default branch.
    ");
}

#[test]
fn errors_are_annotations_at_their_lines_and_a_failure() {
    let check = World::new([]).check(
        "outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repositori: web, workflow: cd.yml }
      - { repository: web, workflow: cd.txt }
",
    );
    assert_eq!(conclusion(&check), CheckConclusion::Failure);
    insta::assert_snapshot!(format!("{}\n\n{}", check.title, check.summary), @"
    3 errors

    This pull request changes the policy file. This is about `dispatching.yml` as it is in its newest commit: nothing but this check reads it before it is merged.

    **The file: 3 errors.** It would mean nothing until the errors are mended: nothing would start.
    ");
    let shown: Vec<_> = check
        .annotations
        .iter()
        .map(|it| format!("{}:{} {:?} {}\n{}", it.path, it.start_line, it.level, it.title, it.message))
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"), @"
    dispatching.yml:4 Failure missing_key
    the key `repository` is missing
    has no `repository`
    help: add `repository:`

    dispatching.yml:4 Failure unknown_key
    there is no key `repositori` here
    unknown key
    help: did you mean `repository`?

    dispatching.yml:5 Failure invalid_name
    `cd.txt` is not a workflow file name ending in `.yml` or `.yaml`
    not a workflow file name ending in `.yml` or `.yaml`
    help: write the file's name, such as `ci.yml`, or `.github/workflows/ci.yml`
    ");
}

#[test]
fn an_unknown_variable_is_an_error_that_leaves_the_other_edges_as_they_are() {
    let file = format!(
        "{RUN}      - {{ repository: web, workflow: cd.yml, inputs: {{ sha: '{{{{ source.nothing }}}}' }} }}\n"
    );
    let check = World::new([("acme/web", AGREES)]).check(&file);
    assert_eq!(conclusion(&check), CheckConclusion::Failure);
    assert!(check.summary.contains("on `main`: would be allowed"), "{}", check.summary);
}

#[test]
fn more_problems_than_can_be_annotated_are_counted() {
    let many = "      - { repository: web, workflow: cd.txt }\n".repeat(60);
    let check = World::new([]).check(&format!("outbound:\n  - source: {{ workflow: ci.yml }}\n    targets:\n{many}"));
    assert_eq!(check.annotations.len(), 50);
    assert!(check.summary.contains("and 10 more are not shown"), "{}", check.summary);
}

#[test]
fn more_edges_than_are_asked_about_are_counted_and_the_summary_fits() {
    let rules: String = (0..60)
        .map(|rule| {
            let branches: Vec<_> = (0..4).map(|n| format!("'{}{rule}{n}'", "b".repeat(200))).collect();
            format!(
                "  - source: {{ workflow: ci.yml, branches: [{}] }}\n    targets: [{{ repository: web{rule}, workflow: cd.yml }}]\n",
                branches.join(", ")
            )
        })
        .collect();
    let check = World::new([]).check(&format!("outbound:\n{rules}"));
    assert!(check.title.contains("of 60 edges"), "{}", check.title);
    assert!(check.summary.contains("more not shown"));
    assert!(check.summary.chars().count() <= 65_535, "{}", check.summary.chars().count());
}

#[test]
fn what_only_the_value_decides_is_not_judged_as_real() {
    let file = "
outbound:
  - source: { command: /deploy }
    targets: [{ repository: web, event: deploy, payload: { branch: '{{ pr.head_branch }}', by: '{{ sender.login }}' } }]
  - source: { pull_request: [opened] }
    targets: [{ repository: web, event: preview, payload: { pr: '{{ pr.number }}', to: production } }]
";
    let agrees = "
inbound:
  - source: { repository: api, command: /deploy }
    targets: [{ event: deploy, accept_payload: { branch: { pattern: 'release/*' }, by: { pattern: login } } }]
  - source: { repository: api, pull_request: [opened] }
    targets: [{ event: preview, accept_payload: { pr: { pattern: number }, to: { one_of: [staging] } } }]
";
    let asked = |there: String| {
        let check = World::new([("acme/web", &*there.leak())]).check(file);
        assert_eq!(conclusion(&check), CheckConclusion::Neutral);
        check.summary.lines().filter(|line| line.starts_with("  - ")).map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(asked(agrees.to_owned()), @"
    - by somebody who may write, on a pull request into `main`: **depends on what is sent**; pull request 1 from `feature` by `somebody` would not be allowed: `branch` has the value `feature`, and the target accepts only text that matches `release/*` (`value_not_accepted`)
    - `opened` into `main`: **would not be allowed**: `to` has the value `production`, and the target accepts only one of `staging` (`value_not_accepted`)
    ");
    // What one number or branch would be allowed by chance, and another would not.
    let by_chance = agrees.replace("release/*", "f*e").replace("pattern: number", "max_length: 4");
    insta::assert_snapshot!(asked(by_chance.replace("staging", "production")), @"
    - by somebody who may write, on a pull request into `main`: **depends on what is sent**; pull request 20000 from `fix/another-one` by `whoever-else` would not be allowed: `branch` has the value `fix/another-one`, and the target accepts only text that matches `f*e` (`value_not_accepted`)
    - `opened` into `main`: **depends on what is sent**; pull request 20000 from `fix/another-one` by `whoever-else` would not be allowed: `pr` has the value `20000`, and the target accepts only at most 4 characters long (`value_not_accepted`)
    ");
}

#[test]
fn one_side_that_cannot_be_read_hides_its_own_edges_only() {
    let file = format!("{RUN}      - {{ repository: infra, workflow: cd.yml }}\n");
    for (private, expected) in [
        (false, "the target has not agreed or does not exist"),
        (true, "the policy file of `acme/infra` cannot be read: no (`unreadable_target_config`)"),
    ] {
        let mut world = World::new([("acme/web", AGREES)]);
        (world.private, world.refused) = (private, Some("acme/infra"));
        let check = world.check(&file);
        assert!(check.title.ends_with("1 of 2 edges would be allowed"), "{}", check.title);
        assert!(check.summary.contains(&format!("**would not be allowed**: {expected}\n")), "{}", check.summary);
    }
}

#[test]
fn who_may_not_write_is_told_of_the_file_only() {
    let world = World::new([("acme/web", "inbound: []")]);
    let check = world.check_for(RUN, false);
    assert_eq!(conclusion(&check), CheckConclusion::Success);
    insta::assert_snapshot!(format!("{}\n\n{}", check.title, check.summary), @"
    no problems

    This pull request changes the policy file. This is about `dispatching.yml` as it is in its newest commit: nothing but this check reads it before it is merged.

    **The file: no problems.**

    What would start is shown for pull requests of this repository, after a change by their author, where the author may write to it.
    ");
    assert!(!check.summary.contains("web"));
}

#[test]
fn what_a_private_repository_says_is_not_told_to_a_public_one() {
    let file = format!(
        "{RUN}{}",
        "inbound: [{ source: { repository: web, workflow: x.yml }, targets: [{ workflow: y.yml }] }]\n"
    );
    let silent =
        "outbound: [{ source: { workflow: secret-name.yml }, targets: [{ repository: api, workflow: y.yml }] }]\n";
    let hidden: Vec<_> =
        [silent, "inbound: [{ source: { repository: api, workflow: secret-name.yml }, targets: [] }]", "broken"]
            .into_iter()
            .map(|there| World::new([("acme/web", there)]).with_private("acme/web").check(&file))
            .chain([World::new([]).check(&file)])
            .map(|check| check.summary)
            .collect();
    for summary in &hidden {
        assert_eq!(summary, &hidden[0], "denials of every kind read alike");
        assert!(!summary.contains("secret-name"), "{summary}");
    }
    let mut among_private = World::new([("acme/web", silent)]).with_private("acme/web");
    among_private.private = true;
    assert!(among_private.check(&file).summary.contains("inbound_not_authorized"));
}

#[test]
fn another_owner_s_repository_says_only_yes_or_no() {
    let file = RUN.replace("web", "other-org/web");
    let agrees = AGREES.replace("api", "acme/api").leak();
    let denied = World::new([]).check(&file);
    assert!(denied.summary.contains("the target has not agreed or does not exist"), "{}", denied.summary);
    let allowed = World::new([("other-org/web", &*agrees)]).check(&file);
    assert!(
        allowed.summary.contains("both sides agree") && !allowed.summary.contains("dispatching.yml:"),
        "{}",
        allowed.summary
    );
}

#[test]
fn nobody_is_looked_at_whom_the_operator_does_not_serve() {
    let mut world = World::new([]);
    world.settings.insert("TARGET_REPO_ALLOWLIST".to_owned(), "acme/infra".to_owned());
    let guardrails = Guardrails::from_settings(&world.settings).unwrap();
    let (event, pull_request) = event(false);
    let file = format!(
        "{RUN}inbound: [{{ source: {{ repository: evil/x, workflow: x.yml }}, targets: [{{ workflow: y.yml }}] }}]\n"
    );
    let file = ProposedFile::of(&event.repository.name, &[Some(file_at(&file)), None]);
    let proposal = Proposal { event: &event, pull_request: &pull_request, file };
    assert!(proposal.policy().is_some());
    assert_eq!(proposal.lookups(&guardrails), BTreeSet::new());
}

#[test]
fn a_file_that_hides_another_is_a_failure_at_the_hidden_one() {
    let (event, pull_request) = event(false);
    let files = ["inbound: []", "outbound: []"].map(|text| Some(file_at(text)));
    let file = ProposedFile::of(&event.repository.name, &files);
    let proposal = Proposal { event: &event, pull_request: &pull_request, file };
    let check = proposal.check(None, &Guardrails::from_settings(&BTreeMap::new()).unwrap()).unwrap();
    assert_eq!(conclusion(&check), CheckConclusion::Failure);
    assert_eq!(check.annotations.last().unwrap().path, ".github/dispatching.yml");
}

#[test]
fn that_the_file_goes_is_said_without_judging_it() {
    let (event, pull_request) = event(false);
    let proposal = Proposal { event: &event, pull_request: &pull_request, file: None };
    let check = proposal.check(None, &Guardrails::from_settings(&BTreeMap::new()).unwrap()).unwrap();
    assert_eq!(conclusion(&check), CheckConclusion::Neutral);
    insta::assert_snapshot!(format!("{}\n\n{}", check.title, check.summary), @"
    the policy file goes

    This pull request removes the policy file. Once it is merged, nothing starts from here, and nothing here is started, any more.
    ");
}

#[test]
fn nothing_in_the_file_speaks_in_the_check() {
    let hostile = ["`](https://evil.example) @everybody", "<img src=x>", "\u{202e}|x|", "[x](y)", "```"];
    for text in hostile {
        let branches = serde_json::to_string(text).unwrap();
        let file = format!(
            "outbound: [{{ source: {{ workflow: ci.yml, branches: [{branches}] }}, targets: [{{ repository: web, workflow: cd.yml }}] }}]\n"
        );
        let summary = World::new([]).check(&file).summary;
        for line in summary.lines() {
            let outside: String = line.split('`').step_by(2).collect();
            assert!(line.matches('`').count() % 2 == 0, "{line}");
            for bad in ["https:", "@", "<", "](", "|", "\u{202e}"] {
                assert!(!outside.contains(bad), "{text}: {line}");
            }
        }
    }
}
