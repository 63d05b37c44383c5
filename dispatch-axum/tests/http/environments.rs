//! The page of what pull requests have.

use std::time::Duration;

use dispatch_core::name::Repository;
use dispatch_core::testing::World;
use dispatch_core::testing::world::{PullRequestSpec, RepositoryOptions};

use crate::admin::{links, resolve};
use crate::organisation::HOSTILE_BRANCH;
use crate::support::{Site, as_admin, get, now};

/// A world whose pull requests get environments.
fn world_of_previews() -> (World, Repository) {
    let outbound = r#"
outbound:
  - source: { pull_request: [opened] }
    targets: [{ repository: infra, workflow: create.yml, environment: create }]
  - source: { pull_request: [closed] }
    targets: [{ repository: infra, workflow: destroy.yml, environment: destroy }]
environments:
  - { name: "pr-{{ pr.number }}", url: "https://pr-{{ pr.number }}.example.com", ttl: 72h }
"#;
    let inbound = "
inbound:
  - source: { repository: api, pull_request: [opened] }
    targets: [{ workflow: create.yml }]
  - source: { repository: api, pull_request: [closed] }
    targets: [{ workflow: destroy.yml }]
";
    let mut world = World::new(now());
    let [api, infra] = ["acme/api", "acme/infra"].map(|name| name.parse::<Repository>().unwrap());
    for repository in [&api, &infra] {
        world
            .add_repository(repository, RepositoryOptions { installed: true, ..RepositoryOptions::default() })
            .unwrap();
    }
    for (repository, path, text) in [
        (&api, "dispatching.yml", outbound),
        (&infra, "dispatching.yml", inbound),
        (&infra, ".github/workflows/create.yml", "on: workflow_dispatch\n"),
        (&infra, ".github/workflows/destroy.yml", "on: workflow_dispatch\n"),
    ] {
        world.write_file(repository, "main", path, text).unwrap();
    }
    (world, api)
}

#[tokio::test]
async fn what_pull_requests_have_is_shown_with_who_holds_it_and_how_far_it_got() {
    let (world, api) = world_of_previews();
    let site = Site::with(world, |service| service);
    let page = async || site.send(as_admin(get("/admin/environments"))).await.body;
    assert!(page().await.contains("There are none yet"));

    site.rehearsal.world().open_pull_request(&api, PullRequestSpec::new(HOSTILE_BRANCH)).unwrap();
    site.rehearsal.run_until_quiet().unwrap();
    let live = page().await;
    for expected in [
        r#"<a href="https://pr-1.example.com" rel="noreferrer">pr-1</a>"#,
        "acme/infra · ",
        r#"<span class="pill good">live</span>"#,
        "#1<br>",
        "acme/api",
        r#"<time datetime="2026-01-05T03:04:05Z">2026-01-05 03:04:05 UTC</time>"#,
    ] {
        assert!(live.contains(expected), "{expected} is missing in {live}");
    }
    assert!(!live.contains(HOSTILE_BRANCH) && !live.contains("<script>"), "{live}");

    site.rehearsal.world().close_pull_request(&api, 1, false).unwrap();
    site.rehearsal.run_until_quiet().unwrap();
    let gone = page().await;
    assert!(gone.contains(r#"<span class="pill ">destroyed</span>"#) && gone.contains("nobody<br>"), "{gone}");
}

#[tokio::test]
async fn environments_are_shown_page_by_page() {
    let (world, api) = world_of_previews();
    let site = Site::with(world, |service| service);
    for n in 1..=26 {
        site.rehearsal.world().open_pull_request(&api, PullRequestSpec::new(&format!("topic-{n}"))).unwrap();
        site.rehearsal.run_until_quiet().unwrap();
        site.rehearsal.world().advance(Duration::from_secs(2));
    }
    let newest = site.send(as_admin(get("/admin/environments"))).await.body;
    assert!(newest.contains(">pr-26</a>") && newest.contains(">pr-2</a>") && !newest.contains(">pr-1</a>"));
    let older = links(&newest).into_iter().find(|link| link.contains("before=")).unwrap();
    let oldest = site.send(as_admin(get(&resolve("/admin/environments", &older)))).await.body;
    assert!(oldest.contains(">pr-1</a>") && !oldest.contains(">pr-2</a>"), "{oldest}");
    assert!(oldest.contains(">Newest</a>") && !oldest.contains(">Older</a>"));
}
