//! What takes more than one event to see: each test is a short story in one running service.

use std::time::Duration;

use dispatch_core::name::Repository;
use dispatch_core::testing::world::{Fault, FaultKind, RunSpec};
use tokio::time::{Instant, sleep};

use crate::stage::{Case, Stage, furnish};
use crate::{DEPLOY, DEPLOYED, between, inbound, outbound};

fn api() -> Repository {
    "acme/api".parse().unwrap()
}

fn infra() -> Repository {
    "acme/infra".parse().unwrap()
}

fn agreed(name: &'static str) -> Case {
    between(name, &outbound(DEPLOY), &inbound("{ workflow: deploy.yml }"))
}

#[tokio::test]
async fn an_old_run_run_again_is_superseded() {
    let any = |text: String| text.replace("workflow: ci.yml", "workflow: ci.yml, reruns: any");
    let (out, accept) = (outbound(DEPLOY), inbound("{ workflow: deploy.yml }"));
    let cases = [
        (between("neither", &out, &accept), "source_run_superseded"),
        (between("only the source", &any(out.clone()), &accept), "source_run_superseded"),
        (between("only the target", &out, &any(accept.clone())), "source_run_superseded"),
        (between("both", &any(out.clone()), &any(accept.clone())), DEPLOYED),
    ];
    for (case, expected) in cases {
        let stage = Stage::open(&case).await;
        assert_eq!(stage.run(RunSpec::default()).await, DEPLOYED);
        let old = stage.github().runs().find(|run| run.repository == api()).unwrap().id;
        let again = || RunSpec { rerun_of: Some(old), ..RunSpec::default() };
        assert_eq!(stage.run(again()).await, DEPLOYED, "nothing newer ran: {expected}");
        assert_eq!(stage.run(RunSpec::default()).await, DEPLOYED);
        assert_eq!(stage.run(again()).await, expected);
        stage.close().await;
    }
}

#[tokio::test]
async fn a_recreated_repository_is_another_one_until_a_rule_confirms_it() {
    let (out, accept) = (outbound(DEPLOY), inbound("{ workflow: deploy.yml }"));
    for recreated in [infra(), api()] {
        let stage = Stage::open(&agreed("a recreated name")).await;
        assert_eq!(stage.run(RunSpec::default()).await, DEPLOYED);
        let id = {
            let mut github = stage.github();
            github.delete_repository(&recreated).unwrap();
            furnish(&mut github, &recreated);
            let text = if recreated == api() { &out } else { &accept };
            github.write_file(&recreated, "main", "dispatching.yml", text).unwrap();
            // Until its token ends, the client asks for the deleted repository, and learns that there is none.
            github.expire_tokens();
            github.repositories().find(|state| state.name == recreated).unwrap().id
        };
        assert_eq!(stage.run(RunSpec::default()).await, "repository_identity_changed", "{recreated}");
        let (rules, text) = if recreated == api() {
            let source = format!("repository: api, repository_id: {id}");
            (infra(), accept.replace("repository: api", &source))
        } else {
            (api(), out.replace("repository: infra", &format!("repository: infra, repository_id: {id}")))
        };
        stage.github().write_file(&rules, "main", "dispatching.yml", &text).unwrap();
        assert_eq!(stage.run(RunSpec::default()).await, DEPLOYED, "{recreated}");
        stage.close().await;
    }
}

#[tokio::test]
async fn a_tag_called_main_proves_nothing() {
    let stage = Stage::open(&agreed("a tag called main")).await;
    {
        let mut github = stage.github();
        let stray = github.stray_commit(&api(), &[("evil", Some(b"1"))]).unwrap();
        github.set_tag(&api(), "main", &stray).unwrap();
    }
    let tag = RunSpec { tag: true, ..RunSpec::default() };
    assert_eq!(stage.run(tag).await, "source_ref_unverified");
    assert!(stage.started().is_empty());
    stage.close().await;
}

#[tokio::test]
async fn an_event_costs_the_requests_that_it_needs() {
    let stage = Stage::open(&agreed("requests")).await;
    assert_eq!(stage.run(RunSpec::default()).await, DEPLOYED);
    let (source, target) = ("GET api/contents/dispatching.yml", "GET infra/contents/dispatching.yml");
    let post = "POST infra/actions/workflows/deploy.yml/dispatches 200";
    let (compare, unchanged) = ("GET api/compare 200", [format!("{source} 304"), format!("{target} 304")]);
    assert_eq!(stage.asked().await, [compare, &format!("{source} 200"), &format!("{target} 200"), post], "first");
    assert_eq!(stage.run(RunSpec::default()).await, DEPLOYED);
    assert_eq!(stage.asked().await, [compare, &unchanged[0], &unchanged[1], post], "nothing changed");

    stage.github().write_file(&api(), "main", "README.md", "1\n").unwrap();
    assert_eq!(stage.run(RunSpec::default()).await, DEPLOYED);
    assert_eq!(stage.asked().await, [&unchanged[0], &unchanged[1], post], "the push of the commit was seen");

    assert_eq!(stage.run(RunSpec::new("smoke.yml", "main")).await, "skipped:no_rule_matched");
    assert_eq!(stage.asked().await, [&*unchanged[0]], "no rule matches");
    stage.close().await;

    let stage = Stage::open(&Case::new("no policy file")).await;
    assert_eq!(stage.run(RunSpec::default()).await, "skipped:source_policy_missing");
    assert_eq!(stage.asked().await.len(), 2, "both places");
    assert_eq!(stage.run(RunSpec::default()).await, "skipped:source_policy_missing");
    assert!(stage.asked().await.is_empty(), "known to have none");
    stage.close().await;
}

#[tokio::test]
async fn what_a_webhook_does_not_say_starts_nothing_by_mistake() {
    let stage = Stage::open(&agreed("null fields")).await;
    let mut body = stage.kept_back(RunSpec::default());
    body["workflow_run"]["head_branch"] = serde_json::Value::Null;
    assert_eq!(stage.send("no-branch", &body).await, "skipped:source_not_default_branch");

    let mut body = stage.kept_back(RunSpec::default());
    body["workflow_run"]["path"] = serde_json::Value::Null;
    assert_eq!(stage.send("no-path", &body).await, "skipped:no_rule_matched");

    let mut body = stage.kept_back(RunSpec::default());
    body.as_object_mut().unwrap().remove("installation");
    assert_eq!(stage.send("no-installation", &body).await, "skipped:app_not_installed");
    assert!(stage.asked().await.is_empty() && stage.started().is_empty());
    stage.close().await;
}

#[tokio::test]
async fn a_body_runs_once_however_often_it_comes() {
    let stage = Stage::open(&agreed("replay")).await;
    let body = stage.kept_back(RunSpec::default());
    assert_eq!(stage.send("first", &body).await, DEPLOYED);
    assert_eq!(stage.post("first", &body).await, 202, "a redelivery is known");
    assert_eq!(stage.deliveries().await.len(), 1);
    assert_eq!(stage.post("another", &body).await, 202, "a replay");
    stage.planned("another").await;
    assert_eq!(stage.run(RunSpec::default()).await, DEPLOYED);
    assert_eq!(stage.started(), [DEPLOYED, DEPLOYED], "one for the replayed run, one for the next");
    stage.close().await;
}

#[tokio::test]
async fn consent_that_is_withdrawn_while_a_dispatch_waits_counts() {
    let limited = FaultKind::RateLimited { retry_after: Some(2), reset_in: Some(2), secondary: false };
    let fault = Fault::once("POST", "/repos/acme/infra/actions/**", limited).unwrap();
    let stage = Stage::open(&agreed("withdrawn").fault(fault)).await;
    let before = stage.deliveries().await;
    stage.github().complete_run(&api(), RunSpec::default()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !stage.github().requests().iter().any(|request| request.path.ends_with("/dispatches")) {
        assert!(Instant::now() < deadline, "no call");
        sleep(Duration::from_millis(10)).await;
    }
    stage.github().write_file(&infra(), "main", "dispatching.yml", "inbound: []").unwrap();
    assert_eq!(stage.outcome(&before).await, "cancelled:consent_withdrawn");
    assert!(stage.started().is_empty());
    stage.close().await;
}

#[tokio::test]
async fn a_strangers_installation_starts_nothing() {
    let stranger: Repository = "stranger/api".parse().unwrap();
    let out = outbound("{ repository: acme/infra, workflow: deploy.yml }");
    let accept = inbound("{ workflow: deploy.yml }").replace("api", "stranger/api");
    for (owners, expected) in [("acme", "skipped:source_owner_not_allowed"), ("acme,stranger", DEPLOYED)] {
        let case = Case::new("a stranger").file("stranger/api", &out).file("acme/infra", &accept);
        let stage = Stage::open(&case.set("OWNER_ALLOWLIST", owners)).await;
        let before = stage.deliveries().await;
        stage.github().complete_run(&stranger, RunSpec::default()).unwrap();
        assert_eq!(stage.outcome(&before).await, expected);
        assert_eq!(stage.github().requests().is_empty(), expected != DEPLOYED, "nothing is asked for a stranger");
        stage.close().await;
    }
}

#[tokio::test]
async fn a_run_without_a_branch_starts_at_the_operator_s_ref() {
    let forks = |text: String| text.replace("workflow: ci.yml", "workflow: ci.yml, forks: true");
    let named = "{ repository: infra, workflow: smoke.yml, inputs: { git_sha: \"{{ source.head_branch }}\" } }";
    let accept = inbound("{ workflow: deploy.yml }, { workflow: smoke.yml, accept_inputs: [git_sha] }");
    let case = between("no branch", &forks(outbound(&format!("{DEPLOY}, {named}"))), &forks(accept))
        .set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
    let stage = Stage::open(&case).await;
    let fork = RunSpec { fork: "stranger/api".parse().ok(), ..RunSpec::default() };
    for (name, run) in [("own", RunSpec::default()), ("fork", fork)] {
        let mut body = stage.kept_back(run);
        body["workflow_run"]["head_branch"] = serde_json::Value::Null;
        assert_eq!(stage.send(name, &body).await, format!("{DEPLOYED} inputs_template_error"), "{name}");
    }
    assert_eq!(stage.started().len(), 2);
    stage.close().await;
}

#[tokio::test]
async fn every_variable_arrives() {
    let inputs = |input: &str| {
        outbound(&format!(
            "{{ repository: infra, workflow: deploy.yml, inputs: {{ git_sha: \"{{{{ {input} }}}}\" }} }}"
        ))
    };
    let accept = inbound("{ workflow: deploy.yml, accept_inputs: [git_sha] }");
    for (position, variable) in ["sha", "head_branch", "run_id", "run_url", "repo", "workflow"].into_iter().enumerate()
    {
        let stage = Stage::open(&between(variable, &inputs(&format!("source.{variable}")), &accept)).await;
        let body = stage.kept_back(RunSpec::default());
        assert_eq!(stage.send("variables", &body).await, DEPLOYED, "{variable}");
        let run = &body["workflow_run"];
        let expected = [
            run["head_sha"].as_str().unwrap().to_owned(),
            "main".to_owned(),
            run["id"].to_string(),
            run["html_url"].as_str().unwrap().to_owned(),
            "acme/api".to_owned(),
            "ci.yml".to_owned(),
        ];
        assert_eq!(stage.inputs()["git_sha"], expected[position], "{variable}");
        stage.close().await;
    }
}
